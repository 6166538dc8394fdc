"""Who is at work on a results directory: one process, whose lock does not outlive it.

On a file system the lock is the system's and ends with its holder. Object stores have none: there it is an object that
names its holder and that the holder writes anew every few seconds. One that stays as it is for a minute is a dead
process's, and is taken over; no clocks are compared. It is put with the condition that there is none (S3, GCS).
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gradsim.errors import GradsimError
from gradsim.places import Place, Remote

LOCK_FILE = "lock"
# An object's lock: how often it is written anew, for how long it may stay as it is, and how long two who take it over
# at once need to see each other.
REFRESH_SECONDS, STALE_SECONDS, SETTLE_SECONDS = 10.0, 60.0, 3.0
_LOOK_SECONDS = 1.0


@contextlib.contextmanager
def held(folder: Place, show: bool = False) -> Iterator[Callable[[], None]]:
    """The lock of a directory; show: whether to say on stderr that it is waited for.

    Gives a function that raises GradsimError once another process has taken it over. Raises GradsimError, with its
    name, where another process is at work.
    """
    if isinstance(folder, Path):
        with open(folder / LOCK_FILE, "a+", encoding="utf-8") as handle, _file_lock(folder, handle):
            yield lambda: None
        return
    lock = _ObjectLock(folder)
    lock.take(show)
    keeper = threading.Thread(target=lock.keep, name="gradsim-lock", daemon=True)
    keeper.start()
    try:
        yield lock.check
    finally:
        lock.ended.set()
        keeper.join()
        lock.give_back()


def _at_work(folder: Place, holder: str) -> GradsimError:
    return GradsimError(f"{folder}: {holder.partition(chr(10))[0].strip() or 'another process'} is at work on it")


def _me() -> str:
    return f"process {os.getpid()} on {platform.node()}"


# --- files ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _file_lock(folder: Path, handle) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # no advisory locks here: two processes would only do work twice
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        handle.seek(0)
        raise _at_work(folder, handle.read()) from None
    except OSError:  # a file system without locks
        pass
    handle.truncate(0)
    handle.write(_me())
    handle.flush()
    try:
        yield
    finally:
        handle.truncate(0)


# --- objects --------------------------------------------------------------------------------------


class _ObjectLock:
    """Its text: who holds it; then where processes have these numbers, a mark of its own, and a count that changes."""

    def __init__(self, folder: Remote):
        self.folder, self.place = folder, folder / LOCK_FILE
        self.ended = threading.Event()
        self._mark, self._count, self._taken_by = secrets.token_hex(8), 0, ""

    def take(self, show: bool) -> None:
        left = self._read()
        if left and not _has_died(left):
            left = self._watched(left, show)
        settled = not left
        try:
            self._write(new=not left)
        except FileExistsError:
            raise _at_work(self.folder, self._read()) from None
        except OSError:  # a server that knows no conditions, or one that will say again what it lacks
            self._write()
            settled = False
        if not settled:
            time.sleep(SETTLE_SECONDS)
            now = self._read()
            if self._mark not in now:
                raise _at_work(self.folder, now)

    def _watched(self, left: str, show: bool) -> str:
        """The same, where nobody has touched it for long enough; nothing, where it has been given back meanwhile."""
        if show:
            who = left.partition("\n")[0]
            print(f"{who} was at work here; waiting up to {STALE_SECONDS:.0f} s for a sign of it", file=sys.stderr)
        until = time.monotonic() + STALE_SECONDS
        while time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            now = self._read()
            if now and now != left:
                raise _at_work(self.folder, now)
            if not now:
                return ""
        return left

    def keep(self) -> None:
        """Until it is given back, or another process has it."""
        while not self.ended.wait(REFRESH_SECONDS):
            # A server that does not answer now may do so later; shards that cannot be written say so themselves.
            with contextlib.suppress(OSError):
                now = self._read()
                if now and self._mark not in now:
                    self._taken_by = now.partition("\n")[0]
                    return
                self._write()

    def check(self) -> None:
        if self._taken_by:
            raise GradsimError(
                f"{self.folder}: {self._taken_by} has taken over, for this process gave no sign of life for "
                f"{STALE_SECONDS:.0f} s; finished shards are kept"
            )

    def give_back(self) -> None:
        with contextlib.suppress(OSError):
            if self._mark in self._read():
                self.place.unlink(missing_ok=True)

    def _read(self) -> str:
        try:
            return self.place.read_text()
        except FileNotFoundError:
            return ""

    def _write(self, new: bool = False) -> None:
        self._count += 1
        text = f"{_me()}\n{_process_space()} {self._mark} {self._count}\n"
        self.place.write_bytes(text.encode(), new=new)


def _process_space() -> int:
    """What tells containers of one name on one machine apart, whose processes are numbered each for itself."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _has_died(left: str) -> bool:
    """Whether a lock is that of a process of this machine that is no more."""
    match = re.match(r"process (\d+) on (.*)\n(\d+) ", left)
    if match is None or os.name == "nt" or (match[2], int(match[3])) != (platform.node(), _process_space()):
        return False
    try:
        os.kill(int(match[1]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False

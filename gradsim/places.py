"""Where results lie: a directory by its path, or by a URL on S3, Google Cloud Storage or what else fsspec knows.

A path is pathlib's own, and nothing else is imported for it. A URL is a `Remote`, which has those of pathlib's methods
that results need. Objects have no folders and are put whole, so nothing is made, synced or renamed there.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import io
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from gradsim.errors import UsageError

# Requests that are under way at once where many files are read.
REQUESTS = 16
# A footer of a shard's file has a few kilobytes.
_TAIL = 1 << 16
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
# As pathlib leaves a URL.
_CUT_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_PACKAGES = {"s3": "s3fs", "gcs": "gcsfs"}

T = TypeVar("T")
R = TypeVar("R")


class Unreachable(OSError):
    """A server, a bucket or rights are missing: what lies there is not known, which is not the same as nothing."""


class Remote:
    """A place by its URL, on what fsspec calls a file system.

    Raises Unreachable, with one line in `strerror`, and FileNotFoundError, as it is with paths.
    """

    def __init__(self, fs: Any, url: str):
        self.fs, self._url = fs, url.rstrip("/")

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        return f"Remote({self._url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and self._url == other._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __truediv__(self, name: str | os.PathLike[str]) -> Place:
        name = os.fspath(name)
        return place_of(name) if os.path.isabs(name) or _URL.match(name) else Remote(self.fs, f"{self._url}/{name}")

    @property
    def name(self) -> str:
        return self._url.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    @property
    def parent(self) -> Remote:
        return Remote(self.fs, self._url.rpartition("/")[0])

    def absolute(self) -> Remote:
        return self

    def mkdir(self, parents: bool = True, exist_ok: bool = True) -> None:
        """Nothing: a folder is there with its first object, and a bucket is not ours to make."""

    def iterdir(self) -> Iterator[Remote]:
        """What lies under it: nothing where there is no such folder."""
        try:
            with self._answering():
                found = [entry.rstrip("/") for entry in self.fs.ls(self._url, detail=False)]
        except FileNotFoundError:
            found = []
        itself = self.fs._strip_protocol(self._url)
        return (Remote(self.fs, f"{self._url}/{e.rpartition('/')[2]}") for e in sorted(found) if e != itself)

    def glob(self, pattern: str) -> Iterator[Remote]:
        """Files of a pattern, in this folder itself."""
        return (place for place in self.iterdir() if place.match(pattern))

    def match(self, pattern: str) -> bool:
        return fnmatch.fnmatchcase(self.name, pattern)

    def is_dir(self) -> bool:
        return next(self.iterdir(), None) is not None

    def exists(self) -> bool:
        # Listed, for an answer to HEAD has no room for the reason of a refusal.
        return self in self.parent.iterdir()

    is_file = exists

    def read_bytes(self) -> bytes:
        with self._answering():
            return self.fs.cat_file(self._url)

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "rb") -> BinaryIO:
        """Its content, for reading."""
        return io.BytesIO(self.read_bytes())

    def tail(self) -> bytes:
        """Its last kilobytes, or all of it."""
        try:
            with self._answering():
                return self.fs.cat_file(self._url, start=-_TAIL)
        except Unreachable:  # perhaps because it is empty, which has no last bytes
            return self.read_bytes()

    def write_bytes(self, content: bytes, new: bool = False) -> None:
        """Put it whole. new: FileExistsError where there is one, as far as the server can tell."""
        try:
            with self._answering():
                self.fs.pipe_file(self._url, content, **({"mode": "create"} if new else {}))
        except FileNotFoundError:  # objects need no folder
            raise Unreachable(errno.EIO, "the bucket does not exist", self._url) from None

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        self.write_bytes(text.encode(encoding))

    def unlink(self, missing_ok: bool = False) -> None:
        with contextlib.suppress(*[FileNotFoundError] * missing_ok), self._answering():
            self.fs.rm_file(self._url)

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Errors as Unreachable, whatever their kind, but for those that say that there is, or is not, such a file."""
        try:
            yield
        except FileExistsError:
            raise
        except Exception as error:
            why = " ".join(str(error).split()) or type(error).__name__
            if isinstance(error, FileNotFoundError) and "bucket does not exist" not in why:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._url) from None
            raise Unreachable(errno.EIO, why[:300], self._url) from error


Place = Path | Remote


def place_of(path: str | os.PathLike[str] | Remote) -> Place:
    """Where a path, or the URL of a directory, leads. Raises UsageError for a URL that nothing here can read."""
    if isinstance(path, Remote):
        return path
    match = _URL.match(path) if isinstance(path, str) else None
    if match is None:
        local = Path(path)
        if not isinstance(path, str) and _CUT_URL.match(str(local)):
            raise UsageError(f"{local}: give a URL as text; as a path it loses a slash")
        return local
    if not path[match.end() :].strip("/"):
        raise UsageError(f"{path}: names no directory; give a path, s3://BUCKET/DIR or gs://BUCKET/DIR")
    return Path(path[match.end() :]) if match[1] == "file" else Remote(_file_system(path, match[1]), path)


def _file_system(url: str, protocol: str) -> Any:
    extra = _EXTRAS.get(protocol)
    try:
        from fsspec.core import url_to_fs

        # What other machines write must be seen. Files are read at once, many files at a time.
        options = {"use_listings_cache": False} | ({"max_concurrency": 1} if extra == "s3" else {})
        return url_to_fs(url, **options)[0]
    except ImportError as error:
        what = f"the package {_PACKAGES[extra]}; pip install gradsim[{extra}]" if extra else f"a package: {error}"
        raise UsageError(f"{url}: needs {what}") from None
    except Exception as error:  # an unknown protocol, or settings that the server's package does not take
        why = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{url}: {why}; give a path, s3://BUCKET/DIR or gs://BUCKET/DIR") from None


def readable(place: Place) -> Path | BinaryIO:
    """What pyarrow reads a file from."""
    return place if isinstance(place, Path) else place.open()


def each(function: Callable[[T], R], items: Iterable[T], folder: Place) -> Iterator[R]:
    """`map` over what lies in a folder; of several at once where a server's answers are waited for."""
    if isinstance(folder, Path):
        yield from map(function, items)
    else:
        with ThreadPoolExecutor(REQUESTS, thread_name_prefix="gradsim-requests") as pool:
            yield from pool.map(function, items)


def write_whole(target: Place, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file that is whole and durable, or not there at all, or as it was; fill: writes its content."""
    if isinstance(target, Remote):
        sink = io.BytesIO()
        fill(sink)
        target.write_bytes(sink.getvalue())
        return
    # Two machines may write the same shard, where one was taken for dead.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(temporary, "wb") as sink:
            fill(sink)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where folders can be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)

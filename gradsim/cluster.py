"""A campaign on many machines: its shards as tasks of Dask.

The process that calls `Campaign.run` plans, holds the directory's lock and looks after its files; workers are told
which shards to train, and write them themselves. What they must know of the campaign stands in a hidden file in the
results directory: a worker that reads it has the settings, and has the directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import importlib
import json
import logging
import math
import platform
import secrets
import signal
import sys
import threading
import time
import tomllib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from gradsim import runner, tomlfile
from gradsim.activations.registry import taken_by
from gradsim.campaign import Campaign
from gradsim.directory import stored_fields
from gradsim.errors import GradsimError, UsageError, short
from gradsim.fields import table_of
from gradsim.jit import package_digest
from gradsim.places import Place, place_of
from gradsim.plan import Plan, Shard
from gradsim.versions import package_version

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

LOCAL = "local"
# A task costs the scheduler and this process about two milliseconds. Shards of less work than TASK_SECONDS go together,
# and where there are many threads those of less than TASK_SECONDS_PER_THREAD times their number.
TASK_SECONDS, TASK_SECONDS_PER_THREAD = 0.25, 0.004
# Tasks that are with the scheduler at once: enough for workers to have the next at hand, and for a cluster that grows
# with its load to see some; few enough that a campaign of any size costs the scheduler little memory.
TASKS_PER_THREAD, LEAST_TASKS = 4, 64
CONNECT_SECONDS = 8
_LOOK_SECONDS, _COUNT_SECONDS, _STOP_SECONDS = 0.05, 2.0, 2.0
_KEPT_CAMPAIGNS = 2

T = TypeVar("T")
R = TypeVar("R")


# --- clients --------------------------------------------------------------------------------------


def _distributed():
    """The package, which only an extra brings."""
    try:
        import distributed
    except ImportError as error:
        raise GradsimError(f"Dask is not installed ({error}); pip install gradsim[dask] brings it") from None
    return distributed


@contextlib.contextmanager
def connected(address: str, threads: int | None = None) -> Iterator[Client]:
    """A client of the scheduler at an address, or, for "local", of one process a thread on this machine.

    Raises UsageError for threads with an address, GradsimError where nothing answers there.
    """
    distributed = _distributed()
    if address == LOCAL:
        with _processes(runner.threads_of(threads)) as here, distributed.Client(here, set_as_default=False) as client:
            yield client
        return
    if threads is not None:
        raise UsageError(f"threads = {threads}: with --dask {address} the workers decide; leave it out")
    try:
        asyncio.run(_knock(address))
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # also whatever reading another program's answer brings about
        why = short(str(error) or type(error).__name__, 200).strip("'\"")
        raise GradsimError(f'--dask {address}: no Dask scheduler there; give HOST:PORT, or "local": {why}') from None
    with client:
        yield client


async def _knock(address: str) -> None:
    """Raise what a client would where no Dask answers, but without one, which would take long to go."""
    comm = await _distributed().comm.connect(address, timeout=CONNECT_SECONDS)
    await comm.close()


def _processes(count: int) -> LocalCluster:
    """Workers on this machine that a Ctrl-C does not reach: they are stopped by this process."""
    from multiprocessing import resource_tracker

    options = {"threads_per_worker": 1, "memory_limit": None, "dashboard_address": "127.0.0.1:0"}
    options["silence_logs"] = logging.CRITICAL
    if not hasattr(signal, "pthread_sigmask"):
        return _distributed().LocalCluster(n_workers=count, **options)
    # A process has the signal mask of the thread that starts it, a thread that of the one it comes from: here those of
    # the cluster. The tracker would lift the mask when it is first needed.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return _distributed().LocalCluster(n_workers=count, **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def threads_of(client: Client, threads: int | None = None) -> int:
    """All threads of a client's workers, of which there may be none yet. Raises UsageError for what is no client."""
    distributed = _distributed()
    if not isinstance(client, distributed.Client) or client.asynchronous or client.status != "running":
        raise UsageError(f"client = {short(client)}: must be a connected, synchronous distributed.Client")
    if threads is not None:
        raise UsageError(f"threads = {short(threads)}: with a client the workers decide; leave it out")
    return sum(client.nthreads().values())


# --- this end: what to do, and what became of it --------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Failed:
    """An error of a worker, as it is told across processes; fatal: no other shard will fare better."""

    kind: str
    message: str
    fatal: bool = False

    def error(self) -> Exception:
        """The error as an object; one of another kind under its name, whether it can be imported here or not."""
        return GradsimError(self.message) if self.fatal else type(self.kind, (Exception,), {})(self.message)


class Workers:
    """Trains shards of a campaign on the workers of a client; show: whether to say that it waits for them."""

    def __init__(self, campaign: Campaign, path: Place, client: Client, show: bool):
        self.campaign, self.path, self.client, self.show = campaign, path, client, show

    def train(self, todo: list[Shard]) -> Iterator[runner.Ended]:
        """Shards that have ended, as they do, and now and then none; see `Trainer.on_threads`."""
        if not todo:
            return
        if self.show and not threads_of(self.client):
            print("no Dask worker yet; waiting", file=sys.stderr, flush=True)
        plan = self.campaign.plan
        numbers = {shard.name: number for number, shard in enumerate(plan.shards)}
        tasks = _tasks(plan, todo, _thread_count(self.client))
        pieces = ([(numbers[shard.name], shard.mark) for shard in piece] for piece in tasks)
        token = secrets.token_hex(8)
        for old in self.path.glob(_told(self.path, "*").name):
            old.unlink(missing_ok=True)
        _told(self.path, token).write_text(json.dumps(_what_to_tell(self.campaign)), encoding="utf-8")
        try:
            work = functools.partial(_begin, str(self.path), token)
            with contextlib.closing(drain(self.client, work, pieces)) as done:
                for some in done:
                    yield [
                        (plan.shards[number], found.error() if isinstance(found, Failed) else found)
                        for piece, result in some
                        for (number, _), found in zip(piece, _each(piece, result), strict=True)
                    ]
        finally:
            _told(self.path, token).unlink(missing_ok=True)
            _everywhere(self.client, token)


def _begin(folder: str, token: str, wanted: list[tuple[int, str]]) -> object:
    from gradsim.cluster import train_shards

    return train_shards(folder, token, wanted)


# Sent as code, as what is defined in a script is, not by name: a worker without gradsim then answers with an
# ImportError; it cannot even read a task that names what it lacks, and Dask would send it again without end.
_begin.__module__ = "__main__"


def _tasks(plan: Plan, todo: Sequence[Shard], threads: Callable[[], int]) -> Iterator[list[Shard]]:
    """Shards by task: one, or several, so few that every thread still gets some tasks of what is left."""
    left = sum(map(plan.shard_seconds, todo))
    piece, seconds = [], 0.0
    for shard in todo:
        piece.append(shard)
        seconds += plan.shard_seconds(shard)
        count = max(1, threads())
        if seconds >= max(TASK_SECONDS, min(TASK_SECONDS_PER_THREAD * count, left / (TASKS_PER_THREAD * count))):
            yield piece
            left -= seconds
            piece, seconds = [], 0.0
    if piece:
        yield piece


def _thread_count(client: Client) -> Callable[[], int]:
    """How many threads the workers have, asked now and then."""
    asked = counted = -math.inf

    def count() -> int:
        nonlocal asked, counted
        if time.monotonic() - asked > _COUNT_SECONDS:
            asked, counted = time.monotonic(), sum(client.nthreads().values())
        return counted

    return count


def _each(piece: list, result: object) -> list:
    """What became of each shard of a task."""
    if not isinstance(result, BaseException):
        return result
    # Not of `train_shards`, which returns its errors: a worker that died, or one that cannot even begin.
    kind, why = type(result).__name__, " ".join(str(result).split())[:300]
    if kind == "KilledWorker":
        return [Failed(kind, why)] * len(piece)
    why = f"Dask: {kind}: {why}; workers need the same packages as this process"
    return [Failed("GradsimError", why, fatal=True)] * len(piece)


def drain(client: Client, work: Callable[[T], R], items: Iterator[T]) -> Iterator[list[tuple[T, R | BaseException]]]:
    """`work(item)` on the workers for each item; items with their results as they come, and now and then none.

    The scheduler holds few tasks at a time. Closing the generator cancels what is left. Raises GradsimError where the
    scheduler is lost.
    """
    pending: dict[Future, T] = {}
    prefix, number = f"gradsim-{secrets.token_hex(4)}", 0
    threads = _thread_count(client)
    try:
        while True:
            window = max(LEAST_TASKS, TASKS_PER_THREAD * threads())
            more = list(islice(items, max(0, window - len(pending))))
            if more:
                keys = [f"{prefix}-{number + i}" for i in range(len(more))]
                pending.update(zip(client.map(work, more, key=keys, pure=False), more, strict=True))
                number += len(more)
            if not pending:
                return
            done = [future for future in pending if future.done()]
            lost = [future for future in done if future.status not in ("finished", "error")]
            if lost or not _in_use(client):
                raise OSError("it has dropped its tasks")
            good = [future for future in done if future.status == "finished"]
            results = dict(zip(good, client.gather(good), strict=True)) if good else {}
            ended = [(pending.pop(f), results[f] if f in results else f.exception()) for f in done]
            del good, results
            yield ended
            if not done:
                time.sleep(_LOOK_SECONDS)
    except (OSError, CancelledError, asyncio.CancelledError) as error:  # timeouts, closed connections: OSErrors
        raise _lost(str(error) or type(error).__name__) from None
    except Exception:
        if _in_use(client):
            raise
        raise _lost("its client was closed") from None  # and then fails as it happens to
    finally:
        if pending:
            _within(_STOP_SECONDS, lambda: client.cancel(list(pending)))


def _lost(why: str) -> GradsimError:
    return GradsimError(f"Dask: the scheduler is lost ({why}); finished shards are kept, and running again goes on")


def _in_use(client: Client) -> bool:
    return client.status in ("running", "connecting")


def _everywhere(client: Client, token: str) -> None:
    """Workers stop what they still do for a campaign, and forget it."""
    _within(_STOP_SECONDS, lambda: client.run(forget, token, on_error="ignore"))


def _within(seconds: float, call: Callable[[], object]) -> None:
    """Call, but do not wait for a cluster that does not answer; nothing depends on its success."""

    def quietly() -> None:
        with contextlib.suppress(Exception):
            call()

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    thread.join(seconds)


# --- what workers are told ------------------------------------------------------------------------


def _told(path: Place, token: str) -> Place:
    return path / f".workers-{token}.json"


def _what_to_tell(campaign: Campaign) -> dict[str, object]:
    """Settings, and what they must find on the workers: sources, data, functions."""
    functions = {name: table_of("activation")[name].function for name in campaign.own_functions()}
    return {
        "campaign": tomlfile.dumps(stored_fields(campaign)),
        "digest": campaign.digest,
        "fingerprints": campaign.plan.fingerprints(),
        "functions": campaign.own_functions(),
        "modules": {name: f.__module__ for name, f in functions.items() if not hasattr(f, "formula")},
        "gradsim": _version(),
    }


def _version() -> list[str]:
    return [package_version("gradsim"), package_digest().hex()[:16]]


# --- the other end: a worker ----------------------------------------------------------------------

_trainers: OrderedDict[str, runner.Trainer] = OrderedDict()
_at_work: Counter[str] = Counter()
_lock = threading.Lock()


def train_shards(folder: str, token: str, wanted: list[tuple[int, str]]) -> list[dict[str, int] | Failed]:
    """Dask's task: train the shards of these numbers and marks, and write them; counts of outcomes, or errors."""
    with _at_work_on(token):
        return _trained(place_of(folder), token, wanted)


@contextlib.contextmanager
def _at_work_on(token: str) -> Iterator[None]:
    """Counts, for `forget`, the tasks of a campaign that are under way in this process."""
    with _lock:
        _at_work[token] += 1
    try:
        yield
    finally:
        with _lock:
            _at_work[token] -= 1
            if not _at_work[token]:
                del _at_work[token]


def _trained(path: Place, token: str, wanted: list[tuple[int, str]]) -> list[dict[str, int] | Failed]:
    out: list[dict[str, int] | Failed] = []
    for number, mark in wanted:
        try:
            trainer = _trainer(path, token)
            shard = trainer.plan.shards[number]
            if shard.mark != mark:
                raise GradsimError("plans other shards of this campaign; all machines need the same gradsim")
            out.append(trainer.one(shard))
        except GradsimError as error:
            out.append(Failed("GradsimError", f"worker on {platform.node()}: {error}", fatal=True))
        except KeyboardInterrupt:
            out.append(Failed("KeyboardInterrupt", "stopped"))
        except Exception as error:
            out.append(Failed(type(error).__name__, str(error)))
    return out


async def forget(token: str) -> None:
    """Stop a campaign on this worker; done when none of its shards is being trained or written here."""
    with _lock:
        trainer = _trainers.pop(token, None)
    if trainer is not None:
        trainer.stop[0] = 1
    while _at_work[token]:
        await asyncio.sleep(_LOOK_SECONDS)


def _trainer(path: Place, token: str) -> runner.Trainer:
    """What trains a campaign's shards in this process, made when its first shard comes."""
    with _lock:
        if token not in _trainers:
            _trainers[token] = _prepared(path, token)
            while len(_trainers) > _KEPT_CAMPAIGNS:
                _trainers.popitem(last=False)
        _trainers.move_to_end(token)
        return _trainers[token]


def _prepared(path: Place, token: str) -> runner.Trainer:
    from distributed import get_worker

    try:
        told = json.loads(_told(path, token).read_text(encoding="utf-8"))
    except OSError as error:
        raise GradsimError(
            f"{path} is not the directory that the campaign was started with ({error.strerror}); "
            "give one that all machines reach under this path"
        ) from None
    if told["gradsim"] != _version():
        here, there = (" ".join(version) for version in (_version(), told["gradsim"]))
        raise GradsimError(f"has gradsim {here}, the campaign was started with {there}; all machines need the same")
    for name, module in told["modules"].items():
        _import(name, module)
    campaign = Campaign(**tomlfile.with_absolute_paths(tomllib.loads(told["campaign"]), path))
    if campaign.own_functions() != told["functions"]:
        names = ", ".join(n for n, digest in told["functions"].items() if campaign.own_functions().get(n) != digest)
        raise GradsimError(f"activation {names} is another here; all machines need the same modules")
    return runner.Trainer(campaign, path, told["digest"], told["fingerprints"], get_worker().state.nthreads)


def _import(name: str, module: str) -> None:
    """Import what enters a user's activation in the table."""
    why = f"{module} does not define it here"
    try:
        importlib.import_module(module)
    except Exception as error:  # whatever a user's module raises
        why = f"{type(error).__name__}: {error}"
    if taken_by(name) is None:
        raise GradsimError(
            f"activation {name!r}, of the module {module}, cannot be imported: {why}; "
            "define it in a module of its own that all workers can import"
        )

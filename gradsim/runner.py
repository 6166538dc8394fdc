"""Running a campaign: shards on threads, progress, safe files, resuming.

A shard is trained by one kernel call that holds no lock, so threads scale; its files are in place before it counts.
Ctrl-C stops the kernels within a step, keeps every finished shard, and the same command resumes.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import numpy as np

from gradsim import directory, shard_files, storage
from gradsim.campaign import Campaign
from gradsim.cohort import Cohort, cohort_of
from gradsim.errors import GradsimError, UsageError, short
from gradsim.places import Place, each
from gradsim.plan import Plan, Shard
from gradsim.progress import Progress
from gradsim.results import Results
from gradsim.shard import networks_of, outcome_of

if TYPE_CHECKING:
    from distributed import Client

MAX_THREADS = 1024
# Of one or some shards that ended: how many runs had which outcome, or what went wrong.
Ended = list[tuple[Shard, dict[str, int] | BaseException]]


def run(
    campaign: Campaign,
    path: Place,
    *,
    threads: int | None = None,
    client: Client | None = None,
    progress: bool = True,
) -> Results:
    """Run what is missing in `path`, and give its results; see `Campaign.run`."""
    if client is None:
        threads = threads_of(threads)
    else:
        from gradsim import cluster

        threads = cluster.threads_of(client, threads)
    campaign.plan.check_data()
    with directory.opened(campaign, path, progress) as check:
        if client is None:
            train = Trainer(campaign, path, campaign.digest, campaign.plan.fingerprints(), threads).on_threads
        else:
            train = cluster.Workers(campaign, path.absolute(), client, progress).train
        _run(campaign, path, threads, progress, train, check)
    return Results(path)


def threads_of(threads: int | None) -> int:
    """Worker threads: as given, or one a core. Raises UsageError."""
    if threads is None:
        return os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"threads = {short(threads)}: must be a whole number from 1 to {MAX_THREADS}")
    return int(threads)


def _run(
    campaign: Campaign,
    path: Place,
    threads: int,
    show: bool,
    train: Callable[[list[Shard]], Iterator[Ended]],
    check: Callable[[], None],
) -> None:
    """Train and write every shard that is not complete; train: of shards, yields those that have ended; check: raises
    where the directory is another's."""
    started, plan = time.perf_counter(), campaign.plan
    complete = complete_shards(campaign, path, campaign.digest, shard_files.is_sound)
    shard_files.remove_others(path, complete)
    names = {shard.name for shard in complete}
    todo = [shard for shard in plan.shards if shard.name not in names]
    done = sum(len(shard) for shard in complete)
    failures: list[tuple[Shard, BaseException]] = []
    with Progress(plan.size, done, show) as progress, contextlib.closing(train(todo)) as ending:
        for ended in ending:
            for shard, result in ended:
                if isinstance(result, BaseException):
                    failures.append((shard, result))
                else:
                    progress.advance(len(shard), result)
            if any(isinstance(e, GradsimError) for _, e in failures):
                break  # the disk or the data: no other shard will fare better
            progress.tick()
            check()
    if failures:
        _raise(failures, plan, path)
    if todo:
        directory.write_info(campaign, path, time.perf_counter() - started, threads)


class Trainer:
    """Trains the shards of a campaign and writes them, on any number of threads.

    fingerprints: of the data that the campaign was planned with; threads: how many will train at once.
    """

    def __init__(self, campaign: Campaign, path: Place, digest: str, fingerprints: Iterable[str], threads: int):
        self.campaign, self.plan, self.path, self.digest = campaign, campaign.plan, path, digest
        self.threads = threads
        self.stop = np.zeros(1, np.int64)
        self._fingerprints = set(fingerprints)
        self._cohorts: OrderedDict[int, Cohort] = OrderedDict()
        self._lock = threading.Lock()
        self._local = threading.local()

    def cohort(self, number: int) -> Cohort:
        """A cohort, made when its first shard starts; a few are kept, for shards come cohort by cohort."""
        with self._lock:
            if number not in self._cohorts:
                found = cohort_of(self.campaign, self.plan.cohort_cells[number])
                if found.data.fingerprint not in self._fingerprints:
                    raise GradsimError(f"{found.data.name}: the data have changed while the campaign was running")
                self._cohorts[number] = found
                while len(self._cohorts) > self.threads + 1:
                    self._cohorts.popitem(last=False)
            self._cohorts.move_to_end(number)
            return self._cohorts[number]

    def on_threads(self, todo: list[Shard]) -> Iterator[Ended]:
        """Train shards on threads of this process; those that have ended, as they do, and now and then none."""
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="gradsim")
        try:
            waiting = {pool.submit(self.one, shard): shard for shard in todo}
            while waiting:
                # Short waits, because a Ctrl-C is only seen between them.
                finished, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                yield [(waiting.pop(future), future.exception() or future.result()) for future in finished]
        finally:
            self.stop[0] = 1
            pool.shutdown(wait=True, cancel_futures=True)

    def one(self, shard: Shard) -> dict[str, int]:
        """Train one shard and write it; counts of outcomes."""
        started = time.perf_counter()
        cohort = self.cohort(shard.cohort)
        networks = networks_of(self.plan, cohort, shard.positions)
        records = cohort.task.records(len(networks.weights))
        if not cohort.task.run(networks, records, self._work(shard.cohort, cohort), self.stop):
            raise KeyboardInterrupt
        del networks
        result = outcome_of(cohort, records, len(shard))
        del records
        seconds = time.perf_counter() - started
        tables = storage.tables_of(self.campaign, self.plan, cohort, shard, result, seconds)
        shard_files.write_shard(self.path, shard, tables, self.digest)
        counts = tables["runs"]["outcome"].value_counts()
        return {c["values"].as_py(): c["counts"].as_py() for c in counts}

    def _work(self, number: int, cohort: Cohort):
        """This thread's scratch for a cohort; one at a time is kept."""
        if getattr(self._local, "number", None) != number:
            self._local.number, self._local.work = None, None
            self._local.work = cohort.task.workspace()
            self._local.number = number
        return self._local.work


def complete_shards(campaign: Campaign, path: Place, digest: str, is_complete: Callable[..., bool]) -> list[Shard]:
    """The shards of a campaign whose files are in place; is_complete: of `shard_files`, how closely to look."""
    plan, rows, found = campaign.plan, {}, []
    written = shard_files.written(path)
    for shard in plan.shards:
        if shard.name in written:
            cell = plan.cohort_cells[shard.cohort]
            shape = (cell.steps, len(cell.widths))
            if shape not in rows:
                rows[shape] = storage.expected_rows(campaign, cell)
            found.append((shard, rows[shape]))
    sound = each(lambda one: is_complete(path, *one, digest), found, path)
    return [shard for (shard, _), whole in zip(found, sound, strict=True) if whole]


def status(results: Results) -> dict[str, object]:
    """How much of a results directory is done: runs, shards, outcomes so far."""
    campaign = results.campaign
    done = complete_shards(campaign, results.path, results.info.get("digest") or campaign.digest, shard_files.is_there)
    return {
        "name": campaign.name,
        "path": str(results.path),
        "runs": campaign.plan.size,
        "runs_done": sum(len(s) for s in done),
        "shards": len(campaign.plan.shards),
        "shards_done": len(done),
        "outcomes": shard_files.outcome_counts(results.path, done),
    }


def _raise(failures: list[tuple[Shard, BaseException]], plan: Plan, path: Place) -> None:
    # The disk or the data before any other, then the first shard: the same line whichever thread was faster.
    shard, error = min(failures, key=lambda f: (not isinstance(f[1], GradsimError), f[0].name))
    if isinstance(error, GradsimError):
        raise error
    run_id = plan.run_ids(shard.positions[:1])[0]
    others = f" (and {len(failures) - 1} more shards)" if len(failures) > 1 else ""
    raise GradsimError(
        f"shard {shard.name}, which begins with run {run_id}, failed{others}: {type(error).__name__}: {error}; "
        f"the other shards are in {path}, and resuming tries again"
    ) from error

"""Running a campaign: shards on threads, progress, safe files, resuming.

A shard is trained by one kernel call that holds no lock, so threads scale; its files are in place before it counts.
Ctrl-C stops the kernels within a step, keeps every finished shard, and the same command resumes.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

from gradsim import directory, shard_files, storage
from gradsim.campaign import Campaign
from gradsim.cohort import Cohort, cohort_of
from gradsim.errors import GradsimError, UsageError, short
from gradsim.plan import Plan, Shard
from gradsim.progress import Progress
from gradsim.results import Results
from gradsim.shard import networks_of, outcome_of

MAX_THREADS = 1024


def run(campaign: Campaign, path: Path, *, threads: int | None = None, progress: bool = True) -> Results:
    """Run what is missing in `path`, and give its results; see `Campaign.run`."""
    threads = threads_of(threads)
    campaign.plan.check_data()
    with directory.opened(campaign, path):
        _Run(campaign, path, threads, progress).go()
    return Results(path)


def threads_of(threads: int | None) -> int:
    """Worker threads: as given, or one a core. Raises UsageError."""
    if threads is None:
        return os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"threads = {short(threads)}: must be a whole number from 1 to {MAX_THREADS}")
    return int(threads)


class _Run:
    """One call of `run`: what its threads share."""

    def __init__(self, campaign: Campaign, path: Path, threads: int, progress: bool):
        self.campaign, self.plan, self.path, self.threads = campaign, campaign.plan, path, threads
        self.digest = campaign.digest
        self.stop = np.zeros(1, np.int64)
        self.show = progress
        self._fingerprints = set(campaign.plan.fingerprints())
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

    def go(self) -> None:
        """Train and write every shard that is not complete."""
        started = time.perf_counter()
        complete = complete_shards(self.campaign, self.path, self.digest, shard_files.is_sound)
        shard_files.remove_others(self.path, complete)
        names = {shard.name for shard in complete}
        todo = [shard for shard in self.plan.shards if shard.name not in names]
        done = sum(len(shard.positions) for shard in complete)
        with Progress(self.plan.size, done, self.show) as progress:
            failures = self._train(todo, progress)
        if failures:
            _raise(failures, self.plan, self.path)
        if todo:
            directory.write_info(self.campaign, self.path, time.perf_counter() - started, self.threads)

    def _train(self, todo: list[Shard], progress: Progress) -> list[tuple[Shard, BaseException]]:
        """Train shards on threads; those that failed, with their errors."""
        failures: list[tuple[Shard, BaseException]] = []
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="gradsim")
        try:
            waiting = {pool.submit(self._one, shard): shard for shard in todo}
            while waiting:
                # Short waits, because a Ctrl-C is only seen between them.
                finished, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in finished:
                    shard = waiting.pop(future)
                    if future.exception() is None:
                        progress.advance(len(shard.positions), future.result())
                    else:
                        failures.append((shard, future.exception()))
                if any(isinstance(e, GradsimError) for _, e in failures):
                    break  # the disk or the data: no other shard will fare better
                progress.tick()
        finally:
            self.stop[0] = 1
            pool.shutdown(wait=True, cancel_futures=True)
        return failures

    def _one(self, shard: Shard) -> dict[str, int]:
        """Train one shard and write it; counts of outcomes."""
        started = time.perf_counter()
        cohort = self.cohort(shard.cohort)
        networks = networks_of(self.plan, cohort, shard.positions)
        records = cohort.task.records(len(networks.weights))
        if not cohort.task.run(networks, records, self._work(shard.cohort, cohort), self.stop):
            raise KeyboardInterrupt
        del networks
        result = outcome_of(cohort, records, len(shard.positions))
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


def complete_shards(campaign: Campaign, path: Path, digest: str, is_complete: Callable[..., bool]) -> list[Shard]:
    """The shards of a campaign whose files are in place; is_complete: of `shard_files`, how closely to look."""
    plan, rows = campaign.plan, {}
    out = []
    for shard in plan.shards:
        cell = plan.cohort_cells[shard.cohort]
        shape = (cell.steps, len(cell.widths))
        if shape not in rows:
            rows[shape] = storage.expected_rows(campaign, cohort_of(campaign, cell))
        if is_complete(path, shard, rows[shape], digest):
            out.append(shard)
    return out


def status(results: Results) -> dict[str, object]:
    """How much of a results directory is done: runs, shards, outcomes so far."""
    campaign = results.campaign
    done = complete_shards(campaign, results.path, results.info.get("digest") or campaign.digest, shard_files.is_there)
    return {
        "name": campaign.name,
        "path": str(results.path),
        "runs": campaign.plan.size,
        "runs_done": sum(len(s.positions) for s in done),
        "shards": len(campaign.plan.shards),
        "shards_done": len(done),
        "outcomes": shard_files.outcome_counts(results.path, done),
    }


def _raise(failures: list[tuple[Shard, BaseException]], plan: Plan, path: Path) -> None:
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

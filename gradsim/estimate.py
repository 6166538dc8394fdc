"""What a campaign will cost on this machine: time, memory and disk, from about two seconds of its own work.

The cohorts that cost most are tried: a few steps of their first groups on all threads at once, and the rows and files
of a shard. Other cohorts are taken to be as much slower or faster than their nominal cost as those were.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from gradsim import shard_files, storage
from gradsim.campaign import Campaign
from gradsim.cohort import Cohort, cohort_of
from gradsim.engine.probe import STATISTICS
from gradsim.engine.sharpness import measure_sharpness
from gradsim.engine.train import Networks, Records
from gradsim.lanes import LANES
from gradsim.plan import Shard
from gradsim.results import LOOKED_AT
from gradsim.runner import threads_of
from gradsim.shard import networks_of, outcome_of

# How many cohorts are tried, and for how long in all; the least time that is told from the clock's noise.
TRIED, SECONDS, LEAST = 6, 2.0, 0.04
LOOKS = 3  # checkpoints whose cost is told from that of steps
# Groups that are timed, and stretches of neighbors that runs are taken from. Runs whose rows are timed and measured. A
# shard's arrays beside what is made of them: copies by run, tables, files.
FEW, STRETCHES, ROWS, COPIES = 4, 4, 4096, 3.0
# What is looked at when a campaign ends: bytes of a run's row and what is made of it, and of a table by its file's.
RUN_BYTES, UNPACKED = 650, 2.0


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What a campaign will cost.

    Attributes:
        runs, cohorts, shards: how many.
        networks: their shapes, in short.
        flops: floating-point operations of all steps.
        threads: that the time is for.
        seconds: of `Campaign.run`, without compiling and without a report.
        memory_bytes: that the process will hold at most.
        disk_bytes: of the results.
    """

    runs: int
    cohorts: int
    shards: int
    networks: str
    flops: float
    threads: int
    seconds: float
    memory_bytes: int
    disk_bytes: int


@dataclasses.dataclass(frozen=True)
class _Trial:
    """Of a cohort: seconds of a group on a thread; seconds and bytes of a run's rows; bytes of a shard beside them."""

    group_seconds: float
    row_seconds: float
    row_bytes: float
    shard_bytes: float


def estimate(campaign: Campaign, threads: int | None = None) -> Estimate:
    """What running the campaign will cost on this machine. Raises UsageError where its data do not fit."""
    plan, threads = campaign.plan, threads_of(threads)
    at_once = min(threads, os.cpu_count() or 1)
    plan.check_data()
    shards: dict[int, list[Shard]] = {}
    for shard in plan.shards:
        shards.setdefault(shard.cohort, []).append(shard)
    runs = {number: sum(len(s) for s in mine) for number, mine in shards.items()}
    groups = {number: sum(map(plan.groups, mine)) for number, mine in shards.items()}
    nominal = {number: plan.costs[number].group_seconds for number in shards}
    costly = sorted(shards, key=lambda number: -groups[number] * nominal[number])[:TRIED]
    trials = {n: _Trying(campaign, n, shards[n], threads, SECONDS / len(costly)).trial() for n in costly}

    slower = statistics.median(trial.group_seconds / nominal[n] for n, trial in trials.items())
    names = [field.name for field in dataclasses.fields(_Trial)]
    others = _Trial(*(statistics.median(getattr(trial, name) for trial in trials.values()) for name in names))
    seconds = disk = 0.0
    for number in shards:
        trial = trials.get(number, others)
        group_seconds = trial.group_seconds if number in trials else slower * nominal[number]
        seconds += (groups[number] * group_seconds + runs[number] * trial.row_seconds) / at_once
        disk += runs[number] * trial.row_bytes + len(shards[number]) * trial.shard_bytes
    largest = max(plan.costs[n].group_bytes * plan.groups(shards[n][0]) for n in shards)
    return Estimate(
        runs=plan.size,
        cohorts=len(shards),
        shards=len(plan.shards),
        networks=plan.describe_networks(),
        flops=sum(plan.costs[n].run_flops * count for n, count in runs.items()),
        threads=threads,
        seconds=seconds,
        memory_bytes=int(_resident() + max(threads * COPIES * largest, _looked_at(plan.size, disk))),
        disk_bytes=int(disk),
    )


def _looked_at(runs: int, disk: float) -> float:
    """Bytes of the tables that are looked at when a campaign ends, and of what is made of them."""
    share = min(1.0, LOOKED_AT / runs)
    return share * (runs * RUN_BYTES + disk * UNPACKED)


def _resident() -> int:
    """Bytes that the process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # no such file outside Linux
        return 200_000_000


# --- one cohort -----------------------------------------------------------------------------------


def _stretches(shards: Sequence[Shard], count: int) -> np.ndarray:
    """Positions from all over a cohort's runs, at most `count`, in stretches of neighbors: these are alike, and files
    of them small, but far ones are not."""
    everyone = shards[-1].stop
    length = max(1, min(count, everyone) // STRETCHES)
    starts = np.linspace(0, everyone - length, min(STRETCHES, everyone)).astype(np.int64)
    return shards[0].positions_of(np.unique(starts[:, None] + np.arange(length)))[:count]


class _Trying:
    """A cohort tried for about so many seconds."""

    def __init__(self, campaign: Campaign, number: int, shards: Sequence[Shard], threads: int, seconds: float):
        self.campaign, self.shards, self.threads, self.seconds = campaign, shards, threads, seconds
        self.cohort = cohort_of(campaign, campaign.plan.cohort_cells[number])
        self.lanes = LANES[self.cohort.task.dtype]
        self.cost = campaign.plan.costs[number]
        self.groups = FEW if self.cost.group_seconds < SECONDS / 10 else 1

    def trial(self) -> _Trial:
        positions = _stretches(self.shards, self.groups * self.lanes)
        started = time.process_time()
        few = networks_of(self.campaign.plan, self.cohort, positions)
        drawn = (time.process_time() - started) / len(positions)
        group_seconds = self._group_seconds(few)
        # Initializers that work on whole matrices take their time, and so do long runs.
        most = int(self.seconds / max(drawn, 1e-6))
        count = max(len(positions), min(ROWS, most, len(self.shards[0])))
        many = _stretches(self.shards, count)
        records = self._records(many, int(self.seconds / 2 / group_seconds))
        # Plans count in groups of the most lanes, whatever the machine.
        group_seconds *= self.cost.lanes / self.lanes
        return _Trial(group_seconds, *_rows(self.campaign, self.cohort, records, many))

    def _group_seconds(self, few: Networks) -> float:
        """Processor seconds of training a group on a thread, with every thread at work: what begins and ends it once,
        steps, and checkpoints between."""
        most, groups = len(self.cohort.task.batches), len(few.weights)
        short = min(most, LOOKS + 1)
        kinds = [self._beginnings(few, short, False)]
        self._timed(few, kinds[0])  # compiles, or loads what was compiled
        least = self._timed(few, kinds[0])
        if most <= LOOKS:
            return least / groups
        steps = short
        while steps < most:  # until steps take most of the time
            steps = min(most, 3 * steps)
            longer = self._beginnings(few, steps, False)
            if self._timed(few, longer) > max(2.5 * least, LEAST):
                break
        kinds += [self._beginnings(few, short, True)] + ([longer] if steps > short else [])
        times: list[list[float]] = [[] for _ in kinds]
        started = time.perf_counter()
        while len(times[0]) < 2 or time.perf_counter() - started < self.seconds / 2:
            for kind, found in zip(kinds, times, strict=True):
                found.append(self._timed(few, kind))
        brief, looked, *long = (statistics.median(found) / groups for found in times)
        look = max(looked - brief, 0.0) / LOOKS
        step = max(long[0] - brief, 0.0) / (steps - short) if long else 0.0
        checks = len(self.cohort.task.checkpoints)
        return brief + (most - short) * step + max(checks - 2, 0) * look + checks * _sharpening(self.cohort, few)

    def _beginnings(self, networks: Networks, steps: int, dense: bool) -> list[tuple]:
        """What each thread runs, made once: memory that is new costs as much as training does."""
        return [_beginning(self.cohort, networks, steps, dense) for _ in range(self.threads)]

    def _timed(self, networks: Networks, beginnings: list[tuple]) -> float:
        """Processor seconds of some groups' first steps with every thread at work. Not of the clock, so that a machine
        that is busy now is not taken for a slow one."""

        def run(own: tuple) -> float:
            own[1].weights[...] = networks.weights
            started = time.thread_time()
            own[0].run(*own[1:])
            return time.thread_time() - started

        with ThreadPoolExecutor(self.threads) as pool:
            return statistics.median(pool.map(run, beginnings))

    def _records(self, positions: np.ndarray, affordable: int) -> Records:
        """What runs leave that were trained to their end, as many groups of them as are affordable; where that is none,
        the first steps of a few."""
        task, plan = self.cohort.task, self.campaign.plan
        if not affordable and len(task.batches) > LOOKS:
            few = positions[: FEW * self.lanes]
            task, *own = _beginning(self.cohort, networks_of(plan, self.cohort, few), LOOKS + 1, True)
            task.run(*own)
            return own[1]
        every = -(-len(positions) // (max(affordable, 1) * self.lanes))
        networks = networks_of(plan, self.cohort, positions[::every])
        records = task.records(len(networks.weights))
        task.run(networks, records, task.workspace(), np.zeros(1, np.int64))
        return records


def _sharpening(cohort: Cohort, networks: Networks) -> float:
    """Processor seconds of measuring the sharpness of a group once; 0 where it is not wanted."""
    if not cohort.task.sharpness:
        return 0.0
    started = time.thread_time()
    snapshots = networks.weights[:, None]
    out = np.empty((len(snapshots), 1, LANES[cohort.task.dtype]))
    measure_sharpness(cohort.task, networks, snapshots, np.zeros(1, np.int64), out)
    return (time.thread_time() - started) / len(snapshots)


def _beginning(cohort: Cohort, networks: Networks, steps: int, dense: bool) -> tuple:
    """The task of the first steps, and what it runs with: networks of their own, records, scratch, nothing to stop."""
    checkpoints = np.unique([*range(LOOKS + 1 if dense else 1), steps])
    batches = cohort.task.batches[:steps]
    task = dataclasses.replace(cohort.task, batches=batches, checkpoints=checkpoints, sharpness=False)
    factors = np.ascontiguousarray(networks.factors[:, : steps * LANES[task.dtype]])
    own = networks._replace(weights=networks.weights.copy(), factors=factors)
    return task, own, task.records(len(own.weights)), task.workspace(), np.zeros(1, np.int64)


# --- rows and files -------------------------------------------------------------------------------


def _rows(campaign: Campaign, cohort: Cohort, records: Records, positions: np.ndarray) -> tuple[float, float, float]:
    """Seconds of a run beside its training, bytes of a run, and of a shard's files beside those."""
    n = len(positions)
    _, least = _written(campaign, cohort, records, positions[:1])  # what is done first is slow, and not timed
    seconds, whole = _written(campaign, cohort, records, positions)
    each = (whole - least) / (n - 1) if n > 1 else 0.0
    return seconds / n, each, least - each


def _written(campaign: Campaign, cohort: Cohort, beginning: Records, positions: np.ndarray) -> tuple[float, int]:
    """Processor seconds of preparing, judging and writing some runs, and bytes of their files."""
    some = Shard(0, 0, 0, len(positions), 1, positions)
    started = time.process_time()
    groups = len(networks_of(campaign.plan, cohort, positions).weights)
    seconds = time.process_time() - started
    records = cohort.task.records(groups)
    for whole, part in zip(records[:4], beginning[:4], strict=True):
        if len(whole):
            _continue(whole, part)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        result = outcome_of(cohort, records, len(positions))
        tables = storage.tables_of(campaign, campaign.plan, cohort, some, result, 1.0)
        size = shard_files.write_shard(Path(folder), some, tables, campaign.digest)
        return seconds + time.process_time() - started, size


def _continue(whole: np.ndarray, part: np.ndarray) -> None:
    """Fill records [groups, moments, ...] with those of fewer groups and moments, over and over, a little different
    each time where they are hardly ever the same: files would hold the same numbers once."""
    times, groups = np.arange(whole.shape[1]) % part.shape[1], np.arange(len(whole)) * len(part) // len(whole)
    whole[...] = part[groups][:, times]
    if whole.shape == part.shape:
        return
    random = np.random.default_rng(0)
    # Of statistics each field by itself.
    fields = len(STATISTICS) if whole.ndim == 4 else 1
    split, known = (a.reshape(*a.shape[:-1], fields, -1) for a in (whole, part))
    for moment in range(part.shape[1]):
        for k in range(fields):
            seen = known[:, moment, ..., k, :]
            if len(np.unique(seen)) > seen.size / 2:
                mine = split[:, moment :: part.shape[1], ..., k, :]
                mine *= random.uniform(0.99, 1.01, mine.shape)

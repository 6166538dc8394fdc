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
from gradsim.runner import threads_of
from gradsim.shard import networks_of, outcome_of

# How many cohorts are tried, and for how long in all; the least time that is told from the clock's noise.
TRIED, SECONDS, LEAST = 6, 2.0, 0.04
LOOKS = 3  # checkpoints whose cost is told from that of steps
# Runs whose rows are timed, and groups whose files are measured. A shard's arrays beside what is made of them: copies
# by run, tables, files.
ROWS, FEW, COPIES = 2048, 4, 3.0


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
    runs = {number: sum(len(s.positions) for s in mine) for number, mine in shards.items()}
    groups = {
        number: sum(-(-len(s.positions) // plan.costs[number].lanes) for s in mine) for number, mine in shards.items()
    }
    nominal = {number: plan.costs[number].group_seconds for number in shards}
    costly = sorted(shards, key=lambda number: -groups[number] * nominal[number])[:TRIED]
    trials = {n: _try(campaign, cohort_of(campaign, plan.cohort_cells[n]), shards[n], threads) for n in costly}

    slower = statistics.median(trial.group_seconds / nominal[n] for n, trial in trials.items())
    names = [field.name for field in dataclasses.fields(_Trial)]
    others = _Trial(*(statistics.median(getattr(trial, name) for trial in trials.values()) for name in names))
    seconds = disk = 0.0
    for number in shards:
        trial = trials.get(number, others)
        group_seconds = trial.group_seconds if number in trials else slower * nominal[number]
        seconds += (groups[number] * group_seconds + runs[number] * trial.row_seconds) / at_once
        disk += runs[number] * trial.row_bytes + len(shards[number]) * trial.shard_bytes
    largest = max(plan.costs[n].group_bytes * -(-len(shards[n][0].positions) // plan.costs[n].lanes) for n in shards)
    return Estimate(
        runs=plan.size,
        cohorts=len(shards),
        shards=len(plan.shards),
        networks=plan.describe_networks(),
        flops=sum(plan.costs[n].run_flops * count for n, count in runs.items()),
        threads=threads,
        seconds=seconds,
        memory_bytes=int(_resident() + threads * COPIES * largest),
        disk_bytes=int(disk),
    )


def _resident() -> int:
    """Bytes that the process holds now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except (OSError, ValueError, IndexError):  # no such file outside Linux
        return 200_000_000


# --- one cohort -----------------------------------------------------------------------------------


def _spread(shards: Sequence[Shard], count: int) -> np.ndarray:
    """Positions from all over a cohort's runs, at most `count`: neighbors are alike."""
    everyone = np.concatenate([shard.positions for shard in shards])
    return everyone[np.linspace(0, len(everyone) - 1, min(count, len(everyone))).astype(np.int64)]


def _try(campaign: Campaign, cohort: Cohort, shards: Sequence[Shard], threads: int) -> _Trial:
    task = cohort.task
    few = networks_of(campaign.plan, cohort, _spread(shards, LANES[task.dtype]))
    most = len(task.batches)
    if most <= LOOKS:
        return _Trial(_timed(cohort, few, most, False, threads), *_rows(campaign, cohort, shards))
    steps = LOOKS + 1
    _timed(cohort, few, steps, False, threads)  # compiles, or loads what was compiled
    while True:
        seconds = _timed(cohort, few, steps, False, threads)
        if steps == most or seconds > LEAST:
            break
        steps = min(most, max(2 * steps, round(steps * LEAST / seconds)))
    share = SECONDS / TRIED
    times = [[seconds], [_timed(cohort, few, steps, True, threads)]]
    while sum(map(sum, times)) + times[0][-1] + times[1][-1] < share:
        for dense in (False, True):
            times[dense].append(_timed(cohort, few, steps, dense, threads))
    sparse, dense = (statistics.median(t) for t in times)
    look = max(dense - sparse, 0.0) / LOOKS
    step = max(sparse - 2 * look, 0.0) / steps
    rows = _rows(campaign, cohort, shards)
    return _Trial(most * step + len(task.checkpoints) * (look + _sharpening(cohort, few)), *rows)


def _sharpening(cohort: Cohort, networks: Networks) -> float:
    """Processor seconds of measuring the sharpness of a group once; 0 where it is not wanted."""
    if not cohort.task.sharpness:
        return 0.0
    started = time.thread_time()
    snapshots = networks.weights[:, None]
    out = np.empty((len(snapshots), 1, LANES[cohort.task.dtype]))
    measure_sharpness(cohort.task, networks, snapshots, np.zeros(1, np.int64), out)
    return (time.thread_time() - started) / len(snapshots)


def _timed(cohort: Cohort, networks: Networks, steps: int, dense: bool, threads: int) -> float:
    """Processor seconds of a group's first steps with every thread at work; recorded at both ends, or dense: at
    LOOKS more. Not of the clock, so that a machine that is busy now is not taken for a slow one."""

    def run(own: tuple) -> float:
        started = time.thread_time()
        own[0].run(*own[1:])
        return time.thread_time() - started

    with ThreadPoolExecutor(threads) as pool:
        return statistics.median(pool.map(run, [_beginning(cohort, networks, steps, dense) for _ in range(threads)]))


def _beginning(cohort: Cohort, networks: Networks, steps: int, dense: bool) -> tuple:
    """The task of the first steps, and what it runs with: networks of their own, records, scratch, nothing to stop."""
    checkpoints = np.unique([*range(LOOKS + 1 if dense else 1), steps])
    batches = cohort.task.batches[:steps]
    task = dataclasses.replace(cohort.task, batches=batches, checkpoints=checkpoints, sharpness=False)
    factors = np.ascontiguousarray(networks.factors[:, : steps * LANES[task.dtype]])
    own = networks._replace(weights=networks.weights.copy(), factors=factors)
    return task, own, task.records(len(own.weights)), task.workspace(), np.zeros(1, np.int64)


# --- rows and files -------------------------------------------------------------------------------


def _rows(campaign: Campaign, cohort: Cohort, shards: Sequence[Shard]) -> tuple[float, float, float]:
    """Seconds of a run beside its training, bytes of a run, and of a shard's files beside those.

    The records are those of a few groups' first steps, over and over.
    """
    few = _spread(shards, FEW * LANES[cohort.task.dtype])
    steps = min(len(cohort.task.batches), LOOKS + 1)
    started = time.process_time()
    networks = networks_of(campaign.plan, cohort, few)
    drawn = (time.process_time() - started) / len(few)
    task, *own = _beginning(cohort, networks, steps, steps > LOOKS)
    task.run(*own)
    # Initializers that work on whole matrices take their time.
    affordable = max(len(few), int(SECONDS / TRIED / max(drawn, 1e-6)))
    many = _spread(shards, min(ROWS, affordable, len(shards[0].positions)))
    seconds, _ = _written(campaign, cohort, own[1], many)
    sizes = [_written(campaign, cohort, own[1], few[::n])[1] for n in (1, 2)]
    each = (sizes[0] - sizes[1]) / max(len(few) // 2, 1)
    return seconds / len(many), each, max(sizes[0] - each * len(few), 0)


def _written(campaign: Campaign, cohort: Cohort, beginning: Records, positions: np.ndarray) -> tuple[float, int]:
    """Processor seconds of preparing, judging and writing some runs, and bytes of their files."""
    some = Shard(0, 0, positions)
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
    """Fill records [groups, moments, ...] with those of a few groups and moments, over and over, a little different
    each time where they are hardly ever the same: files would hold the same numbers once."""
    times, groups = np.arange(whole.shape[1]) % part.shape[1], np.arange(len(whole)) % len(part)
    whole[...] = part[groups][:, times]
    random = np.random.default_rng(0)
    # Of statistics each field by itself.
    fields = len(STATISTICS) if whole.ndim == 4 else 1
    split, known = (a.reshape(*a.shape[:-1], fields, -1) for a in (whole, part))
    for k in range(fields):
        if len(np.unique(known[..., k, :])) > known[..., k, :].size / 2:
            mine = split[..., k, :]
            mine *= random.uniform(0.99, 1.01, mine.shape)

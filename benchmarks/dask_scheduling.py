"""What Dask costs: two worker processes beside two threads, and a cluster of many threads that only sleep.

    python benchmarks/dask_scheduling.py [--shards 16] [--tasks 20000] [--threads 200] [--seconds 2]

The first part runs one campaign, of shards that take about two seconds each, on two threads and on two worker processes
in turn, kernels compiled and workers warm. The second part sends tasks through the same loop as a campaign's, to the
real scheduler; its workers sleep instead of training, so that what the run takes beyond tasks x seconds / threads is
the cost of scheduling.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gradsim import Campaign, cluster  # noqa: E402

REPEATS = 5
STEPS = 4_500  # of a network: about two seconds for a group
PROCESSES = 4  # that share the sleeping threads


def campaign(shards: int) -> Campaign:
    """64-[32]x5-10 on digits, so many steps that a shard is one group."""
    settings = {"dataset": "digits", "depth": 5, "width": 32, "batch_size": 64, "steps": STEPS, "store": "curves"}
    one = Campaign(**settings, grid={"seed": {"range": 1000}})
    return Campaign(**settings, grid={"seed": {"range": shards * len(one.plan.shards[0].positions)}})


def seconds_of(given: Campaign, **options: object) -> float:
    """Seconds of running a campaign in a fresh directory."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        given.run(Path(folder) / "out", progress=False, **options)
        return time.perf_counter() - started


def throughput(shards: int) -> None:
    """Print how much of two threads' throughput two processes have."""
    given, few = campaign(shards), campaign(4)
    with cluster.connected(cluster.LOCAL, 2) as client:
        seconds_of(few, threads=2)
        seconds_of(few, client=client)
        times = [(seconds_of(given, threads=2), seconds_of(given, client=client)) for _ in range(REPEATS)]
    count = len(given.plan.shards)
    for threads, processes in times:
        print(
            f"{count} shards of {2 * threads / count:.2f} s: two threads {threads:.2f} s, two worker processes "
            f"{processes:.2f} s; {threads / processes:.3f} of the throughput"
        )
    threads, processes = (min(column) for column in zip(*times, strict=True))
    print(f"least of {REPEATS}: {threads:.2f} s and {processes:.2f} s; {threads / processes:.3f} of the throughput")


class Sleep:
    """A task that takes its time and answers as one of a campaign does."""

    def __init__(self, seconds: float):
        self.seconds = seconds

    def __call__(self, wanted: list[tuple[int, str]]) -> list[dict[str, int]]:
        time.sleep(self.seconds)
        return [{"converged": 20_000, "learning": 10_000, "stalled": 2_768} for _ in wanted]


def items(tasks: int) -> Iterator[list[tuple[int, str]]]:
    """What a campaign's tasks are sent, one shard each."""
    return ([(k, f"c0000-s{k:06d} {k:016x}")] for k in range(tasks))


def scheduling(tasks: int, threads: int, seconds: float) -> None:
    """Print what the scheduler costs beside tasks that only sleep."""
    import distributed

    processes = min(PROCESSES, threads)
    options = {"memory_limit": None, "dashboard_address": "127.0.0.1:0"}
    with (
        distributed.LocalCluster(n_workers=processes, threads_per_worker=threads // processes, **options) as here,
        distributed.Client(here, set_as_default=False) as client,
    ):
        count = cluster.threads_of(client)
        for _ in cluster.drain(client, Sleep(0.0), items(count)):
            pass
        started, worked, done = time.perf_counter(), time.process_time(), 0
        for ended in cluster.drain(client, Sleep(seconds), items(tasks)):
            done += len(ended)
        took, worked = time.perf_counter() - started, time.process_time() - worked
    assert done == tasks
    ideal = tasks * seconds / count
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{tasks:,} tasks of {seconds:g} s on {count} threads: {took:.1f} s, ideally {ideal:.1f} s")
    print(
        f"overhead {took / ideal - 1:.1%}; scheduler and client: {1e3 * worked / tasks:.2f} ms a task, {memory:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", type=int, default=16, help="of the campaign; 0 leaves that part out")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    if given.shards:
        throughput(given.shards)
    if given.tasks:
        scheduling(given.tasks, given.threads, given.seconds)


if __name__ == "__main__":
    main()

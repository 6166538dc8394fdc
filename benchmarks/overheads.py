"""What gradsim costs beside training: start-up to the first finished shard, and the records of every layer.

    python benchmarks/overheads.py

Start-up runs the main job in a fresh process, with an empty and with a filled kernel cache, until its first shard is on
disk. Records are measured on one group of the main job's networks (64-[32]x5-10, 1,000 steps, batch 64): no records,
losses alone, and losses and layer statistics at the default checkpoints, in turn, least processor time of each.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 9


def first_shard(cache: str) -> float:
    """Seconds from the command to the first finished shard of the main job."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "gradsim", "run", str(ROOT / "reports" / "digits.toml"), "--no-report", "-q"]
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--out", f"{place}/out"],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not list(Path(place, "out", "runs").glob("c*.parquet")):
                if process.poll() is not None:
                    raise RuntimeError(f"the main job ended with {process.returncode} before its first shard")
                time.sleep(0.01)
            return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()


def records_cost(activation: str) -> dict[str, float]:
    """Least processor seconds of one group without records, with losses, and with layer statistics too."""
    from gradsim.campaign import Campaign
    from gradsim.cohort import cohort_of
    from gradsim.lanes import LANES
    from gradsim.shard import networks_of

    campaign = Campaign(
        dataset="digits", depth=5, width=32, batch_size=64, steps=1000, activation=activation,
        grid={"seed": range(LANES[np.dtype(np.float32)])},
    )  # fmt: skip
    cohort = cohort_of(campaign, campaign.plan.cells[0])
    networks = networks_of(campaign.plan, cohort, np.arange(campaign.runs))
    full = cohort.task
    none = dataclasses.replace(full, checkpoints=np.zeros(0, np.int64), statistics=False)
    tasks = {"none": none, "losses": dataclasses.replace(full, statistics=False), "losses and layers": full}
    least = dict.fromkeys(tasks, np.inf)
    for _ in range(REPEATS):
        for name, task in tasks.items():
            fresh, records, work = networks._replace(weights=networks.weights.copy()), task.records(1), task.workspace()
            start = time.thread_time()
            task.run(fresh, records, work, np.zeros(1, np.int64))
            least[name] = min(least[name], time.thread_time() - start)
    return least


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        print(f"first finished shard, empty kernel cache: {first_shard(cache):.1f} s")
        warm = sorted(first_shard(cache) for _ in range(5))
        print(
            f"first finished shard, filled kernel cache: {warm[2]:.2f} s (median of 5, {warm[0]:.2f} to {warm[-1]:.2f})"
        )
    for activation in ("relu", "tanh", "sigmoid"):
        cost = records_cost(activation)
        losses, layers = cost["losses"] / cost["none"] - 1, cost["losses and layers"] / cost["losses"] - 1
        print(f"{activation}: full training loss at checkpoints +{losses:.1%}, layer statistics another +{layers:.1%}")


if __name__ == "__main__":
    main()

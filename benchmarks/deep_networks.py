"""Which deep networks train at all: initial scales on the edge of chaos and beside it, each at its best learning rate.

    python benchmarks/deep_networks.py
    python benchmarks/deep_networks.py --task relu --fresh 16

Networks of 50 layers of 48 tanh units start at the critical sigma_w of theory, as `critical` draws it, and at 0.7, 1
and 1.5 times it with the same biases; networks of 30 layers of 48 ReLU units with He's and Glorot's weights. The best
of 13 learning rates is found for each start on eight seeds, and counted on fresh ones. The exit status is 1 where the
intervals of those that should train and of those that should not are not on either side of a half.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import gradsim as gs
from gradsim import theory
from gradsim.analysis import at_best_rate, wilson_interval

SIGMA_B, FACTORS = 0.3, (0.7, 1.0, 1.5)
RATES = [float(x) for x in np.geomspace(1e-4, 1, 13)]
SEEDS, FRESH = 8, 32


@dataclasses.dataclass(frozen=True)
class Start:
    """An initial scale: what the table calls it, the campaign's fields for it, and whether it should train."""

    title: str
    fields: dict[str, object]
    trains: bool


@dataclasses.dataclass(frozen=True)
class Task:
    """Networks that differ in nothing but how they start."""

    title: str
    fields: dict[str, object]
    starts: tuple[Start, ...]

    def run(self, start: Start, rates: list[float], seeds: range) -> pd.DataFrame:
        """The runs of one start."""
        grid = {"learning_rate": rates, "seed": seeds}
        with tempfile.TemporaryDirectory() as place:
            campaign = gs.Campaign(**self.fields, **start.fields, grid=grid)
            return campaign.run(Path(place) / "runs", progress=False).runs


IRIS = {"dataset": "iris", "batch_size": 32, "steps": 400, "width": 48, "optimizer": "sgd"}


def tasks() -> dict[str, Task]:
    """By the names that the command line knows."""
    critical = theory.critical_sigma_w("tanh", SIGMA_B)
    beside = {"bias_initializer": f"normal(std={SIGMA_B})"}
    scaled = [
        Start(
            f"{factor:g} x critical sigma_w = {factor * critical:.3f}",
            {"initializer": f"ntk(gain={factor * critical!r})"} | beside,
            factor == 1,
        )
        for factor in FACTORS
    ]
    names = {"he_normal": True, "kaiming_normal": True, "glorot_normal": False, "glorot_uniform": False}
    return {
        "tanh": Task(
            "50 x 48 tanh",
            IRIS | {"depth": 50, "activation": "tanh"},
            (Start("critical", {"initializer": f"critical(sigma_b={SIGMA_B})"}, True), *scaled),
        ),
        "relu": Task(
            "30 x 48 relu",
            IRIS | {"depth": 30, "activation": "relu"},
            tuple(Start(name, {"initializer": name}, trains) for name, trains in names.items()),
        ),
    }


def row(task: Task, start: Start, fresh: int) -> dict[str, object]:
    """A line of the table, and whether it is as it should be."""
    tried = at_best_rate(task.run(start, RATES, range(SEEDS)))
    rate, searched = float(tried["learning_rate"].iloc[0]), int(tried["outcome"].eq("converged").sum())
    runs = task.run(start, [rate], range(SEEDS, SEEDS + fresh))
    converged = int(runs["outcome"].eq("converged").sum())
    low, high = wilson_interval(converged, fresh)
    return {
        "networks": task.title,
        "start": start.title,
        "best rate": f"{rate:.3g}",
        "in search": f"{searched} of {SEEDS}",
        "converged": f"{converged} of {fresh}",
        "95% interval": f"{low:.0%} to {high:.0%}",
        "stalled": int(runs["outcome"].eq("stalled").sum()),
        "median loss": f"{runs['final_loss'].fillna(np.inf).median():.3g}",
        "as expected": "yes" if (low > 0.5 if start.trains else high < 0.5) else "NO",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=list(tasks()), help="one of them only")
    parser.add_argument("--fresh", type=int, default=FRESH, metavar="N", help="seeds to count on")
    given = parser.parse_args()
    begun = time.perf_counter()
    rows = []
    for name, task in tasks().items():
        if given.task in (None, name):
            rows += [row(task, start, given.fresh) for start in task.starts]
    print(pd.DataFrame(rows).to_string(index=False))
    print(f"{time.perf_counter() - begun:.0f} s")
    return int(any(line["as expected"] == "NO" for line in rows))


if __name__ == "__main__":
    sys.exit(main())

"""What a training step costs: processor time of one thread, which waits for nobody, in rounds over all activations."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
from standings import BASE

import gradsim as gs
from gradsim.analysis import bootstrap_interval
from gradsim.cohort import cohort_of
from gradsim.shard import networks_of


def step_times(names: Sequence[str], rounds: int = 5, steps: int = 100) -> pd.DataFrame:
    """activation, cost, cost_low, cost_high: time over ReLU's of the same round, the median of rounds and its interval.

    Sixteen networks at once, 13-[16]x3-3 on wine, as in a campaign, with what is recorded of them.
    """
    campaign = gs.Campaign(
        dataset="wine",
        depth=3,
        width=16,
        steps=steps,
        checkpoints=[],
        optimizer="momentum",
        initializer="normal(std=0.1)",
        learning_rate=0.0,  # nothing moves, so nobody blows up and stops early
        grid={"activation": [BASE, *(name for name in names if name != BASE)], "seed": range(16)},
    )
    plan = campaign.plan
    cohorts = [cohort_of(campaign, plan.cohort_cells[shard.cohort]) for shard in plan.shards]
    times = np.empty((rounds + 1, len(cohorts)))
    for k in range(rounds + 1):
        for j, (cohort, shard) in enumerate(zip(cohorts, plan.shards, strict=True)):
            networks = networks_of(plan, cohort, shard.positions)
            records, work = cohort.task.records(len(networks.weights)), cohort.task.workspace()
            begun = time.thread_time()
            cohort.task.run(networks, records, work, np.zeros(1, np.int64))
            times[k, j] = time.thread_time() - begun
    ratios = times[1:] / times[1:, :1]  # the first round loads kernels
    rows = [[np.median(x), *bootstrap_interval(x)] for x in ratios.T]
    frame = pd.DataFrame(rows, columns=["cost", "cost_low", "cost_high"])
    frame.insert(0, "activation", [cohort.cell.activation[0].name for cohort in cohorts])
    return frame

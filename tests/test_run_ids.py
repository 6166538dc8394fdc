"""Names of runs, made a column at a time, are those that each run has by itself."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gradsim import Campaign
from gradsim.resolve import identity, switched_off

SPIRALS = "spirals(samples=60)"
GRIDS = {
    "rates": {"learning_rate": [0.1, 0.2], "learning_rate.0": [0.1, 0.3], "seed": [0, 7]},
    "one layer's rate": {"learning_rate.1": [0.1, 0.25]},
    "switches": {
        "optimizer.weight_decay": [0, 0.1],
        "optimizer.clip_norm": [0.0, 2.0],
        "schedule.warmup": [0, 3],
        "seed": {"range": 2},
    },
    "labels": {"loss.label_smoothing": [0.0, 0.1], "learning_rate": [0.1, 1.0]},
    "cells": {"activation": ["relu", "tanh"], "width": [3, 5], "initializer.gain": [1.0, 2.0], "seed": [3, 1]},
    "schedules": {"schedule": ["constant", "cosine"], "schedule.warmup": [0, 2]},
    "zip": {"depth": [1, 2]},
}


def naive(campaign: Campaign, position: int) -> str:
    """Of all settings of the run alone, resolved."""
    parts = identity(campaign.plan.settings(position))
    kept = [f"{name}={parts[name]}" for name in sorted(parts.keys() - switched_off(parts))]
    text = ";".join([f"campaign_seed={campaign.campaign_seed}", *kept])
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@pytest.mark.parametrize("name", GRIDS)
def test_every_run_has_the_name_of_its_settings(name):
    zipped = [{"seed": [0, 1], "learning_rate": [0.1, 0.2]}] if name == "zip" else []
    campaign = Campaign(
        dataset=SPIRALS, depth=1, loss="softmax_cross_entropy", grid=GRIDS[name], zip=zipped, campaign_seed=5
    )
    positions = np.arange(campaign.runs)
    ids = campaign.plan.run_ids(positions)
    assert ids.tolist() == [naive(campaign, p) for p in positions]
    assert len(set(ids)) == campaign.runs
    some = positions[::-2]
    assert campaign.plan.run_ids(some).tolist() == ids[some].tolist()

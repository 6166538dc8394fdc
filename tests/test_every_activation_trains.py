"""Every activation of the table in a campaign, in both precisions."""

from __future__ import annotations

import numpy as np

import gradsim as gs
from gradsim.activations import ACTIVATIONS

NAMES = [name for name, act in ACTIVATIONS.items() if act.function.__module__.startswith("gradsim.")]
# Without a slope, nothing below it moves.
WITHOUT_SLOPE = {"binary_step"}


def test_every_activation_trains(tmp_path):
    campaign = gs.Campaign(
        dataset="iris",
        depth=1,
        width=4,
        batch_size=40,
        steps=8,
        initializer="normal(std=0.5)",
        learning_rate=0.01,
        grid={"activation": NAMES, "dtype": ["float32", "float64"], "seed": range(2)},
    )
    results = campaign.run(tmp_path / "out")
    runs = results.runs.assign(activation=results.runs["activation"].astype(str))
    assert set(runs["activation"]) == set(NAMES)
    assert len(runs) == 4 * len(NAMES)

    assert not runs.loc[~np.isfinite(runs["initial_loss"]), "activation"].tolist()
    stuck = (runs["final_loss"] == runs["initial_loss"]) & runs["first_nonfinite_step"].isna()
    assert not runs.loc[stuck, "activation"].tolist()

    layers = results.layers
    first = layers[(layers["layer"] == 0) & (layers["step"] == 0)].merge(runs[["run_id", "activation"]], on="run_id")
    unmoved = set(first.loc[first["gradient_rms"] == 0, "activation"])
    assert unmoved == WITHOUT_SLOPE
    assert len(first) == len(runs)

    # Both precisions start from the same numbers, rounded.
    losses = runs.set_index(["activation", "seed"])["initial_loss"]
    single, double = (losses[(runs["dtype"].astype(str) == d).to_numpy()] for d in ("float32", "float64"))
    apart = (single / double.reindex(single.index) - 1).abs()
    assert not apart[apart > 1e-3].index.tolist()

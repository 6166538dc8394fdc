"""What training comes to, beside how fast it is: a small campaign whose numbers are the same at every commit.

They depend on nothing but the code, to the last digits of what this kind of machine computes; a step here says that
results have changed. All of them are better when smaller.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from .measure import missing, read, threads

ACTIVATIONS = ("relu", "tanh", "sigmoid")
CAMPAIGN = {
    "dataset": "moons",
    "depth": 3,
    "width": 16,
    "batch_size": 32,
    "steps": 400,
    "grid": {
        "activation": list(ACTIVATIONS),
        "initializer": ["glorot_uniform", "kaiming_normal"],
        "learning_rate": [0.03, 0.3, 3.0],
        "seed": range(16),
    },
}


def setup_cache() -> dict[tuple, float]:
    """The campaign, once: {(what, activation): number}."""
    try:
        import gradsim as gs

        with tempfile.TemporaryDirectory() as folder:
            results = gs.Campaign(**CAMPAIGN).run(Path(folder) / "out", threads=threads(), progress=False)
            runs, layers = results.runs, results.layers
    except missing():
        return {}
    found = {}
    last = layers[(layers["step"] == layers["step"].max()) & (layers["layer"] < CAMPAIGN["depth"])]
    for name in ACTIVATIONS:
        mine = runs[runs["activation"] == name]
        found["loss", name] = float(mine["final_loss"].median())
        found["unconverged", name] = float((mine["outcome"] != "converged").mean())
        found["error", name] = float(1 - mine["test_accuracy"].mean())
        found["dead", name] = float(last[last["run_id"].isin(mine["run_id"])]["dead"].mean())
    return found


setup_cache.timeout = 300


class Quality:
    """96 runs of each activation on the moons: 2 initializers x 3 learning rates x 16 seeds, 400 steps."""

    params = (list(ACTIVATIONS),)
    param_names = ("activation",)

    def track_final_loss(self, found, name: str) -> float:
        """Median full training loss at the end."""
        return read(found, "loss", name)

    def track_unconverged(self, found, name: str) -> float:
        """Share of runs that did not converge."""
        return read(found, "unconverged", name)

    def track_test_error(self, found, name: str) -> float:
        """Mean share of test samples that are told wrong."""
        return read(found, "error", name)

    def track_dead(self, found, name: str) -> float:
        """Mean share of dead units in hidden layers at the end."""
        return read(found, "dead", name)

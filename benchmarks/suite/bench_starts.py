"""What comes before training: initial weights, random numbers, and data sets as the networks see them. One thread."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .entries import DATASETS, INITIALIZERS
from .measure import least, made, read

NETWORKS, HIDDEN, FEATURES, OUTPUTS = 64, [32, 32, 32], 32, 10
DRAWN = 4096
SAMPLES = 2000
RANDOM = ("normal", "uniform", "words", "permutation", "draws")
ROUNDS = 3


def initializer(name: str):
    """`call(repetitions)` that draws all weights of the networks, ready to train."""
    import numpy as np

    import gradsim as gs
    from gradsim.cohort import cohort_of
    from gradsim.shard import networks_of

    rng = np.random.default_rng(0)
    campaign = gs.Campaign(
        dataset={"name": "arrays", "X": rng.standard_normal((256, FEATURES)), "y": np.arange(256) % OUTPUTS},
        hidden=HIDDEN, activation="tanh", initializer=name, batch_size=64, steps=1, grid={"seed": range(NETWORKS)},
    )  # fmt: skip
    cohort = cohort_of(campaign, campaign.plan.cells[0])
    positions = np.arange(NETWORKS)

    def call(times: int) -> None:
        for _ in range(times):
            networks_of(campaign.plan, cohort, positions)

    call(1)
    return call


def random_numbers(kind: str):
    """`call(repetitions)` that draws DRAWN numbers, eight networks' at once where it is a kernel."""
    import numpy as np

    from gradsim.engine import random

    seeds, out = np.arange(8, dtype=np.uint64).view(np.float64), np.empty((DRAWN + 1) * 8)
    calls = {
        "normal": lambda: random.fill(0, seeds, 0, 0, DRAWN // 8, True, out),
        "uniform": lambda: random.fill(0, seeds, 0, 0, DRAWN // 8, False, out),
        "words": lambda: random.random_words(0, 1, 0, 0, DRAWN),
        "permutation": lambda: random.permutation(0, 1, 2, 0, DRAWN),
        "draws": lambda: random.draws(0, 1, 32, DRAWN, 1000),
    }
    draw = calls[kind]

    def call(times: int) -> None:
        for _ in range(times):
            draw()

    call(1)
    return call


def data_set(name: str, folder: Path):
    """`call(repetitions)` that makes or reads the set, splits and scales it, from nothing that is kept in memory."""
    import numpy as np

    from gradsim import datasets

    params: dict[str, object] = {}
    rng = np.random.default_rng(0)
    if name == "arrays":
        params = {"X": rng.standard_normal((SAMPLES, 10)), "y": np.arange(SAMPLES) % 3}
    elif name == "file":
        path = folder / "numbers.csv"
        columns = np.column_stack([rng.standard_normal((SAMPLES, 10)), np.arange(SAMPLES) % 3])
        np.savetxt(path, columns, delimiter=",", header=",".join("abcdefghijk"), comments="")
        params = {"path": str(path)}
    how = {"scaling": "standard", "test_fraction": 0.2, "data_seed": 0}

    def call(times: int) -> None:
        for _ in range(times):
            datasets.prepare(name, params, **how)

    call(1)
    return call


def setup_cache() -> dict[tuple, float]:
    """Seconds of everything, in turns."""
    makers = {("initializer", name): lambda name=name: initializer(name) for name in INITIALIZERS}
    makers |= {("random", kind): lambda kind=kind: random_numbers(kind) for kind in RANDOM}
    with tempfile.TemporaryDirectory() as folder:
        makers |= {("data", name): lambda name=name: data_set(name, Path(folder)) for name in DATASETS}
        return least(made(makers), ROUNDS)


setup_cache.timeout = 300


class Initializers:
    """Microseconds a network of 32-[32]x3-10, from its settings to weights in their lanes, of 64 networks."""

    params = (list(INITIALIZERS),)
    param_names = ("initializer",)
    unit = "us"

    def track_network(self, found, name: str) -> float:
        return read(found, "initializer", name) / NETWORKS * 1e6


class RandomNumbers:
    """Nanoseconds a number: normal, uniform and raw ones, places in a permutation, draws with replacement."""

    params = (list(RANDOM),)
    param_names = ("kind",)
    unit = "ns"

    def track_number(self, found, kind: str) -> float:
        return read(found, "random", kind) / DRAWN * 1e9


class DataSets:
    """Milliseconds to make or read a data set, split and scale it; one's own have 2,000 samples of 10 features."""

    params = (list(DATASETS),)
    param_names = ("dataset",)
    unit = "ms"

    def track_prepared(self, found, name: str) -> float:
        return read(found, "data", name) * 1e3

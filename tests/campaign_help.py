"""What the tests of campaigns and their results share: small campaigns, tables in one order, one-line refusals."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies as st

from gradsim import Campaign, GradsimError, UsageError

ROOT = Path(__file__).parents[1]
# Iris, 4-5-5-3, 20 steps of 8: a run takes microseconds, and no size is a multiple of anything.
SMALL = {"dataset": "iris", "depth": 2, "width": 5, "steps": 20, "batch_size": 8, "learning_rate": 0.1}
# Several cohorts, activations a layer, rates a layer, and runs that diverge.
GRID = {
    "activation": ["leaky_relu", "leaky_relu(slope=0.2)", ["tanh", "relu"]],
    "initializer": ["glorot_uniform", "normal(std=30)"],
    "learning_rate": [0.1, [0.1, 0.2, 0.3]],
    "seed": range(5),
}
# The same network in a file, by two axes.
TOML = """
dataset = "iris"
depth = 2
width = 5
steps = 20
batch_size = 8
[grid]
activation = ["relu", "tanh"]
seed = {range = 5}
"""
TABLES = ("runs", "curves", "layers")
KEYS = {"runs": ["run_id"], "curves": ["run_id", "step"], "layers": ["run_id", "step", "layer"]}


def cases(number: int) -> int:
    """How many examples a test of random ones tries; more where GRADSIM_FUZZ says so."""
    return number * int(os.environ.get("GRADSIM_FUZZ", "1"))


def small(**fields: object) -> Campaign:
    """A campaign on iris that takes no time; `fields` over its defaults."""
    grid = fields.get("grid")
    shaped = "hidden" in fields or (isinstance(grid, dict) and "hidden" in grid)
    base = {k: v for k, v in SMALL.items() if not (shaped and k in ("depth", "width"))}
    return Campaign(**base | fields)


def ids_of(campaign: Campaign) -> list[str]:
    """The run ids in the order of the plan."""
    return campaign.plan.run_ids(np.arange(campaign.runs)).tolist()


def one_id(**fields: object) -> str:
    """The id of the only run of a campaign."""
    (run_id,) = ids_of(small(**fields))
    return run_id


def settings_by_id(campaign: Campaign) -> dict[str, object]:
    """Each run's resolved settings."""
    return {run_id: campaign.plan.settings(i) for i, run_id in enumerate(ids_of(campaign))}


def refusal(call, *fragments: str, error: type = UsageError) -> str:
    """`call` raises `error` itself, no other kind, in one line that holds every fragment; gives the line."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert len(message) < 500
    for fragment in fragments:
        assert fragment in message, message
    return message


def tables(results) -> dict[str, pd.DataFrame]:
    """All tables that are kept in an order of their own, without the one column that is a time."""
    return {
        name: _as_text(getattr(results, name).drop(columns="seconds", errors="ignore")).sort_values(
            keys, ignore_index=True
        )
        for name, keys in KEYS.items()
        if name in results.stored
    }


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as text: which there are depends on all runs of a table."""
    return frame.astype({name: object for name, kind in frame.dtypes.items() if kind == "category"})


def only(frames: dict[str, pd.DataFrame], run_ids) -> dict[str, pd.DataFrame]:
    """The rows of some runs."""
    return {name: frame[frame["run_id"].isin(run_ids)].reset_index(drop=True) for name, frame in frames.items()}


def assert_same(a: dict[str, pd.DataFrame], b: dict[str, pd.DataFrame]) -> None:
    """Equal tables, floating-point numbers to the last bit."""
    assert a.keys() == b.keys()
    for name in a:
        assert len(a[name]) > 0
        assert list(a[name].columns) == list(b[name].columns)
        pd.testing.assert_frame_equal(a[name], b[name], check_exact=True)
        for column in a[name].select_dtypes("float"):
            x, y = a[name][column].to_numpy(), b[name][column].to_numpy()
            assert x.tobytes() == y.tobytes(), f"{name}.{column}"


def shard_names(path: Path, table: str = "runs") -> list[str]:
    """Names of the shard files of a table."""
    return sorted(p.name for p in (path / table).glob("*.parquet"))


def gradsim(*arguments: object, **options) -> subprocess.CompletedProcess:
    """`python -m gradsim` in a process of its own."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment(), timeout=300, **options
    )


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "gradsim", *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, with the package on the path."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **changes}


# Values of axes that can stand in any combination.
AXES = {
    "activation": ["relu", "tanh", "leaky_relu(slope=0.2)", ["gelu", "relu"]],
    "initializer": ["zeros", "normal(std=1)", "he_normal"],
    "bias_initializer": ["zeros", "constant(value=0.1)"],
    "learning_rate": [0.1, 0.01, [0.1, 0.2, 0.3]],
    "learning_rate.1": [0.5, 0.25],
    "seed": [0, 1, 7, 2**32 - 1],
    "data_seed": [0, 3],
    "width": [3, 4],
    "bias": [True, False],
    "batch_size": [8, 16, "full"],
    "steps": [20, 30],
    "dtype": ["float32", "float64"],
    "scaling": ["standard", "none"],
    "label_noise": [0, 0.25],
    "test_fraction": [0.2, 0],
    "optimizer": ["sgd", "momentum(beta=0.5)"],
    "loss": ["mean_squared_error", "softmax_cross_entropy"],
    "dataset": ["iris", "moons(samples=200, noise=0.2)"],
}


@st.composite
def grids(draw, most: int = 200):
    """A random grid of at most so many runs."""
    names = draw(st.lists(st.sampled_from(sorted(AXES)), min_size=1, max_size=6, unique=True))
    grid, runs = {}, 1
    for name in names:
        values = draw(st.lists(st.sampled_from(AXES[name]), min_size=1, max_size=len(AXES[name]), unique_by=repr))
        if runs * len(values) <= most:
            grid[name], runs = values, runs * len(values)
    return grid


def run_by_two_threads_at_once(campaign: Campaign, path: object) -> None:
    """Two threads of a process run a campaign into one directory: both end, or one is told that it is being run."""
    found: list[object] = []

    def go() -> None:
        try:
            found.append(campaign.run(path, threads=1, progress=False))
        except GradsimError as error:
            found.append(error)

    workers = [threading.Thread(target=go) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(type(f).__name__ for f in found) in (["GradsimError", "Results"], ["Results", "Results"])

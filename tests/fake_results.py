"""A stand-in for Results: synthetic frames of the results schema for any axes, with plausible numbers.

Nothing here is measured. It lets analysis, plots and report be tested, and looked at, without training.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CHECKPOINTS = (0, 10, 30, 100, 300, 667, 1000)
DIGITS_AXES = {
    "activation": ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.01)", "gelu"],
    "initializer": ["zeros", "normal(std=1)", "glorot_uniform", "he_normal"],
    "learning_rate": [0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0],
    "seed": list(range(16)),
}
MANY_AXES = {
    "activation": [f"activation_{k:02d}(slope={k / 100})" for k in range(60)],
    "initializer": [
        *("zeros", "constant(value=0.5)", "normal(std=1)", "normal(std=0.01)"),
        *("glorot_uniform", "glorot_normal", "he_normal", "lecun_normal"),
    ],
    "learning_rate": [0.01, 0.1, 1.0],
    "seed": [0, 1],
}
DEFAULTS: dict[str, Any] = {
    "dataset": "digits",
    "activation": "tanh",
    "initializer": "glorot_uniform",
    "bias_initializer": "zeros",
    "bias": True,
    "loss": "softmax_cross_entropy",
    "optimizer": "sgd",
    "schedule": "constant",
    "learning_rate": 0.1,
    "batch_size": 64,
    "steps": 1000,
    "dtype": "float32",
    "scaling": "standard",
    "seed": 0,
    "data_seed": 0,
    "depth": 5,
    "width": 32,
}
INFO: dict[str, Any] = {
    "versions": {"gradsim": "0.1.0", "numba": "0.68.0", "numpy": "2.4.0"},
    "command": "gradsim run reports/digits.toml",
    "date": "2030-01-02T03:04:05+00:00",
    "seconds": 141.3,
    "cores": 2,
    "cpu": "an imagined processor",
    "data": "digits: 1,797 images of 8 x 8 pixels, ten classes",
    "task": "classification",
    "train_samples": 1437,
    "test_samples": 360,
}


@dataclass
class FakeCampaign:
    name: str
    dataset: str
    toml: str

    def to_toml(self) -> str:
        return self.toml


@dataclass
class FakeResults:
    path: Path
    campaign: FakeCampaign
    runs: pd.DataFrame
    curves: pd.DataFrame
    layers: pd.DataFrame
    axes: list[str]
    info: dict[str, Any] = field(default_factory=lambda: dict(INFO))
    stored: tuple[str, ...] = ("runs", "curves", "layers")


def fake_results(
    path: Path | str = "results",
    axes: dict[str, list] | None = None,
    task: str = "classification",
    fate: str | None = None,
    seed: int = 1,
    **fixed: Any,
) -> FakeResults:
    """Results of a grid over `axes` (default: digits, 2,240 runs); `fate` forces every run's, e.g. "exploding"."""
    axes = DIGITS_AXES if axes is None else axes
    runs = _settings(axes, fixed, task)
    random = np.random.default_rng(seed)
    runs = pd.concat([runs, _results(runs, random, task, fate)], axis=1)
    info = INFO | {"task": task}
    toml = f'name = "fake"\ndataset = "{runs["dataset"].iloc[0]}"\nsteps = 1000\n\n[grid]\n'
    toml += "".join(f"{name} = {values!r}\n" for name, values in axes.items())
    campaign = FakeCampaign("fake", str(runs["dataset"].iloc[0]), toml)
    varying = [name for name, values in axes.items() if len(values) > 1]
    return FakeResults(Path(path), campaign, runs, _curves(runs), _layers(runs, random), varying, info)


def _settings(axes: dict[str, list], fixed: dict[str, Any], task: str) -> pd.DataFrame:
    rows = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    runs = pd.DataFrame(rows if rows else [{}])
    for name, value in (DEFAULTS | {"hidden": None} | fixed).items():
        if name not in runs:
            runs[name] = [value] * len(runs)
    if any(name.startswith("learning_rate.") for name in axes):
        runs["learning_rate"] = np.nan
    if task == "regression":
        runs["loss"] = "mean_squared_error"
    runs["width"] = runs["width"].astype("Int64")
    shape = zip(runs["depth"], runs["width"], runs["hidden"], strict=True)
    runs["hidden"] = [hidden or "-".join([str(width)] * depth) for depth, width, hidden in shape]
    keys = [repr(row) for row in runs.itertuples(index=False)]
    runs.insert(0, "run_id", [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys])
    return runs


def _fates(runs: pd.DataFrame, random: np.random.Generator) -> np.ndarray:
    """Symmetric under constants, saturated or exploding under large weights, else a window of the learning rate."""
    rates = [name for name in runs if name.split(".")[0] == "learning_rate"]
    log_rate = np.log10(runs[rates].mean(axis=1).to_numpy(float))
    n, draw = len(runs), random.random(len(runs))
    kinds = runs["activation"].astype(str)
    quality = kinds.map({name: np.cos(2.7 * k) for k, name in enumerate(kinds.unique())}).to_numpy(float)
    squashing = kinds.str.contains("sigmoid|tanh").to_numpy()
    center = np.where(kinds.eq("sigmoid"), 0.0, -1.2 + 0.3 * quality)
    width = np.where(kinds.eq("sigmoid"), 0.35, 0.9 + 0.3 * quality)
    offset = log_rate - center
    works = draw < 1 / (1 + np.exp((np.abs(offset) - width) / 0.12))
    fate = np.where(works, "converged", np.where(offset < 0, "slow", np.where(draw < 0.6, "dead", "exploding")))
    fate = np.where(squashing & ~works & (offset > 0), "saturated", fate)
    fate = np.where(~works & (offset < -1.5), "vanishing", fate)
    large = runs["initializer"].astype(str).str.contains(r"std=1\)").to_numpy()
    fate = np.where(large, np.where(squashing, "saturated", np.where(draw < 0.7, "exploding", "unexplained")), fate)
    equal = runs["initializer"].astype(str).str.contains("zeros|constant").to_numpy()
    assert fate.shape == (n,)
    return np.where(equal, "symmetric", fate)


def _results(runs: pd.DataFrame, random: np.random.Generator, task: str, fate: str | None) -> pd.DataFrame:
    n = len(runs)
    fates = np.full(n, fate, dtype=object) if fate else _fates(runs, random).astype(object)
    outcome = pd.Series(fates).map({"converged": "converged", "exploding": "diverged", "slow": "learning"})
    base, target = (2.3, 0.23) if task == "classification" else (5200.0, 520.0)
    noise = random.lognormal(0, 0.2, n)
    level = pd.Series(fates).map({"converged": 0.03, "slow": 0.5, "vanishing": 0.95}).fillna(1.0).to_numpy(float)
    diverged = outcome.eq("diverged").to_numpy()
    final = np.where(diverged, np.nan, base * level * np.minimum(noise, 3))
    final = np.where(fates == "converged", np.minimum(final, 0.9 * target), final)
    good = np.clip(1 - final / base, 0, 1)
    values = {
        "exploding": 3e7,
        "symmetric": 1 / 32,
        "dead": 1.0,
        "saturated": 0.95,
        "vanishing": 3e-12,
        "slow": 0.08,
    }
    table = pd.DataFrame(
        {
            "outcome": outcome.fillna("stalled").to_numpy(),
            "diagnosis": np.where(fates == "converged", "", fates),
            "diagnosis_layer": pd.array(np.where(fates == "vanishing", 0, 2), dtype="Int64"),
            "diagnosis_value": pd.Series(fates).map(values).to_numpy(float) * np.where(fates == "slow", noise, 1),
            "target_loss": target,
            "initial_loss": base * random.lognormal(0.05, 0.05, n),
            "final_loss": final,
            "best_loss": final * 0.99,
            "tail_mean_loss": final * 1.02,
            "trainability": np.where(diverged, 40 * noise, -1000 * level * noise),
            "gain": np.where(diverged, np.nan, np.where(fates == "slow", 0.08, 0.002)),
            "steps_to_target": np.where(fates == "converged", np.round(300 * noise), np.nan),
            "first_nonfinite_step": np.where(diverged, np.round(40 * noise), np.nan),
        }
    )
    table.loc[np.isin(fates, ["converged", "slow", "unexplained"]), "diagnosis_layer"] = pd.NA
    for part, gap in (("train", 0.0), ("test", 0.03)):
        table[f"{part}_{'accuracy' if task == 'classification' else 'r2'}"] = np.maximum(good - gap, 0)
    table["test_loss"] = final * 1.1
    table["seconds"] = 0.05
    return table


def _curves(runs: pd.DataFrame) -> pd.DataFrame:
    steps = np.unique(np.concatenate([[0], np.linspace(20, 1000, 50).astype(int), CHECKPOINTS]))
    start, end = (runs[name].to_numpy(float)[:, None] for name in ("initial_loss", "final_loss"))
    end = np.where(np.isfinite(end), end, start)
    loss = end + (start - end) * np.exp(-steps / 180.0)
    broken = runs["first_nonfinite_step"].to_numpy(float)[:, None]
    loss = np.where(steps >= np.where(np.isnan(broken), np.inf, broken), np.nan, loss)
    return pd.DataFrame(
        {
            "run_id": np.repeat(runs["run_id"].to_numpy(), steps.size),
            "step": np.tile(steps, len(runs)),
            "batch_loss": np.where(steps == 0, np.nan, loss).ravel(),
            "train_loss": np.where(np.isin(steps, CHECKPOINTS), loss, np.nan).ravel(),
        }
    )


def _layers(runs: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    depth, steps = runs["depth"].to_numpy(int), np.array(CHECKPOINTS)
    row = np.repeat(np.arange(len(runs)), (depth + 1) * steps.size)
    step = np.concatenate([np.repeat(steps, d + 1) for d in depth])
    layer = np.concatenate([np.tile(np.arange(d + 1), steps.size) for d in depth])
    fate = np.where(runs["outcome"].eq("converged"), "converged", runs["diagnosis"])[row]
    kind = runs["activation"].astype(str).to_numpy()[row]
    time, place = step / 1000, layer / np.maximum(depth[row], 1)
    hidden = layer < depth[row]
    squashing = np.array(["sigmoid" in k or "tanh" in k for k in kind])
    extent = np.where(fate == "saturated", 0.3 + 0.65 * np.sqrt(time), 0.1 * time) * (1 - 0.6 * place)
    factor = np.where(fate == "exploding", 3.0, np.where(fate == "vanishing", 0.01, np.where(squashing, 0.5, 0.9)))
    delta = 0.01 * factor ** (depth[row] - layer) * random.lognormal(0, 0.3, row.size) * (1 - 0.7 * time)
    delta = np.where((fate == "symmetric") & hidden, 0.0, delta)
    died = np.where(fate == "dead", np.where(time > 0, 1.0, 0.02), 0.02 * time * random.random(row.size))
    frame = pd.DataFrame({"run_id": runs["run_id"].to_numpy()[row], "step": step, "layer": layer})
    statistics = {
        "preactivation_mean": 0.01,
        "preactivation_std": 1.0,
        "activation_mean": 0.1,
        "activation_std": 0.5,
        "saturated_low": np.where(hidden, np.where(squashing, extent * 0.6, 0.5), 0.0),
        "saturated_high": np.where(hidden & squashing, extent * 0.4, 0.0),
        "dead": np.where(hidden & ~squashing, died, 0.0),
        "zero": np.where(hidden & ~squashing, 0.5, 0.0),
        "delta_rms": delta,
        "gradient_rms": delta * 0.7,
        "weight_rms": 0.2,
        "update_ratio": 1e-3,
        "sign_coherence": 0.2,
        "distinct_units": np.where(fate == "symmetric", 1 / 32, 1.0),
    }
    broken = runs["first_nonfinite_step"].to_numpy(float)[row]
    for name, values in statistics.items():
        frame[name] = np.where(step >= np.where(np.isnan(broken), np.inf, broken), np.nan, values)
    return frame


_SMALL = {"activation": ["tanh", "relu"], "initializer": ["zeros", "he_normal"]}
_RATES = {"learning_rate": [0.01, 0.1, 1.0], "seed": list(range(4))}
_HOSTILE = {"activation": ["<script>alert(1)</script>", "$x^2$ & \"_'\\"], "initializer": ["_a", "zeros"]}
VARIANTS: dict[str, dict[str, Any]] = {
    "one converged": {"axes": {"seed": [0]}, "fate": "converged"},
    "one diverged": {"axes": {"seed": [0]}, "fate": "exploding"},
    "one slow": {"axes": {"seed": [0]}, "fate": "slow"},
    "all diverged": {"axes": _SMALL | _RATES, "fate": "exploding"},
    "all stalled": {"axes": _SMALL | _RATES, "fate": "unexplained"},
    "all converged": {"axes": _SMALL | _RATES, "fate": "converged"},
    "sixty activations": {"axes": MANY_AXES},
    "regression": {"axes": _SMALL | _RATES, "task": "regression", "dataset": "diabetes"},
    "no learning rate": {"axes": _SMALL | {"seed": list(range(5))}},
    "rates by layer": {"axes": {"learning_rate.0": [0.01, 0.1, 1.0], "learning_rate.1": [0.01, 0.1], "seed": [0, 1]}},
    "one activation": {"axes": {"activation": ["relu"]} | _RATES},
    "no seed": {"axes": _SMALL | {"learning_rate": [0.01, 0.1]}},
    "no initializer": {"axes": {"activation": ["tanh", "relu", "gelu"]} | _RATES},
    "depths": {"axes": {"depth": [0, 2, 10], "activation": ["sigmoid", "relu"]} | _RATES},
    "linear": {"axes": {"learning_rate": [0.1, 1.0], "seed": [0, 1]}, "depth": 0},
    "many axes": {
        "axes": _SMALL | {"bias": [True, False], "batch_size": [16, 64], "activation.slope": [0.1, 0.2]} | _RATES
    },
    "hostile": {"axes": _HOSTILE | _RATES, "dataset": "<b>data</b>"},
}
"""The awkward campaigns that analysis, plots and report must all survive, as arguments of `fake_results`."""


def variant(name: str, path: Path | str = "results") -> FakeResults:
    """One of the awkward campaigns."""
    return fake_results(path, **VARIANTS[name])

"""Telling runs, one that converged and one a diagnosis: which they are, their courses, what their layers hold.

A single run proves nothing; it shows what a diagnosis looks like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.settings import diagnosis_counts, typical

TELLING = {
    "symmetric": ("distinct_units",),
    "dead": ("dead",),
    "saturated": ("saturated_low", "saturated_high"),
}
"""Statistics of layers whose sum shows a diagnosis; of every other fate it is the error signal."""

MOMENTS = 4
"""The steps at which histograms of a run are shown."""

LAYERS = 8
"""The most layers of a run that are shown; of more every few, first and last included."""


def telling_runs(runs: pd.DataFrame, axes: Sequence[str] = (), diagnoses: pd.DataFrame | None = None) -> pd.DataFrame:
    """One run that converged and one a diagnosis: fate, run_id, setting, evidence, n, share of all runs.

    The one that converged took the middle number of steps to its target, of those with hidden layers; the others are
    the examples of `diagnosis_counts` (given as `diagnoses`, or made). Converged first, then the most frequent.
    """
    if diagnoses is None:
        diagnoses = diagnosis_counts(runs, axes)
    rows = []
    good = runs[runs["outcome"].eq("converged")]
    if len(good):
        deep = good[good["depth"].gt(0)]  # a linear model has no layers to look at
        run = typical(deep if len(deep) else good, "steps_to_target")
        setting = words.setting(run, [axis for axis in axes if axis in runs])
        steps = run["steps_to_target"]
        evidence = "target reached" + ("" if pd.isna(steps) else f" at step {words.count(steps)}")
        rows.append(("converged", run["run_id"], setting, evidence, len(good)))
    rows += diagnoses[["diagnosis", "example", "setting", "evidence", "n"]].itertuples(index=False, name=None)
    frame = pd.DataFrame(rows, columns=["fate", "run_id", "setting", "evidence", "n"])
    return frame.assign(share=frame["n"] / max(len(runs), 1))


def telling_statistic(fate: str) -> str:
    """What of its layers shows a fate: "dead", "saturated", "distinct_units" or "delta_ratio"."""
    return "saturated" if fate == "saturated" else TELLING.get(fate, ["delta_ratio"])[0]


def example_courses(
    examples: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame, layers: pd.DataFrame | None = None
) -> pd.DataFrame:
    """How telling runs went: fate, setting, run_id, statistic, layer, step, value.

    statistic "batch_loss" (layer missing): the mean since the record before, step 0 left out. Of hidden layers, where
    `layers` are given, the statistic that shows the fate (`telling_statistic`): the share of dead units, of saturated
    pairs, of distinct units, or delta_ratio: delta_rms over that of the output layer, whose 1 is a signal that arrives
    whole. Values that are not finite are NaN. Of more than eight layers every few.
    """
    parts = []
    for example in examples.itertuples():
        mine = curves[curves["run_id"].eq(example.run_id) & curves["step"].gt(0)]
        parts.append(_course(example, "batch_loss", mine.assign(layer=pd.NA), mine["batch_loss"]))
        if layers is not None:
            mine = layers[layers["run_id"].eq(example.run_id)]
            depth = int(runs.loc[runs["run_id"].eq(example.run_id), "depth"].iloc[0])
            value, shown = _telling_values(mine, example.fate, depth), mine["layer"].isin(some_layers(depth))
            parts.append(_course(example, telling_statistic(example.fate), mine[shown], value[shown]))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COURSE)


_COURSE = ["fate", "setting", "run_id", "statistic", "layer", "step", "value"]


def _telling_values(layers: pd.DataFrame, fate: str, depth: int) -> pd.Series:
    value = layers[list(TELLING.get(fate, ["delta_rms"]))].sum(axis=1, skipna=False).astype(float)
    if fate in TELLING:
        return value
    last = layers["layer"].eq(depth)
    output = layers["step"].map(dict(zip(layers.loc[last, "step"], value[last], strict=True))).astype(float)
    return (value / output).where(output > 0)


def _course(example: Any, statistic: str, rows: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    values = values.to_numpy(float, na_value=np.nan)
    frame = {
        "fate": example.fate,
        "setting": example.setting,
        "run_id": str(example.run_id),
        "statistic": statistic,
        "layer": pd.array(rows["layer"].to_numpy(), dtype="Int64"),
        "step": rows["step"].to_numpy(),
        "value": np.where(np.isfinite(values), values, np.nan),
    }
    return pd.DataFrame(frame)[_COURSE]


def some_layers(depth: int) -> list[int]:
    """The hidden layers that are shown: all, or eight evenly picked, the first and the last among them."""
    return np.unique(np.linspace(0, depth - 1, min(depth, LAYERS)).round().astype(int)).tolist() if depth else []


def moments(steps: int, first_nonfinite: float | None = None) -> list[int]:
    """The steps to look at a run again: 0, 1, 3, 10, 30, ... and the last before its loss is not finite."""
    lost = first_nonfinite is None or pd.isna(first_nonfinite)
    last = int(steps if lost else min(steps, max(first_nonfinite - 1, 0)))
    ladder = {m * 10**k for k in range(len(str(last))) for m in (1, 3)}
    return sorted({0, last} | {step for step in ladder if step < last})


def activation_histograms(
    examples: pd.DataFrame, runs: pd.DataFrame, histograms: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Activations of replayed runs: fate, setting, run_id, step, layer, left, right, count, share.

    histograms: run_id -> `Replay.histograms`. A row a bin; `count` (sample, unit) pairs of the probe set
    have an activation there, `share` of the layer's. Hidden layers, of more than eight every few, at four of the run's
    `moments`.
    """
    parts = []
    for example in examples.itertuples():
        if example.run_id not in histograms:
            continue
        run = runs[runs["run_id"].eq(example.run_id)].iloc[0]
        bins = histograms[example.run_id]
        bins = bins[bins["quantity"].eq("activation") & bins["layer"].isin(some_layers(int(run["depth"])))]
        steps = np.array(moments(int(run["steps"]), run["first_nonfinite_step"]))
        four = np.unique(np.linspace(0, len(steps) - 1, MOMENTS).round().astype(int))
        bins = bins[bins["step"].isin(steps[four])]
        named = bins.assign(fate=example.fate, setting=example.setting, run_id=str(example.run_id))
        total = bins.groupby(["step", "layer"])["count"].transform("sum")
        parts.append(named.assign(share=bins["count"] / total)[_BINS])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_BINS)


_BINS = ["fate", "setting", "run_id", "step", "layer", "left", "right", "count", "share"]

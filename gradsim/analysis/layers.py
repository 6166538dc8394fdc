"""Comparisons of layers: profiles by layer and step, saturation, dead units, the error signal's flow.

Rows that are NaN (from a run's first non-finite loss on) drop out; `n` counts the runs that remain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradsim.analysis.axes import comparison_axes
from gradsim.analysis.groups import SortedGroups, group_codes, quartiles, run_places
from gradsim.analysis.intervals import bootstrap_interval, share_mean_interval


def attach(layers: pd.DataFrame, runs: pd.DataFrame, statistics: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    """run_id, step, layer and `statistics` of the layer rows, with `by`, depth and run_steps of their run.

    Rows of runs that are not in `runs` are left out; no other column is copied, for layers is the largest table.
    """
    rows = run_places(runs, layers)
    known = rows >= 0
    left = layers.loc[known, ["run_id", "step", "layer", *statistics]].reset_index(drop=True)
    right = runs[list(dict.fromkeys([*by, "depth"]))].iloc[rows[known]].reset_index(drop=True)
    right["run_steps"] = runs["steps"].to_numpy()[rows[known]]
    return pd.concat([left, right], axis=1)


def _at_end(layers: pd.DataFrame, runs: pd.DataFrame, statistics: Sequence[str], by: Sequence[str]) -> pd.DataFrame:
    last = layers["step"].isin(runs["steps"].unique().tolist())
    rows = attach(layers[last], runs, statistics, by)
    return rows[rows["step"].eq(rows["run_steps"])]


def layer_profile(
    layers: pd.DataFrame,
    runs: pd.DataFrame,
    column: str,
    by: Sequence[str] = (),
    steps: Sequence[int] | None = None,
) -> pd.DataFrame:
    """A per-layer statistic over runs: step, layer, n, median, q25, q75, mean, for the given checkpoints or all.

    layer == depth is the linear output layer, the others are hidden.
    """
    if steps is not None:
        layers = layers[layers["step"].isin(list(steps))]
    return _profile(attach(layers, runs, [column], by), column, [*by, "step", "layer"])


def _profile(rows: pd.DataFrame, column: str, by: list[str]) -> pd.DataFrame:
    rows = rows[rows[column].notna()]
    codes, frame = group_codes(rows, by)
    values = rows[column].to_numpy(float)
    frame["n"] = np.bincount(codes, minlength=len(frame))
    frame = frame.assign(**quartiles(values, codes))
    frame["mean"] = np.bincount(codes, weights=values, minlength=len(frame)) / frame["n"]
    return frame


def saturation(layers: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Mean share of saturated (sample, unit) pairs of hidden layers: step, layer, n, low, high.

    Low and high: slope under a tenth of the largest, below and above the point of largest slope. A mean of
    shares is the share over all pairs, which a median of so lopsided a quantity would hide.
    """
    rows = attach(layers, runs, ["saturated_low", "saturated_high"], by)
    rows = rows[(rows["layer"] < rows["depth"]) & rows["saturated_low"].notna()]
    codes, frame = group_codes(rows, [*by, "step", "layer"])
    frame["n"] = np.bincount(codes, minlength=len(frame))
    for name in ("low", "high"):
        weights = rows[f"saturated_{name}"].to_numpy(float)
        frame[name] = np.bincount(codes, weights=weights, minlength=len(frame)) / frame["n"]
    return frame


def final_hidden_share(layers: pd.DataFrame, runs: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Share over a run's hidden units at its last checkpoint, by run (index of `runs`), columns summed.

    Layers weigh by their width. NaN where a run has no hidden layer or no finite record at its end.
    """
    last = _at_end(layers, runs, columns, ["hidden"])
    last = last[last["layer"] < last["depth"]].reset_index(drop=True)
    units = _units(last["hidden"], last["layer"])
    # One NaN layer makes the run's share unknown rather than smaller: sums keep it.
    value = last[list(columns)].sum(axis=1, skipna=False).to_numpy(float)
    place = run_places(runs, last)
    total = np.bincount(place, weights=units, minlength=len(runs))
    dead = np.bincount(place, weights=value * units, minlength=len(runs))
    share = np.divide(dead, total, out=np.full(len(runs), np.nan), where=total > 0)
    return pd.Series(share, index=runs.index)


def _units(hidden: pd.Series, layer: pd.Series) -> np.ndarray:
    """Width of each row's layer from text such as "64-32"."""
    widths = {text: [int(part) for part in str(text).split("-")] for text in hidden.unique()}
    return np.array([widths[text][k] for text, k in zip(hidden, layer, strict=True)], float)


def mean_share(share: pd.Series, runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean of a per-run share with its bootstrap interval: n, mean, low, high, median. NaN runs drop out."""
    kept = share.notna().to_numpy()
    codes, frame = group_codes(runs[kept], by)
    groups = SortedGroups.of(share.to_numpy()[kept], codes, len(frame))
    frame["n"] = groups.sizes
    frame["mean"] = [group.mean() for group in groups]
    ends = np.array([bootstrap_interval(group, "mean") for group in groups], float).reshape(-1, 2)
    frame["low"], frame["high"] = ends[:, 0], ends[:, 1]
    frame["median"] = groups.medians()
    return frame


def dead_over_time(layers: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Share of hidden units dead at every checkpoint: step, n, median, q25, q75, mean over runs still finite."""
    rows = attach(layers, runs, ["dead"], [*by, "hidden"])
    rows = rows[rows["layer"] < rows["depth"]].reset_index(drop=True)
    if rows.empty:
        return _profile(rows, "dead", [*by, "step"])
    units = _units(rows["hidden"], rows["layer"])
    codes, keys = group_codes(rows, ["run_id", "step"])
    total = np.bincount(codes, weights=units, minlength=len(keys))
    dead = np.bincount(codes, weights=units * rows["dead"].to_numpy(float), minlength=len(keys))
    keys["dead"] = dead / total
    named = runs[list(by)].iloc[run_places(runs, keys)].reset_index(drop=True)
    return _profile(pd.concat([named, keys[["step", "dead"]]], axis=1), "dead", [*by, "step"])


def dead_by_axis(layers: pd.DataFrame, runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Share of hidden units dead at the end by value of every varying axis, all else pooled.

    Columns: axis, value, n, mean, low, high, over runs with a finite record at their end; bootstrap interval.
    """
    share, parts = final_hidden_share(layers, runs, ["dead"]), []
    kept = share.notna().to_numpy()
    for axis in comparison_axes(runs, axes, rates=True) if kept.any() else ():
        codes, frame = group_codes(runs[kept], [axis])
        groups = SortedGroups.of(share.to_numpy()[kept], codes, len(frame))
        frame["n"], frame["mean"] = groups.sizes, [group.mean() for group in groups]
        ends = np.array([share_mean_interval(group) for group in groups], float).reshape(-1, 2)
        frame["low"], frame["high"] = ends[:, 0], ends[:, 1]
        frame.insert(0, "axis", axis)
        parts.append(frame.rename(columns={axis: "value"}).astype({"value": object}))
    columns = ["axis", "value", "n", "mean", "low", "high"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def dead_units(
    layers: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = (), rate: str | None = "learning_rate"
) -> pd.DataFrame:
    """Share of hidden units dead at the end, against learning rate: n, mean, low, high, median over runs.

    Dead: slope under 1e-7 for every probe sample. Runs whose end is not finite have no record and are not
    in n. The interval of the mean is bootstrapped. `rate=None` for a campaign of one rate.
    """
    if rate is not None:
        runs = runs[runs[rate].notna()]
    by = [*by, rate] if rate else list(by)
    return mean_share(final_hidden_share(layers, runs, ["dead"]), runs, by)


def start_and_end(layers: pd.DataFrame, runs: pd.DataFrame, column: str, by: Sequence[str] = ()) -> pd.DataFrame:
    """A statistic by layer before the first step and at each run's last checkpoint: moment, layer, n, median, q25,
    q75, mean. Runs that are no longer finite at the end drop out of it, and out of n."""
    start = attach(layers[layers["step"].eq(0)], runs, [column], by).assign(moment="start")
    end = _at_end(layers, runs, [column], by).assign(moment="end")
    rows = pd.concat([start, end], ignore_index=True)
    return _profile(rows, column, [*by, "moment", "layer"])


def gradient_flow(layers: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Root mean square of delta = dLoss/dz by layer at start and end: moment, layer, n, median, q25, q75, mean.

    The end is each run's last checkpoint; runs that are no longer finite there drop out of it.
    """
    return start_and_end(layers, runs, "delta_rms", by)


def update_ratios(layers: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Size of a step over that of the weights, by layer at start and end: moment, layer, n, median, q25, q75, mean.

    Root mean square of the change of W in the step that begins at step 0, or that ended at the last checkpoint, over
    that of W. Layers whose weights are all 0 have none.
    """
    return start_and_end(layers, runs, "update_ratio", by)


def delta_ratio(layers: pd.DataFrame, runs: pd.DataFrame, step: int = 0) -> pd.Series:
    """delta_rms of the first layer over that of the output layer at a checkpoint, by run (index of `runs`).

    1 is a signal that arrives whole, 0 one that never arrives. NaN without a hidden layer or a record.
    """
    rows = attach(layers[layers["step"].eq(step)], runs, ["delta_rms"], [])
    places, delta = run_places(runs, rows), rows["delta_rms"].to_numpy(float, na_value=np.nan)
    ends = np.full((2, len(runs)), np.nan)
    for end, layer in zip(ends, (rows["layer"].eq(0), rows["layer"].eq(rows["depth"])), strict=True):
        there = (layer & rows["depth"].gt(0)).to_numpy(bool)
        end[places[there]] = delta[there]
    first, last = ends
    return pd.Series(np.divide(first, last, out=np.full(len(runs), np.nan), where=last > 0), index=runs.index)

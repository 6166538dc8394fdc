"""Which axes a campaign has and what part each plays: discovered from its grid, never assumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

REPLICATES = ("seed", "data_seed")
"""Axes that repeat a setting with other random numbers; every comparison pools over them."""

_FIRST = ("activation", "initializer")


def setting_axes(axes: Iterable[str]) -> list[str]:
    """The axes that make a setting: all but the seeds, in grid order."""
    return [axis for axis in axes if axis not in REPLICATES]


def setting_columns(runs: pd.DataFrame) -> list[str]:
    """The columns of `results.runs` that say what was run: those between the id and the outcome."""
    return list(runs.columns[1 : list(runs.columns).index("outcome")])


def is_rate(axis: str) -> bool:
    """Whether an axis is a learning rate, of the whole network or of one layer ("learning_rate.0")."""
    return axis == "learning_rate" or axis.startswith("learning_rate.")


def rate_axis(runs: pd.DataFrame, axes: Iterable[str]) -> str | None:
    """The learning-rate axis to plot against: "learning_rate", else the layer's with most values, else None."""
    counts = {axis: runs[axis].nunique() for axis in axes if is_rate(axis) and axis in runs}
    varying = [axis for axis, count in counts.items() if count > 1]
    return max(varying, key=lambda axis: (axis == "learning_rate", counts[axis]), default=None)


def is_numeric(values: pd.Series) -> bool:
    """Whether values are numbers to be ordered by size; booleans are names."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def comparison_axes(runs: pd.DataFrame, axes: Sequence[str], rates: bool = False) -> list[str]:
    """The varying setting axes, most telling first: activation, initializer, other names, depth, other numbers.

    Learning rates come last and only with `rates=True`. Axes of one value are left out; so is an axis that
    splits the runs exactly as an earlier one does (zipped axes), for it would compare nothing new.
    """
    found: list[str] = []
    splits: set[bytes] = set()
    candidates = [axis for axis in setting_axes(axes) if axis in runs and (rates or not is_rate(axis))]
    for axis in sorted(candidates, key=lambda axis: _importance(runs, axis)):
        codes = pd.factorize(runs[axis], use_na_sentinel=False)[0]
        split = codes.tobytes()
        if codes.max(initial=0) > 0 and split not in splits:
            found.append(axis)
            splits.add(split)
    return found


def _importance(runs: pd.DataFrame, axis: str) -> int:
    if axis in _FIRST:
        return _FIRST.index(axis)
    if is_rate(axis):
        return 6
    if not is_numeric(runs[axis]):
        return 3
    return 4 if axis == "depth" else 5


def layer_axes(runs: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """Up to two axes for pictures by layer: (color, panel); networks of different depth never share a panel."""
    names = comparison_axes(runs, axes)
    shape = next((axis for axis in ("depth", "hidden") if axis in names), None)
    color = next((axis for axis in names if axis != shape), None)
    panel = shape or next((axis for axis in names if axis != color), None)
    return [axis for axis in (color, panel) if axis]

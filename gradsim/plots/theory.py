"""Figures of theory: maps of variances and correlations from layer to layer, prediction over measurement.

They draw the frames that the functions of `gradsim.theory` return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradsim.analysis import words
from gradsim.errors import UsageError
from gradsim.plots.flow import FLOW_SPAN
from gradsim.plots.style import (
    HUES,
    PANELS,
    Pen,
    color,
    dress,
    empty_figure,
    label,
    log_axis,
    new_figure,
    padded,
    pens,
    row_names,
    shown,
    styled,
)

STATISTICS = {
    "preactivation_std": "std of pre-activations",
    "activation_std": "std of activations",
    "delta_rms": "rms of delta",
    "gradient_rms": "rms of gradients",
    "activation_mean": "mean of activations",
    "preactivation_mean": "mean of pre-activations",
    "zero": "share exactly 0",
    "saturated_low": "share saturated low",
    "saturated_high": "share saturated high",
    "weight_rms": "rms of weights",
}


# --- maps -----------------------------------------------------------------------------------------


@styled
def signal_maps(variances: pd.DataFrame, correlations: pd.DataFrame, stays: pd.DataFrame) -> Figure:
    """The variance map (left) and the correlation map at q* (right), a line a sigma_w, with what stays.

    From `theory.variance_curves`, `.correlation_curves` and `.what_stays`. Filled: attracts; hollow: repels.
    """
    if variances.empty:
        return empty_figure("Signal maps", "There are no curves to draw.")
    name, sigma_b = str(variances["activation"].iloc[0]), float(variances["sigma_b"].iloc[0])
    values, note = shown(sorted(variances["sigma_w"].unique()), HUES, "sigma_w", "the smallest")
    looks = dict(zip(values, pens(values), strict=True))
    figure = new_figure(4.1, 8.2)
    left, right = figure.subplots(1, 2)
    handles = [
        Line2D([], [], color=p.color, linestyle=p.dashes, label=rf"$\sigma_w$ = {p.label}") for p in looks.values()
    ]
    marks = {"linestyle": "", "marker": "o", "markersize": 7, "color": color("ink")}
    handles += [Line2D([], [], label="stays, attracts", **marks)]
    if not stays["stable"].all():
        handles += [Line2D([], [], label="stays, repels", markerfacecolor="none", **marks)]
    missing = [looks[w].label for w in values if not correlations["sigma_w"].eq(w).any()]
    if missing:
        note = f"{note} No correlation map at sigma_w = {', '.join(missing)}: the variance grows without end.".strip()
    dress(figure, rf"{label(name)}: from one layer to the next, $\sigma_b$ = {sigma_b:g}", handles, note)
    for axes, frame, x, end in ((left, variances, "q", variances["q"].max()), (right, correlations, "c", 1.0)):
        axes.plot([0, end], [0, end], color=color("muted"), linewidth=0.9, zorder=1)
        for w, pen in looks.items():
            line = frame[frame["sigma_w"].eq(w)]
            axes.plot(line[x], line["next"], color=pen.color, linestyle=pen.dashes, zorder=3)
            _mark_points(axes, stays[stays["sigma_w"].eq(w) & stays["quantity"].eq(x)], pen, end)
        axes.set_xlim(0, end * 1.03)
        axes.set_ylim(0, end * 1.03)
        axes.set_aspect("equal")
    left.set_title("variance of pre-activations")
    left.set_xlabel("q, of a layer")
    left.set_ylabel("V(q), of the next")
    right.set_title("correlation of two inputs")
    right.set_xlabel("c, of a layer")
    right.set_ylabel("C(c), of the next")
    return figure


def _mark_points(axes: Axes, points: pd.DataFrame, pen: Pen, end: float) -> None:
    for _, point in points[points["at"] <= end].iterrows():
        face = pen.color if point["stable"] else color("paper")
        look = {"marker": "o", "markersize": 7, "markerfacecolor": face, "markeredgecolor": pen.color}
        axes.plot([point["at"]], [point["at"]], linestyle="", clip_on=False, zorder=4, **look)


# --- theory over measurement ----------------------------------------------------------------------


@styled
def theory_over_measurement(
    beside: pd.DataFrame,
    statistics: Sequence[str] = ("preactivation_std", "activation_std", "delta_rms", "gradient_rms"),
    panels: str | None = None,
) -> Figure:
    """Expected statistics by layer as lines, measured ones as points with intervals, from `theory.compare`.

    A panel a statistic; with `panels`, a column of the frame such as "initializer", a row of panels for each of its
    values. At most eight lines and nine rows; a note says what was left out. Raises UsageError for a statistic or a
    column that is not in the frame.
    """
    title = "Theory over measurement before the first step"
    known = beside["statistic"].unique().tolist() if len(beside) else []
    for name in statistics if known else ():
        if name not in known:
            raise UsageError(f"statistics: {name!r} is not there; allowed: {', '.join(known)}")
    if not known:
        return empty_figure(title, "No run has a finite record at step 0.")
    keys = beside.columns[: beside.columns.get_loc("layer")].tolist()
    if panels is not None and panels not in keys:
        raise UsageError(f"panels = {panels!r}: must be one of {', '.join(keys) or 'no column, as nothing varies'}")
    beside = beside.assign(setting=row_names(beside, [key for key in keys if key != panels]))
    settings, note = shown(list(dict.fromkeys(beside["setting"])), HUES, "setting", "the first ones")
    looks = dict(zip(settings, pens(settings), strict=True))
    beside = beside[beside["setting"].isin(settings)]
    values: list[object] = []
    if panels is not None:
        values, more = shown(
            beside[panels].drop_duplicates().tolist(), PANELS, words.axis_name(panels), "the first ones"
        )
        beside, note = beside[beside[panels].isin(values)], f"{note} {more}".strip()
    figure, grid = _grid(len(statistics), len(values))
    how = "Lines: expected, of wide layers. Points: measured, with 95% intervals of the mean over networks."
    zeros = False
    for k, name in enumerate(statistics):
        cells = beside[beside["statistic"].eq(name)]
        column = [(grid[k], cells)] if panels is None else []
        for row, value in enumerate(values):
            column.append((grid[row * len(statistics) + k], cells[cells[panels].eq(value)]))
            if k == 0:
                text = label(words.axis_value(panels, value), 24)
                column[-1][0].set_ylabel(text, color=color("ink"), fontweight="bold")
        column[0][0].set_title(STATISTICS.get(name, name))
        for axes, mine in column:
            zeros |= _scale(axes, mine)
            _panel(axes, mine, looks)
    figure.align_ylabels()
    how += " What is exactly 0 has no place on a logarithmic axis." if zeros else ""
    dress(figure, title, [pen.handle() for pen in looks.values()], f"{how} {note}".strip())
    return figure


def _grid(statistics: int, rows_of_panels: int) -> tuple[Figure, list[Axes]]:
    """Two panels a row, or so many rows of one panel a statistic."""
    columns = statistics if rows_of_panels else min(2, statistics)
    rows = rows_of_panels or -(-statistics // columns)
    figure = new_figure(1.4 + (1.7 if rows_of_panels else 2.15) * rows, 8.2)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel().tolist()
    count = rows * columns if rows_of_panels else statistics
    for k, axes in enumerate(grid):
        axes.set_visible(k < count)
        axes.tick_params(labelbottom=k + columns >= count)
        if k + columns >= count:
            axes.set_xlabel("layer (0 = first)")
    return figure, grid


def _scale(axes: Axes, cells: pd.DataFrame) -> bool:
    """Choose a panel's scale; whether something is 0 and has no place on it."""
    numbers = cells[["expected", "measured", "low", "high"]].to_numpy(float)
    numbers = numbers[np.isfinite(numbers)]
    positive = numbers[numbers > 0]
    if positive.size and numbers.min() >= 0 and positive.max() > 4 * positive.min():
        low, high = padded(positive)
        log_axis(axes.yaxis, max(low, high * FLOW_SPAN), high)
        return bool((numbers == 0).any())
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    return False


def _panel(axes: Axes, cells: pd.DataFrame, looks: Mapping[str, Pen]) -> None:
    for setting, pen in looks.items():
        rows = cells[cells["setting"].eq(setting)].sort_values("layer")
        axes.plot(rows["layer"], rows["expected"], **(pen.line() | {"marker": ""}), zorder=2)
        # Not moved apart: beside a steep line, a point would seem to miss it.
        axes.vlines(rows["layer"], rows["low"], rows["high"], color=pen.color, linewidth=1.4, zorder=3)
        axes.plot(rows["layer"], rows["measured"], **(pen.line() | {"linestyle": ""}), zorder=4)
    last = int(cells["layer"].max()) if len(cells) else 1
    axes.set_xlim(-0.35, last + 0.35)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(min(8, last + 1), integer=True, steps=[1, 2, 5, 10]))

"""Figures of theory: phases over sigma_w and sigma_b, maps of variances and correlations, prediction over measurement.

They draw the frames that the functions of `gradsim.theory` return.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradsim.errors import UsageError
from gradsim.plots.style import (
    HUES,
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
    single_axes,
    styled,
)

# The factor a layer of squared gradients, and its inverse, beyond which colors no longer change.
STEEPEST = 4.0
# Depths of which the contours are drawn: so many layers make e of squared gradients, or 1/e.
CONTOURS = (3, 10, 30)
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


# --- phases ---------------------------------------------------------------------------------------


@styled
def phase_diagram(
    phases: pd.DataFrame,
    edge: pd.DataFrame | None = None,
    named: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """chi1 over sigma_w and sigma_b, from `theory.phase_diagram`: where gradients vanish, where they explode.

    edge: the edge of chaos, from `theory.edge_of_chaos`. named: sigma_w of initializers with biases of 0, from
    `theory.named_sigma_w`, marked below. Raises UsageError for frames that are no grid.
    """
    name = str(phases["activation"].iloc[0]) if len(phases) else ""
    title = f"Phases of wide {label(name)} networks"
    if phases.empty:
        return empty_figure(title, "There is no grid to draw.", ax)
    across, down = np.unique(phases["sigma_w"]), np.unique(phases["sigma_b"])
    if min(len(across), len(down)) < 2 or len(phases) != len(across) * len(down):
        raise UsageError("phases: must hold every pair of at least two sigma_w and two sigma_b")
    table = phases.pivot(index="sigma_b", columns="sigma_w", values="chi1").to_numpy(float)
    unbounded = phases.assign(lost=phases["phase"].eq("unbounded")).pivot(
        index="sigma_b", columns="sigma_w", values="lost"
    )
    lost = unbounded.to_numpy(bool)
    figure, axes = single_axes(ax, 5.1, 6.8)
    chi = np.where(lost, np.nan, table)
    with np.errstate(divide="ignore"):
        shade = np.log(np.clip(chi, 1 / STEEPEST, STEEPEST))
    limit = math.log(STEEPEST)
    image = axes.pcolormesh(
        across, down, shade, cmap=_tide(), vmin=-limit, vmax=limit, antialiased=False, rasterized=True
    )
    axes.grid(False)
    axes.set_xlim(across[0], across[-1])
    handles = _depth_contours(axes, across, down, chi)
    if edge is not None:
        handles = _edge_line(axes, edge[edge["stable"]], (across, down)) + handles
    handles += _unbounded(axes, across, down, lost)
    _name_phases(axes, across, down, chi, lost)
    _mark_initializers(axes, named or {}, down)
    axes.set_ylabel(r"$\sigma_b$, biases")
    _chi_bar(figure, image, axes)
    return dress(figure, title, handles, ax=ax)


def _tide() -> mpl.colors.Colormap:
    """Blue where gradients vanish, orange where they explode, paper between: apart for every kind of color vision."""
    blue, orange = ("#0072B2", "#D55E00")
    stops = [blue, mpl.colors.to_hex(_mix(blue, 0.45)), color("paper"), mpl.colors.to_hex(_mix(orange, 0.45)), orange]
    return mpl.colors.LinearSegmentedColormap.from_list("tide", stops).with_extremes(bad=color("paper"))


def _mix(name: str, share: float) -> np.ndarray:
    return share * np.array(mpl.colors.to_rgb(name)) + (1 - share) * np.array(mpl.colors.to_rgb(color("paper")))


def _depth_contours(axes: Axes, across: np.ndarray, down: np.ndarray, chi: np.ndarray) -> list[Line2D]:
    """Lines of equal depth scale 1/abs(ln chi1), with the number of layers on them."""
    levels = sorted(math.exp(sign / depth) for depth in CONTOURS for sign in (-1, 1))
    if not np.nanmin(chi, initial=np.inf) < levels[-1] or not np.nanmax(chi, initial=0) > levels[0]:
        return []
    look = {"linewidth": 0.6, "alpha": 0.7}
    with np.errstate(all="ignore"):
        lines = axes.contour(across, down, chi, levels=levels, colors=[color("ink")], linewidths=0.6, alpha=0.7)
    named = axes.clabel(lines, fmt=lambda level: f"{1 / abs(math.log(level)):.0f}", fontsize=7.5, inline_spacing=2)
    for text in named:
        text.set_color(color("ink"))
    return [Line2D([], [], color=color("ink"), label=r"depth scale $1/|\ln\,\chi_1|$, layers", **look)]


def _edge_line(axes: Axes, edge: pd.DataFrame, grid: tuple[np.ndarray, np.ndarray]) -> list[Line2D]:
    """The edge of chaos; where it is a single point, that."""
    across, down = grid
    inside = edge["sigma_w"].between(across[0], across[-1]) & edge["sigma_b"].between(down[0], down[-1])
    look = {"color": color("ink"), "label": r"edge of chaos, $\chi_1$ = 1"}
    if not inside.any():
        return []
    edge = edge[inside | inside.shift(1, fill_value=False) | inside.shift(-1, fill_value=False)]
    if np.ptp(edge["sigma_b"]) < 1e-3 and np.ptp(edge["sigma_w"]) < 1e-3:
        look |= {"marker": "o", "linestyle": "", "markersize": 7, "clip_on": False, "zorder": 8}
        return axes.plot(edge["sigma_w"].mean(), edge["sigma_b"].mean(), **look)
    return axes.plot(edge["sigma_w"], edge["sigma_b"], linewidth=2.4, **look)


def _unbounded(axes: Axes, across: np.ndarray, down: np.ndarray, lost: np.ndarray) -> list[Patch]:
    if not lost.any():
        return []
    with mpl.rc_context({"hatch.color": color("rule"), "hatch.linewidth": 1.0}):
        axes.contourf(across, down, lost.astype(float), levels=[0.5, 1.5], colors=["none"], hatches=["///"])
        return [Patch(facecolor="none", edgecolor=color("rule"), hatch="///", linewidth=0, label="no fixed point")]


def _name_phases(axes: Axes, across: np.ndarray, down: np.ndarray, chi: np.ndarray, lost: np.ndarray) -> None:
    """What happens, written in the middle of each phase that has room for it."""
    halo = [patheffects.withStroke(linewidth=3, foreground=color("paper"))]
    with np.errstate(invalid="ignore"):
        phases = {
            "ordered:\ngradients vanish": chi < 0.999,
            "chaotic:\ngradients explode": chi > 1.001,
            "the variance\ngrows without end": lost,
        }
    for text, inside in phases.items():
        if inside.mean() > 0.08:
            row, column = _innermost(inside)
            at = {"ha": "center", "va": "center", "fontsize": 9.5, "fontweight": "bold", "zorder": 6}
            axes.text(across[column], down[row], text, path_effects=halo, **at)


def _innermost(inside: np.ndarray) -> tuple[int, int]:
    """The place whose nearest place outside is farthest; of several, the one in their middle."""
    outside = np.argwhere(~np.pad(inside, 1)) - 1
    candidates = np.argwhere(inside)
    candidates = candidates[:: max(1, len(candidates) // 400)]
    scale = np.array([1.0 / inside.shape[0], 0.55 / inside.shape[1]])  # text is wider than high
    away = (((candidates[:, None] - outside[None]) * scale) ** 2).sum(axis=2).min(axis=1)
    deepest = candidates[away > 0.9 * away.max()]
    middle = np.abs((deepest - np.median(deepest, axis=0)) * scale).sum(axis=1)
    return tuple(deepest[int(middle.argmin())])


def _mark_initializers(axes: Axes, named: Mapping[str, float], down: np.ndarray) -> None:
    """A lane under sigma_b = 0 with a triangle for each initializer, and its name."""
    low, high = axes.get_xlim()
    inside = sorted(((w, name) for name, w in named.items() if low <= w <= high))
    axes.set_xlabel(r"$\sigma_w$, weights")
    height = down[-1] - down[0]
    if not inside or down[0] != 0:
        axes.set_ylim(down[0], down[-1])
        return
    ends: list[float] = []  # of the last name in each row
    for w, name in inside:
        half = 0.0078 * (high - low) * len(name)
        at = min(max(w, low + half), high - half)
        row = next((k for k, end in enumerate(ends) if end < at - half), len(ends))
        ends[row:] = [at + half, *ends[row + 1 :]]
        axes.plot([w], [-0.022 * height], marker="^", markersize=7, color=color("ink"), linestyle="", zorder=7)
        axes.text(at, (-0.044 - 0.043 * row) * height, name, ha="center", va="top", fontsize=8.5, zorder=7)
    lane = (0.055 + 0.043 * len(ends)) * height
    axes.set_ylim(-lane, down[-1])
    axes.axhspan(-lane, 0, color=color("paper"), zorder=2)
    axes.axhline(0, color=color("muted"), linewidth=0.8, zorder=3)
    axes.yaxis.set_major_locator(mpl.ticker.FixedLocator([t for t in axes.get_yticks() if 0 <= t <= down[-1]]))


def _chi_bar(figure: Figure, image: Any, axes: Axes) -> None:
    bar = figure.colorbar(image, ax=axes, aspect=28, fraction=0.04, pad=0.02, extend="both")
    bar.outline.set_visible(False)
    ticks = [0.25, 0.5, 1.0, 2.0, 4.0]
    bar.set_ticks([math.log(t) for t in ticks], labels=[f"{t:g}" for t in ticks])
    bar.set_label(r"$\chi_1$: squared gradients, factor a layer")


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
) -> Figure:
    """Expected statistics by layer as lines, measured ones as points with intervals, from `theory.compare`.

    A panel a statistic. At most eight settings; a note says what was left out. Raises UsageError for a statistic that
    is not in the frame.
    """
    title = "Theory over measurement before the first step"
    known = beside["statistic"].unique().tolist() if len(beside) else []
    for name in statistics if known else ():
        if name not in known:
            raise UsageError(f"statistics: {name!r} is not there; allowed: {', '.join(known)}")
    if not known:
        return empty_figure(title, "No run has a finite record at step 0.")
    keys = beside.columns[: beside.columns.get_loc("layer")].tolist()
    beside = beside.assign(setting=row_names(beside, keys))
    settings, note = shown(list(dict.fromkeys(beside["setting"])), HUES, "setting", "the first ones")
    looks = dict(zip(settings, pens(settings), strict=True))
    columns = min(2, len(statistics))
    rows = -(-len(statistics) // columns)
    figure = new_figure(1.4 + 2.15 * rows, 8.2)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    handles = [pen.handle() for pen in looks.values()]
    how = "Lines: expected, of wide layers. Points: measured, with 95% intervals of the mean over runs."
    dress(figure, title, handles, f"{how} {note}".strip())
    for axes, name in zip(grid, statistics, strict=False):
        _panel(axes, beside[beside["statistic"].eq(name)], looks)
        axes.set_title(STATISTICS.get(name, name))
    for k, axes in enumerate(grid):
        axes.set_visible(k < len(statistics))
        axes.tick_params(labelbottom=k + columns >= len(statistics))
        if k + columns >= len(statistics):
            axes.set_xlabel("layer (0 = first)")
    return figure


def _panel(axes: Axes, cells: pd.DataFrame, looks: Mapping[str, Pen]) -> None:
    cells = cells[cells["setting"].isin(looks)]
    numbers = cells[["expected", "measured", "low", "high"]].to_numpy(float)
    positive = numbers[np.isfinite(numbers)]
    if positive.size and positive.min() > 0 and positive.max() > 4 * positive.min():
        log_axis(axes.yaxis, *padded(positive))
    else:
        axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    for setting, pen in looks.items():
        rows = cells[cells["setting"].eq(setting)].sort_values("layer")
        axes.plot(rows["layer"], rows["expected"], **(pen.line() | {"marker": ""}), zorder=2)
        # Not moved apart: beside a steep line, a point would seem to miss it.
        axes.vlines(rows["layer"], rows["low"], rows["high"], color=pen.color, linewidth=1.4, zorder=3)
        axes.plot(rows["layer"], rows["measured"], **(pen.line() | {"linestyle": ""}), zorder=4)
    last = int(cells["layer"].max()) if len(cells) else 1
    axes.set_xlim(-0.35, last + 0.35)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(min(8, last + 1), integer=True, steps=[1, 2, 5, 10]))

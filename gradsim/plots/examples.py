"""Figures of telling runs: what their layers hold at a few moments, and how their losses and layers went."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradsim.analysis import words
from gradsim.plots.style import (
    WIDTH,
    color,
    dress,
    empty_figure,
    label,
    log_axis,
    new_figure,
    padded,
    say,
    shades,
    single_axes,
    step_axis,
    styled,
    tick_text,
)

TAIL = 0.01
"""Share of a layer's activations at either end that may lie outside what a histogram shows."""


# --- histograms -----------------------------------------------------------------------------------


@styled
def activation_histograms(histograms: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Histograms of activations by layer and time, a row a run, from `analysis.activation_histograms`.

    Moments rightward, layers upward. Heights are square roots of densities, each layer's tallest bin alike: a spike at
    0 or at a bound does not hide the rest. After Glorot and Bengio (2010), figures 2 to 4.
    """
    title = "Activations by layer and time, a run a row"
    if histograms.empty:
        return empty_figure(title, "No run was trained again, so there are no activations to show.", ax)
    runs = list(histograms.groupby("run_id", sort=False))
    counts = [rows["layer"].nunique() for _, rows in runs]
    pitch = 0.24 if max(counts) <= 5 else 0.17
    heights = pitch * (np.array(counts) + 0.75)
    tops = 0.42 + np.concatenate([[0], np.cumsum(heights + 0.78)[:-1]])
    figure, axes = single_axes(ax, tops[-1] + heights[-1] + 1.15)
    columns = max(rows["step"].nunique() for _, rows in runs)
    axes.set_xlim(0, 1.06 * columns - 0.06)
    axes.set_ylim(tops[-1] + heights[-1] + 0.2, 0)
    ticks: list[tuple[float, str]] = []
    for top, height, (_, rows) in zip(tops, heights, runs, strict=True):
        foot, layers = top + height, sorted(rows["layer"].unique())
        heading = f"{rows['fate'].iloc[0]}: {rows['setting'].iloc[0]}"
        axes.text(0, top - 0.2, label(heading, 80), va="bottom", fontweight="bold")
        ticks += [(foot - (k + 0.1) * pitch, str(layer)) for k, layer in enumerate(layers)]
        _run_strips(axes, rows, (top, foot, pitch))
    axes.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    axes.set_ylabel("layer (0 = first)")
    axes.set_xticks([])
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    note = "Numbers below a panel: the values it spans. Heights: square root of the density, tallest bins alike."
    return dress(figure, title, note=note, ax=ax)


def _run_strips(axes: Axes, rows: pd.DataFrame, place: tuple[float, float, float]) -> None:
    """The panels of one run, a moment each."""
    moments = list(rows.groupby("step", sort=True))
    ends = np.array([_ends(bins) for _, bins in moments])
    spans = ends[:, 1] - ends[:, 0]
    if spans.max() <= 3 * spans.min():
        ends[:] = ends[:, 0].min(), ends[:, 1].max()
    top, foot, pitch = place
    colors = _layer_colors(sorted(rows["layer"].unique()))
    for column, ((step, bins), (low, high)) in enumerate(zip(moments, ends, strict=True)):
        left = 1.06 * column
        small = {"fontsize": 7.5, "color": color("muted")}
        axes.text(left, top - 0.03, f"step {words.count(step)}", va="bottom", **small)
        axes.text(left, foot + 0.03, tick_text(_short(low)), va="top", **small)
        axes.text(left + 1, foot + 0.03, tick_text(_short(high)), va="top", ha="right", **small)
        axes.plot([left, left + 1], [foot, foot], color=color("rule"), linewidth=0.8, zorder=1)
        if low < 0 < high:
            zero = left - low / (high - low)
            axes.plot([zero, zero], [top, foot], color=color("rule"), linewidth=0.8, zorder=1)
        for k, layer in reversed(list(enumerate(colors))):
            mine = bins[bins["layer"].eq(layer)]
            base = foot - (k + 0.02) * pitch
            edges, height = _stairs(mine, low, high)
            look = {"facecolor": colors[layer], "edgecolor": colors[layer], "linewidth": 0.4, "zorder": 3 - 0.1 * k}
            axes.fill_between(left + edges, base, base - 1.6 * pitch * height, **look)


def _ends(bins: pd.DataFrame) -> tuple[float, float]:
    """The values between which each layer has all but its tails."""
    found = []
    for _, layer in bins.groupby("layer"):
        upto = layer["share"].cumsum()
        first, last = upto.gt(TAIL).idxmax(), upto.ge(1 - TAIL).idxmax()
        # The bins of a layer of one value are half a unit around it, which lies where the filled one begins.
        found.append((layer.loc[first, "left"], layer.loc[last, "left" if _constant(layer) else "right"]))
    low, high = min(low for low, _ in found), max(high for _, high in found)
    margin = 0.02 * (high - low) or 0.5
    return low - margin, high + margin


def _constant(layer: pd.DataFrame) -> bool:
    return int(layer["count"].gt(0).sum()) == 1


def _stairs(bins: pd.DataFrame, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Outline of a histogram: x from 0 to 1 over [low, high], heights from 0 to 1; of one value a spike."""
    if _constant(bins):
        place = (bins.loc[bins["count"].gt(0), "left"].iloc[0] - low) / (high - low)
        return np.clip(place + np.array([-1, -1, 1, 1]) * 0.006, 0, 1), np.array([0.0, 1.0, 1.0, 0.0])
    density = (bins["share"] / (bins["right"] - bins["left"])).to_numpy(float)
    height = np.sqrt(density / density.max())
    edges = np.stack([bins["left"], bins["right"]], axis=1).ravel()
    x = np.concatenate([edges[:1], edges, edges[-1:]])
    y = np.concatenate([[0], np.repeat(height, 2), [0]])
    return np.clip((x - low) / (high - low), 0, 1), y


def _short(x: float) -> float:
    """Two significant digits."""
    return float(f"{x:.2g}")


def _layer_colors(layers: Sequence[int]) -> dict[int, tuple]:
    """Steps of cividis, the first layer's darkest on light paper and lightest on dark."""
    colors = shades(np.linspace(0.05, 0.85, len(layers)), np.linspace(1.0, 0.42, len(layers)))
    return dict(zip(layers, colors, strict=True))


# --- courses --------------------------------------------------------------------------------------

STATISTICS = {
    "dead": "share of\ndead units",
    "saturated": "share\nsaturated",
    "distinct_units": "share of\ndistinct units",
    "delta_ratio": "delta_rms,\noutput = 1",
}


@styled
def example_courses(courses: pd.DataFrame) -> Figure:
    """Loss, and the statistic of layers that shows what happened, of a run a row, from `analysis.example_courses`.

    Losses left, layers right in steps of cividis; steps on an axis that is logarithmic from 1 on.
    """
    title = "How a run of each kind went"
    if courses.empty:
        return empty_figure(title, "No run has curves to show.")
    runs = list(courses.groupby("run_id", sort=False))
    by_layer = bool(courses["statistic"].ne("batch_loss").any())
    columns = 2 if by_layer else 1
    figure = new_figure(1.3 + 1.2 * len(runs), WIDTH)
    grid = figure.subplots(len(runs), columns, sharex=True, squeeze=False)
    layers = sorted(courses["layer"].dropna().unique())
    colors = _layer_colors(layers)
    last = max(1, courses["step"].max())
    for row, (_, rows) in zip(grid, runs, strict=True):
        loss = rows["statistic"].eq("batch_loss")
        _loss_panel(row[0], rows[loss])
        if by_layer:
            _layer_panel(row[1], rows[~loss], colors)
    for one in grid.ravel():
        step_axis(one, last)
    for one in grid[-1]:
        one.set_xlabel("step")
    named = [mpl.lines.Line2D([], [], color=c, label=f"layer {layer}", linewidth=2.4) for layer, c in colors.items()]
    figure.align_ylabels()
    return dress(figure, title, named if by_layer else ())


def _loss_panel(axes: Axes, rows: pd.DataFrame) -> None:
    if len(rows):
        axes.set_title(label(f"{rows['fate'].iloc[0]}: {rows['setting'].iloc[0]}", 84))
    axes.set_ylabel("batch loss")
    finite = rows[rows["value"].notna()]
    if finite.empty:
        axes.yaxis.set_major_locator(mpl.ticker.NullLocator())
        say(axes, "no finite loss was recorded")
        return
    axes.plot(finite["step"], finite["value"], color=color("ink"), linewidth=1.3)
    _end_mark(axes, rows, finite, color("ink"))
    log_axis(axes.yaxis, *padded(finite["value"], 0.1))


def _end_mark(axes: Axes, rows: pd.DataFrame, finite: pd.DataFrame, paint: object) -> None:
    """A cross where the numbers end because they are no longer finite."""
    if len(finite) < len(rows):
        axes.plot(finite["step"].iloc[-1:], finite["value"].iloc[-1:], "x", color=paint, markersize=6, zorder=4)


def _layer_panel(axes: Axes, rows: pd.DataFrame, colors: dict) -> None:
    if rows["value"].notna().sum() == 0:
        axes.yaxis.set_major_locator(mpl.ticker.NullLocator())
        say(axes, "no hidden layer has a finite record")
        return
    statistic = rows["statistic"].iloc[0]
    axes.set_ylabel(STATISTICS[statistic])
    for layer, mine in rows[rows["value"].notna()].groupby("layer"):
        axes.plot(mine["step"], mine["value"], color=colors[layer], marker="o", markersize=3, linewidth=1.3)
    if statistic == "delta_ratio":
        log_axis(axes.yaxis, *padded(rows["value"], 0.1))
        return
    axes.set_ylim(-0.06, 1.06)
    axes.set_yticks([0, 0.5, 1])
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))

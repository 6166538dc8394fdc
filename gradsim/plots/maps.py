"""Figures of cells: convergence over two axes, saturation over layers and time. Colors: cividis."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradsim.analysis import words
from gradsim.analysis.axes import is_numeric
from gradsim.analysis.groups import group_columns
from gradsim.errors import UsageError
from gradsim.plots.bars import evenly, rate_dots
from gradsim.plots.style import (
    PANELS,
    ROWS,
    WIDTH,
    axis_label,
    color,
    color_bar,
    dress,
    empty_figure,
    label,
    new_figure,
    noun_of,
    row_names,
    shown,
    single_axes,
    styled,
    tick_text,
)

SMALL = 0.2
"""Height in inches of a row that still has room for its name and counts."""


@styled
def convergence_rate(rates: pd.DataFrame, ax: Axes | None = None, limit: int = ROWS) -> Figure:
    """Share of runs that converged, from `analysis.convergence_rate`.

    Two columns to compare by make a heat map with the counts in its cells; one or none, points with Wilson
    intervals. Names are ranked by their pooled rate, at most `limit` of each; numbers keep their order and
    are all shown. Raises UsageError for more than two columns.
    """
    title = "Share of runs that converged"
    keys = group_columns(rates)
    if len(keys) > 2:
        raise UsageError(f"by = {keys}: a heat map has two axes; compare by at most two columns")
    if rates.empty:
        return empty_figure(title, "No runs to count.", ax)
    if len(keys) < 2:
        return rate_dots(rates, ax=ax, limit=limit, title=title)
    # The longer axis runs down the page, where its labels have room; numbers of one kind keep their place.
    rows, columns = sorted(keys, key=lambda key: -_visible(rates, key, limit))
    down, note_down = _ranked(rates, rows, limit)
    across, note_across = _ranked(rates, columns, limit)
    grid = rates.set_index([rows, columns])
    counts = [_pivot(grid[name], down, across) for name in ("converged", "n")]
    height = _row_height(len(down), is_numeric(rates[rows]))
    figure, axes = _map_axes(ax, down, across, height)
    texts = height >= SMALL and len(across) <= 14
    with np.errstate(invalid="ignore"):
        share = counts[0] / counts[1]
    image = axes.imshow(share, vmin=0, vmax=1, aspect="auto", cmap=_cividis())
    if texts:
        _cell_texts(axes, share, *counts)
    _name_cells(axes.yaxis, down, axis_label(rows))
    _name_cells(axes.xaxis, across, axis_label(columns), _slanted(down, across))
    _frame_off(axes, share.shape if texts else None)
    color_bar(figure, image, axes, "share that converged", figure.get_figheight() - 1.2)
    return dress(figure, title, note=" ".join(filter(None, (note_down, note_across))), ax=ax)


@styled
def convergence_panels(rates: pd.DataFrame, limit: int = ROWS) -> Figure:
    """Heat maps of the share that converged, a panel a value of a third column, from `analysis.convergence_rate`.

    The third column compared by makes up to nine panels, evenly picked of numbers, of names those that converge most
    often. Rows and columns are the same in all panels. Raises UsageError unless three columns are compared.
    """
    title = "Share of runs that converged"
    keys = group_columns(rates)
    if len(keys) != 3:
        raise UsageError(f"by = {keys}: panels of heat maps compare by three columns")
    if rates.empty:
        return empty_figure(title, "No runs to count.")
    panel = keys[2]
    rows, columns = sorted(keys[:2], key=lambda key: -_visible(rates, key, limit))
    down, note_down = _ranked(rates, rows, limit)
    across, note_across = _ranked(rates, columns, limit)
    values, note_panels = _picked(rates, panel)
    figure, grid = _panel_grid(down, len(values))
    for k, (axes, value) in enumerate(zip(grid, values, strict=True)):
        cell = rates[rates[panel].isna() if pd.isna(value) else rates[panel].eq(value)].set_index([rows, columns])
        counts = [_pivot(cell[name], down, across) for name in ("converged", "n")]
        with np.errstate(invalid="ignore"):
            share = counts[0] / counts[1]
        image = axes.imshow(share, vmin=0, vmax=1, aspect="auto", cmap=_cividis())
        axes.set_title(label(words.axis_value(panel, value), 30))
        _frame_off(axes, share.shape)
        if len(across) <= 6:
            _small_texts(axes, share)
        if k % PANEL_COLUMNS == 0:
            _name_cells(axes.yaxis, down, axis_label(rows), most=ROWS)
        else:
            axes.set_yticks([])
        if k // PANEL_COLUMNS == (len(values) - 1) // PANEL_COLUMNS:
            _name_cells(axes.xaxis, across, axis_label(columns), slanted=True, most=ROWS)
            if len(across) > 5:  # tilted names would run into each other
                axes.tick_params(axis="x", rotation=90)
                for text in axes.get_xticklabels():
                    text.set(ha="center", va="top", rotation_mode="default")
        else:
            axes.set_xticks([])
    name = "share that converged" if figure.get_figheight() > 3.5 else "converged"
    color_bar(figure, image, grid, name, figure.get_figheight() - 1.2)
    alike = "Columns are alike in all panels." if len(values) > PANEL_COLUMNS else ""
    return dress(figure, title, note=" ".join(filter(None, (alike, note_panels, note_down, note_across))))


def _picked(rates: pd.DataFrame, panel: str) -> tuple[list[Any], str]:
    """Values that get a panel."""
    values, note = _ranked(rates, panel, PANELS)
    if len(values) <= PANELS:
        return values, note
    kept, note = evenly(len(values), PANELS, words.axis_name(panel))
    return [values[k] for k in kept], note


PANEL_COLUMNS = 3
"""Heat maps side by side."""


def _panel_grid(down: list[Any], count: int) -> tuple[Figure, list[Axes]]:
    lines = -(-count // PANEL_COLUMNS)
    height = np.clip(0.26 * len(down), 0.6, 2.6) + 0.3
    figure = new_figure(1.5 + height * lines)
    grid = figure.subplots(lines, min(count, PANEL_COLUMNS), squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, list(grid[:count])


def _small_texts(axes: Axes, share: np.ndarray) -> None:
    """Shares alone: the counts have no room, and stand in the table."""
    for (row, column), value in np.ndenumerate(share):
        missing = np.isnan(value)
        text, ink = (words.MISSING, color("muted")) if missing else (words.percent(value), _readable(value))
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=7)


def _cividis() -> mpl.colors.Colormap:
    """cividis with the rule color where there is no number."""
    return mpl.colormaps["cividis"].with_extremes(bad=color("rule"))


def _visible(rates: pd.DataFrame, key: str, limit: int) -> int:
    count = rates[key].nunique(dropna=False)
    return count if is_numeric(rates[key]) else min(count, limit)


def _ranked(rates: pd.DataFrame, key: str, limit: int) -> tuple[list[Any], str]:
    if is_numeric(rates[key]):
        return sorted(rates[key].unique(), key=lambda x: (pd.isna(x), x)), ""
    sums = rates.groupby(key, sort=False, dropna=False, observed=True)[["converged", "n"]].sum()
    ranked = (sums["converged"] / sums["n"]).sort_values(ascending=False, kind="stable").index.tolist()
    return shown(ranked, limit, words.axis_name(key), "those that converge most often")


def _pivot(cells: pd.Series, down: list[Any], across: list[Any]) -> np.ndarray:
    return cells.unstack().reindex(index=down, columns=across).to_numpy(float)


def _row_height(rows: int, numeric: bool) -> float:
    """Inches a row: room for two lines, for one, or, of many numbers, for color alone."""
    if rows <= ROWS:
        return 0.5
    return SMALL if rows <= 30 or not numeric else 6.0 / rows


def _map_axes(ax: Axes | None, down: list[Any], across: list[Any], height: float) -> tuple[Figure, Axes]:
    slanted = 0.75 if _slanted(down, across) else 0.25
    return single_axes(ax, max(2.5, 1.0 + slanted + height * len(down)), _map_width(down, across))


def _map_width(down: list[Any], across: list[Any]) -> float:
    return min(WIDTH, max(4.4, _beside(down) + 0.85 * len(across)))


def _beside(down: list[Any]) -> float:
    """Inches that the rows' names and the color bar take."""
    return 0.075 * min(max((len(words.value(v)) for v in down), default=1), 30) + 1.3


def _slanted(down: list[Any], across: list[Any]) -> bool:
    """Whether a column's name is too long to stand level under its column."""
    room = (_map_width(down, across) - _beside(down)) / max(len(across), 1) / 0.063
    return any(len(label(words.value(v))) > room for v in across)


def _name_cells(axis: Any, values: list[Any], name: str, slanted: bool = False, most: int = 0) -> None:
    """Tick labels, at most so many; of many numbers only every few, so that they never touch."""
    down = axis.axis_name == "y"
    stride = max(1, int(np.ceil(len(values) / (most or (60 if down else 24)))))
    places = range(0, len(values), stride)
    texts = [label(words.value(values[k])) for k in places]
    slant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
    axis.set_ticks(places, texts, **slant)
    axis.set_label_text(name)


def _cell_texts(axes: Axes, share: np.ndarray, converged: np.ndarray, n: np.ndarray) -> None:
    roomy = share.shape[0] <= ROWS
    size = 8.5 if share.shape[1] <= 6 else 7.5 if share.shape[1] <= 10 else 6.5
    for (row, column), value in np.ndenumerate(share):
        if np.isnan(value):
            axes.text(column, row, words.MISSING, ha="center", va="center", color=color("muted"), fontsize=size)
            continue
        ink = _readable(value)
        tally = f"{converged[row, column]:,.0f} of {n[row, column]:,.0f}" if share.shape[1] <= 8 else ""
        tally = tally or f"{converged[row, column]:.0f}/{n[row, column]:.0f}"
        text = f"{words.percent(value)}\n{tally}" if roomy else tally
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size, linespacing=1.35)


def _readable(share: float) -> str:
    """Near-white or near-black, whichever stands out more from the cell's color; the paper's white would turn dark."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colormaps["cividis"](share)[:3]]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "#fefefe" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.057 else "#10161f"


def _frame_off(axes: Axes, shape: tuple[int, int] | None) -> None:
    axes.grid(False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if shape:
        for k in range(1, shape[0]):
            axes.axhline(k - 0.5, color=color("paper"), linewidth=1.2)
        for k in range(1, shape[1]):
            axes.axvline(k - 0.5, color=color("paper"), linewidth=1.2)


@styled
def saturation(shares: pd.DataFrame, ax: Axes | None = None, limit: int = ROWS) -> Figure:
    """Share of saturated hidden (sample, unit) pairs by layer over time, from `analysis.saturation`.

    A strip a category, low and high side by side; layers upward, checkpoints evenly spaced. Categories are
    ranked by their largest share on the rarer side, for a rectifier's flat half is always low.
    """
    title = "Saturated pre-activations by layer over time"
    if shares.empty:
        return empty_figure(title, "No hidden layer has a finite record, so there is no saturation to show.", ax)
    keys = group_columns(shares)[:-2]
    names = pd.Series(row_names(shares, keys), shares.index)
    rarer = shares[["low", "high"]].min(axis=1).groupby(names, sort=False).max()
    ranked = rarer.sort_values(ascending=False, kind="stable").index
    kinds, note = shown(ranked, limit, noun_of(keys), "those that saturate most on both sides")
    layers, steps = sorted(shares["layer"].unique()), sorted(shares["step"].unique())
    # One axes for all strips, its y axis in inches from the top: an axes a strip would take seconds to lay out.
    strip = float(np.clip((0.14 if len(kinds) <= 6 else 0.09) * len(layers), 0.35, 1.6))
    tops = 0.5 + (strip + 0.3) * np.arange(len(kinds))
    figure, axes = single_axes(ax, 1.0 + tops[-1] + strip + (0.2 if note else 0))
    wide = len(steps) * 1.03
    for top, kind in zip(tops, kinds, strict=True):
        axes.text(0, top - 0.05, label(kind, 60), ha="left", va="bottom", fontweight="bold")
        for left, side in ((0, "low"), (wide, "high")):
            table = shares[names == kind].pivot_table(index="layer", columns="step", values=side)
            cells = table.reindex(index=layers, columns=steps).to_numpy(float)
            extent = (left, left + len(steps), top + strip, top)
            image = axes.imshow(cells, vmin=0, vmax=1, aspect="auto", origin="lower", cmap=_cividis(), extent=extent)
    for left, side in ((0, "low"), (wide, "high")):
        axes.text(left + len(steps) / 2, 0.12, f"{side} side", ha="center", va="center", color=color("muted"))
    axes.set_xlim(0, wide + len(steps))
    axes.set_ylim(tops[-1] + strip, 0)
    _name_strips(axes, (steps, layers), wide, tops + strip, strip)
    color_bar(figure, image, axes, "mean share saturated", tops[-1] + strip)
    return dress(figure, title, note=note, ax=ax)


def _name_strips(axes: Axes, cells: tuple[list, list], wide: float, feet: np.ndarray, strip: float) -> None:
    """Steps under both columns of strips, layers left of each strip, as many as have room."""
    steps, layers = cells
    texts = [tick_text(step) for step in steps]
    stride = max(1, int(np.ceil(sum(len(text) + 1.5 for text in texts) * 0.085 / 2.9)))
    kept = range(len(steps) - 1, -1, -stride)
    axes.set_xticks([left + k + 0.5 for left in (0, wide) for k in kept], [texts[k] for _ in (0, 1) for k in kept])
    axes.set_xlabel("step")
    height = strip / len(layers)
    kept = range(0, len(layers), max(1, int(np.ceil(0.15 / height))))
    places = [foot - (k + 0.5) * height for foot in feet for k in kept]
    axes.set_yticks(places, [str(layers[k]) for _ in feet for k in kept])
    axes.set_ylabel("layer (0 = first)")
    _frame_off(axes, None)

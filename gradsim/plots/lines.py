"""Figures of lines: loss and dead units against learning rate, loss and sharpness over time, the error signal by layer.

Lines are the first column compared by, panels the second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from gradsim.analysis import words
from gradsim.analysis.axes import is_numeric, is_rate
from gradsim.analysis.groups import group_columns
from gradsim.errors import UsageError
from gradsim.plots.style import (
    HUES,
    PANELS,
    Pen,
    axis_label,
    color,
    dress,
    empty_figure,
    label,
    log_axis,
    new_figure,
    padded,
    pens,
    rate_scale,
    say,
    shown,
    single_axes,
    step_axis,
    styled,
)

Draw = Callable[[Axes, pd.DataFrame, Pen, int], None]


class Multiples:
    """Small multiples: which categories are shown, on which axes, drawn with which pen."""

    def __init__(self, frame: pd.DataFrame, keys: Sequence[str], score: pd.Series, how: str, ax: Axes | None = None):
        """`score` (a number a row of `frame`, small first) ranks categories where not all can be shown."""
        if len(keys) > 2:
            raise UsageError(f"by = {list(keys)}: lines and panels show at most two columns")
        self.hue, self.panel = [*keys, None, None][:2]
        if ax is not None and self.panel:
            raise UsageError(f"ax: a figure with a panel for each {self.panel} cannot be drawn on one axes")
        self.frame = frame
        self.hues, first = self._pick(self.hue, score, HUES, how)
        self.panels, second = self._pick(self.panel, score, PANELS, how)
        self.note = " ".join(filter(None, (first, second)))
        self.pens = pens(self.hues)

    def _pick(self, key: str | None, score: pd.Series, limit: int, how: str) -> tuple[list[Any], str]:
        if key is None:
            return [None], ""
        values = self.frame[key].drop_duplicates().tolist()
        if len(values) <= limit:
            return values, ""
        best = score.groupby(self.frame[key], sort=False, dropna=False, observed=True).min()
        ranked = best.sort_values(kind="stable").index.tolist()
        kept, note = shown(ranked, limit, words.axis_name(key), how)
        if is_numeric(self.frame[key]):  # in their own order; a missing number is equal to itself here
            kept = [value for value, there in zip(values, pd.Series(values).isin(kept), strict=True) if there]
        return kept, note

    def shown_rows(self) -> pd.DataFrame:
        """The rows of the frame that some panel shows."""
        rows = self.frame
        for key, values in ((self.hue, self.hues), (self.panel, self.panels)):
            if key is not None:
                rows = rows[rows[key].isin(values) | rows[key].isna()]
        return rows

    def grid(self, ax: Axes | None, height: float) -> list[Axes]:
        """The axes of a figure with one a panel, up to three in a row."""
        count = len(self.panels)
        if count == 1:
            return [single_axes(ax, height + 1.3)[1]]
        columns = {2: 2, 4: 2}.get(count, 3)
        rows = -(-count // columns)
        figure = new_figure(1.1 + (height if columns < 3 or rows == 1 else 0.85 * height) * rows)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for k, axes in enumerate(grid):
            axes.set_visible(k < count)
            # Under an incomplete last row the axes above the gap carry the tick labels.
            axes.tick_params(labelbottom=k + columns >= count)
        return list(grid[:count])

    def draw(self, axes: Sequence[Axes], draw: Draw, frame: pd.DataFrame | None = None) -> None:
        """Call `draw(axes, rows, pen, number of the pen)` for every line of every panel."""
        frame = self.frame if frame is None else frame
        for one, panel in zip(axes, self.panels, strict=True):
            cell = frame if self.panel is None else frame[_same(frame[self.panel], panel)]
            if self.panel is not None:
                one.set_title(label(words.axis_value(self.panel, panel), 34))
            for k, (hue, pen) in enumerate(zip(self.hues, self.pens, strict=True)):
                rows = cell if self.hue is None else cell[_same(cell[self.hue], hue)]
                if len(rows):
                    draw(one, rows, pen, k)

    def handles(self) -> list[Any]:
        return [pen.handle() for pen in self.pens] if self.hue else []


def _same(column: pd.Series, value: Any) -> pd.Series:
    return column.isna() if pd.isna(value) else column.eq(value).fillna(False).astype(bool)


def finish(panels: Multiples, axes: Sequence[Axes], title: str, names: tuple[str, str], ax: Axes | None) -> Figure:
    """Title, legend and note, then the axes' names: x under the lowest panels, y once for all rows."""
    figure = axes[0].get_figure(root=True)
    dress(figure, title, panels.handles(), panels.note, ax)
    for one in axes:
        if one.xaxis.get_tick_params().get("labelbottom", True):
            one.set_xlabel(names[0])
    if ax is not None or axes[0].get_gridspec().nrows == 1:
        axes[0].set_ylabel(names[1].replace(", ", ",\n"))
        return figure
    _, bottom, _, height = figure.get_layout_engine().get()["rect"]
    figure.supylabel(names[1], y=bottom + height / 2, fontsize=9, color=color("muted"))
    return figure


def _dodged(x: pd.Series, k: int, count: int, span: pd.Series) -> np.ndarray:
    """Positions on a log axis moved a little apart by line, so that equal values do not hide each other."""
    reach = (span.max() / span.min()) ** 0.006 if span.min() > 0 else 1.0
    return x.to_numpy(float) * reach ** (k - (count - 1) / 2)


@styled
def loss_by_learning_rate(losses: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Median final loss against learning rate with intervals, from `analysis.loss_by_learning_rate`.

    A median that is infinite (more than half of the runs diverged) is a cross in a band above the plot.
    """
    title = "Final training loss against learning rate"
    if losses.empty:
        return empty_figure(title, "No run has a single learning rate, so there is nothing to compare.", ax)
    *keys, rate = group_columns(losses)
    panels = Multiples(losses, keys, losses["loss"], "those with the lowest loss", ax)
    axes = panels.grid(ax, 2.35)
    rows = panels.shown_rows()
    finite = rows[["loss", "loss_low", "loss_high"]].to_numpy(float)
    low, high = padded(finite)
    hopeless = np.isnan(low)
    low, high = (0.1, 1.0) if hopeless else (low, high)
    lost = bool(np.isinf(rows["loss"]).any())
    share = 0.86 - 0.015 * len(panels.hues) if lost else 1.0
    top = low * (high / low) ** (1 / share)
    for one in axes:
        rate_scale(one.xaxis, rows[rate])
        log_axis(one.yaxis, low, top)
        if lost:
            one.yaxis.set_major_locator(_ticks_below(one.yaxis, high))
            one.axhspan(high, top, color=color("rule"), alpha=0.6, linewidth=0)
            where = {"transform": one.transAxes, "ha": "left", "va": "top"}
            one.text(0.02, 0.985, "more than half diverged", fontsize=7.5, color=color("muted"), **where)
        if hopeless:
            one.yaxis.set_major_locator(mpl.ticker.NullLocator())
            say(one, "no median is finite")

    def draw(one: Axes, cell: pd.DataFrame, pen: Pen, k: int) -> None:
        cell = cell.sort_values(rate)
        x, y = _dodged(cell[rate], k, len(panels.hues), losses[rate]), cell["loss"].to_numpy(float)
        inside = np.isfinite(y)
        one.plot(x, np.where(inside, np.maximum(y, low), np.nan), **pen.line(), zorder=3)
        ends = np.clip(cell[["loss_low", "loss_high"]].to_numpy(float), low, high)
        one.vlines(x[inside], ends[inside, 0], ends[inside, 1], color=pen.color, linewidth=1.1, alpha=0.8)
        lane = share + (1 - share) * (0.1 + 0.62 * (len(panels.hues) - k - 0.5) / len(panels.hues))
        mixed = blended_transform_factory(one.transData, one.transAxes)
        looks = {"marker": "x", "linestyle": "", "color": pen.color, "markersize": 4.5}
        lost_at = cell[rate].to_numpy(float)[~inside]
        one.plot(lost_at, np.full(lost_at.size, lane), transform=mixed, **looks)

    panels.draw(axes, draw)
    return finish(panels, axes, title, (axis_label(rate), "median final loss, 95% interval"), ax)


def _ticks_below(axis: Any, high: float) -> Any:
    return mpl.ticker.FixedLocator([tick for tick in axis.get_majorticklocs() if tick <= high])


@styled
def dead_units(shares: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Final share of dead hidden units against learning rate, from `analysis.dead_units`."""
    title = "Dead hidden units at the end"
    if shares.empty:
        return empty_figure(title, "No run has a hidden layer with a finite record at its end.", ax)
    *keys, rate = group_columns(shares)
    panels = Multiples(shares, keys, -shares["mean"], "those with most dead units", ax)
    axes = panels.grid(ax, 2.0)
    top = min(1.0, max(0.1, 1.2 * panels.shown_rows()["high"].max()))
    for one in axes:
        rate_scale(one.xaxis, shares[rate])
        _dead_axis(one, top)

    def draw(one: Axes, cell: pd.DataFrame, pen: Pen, k: int) -> None:
        cell = cell.sort_values(rate)
        x = _dodged(cell[rate], k, len(panels.hues), shares[rate])
        one.plot(x, cell["mean"], **pen.line(), zorder=3)
        one.vlines(x, cell["low"], cell["high"], color=pen.color, linewidth=1.1, alpha=0.8)

    panels.draw(axes, draw)
    return finish(panels, axes, title, (axis_label(rate), "mean share dead, 95% interval"), ax)


def _dead_axis(ax: Axes, top: float) -> None:
    """Shares of dead units, as percent from zero to `top`."""
    ax.set_ylim(-0.03 * top, 1.03 * top)
    ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))


@styled
def dead_over_time(shares: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Share of dead hidden units over training with the quartiles as a band, from `analysis.dead_over_time`."""
    title = "Dead hidden units over training"
    if shares.empty:
        return empty_figure(title, "No run has a hidden layer with a finite record.", ax)
    *keys, _ = group_columns(shares)
    panels = Multiples(shares, keys, -shares["mean"], "those with most dead units", ax)
    axes = panels.grid(ax, 2.0)
    rows, last = panels.shown_rows(), max(1, shares["step"].max())
    top = min(1.0, max(0.1, 1.1 * rows[["mean", "q75"]].to_numpy(float).max()))
    for one in axes:
        step_axis(one, last)
        _dead_axis(one, top)

    def draw(one: Axes, cell: pd.DataFrame, pen: Pen, _: int) -> None:
        one.fill_between(cell["step"], cell["q25"], cell["q75"], color=pen.color, alpha=0.1, linewidth=0)
        one.plot(cell["step"], cell["mean"], **pen.line(), zorder=3)

    panels.draw(axes, draw)
    return finish(panels, axes, title, ("step", "mean share dead, quartiles shaded"), ax)


@styled
def loss_curves(curves: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Median batch loss over training with the quartiles as a band, from `analysis.loss_curves`."""
    title = "Batch loss over training"
    if curves.empty:
        return empty_figure(title, "No loss was recorded after step 0.", ax)
    *keys, _ = group_columns(curves)
    last = curves["median"].where(curves["step"].eq(curves["step"].max()))
    panels = Multiples(curves, keys, last, "those with the lowest loss at the end", ax)
    axes = panels.grid(ax, 2.2)
    rows = panels.shown_rows()
    low, high = padded(rows[["q25", "median", "q75"]].to_numpy(float))
    # Losses on their way to infinity would press all others into a line.
    high = min(high, 30 * rows.loc[rows["step"].eq(rows["step"].min()), "median"].median())
    if not low < high:
        low, high = 0.1, 1.0

    def draw(one: Axes, cell: pd.DataFrame, pen: Pen, k: int) -> None:
        x, beyond = cell["step"], 10 * high
        q25, middle, q75 = (cell[name].clip(low / 10, beyond) for name in ("q25", "median", "q75"))
        one.fill_between(x, q25, q75, color=pen.color, alpha=0.13, linewidth=0)
        every = max(1, len(cell) // 6)
        one.plot(x, middle.where(middle < beyond), **pen.line(), markevery=(k * every // HUES, every), zorder=3)

    for one in axes:
        log_axis(one.yaxis, low, high)
        one.set_xlim(0, curves["step"].max() * 1.02)
        one.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        one.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.6g}"))
    panels.draw(axes, draw)
    for one in axes:
        if not any(np.isfinite(np.asarray(line.get_ydata(), float)[-1]) for line in one.lines):
            say(one, "more than half of the runs of every line diverged")
    return finish(panels, axes, title, ("step", "median batch loss, quartiles shaded"), ax)


@styled
def converged_by_step(shares: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Share of all runs that have converged by a step, with Wilson intervals, from `analysis.converged_by_step`."""
    title = "Share of runs that have converged by a step"
    if shares.empty:
        return empty_figure(title, "No runs to count.", ax)
    *keys, _ = group_columns(shares)
    panels = Multiples(shares, keys, -shares["share"], "those that converge most often", ax)
    axes = panels.grid(ax, 2.0)
    for one in axes:
        log_axis(one.xaxis, 0.95, max(2.0, 1.05 * shares["step"].max()))
        one.set_ylim(-0.03, 1.03)
        one.set_yticks([0, 0.5, 1])
        one.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))

    def draw(one: Axes, cell: pd.DataFrame, pen: Pen, k: int) -> None:
        # Of none and of all, where lines lie on each other, bands would add up to a gray that is nobody's.
        some = cell["share"].between(0, 1, inclusive="neither").to_numpy()
        band = {"step": "post", "color": pen.color, "alpha": 0.12, "linewidth": 0}
        one.fill_between(cell["step"], cell["low"], cell["high"], where=some, **band)
        every = max(1, len(cell) // 6)
        look = {"drawstyle": "steps-post", "markevery": (k * every // HUES, every), "zorder": 3}
        one.plot(cell["step"], cell["share"], **pen.line(), **look)

    panels.draw(axes, draw)
    return finish(panels, axes, title, ("step", "share converged"), ax)


# How far beyond the sharpness that was measured a limit may lie and still be shown.
LIMIT_SPAN = 4.0


@styled
def sharpness(sharpness: pd.DataFrame, ax: Axes | None = None) -> Figure:
    """Median sharpness over training with the quartiles as a band, from `analysis.sharpness`, on a log axis.

    Dashed in the color of each line: the limit of stability at its learning rate, where that is within reach.
    """
    title = "Sharpness over training"
    if sharpness.empty:
        return empty_figure(title, "No run has a finite sharpness at a checkpoint.", ax)
    *keys, _ = group_columns(sharpness)
    panels = Multiples(sharpness, keys, -sharpness["median"], "those with the sharpest loss", ax)
    panels.pens = [replace(pen, dashes="-") for pen in panels.pens]  # dashes are for limits
    if panels.hue and is_rate(panels.hue):
        title = f"{title}, by {words.axis_name(panels.hue)}"
    axes = panels.grid(ax, 2.4)
    rows = panels.shown_rows()
    low, high = padded(rows[["q25", "median", "q75"]].to_numpy(float))
    low, high = (0.1, 1.0) if np.isnan(low) else (low, high)
    limits = rows["limit"].to_numpy(float)
    near = limits[(limits > low / LIMIT_SPAN) & (limits < high * LIMIT_SPAN)]
    if near.size:
        low, high = min(low, near.min() / 1.15), max(high, near.max() * 1.15)

    def draw(one: Axes, cell: pd.DataFrame, pen: Pen, k: int) -> None:
        cell = cell.sort_values("step")
        x, every = cell["step"], max(1, len(cell) // 8)
        q25, middle, q75 = (cell[name].clip(lower=low / 10) for name in ("q25", "median", "q75"))
        one.fill_between(x, q25, q75, color=pen.color, alpha=0.13, linewidth=0)
        one.plot(x, middle, **pen.line(), markevery=(k * every // HUES, every), zorder=3)
        one.plot(x, cell["limit"], color=pen.color, linestyle=(0, (5, 3)), linewidth=1.0, drawstyle="steps-post")

    for one in axes:
        log_axis(one.yaxis, low, high)
        if len(one.get_yticks()) < 3:
            one.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        one.set_xlim(-0.01 * sharpness["step"].max(), max(1, sharpness["step"].max()) * 1.02)
        one.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    panels.draw(axes, draw)
    said = "Sharpness: the largest eigenvalue of the Hessian of the loss."
    if near.size:
        said += " Dashed: the limit of stability, 2/rate for gradient descent, beyond which steps of a full batch grow."
    panels.note = f"{said} {panels.note}".strip()
    return finish(panels, axes, title, ("step", "median sharpness, quartiles shaded"), ax)

"""Figures of lines over layers, at the start and at the end: the error signal, the size of steps."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradsim.analysis import words
from gradsim.analysis.axes import is_rate
from gradsim.analysis.groups import group_columns
from gradsim.plots.lines import Multiples, finish
from gradsim.plots.style import WIDTH, Pen, color, empty_figure, log_axis, new_figure, padded, say, styled

# Least over largest error signal that the gradient flow's axis shows.
FLOW_SPAN = 1e-12


@styled
def gradient_flow(flow: pd.DataFrame) -> Figure:
    """delta_rms by layer at start and end, from `analysis.gradient_flow`; start left, end right, a row a panel.

    The axis spans at most twelve decades, twice what counts as vanishing, and begins where most values are: what lies
    below, 0 included, or far above stands on an edge as a hollow mark, so that no one setting flattens all others.
    """
    title = "Error signal by layer, at the start and at the end"
    panels = _multiples(flow, "those with the largest signal")
    if panels is None:
        return empty_figure(title, "No layer has a finite record.")
    return _start_and_end(panels, title, "median delta_rms, quartiles shaded")


RULE = (3e-4, 3e-3)
"""Updates of about a thousandth of the weights are a common rule of thumb: within half a decade of it."""


@styled
def update_ratios(ratios: pd.DataFrame) -> Figure:
    """Update over weight by layer at start and end, from `analysis.update_ratios`, as `gradient_flow` is laid out.

    Shaded: within half a decade of 1/1000, the rule of thumb for steps that neither stand still nor overthrow what was
    learned. It is a habit, not a law: it depends on the optimizer and on how far training is.
    """
    title = "Size of a step over that of the weights, by layer"
    panels = _multiples(ratios, "those with the largest steps")
    if panels is None:
        return empty_figure(title, "No layer has weights other than 0 and a finite record.")
    panels.note = f"Gray band: 0.0003 to 0.003, the rule of thumb. {panels.note}".strip()
    if panels.hue and is_rate(panels.hue):
        title = f"{title} and {words.axis_name(panels.hue)}"
    return _start_and_end(panels, title, "median update ratio", RULE)


def _multiples(frame: pd.DataFrame, how: str) -> Multiples | None:
    if frame.empty:
        return None
    *keys, _, _ = group_columns(frame)
    return Multiples(frame, keys, -frame["median"], how)


def _start_and_end(panels: Multiples, title: str, name: str, band: tuple[float, float] | None = None) -> Figure:
    """Start left, end right, a row a panel; `band`: a range of values that is shaded, in the quartiles' stead."""
    frame = panels.frame
    count = len(panels.panels)
    figure = new_figure(1.15 + (2.4 if count == 1 else 1.45 if count < 6 else 1.15) * count, WIDTH)
    grid = figure.subplots(count, 2, sharex=True, sharey=True, squeeze=False)
    rows = panels.shown_rows()
    low, high = _ends(rows["median"], band)
    below, above = bool(rows["median"].lt(low).any()), bool(rows["median"].gt(high).any())
    low = low / (high / low) ** 0.05 if below else low
    high = high * (high / low) ** 0.05 if above else high

    def draw(one: Axes, cell: pd.DataFrame, pen: Pen, _: int) -> None:
        x, y = cell["layer"].to_numpy(float), cell["median"].to_numpy(float)
        inside = (y > low) & (y < high)
        one.plot(x, np.where(inside, y, np.nan), **pen.line(), zorder=3)
        if band is None:
            quartiles = [np.clip(cell[name].to_numpy(float), low / 10, 10 * high) for name in ("q25", "q75")]
            one.fill_between(x, *quartiles, where=inside, color=pen.color, alpha=0.12, linewidth=0)
        for edge, beyond in ((low, y <= low), (high, y >= high)):
            if beyond.any():  # an empty unclipped line would count as lying at the figure's corner
                hollow = {"marker": pen.marker, "linestyle": "", "markerfacecolor": "none", "color": pen.color}
                one.plot(x[beyond], np.full(beyond.sum(), edge), clip_on=False, zorder=4, **hollow)

    for (_, column), one in np.ndenumerate(grid):
        _flow_axes(one, frame, (low, high), ("start", "end")[column])
    for column, moment in enumerate(("start", "end")):
        panels.draw(grid[:, column], draw, frame[frame["moment"].eq(moment)])
    for one in grid.ravel():
        if not one.lines:
            say(one, "no run is finite here")
        if band is not None:
            one.axhspan(*band, color=color("muted"), alpha=0.22, linewidth=0, zorder=0.5)
    if below:
        panels.note = f"{panels.note} Hollow marks on the lower edge: 0, or too small for the axis.".strip()
    if above:
        panels.note = f"{panels.note} Hollow marks on the upper edge: too large for the axis.".strip()
    return finish(panels, grid.ravel().tolist(), title, ("layer (0 = first)", name), None)


def _ends(medians: pd.Series, band: tuple[float, float] | None) -> tuple[float, float]:
    """The ends of the axis: at most three decades above the upper quartile, FLOW_SPAN below that; of steps, which lie
    close together, three decades below the lower one."""
    low, high = padded([*medians, *(band or ())])
    if np.isnan(low):
        return 1e-3, 1.0
    some = medians[medians.gt(0) & np.isfinite(medians)]
    if len(some):
        quarter, three = np.quantile(some, [0.25, 0.75])
        high = max(min(high, 1e3 * three), band[1] if band else 0.0)
        low = min(max(low, 1e-3 * quarter), band[0]) if band else low
    return max(low, high * FLOW_SPAN), high


def _flow_axes(one: Axes, frame: pd.DataFrame, ends: tuple[float, float], moment: str) -> None:
    log_axis(one.yaxis, *ends)
    last = int(frame["layer"].max())
    one.xaxis.set_major_locator(mpl.ticker.MaxNLocator(min(8, last + 1), integer=True, steps=[1, 2, 5, 10]))
    one.set_xlim(-0.2, last + 0.2)
    one.set_title(moment, loc="right", fontweight="normal", color=color("muted"))

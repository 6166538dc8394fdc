"""Figures of the league: who comes first, the best known, and everybody at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import ticker
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from standings import KNOWN

from gradsim.plots.style import color, dress, label, log_axis, new_figure, pens, styled

BLUE, GRAY = "#0072B2", "#8c8c8c"
ROWS = 15
# Labeled in the plots of everybody: far apart, and asked for most.
NAMED = ("identity", "relu", "leaky_relu", "elu", "selu", "softplus", "gelu", "sigmoid", "tanh", "maxout", "prelu")
PRICED = ("relu", "elu", "softplus", "gelu", "tanh", "maxout", "prelu")


def _dots(axes, frame: pd.DataFrame, name: str, hues: list[str], offset: float = 0.0, **look: object) -> None:
    """A statistic with its interval, a row each."""
    rows = np.arange(len(frame)) + offset
    axes.hlines(rows, frame[f"{name}_low"], frame[f"{name}_high"], color=hues, linewidth=2, alpha=0.5)
    axes.scatter(frame[name], rows, c=hues, zorder=3, **({"s": 22} | look))


def _named_rows(axes, names: pd.Series, width: int = 18) -> None:
    axes.set_yticks(range(len(names)), [label(name, width) for name in names], color=color("ink"))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)


@styled
def leaders(standings: Mapping[str, pd.DataFrame]) -> Figure:
    """The first of each league by mean place."""
    figure = new_figure(3.9)
    for axes, (league, frame) in zip(figure.subplots(1, len(standings)), standings.items(), strict=True):
        top = frame.head(ROWS)
        hues = [BLUE if name in KNOWN else GRAY for name in top["activation"]]
        _dots(axes, top, "place", hues)
        out = np.flatnonzero(~top["first"])
        axes.scatter(top["place"].to_numpy()[out], out, c=color("paper"), s=7, zorder=4)
        _named_rows(axes, top["activation"])
        axes.set_xlim(left=0)
        axes.set_title(f"{league.capitalize()} networks")
        axes.set_xlabel("mean place")
    note = (
        f"Of {len(frame)} activations, on fresh seeds, with 95% intervals. Blue: the best known. A ring: not the best "
        "of all, all comparisons together at 95%."
    )
    return dress(figure, "Who trains fastest at its own best setting", note=note)


@styled
def known(standings: Mapping[str, pd.DataFrame]) -> Figure:
    """The best known in all leagues: place, share that trains, window."""
    order = sum(frame.set_index("activation")["place"] for frame in standings.values())
    names = order[order.index.isin(KNOWN)].sort_values().index
    figure = new_figure(1.5 + 0.25 * len(names))
    panels = figure.subplots(1, 3, sharey=True)
    looks = pens(list(standings))
    for k, (frame, pen) in enumerate(zip(standings.values(), looks, strict=True)):
        rows = frame.set_index("activation").loc[names].reset_index()
        for axes, name in zip(panels, ("place", "trained", "window"), strict=True):
            _dots(axes, rows, name, [pen.color] * len(rows), 0.24 * (k - 1), marker=pen.marker, s=16)
    _named_rows(panels[0], pd.Series(names))
    for axes in panels:
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        for row in range(len(names) - 1):
            axes.axhline(row + 0.5, color=color("rule"), linewidth=0.5)
    panels[0].set_xlabel("mean place")
    panels[1].set_xlabel("share that reaches the target")
    panels[1].set_xlim(-0.02, 1.02)
    panels[1].xaxis.set_major_formatter(ticker.PercentFormatter(1.0, decimals=0))
    panels[2].set_xlabel("learning rates that train, decades")
    panels[2].set_xlim(left=0)
    handles = [
        Line2D([], [], color=pen.color, marker=pen.marker, linewidth=2, alpha=0.8, label=f"{pen.label} networks")
        for pen in looks
    ]
    note = "Place, share: chosen settings on fresh seeds. Window: all rates with the chosen initializer. 95% intervals."
    return dress(figure, "The best known in three kinds of networks", handles, note)


_SPOTS = [(4, 3), (4, -9), (-4, 3), (-4, -9), (4, 12), (-4, 12), (4, -18), (-4, -18), (4, 21), (4, -27)]
_PANEL = (215, 215)  # about as many points wide and high


def _label(axes, x: pd.Series, y: pd.Series, names: Sequence[str]) -> None:
    """Names beside their dots, each inside and where it covers neither another nor a named dot."""
    names = [name for name in names if name in x.index]
    to_axes = axes.transData + axes.transAxes.inverted()
    dots = np.array([to_axes.transform((x[name], y[name])) for name in names]) * _PANEL
    taken: list[tuple[float, float, float, float]] = [(a - 2, b - 2, a + 2, b + 2) for a, b in dots]
    for name, (a, b) in zip(names, dots, strict=True):
        wide = 4.3 * len(name)
        boxes = [(a + i - wide * (i < 0), b + j, a + i + wide * (i > 0), b + j + 7) for i, j in _SPOTS]
        over = [sum(p[0] < q[2] and q[0] < p[2] and p[1] < q[3] and q[1] < p[3] for q in taken) for p in boxes]
        over = [n + 9 * (p[0] < 0 or p[2] > _PANEL[0]) for n, p in zip(over, boxes, strict=True)]
        best = int(np.argmin(over))
        taken.append(boxes[best])
        look = {"fontsize": 7.5, "zorder": 4, "ha": "left" if _SPOTS[best][0] > 0 else "right"}
        axes.annotate(label(name), (x[name], y[name]), xytext=_SPOTS[best], textcoords="offset points", **look)


@styled
def everybody(shallow: pd.DataFrame, deep: pd.DataFrame, cost: pd.DataFrame) -> Figure:
    """Place in shallow against place in deep networks, and place against what a step costs."""
    figure = new_figure(4.0)
    left, right = figure.subplots(1, 2)
    one, two = (frame.set_index("activation")["place"] for frame in (shallow, deep))
    price = cost.set_index("activation")
    for axes, x, y in ((left, one, two), (right, price["cost"], price["place"])):
        y = y.loc[x.index]
        blue = x.index.isin(KNOWN)
        axes.scatter(x[~blue], y[~blue], s=10, color=GRAY, alpha=0.6, linewidths=0)
        axes.scatter(x[blue], y[blue], s=18, color=BLUE, linewidths=0, zorder=3)
        axes.invert_yaxis()
    left.invert_xaxis()
    log_axis(right.xaxis, price["cost"].min() * 0.6, price["cost"].max() * 1.3)
    _label(left, one, two, NAMED)
    _label(right, price["cost"], price["place"], PRICED)
    left.set_xlabel("mean place in shallow networks")
    left.set_ylabel("mean place in deep networks")
    right.set_ylabel("mean place in all tasks")
    right.set_xlabel("processor time of a step, ReLU = 1")
    left.set_title("Better to the top and to the right")
    right.set_title("Better to the top and to the left")
    return dress(figure, f"All {len(one)} activations", note="Blue: the best known.")

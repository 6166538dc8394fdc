"""The figure of two campaigns: where the share of runs that converged went up or down."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradsim.analysis import words
from gradsim.plots.bars import axis_rows, in_margin
from gradsim.plots.style import ROWS, color, dress, empty_figure, shown, styled


@styled
def convergence_changes(changes: pd.DataFrame, ax: Axes | None = None, limit: int = ROWS) -> Figure:
    """Change of the share of runs that converged by every value of every axis, from `analysis.against.axis_changes`."""
    title = "Change of the share of runs that converged"
    if changes.empty:
        return empty_figure(title, "Nothing varies that both campaigns share.", ax)
    parts, notes = [], []
    for axis, part in changes.groupby("axis", sort=False):
        order = np.argsort(-np.abs(part["change"].to_numpy(float)), kind="stable")
        kept, note = shown(order.tolist(), limit, words.axis_name(axis), "those that change most")
        parts.append(part.iloc[sorted(kept)])
        notes.append(note)
    figure, axes = axis_rows(parts, _draw_changes, ax)
    axes.axvline(0, color=color("muted"), linewidth=1, zorder=1)
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{100 * x:+.0f}" if x else "0"))
    axes.set_xlabel("percentage points, all else pooled, with 95% interval; beside: runs gained and lost")
    return dress(figure, title, note=" ".join(filter(None, notes)), ax=ax)


def _draw_changes(axes: Axes, places: np.ndarray, part: pd.DataFrame) -> None:
    """Changes with their intervals, in a color and a shape of their own where these leave zero out."""
    palette = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    sure = np.select([part["low"] > 0, part["high"] < 0], [0, 1], 2)
    tints = [(palette[0], palette[1], color("muted"))[kind] for kind in sure]
    axes.hlines(places, part["low"], part["high"], color=tints, linewidth=2.2, alpha=0.55)
    for place, row, tint, kind in zip(places, part.itertuples(), tints, sure, strict=True):
        axes.plot(row.change, place, "^vo"[kind], color=tint, markersize=5.5, clip_on=False, zorder=3)
        in_margin(axes, place, f"+{words.count(row.gained)} −{words.count(row.lost)} of {words.count(row.n)}")

"""The figure of two campaigns: where the share of runs that converged went up or down."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradsim.analysis import words
from gradsim.plots.style import ROWS, axis_label, color, dress, empty_figure, label, shown, single_axes, styled


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
    starts = np.cumsum([0] + [len(part) + 1 for part in parts])
    figure, axes = single_axes(ax, 1.0 + 0.27 * starts[-1])
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=color("muted"), linewidth=1)
    palette = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    ticks: list[tuple[float, str]] = []
    for start, part in zip(starts, parts, strict=False):
        places = start + 1 + np.arange(len(part))
        sure = np.select([part["low"] > 0, part["high"] < 0], [0, 1], 2)
        tints = [(palette[0], palette[1], color("muted"))[kind] for kind in sure]
        axes.hlines(places, part["low"], part["high"], color=tints, linewidth=2.2, alpha=0.55)
        for place, change, tint, kind in zip(places, part["change"], tints, sure, strict=True):
            axes.plot(change, place, "^vo"[kind], color=tint, markersize=5.5, clip_on=False, zorder=3)
        for place, row in zip(places, part.itertuples(), strict=True):
            told = f"+{words.count(row.gained)} −{words.count(row.lost)} of {words.count(row.n)}"
            axes.text(1.015, place, told, transform=axes.get_yaxis_transform(), va="center", fontsize=8,
                      color=color("muted"))  # fmt: skip
        axes.text(-0.012, start, axis_label(part["axis"].iloc[0]), transform=axes.get_yaxis_transform(), va="center",
                  ha="right", fontweight="bold")  # fmt: skip
        ticks += zip(places, (label(words.value(v)) for v in part["value"]), strict=True)
    axes.set_yticks(*zip(*ticks, strict=True), color=color("ink"))
    axes.set_ylim(starts[-1] - 0.4, -0.5)
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda x, _: f"{100 * x:+.0f}" if x else "0"))
    axes.set_xlabel("percentage points, all else pooled, with 95% interval; beside: runs gained and lost")
    return dress(figure, title, note=" ".join(filter(None, notes)), ax=ax)

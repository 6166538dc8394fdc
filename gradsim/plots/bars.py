"""Figures of rows: rates with intervals, what became of the runs, learning-rate windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gradsim.analysis import words
from gradsim.analysis.axes import is_numeric
from gradsim.analysis.groups import group_codes, group_columns
from gradsim.plots.style import (
    ROWS,
    axis_label,
    color,
    color_bar,
    dress,
    empty_figure,
    label,
    log_axis,
    noun_of,
    padded,
    rate_scale,
    row_names,
    shown,
    single_axes,
    styled,
)

# One color (its place in the palette) and one hatch a fate, in every figure; stacked in this order, from trained to
# broken.
FATE_PLACES = {"converged": 0, "slow": 5, "vanishing": 2, "saturated": 3, "dead": 6, "symmetric": 4}
FATE_PLACES |= {"exploding": 1, "unexplained": 7}
_HATCHES = {"converged": "", "slow": "..", "vanishing": "\\\\", "saturated": "//", "dead": "xx"}
_HATCHES |= {"symmetric": "--", "exploding": "++", "unexplained": "||"}


def _rows_axes(ax: Axes | None, rows: int, extra: float) -> tuple[Figure, Axes]:
    """Axes for `rows` rows, the first on top, with horizontal room for their names."""
    figure, axes = single_axes(ax, extra + 0.27 * rows)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure, axes


def rate_dots(rates: pd.DataFrame, ax: Axes | None, limit: int, title: str) -> Figure:
    """Convergence rates of one axis (or of all runs) as points with Wilson intervals; the tally at the right."""
    keys = group_columns(rates)
    note = ""
    if keys and not is_numeric(rates[keys[0]]):
        rates = rates.sort_values("rate", ascending=False, kind="stable")
        kept, note = shown(range(len(rates)), limit, words.axis_name(keys[0]), "those that converge most often")
        rates = rates.iloc[kept]
    names = [label(words.value(v)) for v in rates[keys[0]]] if keys else ["all runs"]
    figure, axes = _rows_axes(ax, len(rates), 1.15)
    _draw_rates(axes, np.arange(len(rates)), rates)
    axes.set_yticks(range(len(rates)), names, color=color("ink"))
    if keys:
        axes.set_ylabel(axis_label(keys[0]))
    _share_axis(axes, "share of runs that converged, with 95% Wilson interval")
    return dress(figure, title, note=note, ax=ax)


@styled
def time_to_target(times: pd.DataFrame, ax: Axes | None = None, limit: int = 2 * ROWS) -> Figure:
    """Median steps to the target of runs that converged, with intervals, from `analysis.time_to_target`.

    Fastest first, those of which none converged last; the tally at the right is what the median is silent about.
    """
    title = "Steps to the target loss"
    if times["steps"].isna().all():
        return empty_figure(title, "No run reached its target, so there is no time to compare.", ax)
    keys = group_columns(times)
    order = times.sort_values(["steps", "rate"], ascending=[True, False], kind="stable", na_position="last").index
    kept, note = shown(order, limit, noun_of(keys), "the fastest")
    rows = times.loc[kept]
    figure, axes = _rows_axes(ax, len(rows), 1.25)
    places = np.arange(len(rows))
    _dots(axes, places, rows["steps"], rows["steps_low"], rows["steps_high"])
    log_axis(axes.xaxis, *padded(rows[["steps", "steps_low", "steps_high"]].to_numpy(float)))
    if len(axes.get_xticks()) < 4:
        axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    for place, row in enumerate(rows.itertuples()):
        in_margin(axes, place, f"{words.count(row.converged)} of {words.count(row.n)}")
        if np.isnan(row.steps):
            where = axes.get_yaxis_transform()
            look = {"transform": where, "fontsize": 8, "color": color("muted")}
            axes.text(0.5, place, "none converged", ha="center", va="center", **look)
    axes.set_yticks(places, [label(name, 44) for name in row_names(rows, keys)], color=color("ink"))
    axes.set_xlabel("median steps of the runs that converged, 95% interval")
    note = f"At the right: how many converged. {note}".strip()
    return dress(figure, title, note=note, ax=ax)


def in_margin(axes: Axes, place: float, text: str) -> None:
    """A remark right of a row."""
    where = axes.get_yaxis_transform()
    axes.text(1.015, place, text, transform=where, va="center", fontsize=8, color=color("muted"))


def _dots(axes: Axes, places: np.ndarray, middle: pd.Series, low: pd.Series, high: pd.Series) -> None:
    """Numbers as points on their intervals."""
    blue = mpl.rcParams["axes.prop_cycle"].by_key()["color"][0]
    axes.hlines(places, low, high, color=blue, linewidth=2.2, alpha=0.55)
    axes.plot(middle, places, "o", color=blue, markersize=5.5, clip_on=False, zorder=3)


def _draw_rates(axes: Axes, places: np.ndarray, rates: pd.DataFrame) -> None:
    _dots(axes, places, rates["rate"], rates["low"], rates["high"])
    for place, converged, n in zip(places, rates["converged"], rates["n"], strict=True):
        in_margin(axes, place, f"{words.count(converged)} of {words.count(n)}")


def _share_axis(axes: Axes, name: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
    axes.set_xlabel(name)


@styled
def axis_effects(effects: pd.DataFrame, ax: Axes | None = None, limit: int = ROWS) -> Figure:
    """Convergence rate by every value of every axis, all else pooled, from `analysis.axis_effects`."""
    title = "What each axis does to the share of runs that converged"
    if effects.empty:
        return empty_figure(title, "Only one setting was run, so there is no axis to compare.", ax)
    parts, note = _values_shown(effects, "rate", "those that converge most often", limit)
    figure, axes = axis_rows(parts, _draw_rates, ax)
    _share_axis(axes, "share of runs that converged, all else pooled, with 95% Wilson interval")
    return dress(figure, title, note=note, ax=ax)


@styled
def dead_by_axis(shares: pd.DataFrame, ax: Axes | None = None, limit: int = ROWS) -> Figure:
    """Final share of dead hidden units by every value of every axis, all else pooled, from `analysis.dead_by_axis`."""
    title = "What each axis does to the share of dead units"
    if shares.empty:
        return empty_figure(title, "Only one setting has a finite record at its end: there is no axis to compare.", ax)

    def draw(axes: Axes, places: np.ndarray, part: pd.DataFrame) -> None:
        _dots(axes, places, part["mean"], part["low"], part["high"])
        for place, n in zip(places, part["n"], strict=True):
            in_margin(axes, place, words.plural(n, "run"))

    parts, note = _values_shown(shares, "mean", "those with most dead units", limit)
    figure, axes = axis_rows(parts, draw, ax)
    axes.set_xlim(0, min(1.0, max(0.1, 1.15 * shares["high"].max())))
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("mean share dead at the end, all else pooled, with 95% interval")
    return dress(figure, title, note=note, ax=ax)


def _values_shown(frame: pd.DataFrame, rank: str, how: str, limit: int) -> tuple[list[pd.DataFrame], str]:
    """The rows of each axis, at most so many, and the note that says so; names by the column `rank`, `how` in words."""
    parts, notes = [], []
    for axis, part in frame.groupby("axis", sort=False):
        if not pd.api.types.is_numeric_dtype(part["value"].infer_objects()):
            part = part.sort_values(rank, ascending=False, kind="stable")
            kept, note = shown(range(len(part)), limit, words.axis_name(axis), how)
        else:
            kept, note = evenly(len(part), limit, words.axis_name(axis))
        parts.append(part.iloc[kept])
        notes.append(note)
    return parts, " ".join(filter(None, notes))


def axis_rows(
    parts: Sequence[pd.DataFrame], draw: Callable[[Axes, np.ndarray, pd.DataFrame], None], ax: Axes | None
) -> tuple[Figure, Axes]:
    """A row a value under the name of its axis; parts: axis, value and what `draw` takes, an axis each."""
    # An empty row between axes carries the name of the next.
    starts = np.cumsum([0] + [len(part) + 1 for part in parts])
    figure, axes = _rows_axes(ax, int(starts[-1]), 1.0)
    ticks: list[tuple[float, str]] = []
    for start, part in zip(starts, parts, strict=False):
        places = start + 1 + np.arange(len(part))
        draw(axes, places, part)
        name = axis_label(part["axis"].iloc[0])
        # Headings stand where the row labels end, so that they read as a column of their own.
        look = {"transform": axes.get_yaxis_transform(), "va": "center", "ha": "right", "fontweight": "bold"}
        axes.text(-0.012, start, name, **look)
        ticks += zip(places, (label(words.value(v)) for v in part["value"]), strict=True)
    axes.set_yticks(*zip(*ticks, strict=True), color=color("ink"))
    axes.set_ylim(starts[-1] - 0.4, -0.5)
    return figure, axes


def evenly(count: int, limit: int, noun: str) -> tuple[list[int], str]:
    """Of many ordered numbers every few, both ends included."""
    if count <= limit:
        return list(range(count)), ""
    kept = np.unique(np.linspace(0, count - 1, limit).round().astype(int)).tolist()
    return kept, f"{len(kept)} of {count} values of {noun} shown, evenly picked."


@styled
def fates(counts: pd.DataFrame, ax: Axes | None = None, limit: int = ROWS) -> Figure:
    """What became of the runs, converged or why not, as stacked bars, from `analysis.fate_counts`.

    Rows are ranked by their share that converged; a fate that no run met has no entry in the legend.
    """
    title = "What became of the runs"
    if counts.empty:
        return empty_figure(title, "No runs to count.", ax)
    keys = [name for name in group_columns(counts) if name != "fate"]
    names = pd.Series(row_names(counts, keys), counts.index)
    table = counts.assign(row=names).pivot_table(index="row", columns="fate", values="n", sort=False, aggfunc="sum")
    order = [fate for fate in FATE_PLACES if fate in table]
    order += [fate for fate in table if fate not in order]
    table = table[[fate for fate in order if table[fate].sum() > 0]]
    total = table.sum(axis=1)
    ranked = (table.get("converged", 0 * total) / total).sort_values(ascending=False, kind="stable").index
    kept, note = shown(ranked, limit, noun_of(keys), "those that converge most often")
    share = table.loc[kept].div(total.loc[kept], axis=0)
    figure, axes = _rows_axes(ax, len(kept), 1.5)
    handles = _stack(axes, share)
    axes.set_yticks(range(len(kept)), [label(name, 44) for name in kept], color=color("ink"))
    for place, name in enumerate(kept):
        in_margin(axes, place, words.plural(total[name], "run"))
    _share_axis(axes, "share of runs")
    axes.grid(False)
    return dress(figure, title, handles if len(handles) > 1 else _only(axes, handles), note, ax)


def _only(axes: Axes, handles: list[Patch]) -> list[Patch]:
    """A single fate is written into the bars instead of a legend of one."""
    for place, bar in enumerate(axes.patches):
        bar.set_hatch(None)
        axes.text(
            0.5,
            place,
            handles[0].get_label(),
            ha="center",
            va="center",
            color=color("paper"),
            fontweight="bold",
        )
    return []


def _stack(axes: Axes, share: pd.DataFrame) -> list[Patch]:
    palette = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    left, handles = np.zeros(len(share)), []
    for fate in share:
        look: dict[str, Any] = {
            "facecolor": palette[FATE_PLACES.get(fate, 7)],
            "hatch": _HATCHES.get(fate, ""),
            "edgecolor": color("paper"),
            "linewidth": 0.8,
        }
        axes.barh(np.arange(len(share)), share[fate], left=left, height=0.74, **look)
        left += share[fate].to_numpy()
        handles.append(Patch(label=label(fate), **look))
    return handles


@styled
def learning_rate_windows(
    rates: pd.DataFrame, windows: pd.DataFrame, ax: Axes | None = None, limit: int = 2 * ROWS
) -> Figure:
    """Where each choice trains: every learning rate tried, colored by convergence rate, and the window over them.

    `rates` from `analysis.convergence_rate` by [..., learning rate], `windows` from
    `analysis.learning_rate_windows` by the same columns. Widest windows first.
    """
    title = "Learning rates that train"
    if windows.empty or rates.empty:
        return empty_figure(title, "The learning rate did not vary, so there is no window to show.", ax)
    *keys, rate = group_columns(rates)
    order = windows.assign(width=np.log(windows["highest"] / windows["lowest"].where(windows["lowest"] > 0)))
    order = order.sort_values(["width", "best_rate"], ascending=False, kind="stable", na_position="last").index
    kept, note = shown(order, limit, noun_of(keys), "those with the widest windows")
    figure, axes = _rows_axes(ax, len(kept), max(1.55, 2.3 - 0.27 * len(kept)))
    blue = mpl.rcParams["axes.prop_cycle"].by_key()["color"][0]
    reach = (rates[rate].max() / rates[rate].min()) ** 0.012 if rates[rate].min() > 0 else 1.0
    for place, index in enumerate(kept):
        row = windows.loc[index]
        if not np.isnan(row["lowest"]):
            ends = [row["lowest"] / reach, row["highest"] * reach]
            axes.plot(ends, [place, place], color=blue, alpha=0.32, linewidth=13, solid_capstyle="round", zorder=1)
    # Groups are numbered alike in both frames: each has every combination of the keys once, in grid order.
    place_of = {index: place for place, index in enumerate(kept)}
    places = np.array([place_of.get(code, -1) for code in group_codes(rates, keys)[0]])
    on, look = places >= 0, {"edgecolors": color("muted"), "linewidths": 0.7, "zorder": 3}
    points = axes.scatter(rates[rate][on], places[on], c=rates["rate"][on], vmin=0, vmax=1, s=42, **look)
    names = [label(name, 44) for name in row_names(windows.loc[kept], keys)]
    axes.set_yticks(range(len(kept)), names, color=color("ink"))
    rate_scale(axes.xaxis, rates[rate])
    axes.set_xlabel(axis_label(rate))
    color_bar(figure, points, axes, "share converged", figure.get_figheight() - 1.2)
    window = {"color": blue, "alpha": 0.32, "linewidth": 9, "solid_capstyle": "butt"}
    tried = {"color": color("muted"), "marker": "o", "markerfacecolor": "none", "linestyle": ""}
    handles = [
        Line2D([], [], **window, label="from lowest to highest rate at which at least half converge"),
        Line2D([], [], **tried, label="a rate tried"),
    ]
    return dress(figure, title, handles, note, ax)

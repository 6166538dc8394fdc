"""The picture of a run of `peers.py`: how many times as long peers take, what share of the peak each reaches, and
speed over the number of networks."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradsim.plots.files import save_figure
from gradsim.plots.style import color, dress, log_axis, new_figure, padded, styled

from .rounds import OURS

# A color a library, a marker a way to use it.
_LOOKS = {
    OURS: (6, "o"),
    "gradsim-cold": (6, "D"),
    "jax-plain": (0, "s"),
    "jax": (0, "D"),
    "torch-plain": (1, "s"),
    "torch": (1, "D"),
    "torch-func": (1, "^"),
    "torch-compile": (1, "v"),
    "numpy": (2, "P"),
    "sklearn": (4, "X"),
}


def _look(contender: str) -> dict:
    place, marker = _LOOKS[contender]
    colors = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    return {
        "color": colors[place],
        "marker": marker,
        "markersize": 6,
        "markeredgecolor": color("paper"),
        "markeredgewidth": 0.5,
    }


def _measured(row: dict) -> dict[str, dict]:
    return {c: r for c, r in row["contenders"].items() if r.get("agrees")}


def _dots(axes: Axes, rows: list[dict], key: str, factor: float = 1.0) -> list[float]:
    """`key` of every contender, a row a line; the numbers drawn."""
    drawn = []
    for place, row in enumerate(rows):
        for contender, result in reversed(_measured(row).items()):
            if result.get(key):
                drawn.append(factor * result[key])
                axes.plot(drawn[-1], place, linestyle="", zorder=3, **_look(contender))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(False, axis="x", which="minor")
    axes.tick_params(axis="y", length=0)
    return drawn


def _sweeps(rows: list[dict]) -> dict[str, list[dict]]:
    """{shape: rows that differ in the number of networks alone}, where there are several."""
    found: dict[str, list[dict]] = {}
    for row in rows:
        shape, *others = row["row"].split("/")
        if all(word.startswith("x") for word in others) and not row["campaign"]:
            found.setdefault(shape, []).append(row)
    return {s: sorted(own, key=lambda row: row["networks"]) for s, own in found.items() if len(own) > 1}


def _curve(axes: Axes, shape: str, rows: list[dict]) -> None:
    key, drawn = "network_steps_per_core_second", []
    for contender in _LOOKS:
        points = [(r["networks"], _measured(r)[contender][key]) for r in rows if contender in _measured(r)]
        if len(points) > 1:
            drawn += [speed for _, speed in points]
            axes.plot(*zip(*points, strict=True), **_look(contender))
    log_axis(axes.xaxis, *padded([row["networks"] for row in rows]))
    if drawn:
        log_axis(axes.yaxis, *padded(drawn))
    axes.set_title(shape)
    axes.set_xlabel("networks")


@styled
def peers_figure(report: dict) -> Figure:
    """Ratios and shares of the peak of every row of a report, and sweeps over networks where there are any."""
    rows, sweeps = report["rows"], _sweeps(report["rows"])
    heights = [0.6 + 0.22 * len(rows)] + [2.3] * bool(sweeps)
    figure = new_figure(1.0 + sum(heights), 9.0)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    upper = grid[0].subgridspec(1, 2, width_ratios=(3, 2))
    left = figure.add_subplot(upper[0])
    right = figure.add_subplot(upper[1], sharey=left)
    times = _dots(left, rows, "gradsim_faster")
    left.axvline(1, color=color("ink"), linewidth=1)
    left.set_yticks(range(len(rows)), [row["row"] for row in rows], color=color("ink"))
    left.set_xlabel("times as long as gradsim")
    log_axis(left.xaxis, *padded([1.0, *times]))
    _dots(right, rows, "fraction_of_peak", 100)
    right.set_xlim(0, 100)
    right.tick_params(labelleft=False)
    right.set_xlabel("% of the FMA peak")
    if sweeps:
        lower = grid[1].subgridspec(1, len(sweeps))
        for i, (shape, own) in enumerate(sweeps.items()):
            axes = figure.add_subplot(lower[i])
            _curve(axes, shape, own)
            if i == 0:
                axes.set_ylabel("network-steps a core-second")
    present = [c for c in _LOOKS if any(c in _measured(row) for row in rows)]
    handles = [Line2D([], [], label=c, linestyle="", **_look(c)) for c in present]
    host, day = report["machine"], report["date"][:10]
    how = f"medians of up to {report['repeats']} rounds in turns"
    note = f"{host['cpu']}, {host['cores']} cores, float32, {day}; {how}."
    if report["quick"]:
        note += " Sizes of a quick run: the timings mean nothing."
    return dress(figure, "Training beside gradsim's peers", handles, note)


def save(report: dict, path: Path) -> None:
    """Write the picture of a report."""
    save_figure(peers_figure(report), path)

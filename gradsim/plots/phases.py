"""Phases of wide networks over sigma_w and sigma_b: where gradients vanish, where they explode, the edge between them.

And where initializers lie on that map.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import AbstractPathEffect

from gradsim.errors import UsageError
from gradsim.plots.style import PANELS, WIDTH, color, dress, empty_figure, label, new_figure, single_axes, styled

if TYPE_CHECKING:
    from gradsim.activations import Activation

# The factor a layer of squared gradients, and its inverse, beyond which colors no longer change.
STEEPEST = 4.0
# Depths of which the contours are drawn: so many layers make e of squared gradients, or 1/e.
CONTOURS = (3, 10, 30)
# The map where nothing asks for a wider one, and its points.
SIGMA_W, SIGMA_B, ACROSS, DOWN = 3.0, 2.0, 301, 161
# What happens in a phase, in words for where there is room, and for where there is little.
NAMES = {
    "ordered": ("ordered:\ngradients vanish", "ordered"),
    "chaotic": ("chaotic:\ngradients explode", "chaotic"),
    "unbounded": ("the variance\ngrows without end", "unbounded"),
}


@dataclasses.dataclass(frozen=True)
class Map:
    """What a panel shows: chi1 [sigma_b, sigma_w], NaN where the variance has no end, the stable part of the edge of
    chaos, sigma_w of initializers by name and the sigma_b at which they lie; `inches` is the panel's size."""

    name: str
    sigma_w: np.ndarray
    sigma_b: np.ndarray
    chi: np.ndarray
    edge: pd.DataFrame
    named: Mapping[str, float]
    biases: float
    inches: tuple[float, float]

    @classmethod
    def of(cls, phases: pd.DataFrame, edge: pd.DataFrame | None, inches: tuple[float, float], **more: Any) -> Map:
        """From the frames of `theory.phase_diagram` and `theory.edge_of_chaos`."""
        across, down = np.unique(phases["sigma_w"]), np.unique(phases["sigma_b"])
        if min(len(across), len(down)) < 2 or len(phases) != len(across) * len(down):
            raise UsageError("phases: must hold every pair of at least two sigma_w and two sigma_b")
        chi = phases["chi1"].mask(phases["phase"].eq("unbounded"))
        table = phases.assign(chi=chi).pivot(index="sigma_b", columns="sigma_w", values="chi").to_numpy(float)
        stays = pd.DataFrame(columns=["sigma_w", "sigma_b"], dtype=float) if edge is None else edge[edge["stable"]]
        return cls(str(phases["activation"].iloc[0]), across, down, table, stays, inches=inches, **more)

    def inch(self, points: np.ndarray) -> np.ndarray:
        """Where points of (sigma_w, sigma_b) are on paper."""
        return points * np.array([self.inches[0] / np.ptp(self.sigma_w), self.inches[1] / np.ptp(self.sigma_b)])


# --- figures --------------------------------------------------------------------------------------


@styled
def phase_diagram(
    phases: pd.DataFrame,
    edge: pd.DataFrame | None = None,
    named: Mapping[str, float] | None = None,
    sigma_b: float = 0.0,
    ax: Axes | None = None,
) -> Figure:
    """chi1 over sigma_w and sigma_b, from `theory.phase_diagram`: where gradients vanish, where they explode.

    edge: the edge of chaos, from `theory.edge_of_chaos`. named: sigma_w of initializers, from `theory.named_sigma_w`,
    marked at the given sigma_b. Raises UsageError for frames that are no grid.
    """
    title = f"Phases of wide {label(phases['activation'].iloc[0]) if len(phases) else ''} networks"
    if phases.empty:
        return empty_figure(" ".join(title.split()), "There is no grid to draw.", ax)
    inches = (5.7, 3.9) if ax is None else tuple(ax.get_window_extent().size / ax.get_figure(root=True).dpi)
    shown = Map.of(phases, edge, inches, named=named or {}, biases=sigma_b)
    figure, axes = single_axes(ax, 5.1)
    image, handles = _panel(axes, shown)
    _chi_bar(figure, image, [axes])
    return dress(figure, title, handles, ax=ax)


@styled
def phase_diagrams(functions: Sequence[Activation | str], sigma_b: float = 0.0) -> Figure:
    """The phases of up to nine activations, a panel each, with initializers marked at sigma_b.

    functions: activations, their names, also "leaky_relu(slope=0.2)", or formulas, "mine=z*sin(z)". Marked are LeCun's,
    Glorot's and He's weights, PyTorch's Linear, `gain="auto"` and `critical`, where they exist and lie on the map.
    Raises UsageError for what is no pointwise activation and for too many.
    """
    from gradsim.theory.subject import number, subject

    if isinstance(functions, str) or not isinstance(functions, Sequence):
        functions = [functions]
    if not 1 <= len(functions) <= PANELS:
        raise UsageError(f"{len(functions)} activations: a figure shows 1 to {PANELS}")
    sigma_b, count = number("sigma_b", sigma_b), len(functions)
    columns = min(2, count)
    rows = -(-count // columns)
    inches = (5.7, 3.9) if count == 1 else (2.75, 2.5)
    maps = [_map_of(subject(function), sigma_b, inches) for function in functions]
    figure = new_figure(5.1 if count == 1 else 0.75 + 3.1 * rows, WIDTH)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for k, axes in enumerate(grid):
        axes.set_visible(k < count)
    for k, (axes, one) in enumerate(zip(grid, maps, strict=False)):
        image, found = _panel(axes, one)
        handles |= {handle.get_label(): handle for handle in found}
        if count > 1:
            axes.set_title(label(one.name))
            axes.set_ylabel("" if k % columns else axes.get_ylabel())
            axes.set_xlabel(axes.get_xlabel() if k + columns >= count else "")
    _chi_bar(figure, image, grid[:count].tolist())
    title = f"Phases of wide {label(maps[0].name)} networks" if count == 1 else "Phases of wide networks"
    return dress(figure, title, [*handles.values()])


def _map_of(act: Activation, sigma_b: float, inches: tuple[float, float]) -> Map:
    from gradsim import theory

    edge = theory.edge_of_chaos(act)
    near = edge[edge["stable"] & (edge["sigma_b"] <= SIGMA_B)]
    # The logistic function's edge begins at sigma_w = 10.
    width = max(SIGMA_W, 1.35 * near["sigma_w"].min()) if len(near) else SIGMA_W
    height = max(SIGMA_B, 1.3 * sigma_b)
    across, down = np.linspace(width / (ACROSS - 1), width, ACROSS), np.linspace(0, height, DOWN)
    phases = theory.phase_diagram(act, across, down)
    return Map.of(phases, edge, inches, named=_initializers(act, sigma_b), biases=sigma_b)


def _initializers(act: Activation, sigma_b: float) -> dict[str, float]:
    """sigma_w of what is worth a mark, those that agree under one name."""
    from gradsim import theory
    from gradsim.theory.criticality import NAMED

    found = [(w, name) for name, w in theory.named_sigma_w({**NAMED, "torch_linear": "PyTorch"}).items()]
    for name, of in (
        ("gain auto", lambda: theory.gain(act)),
        ("critical", lambda: theory.critical_sigma_w(act, sigma_b)),
    ):
        try:
            found.append((of(), name))
        except (theory.NoFixedPoint, theory.NoExpectation):
            continue
    named: dict[str, float] = {}
    for w, name in sorted(found):
        same = next((old for old, at in named.items() if abs(at - w) < 2e-3 * w), None)
        named[f"{same}, {name}" if same else name] = named.pop(same) if same else w
    return named


# --- a panel --------------------------------------------------------------------------------------


def _panel(axes: Axes, one: Map) -> tuple[Any, list[Any]]:
    """Draw a map; the image for its color bar, and entries of the legend."""
    with np.errstate(divide="ignore"):
        shade = np.log(np.clip(one.chi, 1 / STEEPEST, STEEPEST))
    limit = math.log(STEEPEST)
    look = {"cmap": _tide(), "vmin": -limit, "vmax": limit, "antialiased": False, "rasterized": True}
    image = axes.pcolormesh(one.sigma_w, one.sigma_b, shade, **look)
    axes.grid(False)
    axes.set_xlim(one.sigma_w[0], one.sigma_w[-1])
    axes.set_xlabel(r"$\sigma_w$, weights")
    axes.set_ylabel(r"$\sigma_b$, biases")
    handles = _edge_line(axes, one) + _depth_contours(axes, one, _name_phases(axes, one)) + _unbounded(axes, one)
    if one.biases:
        look = {"color": color("ink"), "linestyle": ":", "linewidth": 1.2}
        axes.axhline(one.biases, zorder=5, **look)
        handles.append(Line2D([], [], label=rf"$\sigma_b$ = {one.biases:g}", **look))
    _mark_initializers(axes, one)
    return image, handles


def _tide() -> mpl.colors.Colormap:
    """Blue where gradients vanish, orange where they explode, paper between: apart for every kind of color vision."""
    blue, orange = ("#0072B2", "#D55E00")
    mixes = [(blue, 0.85), (blue, 0.4), (blue, 0.0), (orange, 0.4), (orange, 0.85)]
    tide = mpl.colors.LinearSegmentedColormap.from_list("tide", [_mix(*mix) for mix in mixes])
    return tide.with_extremes(bad=color("paper"))


def _mix(name: str, share: float) -> np.ndarray:
    return share * np.array(mpl.colors.to_rgb(name)) + (1 - share) * np.array(mpl.colors.to_rgb(color("paper")))


def _halo(width: float) -> list[AbstractPathEffect]:
    return [patheffects.withStroke(linewidth=width, foreground=color("paper"))]


def _depth_contours(axes: Axes, one: Map, taken: np.ndarray) -> list[Line2D]:
    """Lines of equal depth scale 1/abs(ln chi1), with the number of layers on them where there is room."""
    depths = {math.exp(sign / depth): depth for depth in CONTOURS for sign in (-1, 1)}
    levels = sorted(depths)
    if not np.nanmin(one.chi, initial=np.inf) < levels[-1] or not np.nanmax(one.chi, initial=0) > levels[0]:
        return []
    look = {"linewidths": 0.6, "alpha": 0.7, "colors": [color("ink")]}
    with np.errstate(all="ignore"):
        lines = axes.contour(one.sigma_w, one.sigma_b, one.chi, levels=levels, **look)
    taken = np.vstack([taken, one.inch(one.edge[["sigma_w", "sigma_b"]].to_numpy(float))])
    paths = [path.vertices for path in lines.get_paths()]
    for k, level in enumerate(levels):
        others = np.vstack([taken, *(one.inch(path) for path in paths[:k] + paths[k + 1 :])])
        at = _label_place(paths[k], others, one)
        if at is not None:
            taken = np.vstack([taken, one.inch(at)])
            text = axes.text(*at, str(depths[level]), ha="center", va="center", fontsize=7.5, zorder=5)
            text.set_path_effects(_halo(2.5))
    named = ", ".join(map(str, CONTOURS))
    look = {"linewidth": 0.6, "alpha": 0.7, "color": color("ink")}
    return [Line2D([], [], label=rf"depth scale $1/|\ln\,\chi_1|$: {named} layers", **look)]


def _label_place(line: np.ndarray, taken: np.ndarray, one: Map) -> np.ndarray | None:
    """The point of a line nearest to seven tenths of the height that keeps off whatever else is drawn, in inches."""
    height = (line[:, 1] - one.sigma_b[0]) / np.ptp(one.sigma_b)
    right = one.sigma_w[-1] - 0.1 * np.ptp(one.sigma_w) / one.inches[0]
    free = (height > 0.06) & (height < 0.94) & (line[:, 0] < right)
    free[free] = [np.hypot(*(taken - at).T).min(initial=np.inf) > 0.11 for at in one.inch(line[free])]
    return line[free][np.abs(height[free] - 0.7).argmin()] if free.any() else None


def _edge_line(axes: Axes, one: Map) -> list[Line2D]:
    """The edge of chaos; where it is a single point, that."""
    edge = one.edge
    inside = edge["sigma_w"].between(one.sigma_w[0], one.sigma_w[-1])
    inside &= edge["sigma_b"].between(one.sigma_b[0], one.sigma_b[-1])
    look = {"color": color("ink"), "label": r"edge of chaos, $\chi_1$ = 1"}
    if not inside.any():
        return []
    edge = edge[inside | inside.shift(1, fill_value=False) | inside.shift(-1, fill_value=False)]
    if np.ptp(edge["sigma_b"]) < 1e-3 and np.ptp(edge["sigma_w"]) < 1e-3:
        look |= {"marker": "o", "linestyle": "", "markersize": 7, "clip_on": False, "zorder": 8}
        look |= {"label": r"edge of chaos where it is a point"}
        return axes.plot(edge["sigma_w"].mean(), edge["sigma_b"].mean(), **look)
    return axes.plot(edge["sigma_w"], edge["sigma_b"], linewidth=2.4, path_effects=_halo(4.5), **look)


def _unbounded(axes: Axes, one: Map) -> list[Patch]:
    lost = np.isnan(one.chi)
    if not lost.any():
        return []
    with mpl.rc_context({"hatch.color": color("rule"), "hatch.linewidth": 1.0}):
        axes.contourf(one.sigma_w, one.sigma_b, lost.astype(float), levels=[0.5, 1.5], colors=["none"], hatches=["///"])
        return [Patch(facecolor="none", edgecolor=color("rule"), hatch="///", linewidth=0, label="no fixed point")]


def _name_phases(axes: Axes, one: Map) -> np.ndarray:
    """What happens, written where each phase has room for it; points under the words, in inches."""
    with np.errstate(invalid="ignore"):
        phases = {"ordered": one.chi < 0.999, "chaotic": one.chi > 1.001, "unbounded": np.isnan(one.chi)}
    if one.biases:  # words keep off the line there
        off = np.abs(one.sigma_b - one.biases) > 0.06 * np.ptp(one.sigma_b) / one.inches[1]
        phases = {name: inside & off[:, None] for name, inside in phases.items()}
    size = 9.5 if one.inches[0] > 4 else 8.5
    taken = [np.zeros((0, 2))]
    for name, inside in phases.items():
        for text in NAMES[name]:
            extent = _extent(text, size)
            place = _roomiest(inside, extent, one.inches)
            if place is not None:
                at = np.array([one.sigma_w[place[1]], one.sigma_b[place[0]]])
                look = {"ha": "center", "va": "center", "fontsize": size, "fontweight": "bold", "zorder": 6}
                axes.text(*at, text, path_effects=_halo(3), **look)
                sides = [np.linspace(-0.5, 0.5, 2 + int(side / 0.1)) * side for side in extent]
                taken.append(one.inch(at) + np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2))
                break
    return np.vstack(taken)


def _extent(text: str, size: float) -> tuple[float, float]:
    """About how wide and high bold text is, in inches."""
    lines = text.split("\n")
    return 0.0094 * size * max(map(len, lines)), 0.021 * size * len(lines)


def _roomiest(inside: np.ndarray, extent: tuple[float, float], inches: tuple[float, float]) -> tuple[int, int] | None:
    """Where a box of that extent lies inside and farthest from what is outside; None where it does not fit."""
    from scipy.ndimage import distance_transform_edt, minimum_filter

    wide, high = extent
    cells = inside.shape[0] / inches[1], inside.shape[1] / inches[0]
    box = (2 * math.ceil(high * cells[0] / 2) + 1, 2 * math.ceil(wide * cells[1] / 2) + 1)
    fits = minimum_filter(np.pad(inside, 1).astype(np.uint8), box, mode="constant") > 0
    if not fits.any():
        return None
    away = distance_transform_edt(fits, sampling=(1 / cells[0], 1 / cells[1]))
    best = np.argwhere(away > 0.98 * away.max())
    middle = np.abs(best - np.median(best, axis=0)).sum(axis=1).argmin()
    return tuple(int(k) - 1 for k in best[middle])


def _mark_initializers(axes: Axes, one: Map) -> None:
    """A lane under sigma_b = 0 with a triangle for each initializer, and its name; biases lift its place on the map."""
    inside = [(w, name) for name, w in one.named.items() if one.sigma_w[0] <= w <= one.sigma_w[-1]]
    height = np.ptp(one.sigma_b)
    if not inside or one.sigma_b[0] != 0:
        axes.set_ylim(one.sigma_b[0], one.sigma_b[-1])
        return
    # In units of the axes; the lane will take a share of the panel.
    across, inch = np.ptp(one.sigma_w) / one.inches[0], 1.2 * height / one.inches[1]
    rows: list[tuple[float, int]] = []  # of the marks to the right, and how deep their names hang
    for w, name in sorted(inside, reverse=True):
        reach = w + (0.14 + 0.068 * len(name)) * across
        row = max((below + 1 for at, below in rows if at < reach), default=0)
        rows.append((w, row))
        _mark(axes, w, one.biases, -(0.17 + 0.15 * row) * inch, inch)
        left = min(w + 0.03 * across, one.sigma_w[-1] - 0.06 * len(name) * across)
        axes.text(left, -(0.14 + 0.15 * row) * inch, name, ha="left", va="top", fontsize=8.2, zorder=7)
    lane = (0.22 + 0.15 * (1 + max(row for _, row in rows))) * inch
    axes.set_ylim(-lane, one.sigma_b[-1])
    axes.axhspan(-lane, 0, color=color("paper"), zorder=2)
    axes.axhline(0, color=color("muted"), linewidth=0.8, zorder=3)
    ticks = mpl.ticker.MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(0, one.sigma_b[-1])
    axes.yaxis.set_major_locator(mpl.ticker.FixedLocator([t for t in ticks if 0 <= t <= one.sigma_b[-1]]))


def _mark(axes: Axes, w: float, biases: float, foot: float, inch: float) -> None:
    """A triangle with a staff down to its name, and up to where its biases are."""
    ink = {"color": color("ink"), "zorder": 7}
    axes.vlines(w, foot - 0.08 * inch, -0.05 * inch, linewidth=0.7, **ink)
    axes.plot([w], [-0.06 * inch], marker="^", markersize=6.5, linestyle="", **ink)
    if biases:
        axes.vlines(w, 0, biases, linewidth=0.7, linestyle=":", **ink)
        axes.plot([w], [biases], marker="o", markersize=5, markeredgecolor=color("paper"), linestyle="", **ink)


def _chi_bar(figure: Figure, image: Any, axes: list[Axes]) -> None:
    look = {"fraction": 0.04, "aspect": 28} if len(axes) < 3 else {"fraction": 0.025, "aspect": 50}
    bar = figure.colorbar(image, ax=axes, pad=0.02, extend="both", **look)
    bar.outline.set_visible(False)
    ticks = [0.25, 0.5, 1.0, 2.0, 4.0]
    bar.set_ticks([math.log(t) for t in ticks], labels=[f"{t:g}" for t in ticks])
    bar.set_label(r"$\chi_1$: squared gradients, factor a layer")

"""Activation functions drawn: value and slope, kinks and saturated zones; and two pictures that teach what a unit does.

Unlike the other figures these show functions, not results: what they draw is computed by the blocks that train.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from gradsim.analysis import words
from gradsim.errors import UsageError, short
from gradsim.plots.style import HUES, WIDTH, Pen, color, dress, label, new_figure, pens, styled

if TYPE_CHECKING:
    from gradsim.activations import Activation

SATURATED = 0.1
"""Share of the largest abs slope under which a pre-activation counts as saturated."""
FURTHEST = 1e6
"""The ends of the axis of pre-activations, at most."""


# --- curves ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """Value and slope of an activation over pre-activations z, NaN where a line must not go on.

    Attributes:
        z, value, slope: the lines.
        kinks: z, value and slope at the kinks in sight, [kinks, 3].
        saturated: ends of the zones whose abs slope is under SATURATED of the largest, [zones, 2].
        note: what stands still, where the function looks at more than one number.
    """

    z: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    kinks: np.ndarray
    saturated: np.ndarray
    note: str = ""


def curve(act: Activation, low: float = -5.0, high: float = 5.0, points: int = 2001) -> Curve:
    """The curve of an activation over [low, high], exact at both sides of its kinks."""
    kinks = np.unique([k for k in act.kinks if low <= k <= high])
    sides = [np.nextafter(kinks, -np.inf), kinks, np.nextafter(kinks, np.inf)]
    z = np.unique(np.concatenate([np.linspace(low, high, points), *sides]))
    value, slope = _value_and_slope(act, z)
    value, slope = (np.where(np.isfinite(x), x, np.nan) for x in (value, slope))
    at = np.searchsorted(z, kinks)
    marks = np.stack([kinks, value[at], slope[at]], axis=1)
    saturated = _zones(z, np.abs(slope) < SATURATED * act.max_slope) if np.isfinite(act.max_slope) else _zones(z, z > z)
    slope[at] = np.nan
    if act.smoothness < 0:
        value[at] = np.nan
    return Curve(z, value, slope, marks, saturated, _standing_still(act))


def _zones(z: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Ends of the stretches of z where `inside` holds, [zones, 2]."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    return np.stack([z[change[::2]], z[change[1::2] - 1]], axis=1)


# The pre-activation that is varied where it is not the first: glu's gate is its second.
_VARIED = {"glu": 1}


def _value_and_slope(act: Activation, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f and f' at z; of a layerwise kind, of the first output and in one pre-activation."""
    if act.kind == "pointwise":
        return act.value_and_derivative(z)
    varied = _VARIED.get(act.name, 0)
    rows = np.full((z.size, max(2, act.preactivations)), float(_held(act)))
    rows[:, varied] = z
    outputs = act(rows)
    return outputs[:, 0], act.vjp(rows, np.eye(outputs.shape[1])[:1].repeat(z.size, axis=0))[:, varied]


def _held(act: Activation) -> int:
    """The other pre-activations of a layerwise kind: 0, and 1 where they are factors."""
    return 1 if act.preactivations > 1 and not act.monotonic else 0


def _standing_still(act: Activation) -> str:
    if act.kind == "pointwise":
        return "with its random number at the mean" if act.random else ""
    if act.outputs > 1:
        return f"the first of its {act.outputs} outputs"
    others = "the other" if act.preactivations < 3 else "the others"
    return f"in one of {max(2, act.preactivations)} pre-activations, {others} at {_held(act)}"


# --- figures --------------------------------------------------------------------------------------


@styled
def activations(functions: Sequence[Activation | str], low: float = -5.0, high: float = 5.0) -> Figure:
    """Value (left) and slope (right) of up to eight activations over pre-activations from `low` to `high`.

    `functions`: activations, their names, also "leaky_relu(slope=0.2)", or formulas, "z*sin(z)", "mine=z*sin(z)".

    Rings mark kinks, with a dot at the slope that training takes there. Shaded, or with several functions marked by a
    bar at the foot, is where abs(slope) is under a tenth of its maximum: the saturated zone.
    Raises UsageError for an unknown name, a formula that cannot be read, and an empty range.
    """
    chosen = _chosen(functions)
    _check_range(low, high)
    curves = [curve(act, low, high) for act in chosen]
    looks = _pens(chosen)
    figure = new_figure(3.6 + 0.12 * max(0, len(chosen) - 4), WIDTH + 1.4)
    panels = dict(zip(("value", "slope"), figure.subplots(1, 2), strict=True))
    views = {part: _view([getattr(c, part) for c in curves]) for part in panels}
    names = {looks[0].label} if len(chosen) == 1 else {act.name for act in chosen}
    title = f"{names.pop()}: value and slope" if len(names) == 1 else "Value and slope"
    dress(figure, title, _handles(looks), _note(looks, curves, views))
    for part, axes in panels.items():
        axes.set_title({"value": "value f(z)", "slope": "slope f'(z)"}[part])
        axes.set_xlabel("pre-activation z")
        _frame(axes, (low, high), views[part], lanes=len(curves) if len(curves) > 1 else 0)
        for k, (one, pen) in enumerate(zip(curves, looks, strict=True)):
            _draw(axes, one, part, pen, k, len(curves))
    return figure


def _chosen(functions: Sequence[Activation | str]) -> list[Activation]:
    from gradsim.activations import get  # compiled code, for these figures alone
    from gradsim.theory.subject import read

    if isinstance(functions, str) or not isinstance(functions, Sequence):
        functions = [functions]
    found = [read(f) if isinstance(f, str) else get(f) for f in functions]
    if not 1 <= len(found) <= HUES:
        raise UsageError(f"{len(found)} activations: a figure shows 1 to {HUES}")
    return found


def _check_range(low: object, high: object) -> None:
    good = all(isinstance(x, int | float | np.number) and abs(x) <= FURTHEST for x in (low, high))
    if not good or not low < high:
        allowed = f"two numbers up to {FURTHEST:,.0f} in magnitude, the lower first"
        raise UsageError(f"range = {short(low)} to {short(high)}: needed are {allowed}")


def _pens(chosen: Sequence[Activation]) -> list[Pen]:
    """Colors without an order for different functions, with one for the values of one function's parameter."""
    from gradsim.theory.subject import called

    varied = [k for k in chosen[0].values if len({act.values.get(k) for act in chosen}) > 1]
    if len({act.function for act in chosen}) > 1 or len(varied) != 1:
        return pens([label(called(act), 40) for act in chosen])
    (name,) = varied
    values = [act.values[name] for act in chosen]
    return [replace(pen, label=f"{name} = {pen.label}") for pen in pens(values)]


def _handles(looks: Sequence[Pen]) -> list[Any]:
    """Legend entries of lines without markers."""
    handles = [pen.handle() for pen in looks]
    for handle in handles:
        handle.set_marker("")
    return handles


def _note(looks: Sequence[Pen], curves: Sequence[Curve], views: Mapping[str, tuple[float, float]]) -> str:
    parts = []
    if any(len(c.kinks) for c in curves):
        parts.append("Rings mark kinks; the dot in one is the slope that training takes there.")
    if any(len(c.saturated) for c in curves):
        zone = "Shaded" if len(curves) == 1 else "Bars at the foot"
        parts.append(f"{zone}: saturated, abs f' under {SATURATED} of its maximum.")
    for pen, one in zip(looks, curves, strict=True):
        if one.note:
            parts.append(f"{pen.label}: {one.note}.")
        if any(np.nanmax(np.abs(getattr(one, part)), initial=0) > max(map(abs, views[part])) for part in views):
            parts.append(f"{pen.label} goes beyond the axes.")
    return " ".join(parts)


def _view(lines: Sequence[np.ndarray]) -> tuple[float, float]:
    """Ends of an axis that shows 0 and all lines, but for those that would press the others flat."""
    ends = [(np.nanmin(x), np.nanmax(x)) for x in lines if np.isfinite(x).any()] or [(0.0, 1.0)]
    most = 4 * max(float(np.median(np.abs(ends).max(axis=1))), 0.25)
    low = max(min(0.0, *(a for a, _ in ends)), -most)
    high = min(max(0.0, *(b for _, b in ends)), most)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _frame(axes: Axes, ends: tuple[float, float], view: tuple[float, float], lanes: int) -> None:
    """The axes' ends and ticks, lines through 0, and room for lanes at the foot."""
    low, high = view
    axes.set_xlim(*ends)
    axes.set_ylim(low - (high - low) * _LANE * (lanes + 0.5 if lanes else 0), high)
    for axis in (axes.xaxis, axes.yaxis):  # not matplotlib's own choice, which changes with the layout
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    for line in (axes.axhline, axes.axvline):
        line(0, color=color("muted"), linewidth=0.7, alpha=0.7, zorder=1)


_LANE = 0.028
"""Height of a lane at the foot of a panel, as a share of the height of the rest."""


def _draw(axes: Axes, one: Curve, part: str, pen: Pen, k: int, count: int) -> None:
    look = pen.line() | {"marker": ""}
    if count == 1:
        look["linewidth"] = 2.0
    axes.plot(one.z, getattr(one, part), zorder=3, **look)
    size = 5.5 + 2.2 * k  # rings of functions that share a kink lie around each other
    ring = {"marker": "o", "linestyle": "", "markerfacecolor": "none", "color": pen.color, "zorder": 4}
    place = 1 if part == "value" else 2
    axes.plot(one.kinks[:, 0], one.kinks[:, place], markersize=size, **ring)
    if part == "slope":
        axes.plot(one.kinks[:, 0], one.kinks[:, place], **(ring | {"markersize": 3, "markerfacecolor": pen.color}))
    if count == 1:
        for a, b in one.saturated:
            axes.axvspan(a, b, color=color("rule"), alpha=0.55, linewidth=0, zorder=0)
        return
    mixed = blended_transform_factory(axes.transData, axes.transAxes)
    share = _LANE / (1 + _LANE * (count + 0.5))
    for a, b in one.saturated:
        foot = (count - 1 - k + 0.35) * share
        axes.broken_barh([(a, b - a)], (foot, 0.65 * share), color=pen.color, transform=mixed, linewidth=0, zorder=2)


# --- what a unit can do ---------------------------------------------------------------------------


@styled
def unit_step(
    weights: Sequence[float] = (1, 10, 100, 1000),
    biases: Sequence[float] = (0, 10, 20, 30),
    weight: float = 100.0,
    activation: Activation | str = "sigmoid",
) -> Figure:
    """A unit's response f(W x + b) to its input x in [-1, 1]: the weight sharpens the step, the bias moves it.

    Left: `weights` W without a bias. Right: `biases` b at one `weight`; the step stands at x = -b/W.
    """
    (act,) = _chosen([activation])
    if weight == 0:
        raise UsageError("weight = 0: a unit without a weight has no step")
    figure = new_figure(3.7, WIDTH + 1.4)
    left, right = figure.subplots(1, 2, sharey=True)
    dress(figure, f"One {act.label} unit: its response h = f(W x + b) to an input x")
    _steps_of(left, act, [(w, 0.0) for w in weights], [f"W = {words.value(w)}" for w in weights], (-1.0, 1.0))
    names, places = [f"b = {words.value(b)}" for b in biases], [-b / weight for b in biases]
    _steps_of(right, act, [(weight, b) for b in biases], names, _around(places))
    left.set_title("the weight W sharpens the step (b = 0)")
    left.set_ylabel("response h")
    left.legend(loc="upper left")
    right.set_title(f"the bias b moves it to x = -b/W (W = {words.value(weight)})")
    middle = float(act(np.zeros(1))[0])
    for place, name in zip(places, names, strict=True):
        right.axvline(place, color=color("muted"), linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
        box = {"boxstyle": "square,pad=0.15", "facecolor": color("paper"), "edgecolor": "none"}
        right.annotate(name, (place, middle), (7, 0), textcoords="offset points", va="center", bbox=box, zorder=9)
    return figure


def _steps_of(axes: Axes, act: Activation, settings: Sequence, names: Sequence[str], ends: tuple[float, float]) -> None:
    """Responses of units of (weight, bias) to inputs between two ends, weakest or least first."""
    x = np.unique(np.concatenate([np.linspace(*ends, 4001), [-b / w for w, b in settings if w]]))
    for (w, b), name, pen in zip(settings, names, pens(list(range(len(names)))), strict=True):
        axes.plot(x, act(w * x + b), **(pen.line() | {"marker": "", "label": name}), zorder=3)
    axes.set_xlim(*ends)
    axes.set_xlabel("input x")


def _around(places: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis on which all of these places have room."""
    low, high = min(places, default=0.0), max(places, default=0.0)
    margin = 0.35 * (high - low) or 1.0
    return low - margin, high + margin


def wave(x: np.ndarray) -> np.ndarray:
    """The function that the staircase climbs where none is given: 0.5 + 0.35 sin(2 pi x) + 0.15 cos(5 pi x)."""
    return 0.5 + 0.35 * np.sin(2 * np.pi * x) + 0.15 * np.cos(5 * np.pi * x)


@dataclass(frozen=True)
class Steps:
    """A sum of steps, c + sum_k a_k f(W (x - x_k)), near a target function on [0, 1].

    With n units the steps stand at x_k = (k + 1/2)/n and lead from the target's value at k/n to that at (k + 1)/n: the
    simplest network of one hidden layer that comes as near as one likes.
    """

    count: int
    x: np.ndarray
    target: np.ndarray
    sum: np.ndarray

    @property
    def error(self) -> float:
        """The largest distance, measured on the points x."""
        return float(np.abs(self.sum - self.target).max())


def steps(target: Callable, count: int, sharpness: float = 100.0, activation: Activation | str = "sigmoid") -> Steps:
    """`count` units of weight W = sharpness * count, whose outputs add up to a staircase along `target`."""
    (act,) = _chosen([activation])
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 10_000:
        raise UsageError(f"steps = {short(count)}: needed are whole numbers from 1 to 10,000")
    x = np.linspace(0, 1, max(2001, 40 * count + 1))
    places, knots = (np.arange(count) + 0.5) / count, np.arange(count + 1) / count
    heights = np.asarray(target(knots), float)
    total = np.full_like(x, heights[0])
    for place, rise in zip(places, np.diff(heights), strict=True):
        total += rise * act(sharpness * count * (x - place))
    return Steps(count, x, np.asarray(target(x), float), total)


@styled
def staircase(
    target: Callable[[np.ndarray], np.ndarray] = wave,
    counts: Sequence[int] = (5, 20, 80),
    sharpness: float = 100.0,
) -> Figure:
    """How sums of steps approximate a function on [0, 1], a panel a number of steps, with the largest error measured.

    `target` takes an array of x; `sharpness` is the units' weight times the width of a step.
    """
    found = [steps(target, count, sharpness) for count in counts]
    figure = new_figure(3.5, WIDTH + 1.4)
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    under, over = pens(["target", "sum of steps"])
    under, over = replace(under, color=color("muted")), replace(over, dashes="-")
    note = f"A step is a sigmoid unit whose weight is {words.value(sharpness)} times the number of steps."
    dress(figure, "Sums of steps approximate any function", _handles([under, over]), note)
    for axes, one in zip(panels, found, strict=True):
        axes.plot(one.x, one.target, **(under.line() | {"marker": "", "linewidth": 2.6, "alpha": 0.6}))
        axes.plot(one.x, one.sum, **(over.line() | {"marker": "", "linewidth": 1.2}), zorder=3)
        axes.set_title(f"{words.plural(one.count, 'step')}: largest error {words.number(one.error)}")
        axes.set_xlabel("x")
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.5, 1])
    return figure

"""The look of every figure: colors with markers and dashes, titles and legends, axes that read.

Figures are plain matplotlib Figures, never pyplot's; building is guarded by a lock, for rc settings are
global to a process.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import font_manager, ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradsim.analysis import words
from gradsim.plots.themes import color, own_shades, rc_params, shades

WIDTH = 7.6
"""Width of a figure in inches: a page of text."""
HUES, PANELS, ROWS = 8, 9, 12
"""The most lines in a panel, panels in a figure and rows in a chart; a note says what was left out."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_DASHES = (
    "-",
    (0, (6, 2)),
    (0, (2, 1.2)),
    (0, (6, 1.5, 1.5, 1.5)),
    (0, (1, 1)),
    (0, (9, 2)),
    (0, (4, 1)),
    "-",
)

_LOCK = threading.RLock()


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Build a figure in the project's style; adds the keywords `theme` ("light", "dark") and `like`.

    `like` is the same figure in another theme, whose layout and dpi are taken over: half the time. Ticks and
    layout are settled before the style is left, for matplotlib would make late ticks in the defaults'
    colors. The lock makes figures safe to build from several threads.
    """

    @wraps(function)
    def build(*args: Any, theme: str = "light", like: Figure | None = None, **kwargs: Any) -> Figure:
        with _LOCK, mpl.rc_context(rc_params(theme)), own_shades() as mine:
            figure = function(*args, **kwargs)
            figure.shades = mine
            if kwargs.get("ax") is not None:
                return figure
            if like is None:
                figure.get_layout_engine().execute(figure)
                figure.set_layout_engine("none")
                return figure
            figure.set_layout_engine("none")
            figure.set_dpi(like.dpi)
            for axes, twin in zip(figure.axes, like.axes, strict=True):
                axes.set_position(twin.get_position())
            for text, twin in zip(figure.texts, like.texts, strict=True):
                text.set_position(twin.get_position())
            figure.canvas.draw()
            return figure

    return build


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure with an Agg canvas and a layout that keeps labels inside."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def single_axes(ax: Axes | None, height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """The figure and axes of `ax`, or new ones."""
    if ax is not None:
        return ax.get_figure(root=True), ax
    figure = new_figure(height, width)
    return figure, figure.add_subplot()


@dataclass(frozen=True)
class Pen:
    """How one category is drawn: color, and marker and dashes that say the same without color."""

    color: Any
    marker: str
    dashes: Any
    label: str

    def line(self) -> dict[str, Any]:
        """Keywords for Axes.plot."""
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": self.dashes,
            "markeredgecolor": color("paper"),
            "markeredgewidth": 0.6,
        }

    def handle(self) -> Line2D:
        return Line2D([], [], label=self.label, **self.line())


def pens(values: Sequence[Any]) -> list[Pen]:
    """One pen a category: Okabe-Ito for names, steps of cividis for numbers (they have an order)."""
    palette = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    numbers = len(values) > 2 and all(isinstance(v, (int, float, np.number)) for v in values)
    if numbers:
        palette = shades(np.linspace(0.0, 0.8, len(values)), np.linspace(0.42, 1.0, len(values)))
    looks = zip(palette, _MARKERS, _DASHES, strict=False)
    return [Pen(*look, label(words.value(value))) for look, value in zip(looks, values, strict=False)]


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    path = font_manager.findfont("DejaVu Sans")
    return frozenset(font_manager.get_font(path).get_charmap())


def label(text: Any, width: int = 30) -> str:
    """Any text as a label: cut in its middle where long, never math, no character the font lacks."""
    text = " ".join(str(text).split()) or " "
    text = "".join(c if ord(c) in _glyphs() else "□" for c in text)
    if len(text) > width:
        tail = (width - 1) // 3
        text = f"{text[: width - 1 - tail]}…{text[-tail:]}"
    text = text.replace("$", r"\$")
    # matplotlib leaves labels that open with an underscore out of legends.
    return f"\u200a{text}" if text.startswith("_") else text


def dress(figure: Figure, title: str, handles: Sequence[Any] = (), note: str = "", ax: Axes | None = None) -> Figure:
    """Title at the top left, legend below it, note at the foot; the axes keep what is left.

    A legend of one entry tells nothing and is left out. On a user's own axes title and legend go there.
    """
    handles = list(handles) if len(handles) > 1 else []
    if ax is not None:
        ax.set_title(title)
        if handles:
            ax.legend(handles=handles)
        return figure
    width, height = figure.get_size_inches()
    left = 0.08 / width
    figure.text(left, 1 - 0.08 / height, title, ha="left", va="top", fontsize=11, fontweight="bold")
    top, bottom = 0.36, 0.05
    if handles:
        top += _legend(figure, handles, top) + 0.08
    if note:
        lines = _wrapped(note, int(width * 14.5))
        figure.text(left, 0.07 / height, "\n".join(lines), ha="left", va="bottom", fontsize=8, color=color("muted"))
        bottom += 0.16 * len(lines) + 0.05
    figure.get_layout_engine().set(rect=(0, bottom / height, 1, 1 - (top + bottom) / height))
    return figure


def _wrapped(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        lines = [*lines, word] if len(lines[-1]) + len(word) > width else [*lines[:-1], f"{lines[-1]} {word}".strip()]
    return lines


def _legend(figure: Figure, handles: list[Any], top: float) -> float:
    """A legend as wide as the figure allows; returns its height in inches."""
    width, height = figure.get_size_inches()
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            # matplotlib fills a legend column by column; readers read row by row.
            handles=[handle for column in range(columns) for handle in handles[column::columns]],
            loc="upper left",
            bbox_to_anchor=(0.02 / width, 1 - (top - 0.06) / height),
            ncols=columns,
            handlelength=2.6,
            columnspacing=1.6,
            borderpad=0.2,
        )
        legend.set_in_layout(False)
        extent = legend.get_window_extent()
        if extent.width / figure.dpi <= width - 0.1 or columns == 1:
            return extent.height / figure.dpi
        legend.remove()
    return 0.0


def color_bar(figure: Figure, image: Any, axes: Any, name: str, height: float) -> None:
    """A slim percent scale right of axes that are about `height` inches high."""
    percent = ticker.PercentFormatter(1.0, decimals=0)
    ticks = np.linspace(0, 1, 6 if height > 1.4 else 3)
    look = {"aspect": max(height / 0.13, 4), "fraction": 0.03, "pad": 0.015, "shrink": 1.0}
    bar = figure.colorbar(image, ax=axes, format=percent, ticks=ticks, **look)
    bar.outline.set_visible(False)
    bar.set_label(name)


def say(axes: Axes, text: str) -> None:
    """Say inside an empty plot why it is empty."""
    lines = "\n".join(_wrapped(text, 40))
    axes.text(0.5, 0.5, lines, transform=axes.transAxes, ha="center", va="center", color=color("muted"))


def empty_figure(title: str, text: str, ax: Axes | None = None) -> Figure:
    """A figure of one sentence: why there is nothing to draw."""
    figure, axes = single_axes(ax, 1.7)
    axes.set_axis_off()
    say(axes, text)
    return dress(figure, title, ax=ax)


def shown(values: Sequence[Any], limit: int, noun: str, how: str) -> tuple[list[Any], str]:
    """The first `limit` of ranked values, and the note that says so where that is not all."""
    values = list(values)
    if len(values) <= limit:
        return values, ""
    return values[:limit], f"{limit} of {len(values)} {noun}s shown: {how}."


def noun_of(keys: Sequence[str]) -> str:
    """What a row stands for: its axis, or a combination of axes."""
    return words.axis_name(keys[0]) if len(keys) == 1 else "combination" if keys else "row"


def row_names(frame: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """What each row of a summary frame stands for: "relu with he_normal", or "all runs" without keys."""
    if not keys:
        return ["all runs"] * len(frame)
    return [words.setting(row, keys) for row in frame[list(keys)].to_dict("records")]


def axis_label(axis: str) -> str:
    """A settings column as an axis label."""
    return label(words.axis_name(axis))


def tick_text(x: float) -> str:
    """A number on a log axis: plain near 1, a power of ten elsewhere."""
    if 1e-4 < abs(x) < 1e5 or x == 0:
        return f"{x:,.6g}"
    power = math.floor(math.log10(abs(x)) + 1e-9)
    mantissa = x / 10**power
    factor = "" if abs(mantissa - 1) < 1e-6 else rf"{mantissa:.3g}\cdot"
    return f"${factor}10^{{{power}}}$"


def log_ticks(low: float, high: float) -> np.ndarray:
    """At most seven ticks: powers of ten over decades, 1-2-5 over one, evenly spaced numbers over less."""
    decades = math.log10(high / low) if high > low > 0 else 0.0
    if decades < 0.5:
        return ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if decades < 1.5:
        return np.array([m * 10.0**k for k in range(first, last + 1) for m in (1, 2, 5)])
    stride = max(1, math.ceil((last - first) / 6))
    # Count down from 10^0 so that 1 keeps its tick whatever the stride.
    first -= first % stride
    return 10.0 ** np.arange(first, last + stride, stride)


def log_axis(axis: Any, low: float, high: float, at: float | None = None) -> None:
    """Make an axis logarithmic over [low, high] with few, plain ticks, or with one; linear if not positive."""
    if not (np.isfinite(low) and np.isfinite(high) and 0 < low <= high):
        return
    axes = axis.axes
    (axes.set_xscale if axis.axis_name == "x" else axes.set_yscale)("log", nonpositive="clip")
    (axes.set_xlim if axis.axis_name == "x" else axes.set_ylim)(low, high)
    ticks = log_ticks(low, high) if at is None else np.array([at])
    axis.set_major_locator(ticker.FixedLocator(ticks[(ticks >= low * 0.999) & (ticks <= high * 1.001)]))
    axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: tick_text(x)))
    axis.set_minor_locator(ticker.NullLocator())


def step_axis(axes: Axes, last: float) -> None:
    """Steps from 0 to the last, logarithmic from 1 on: what happens first happens fast."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(-0.04, last * 1.1)
    stride = max(1, math.ceil(math.log10(max(last, 1)) / 5))
    ticks = [0, *(10**k for k in range(0, math.floor(math.log10(max(last, 1)) + 1e-9) + 1, stride))]
    axes.set_xticks(ticks, [tick_text(x) for x in ticks])
    axes.xaxis.set_minor_locator(ticker.NullLocator())


def rate_scale(axis: Any, rates: pd.Series) -> None:
    """A learning-rate axis: logarithmic around the rates tried; a single one gets the only tick."""
    log_axis(axis, *padded(rates), at=float(rates.iloc[0]) if rates.nunique() == 1 else None)


def padded(values: pd.Series | np.ndarray, share: float = 0.06) -> tuple[float, float]:
    """The ends of positive finite values, moved apart by a share of their logarithmic distance."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return math.nan, math.nan
    low, high = math.log10(values.min()), math.log10(values.max())
    margin = max(share * (high - low), 0.08)
    return 10 ** (low - margin), 10 ** (high + margin)

"""Colors of a fractal: blues where training converged, yellow to brown where it did not, each by how fast.

The slowest of both, which lie along the boundary, are the darkest blue and the palest yellow: the boundary is the
largest step in lightness of the picture, for every kind of color vision.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from gradsim.plots.style import color, dress, new_figure, rc_params, styled

# From slow to fast, lightness in one direction in each.
CONVERGED = LinearSegmentedColormap.from_list("converged", ["#08264f", "#1764ab", "#4a98c9", "#a6cfe3", "#eef6fa"])
DIVERGED = LinearSegmentedColormap.from_list("diverged", ["#fff7bc", "#fec44f", "#ec7014", "#a63603", "#4a0d05"])
UNKNOWN = "#8c8c8c"
DPI, INKS = 110, 32


def ranks(values: np.ndarray) -> np.ndarray:
    """The share of values that are smaller, equal ones counted half: from 0 to 1, and evenly spread."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return ((np.cumsum(counts) - counts / 2) / max(values.size, 1))[which.reshape(values.shape)]


def shades(measure: np.ndarray) -> np.ndarray:
    """uint8 [rows, columns, 3]: the measure's sign as the ramp, the rank among its sign as the place in it."""
    out = np.empty((*measure.shape, 3))
    out[...] = to_rgb(UNKNOWN)
    for ramp, those in ((CONVERGED, measure < 0), (DIVERGED, measure >= 0)):
        out[those] = ramp(1 - ranks(np.abs(measure[those])))[:, :3]
    return np.rint(out * 255).astype(np.uint8)


def save_pixels(measure: np.ndarray, path: Path) -> None:
    """A PNG of one pixel a network, the smallest ordinates at the foot."""
    _save(Image.fromarray(np.ascontiguousarray(shades(measure)[::-1])), path)


def save_figure(figure: Figure, path: Path) -> None:
    """A PNG of at most 256 colors, a third of the size that it has in full color."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    _save(Image.open(drawn).convert("RGB"), path)


def _save(image: Image.Image, path: Path) -> None:
    """In the colors of the two ramps and those from paper to ink: a palette made from the picture has few of what few
    pixels have, and would draw the scale beside it in steps."""
    steps = np.linspace(0, 1, (256 - INKS) // 2)
    paper, ink = (rc_params("light")[key] for key in ("figure.facecolor", "text.color"))
    inks = LinearSegmentedColormap.from_list("inks", [paper, ink])(np.linspace(0, 1, INKS - 1))
    known = np.concatenate([CONVERGED(steps), DIVERGED(steps), inks])[:, :3]
    palette = Image.new("P", (1, 1))
    palette.putpalette([round(255 * c) for c in (*known.ravel(), *to_rgb(UNKNOWN))])
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


@styled
def draw(
    measure: np.ndarray,
    window: tuple[float, float, float, float],
    title: str,
    labels: Sequence[str],
    note: str = "",
    inset: tuple[float, float, float, float] | None = None,
) -> Figure:
    """The picture with its axes. window: x0, x1, y0, y1 of the outermost networks; labels: of x and of y; inset: a
    part to frame."""
    figure = new_figure(6.55, 6.6)
    axes = figure.add_subplot()
    x0, x1, y0, y1 = window
    halves = [(b - a) / (2 * (n - 1)) for a, b, n in ((x0, x1, measure.shape[1]), (y0, y1, measure.shape[0]))]
    extent = (x0 - halves[0], x1 + halves[0], y0 - halves[1], y1 + halves[1])
    axes.imshow(shades(measure), extent=extent, origin="lower", aspect="auto")
    axes.set_box_aspect(1)
    axes.grid(False)
    axes.set_xlabel(labels[0])
    axes.set_ylabel(labels[1])
    for axis, low, high in ((axes.xaxis, x0, x1), (axes.yaxis, y0, y1)):
        # Numbers in full: an offset beside the axis is hard to add to them.
        ticks = MaxNLocator(4, steps=[1, 2, 3, 5, 10]).tick_values(low, high)
        digits = max(0, math.ceil(-math.log10(ticks[1] - ticks[0]) + 0.5))
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        axis.set_ticks(ticks, [f"{v:.{digits}f}".replace("-", "−") for v in ticks])
    if inset is not None:
        a, b, c, d = inset
        axes.plot([a, b, b, a, a], [c, c, d, d, c], color=color("paper"), linewidth=2.6)
        axes.plot([a, b, b, a, a], [c, c, d, d, c], color=color("ink"), linewidth=1.2)
    _legend(figure, axes)
    return dress(figure, title, note=note)


def _legend(figure: Figure, axes) -> None:
    """One scale right of the picture: diverged above, converged below, fast at the ends."""
    steps = np.linspace(0, 1, 128)
    ramp = np.concatenate([CONVERGED(steps[::-1]), DIVERGED(steps)])[:, None, :3]
    bar = axes.inset_axes([1.03, 0, 0.035, 1])
    bar.imshow(ramp, aspect="auto", origin="lower", extent=(0, 1, -1, 1))
    bar.grid(False)
    bar.set_xticks([])
    bar.yaxis.tick_right()
    places = {-0.98: "fast", -0.5: "converges", 0: "slow", 0.5: "diverges", 0.98: "fast"}
    bar.set_yticks(list(places), list(places.values()))
    bar.tick_params(length=0)
    for text in bar.get_yticklabels()[1:4:2]:
        text.set(rotation=90, va="center", color=color("ink"))
    for spine in (*bar.spines.values(), *axes.spines.values()):
        spine.set_visible(False)

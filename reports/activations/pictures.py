"""Small pictures as SVG text: a few hundred bytes a curve, colors from the page's style sheet, light and dark alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

LEFT, RIGHT, TOP, BOTTOM = 30, 6, 17, 15
FURTHEST = 40.0
"""Values further from 0 than this leave the picture."""


@dataclass
class Panel:
    """One plot: axes through 0, their ends written, lines, marks and shaded zones, in data coordinates.

    `x` and `y` are the ends that are written; `at` is the panel's corner in the picture; `title` stands above it.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    title: str = ""
    at: tuple[float, float] = (0, 0)
    size: tuple[float, float] = (172, 118)
    parts: list[str] = field(default_factory=list)

    @property
    def view(self) -> tuple[float, float]:
        """The ends of y with a margin."""
        margin = 0.05 * (self.y[1] - self.y[0])
        return self.y[0] - margin, self.y[1] + margin

    def place(self, x: np.ndarray | float, y: np.ndarray | float) -> tuple:
        """Data to picture coordinates."""
        width, height = self.size[0] - LEFT - RIGHT, self.size[1] - TOP - BOTTOM
        low, high = self.view
        across = self.at[0] + LEFT + (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0]) * width
        return across, self.at[1] + TOP + (high - np.asarray(y)) / (high - low) * height

    def line(self, x: np.ndarray, y: np.ndarray, look: str) -> None:
        """A line, broken where y is NaN or out of sight."""
        gone = ~np.isfinite(y) | (y > self.view[1]) | (y < self.view[0])
        pieces = np.split(np.arange(x.size), np.flatnonzero(np.diff(gone)) + 1)
        path = "".join(_path(*self.place(x[p], y[p])) for p in pieces if p.size > 1 and not gone[p[0]])
        if path:
            self.parts.append(f'<path class="{look}" d="{path}"/>')

    def mark(self, x: float, y: float, look: str) -> None:
        """A small circle."""
        if self.view[0] <= y <= self.view[1]:
            across, down = self.place(x, y)
            self.parts.append(f'<circle class="{look}" cx="{across:.1f}" cy="{down:.1f}" r="2.4"/>')

    def shade(self, low: float, high: float) -> None:
        """A zone from top to bottom."""
        (a, b), (top, bottom) = self.place(np.array([low, high]), np.array(self.view[::-1]))
        box = f'x="{a:.1f}" y="{top:.1f}" width="{b - a:.1f}" height="{bottom - top:.1f}"'
        self.parts.append(f'<rect class="z" {box}/>')

    def label(self, x: float, y: float, text: str, look: str) -> None:
        """Words right of a place."""
        across, down = self.place(x, y)
        self.parts.append(f'<text class="{look}" x="{across + 4:.0f}" y="{down + 3:.0f}">{escape(text)}</text>')

    def frame(self) -> str:
        """Axes through 0 where it is in sight, else at the edge; title and ends."""
        (left, right), (top, bottom) = self.place(np.array(self.x), np.array(self.view[::-1]))
        zero_x, zero_y = self.place(*(min(max(0.0, low), high) for low, high in (self.x, self.y)))
        path = f"M{left:.1f} {zero_y:.1f}H{right:.1f}M{zero_x:.1f} {top:.1f}V{bottom:.1f}"
        texts = [
            (left, self.at[1] + 10, "t", self.title),
            (left, bottom + 11, "m", _number(self.x[0])),
            (right, bottom + 11, "e", _number(self.x[1])),
            *((left - 4, self.place(0, end)[1] + 3, "e", _number(end)) for end in self.y),
        ]
        written = "".join(f'<text class="{c}" x="{x:.0f}" y="{y:.0f}">{escape(t)}</text>' for x, y, c, t in texts if t)
        return f'<path class="a" d="{path}"/>{written}'


def picture(panels: Sequence[Panel], alt: str) -> str:
    """Panels side by side as one `<svg>` element, with a text that says what it shows."""
    width = max(p.at[0] + p.size[0] for p in panels)
    height = max(p.at[1] + p.size[1] for p in panels)
    body = "".join("".join([p.frame(), *p.parts]) for p in panels)
    said = f'role="img" aria-label="{escape(alt, quote=True)}"'
    return f'<svg viewBox="0 0 {width:g} {height:g}" {said}>{body}</svg>'


def ends(line: np.ndarray, furthest: float = FURTHEST) -> tuple[float, float]:
    """The ends of an axis on which a line, and 0, are seen."""
    finite = line[np.isfinite(line)]
    low = max(finite.min(initial=0.0), -furthest)
    high = min(finite.max(initial=0.0), furthest)
    return (float(low) + 0.0, float(high)) if low < high else (-1.0, 1.0)


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """A path through points, of those that lie on it to a tenth of a unit."""
    kept = _simplified(np.stack([x, y], axis=1), 0.08)
    tenths = np.round(kept * 10).astype(int)
    steps = np.diff(tenths, axis=0)
    start = f"M{_tenth(tenths[0, 0])} {_tenth(tenths[0, 1])}l"
    return start + " ".join(f"{_tenth(a)} {_tenth(b)}" for a, b in steps if a or b).replace(" -", "-")


def _tenth(x: int) -> str:
    text = f"{x / 10:g}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _simplified(points: np.ndarray, tolerance: float) -> np.ndarray:
    """Douglas and Peucker (1973): the fewest points whose straight lines stay that near to all."""
    keep = np.zeros(len(points), bool)
    keep[[0, -1]] = True
    open_spans = [(0, len(points) - 1)]
    while open_spans:
        first, last = open_spans.pop()
        inner = points[first + 1 : last]
        if not len(inner):
            continue
        along = points[last] - points[first]
        length = float(np.hypot(*along)) or 1.0
        away = inner - points[first]
        distance = np.abs(along[0] * away[:, 1] - along[1] * away[:, 0]) / length
        far = int(distance.argmax())
        if distance[far] > tolerance:
            middle = first + 1 + far
            keep[middle] = True
            open_spans += [(first, middle), (middle, last)]
    return points[keep]


def _number(x: float) -> str:
    return f"{x:.2g}".replace("-", "−")

"""The boundary between what converges and what diverges: where it runs, its dimension, where to look closer.

A picture is a measure [rows, columns] at sample points, negative where training converged. The squares between four
neighboring points are the smallest boxes; a box holds boundary where some of its points converged and others did not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

TILES = 8  # to a side: the pieces that are drawn again for the interval
DRAWS = 2000


def edges(measure: np.ndarray) -> np.ndarray:
    """bool [rows - 1, columns - 1]: the squares whose corners did not all come to the same end."""
    converged = measure < 0
    corners = np.stack([converged[1:, 1:], converged[1:, :-1], converged[:-1, 1:], converged[:-1, :-1]])
    return corners.any(axis=0) & ~corners.all(axis=0)


@dataclasses.dataclass(frozen=True)
class Dimension:
    """`value`, the least-squares slope of -log2 `counts` over log2 `sizes` (boxes that hold boundary, their sides in
    squares), its 95% interval, and the slopes from each size to the next."""

    value: float
    low: float
    high: float
    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def slopes(self) -> tuple[float, ...]:
        """log2 of how many times fewer boxes there are at each next size, which is twice as large."""
        return tuple(np.log2(self.counts[:-1]) - np.log2(self.counts[1:]))


def dimension(squares: np.ndarray) -> Dimension | None:
    """The box-counting dimension of the boundary in bool [rows, columns]; None where there is none, or too few squares.

    Sides are the powers of two up to an eighth of the picture. The interval is a bootstrap's: the picture in tiles of
    the largest box, as many of them drawn with replacement, 2000 times; 2.5th and 97.5th percentile. It says how much
    one part of the boundary differs from another, and nothing of other scales.
    """
    tile = 2 ** int(np.log2(max(min(squares.shape) + 1, 1) / TILES)) if min(squares.shape) >= TILES else 1
    if tile < 4 or not squares.any():
        return None
    padded = np.pad(squares, [(0, -n % tile) for n in squares.shape])
    sizes = 2 ** np.arange(int(np.log2(tile)) + 1)
    counts = np.stack([_boxes_by_tile(padded, tile, size) for size in sizes], axis=1)
    random = np.random.default_rng(0)
    drawn = random.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=DRAWS) @ counts
    drawn = _slope(sizes, drawn[drawn[:, -1] > 0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    total = counts.sum(axis=0)
    return Dimension(float(_slope(sizes, total)), float(low), float(high), *(tuple(v.tolist()) for v in (sizes, total)))


def _boxes_by_tile(squares: np.ndarray, tile: int, size: int) -> np.ndarray:
    """How many boxes of that size hold boundary, in each tile [tiles]."""
    rows, columns, per = squares.shape[0] // tile, squares.shape[1] // tile, tile // size
    boxes = squares.reshape(rows * per, size, columns * per, size).any(axis=(1, 3))
    return boxes.reshape(rows, per, columns, per).sum(axis=(1, 3)).ravel()


def _slope(sizes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """-d log2 counts / d log2 sizes by least squares, counts [..., sizes]."""
    x = np.log2(sizes) - np.log2(sizes).mean()
    return -(np.log2(counts) * x).sum(axis=-1) / (x * x).sum()


def closer(measure: np.ndarray, factor: int) -> tuple[float, float, float, float] | None:
    """x0, x1, y0, y1 of a part worth a closer look, `factor` times narrower, as shares of the picture; None where there
    is none.

    Points that at most one of their eight neighbors agrees with count for nothing: they are noise at this resolution.
    The part is the one whose quarters of its side are otherwise most evenly squares with and without boundary.
    """
    converged = measure < 0
    near = _sums(np.pad(converged, 1, mode="edge"), (3, 3))  # of nine
    squares = edges(np.where(np.where(converged, near > 2, near >= 7), -1.0, 1.0))
    if not squares.any():
        return None
    sides = [max(n // factor, 1) for n in squares.shape]
    quarters = [max(side // 4, 1) for side in sides]
    share = _sums(squares, quarters) / math.prod(quarters)
    score = _sums(share * (1 - share), [side - quarter + 1 for side, quarter in zip(sides, quarters, strict=True)])
    row, column = np.unravel_index(score.argmax(), score.shape)
    x0, y0 = (min(at / n, 1 - 1 / factor) for at, n in zip((column, row), squares.shape[::-1], strict=True))
    return float(x0), float(x0 + 1 / factor), float(y0), float(y0 + 1 / factor)


def _sums(values: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Sums over all boxes of these sides [rows - sides[0] + 1, columns - sides[1] + 1]."""
    down, across = sides
    sums = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    return sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]

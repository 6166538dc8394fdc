"""Networks of rectifiers that are dead at birth: a layer of them is off for every input, and nothing below it moves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from gradsim.analysis.intervals import wilson_interval
from gradsim.errors import UsageError, short
from gradsim.fields import MAX_LAYERS, MAX_WIDTH
from gradsim.theory.subject import whole

_PIECE = 2_000_000
# Numbers that one simulated layer may take: 200 MB. Networks that may be simulated.
_MOST_NUMBERS, _MOST_NETWORKS = 25_000_000, 10_000_000


@dataclasses.dataclass(frozen=True)
class BornDead:
    """Of so many `networks` how many were `dead`; `low` and `high` hold the probability with 95% confidence."""

    dead: int
    networks: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.dead / self.networks


def born_dead(depth: int, width: int | Sequence[int]) -> float:
    """The probability that a ReLU network is dead for a given input; at most so many are dead for all inputs.

    1 - prod(1 - 2^-N) over the hidden layers: every unit of a layer is off with probability 2^-N, whatever came before,
    where weights are independent and symmetric about 0 and biases are 0 or symmetric too. A network that is dead for
    every input of a set is so for each of them: for data the probability is lower, see `simulate_born_dead`.

    depth: hidden layers, at most 1000. width: units of each, at most 100,000, or a list of `depth` widths.
    Source: Lu, Shin, Su & Karniadakis 2019.
    """
    alive = sum(math.log1p(-(2.0**-n)) if n > 1 else -math.log(2) for n in _widths(depth, width))
    return -math.expm1(alive) + 0.0  # no negative zero where 2^-N is too small to compute


def _widths(depth: object, width: object) -> list[int]:
    depth = whole("depth", depth, 1, MAX_LAYERS)
    if not isinstance(width, Sequence | np.ndarray) or isinstance(width, str) or np.shape(width) == ():
        return [whole("width", width, 1, MAX_WIDTH)] * depth
    if len(width) != depth:
        raise UsageError(f"width = {short(width)}: {len(width)} widths for depth = {depth}; give one, or one a layer")
    return [whole("width", n, 1, MAX_WIDTH) for n in width]


def simulate_born_dead(
    depth: int, width: int | Sequence[int], X: np.ndarray, networks: int = 10_000, seed: int = 0
) -> BornDead:
    """How many of so many random ReLU networks without biases are dead for all rows of X [samples, features].

    Weights are normal; their scale does not matter. Raises UsageError for an X that is no table of finite numbers,
    and for layers whose weights or activations are more than 25 million numbers.
    """
    widths, networks = _widths(depth, width), whole("networks", networks, 1, _MOST_NETWORKS)
    X = np.asarray(X)
    if X.ndim != 2 or not X.size or X.dtype.kind not in "fiu" or not np.isfinite(X).all():
        raise UsageError(f"X: must be finite numbers [samples, features], got {X.dtype} of shape {X.shape}")
    random = np.random.default_rng(whole("seed", seed, 0))
    numbers = max(max(widths), X.shape[1]) * max(len(X), max(widths))
    if numbers > _MOST_NUMBERS:
        raise UsageError(
            f"width = {short(width)}: with X of shape {X.shape} a layer takes {numbers:,} numbers; "
            f"allowed: {_MOST_NUMBERS:,}"
        )
    piece = max(1, _PIECE // (max(widths) * max(len(X), *widths, X.shape[1])))
    dead = sum(_dead(random, widths, X.astype(float), min(piece, networks - n)) for n in range(0, networks, piece))
    return BornDead(dead, networks, *wilson_interval(dead, networks))


def _dead(random: np.random.Generator, widths: list[int], X: np.ndarray, networks: int) -> int:
    h = np.broadcast_to(X, (networks, *X.shape))
    dead = np.zeros(networks, bool)
    for width in widths:
        h = np.maximum(h @ random.normal(size=(networks, h.shape[2], width)), 0)
        dead |= ~h.any(axis=(1, 2))
        h = h / np.maximum(h.max(axis=(1, 2), keepdims=True), 1e-300)  # only directions count
    return int(dead.sum())

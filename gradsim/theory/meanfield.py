"""Mean-field theory of wide random networks: how variances and correlations pass through layers, and gradients back.

Weights of variance sigma_w^2 / fan_in, biases of variance sigma_b^2. In the limit of wide layers pre-activations are
normal; their variance follows the map q -> V(q), the correlation of two inputs' pre-activations the map c -> C(c), and
squared gradients scale by chi1 from layer to layer. Parameters of activations are at their values: those that random
ones have in evaluation, and that learned ones begin from.

Sources: Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli 2016; Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from gradsim.activations import Activation
from gradsim.errors import GradsimError
from gradsim.theory.quadrature import hermite_coefficients, layout, normal_means, product_mean
from gradsim.theory.subject import called, finite, number, sigma, subject

# Logarithms of the variances between which fixed points are looked for: eight a decade between 1e-8 and
# 1e6, fewer beyond.
GRID = np.log(10) * np.concatenate([np.arange(-30.0, -8.0), np.arange(-8.0, 6.0, 0.125), np.arange(6.0, 8.01, 0.5)])
# Powers of 10 at which variances are asked whether one beyond the grid stays.
FAR = np.array([10.0, 14.0, 20.0, 30.0, 50.0, 70.0])
# Stands for a variance of 0: expectations are limits from above, so that a rectifier's slope is 1 half of the time.
LEAST = 1e-30
# An excess V(q)/q - 1 within NOISE has no sign. Slopes of maps are 1 to NEUTRAL at fixed points that neither attract
# nor repel, as all are of a critical ReLU network.
NOISE, NEUTRAL = 1e-11, 1e-9
# Correlations closer to 1 count as 1.
MERGED = 1e-6
# Of the Hermite series.
TERMS = 256


class NoFixedPoint(GradsimError):
    """There is no such point: no variance that stays, or no edge of chaos."""


@dataclasses.dataclass(frozen=True)
class FixedPoint:
    """A variance q with V(q) = q; `slope` = V'(q), and it is `stable` where a disturbance does not grow."""

    q: float
    slope: float

    @property
    def stable(self) -> bool:
        return abs(self.slope) <= 1 + NEUTRAL


@dataclasses.dataclass(frozen=True)
class DepthScales:
    """Layers over which a difference falls by e: `xi_q` of variances, `xi_c` of correlations; inf where it does not
    fall. `c` is the correlation that two inputs tend to, `chi1` the factor of squared gradients a layer."""

    xi_q: float
    xi_c: float
    c: float
    chi1: float


# --- expectations ---------------------------------------------------------------------------------


def mean_square(act: Activation, q: np.ndarray | float) -> np.ndarray:
    """E[f(sqrt(q) z)^2] for each q; inf or NaN where there is none."""

    def square(u: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f = act(u)
        return f, f

    return normal_means(square, 0.0, np.sqrt(q), act.kinks)


def mean_square_slope(act: Activation, q: np.ndarray | float) -> np.ndarray:
    """E[f'(sqrt(q) z)^2] for each q, steps apart; inf or NaN where there is none."""

    def square(u: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope = act.derivative(u)
        return slope, slope

    return normal_means(square, 0.0, np.sqrt(np.maximum(q, LEAST)), act.kinks)


def growth(act: Activation, q: np.ndarray | float) -> np.ndarray:
    """d/dq E[f(sqrt(q) z)^2] = E[f f' z]/sqrt(q) = E[f'^2 + f f''] for each q."""
    q = np.maximum(q, LEAST)
    if act.smoothness < 0:  # the slope does not know of the steps; this form needs none, but cancels where q is small

        def weighted(u: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            f = act(u)
            return f, f * (z * z - 1)

        return normal_means(weighted, 0.0, np.sqrt(q), act.kinks) / (2 * q)

    def slanted(u: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f, slope = act.value_and_derivative(u)
        return f, slope * z

    return normal_means(slanted, 0.0, np.sqrt(q), act.kinks) / np.sqrt(q)


# --- variances ------------------------------------------------------------------------------------


def variance_map(act: str | Activation, q: float, sigma_w: float, sigma_b: float = 0.0) -> float:
    """V(q) = sigma_w^2 E[f(sqrt(q) z)^2] + sigma_b^2: the next layer's variance of pre-activations.

    act: a name, a formula or an Activation. Raises NoExpectation where the mean is infinite, UsageError for a function
    of whole layers and for numbers that are negative or not finite.
    """
    act, q = subject(act), number("q", q)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    square = finite(float(mean_square(act, q)[0]), "E[f(z)^2]", act, q)
    return finite(sigma_w**2 * square + sigma_b**2, "the next variance", act, q)


def variance_slope(act: str | Activation, q: float, sigma_w: float) -> float:
    """V'(q) = sigma_w^2 E[f f' z] / sqrt(q), which is chi1 + sigma_w^2 E[f'' f]."""
    act, q, sigma_w = subject(act), number("q", q), sigma("sigma_w", sigma_w)
    return finite(sigma_w**2 * float(growth(act, q)[0]), "E[f(z) f'(z) z]", act, q)


def gain(act: str | Activation) -> float:
    """1/sqrt(E[f(z)^2]), z standard normal: the sigma_w that keeps a variance of 1."""
    act = subject(act)
    square = finite(float(mean_square(act, 1.0)[0]), "E[f(z)^2]", act, 1.0)
    if square == 0:
        raise NoFixedPoint(f"{called(act)} is 0 almost everywhere: no sigma_w keeps its variance")
    return 1 / math.sqrt(square)


def fixed_points(act: str | Activation, sigma_w: float, sigma_b: float = 0.0) -> list[FixedPoint]:
    """All variances that stay, in increasing order; empty where there is none up to 1e8.

    Where a whole interval stays (a critical ReLU network without biases) its entry is q = 1.
    """
    act = subject(act)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    excess = _excess(act, sigma_w, sigma_b)
    values = excess(GRID)
    found = [0.0] if sigma_b == 0 and float(act(0.0)) == 0 else []
    if np.all(np.abs(values[np.abs(GRID) < math.log(1e3)]) < 1e-9):
        found = [1.0]
    elif abs(excess(0.0)[0]) < 1e-9:
        found.append(1.0)
    for a, b in brackets(values):
        q = math.exp(root(excess, GRID[a], GRID[b]))
        if abs(q - 1) > 1e-8 or 1.0 not in found:
            found.append(q)
    slopes = sigma_w**2 * growth(act, np.array(found)) if found else []
    return sorted((FixedPoint(q, float(s)) for q, s in zip(found, slopes, strict=True)), key=lambda p: p.q)


def fixed_point(act: str | Activation, sigma_w: float, sigma_b: float = 0.0) -> float:
    """q*, the variance that one of 1 tends to from layer to layer; 1 where 1 stays, even if it repels.

    Raises NoFixedPoint where the variance grows without end, and where q* is beyond 1e8, the largest computed.
    """
    act = subject(act)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    excess = _excess(act, sigma_w, sigma_b)
    start = finite(float(excess(0.0)[0]), "E[f(z)^2]", act, 1.0)
    if abs(start) < 1e-9:
        return 1.0
    # Variances move towards the first point at which the excess changes its sign.
    way = GRID[GRID > -1e-9] if start > 0 else GRID[GRID < 1e-9][::-1]
    zero_stays = sigma_b == 0 and float(act(0.0)) == 0
    last = 0.0
    for first in range(1, len(way), 8):
        piece = way[first : first + 8]
        values = excess(piece) * start
        for x, value in zip(piece, values, strict=True):
            if value < -NOISE * abs(start):
                return math.exp(root(excess, *sorted((last, x))))
            last = x if value > 0 else last
        if start < 0 and zero_stays and np.all(np.abs(values[-2:]) < NOISE):
            return 0.0
    if start < 0:
        return 0.0
    where = f"{called(act)} at sigma_w = {sigma_w:g}, sigma_b = {sigma_b:g}"
    if np.isnan(values[-1]):
        raise NoFixedPoint(f"{where}: the variance grows beyond q = {math.exp(last):.3g}, the largest computed")
    if np.isfinite(values[-1]) and stays_beyond(excess(np.log(10) * FAR)):
        raise NoFixedPoint(f"{where}: the fixed point is beyond q = 1e8, the largest computed; give smaller ones")
    raise NoFixedPoint(f"{where}: the variance grows without end; there is no fixed point")


def stays_beyond(values: np.ndarray) -> np.ndarray:
    """Whether an excess at FAR [..., places] shows that one of these variances shrinks."""
    return (values < -NOISE).any(axis=-1)


def chi1(act: str | Activation, sigma_w: float, sigma_b: float = 0.0) -> float:
    """sigma_w^2 E[f'(sqrt(q*) z)^2]: the factor by which squared gradients scale from layer to layer at q*.

    Under 1 gradients vanish with depth (ordered phase), above 1 they explode (chaotic phase). Raises NoFixedPoint as
    `fixed_point` does.
    """
    act = subject(act)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    return chi_at(act, fixed_point(act, sigma_w, sigma_b), sigma_w)


def chi_at(act: Activation, q: float, sigma_w: float) -> float:
    """sigma_w^2 E[f'(sqrt(q) z)^2]."""
    return sigma_w**2 * finite(float(mean_square_slope(act, q)[0]), "E[f'(z)^2]", act, q)


def brackets(values: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of places between which values change their sign; those within NOISE, or not finite, have none."""
    signed = np.flatnonzero(np.isfinite(values) & (np.abs(values) > NOISE))
    return [(int(a), int(b)) for a, b in pairwise(signed) if (values[a] < 0) != (values[b] < 0)]


def _scales(sigma_w: object, sigma_b: object) -> tuple[float, float]:
    return sigma("sigma_w", sigma_w), sigma("sigma_b", sigma_b)


def _excess(act: Activation, sigma_w: float, sigma_b: float) -> Callable[[np.ndarray | float], np.ndarray]:
    """V(q)/q - 1 of log q."""

    def excess(log_q: np.ndarray | float) -> np.ndarray:
        q = np.exp(log_q)
        with np.errstate(over="ignore"):
            return (sigma_w**2 * mean_square(act, q) + sigma_b**2) / q - 1

    return excess


def root(of: Callable, low: float, high: float) -> float:
    return brentq(lambda x: float(of(x)[0]), low, high, xtol=1e-13, rtol=1e-14)


# --- correlations ---------------------------------------------------------------------------------


def correlation_map(act: str | Activation, c: float, q: float, sigma_w: float, sigma_b: float = 0.0) -> float:
    """The next layer's correlation of two inputs' pre-activations of variance q and correlation c.

    C(c) = (sigma_w^2 E[f(u) f(v)] + sigma_b^2) / V(q), its limit at q = 0; NaN where V(q) is 0.
    """
    act, c, q = subject(act), number("c", c, -1, 1), max(number("q", q), LEAST)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    product = finite(product_mean(act, math.sqrt(q), c, act.kinks), "E[f(u) f(v)]", act, q)
    variance = variance_map(act, q, sigma_w, sigma_b)
    if not variance:
        return math.nan
    return min(max((sigma_w**2 * product + sigma_b**2) / variance, -1.0), 1.0)  # rounding may lead beyond


def correlation_slope(act: str | Activation, c: float, q: float, sigma_w: float) -> float:
    """sigma_w^2 E[f'(u) f'(v)]: the derivative of the correlation map at a fixed point q.

    At c = 1 it is chi1, and inf where f has steps.
    """
    act, c, q = subject(act), number("c", c, -1, 1), number("q", q)
    sigma_w = sigma("sigma_w", sigma_w)
    if abs(c) == 1:
        if act.smoothness < 0:
            return math.inf
        return sigma_w**2 * float(product_mean(act.derivative, math.sqrt(max(q, LEAST)), c, act.kinks))
    slope = product_mean(act, math.sqrt(max(q, LEAST)), c, act.kinks, slopes=True)
    return sigma_w**2 * finite(slope, "E[f'(u) f'(v)]", act, q)


def correlation_fixed_point(act: str | Activation, sigma_w: float, sigma_b: float = 0.0) -> float:
    """c*, the correlation that any two inputs tend to: 1 in the ordered phase, less in the chaotic one.

    Raises NoFixedPoint as `fixed_point` does.
    """
    act = subject(act)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    return correlation_at(act, max(fixed_point(act, sigma_w, sigma_b), LEAST), sigma_w, sigma_b)


def correlation_at(act: Activation, q: float, sigma_w: float, sigma_b: float) -> float:
    """c* at a fixed point q.

    The map is convex on [0, 1], as all its Hermite coefficients are squares, and ends at C(1) = 1: it crosses the
    diagonal once below 1 or not at all. So many terms of the series, without and with all that is left at its most,
    enclose the crossing; where not closely enough, the map itself decides.
    """
    if act.smoothness >= 0 and chi_at(act, q, sigma_w) <= 1 + NEUTRAL:
        return 1.0
    variance = variance_map(act, q, sigma_w, sigma_b)
    if variance == 0:
        return 1.0
    terms, rest = hermite_squares(act, q)
    terms, rest = sigma_w**2 * terms / variance, sigma_w**2 * rest / variance
    terms[0] += sigma_b**2 / variance
    if terms[0] < 1e-12:
        return 0.0

    def series(c: float, beyond: float) -> float:
        return float(np.polynomial.polynomial.polyval(c, terms)) + beyond * c ** len(terms) - c

    def excess(c: float) -> float:
        return (sigma_w**2 * product_mean(act, math.sqrt(q), c, act.kinks) + sigma_b**2) / variance - c

    end = 1 - MERGED
    low = brentq(series, 0.0, end, args=(0.0,), xtol=1e-14) if series(end, 0.0) < 0 else end
    high = brentq(series, 0.0, end, args=(rest,), xtol=1e-14) if series(end, rest) < 0 else end
    if low == end or (high == end and excess(end) >= 0):
        return 1.0
    if high - low < 1e-11:
        return float(low)
    low, high = max(low - 1e-9, 0.0), min(high + 1e-9, end)
    return float(brentq(excess, low, high, xtol=1e-11))


def hermite_squares(act: Activation, q: float) -> tuple[np.ndarray, float]:
    """Squares of the Hermite coefficients of f(sqrt(q) z), of which E[f(u) f(v)] = sum of a_k^2 c^k, and what is left
    of their sum. Where nodes do not resolve the function there are no terms, and all is left."""
    std = np.array([math.sqrt(q)])
    z, weights = layout(np.zeros(1), std, act.kinks, 0.5)
    with np.errstate(all="ignore"):
        values = act(std * z)
        squares = hermite_coefficients(values * weights, z, TERMS)[0] ** 2
        resolved = float((values * values * weights).sum())
    square = float(mean_square(act, q)[0])
    if not abs(resolved - square) <= 1e-9 * square:
        return np.zeros(1), square
    return squares, max(square - float(squares.sum()), 0.0)


def depth_scales(act: str | Activation, sigma_w: float, sigma_b: float = 0.0) -> DepthScales:
    """How deep a signal and its differences reach: xi_q = -1/ln V'(q*), xi_c = -1/ln of the correlation map's slope.

    The latter is taken at c*: chi1 in the ordered phase. Raises NoFixedPoint as `fixed_point` does.
    """
    act = subject(act)
    sigma_w, sigma_b = _scales(sigma_w, sigma_b)
    q = max(fixed_point(act, sigma_w, sigma_b), LEAST)
    c = correlation_at(act, q, sigma_w, sigma_b)
    at_one = chi_at(act, q, sigma_w)
    by_c = at_one if c == 1 else correlation_slope(act, c, q, sigma_w)
    return DepthScales(depth(variance_slope(act, q, sigma_w)), depth(by_c), c, at_one)


def depth(factor: float) -> float:
    """Layers over which a factor a layer makes 1/e: -1/ln, inf from 1 on."""
    factor = abs(factor)
    if factor >= 1 - NEUTRAL:
        return math.inf
    return -1 / math.log(factor) if factor > 0 else 0.0

"""Expectations over normal pre-activations, to ten digits, also of functions with kinks, steps and steep flanks.

Integrals over the density are sums over panels of Gauss-Legendre nodes. A panel whose integrand is not smooth at its
own scale, as its last Legendre coefficients tell, is halved until it is, or until it no longer counts. Many integrals
go side by side, one a row, so that scans over variances and inner integrals are single calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

# Arrays whose product is averaged, from u and from z = (u - mean)/std.
Factors = Callable[[np.ndarray, np.ndarray], Sequence[np.ndarray]]

NODES = 20
_X, _W = np.polynomial.legendre.leggauss(NODES)
# Of values at the nodes: the last Legendre coefficients.
_LAST = np.polynomial.legendre.legvander(_X, NODES - 1)[:, -4:] * _W[:, None] * (np.arange(NODES - 4, NODES) + 0.5)
PRECISION = 1e-13
MAX_PANELS, MAX_HALVINGS, AT_A_TIME = 20_000, 60, 16_384
# In standard deviations: where the density itself ends, by the number of factors that share it. Squares of functions as
# large as exp(u) are so taken to where they end.
REACH = {1: 38.0, 2: 54.0}
# An integrand that at the end of reach, or where it overflows, still has this share of all has no finite mean; nor has
# one with this share in panels that halving does not settle.
LOST, UNSETTLED, FAINT = 1e-9, 1e-6, 1e-280
# Distances from a break, in units of u, at which panels end: flanks are about 1 wide whatever the standard deviation.
_AROUND = np.concatenate([[0.0], 4.0 ** np.arange(-1, 8)])

_FLANK = (-8, -2, 0, 2, 8)


def normal_means(
    factors: Factors,
    mean: np.ndarray | float,
    std: np.ndarray | float,
    breaks: Sequence[float] = (),
    number: int = 2,
    precision: float = PRECISION,
) -> np.ndarray:
    """E[product of factors(u, z)] for u = mean + std z, z standard normal; float64 [rows].

    breaks: where the functions jump or bend. number: how many factors there are. inf where the mean is infinite, NaN
    where the functions are undefined on a set of positive probability, or wind too often to be followed.
    """
    mean, std = (np.ravel(a).astype(float) for a in np.broadcast_arrays(mean, std))
    rows, reach = len(mean), REACH[number]
    edges = _edges(mean, std, breaks, reach)
    left, right = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    row = np.repeat(np.arange(rows), edges.shape[1] - 1)
    real = right - left > 1e-15 * reach
    left, right, row = left[real], right[real], row[real]
    total, size = np.zeros((2, rows))
    undefined = np.zeros(rows, bool)
    visited = np.zeros(rows)
    with np.errstate(all="ignore"):
        for _ in range(MAX_HALVINGS):
            sums, error, bad = _panels(factors, mean[row], std[row], left, right, number)
            undefined |= np.bincount(row, bad, rows) > 0
            visited += np.bincount(row, minlength=rows)
            rough = error > precision * (size + np.bincount(row, np.abs(sums), rows))[row]
            given_up = rough & (visited[row] > MAX_PANELS)
            if given_up.any():
                undefined |= np.bincount(row, given_up, rows) > 0
                rough &= ~undefined[row]
            total += np.bincount(row[~rough], sums[~rough], rows)
            size += np.bincount(row[~rough], np.abs(sums[~rough]), rows)
            if not rough.any():
                break
            middle = 0.5 * (left[rough] + right[rough])
            ends = np.stack([left[rough], middle, right[rough]])
            row, left, right = np.repeat(row[rough], 2), ends[:2].T.ravel(), ends[1:].T.ravel()
        else:
            rest = np.bincount(row, np.repeat(0.5 * np.abs(sums[rough]), 2), rows)
            total[rest > UNSETTLED * size + FAINT] = np.inf
        total[_outermost(factors, mean, std, reach, number) > LOST * size + FAINT] = np.inf
    total[undefined] = np.nan
    return total


def _panels(
    factors: Factors, mean: np.ndarray, std: np.ndarray, left: np.ndarray, right: np.ndarray, number: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integrals over panels, how rough they are, and whether the integrand is undefined somewhere; so many at a time
    that memory does not matter."""
    found = np.empty((3, len(left)))
    for start in range(0, len(left), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        half, middle = 0.5 * (right[part] - left[part]), 0.5 * (right[part] + left[part])
        z = middle[:, None] + half[:, None] * _X
        values = _density(factors, mean[part, None], std[part, None], z, number)
        found[2, part] = np.isnan(values).any(axis=1)
        values[~np.isfinite(values)] = 0
        found[0, part], found[1, part] = half * (values @ _W), half * np.abs(values @ _LAST).max(axis=1)
    return found[0], found[1], found[2]


def _edges(mean: np.ndarray, std: np.ndarray, breaks: Sequence[float], reach: float) -> np.ndarray:
    """Ends of panels in z, [rows, edges]: even ones near 0, wider ones to the ends of reach, and around the breaks and
    the origin ones as wide as flanks are."""
    near, far = np.arange(-12.0, 12.1, 3.0), np.linspace(12, reach, 7)
    even = np.concatenate([-far[:0:-1], near, far[1:]])
    places = np.unique([0.0, *breaks])
    special = np.unique(np.concatenate([(places[:, None] - _AROUND), (places[:, None] + _AROUND)]))
    with np.errstate(all="ignore"):
        mapped = np.nan_to_num((special - mean[:, None]) / std[:, None], nan=0.0)
    edges = np.concatenate([np.broadcast_to(even, (len(mean), even.size)), mapped], axis=1)
    return np.sort(np.clip(edges, -reach, reach), axis=1)


def _density(factors: Factors, mean: np.ndarray, std: np.ndarray, z: np.ndarray, number: int) -> np.ndarray:
    """The product of the factors times the density of z, which they share: none overflows before the product does."""
    root = np.exp(-0.5 * z * z / number) / (2 * np.pi) ** (0.5 / number)
    u = (mean + std * z).ravel()
    value = 1.0
    for factor in factors(u, z.ravel()):
        factor = factor.reshape(z.shape)
        # A density of 0 wins over an infinity, so do values of 0.
        value = value * np.where((root > 0) & (factor != 0), factor * root, 0)
    return value


def _outermost(factors: Factors, mean: np.ndarray, std: np.ndarray, reach: float, number: int) -> np.ndarray:
    """The integrand's size at the ends of reach, or next to where its factors overflow; the larger of the two sides."""
    ends = np.array([-reach, reach])
    z = np.broadcast_to(ends, (len(mean), 2))
    found = np.abs(_density(factors, mean[:, None], std[:, None], z, number))
    for row, side in zip(*np.nonzero(np.isinf(found)), strict=True):
        z = np.linspace(ends[side], 0, 4000)[None]
        inside = np.abs(_density(factors, mean[row], std[row], z, number))[0]
        inside = inside[np.isfinite(inside)]
        found[row, side] = inside[0] if inside.size else np.inf
    return found.max(axis=1)


def gaussian_mean(factors: Factors, std: float, breaks: Sequence[float] = (), number: int = 2) -> float:
    """E[product of factors(std z, z)] for z standard normal: one row of `normal_means`."""
    return float(normal_means(factors, 0.0, std, breaks, number)[0])


def product_mean(
    g: Callable, std: float, correlation: float, breaks: Sequence[float] = (), slopes: bool = False
) -> float:
    """E[g(u) g(v)] for jointly normal u, v of mean 0, equal standard deviation and that correlation; with `slopes`
    E[g'(u) g'(v)], without differentiating, so that steps count too (for |correlation| < 1).

    With c >= 0, u = std (sqrt(c) w + sqrt(1-c) a) and v likewise with b, so that it is E[m(w)^2], m(w) the mean over a;
    with c < 0, v has -w. By Stein's lemma the mean of g' over a is that of a g, divided by a's scale.
    """
    c = float(correlation)
    if abs(c) == 1 or std == 0:
        return gaussian_mean(lambda u, z: (g(u), g(np.copysign(1, c) * u)), std, [*breaks, *(-b for b in breaks)])
    shared, own = std * np.sqrt(abs(c)), std * np.sqrt(1 - abs(c))

    def inner(u: np.ndarray, z: np.ndarray) -> tuple[np.ndarray]:
        return (g(u) * z / own if slopes else g(u),)

    def outer(w: np.ndarray, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        m = normal_means(inner, w, own, breaks, 1, 1e-12)
        return m, m if c >= 0 else normal_means(inner, -w, own, breaks, 1, 1e-12)

    # A step is smoothed to a flank as wide as `own`, which may be much less than 1.
    flanks = [sign * b + step * own for b in breaks for sign in {1, np.copysign(1, c)} for step in _FLANK]
    return float(normal_means(outer, 0.0, shared, flanks, 2, 1e-12)[0])


# --- Hermite series -------------------------------------------------------------------------------


def layout(
    mean: np.ndarray, std: np.ndarray, breaks: Sequence[float], step: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z and weights [rows, nodes], the density included, for functions of u = mean + std z that are smooth
    between the breaks and do not wind: one grid for many means, to about ten digits, unchecked."""
    even = np.arange(-12.0, 12.0 + step / 2, step)
    places = np.unique([0.0, *breaks])
    farthest = 12 * max(1.0, float(np.max(std, initial=0)))
    around = _AROUND[: np.searchsorted(_AROUND, farthest)]
    special = np.unique(np.concatenate([(places[:, None] - around), (places[:, None] + around)]))
    with np.errstate(all="ignore"):
        mapped = np.nan_to_num((special - mean[:, None]) / std[:, None], nan=0.0)
    edges = np.concatenate([np.broadcast_to(even, (len(mean), even.size)), mapped], axis=1)
    edges = np.sort(np.clip(edges, -12, 12), axis=1)
    half, middle = 0.5 * np.diff(edges, axis=1), 0.5 * (edges[:, 1:] + edges[:, :-1])
    z = (middle[..., None] + half[..., None] * _X).reshape(len(mean), -1)
    weights = (half[..., None] * _W).reshape(z.shape) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    return z, weights


def hermite_coefficients(weighted: np.ndarray, z: np.ndarray, count: int) -> np.ndarray:
    """E[f h_k(z)], k < count, [rows, count], of functions given as values times weights at nodes z [rows, nodes]; h_k
    are the orthonormal Hermite polynomials, so that E[f(u) f(v)] = sum of a_k(u) a_k(v) c^k (Mehler)."""
    out = np.empty((len(z), count))
    before, polynomial = np.zeros_like(z), np.ones_like(z)
    for k in range(count):
        out[:, k] = np.einsum("rn,rn->r", weighted, polynomial)
        before, polynomial = polynomial, (z * polynomial - np.sqrt(k) * before) / np.sqrt(k + 1)
    return out

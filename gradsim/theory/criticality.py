"""The edge of chaos, where gradients neither vanish nor explode, the phases around it, and initializers on the map."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline

from gradsim.activations import Activation
from gradsim.choices import parse
from gradsim.errors import UsageError, short
from gradsim.fields import completed
from gradsim.initializers import INITIALIZERS, Layer
from gradsim.theory.meanfield import (
    FAR,
    GRID,
    LEAST,
    NEUTRAL,
    NOISE,
    NoFixedPoint,
    brackets,
    chi_at,
    correlation_at,
    correlation_slope,
    depth,
    fixed_point,
    gain,
    growth,
    mean_square,
    mean_square_slope,
    root,
    stays_beyond,
    variance_slope,
)
from gradsim.theory.subject import NoExpectation, called, sigma, sigmas, subject

# Variances between which the edge is looked for: beyond, functions that wind take seconds.
EDGE = GRID[: np.searchsorted(GRID, math.log(1.1e5))]
# Variances are at least sigma_b^2: from here on there are none on the edge within EDGE.
MOST_SIGMA_B = 300.0
# Points of the edge between two of them.
FINE = 48
# Initializers whose place on the map is worth a mark, and what they are called there.
NAMED = {"lecun_normal": "LeCun", "glorot_normal": "Glorot", "he_normal": "He"}


@dataclasses.dataclass(frozen=True)
class Critical:
    """A point on the edge of chaos: chi1 = 1 at the variance `q`, to which a variance of 1 tends."""

    sigma_w: float
    sigma_b: float
    q: float


# --- the edge -------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _moments(act: Activation) -> tuple[np.ndarray, np.ndarray]:
    """E f^2 and E f'^2 on EDGE; NaN where the latter is not a positive number, as no sigma_w makes it 1 there."""
    square, steep = mean_square(act, np.exp(EDGE)), mean_square_slope(act, np.exp(EDGE))
    return square, np.where((steep > 0) & (steep < np.inf), steep, np.nan)


def edge_of_chaos(act: str | Activation) -> pd.DataFrame:
    """The edge by its variance: q, sigma_w, sigma_b, slope, stable; some thousand rows for q from 1e-8 to 1e5.

    sigma_w^2 = 1/E[f'^2] and sigma_b^2 = q - E[f^2]/E[f'^2], where that is not negative. `slope` is V'(q): `stable`
    where it is at most 1; a variance of more is one that networks leave. Interpolated in log q, to about 1e-5.
    """
    act = subject(act)
    square, steep = _moments(act)
    known = np.isfinite(square) & np.isfinite(steep) & (square > 0) & (np.exp(EDGE) > 0.99e-8)
    faster = np.full(len(EDGE), np.nan)
    faster[known] = growth(act, np.exp(EDGE[known]))
    known &= np.isfinite(faster)  # functions that wind too often have it only up to some variance
    if known.sum() < 4:
        empty = pd.DataFrame(columns=["q", "sigma_w", "sigma_b", "slope", "stable"], dtype=float)
        return empty.astype({"stable": bool})
    x = EDGE[known]
    # What is left of a variance for the biases, as a share, and where it begins or ends.
    bias = CubicSpline(x, 1 - square[known] / steep[known] / np.exp(x))
    log_steep = CubicSpline(x, np.log(steep[known]))
    growing = CubicSpline(x, faster[known] / steep[known])
    fine = np.interp(np.linspace(0, len(x) - 1, FINE * (len(x) - 1) + 1), np.arange(len(x)), x)
    ends = [at for at in bias.roots(extrapolate=False) if np.isfinite(at)] if np.ptp(bias(x)) > 1e-9 else []
    fine = np.union1d(fine, ends)
    share = np.where(np.isin(fine, ends) | (np.abs(bias(fine)) < 1e-9), 0.0, bias(fine))
    fine, share = fine[share >= 0], share[share >= 0]
    q, slope = np.exp(fine), growing(fine)
    columns = {"q": q, "sigma_w": np.exp(-0.5 * log_steep(fine)), "sigma_b": np.sqrt(share * q), "slope": slope}
    return pd.DataFrame(columns | {"stable": np.abs(slope) <= 1 + NEUTRAL})


def critical(act: str | Activation, sigma_b: float = 0.0) -> Critical:
    """The point of the edge of chaos at a given sigma_b, at most 300. Raises NoFixedPoint, with the reason, where there
    is none of a variance up to 1e5."""
    act, sigma_b = subject(act), sigma("sigma_b", sigma_b, MOST_SIGMA_B)
    square, steep = _moments(act)

    def excess(log_q: np.ndarray | float) -> np.ndarray:
        q = np.exp(log_q)
        with np.errstate(all="ignore"):
            return 1 - (sigma_b**2 + mean_square(act, q) / mean_square_slope(act, q)) / q

    with np.errstate(all="ignore"):
        values = 1 - (sigma_b**2 + square / steep) / np.exp(EDGE)
    candidates = []
    if sigma_b == 0 and np.all(np.abs(values[np.abs(EDGE) < math.log(1e3)]) < 1e-9):
        candidates = [1.0]  # all variances stay
    elif sigma_b == 0 and float(act(0.0)) == 0 and abs(values[0]) < 1e-4:
        candidates = [LEAST]  # nearly linear at 0, and 0 stays
    candidates += [math.exp(root(excess, EDGE[a], EDGE[b])) for a, b in brackets(values)]
    left = []
    for q in candidates:
        sigma_w = 1 / math.sqrt(float(mean_square_slope(act, q)[0]))
        slope = variance_slope(act, q, sigma_w)
        if abs(slope) <= 1 + NEUTRAL and _reached(act, q, sigma_w, sigma_b):
            return Critical(sigma_w, sigma_b, 0.0 if q == LEAST else q)
        left.append((q, sigma_w, slope))
    raise NoFixedPoint(f"{called(act)} has no edge of chaos at sigma_b = {sigma_b:g}: {_reason(act, sigma_b, left)}")


def critical_sigma_w(act: str | Activation, sigma_b: float = 0.0) -> float:
    """The sigma_w on the edge of chaos, chi1 = 1 at q*, for a given sigma_b. Raises NoFixedPoint where there is none.

    On the edge sigma_w^2 = 1/E[f'^2] and sigma_b^2 = q - E[f^2]/E[f'^2]: one equation for q*. A variance of 1 has to
    tend to that q*.
    """
    return critical(act, sigma_b).sigma_w


def _reached(act: Activation, q: float, sigma_w: float, sigma_b: float) -> bool:
    try:
        end = fixed_point(act, sigma_w, sigma_b)
    except NoFixedPoint:
        return False
    # Where the slope of V is nearly 1 too, rounding moves the fixed point far.
    return abs(end - q) <= 1e-4 * q + 1e-9


def _reason(act: Activation, sigma_b: float, left: list[tuple[float, float, float]]) -> str:
    """Why no point will do, and where there would be one."""
    edge = edge_of_chaos(act)
    stays = edge[edge["stable"]]
    if stays.empty:
        elsewhere = "nor is there one at any other"
    elif np.ptp(stays["sigma_b"]) < 1e-3:
        elsewhere = f"there is one at sigma_b = {stays['sigma_b'].mean():.3g} only"
    elif sigma_b < stays["sigma_b"].min():
        elsewhere = f"there is one from about sigma_b = {stays['sigma_b'].min():.2g} on"
    else:
        low, high = stays["sigma_b"].min(), stays["sigma_b"].max()
        elsewhere = f"variances that attract have it between about sigma_b = {low:.2g} and {high:.2g}"
    if not left:
        return f"no variance up to 1e5 has chi1 = 1; {elsewhere}"
    q, sigma_w, slope = left[0]
    why = f"which repels (V' = {slope:.4g})" if abs(slope) > 1 + NEUTRAL else "to which a variance of 1 does not tend"
    return f"chi1 = 1 at sigma_w = {sigma_w:.4g}, q = {0 if q == LEAST else q:.4g}, {why}; {elsewhere}"


# --- the phases -----------------------------------------------------------------------------------


def phase_diagram(act: str | Activation, sigma_w: Sequence[float], sigma_b: Sequence[float]) -> pd.DataFrame:
    """What becomes of signals and gradients on a grid: activation, sigma_w, sigma_b, q, chi1, phase; one row a pair.

    phase: "ordered" (chi1 < 1), "chaotic" (chi1 > 1), "critical" (to 1e-9), or "unbounded" where the variance grows
    without end; there q is inf and chi1 its value at 1e5. Interpolated in log q, to about 1e-5. Raises NoFixedPoint for
    a q beyond 1e8, the largest computed, UsageError for what is no list of numbers from 0 to 1e30.
    """
    act = subject(act)
    sigma_w, sigma_b = np.array(sigmas("sigma_w", sigma_w)), np.array(sigmas("sigma_b", sigma_b))
    square, steep = _moments(act)
    w, b = (a.ravel() for a in np.meshgrid(sigma_w, sigma_b))
    q = _destinations(w, b, square)
    chi = w**2 * _smooth(steep)(np.log(np.clip(q, np.exp(EDGE[0]), np.exp(EDGE[-1]))))
    for row in _beyond(act, w, b, q):
        q[row] = fixed_point(act, float(w[row]), float(b[row]))
        chi[row] = chi_at(act, q[row], float(w[row]))
    phase = np.where(np.abs(chi - 1) <= NEUTRAL, "critical", np.where(chi < 1, "ordered", "chaotic"))
    frame = pd.DataFrame({"activation": called(act), "sigma_w": w, "sigma_b": b, "q": q, "chi1": chi})
    return frame.assign(phase=np.where(np.isinf(q), "unbounded", phase))


def _smooth(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function of log q through positive values on EDGE; constant beyond those that are finite."""
    known = np.isfinite(values) & (values > 0)
    if known.sum() < 4:
        return lambda x: np.zeros_like(x)
    spline, low, high = CubicSpline(EDGE[known], np.log(values[known])), EDGE[known][0], EDGE[known][-1]
    return lambda x: np.exp(spline(np.clip(x, low, high)))


def _destinations(sigma_w: np.ndarray, sigma_b: np.ndarray, square: np.ndarray) -> np.ndarray:
    """The variance that one of 1 tends to, for each pair; inf for no end."""
    smooth = _smooth(square)

    def excess(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return (sigma_w[rows] ** 2 * smooth(x) + sigma_b[rows] ** 2) / np.exp(x) - 1

    with np.errstate(all="ignore"):
        coarse = (sigma_w[:, None] ** 2 * square + sigma_b[:, None] ** 2) / np.exp(EDGE) - 1
    start = int(np.searchsorted(EDGE, -1e-9))
    found = np.ones(len(sigma_w))
    for sign in (1, -1):
        rows = np.flatnonzero(coarse[:, start] * sign > 1e-9)
        way = (coarse[rows, start:] if sign > 0 else coarse[rows, start::-1]) * sign
        crossed = way < -NOISE
        found[rows] = np.inf if sign > 0 else 0.0
        rows, k = rows[crossed.any(axis=1)], crossed.argmax(axis=1)[crossed.any(axis=1)]
        near, far = EDGE[start + sign * (k - 1)], EDGE[start + sign * k]
        for _ in range(40):
            middle = 0.5 * (near + far)
            before = excess(middle, rows) * sign > 0
            near, far = np.where(before, middle, near), np.where(before, far, middle)
        found[rows] = np.exp(far)
    return found


def _beyond(act: Activation, sigma_w: np.ndarray, sigma_b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Which pairs without a destination on EDGE have one beyond."""
    rows = np.flatnonzero(np.isinf(q))
    if not rows.size:
        return rows
    x = np.concatenate([GRID[len(EDGE) :: 4], np.log(10) * FAR])
    with np.errstate(all="ignore"):
        square = mean_square(act, np.exp(x))
        values = (sigma_w[rows, None] ** 2 * square + sigma_b[rows, None] ** 2) / np.exp(x) - 1
    return rows[stays_beyond(values)]


def named_sigma_w(names: Mapping[str, str] = NAMED) -> dict[str, float]:
    """sigma_w of initializers in layers with as many inputs as outputs, by what they are called ("LeCun, Glorot": 1).

    names: initializer -> what it is called; those of the same sigma_w share an entry. Raises UsageError where the data
    decide the weights.
    """
    if not isinstance(names, Mapping) or not all(isinstance(title, str) for title in names.values()):
        raise UsageError(f"names = {short(names)}: must be a table from initializers to what they are called")
    found: dict[float, list[str]] = {}
    for name, title in names.items():
        choice = completed("initializer", parse(name, "initializer"))
        moments = INITIALIZERS[choice.name].moments(Layer(1024, 1024), **choice.values)
        if moments is None:
            raise UsageError(f"names: under {choice.name!r} the data decide the weights; it has no sigma_w of its own")
        sigma_w = math.sqrt(1024 * moments[1])
        found.setdefault(round(sigma_w, 9), []).append(title)
    return {", ".join(same): sigma_w for sigma_w, same in sorted(found.items())}


# --- the table ------------------------------------------------------------------------------------


def theory_table(names: Sequence[str | Activation], sigma_b: float = 0.0) -> pd.DataFrame:
    """One row an activation: what theory says of it at a given sigma_b.

    Columns: activation; gain (1/sqrt E f(z)^2); critical_sigma_w and critical_q; q, chi1 and xi_c for sigma_w = 1
    (LeCun, and Glorot in square layers) with the suffix _lecun, and for sigma_w = sqrt(2) with _he; note: why a number
    is missing (NaN). Raises UsageError for what is no pointwise activation.
    """
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise UsageError(f"names = {short(names)}: must be a list of activations")
    sigma_b = sigma("sigma_b", sigma_b, MOST_SIGMA_B)
    return pd.DataFrame([_row(subject(name), sigma_b) for name in names])


def _row(act: Activation, sigma_b: float) -> dict[str, object]:
    notes: list[str] = []

    def told(of, *arguments):
        try:
            return of(*arguments)
        except (NoFixedPoint, NoExpectation) as error:
            notes.append(str(error))
            return None

    found = told(critical, act, sigma_b)
    row = {"activation": called(act), "gain": told(gain, act)}
    row |= {"critical_sigma_w": found.sigma_w if found else None, "critical_q": found.q if found else None}
    for name, sigma_w in (("lecun", 1.0), ("he", math.sqrt(2))):
        q = told(fixed_point, act, sigma_w, sigma_b)
        chi = None if q is None else told(chi_at, act, q, sigma_w)
        row |= {f"q_{name}": q, f"chi1_{name}": chi}
        row[f"xi_c_{name}"] = None if chi is None else told(_memory, act, q, chi, sigma_w, sigma_b)
    numbers = {k: math.nan if v is None else v for k, v in row.items()}
    return numbers | {"note": "; ".join(dict.fromkeys(notes))}


def _memory(act: Activation, q: float, chi: float, sigma_w: float, sigma_b: float) -> float:
    q = max(q, LEAST)
    c = correlation_at(act, q, sigma_w, sigma_b)
    return depth(chi if c == 1 else correlation_slope(act, c, q, sigma_w))

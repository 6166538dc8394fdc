"""The maps as curves, for pictures: next variance over variance, next correlation over correlation, what stays."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradsim.activations import Activation
from gradsim.theory.meanfield import (
    LEAST,
    NEUTRAL,
    NoFixedPoint,
    chi_at,
    correlation_at,
    correlation_slope,
    fixed_point,
    fixed_points,
    hermite_squares,
    mean_square,
    variance_map,
)
from gradsim.theory.quadrature import product_mean
from gradsim.theory.subject import called, number, sigma, sigmas, subject

# Of a figure's curve: what is left of a series may be, before the map itself is asked.
CLOSE = 1e-5


def variance_curves(
    act: str | Activation, sigma_w: Sequence[float], sigma_b: float = 0.0, most: float | None = None
) -> pd.DataFrame:
    """V(q) for several sigma_w: activation, sigma_w, sigma_b, q, next; 201 variances from 0 to `most`.

    By default as far as twice the largest variance that stays, and at least to 2.
    """
    act, sigma_b = subject(act), sigma("sigma_b", sigma_b)
    sigma_w = sigmas("sigma_w", sigma_w)
    if most is None:
        stay = [p.q for w in sigma_w for p in fixed_points(act, w, sigma_b) if p.q < 1e3]
        most = max(2.0, 2 * max(stay, default=0.0))
    q = np.linspace(0, number("most", most, 1e-6), 201)
    square = mean_square(act, q)
    return _together([_curve(act, w, sigma_b, q=q, next=w**2 * square + sigma_b**2) for w in sigma_w], "q")


def correlation_curves(act: str | Activation, sigma_w: Sequence[float], sigma_b: float = 0.0) -> pd.DataFrame:
    """C(c) at q* for several sigma_w: activation, sigma_w, sigma_b, c, next; 101 correlations from 0 to 1.

    A sigma_w at which variances grow without end has no curve.
    """
    act, sigma_b = subject(act), sigma("sigma_b", sigma_b)
    curves = []
    for w in sigmas("sigma_w", sigma_w):
        try:
            q = max(fixed_point(act, w, sigma_b), LEAST)
        except NoFixedPoint:
            continue
        c = np.linspace(0, 1, 101)
        curves.append(_curve(act, w, sigma_b, c=c, next=_correlations(act, q, c, w, sigma_b)))
    return _together(curves, "c")


def _correlations(act: Activation, q: float, c: np.ndarray, sigma_w: float, sigma_b: float) -> np.ndarray:
    variance = variance_map(act, q, sigma_w, sigma_b)
    if variance == 0:
        return np.full_like(c, np.nan)
    squares, rest = hermite_squares(act, q)
    products = np.polynomial.polynomial.polyval(c, squares)
    for k in np.flatnonzero(sigma_w**2 * rest * c ** len(squares) > CLOSE * variance):
        products[k] = product_mean(act, math.sqrt(q), float(c[k]), act.kinks)
    return (sigma_w**2 * products + sigma_b**2) / variance


def what_stays(act: str | Activation, sigma_w: Sequence[float], sigma_b: float = 0.0) -> pd.DataFrame:
    """Fixed points of both maps: activation, sigma_w, sigma_b, quantity ("q" or "c"), at, slope, stable.

    c = 1 always stays; it is stable in the ordered phase.
    """
    act, sigma_b = subject(act), sigma("sigma_b", sigma_b)
    rows = []
    for w in sigmas("sigma_w", sigma_w):
        rows += [(w, "q", p.q, p.slope, p.stable) for p in fixed_points(act, w, sigma_b)]
        try:
            q = max(fixed_point(act, w, sigma_b), LEAST)
        except NoFixedPoint:
            continue
        ends = {1.0: math.inf if act.smoothness < 0 else chi_at(act, q, w)}
        c = correlation_at(act, q, w, sigma_b)
        if c < 1:
            ends[c] = correlation_slope(act, c, q, w)
        rows += [(w, "c", at, slope, slope <= 1 + NEUTRAL) for at, slope in ends.items()]
    frame = pd.DataFrame(rows, columns=["sigma_w", "quantity", "at", "slope", "stable"])
    frame.insert(0, "activation", called(act))
    frame.insert(2, "sigma_b", sigma_b)
    return frame


def _curve(act: Activation, sigma_w: float, sigma_b: float, **columns: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"activation": called(act), "sigma_w": sigma_w, "sigma_b": sigma_b} | columns)


def _together(curves: list[pd.DataFrame], over: str) -> pd.DataFrame:
    """One frame; without curves one without rows."""
    columns = ["activation", "sigma_w", "sigma_b", over, "next"]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=columns)

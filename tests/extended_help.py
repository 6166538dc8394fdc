"""Pairs of float64 lanes in tests: taking them apart, and measuring them against exact numbers."""

from __future__ import annotations

import math

import numpy as np
from mpmath import mp

from gradsim import jit
from gradsim.lanes import rounded
from gradsim.lanes.extended import low_part

DIGITS = 60
INF, NAN = np.inf, np.nan
SPECIAL = np.array(
    [
        s * v
        for v in (0.0, 5e-324, 2.2250738585072014e-308, 1e-20, 0.3, 1, 2.5, 800, 1e16, 1.7e308, INF)
        for s in (1, -1)
    ]
    + [NAN]
)


@jit.formula
def parts(x):
    """(high, low) of a pair."""
    return rounded(x), low_part(x)


def pairs(high, seed=0):
    """Low parts, below half a unit in the last place of the high ones."""
    return np.spacing(high) * np.random.default_rng(seed).uniform(-0.49, 0.49, np.shape(high))


def numbers(high, low):
    """The exact numbers that pairs stand for."""
    with mp.workdps(DIGITS):
        return [mp.mpf(float(h)) + mp.mpf(float(x)) for h, x in zip(high, low, strict=True)]


def good_bits(high, low, wanted, sizes=None):
    """How many bits of the pairs are right, at the worst, relative to the wanted numbers or to `sizes`."""
    with mp.workdps(DIGITS):
        errors = [
            abs(got - w) / abs(size)
            for got, w, size in zip(numbers(high, low), wanted, sizes or wanted, strict=True)
            if size != 0
        ]
        return math.inf if max(errors) == 0 else -float(mp.log(max(errors), 2))


def assert_well_formed(high, low):
    """Low is 0 where high is not finite, and too small to change it elsewhere."""
    finite = np.isfinite(high)
    np.testing.assert_array_equal(low[~finite], 0)
    np.testing.assert_array_equal(high[finite] + low[finite], high[finite])

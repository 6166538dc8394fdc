"""How sure a comparison is: Wilson intervals for rates, seeded bootstrap intervals for medians and means."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from gradsim.errors import UsageError

CONFIDENCE = 0.95
RESAMPLES = 1000


def wilson_interval(successes, n, confidence: float = CONFIDENCE):
    """Wilson's score interval (low, high) of a proportion.

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), p = successes/n. Numbers or arrays; floats
    in, floats out. n = 0 knows nothing: (0, 1). Raises UsageError unless 0 <= successes <= n and
    0 < confidence < 1. Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    _check_confidence(confidence)
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(n, float))
    if not ((k >= 0) & (k <= n)).all():
        raise UsageError(f"successes = {successes!r}: must lie between 0 and n = {n.tolist()!r}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    safe = np.where(n > 0, n, 1.0)
    p = k / safe
    center = p + z * z / (2 * safe)
    spread = z * np.sqrt(p * (1 - p) / safe + z * z / (4 * safe * safe))
    scale = 1 + z * z / safe
    # The ends are exact where rounding would leave 1e-17 instead of 0, or a hair over 1.
    low = np.where((k == 0) | (n == 0), 0.0, (center - spread) / scale)
    high = np.where((k == n) | (n == 0), 1.0, (center + spread) / scale)
    return (float(low), float(high)) if low.ndim == 0 else (low, high)


def bootstrap_interval(
    values,
    statistic: str = "median",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval (low, high) of the "median" or the "mean" of a 1-D sample.

    Deterministic: equal n, resamples and seed draw equally. +inf is a value (a diverged loss), NaN
    is dropped; nothing left gives (nan, nan). The ends are resampled statistics themselves, never
    interpolated, so an infinite end is inf and not NaN. Source: B. Efron, Ann. Stat. 7 (1979) 1.
    """
    _check_confidence(confidence)
    if statistic not in ("median", "mean"):
        raise UsageError(f"statistic = {statistic!r}: allowed are 'median' and 'mean'")
    values = np.asarray(values, float).ravel()
    values = np.sort(values[~np.isnan(values)])
    if values.size == 0:
        return float("nan"), float("nan")
    if statistic == "median":
        ranks = resampled_median_ranks(values.size, resamples, seed)
        low, high = median_ends(values[None, ranks.lower], values[None, ranks.upper], ranks.counts, confidence)
        return float(low[0]), float(high[0])
    drawn = np.sort(_resampled_means(values, resamples, seed))
    first, last = _places(resamples, confidence)
    return float(drawn[first]), float(drawn[last])


def share_mean_interval(shares) -> tuple[float, float]:
    """Bootstrap interval (low, high) of the mean of shares, as `bootstrap_interval` has it, at a cost that does not
    grow with their number.

    How often each distinct share is drawn is multinomial; of over a thousand distinct ones a thousandth is kept.
    """
    shares = np.asarray(shares, float)
    if not shares.size:
        return float("nan"), float("nan")
    kinds, counts = np.unique(shares, return_counts=True)
    if kinds.size > 1000:
        kinds, counts = np.unique(shares.round(3), return_counts=True)
    generator = np.random.default_rng([0, shares.size])
    drawn = np.sort(generator.multinomial(shares.size, counts / shares.size, RESAMPLES) @ kinds / shares.size)
    first, last = _places(RESAMPLES, CONFIDENCE)
    return float(drawn[first]), float(drawn[last])


class MedianRanks(NamedTuple):
    """Pairs of ranks in a sorted sample between which medians of resamples lie, and how many resamples have each."""

    lower: np.ndarray
    upper: np.ndarray
    counts: np.ndarray


@lru_cache(maxsize=4096)
def resampled_median_ranks(n: int, resamples: int = RESAMPLES, seed: int = 0) -> MedianRanks:
    """Where the median of a resample of a sorted sample of n lies: n alone decides.

    The middle order statistics of n uniform numbers are drawn themselves, by their beta distributions, and not the n
    numbers: the same distribution at a cost that does not grow with n.
    """
    generator = np.random.default_rng([seed, n])
    middle = (n + 1) // 2
    first = generator.beta(middle, n + 1 - middle, resamples)
    second = first if n % 2 else first + (1 - first) * generator.beta(1, n - middle, resamples)
    ranks = np.minimum(np.floor(n * np.stack([first, second])).astype(np.int64), n - 1)
    (lower, upper), counts = np.unique(ranks, axis=1, return_counts=True)
    return MedianRanks(lower, upper, counts)


def median_ends(
    lower: np.ndarray, upper: np.ndarray, counts: np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Interval ends of many samples' medians: values [samples, k] at the ranks, `counts` [k] resamples at each."""
    medians = 0.5 * lower + 0.5 * upper
    order = np.argsort(medians, axis=1, kind="stable")
    upto = np.cumsum(counts[order], axis=1)
    ends = []
    for place in _places(int(counts.sum()), confidence):
        which = np.argmax(upto > place, axis=1)[:, None]
        ends.append(np.take_along_axis(medians, np.take_along_axis(order, which, axis=1), axis=1)[:, 0])
    return ends[0], ends[1]


def _places(resamples: int, confidence: float) -> tuple[int, int]:
    """Places of the interval's ends among the sorted statistics of the resamples."""
    tail, last = (1 - confidence) / 2, resamples - 1
    return int(np.floor(tail * last)), int(np.ceil((1 - tail) * last))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence = {confidence!r}: must lie between 0 and 1, for example 0.95")


def _index_chunks(n: int, resamples: int, seed: int):
    """Index matrices [chunk, n] that together hold `resamples` rows, about 16 MB at a time."""
    generator = np.random.default_rng([seed, n])
    step = max(1, 2_000_000 // n)
    for start in range(0, resamples, step):
        yield generator.integers(0, n, size=(min(step, resamples - start), n))


def _resampled_means(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    if values[0] == values[-1]:
        return np.full(resamples, values[0])
    return np.concatenate([values[index].mean(axis=1) for index in _index_chunks(values.size, resamples, seed)])

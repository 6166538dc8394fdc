"""What the best constant prediction costs under each loss, and the least that any prediction can cost.

y is int [n], labels that stand as one-hot rows, or float [n, outputs]; losses are means over samples.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def _shares(y: np.ndarray, outputs: int) -> np.ndarray:
    """The share of each class among labels."""
    return np.bincount(y, minlength=outputs) / len(y)


def _columns(y: np.ndarray, outputs: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(distinct targets, increasing, and their shares) of each output."""
    if y.ndim == 1:
        for p in _shares(y, outputs):
            yield np.array([0.0, 1.0]), np.array([1 - p, p])
        return
    for column in y.T:
        values, counts = np.unique(column, return_counts=True)
        yield values, counts / len(y)


def _entropy(p: np.ndarray) -> float:
    """-sum p log p."""
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def variance(y: np.ndarray, outputs: int) -> float:
    """Of the mean: the variance, averaged over outputs."""
    if y.ndim == 1:
        p = _shares(y, outputs)
        return float((p * (1 - p)).mean())
    return float(y.var(axis=0).mean())


def half_variance(y: np.ndarray, outputs: int) -> float:
    """Of the mean: half the variance."""
    return variance(y, outputs) / 2


def absolute_deviation(y: np.ndarray, outputs: int) -> float:
    """Of the medians."""
    if y.ndim == 1:
        p = _shares(y, outputs)
        return float(np.minimum(p, 1 - p).mean())
    return float(np.abs(y - np.median(y, axis=0)).mean())


def huber(y: np.ndarray, outputs: int, delta: float) -> float:
    """Of each output's own center between median and mean."""
    return float(np.mean([_huber_column(v, share, delta) for v, share in _columns(y, outputs)]))


def _huber_column(values: np.ndarray, share: np.ndarray, delta: float) -> float:
    """The slope in the center rises and is linear between its kinks: bisection among these, then a straight line."""

    def slope(center: float) -> float:
        return float((share * np.clip(center - values, -delta, delta)).sum())

    kinks = np.unique(np.concatenate([values - delta, values + delta]))
    low, high = 0, len(kinks) - 1  # the slope is negative at the first and positive at the last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if slope(kinks[middle]) <= 0 else (low, middle)
    below, above = slope(kinks[low]), slope(kinks[high])
    along = 0.0 if above == below else -below / (above - below)
    size = np.abs(kinks[low] + along * (kinks[high] - kinks[low]) - values)
    lost = np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta))
    return float((share * lost).sum())


def log_odds(y: np.ndarray, outputs: int) -> float:
    """Of each output's log-odds: the entropy of its mean, averaged over outputs."""
    p = _shares(y, outputs) if y.ndim == 1 else y.mean(axis=0)
    return float(np.mean([_entropy(np.array([q, 1 - q])) for q in p]))


def least_log_odds(y: np.ndarray, outputs: int) -> float:
    """Of predicting each target between 0 and 1 as it is: its entropy; 0 for labels."""
    if y.ndim == 1:
        return 0.0
    inside = y[(y > 0) & (y < 1)]
    return float(-(inside * np.log(inside) + (1 - inside) * np.log1p(-inside)).sum() / y.size)


def smoothed_entropy(y: np.ndarray, outputs: int, label_smoothing: float) -> float:
    """Of the smoothed class shares: their entropy."""
    return _entropy((1 - label_smoothing) * _shares(y, outputs) + label_smoothing / outputs)


def least_smoothed(y: np.ndarray, outputs: int, label_smoothing: float) -> float:
    """Of the smoothed label itself: its entropy."""
    return smoothed_entropy(np.zeros(1, np.int64), outputs, label_smoothing)


def crammer_singer(y: np.ndarray, outputs: int, margin: float) -> float:
    """Of all outputs equal, or of the largest class a margin ahead: between these the loss is linear."""
    return margin * min(1.0, 2 * (1 - float(_shares(y, outputs).max())))


def hinge(y: np.ndarray, outputs: int, margin: float) -> float:
    """Of the best levels of the classes.

    A linear program of differences, so in units of the margin its best outputs are whole numbers; larger classes are
    never lower, and no two neighbors need be more than 1 apart. With classes in falling order that leaves the question
    after which of them to step down. A class j costs p_j (1 + steps) against every class k above it, and both cost
    p_j + p_k on one level: a sum over steps and over levels, made smallest from the first class on.
    """
    p = np.sort(_shares(y, outputs))[::-1]
    before = np.concatenate([[0.0], np.cumsum(p)])  # share of the first b classes
    weighed = np.concatenate([[0.0], np.cumsum(p * np.arange(outputs))])  # each times its place
    best = np.zeros(outputs + 1)  # of the first b classes, a level ending there and a step following
    for b in range(1, outputs + 1):
        a = np.arange(b)
        level = (b - 1) * (before[b] - before[:b]) - (weighed[b] - weighed[:b])  # sum of p_k (later ones on its level)
        best[b] = (best[:b] + level + np.where(a > 0, a * (1 - before[:b]), 0)).min()
    return margin * float(best[outputs] + weighed[outputs]) / outputs

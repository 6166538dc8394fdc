"""Rows for training and rows for testing, by seed; the scaling that is fitted on the former, and their label noise."""

from __future__ import annotations

import math

import numpy as np

from gradsim.datasets.seeding import LABELS_STREAM, SPLIT_STREAM, philox


def split_indices(
    samples: int, labels: np.ndarray | None, test_fraction: float, data_seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training and of the test split, each shuffled, by (samples, labels, fraction, seed) alone.

    With `labels` (class indices) the split is stratified: round(samples * fraction) test rows, shared among
    the classes by largest remainder. Each class keeps a row for training, so with classes of one sample there
    can be fewer test rows. Without labels the split is plain random.
    """
    # Sorting raw Philox words rather than asking for a permutation: the words are fixed by the algorithm,
    # while NumPy may change how a permutation is drawn from one release to the next.
    order = np.argsort(philox(SPLIT_STREAM, data_seed).random_raw(samples), kind="stable")
    groups = np.zeros(samples, np.int64) if labels is None else labels
    counts = np.bincount(groups)
    by_group = order[np.argsort(groups[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    in_test = np.zeros(samples, bool)
    for start, taken in zip(starts, _largest_remainder(counts, test_fraction), strict=True):
        in_test[by_group[start : start + taken]] = True
    return order[~in_test[order]], order[in_test[order]]


def _largest_remainder(counts: np.ndarray, fraction: float) -> np.ndarray:
    """Test rows a class: the floor of its share, the rest by largest remainder, never the whole class."""
    quota = counts * fraction
    most = np.minimum(np.ceil(quota), counts - 1).astype(np.int64)
    taken = np.minimum(np.floor(quota).astype(np.int64), most)
    missing = math.floor(counts.sum() * fraction + 0.5) - taken.sum()
    for group in np.argsort(np.floor(quota) - quota, kind="stable"):
        if missing > 0 and taken[group] < most[group]:
            taken[group] += 1
            missing -= 1
    return taken


def fit_scaling(values: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray]:
    """Per column, what to subtract and what to divide by."""
    low, high = values.min(axis=0), values.max(axis=0)
    if scaling == "maxabs":
        # A constant stays what it is, plus or minus 1: zeros keep their meaning, and nothing is moved.
        scale = np.maximum(np.abs(low), np.abs(high))
        return np.zeros_like(low), np.where(scale < 1e-200, 1.0, scale)
    if scaling == "minmax":
        center, scale = low, high - low
    else:
        center, scale = values.mean(axis=0), values.std(axis=0)
    # By low == high, not by a zero spread: the mean of equal numbers can be an ulp off, and dividing by that
    # ulp would make noise of a constant. The other bound keeps test rows from overflowing on a tiny spread.
    constant = (low == high) | (scale < 1e-200)
    return np.where(constant, low, center), np.where(constant, 1.0, scale)


def with_label_noise(labels: np.ndarray, classes: int, fraction: float, data_seed: int) -> np.ndarray:
    """The labels with round(n * fraction) of them replaced by another class, each other class equally likely.

    Which ones, and by what, is drawn by (n, classes, seed) alone: those of a smaller fraction are among those of a
    larger one.
    """
    n = len(labels)
    words = philox(LABELS_STREAM, data_seed).random_raw(2 * n)
    chosen = np.argsort(words[:n], kind="stable")[: math.floor(n * fraction + 0.5)]
    shift = 1 + (words[n:] % np.uint64(classes - 1)).astype(np.int64)
    out = labels.copy()
    out[chosen] = (labels[chosen] + shift[chosen]) % classes
    return out

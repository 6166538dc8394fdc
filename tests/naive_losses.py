"""The twin's losses: value, a mean over samples, and its derivative in the outputs [n, C], definitions as PyTorch's.

y: integer labels [n], which count as one-hot rows where a loss compares numbers, or numbers [n, C] ([n] where C = 1).
"""

from __future__ import annotations

import numpy as np


def one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    """Row of the identity matrix for each label."""
    return np.eye(classes)[y]


def _targets(out, y):
    y = np.asarray(y)
    return one_hot(y, out.shape[1]) if y.ndim == 1 and y.dtype.kind in "iu" else y.reshape(out.shape)


def softmax_cross_entropy(logits, y, label_smoothing=0.0):
    """Mean of -sum q log softmax(logits), q the one-hot label mixed with equal shares."""
    n, classes = logits.shape
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    q = (1 - label_smoothing) * one_hot(y, classes) + label_smoothing / classes
    loss = np.mean(np.sum(q * (np.log(sums) - shifted), axis=1))
    slope = exponentials / sums - q
    # Slopes of a sample sum to 0; the label's own difference would lose what is left of 1 - p.
    rows = np.arange(n)
    slope[rows, y] = 0
    slope[rows, y] = -slope.sum(axis=1)
    return float(loss), slope / n


def mean_squared_error(out, y):
    """Mean over samples and outputs of (out - y)^2."""
    error = out - _targets(out, y)
    return float(np.mean(error**2)), 2 * error / error.size


def half_squared_error(out, y):
    """Half of it."""
    error = out - _targets(out, y)
    return float(np.mean(error**2) / 2), error / error.size


def absolute_error(out, y):
    """Mean of abs(out - y); slope 0 at 0."""
    error = out - _targets(out, y)
    return float(np.mean(np.abs(error))), np.sign(error) / error.size


def huber(out, y, delta=1.0):
    """Mean of e^2/2 up to delta, and of the tangent from there on."""
    error = out - _targets(out, y)
    value, slope = np.empty_like(error), np.empty_like(error)
    for i, e in np.ndenumerate(error):
        inside = abs(e) <= delta
        value[i] = e * e / 2 if inside else delta * (abs(e) - delta / 2)
        slope[i] = e if inside else delta * np.sign(e)
    return float(np.mean(value)), slope / error.size


def logistic(out, y):
    """Mean of -t log p - (1 - t) log(1 - p), p = 1/(1 + e^-out)."""
    t = _targets(out, y)
    value = t * np.logaddexp(0, -out) + (1 - t) * np.logaddexp(0, out)
    p, rest = np.exp(-np.logaddexp(0, -out)), np.exp(-np.logaddexp(0, out))
    return float(np.mean(value)), ((1 - t) * p - t * rest) / out.size


def hinge(out, y, margin=1.0):
    """Mean over samples of sum over other classes of max(0, margin - out_y + out_c), over C; slope 0 at the kink."""
    n, classes = out.shape
    total, slope = 0.0, np.zeros_like(out)
    for i in range(n):
        for c in range(classes):
            short = margin - out[i, y[i]] + out[i, c]
            if c != y[i] and short > 0:
                total += short
                slope[i, c] += 1
                slope[i, y[i]] -= 1
    return float(total / (n * classes)), slope / (n * classes)


def crammer_singer(out, y, margin=1.0):
    """Mean over samples of max(0, margin - out_y + largest other output), the first of equals taking the slope."""
    n, classes = out.shape
    total, slope = 0.0, np.zeros_like(out)
    for i in range(n):
        worst = None
        for c in range(classes):
            if c != y[i] and (worst is None or out[i, c] > out[i, worst]):
                worst = c
        if worst is not None and margin - out[i, y[i]] + out[i, worst] > 0:
            total += margin - out[i, y[i]] + out[i, worst]
            slope[i, worst] += 1
            slope[i, y[i]] -= 1
    return float(total / n), slope / n


LOSSES = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "mean_squared_error": mean_squared_error,
    "half_squared_error": half_squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "logistic": logistic,
    "hinge": hinge,
    "crammer_singer": crammer_singer,
}

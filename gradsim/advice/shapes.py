"""Synthetic tasks that stand in for data of which only the shape is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradsim.analysis.words import plural
from gradsim.errors import UsageError, did_you_mean, short

# Key -> default (None: has to be given, or is left out), lowest, highest.
SHAPE = {
    "features": (None, 1, 10_000),
    "classes": (None, 2, 1000),
    "outputs": (None, 1, 1000),
    "samples": (1000, 20, 1_000_000),
}
MOST_NUMBERS = 50_000_000
# Of a class: so many clusters, so that no plane divides classes; and the distance between any two centers, in standard
# deviations of a cluster, so that classes hardly overlap.
CLUSTERS, APART = 2, 6.0
TEACHER_WIDTH = 32


def made_up(shape: Mapping[str, object]) -> tuple[object, str]:
    """Data of a shape {features, classes or outputs, samples}, as a Campaign takes them, and what they are.

    Classes: two Gaussian clusters each, in random places. Outputs: those of a random ReLU network of one hidden layer.
    Raises UsageError for a shape that is incomplete or out of bounds.
    """
    for key in shape:
        if key not in SHAPE:
            raise UsageError(f"data: unknown key {short(key)}{did_you_mean(str(key)[:100], SHAPE)}")
    given = {key: _number(key, shape.get(key), *SHAPE[key]) for key in SHAPE}
    features, classes, outputs, samples = given.values()
    if features is None:
        raise UsageError("data: features is missing; a shape has features, classes or outputs, and samples")
    if (classes is None) == (outputs is None):
        raise UsageError("data: a shape has either classes or outputs, and features")
    if samples * features > MOST_NUMBERS:
        raise UsageError(f"data: samples x features = {samples * features:,}; at most {MOST_NUMBERS:,} are allowed")
    if outputs is not None:
        teacher = {"features": features, "outputs": outputs, "samples": samples, "width": TEACHER_WIDTH}
        text = f"{samples:,} Gaussian points with the {plural(outputs, 'output')} of a random ReLU network"
        return {"name": "teacher", "activation": "relu"} | teacher, text
    if samples < 4 * CLUSTERS * classes:
        raise UsageError(f"samples = {samples}: must be at least {4 * CLUSTERS} a class, {4 * CLUSTERS * classes}")
    text = f"{samples:,} points of {plural(features, 'feature')} in {classes} classes of {CLUSTERS} clusters each"
    return _clusters(features, classes, samples), text


def _number(key: str, value: object, default: int | None, low: int, high: int) -> int | None:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise UsageError(f"{key} = {short(value)}: must be a whole number from {low} to {high}")
    return int(value)


def _clusters(features: int, classes: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Points N(center, 1), the centers normal and so far apart that the two nearest are at the distance APART."""
    rng = np.random.Generator(np.random.Philox(key=[features, classes]))
    centers = rng.standard_normal((CLUSTERS * classes, features))
    squares = (centers**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * centers @ centers.T
    np.fill_diagonal(distances, np.inf)
    centers *= APART / np.sqrt(max(distances.min(), 1e-12))
    cluster = np.arange(samples) % (CLUSTERS * classes)
    X = centers[cluster] + rng.standard_normal((samples, features))
    return X, cluster % classes

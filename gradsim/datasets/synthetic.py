"""Generated sets of classes, whose points the data seed draws: shapes in the plane, corners, clouds, pure chance."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from gradsim.datasets.checks import check_size
from gradsim.datasets.seeding import POINTS_STREAM, philox
from gradsim.datasets.spec import DatasetSpec, RawData
from gradsim.errors import UsageError


def _check_spirals(samples: int, arms: int, turns: float, noise: float) -> None:
    if samples < 2 * arms:
        raise UsageError(f"data set 'spirals': samples = {samples}: must be at least 2 per arm, {2 * arms}")


def _spirals(seed: int, samples: int, arms: int, turns: float, noise: float) -> RawData:
    """Arm a of A at t ~ U(0, 1): radius 0.1 + 0.9 t, angle 2 pi (turns t + a / A); plus N(0, noise^2)."""
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    y = np.arange(samples, dtype=np.int64) % arms
    t = rng.random(samples)
    angle = 2 * np.pi * (turns * t + y / arms)
    # Radius starts at 0.1, not 0, where all arms would meet and no label could be told.
    X = (0.1 + 0.9 * t)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    X += noise * rng.standard_normal((samples, 2))
    text = f"Synthetic: {samples} points on {arms} spiral arms of {turns:g} turns, noise {noise:g}."
    return RawData(X, y, "classification", ("x", "y"), tuple(f"arm {a}" for a in range(arms)), text)


def _moons(seed: int, samples: int, noise: float) -> RawData:
    """Half circles at angle a ~ U(0, pi): (cos a, sin a) and (1 - cos a, 1/2 - sin a), plus N(0, noise^2)."""
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    y = np.arange(samples, dtype=np.int64) % 2
    angle = np.pi * rng.random(samples)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    X = np.where(y[:, None] == 0, upper, [1.0, 0.5] - upper)
    X += noise * rng.standard_normal((samples, 2))
    text = f"Synthetic: {samples} points on two interleaved half circles, noise {noise:g}."
    return RawData(X, y, "classification", ("x", "y"), ("upper", "lower"), text)


def _circles(seed: int, samples: int, factor: float, noise: float) -> RawData:
    """Circles about 0 at angle a ~ U(0, 2 pi): radius 1 and radius `factor`, plus N(0, noise^2)."""
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    y = np.arange(samples, dtype=np.int64) % 2
    angle = 2 * np.pi * rng.random(samples)
    X = np.where(y == 0, 1.0, factor)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    X += noise * rng.standard_normal((samples, 2))
    text = f"Synthetic: {samples} points on circles of radius 1 and {factor:g}, noise {noise:g}."
    return RawData(X, y, "classification", ("x", "y"), ("outer", "inner"), text)


def _check_xor(samples: int, bits: int, noise: float) -> None:
    if samples < 2**bits:
        raise UsageError(f"data set 'xor': samples = {samples}: must be at least one a corner, {2**bits}")


def _xor(seed: int, samples: int, bits: int, noise: float) -> RawData:
    """Corners of the cube [-1, 1]^bits in turn, plus N(0, noise^2); the class is the parity of the coordinates at 1."""
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    corner = np.arange(samples)[:, None] // 2 ** np.arange(bits) % 2
    X = 2.0 * corner - 1 + noise * rng.standard_normal((samples, bits))
    y = corner.sum(axis=1) % 2
    text = f"Synthetic: {samples} points about the {2**bits} corners of a cube, class by parity, noise {noise:g}."
    return RawData(X, y.astype(np.int64), "classification", _names(bits), ("even", "odd"), text)


def _check_clouds(name: str) -> Callable[..., None]:
    def check(samples: int, features: int, classes: int, noise: float = 0.0) -> None:
        if samples < 2 * classes:
            raise UsageError(f"data set {name!r}: samples = {samples}: must be at least 2 a class, {2 * classes}")
        check_size(f"data set {name!r}", samples, features)

    return check


def _blobs(seed: int, samples: int, features: int, classes: int, noise: float) -> RawData:
    """Centers ~ U(-5, 5) in each feature, one a class; points N(center, noise^2)."""
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    centers = 10 * rng.random((classes, features)) - 5
    y = np.arange(samples, dtype=np.int64) % classes
    X = centers[y] + noise * rng.standard_normal((samples, features))
    text = f"Synthetic: {samples} points in {classes} Gaussian blobs of {features} features, noise {noise:g}."
    return RawData(X, y, "classification", _names(features), tuple(f"blob {c}" for c in range(classes)), text)


def _random_labels(seed: int, samples: int, features: int, classes: int) -> RawData:
    """Points N(0, 1) in each feature; classes in turn, whatever the point."""
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    X = rng.standard_normal((samples, features))
    y = np.arange(samples, dtype=np.int64) % classes
    text = f"Synthetic: {samples} Gaussian points of {features} features with random labels of {classes} classes."
    return RawData(X, y, "classification", _names(features), tuple(f"class {c}" for c in range(classes)), text)


def _names(features: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(features))


_SAMPLES = (int, 4, 10_000_000)
_POINTS = {"samples": _SAMPLES, "noise": (float, 0, 10)}
_CLOUD = {"features": (int, 1, 10_000), "classes": (int, 2, 1000)}


def _spec(name: str, load: Callable[..., RawData], description: str, defaults: dict, **more: Any) -> DatasetSpec:
    """The entry of a set of classes; its bounds are those of the parameters that it has."""
    bounds = {k: v for k, v in (_POINTS | more.pop("bounds", {})).items() if k in defaults}
    return DatasetSpec(
        name=name,
        task="classification",
        real=False,
        description=f"Synthetic: {description}; drawn by data_seed.",
        load=load,
        parameters=MappingProxyType(defaults),
        bounds=MappingProxyType(bounds),
        **more,
    )


SPECS = (
    _spec(
        "spirals",
        _spirals,
        "600 points (default) on spiral arms in the plane, one class an arm",
        {"samples": 600, "arms": 2, "turns": 1.5, "noise": 0.05},
        bounds={"arms": (int, 2, 100), "turns": (float, 0.1, 20)},
        check=_check_spirals,
    ),
    _spec(
        "moons",
        _moons,
        "600 points (default) on two half circles in the plane, 2 classes",
        {"samples": 600, "noise": 0.1},
    ),
    _spec(
        "circles",
        _circles,
        "600 points (default) on two circles about one center, 2 classes",
        {"samples": 600, "factor": 0.5, "noise": 0.05},
        bounds={"factor": (float, 0.01, 0.99)},
    ),
    _spec(
        "xor",
        _xor,
        "600 points (default) about the corners of a square or, of more bits, a cube, class by parity",
        {"samples": 600, "bits": 2, "noise": 0.2},
        bounds={"bits": (int, 2, 16)},
        check=_check_xor,
    ),
    _spec(
        "blobs",
        _blobs,
        "600 points (default) in Gaussian clouds about random centers, one class a cloud",
        {"samples": 600, "features": 2, "classes": 3, "noise": 1.0},
        bounds=_CLOUD,
        check=_check_clouds("blobs"),
    ),
    _spec(
        "random_labels",
        _random_labels,
        "600 Gaussian points (default) with labels that have nothing to do with them: only memory can fit",
        {"samples": 600, "features": 10, "classes": 2},
        bounds=_CLOUD,
        check=_check_clouds("random_labels"),
    ),
)

"""Generated sets for regression, whose points the data seed draws: functions of one number, and a teacher network."""

from __future__ import annotations

import math
from types import MappingProxyType

import numpy as np

from gradsim.datasets.checks import check_size
from gradsim.datasets.seeding import POINTS_STREAM, philox
from gradsim.datasets.spec import DatasetSpec, RawData
from gradsim.errors import UsageError, did_you_mean, short


def _polynomial(seed: int, samples: int, degree: int, noise: float) -> RawData:
    """x in [-1, 1), y = T(x) + N(0, noise^2), T the Chebyshev polynomial: `degree` swings between -1 and 1."""
    x, chance = _line(seed, samples)
    y = np.polynomial.chebyshev.chebval(x, [0.0] * degree + [1.0]) + noise * chance
    text = f"Synthetic: {samples} points of the Chebyshev polynomial of degree {degree}, noise {noise:g}."
    return RawData(x[:, None], y[:, None], "regression", ("x",), (), text)


def _step_function(seed: int, samples: int, jumps: int, noise: float) -> RawData:
    """x in [-1, 1), y = -1 and 1 by turns, changing at `jumps` equally spaced places, plus N(0, noise^2)."""
    x, chance = _line(seed, samples)
    level = np.floor((x + 1) / 2 * (jumps + 1))
    y = 2 * (level % 2) - 1 + noise * chance
    text = f"Synthetic: {samples} points of a step function with {jumps} jumps, noise {noise:g}."
    return RawData(x[:, None], y[:, None], "regression", ("x",), (), text)


def _line(seed: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """A random point in each of so many equal parts of [-1, 1), and a standard normal number for each."""
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    x = 2 * (np.arange(samples) + rng.random(samples)) / samples - 1
    return x, rng.standard_normal(samples)


_TEACHERS = {"tanh": (1.0, np.tanh), "relu": (2.0, lambda z: np.maximum(z, 0.0))}


def _check_teacher(samples: int, features: int, outputs: int, width: int, activation: object, **others: object) -> None:
    if activation not in _TEACHERS:
        hint = did_you_mean(str(activation)[:100], _TEACHERS)
        raise UsageError(f"data set 'teacher': activation = {short(activation)}{hint}")
    check_size("data set 'teacher'", samples, max(features, width, outputs))


def _teacher(
    seed: int, samples: int, features: int, outputs: int, depth: int, width: int, activation: str, noise: float
) -> RawData:
    """X ~ N(0, 1), y that of a random network, plus N(0, noise^2).

    Weights ~ N(0, g / fan_in), g = 1 for tanh and 2 for relu, no biases; `depth` hidden layers, the output linear.
    """
    rng = np.random.Generator(philox(POINTS_STREAM, seed))
    X = rng.standard_normal((samples, features))
    gain, f = _TEACHERS[activation]
    h = X
    for layer, units in enumerate([*[width] * depth, outputs]):
        scale = gain if layer < depth else 1.0
        h = _product(h, rng.standard_normal((h.shape[1], units)) * math.sqrt(scale / h.shape[1]))
        h = f(h) if layer < depth else h
    y = h + noise * rng.standard_normal(h.shape)
    network = f"{features}-{width}x{depth}-{outputs} {activation}"
    text = f"Synthetic: {samples} Gaussian points as a random {network} network sees them, noise {noise:g}."
    return RawData(X, y, "regression", tuple(f"x{i}" for i in range(features)), (), text)


def _product(h: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """h @ weights, summed in order: a matrix library would round differently from machine to machine."""
    out = np.zeros((len(h), weights.shape[1]))
    for column, row in zip(h.T, weights, strict=True):
        out += column[:, None] * row
    return out


_SAMPLES, _NOISE = (int, 4, 10_000_000), (float, 0, 10)
_COUNT = (int, 1, 10_000)

SPECS = (
    DatasetSpec(
        name="polynomial",
        task="regression",
        real=False,
        description="Synthetic: 400 points (default) of a Chebyshev polynomial of one number; drawn by data_seed.",
        load=_polynomial,
        parameters=MappingProxyType({"samples": 400, "degree": 3, "noise": 0.0}),
        bounds=MappingProxyType({"samples": _SAMPLES, "degree": (int, 1, 100), "noise": _NOISE}),
    ),
    DatasetSpec(
        name="step_function",
        task="regression",
        real=False,
        description="Synthetic: 400 points (default) of a function of one number that jumps between -1 and 1; "
        "drawn by data_seed.",
        load=_step_function,
        parameters=MappingProxyType({"samples": 400, "jumps": 3, "noise": 0.0}),
        bounds=MappingProxyType({"samples": _SAMPLES, "jumps": (int, 1, 1000), "noise": _NOISE}),
    ),
    DatasetSpec(
        name="teacher",
        task="regression",
        real=False,
        description="Synthetic: 1,000 Gaussian points (default) with the outputs of a random tanh or relu network; "
        "drawn by data_seed.",
        load=_teacher,
        parameters=MappingProxyType(
            {
                "samples": 1000,
                "features": 10,
                "outputs": 1,
                "depth": 1,
                "width": 10,
                "activation": "tanh",
                "noise": 0.0,
            }
        ),
        bounds=MappingProxyType(
            {
                "samples": _SAMPLES,
                "features": _COUNT,
                "outputs": _COUNT,
                "depth": (int, 0, 100),
                "width": _COUNT,
                "noise": _NOISE,
            }
        ),
        check=_check_teacher,
    ),
)

"""Expected signals and gradients by layer, for given widths, activations, initial weights and inputs.

Inputs differ, and so do the variances they cause: every sample has its own, and every pair a covariance. A layer's
kernel is the matrix of covariances of pre-activations [samples, samples]; activations turn it into that of the next
(Lee et al. 2018; de G. Matthews et al. 2018), slopes turn the covariances of deltas into those of the layer before.
Widths count where a statistic is taken over few units; fluctuations of a layer's kernel, of relative size 1/width a
layer, do not.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.special import ndtr

from gradsim.activations import Activation
from gradsim.choices import parse
from gradsim.errors import UsageError, short
from gradsim.fields import MAX_LAYERS, MAX_WIDTH, completed
from gradsim.initializers import INITIALIZERS, Scales
from gradsim.initializers import Layer as Drawn
from gradsim.theory.quadrature import hermite_coefficients, layout
from gradsim.theory.subject import number, subject, whole

COLUMNS = (
    "preactivation_mean",
    "preactivation_std",
    "activation_mean",
    "activation_std",
    "saturated_low",
    "saturated_high",
    "zero",
    "delta_rms",
    "gradient_rms",
    "weight_rms",
)
# Terms of Hermite series for pairs of samples; what is left is spread over the pairs as the next term would be. Points
# that integrals are interpolated between.
TERMS, POINTS = 48, 24
# Up to how many samples pairs are looked at; of more, evenly spaced ones.
MOST_SAMPLES = 1024
# From output means [samples] and covariances [samples, samples] to those of dLoss/doutput.
Deltas = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer: shape, activation (None for the linear output), mean and variance of weights (None where the data decide
    them) and of biases."""

    fan_in: int
    fan_out: int
    activation: Activation | None
    weights: tuple[float, float] | None
    biases: tuple[float, float] = (0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Incoming:
    """What enters a layer, averaged over its units: means [samples], second moments [samples, samples]; `random` where
    networks differ in it."""

    means: np.ndarray
    products: np.ndarray
    random: bool = True

    @classmethod
    def from_data(cls, X: np.ndarray) -> Incoming:
        """Of inputs [samples, features]."""
        return cls(X.mean(axis=1), X @ X.T / X.shape[1], random=False)

    @classmethod
    def from_square(cls, square: float) -> Incoming:
        """Of one input of mean 0 and that mean square."""
        return cls(np.zeros(1), np.array([[square]]), random=False)


@dataclasses.dataclass(frozen=True)
class Signal:
    """What is known of a layer: means [samples] and covariances [samples, samples] of pre-activations, activations as
    they go out, and second moments of slopes [samples, samples]."""

    mean: np.ndarray
    covariance: np.ndarray
    out: Incoming
    slopes: np.ndarray

    @property
    def std(self) -> np.ndarray:
        return np.sqrt(self.covariance.diagonal())


# --- one layer ------------------------------------------------------------------------------------


def spaced(samples: int) -> np.ndarray:
    """Places of at most MOST_SAMPLES of so many samples, all or evenly spaced."""
    return np.linspace(0, samples - 1, min(samples, MOST_SAMPLES)).astype(int)


def passed_on(layer: Layer, incoming: Incoming) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of pre-activations."""
    (shift, variance), (bias, bias_variance) = layer.weights, layer.biases
    means, products = incoming.means, incoming.products
    covariance = layer.fan_in * variance * products + bias_variance
    if shift and incoming.random:  # a shift of all weights passes on how the sum over units differs between networks
        covariance = covariance + layer.fan_in * shift**2 * (products - np.outer(means, means))
    return layer.fan_in * shift * means + bias, covariance


def activated(act: Activation, mean: np.ndarray, covariance: np.ndarray) -> Signal:
    """Moments of activations and slopes of units whose pre-activations are normal."""
    std = np.sqrt(covariance.diagonal())
    at_mean, at_std, weights = _places(mean, std)
    z, density = layout(at_mean, at_std, act.kinks, 3.0)
    u = at_mean[:, None] + at_std[:, None] * z
    correlation = np.clip(np.nan_to_num(covariance / np.outer(std, std)), -1, 1)
    found = [
        _second_moments(weights @ _series(part.reshape(u.shape), z, density), correlation)
        for part in act.value_and_derivative(u)
    ]
    return Signal(mean, covariance, Incoming(*found[0]), found[1][1])


def _places(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means and standard deviations to integrate at, and how much of each goes into each sample's integrals.

    With the same mean for all, integrals are smooth functions of the standard deviation: Lagrange interpolation between
    Chebyshev points in its logarithm.
    """
    low, high = np.log(std.min()), np.log(std.max())
    if len(std) <= POINTS or np.ptp(mean) > 0 or not np.isfinite(high - low):
        return mean, std, np.eye(len(std))
    points = 0.5 * (low + high) - 0.5 * max(high - low, 1e-6) * np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)
    away = np.subtract.outer(points, points)
    np.fill_diagonal(away, 1)
    distance = np.log(std)[:, None] - points
    distance[distance == 0] = 1e-300
    share = 1 / (away.prod(axis=1) * distance)
    return np.full(POINTS, mean[0]), np.exp(points), share / share.sum(axis=1, keepdims=True)


def _series(f: np.ndarray, z: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Hermite coefficients of f at nodes, and the mean of f^2 after them."""
    return np.column_stack([hermite_coefficients(f * density, z, TERMS), (f * f * density).sum(axis=1)])


def _second_moments(series: np.ndarray, correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E f a sample and E f f' a pair, by Mehler's formula; the diagonal is exact."""
    coefficients, square = series[:, :-1], series[:, -1]
    left = np.sqrt(np.maximum(square - (coefficients**2).sum(axis=1), 0))
    products, term = np.outer(left, left) * (correlation > 0), np.empty_like(correlation)
    for a in np.ascontiguousarray(coefficients.T[::-1]):
        products *= correlation
        products += np.multiply.outer(a, a, out=term)
    np.fill_diagonal(products, square)
    return coefficients[:, 0], products


def shares(act: Activation, mean: np.ndarray, std: np.ndarray, dtype: str = "float64") -> dict[str, float]:
    """Mean shares of pre-activations that are saturated on either side, and of activations that are exactly 0."""
    spread = np.maximum(std, 1e-300)[:, None]
    found = {}
    for name, ends in _regions(act, dtype).items():
        inside = ndtr((ends[:, 1] - mean[:, None]) / spread) - ndtr((ends[:, 0] - mean[:, None]) / spread)
        within = (ends[:, 0] <= mean[:, None]) & (mean[:, None] <= ends[:, 1])
        found[name] = float(np.where(std > 0, inside.sum(axis=1), within.any(axis=1)).mean())
    return found if np.isfinite(act.max_slope) else found | {"saturated_low": np.nan, "saturated_high": np.nan}


@functools.lru_cache(maxsize=256)
def _regions(act: Activation, dtype: str) -> dict[str, np.ndarray]:
    """Intervals of pre-activations, [count, 2] each, in which units are saturated, low and high, or exactly 0."""
    from gradsim.engine.probe import SATURATED_SHARE  # here: of the engine theory needs this alone

    threshold, center = SATURATED_SHARE * act.max_slope, act.steepest_at

    def flat(u: np.ndarray) -> np.ndarray:
        return np.abs(act.derivative(u)) < threshold

    return {
        "saturated_low": _intervals(lambda u: flat(u) & (u < center), act.kinks),
        "saturated_high": _intervals(lambda u: flat(u) & (u >= center), act.kinks),
        "zero": _intervals(lambda u: act(u.astype(dtype)) == 0, act.kinks),
    }


def _intervals(holds: Callable[[np.ndarray], np.ndarray], kinks: Sequence[float]) -> np.ndarray:
    """Where a condition holds, to rounding; islands narrower than about 1e-3 times their distance from 0 are missed."""
    reach = np.sinh(np.linspace(-15, 15, 20_001))
    near = [k + d * max(abs(k), 1.0) for k in kinks for d in (-1e-9, 1e-9)]
    u = np.unique(np.concatenate([reach, near]))
    inside = holds(u)
    change = np.flatnonzero(inside[1:] != inside[:-1])
    left, right, begins = u[change], u[change + 1], inside[change + 1]
    for _ in range(80):
        middle = 0.5 * (left + right)
        beyond = holds(middle) == begins
        left, right = np.where(beyond, left, middle), np.where(beyond, middle, right)
    ends = np.concatenate([[-np.inf] * bool(inside[0]), right, [np.inf] * bool(inside[-1])])
    return ends.reshape(-1, 2)


# --- all layers -----------------------------------------------------------------------------------


def layer_statistics(
    layers: Sequence[Layer],
    inputs: Incoming,
    deltas: Deltas | None = None,
    dtype: str = "float64",
    samples: int | None = None,
) -> pd.DataFrame:
    """layer and COLUMNS; NaN from a layer on whose units look at whole layers or whose weights the data decide, and for
    deltas in all layers then.

    deltas: what the loss makes of the outputs; without it delta_rms is relative to the last layer's, gradient_rms NaN.
    dtype: in which activations are exactly 0. samples: how many there are, where inputs are some of them.
    """
    rows, signals, incoming = [], [], [inputs]
    with np.errstate(all="ignore"):
        for layer in layers:
            if layer.weights is None:
                break
            mean, covariance = passed_on(layer, incoming[-1])
            if layer.activation is None:
                linear = Incoming(mean, covariance + np.outer(mean, mean))
                signal = Signal(mean, covariance, linear, np.ones_like(covariance))
            elif layer.activation.kind == "pointwise":
                signal = activated(layer.activation, mean, covariance)
            else:
                break
            signals.append(signal)
            incoming.append(signal.out)
            rows.append(_signal_row(layer, signal, dtype))
        frame = pd.DataFrame(rows, columns=list(COLUMNS)).reindex(range(len(layers))).astype(float)
        squares = [np.nan if w is None else w[0] ** 2 + w[1] for w in (layer.weights for layer in layers)]
        frame["weight_rms"] = np.sqrt(squares)
        if len(signals) == len(layers):
            frame["delta_rms"], frame["gradient_rms"] = _backward(layers, signals, incoming, deltas, samples)
    frame.insert(0, "layer", range(len(layers)))
    return frame


def _signal_row(layer: Layer, signal: Signal, dtype: str) -> dict[str, float]:
    row = {"preactivation_mean": signal.mean.mean(), "activation_mean": signal.out.means.mean()}
    moments = signal.covariance + np.outer(signal.mean, signal.mean)
    row["preactivation_std"] = _spread(moments, signal.mean, layer.fan_out)
    row["activation_std"] = _spread(signal.out.products, signal.out.means, layer.fan_out)
    if layer.activation is None:
        return row | {"saturated_low": 0.0, "saturated_high": 0.0, "zero": 0.0}
    return row | shares(layer.activation, signal.mean, np.sqrt(signal.covariance.diagonal()), dtype)


def _spread(moments: np.ndarray, mean: np.ndarray, units: int) -> float:
    """Root of the expected variance over samples and units, which is taken about their own mean: of `units` independent
    units that share samples, the mean varies as their covariance over samples does."""
    average = mean.mean()
    if len(mean) == 1:  # one input stands for data that are not known
        return float(np.sqrt(max(moments[0, 0] - average**2, 0)))
    shared = moments.mean() - average**2
    return float(np.sqrt(max(moments.diagonal().mean() - average**2 - shared / units, 0)))


def _backward(
    layers: Sequence[Layer],
    signals: Sequence[Signal],
    incoming: Sequence[Incoming],
    deltas: Deltas | None,
    samples: int | None,
) -> tuple[list[float], list[float]]:
    """delta_rms and gradient_rms by layer; weights that go back are independent of those that came forward."""
    last = signals[-1]
    delta = np.ones_like(last.covariance) if deltas is None else deltas(last.mean, last.covariance)
    found = []
    for i in range(len(layers) - 1, -1, -1):
        if i < len(layers) - 1:
            shift, variance = layers[i + 1].weights
            delta = delta * layers[i + 1].fan_out * (variance + shift**2) * signals[i].slopes
        gradient = np.nan if deltas is None else np.sqrt(max(_all_pairs(incoming[i].products * delta, samples), 0))
        found.append((float(np.sqrt(delta.diagonal().mean())), float(gradient)))
    return tuple(list(column) for column in zip(*found[::-1], strict=True))


def _all_pairs(pairs: np.ndarray, samples: int | None) -> float:
    """Sum over pairs [n, n]; where the n are some of more `samples`, with as small a share of pairs of a sample with
    itself as all have: one in `samples`, not one in n."""
    n, own, total = len(pairs), pairs.trace(), pairs.sum()
    if samples is None or samples == n:
        return float(total)
    return float(own * n / samples + (total - own) * (1 - 1 / samples) / (1 - 1 / n))


# --- for anyone -----------------------------------------------------------------------------------


def profile(
    widths: Sequence[int],
    activations: str | Activation | Sequence[str | Activation],
    weights: str | Scales | Sequence[str | Scales] = "glorot_uniform",
    biases: str | Scales | Sequence[str | Scales] = "zeros",
    inputs: float | np.ndarray = 1.0,
) -> pd.DataFrame:
    """Expected signals and gradients by layer, a row a layer, the linear output last; see docs/definitions.md.

    widths: features, units of each hidden layer, outputs, up to 100,000; at most 1000 hidden layers. activations: one,
    or one a hidden layer. weights, biases: an initializer ("he_normal", "normal(std=0.1)", or Scales), or one a layer.
    inputs: the mean square of a feature, or data [samples, features], of which at most 1024 rows, evenly spaced, are
    looked at.

    Columns: layer, preactivation_mean, _std, activation_mean, _std, saturated_low, _high, zero, delta_rms (of the last
    layer 1), gradient_rms (NaN: it takes a loss, see Campaign.theory), weight_rms. Raises UsageError for bad input.
    """
    if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray) or len(widths) < 2:
        raise UsageError(f"widths = {short(widths)}: must list features, units of each hidden layer, and outputs")
    hidden = len(widths) - 2
    if hidden > MAX_LAYERS:
        raise UsageError(f"widths: {hidden} hidden layers are listed; at most {MAX_LAYERS} are allowed")
    widths = [whole("widths", n, 1, MAX_WIDTH) for n in widths]
    acts = [subject(act) for act in _each("activations", activations, hidden, Activation)]
    shapes = list(pairwise(widths))
    drawn = [_each("weights", weights, hidden + 1, Scales), _each("biases", biases, hidden + 1, Scales)]
    layers = [
        Layer(*shape, act, *_moments(Drawn(*shape, act), w, b))
        for shape, act, w, b in zip(shapes, [*acts, None], *drawn, strict=True)
    ]
    return layer_statistics(layers, _inputs(inputs, widths[0]))


def _each(key: str, given: object, count: int, single: type) -> list[object]:
    if isinstance(given, str | single) or not isinstance(given, Sequence):
        return [given] * count
    if len(given) != count:
        raise UsageError(f"{key}: {len(given)} are listed for {count} layers; give one, or one for each")
    return list(given)


def _moments(
    layer: Drawn, weights: str | Scales, biases: str | Scales
) -> tuple[tuple[float, float] | None, tuple[float, float]]:
    """Mean and variance of a layer's weights and biases, as their initializers say."""
    if isinstance(weights, Scales):
        return weights.moments, _bias_moments(layer, biases)
    choice = completed("initializer", parse(weights, "weights"), "weights")
    entry = INITIALIZERS[choice.name]
    start = entry.start(layer, **choice.values)
    return entry.moments_of(start), entry.bias_moments_of(start) if entry.own_biases else _bias_moments(layer, biases)


def _bias_moments(layer: Drawn, biases: str | Scales) -> tuple[float, float]:
    if isinstance(biases, Scales):
        return biases.moments
    choice = completed("bias_initializer", parse(biases, "biases"), "biases")
    if not INITIALIZERS[choice.name].of_biases:
        raise UsageError(f"biases = {choice.name!r}: draws weights only; for example 'zeros' or 'constant'")
    return INITIALIZERS[choice.name].start(layer, **choice.values).weights.moments


def _inputs(given: object, features: int) -> Incoming:
    if not isinstance(given, Sequence) and np.ndim(given) == 0:
        return Incoming.from_square(number("inputs", given))
    try:
        X = np.asarray(given)
    except ValueError:  # rows of different lengths
        raise UsageError(f"inputs = {short(given)}: must be a number, or finite numbers [samples, features]") from None
    if X.ndim != 2 or X.shape[1] != features or not len(X) or X.dtype.kind not in "fiu" or not np.isfinite(X).all():
        raise UsageError(f"inputs: must be a number, or finite numbers [samples, {features}]; got shape {X.shape}")
    return Incoming.from_data(X[spaced(len(X))].astype(float))

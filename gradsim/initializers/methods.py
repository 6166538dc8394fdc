"""Initializers that look at a whole matrix, at the activation or at the data."""

from __future__ import annotations

import math

from gradsim.errors import UsageError
from gradsim.initializers.record import Gain, Initializer, Layer, Scales, Start, Whole, gain_of
from gradsim.initializers.scaled import OFFSET
from gradsim.parameters import Parameter

# Mean and mean square of Beta(2, 1), whose density is 2 x on [0, 1].
_BETA_MEAN, _BETA_SQUARE = 2 / 3, 1 / 2


def _orthogonal(layer: Layer, gain: float | str, offset: float) -> Start:
    g = gain_of(gain, layer)
    return Start(Scales(normal=1.0), numbers=(g, offset), moments=(offset, g * g / max(layer.fan_in, layer.fan_out)))


def _identity(layer: Layer, gain: float | str) -> Start:
    g, most = gain_of(gain, layer), max(layer.fan_in, layer.fan_out)
    return Start(Scales(), numbers=(g,), moments=(g / most, g * g / most - (g / most) ** 2))


def zeros_of(sparsity: float, fan_out: int) -> int:
    """How many of an input's weights are 0, as PyTorch counts."""
    return math.ceil(sparsity * fan_out)


def _sparse(layer: Layer, sparsity: float, std: float, offset: float) -> Start:
    zeros = zeros_of(sparsity, layer.fan_out)
    left = 1 - zeros / layer.fan_out
    mean = left * offset
    return Start(Scales(offset, normal=std), numbers=(zeros,), moments=(mean, left * (std**2 + offset**2) - mean**2))


def _randomized_asymmetric(layer: Layer, std: float) -> Start:
    scales = Scales(normal=std / math.sqrt(layer.fan_in))
    share = 1 / (layer.fan_in + layer.bias)
    mean = share * _BETA_MEAN
    square = share * _BETA_SQUARE + (1 - share) * scales.normal**2
    return Start(scales, biases=scales, moments=(mean, square - mean**2))


def _critical(layer: Layer, sigma_b: float) -> Start:
    """Raises GradsimError where the activation has no edge of chaos."""
    if sigma_b and not layer.bias:
        raise UsageError(f"sigma_b = {sigma_b:g} needs biases, and bias is false")
    if layer.activation is None:
        return Start(Scales(normal=1 / math.sqrt(layer.fan_in)), biases=Scales())
    from gradsim.theory import critical_sigma_w

    sigma_w = critical_sigma_w(layer.activation, sigma_b)
    return Start(Scales(normal=sigma_w / math.sqrt(layer.fan_in)), biases=Scales(normal=sigma_b))


METHODICAL = (
    Initializer(
        "orthogonal",
        r"g Q,\ Q^T Q = 1",
        _orthogonal,
        {"gain": Gain(1.0), "offset": OFFSET},
        aliases=("delta_orthogonal",),
        reference="Saxe, McClelland & Ganguli 2014",
        method="orthogonal",
        of_biases=False,
    ),
    Initializer(
        "identity",
        r"g\,\delta_{ij}",
        _identity,
        {"gain": Gain(1.0)},
        aliases=("eye", "dirac"),
        reference="Le, Jaitly & Hinton 2015",
        method="identity",
        of_biases=False,
    ),
    Initializer(
        "sparse",
        r"N(\mu, \sigma^2),\ P(w = 0) = s",
        _sparse,
        {"sparsity": Parameter(0.1, 0.0, 1.0), "std": Parameter(0.01, 0.0, 1e6), "offset": OFFSET},
        reference="Martens 2010",
        method="sparse",
        of_biases=False,
    ),
    Initializer(
        "critical",
        r"W: N(0, \sigma_w^2/n_{in}),\ b: N(0, \sigma_b^2),\ \chi_1 = 1",
        _critical,
        {"sigma_b": Parameter(0.0, 0.0, 1e6)},
        aliases=("edge_of_chaos",),
        reference="Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli 2016",
        own_biases=True,
        of_biases=False,
        of_activation=True,
    ),
    Initializer(
        "lsuv",
        r"Q/\mathrm{std}(z),\ |\mathrm{var}(z) - 1| < \epsilon",
        lambda layer, tolerance, rounds: Start(Scales(normal=1.0), numbers=(tolerance, rounds)),
        {"tolerance": Parameter(0.1, 0.0, 1e6), "rounds": Whole(10, 0, 1000)},
        aliases=("layer_sequential_unit_variance",),
        reference="Mishkin & Matas 2016",
        method="lsuv",
        of_biases=False,
    ),
    Initializer(
        "data_dependent",
        r"N(0, 1)/\mathrm{std}(z_j),\ b_j = -\mathrm{mean}(z_j)/\mathrm{std}(z_j)",
        lambda layer: Start(Scales(normal=1 / math.sqrt(layer.fan_in)), biases=Scales()),
        reference="Krähenbühl, Doersch, Donahue & Darrell 2016; Salimans & Kingma 2016",
        method="data_dependent",
        own_biases=True,
        of_biases=False,
    ),
    Initializer(
        "randomized_asymmetric",
        r"W, b: N(0, \sigma^2/n_{in}),\ \mathrm{one\ a\ unit\ Beta}(2, 1)",
        _randomized_asymmetric,
        {"std": Parameter(0.6007, 0.0, 1e6)},
        aliases=("randomised_asymmetric", "rai"),
        reference="Lu, Shin, Su & Karniadakis 2019",
        method="asymmetric",
        own_biases=True,
        of_biases=False,
    ),
)

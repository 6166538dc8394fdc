"""Activations with a parameter that is drawn anew for each sample, unit and step of training."""

from __future__ import annotations

from gradsim.activations.families.pieces import scaled
from gradsim.activations.families.rectified import leaky_properties
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import fma, where


@pointwise(
    r"z \text{ if } z > 0 \text{ else } (l + (h - l) u) z, \quad u \sim U(0, 1)",
    parameters={
        "lower": Parameter(1 / 8, -1e6, 1e6),
        "upper": Parameter(1 / 3, -1e6, 1e6),
        "u": Parameter(0.5, 0.0, 1.0, role="random"),
    },
    reference="Xu, Wang, Chen & Li 2015",
    **leaky_properties(lambda lower, upper, u: lower + (upper - lower) * u),
)
def rrelu(z, lower, upper, u):
    """Randomized leaky rectifier: the slope below 0, and at 0, is drawn from U(lower, upper), in evaluation their mean.

    Slopes and defaults as in PyTorch and TensorFlow Addons; `rrelu_divisor` is the paper's own form.
    """
    low = z <= 0
    slope = fma(upper - lower, u, lower)
    below = where(z == z, 0, z)
    negative = where(low, z, below)
    return (
        where(low, scaled(slope, z), z),
        where(low, slope, where(z > 0, 1, z)),
        scaled(1 - u, negative),
        scaled(u, negative),
        scaled(upper - lower, negative),
    )


@pointwise(
    r"z \text{ if } z > 0 \text{ else } z / (l + (h - l) u), \quad u \sim U(0, 1)",
    parameters={
        "lower": Parameter(3.0, 1e-6, 1e6),
        "upper": Parameter(8.0, 1e-6, 1e6),
        "u": Parameter(0.5, 0.0, 1.0, role="random"),
    },
    reference="Xu, Wang, Chen & Li 2015",
    **leaky_properties(lambda lower, upper, u: 1 / (lower + (upper - lower) * u)),
)
def rrelu_divisor(z, lower, upper, u):
    """The paper's randomized leaky rectifier: below 0, z is divided by U(lower, upper), in evaluation by the mean."""
    low = z <= 0
    a = fma(upper - lower, u, lower)
    below = where(z == z, 0, z)
    in_a = where(low, -z / a / a, below)
    return (
        where(low, z / a, z),
        where(low, 1 / a, where(z > 0, 1, z)),
        scaled(1 - u, in_a),
        scaled(u, in_a),
        scaled(upper - lower, in_a),
    )

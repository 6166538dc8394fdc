"""S-shaped activations. The tails are computed from exp(-abs(z)), never as 1 - s: that would lose every digit."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.lanes import copysign, exp, exp_expm1, where


@pointwise(
    r"\frac{1}{1 + e^{-z}}",
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=(0.25, 0.0),
    reference="Verhulst 1845; Rumelhart, Hinton & Williams 1986",
)
def sigmoid(z):
    """Logistic sigmoid, with slope s(1 - s) written as t/(1 + t)^2."""
    t = exp(-abs(z))
    r = 1 / (1 + t)
    return where(z >= 0, r, t * r), t * r * r


@pointwise(
    r"\tanh z",
    range=(-1.0, 1.0),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="LeCun, Bottou, Orr & Müller 1998",
)
def tanh(z):
    """Hyperbolic tangent, (1 - t)/(1 + t) with t = exp(-2 abs(z)); slope 4t/(1 + t)^2."""
    t, t_minus_1 = exp_expm1(-2 * abs(z))
    r = 1 / (1 + t)
    return copysign(t_minus_1 * r, z), 4 * t * r * r

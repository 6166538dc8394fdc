"""The exponential, and the linear units that it rounds off below 0."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import exp, exp_expm1, fma, where

_INF = float("inf")


@pointwise(
    "e^z",
    range=(0.0, _INF),
    monotonic=True,
    saturates="low",
    steepest=(_INF, _INF),
    reference="the exponential function",
)
def exponential(z):
    """Exponential: value and slope alike, without bound."""
    e = exp(z)
    return e, e


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha (e^z - 1)",
    parameters={"alpha": Parameter(1.0, 0.0, 1e6)},
    range=lambda alpha: (-alpha, _INF),
    monotonic=True,
    smoothness=lambda alpha: 1 if alpha == 1 else 0,
    saturates="low",
    kinks=lambda alpha: () if alpha == 1 else (0.0,),
    steepest=lambda alpha: (max(1.0, alpha), 1.0 if alpha <= 1 else 0.0),
    reference="Clevert, Unterthiner & Hochreiter 2016",
)
def elu(z, alpha):
    """Exponential linear unit; the slope at 0 is alpha."""
    e, e_minus_1 = exp_expm1(z)
    return where(z > 0, z, alpha * e_minus_1), where(z > 0, 1, alpha * e), where(z > 0, 0, e_minus_1)


@pointwise(
    r"\lambda z \text{ if } z > 0 \text{ else } \lambda \alpha (e^z - 1)",
    range=(-1.7580993408473766, _INF),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=(1.7580993408473766, 0.0),
    reference="Klambauer, Unterthiner, Mayr & Hochreiter 2017",
)
def selu(z):
    """Scaled exponential linear unit, lambda = 1.0507..., alpha = 1.6732...: keeps mean 0 and variance 1.

    The slope at 0 is lambda alpha.
    """
    e, e_minus_1 = exp_expm1(z)
    low = 1.0507009873554804934 * 1.6732632423543772848
    return where(z > 0, 1.0507009873554804934 * z, low * e_minus_1), where(z > 0, 1.0507009873554804934, low * e)


@formula
def _exp_chord(u):
    """(e^u (u - 1) + 1) / u^2 on [-1.25, 0], a fit: what is left of expm1(u) - u e^u near 0, where both cancel."""
    p = fma(u, 8.3127874483917724604e-11, 1.7105501316143421656e-9)
    p = fma(p, u, 2.2527874217211594174e-8)
    p = fma(p, u, 2.4994008644761858777e-7)
    p = fma(p, u, 2.4796301712498352901e-6)
    p = fma(p, u, 0.00002204552258851181569)
    p = fma(p, u, 0.00017361096681795058207)
    p = fma(p, u, 0.0011904761483298242514)
    p = fma(p, u, 0.0069444444365014165402)
    p = fma(p, u, 0.033333333332437504951)
    p = fma(p, u, 0.12499999999994717602)
    p = fma(p, u, 0.33333333333333210032)
    return fma(p, u, 0.49999999999999999519)


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha (e^{z/\alpha} - 1)",
    parameters={"alpha": Parameter(1.0, 1e-6, 1e6)},
    range=lambda alpha: (-alpha, _INF),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=(1.0, 1.0),
    reference="Barron 2017",
)
def celu(z, alpha):
    """Continuously differentiable exponential linear unit: the slope at 0 is 1 for every alpha."""
    u = z / alpha
    e, e_minus_1 = exp_expm1(u)
    bounded = where(u < -1000, -1000, u)
    in_alpha = where(u > -1.25, -(u * u) * _exp_chord(where(u < -1.25, -1.25, u)), fma(e, 1 - bounded, -1))
    # Where u is that small the value is z, and alpha * u would have lost digits to underflow.
    low = where(u > -1e-18, z, alpha * e_minus_1)
    return where(z > 0, z, low), where(z > 0, 1, e), where(z > 0, 0, in_alpha)

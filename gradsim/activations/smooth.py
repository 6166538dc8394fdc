"""Smooth relatives of the rectifier."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import erfcx_fit, exp, exp_expm1, fma, log1p, maximum, minimum, where

_SQRT_2 = 1.4142135623730951
_INV_SQRT_2PI = 0.3989422804014327
_INV_SQRT_PI = 0.5641895835477563


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha (e^z - 1)",
    parameters={"alpha": Parameter(1.0, 0.0, 1e6)},
    range=(-1.0, float("inf")),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=lambda alpha: (max(1.0, alpha), 1.0 if alpha <= 1 else 0.0),
    reference="Clevert, Unterthiner & Hochreiter 2016",
)
def elu(z, alpha):
    """Exponential linear unit; the slope at 0 is alpha."""
    e, e_minus_1 = exp_expm1(z)
    return where(z > 0, z, alpha * e_minus_1), where(z > 0, 1, alpha * e), where(z > 0, 0, e_minus_1)


@pointwise(
    r"\log(1 + e^z)",
    range=(0.0, float("inf")),
    monotonic=True,
    saturates="low",
    steepest=(1.0, float("inf")),
    reference="Dugas et al. 2001",
)
def softplus(z):
    """Softplus; its slope is the logistic sigmoid."""
    t = exp(-abs(z))
    r = 1 / (1 + t)
    return maximum(z, 0) + log1p(t), where(z >= 0, r, t * r)


@pointwise(
    r"z\,\sigma(z)",
    aliases=("swish",),
    range=(-0.2784645427610738, float("inf")),
    saturates="low",
    steepest=(1.099839320128867, 2.399357280515468),
    reference="Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017",
)
def silu(z):
    """Sigmoid-weighted linear unit; slope s (1 + z (1 - s)).

    With t = exp(-abs(z)) and r = 1/(1 + t) the slope is t (1 + z + t) r^2 below 0: near its root at -1.28 the bracket
    loses nothing, because 1 + z is exact there.
    """
    t = exp(-abs(z))
    r = 1 / (1 + t)
    # Beyond 1000 both exponentials are exact limits; the bound keeps 0 * inf out.
    bounded = maximum(minimum(z, 1000), -1000)
    bracket = where(z >= 0, fma(t, 1 + bounded, 1), t * (1 + bounded + t))
    return where(z >= 0, z * r, bounded * (t * r)), bracket * r * r


@pointwise(
    r"z\,\Phi(z)",
    range=(-0.16997120747990369, float("inf")),
    saturates="low",
    steepest=(1.128904145185155, 1.4142135623730951),
    reference="Hendrycks & Gimpel 2016",
)
def gelu(z):
    """Gaussian error linear unit, exact: Phi is the normal distribution function; slope Phi(z) + z phi(z).

    The tail is Phi(-a) = exp(-a^2/2) m(a) with Mills' ratio m(a) = erfcx(a/sqrt 2)/2 = (1 + fit)/(2 + 2 sqrt(2) a), the
    rounding error of a^2 put back. The slope on the falling side, exp(-a^2/2) (m(a) - a/sqrt(2 pi)), crosses 0 at
    a = 0.75: near it the difference is taken over the common denominator, so that what cancels is exact.
    """
    a = minimum(abs(z), 60)
    square = a * a
    g = exp(-0.5 * square)
    g = fma(g, -0.5 * fma(a, a, -square), g)
    fit = erfcx_fit(2 * a / (a + 3 * _SQRT_2))
    r = 1 / fma(a, _SQRT_2, 1)
    mills = 0.5 * (1 + fit) * r
    near = fma(0.5, fit, fma(a * -_INV_SQRT_PI, a, fma(a, -_INV_SQRT_2PI, 0.5))) * r
    slope = g * where(a < 1.5, near, fma(a, -_INV_SQRT_2PI, mills))
    return where(z > 0, z, 0) - (a * mills) * g, where(z > 0, 1 - slope, slope)

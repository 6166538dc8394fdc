"""Smooth relatives of the rectifier.

Everything comes from t = exp(-abs(z)), so neither side overflows. Where a slope crosses 0 it is written as a difference
whose terms are exact there: near its root no digit is lost. Bounds on z keep 0 * inf out; they are set by `where` in
the order that lets NaN through and costs one instruction.
"""

from __future__ import annotations

from gradsim.activations.families.pieces import within
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import device_overload, formula
from gradsim.lanes import copysign, erfcx_fit, exp, exp_expm1, fma, log1p, sqrt, where
from gradsim.lanes.elementary import by_precision

_INF = float("inf")
_SQRT_2 = 1.4142135623730951
_INV_SQRT_2PI = 0.3989422804014327
_INV_SQRT_PI = 0.5641895835477563
# 2 sqrt(2/pi) = _LINEAR + _LINEAR_LOW, the first of which float32 holds, too; _CUBIC is 0.044715 of it.
_LINEAR, _LINEAR_LOW, _CUBIC = 1.5957691669464111, -4.534068042105272e-08, 0.07135481627260025


@pointwise(
    r"\log(1 + e^z)",
    aliases=("soft_plus",),
    range=(0.0, _INF),
    monotonic=True,
    saturates="low",
    steepest=(1.0, _INF),
    reference="Dugas et al. 2001",
)
def softplus(z):
    """Softplus; its slope is the logistic sigmoid. PyTorch's goes over to z beyond 20, which is not done here."""
    t = exp(-abs(z))
    r = 1 / (1 + t)
    return where(z < 0, 0, z) + log1p(t), where(z >= 0, r, t * r)


@pointwise(
    r"-\log(1 + e^{-z})",
    aliases=("log_sigmoid",),
    range=(-_INF, 0.0),
    monotonic=True,
    saturates="high",
    steepest=(1.0, -_INF),
    reference="PyTorch; JAX",
)
def logsigmoid(z):
    """Logarithm of the logistic sigmoid; its slope is the sigmoid of -z."""
    t = exp(-abs(z))
    r = 1 / (1 + t)
    return where(z > 0, 0, z) - log1p(t), where(z >= 0, t * r, r)


@pointwise(
    r"z\,\sigma(z)",
    aliases=("swish",),
    range=(-0.2784645427610738, _INF),
    saturates="low",
    steepest=(1.099839320128867, 2.399357280515468),
    reference="Elfwing, Uchibe & Doya 2018; Ramachandran, Zoph & Le 2017",
)
def silu(z):
    """Sigmoid-weighted linear unit; slope s (1 + z (1 - s)).

    Below 0, with a = abs(z), the slope is s - a (s - s^2), where an error of s nearly cancels around the root at -1.28.
    The slopes at z and -z add up to 1.
    """
    a = abs(z)
    t = exp(-a)
    r = 1 / (1 + t)
    s = t * r
    a = where(a > 1000, 1000, a)
    low = fma(-a, fma(-s, s, s), s)
    positive = z >= 0
    return where(positive, z * r, -a * s), where(positive, 1 - low, low)


@formula
def two_factors(size):
    """exp(-size), size >= 0, as (t, scale) with t a normal number: a product with t keeps its digits to the last."""
    far = size > 64
    return exp(where(far, 40 - size, -size)), where(far, 4.248354255291589e-18, 1)


@formula
def swish_parts(z, u, lost):
    """z sigma(x), the slope sigma(x) + x sigma'(x) of x sigma(x), and z^2 sigma'(x), at x = u + lost.

    `lost` is what rounding took from u = beta z: below 0 the exponential feels it.
    """
    t, scale = two_factors(abs(u))
    t = fma(t, where(u < 0, lost, -lost), t)
    whole = t * scale
    q = 1 + whole
    bounded, finite = within(u, 1000), where(abs(u) > 1000, 0, z)
    above, square = 1 + bounded, fma(whole, whole + 2, 1)
    slope = where(u >= 0, fma(whole, above, 1), t * (above + (whole + lost)) * scale) / square
    return where(u >= 0, z, finite * t * scale) / q, slope, finite * (finite * t / square) * scale


@formula
def product(beta, z):
    """(beta z, what rounding took from it); 0 for beta = 0."""
    u = where((beta == 0) & (z == z), 0, beta * z)
    return u, where((abs(u) < 1000) & (abs(z) < _INF), fma(beta, z, -u), 0)


@pointwise(
    r"z\,\sigma(\beta z)",
    parameters={"beta": Parameter(1.0, 1e-6, 1e6)},
    range=lambda beta: (-0.2784645427610738 / beta, _INF),
    saturates="low",
    steepest=lambda beta: (1.099839320128867, 2.399357280515468 / beta),
    reference="Ramachandran, Zoph & Le 2017",
)
def swish_beta(z, beta):
    """Swish with a fixed beta, as TensorFlow's silu takes it; `trainable_swish` learns it."""
    u, lost = product(beta, z)
    return swish_parts(z, u, lost)


@pointwise(
    r"z\,\sigma(1.702 z)",
    range=(-0.16361018963635358, _INF),
    saturates="low",
    steepest=(1.099839320128867, 1.4097281319127307),
    reference="Hendrycks & Gimpel 2016",
)
def quick_gelu(z):
    """The logistic approximation of `gelu`, as in CLIP and Hugging Face's quick_gelu."""
    # 1.702 in two parts, the first of which float32 holds, too.
    u = 1.7020000219345093 * z
    lost = where(abs(u) < 1000, fma(z, -2.193450927734375e-08, fma(z, 1.7020000219345093, -u)), 0)
    v = u + lost
    value, slope, _ = swish_parts(z, v, where(abs(u) < 1000, lost - (v - u), 0))
    return value, slope


def _mills(a):
    """(t, p) with (1 + sqrt(2) a) erfcx(a/sqrt 2)/2 = 1/2 + t p, for gelu's a in [0, 60]."""
    from scipy.special import erfcx

    return 1.0, 0.5 * ((1 + _SQRT_2 * a) * erfcx(a / _SQRT_2) - 1)


@formula
def _mills_32(a):
    # Fitted up to a = 14.6, where exp(-a^2/2) is 0.
    t = a / (a + 2.75)
    p = fma(t, -0.112145836409, 0.372540397284)
    p = fma(p, t, -0.350072595995)
    p = fma(p, t, 0.0434081354175)
    p = fma(p, t, -0.201909415391)
    p = fma(p, t, 0.312267596355)
    p = fma(p, t, 0.68116194319)
    p = fma(p, t, -1.52853060634)
    return t, fma(p, t, 0.84745097804)


@formula
def _mills_64(a):
    return 1.0, 0.5 * erfcx_fit((a + a) / (a + 3 * _SQRT_2))


device_overload(_mills)(by_precision(_mills_32, _mills_64))


@formula
def _gelu(z):
    """Value and slope of gelu.

    The tail is Phi(-a) = exp(-a^2/2) m(a), with m(a) = erfcx(a/sqrt 2)/2 = (1/2 + t p)/(1 + sqrt(2) a), the rounding
    error of a^2 put back. The slope on the falling side, exp(-a^2/2) (m(a) - a/sqrt(2 pi)), crosses 0 at a = 0.75: near
    it the difference is taken over the common denominator, so that what cancels is exact.
    """
    a = abs(z)
    a = where(a > 60, 60, a)
    half = 0.5 * a
    square = half * a
    g = exp(-abs(square))
    g = fma(g, -fma(half, a, -square), g)
    t, p = _mills(a)
    r = 1 / fma(a, _SQRT_2, 1)
    mills = fma(t, p, 0.5) * r
    near = fma(t, p, fma(square, -2 * _INV_SQRT_PI, fma(a, -_INV_SQRT_2PI, 0.5))) * r
    slope = g * where(a < 1.2, near, fma(a, -_INV_SQRT_2PI, mills))
    falling = z <= 0
    return fma(-(a * mills), g, where(falling, 0, z)), where(falling, slope, 1 - slope)


@pointwise(
    r"z\,\Phi(z)",
    range=(-0.16997120747990366, _INF),
    saturates="low",
    steepest=(1.128904145185155, 1.4142135623730951),
    reference="Hendrycks & Gimpel 2016",
)
def gelu(z):
    """Gaussian error linear unit, exact: Phi is the normal distribution function; slope Phi(z) + z phi(z).

    PyTorch's and Keras' default; JAX's is `gelu_tanh`.
    """
    return _gelu(z)


@pointwise(
    r"\min(z\,\Phi(z), 10)",
    range=(-0.16997120747990366, 10.0),
    smoothness=0,
    saturates="both",
    kinks=(10.0,),
    steepest=(1.128904145185155, 1.4142135623730951),
    reference="Wu, Judd, Zhang, Isaev & Micikevicius 2020",
)
def gelu_10(z):
    """GELU that is capped at 10, for quantization (Hugging Face's gelu_10)."""
    value, slope = _gelu(z)
    return where(z > 10, 10, value), where(z > 10, 0, slope)


@pointwise(
    r"\tfrac{1}{2} z \left(1 + \tanh\left(\sqrt{2/\pi}\,(z + 0.044715 z^3)\right)\right)",
    aliases=("gelu_new", "gelu_pytorch_tanh"),
    range=(-0.17004075057125405, _INF),
    saturates="low",
    steepest=(1.1289930686587718, 1.4185040087908284),
    reference="Hendrycks & Gimpel 2016",
)
def gelu_tanh(z):
    """GELU by tanh, JAX's default, as z sigma(2 u) with u = sqrt(2/pi) (z + 0.044715 z^3)."""
    b = within(z, 30)
    w = b * b
    # 2 u with what rounding took from it, the constant 2 sqrt(2/pi) in two parts: the tail would feel it.
    q = fma(w, _CUBIC, _LINEAR)
    u = b * q
    lost = fma(b, fma(w, _CUBIC, _LINEAR - q) + fma(b, b, -w) * _CUBIC + _LINEAR_LOW, fma(b, q, -u))
    v = u + lost
    lost = lost - (v - u)
    t = exp(-abs(v))
    t = fma(t, where(v < 0, lost, -lost), t)
    q = 1 + t
    # 1 + z (2 u)' = 1 + 2 u + ..., of which 1 + ... is exact near the root at -0.75.
    above = (1 + v) + fma(2 * _CUBIC * b, w, lost)
    slope = where(z >= 0, fma(t, above, 1), t * (above + t)) / fma(t, t + 2, 1)
    return where(z >= 0, z, b * t) / q, slope


@pointwise(
    r"z \tanh(\log(1 + e^z))",
    range=(-0.3088434130172504, _INF),
    saturates="low",
    steepest=(1.0884981612517278, 1.4905711794854285),
    reference="Misra 2020",
)
def mish(z):
    """Self-regularized unit, z n/d with n = e^2z + 2 e^z and d = n + 2, both divided by e^2z above 0.

    With t = e^z the slope is n/d + 4 z t (1 + t)/d^2, or t (4 (1 + z) + t (t^2 + 4 t + 6 + 4 z))/d^2: near its root at
    -1.19 the first term in the bracket is exact and the second small.
    """
    p = exp(-abs(z))
    positive, mild = z >= 0, z > -0.35
    both = p * (p + 2)
    above = where(positive, fma(2, p, 1), both)
    below = where(positive, fma(2 * p, p, above), both + 2)
    # d^2, with what rounding took from d.
    square = fma(below, below, (below + below) * where(positive, 0, (2 - below) + both))
    b = 4 * within(z, 1000)
    low = p * fma(p, fma(p, p + 4, b + 6), b + 4)
    rest = where(mild, b * where(positive, p * p, p) * (1 + p), low) / square
    h = above / below
    return where(positive, z, where(z < -1000, -1000, z)) * h, where(mild, h + rest, rest)


@pointwise(
    r"\tfrac{1}{2} \left(z + \sqrt{z^2 + b}\right)",
    parameters={"b": Parameter(4.0, 1e-6, 1e6)},
    range=(0.0, _INF),
    monotonic=True,
    saturates="low",
    steepest=(1.0, _INF),
    reference="Barron 2021",
)
def squareplus(z, b):
    """Algebraic softplus; below 0 written as (b/4)/((abs(z) + sqrt(z^2 + b))/2), which does not cancel."""
    size = abs(z)
    root = where(size > 1e12, size, sqrt(fma(z, z, b)))
    larger = 0.5 * size + 0.5 * root
    value = where(z >= 0, larger, 0.25 * b / larger)
    share = where(size > 1e12, copysign(1, z), z / root)
    return value, where(share > -0.5, fma(0.5, share, 0.5), value / root), 0.25 / root


@pointwise(
    r"z \tanh z",
    range=(0.0, _INF),
    steepest=(1.1996786402577339, 1.1996786402577339),
    reference="Roy, Manna, Dubey & Chaudhuri 2019",
)
def lisht(z):
    """Linearly scaled hyperbolic tangent: even, and never negative."""
    t, t_minus_1 = exp_expm1(-2 * abs(z))
    size = abs(z)
    q = 1 + t
    h = -t_minus_1 / q
    bell = where(size > 1000, 1000, size) * (4 * t) / fma(t, t + 2, 1)
    return size * h, copysign(h + bell, z)


@pointwise(
    r"\frac{\sqrt{z^2 + 1} - 1}{2} + z",
    monotonic=True,
    steepest=(1.5, _INF),
    reference="Wikipedia's table of activation functions",
)
def bent_identity(z):
    """Bent identity: slope 1/2 far below 0, 3/2 far above."""
    size = abs(z)
    root = where(size > 1e12, size, sqrt(fma(z, z, 1)))
    # sqrt(z^2 + 1) - 1, without cancellation near 0.
    rise = where(size > 2, root - 1, z * z / (root + 1))
    value = where(z < -1e18, 0.5 * z, fma(0.5, rise, z))
    return value, fma(0.5, where(size > 1e12, copysign(1, z), z / root), 1)

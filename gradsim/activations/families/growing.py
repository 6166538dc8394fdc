"""Unbounded activations from logarithms, softplus, inverse tangents and hyperbolic functions."""

from __future__ import annotations

from gradsim.activations.families.gates import logistic, times
from gradsim.activations.families.pieces import constant
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import asinh, atan, copysign, cosh, exp, expm1, log1p, maximum, sinh, sqrt, where

INF = float("inf")
LN2, LN2_REST = 0.6931471805599453, 2.3190468138462996e-17


@pointwise(
    r"\operatorname{sgn}(z) \ln(1 + |z|)",
    aliases=("laf",),
    zero_centered=True,
    monotonic=True,
    smoothness=1,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Hafner, Pasukonis, Ba & Lillicrap 2023; Kunc & Kléma 2024, section 3.13",
    extended=True,
)
def symlog(z):
    """Symmetric logarithm."""
    size = abs(z)
    return copysign(log1p(size), z), 1 / (1 + size)


@pointwise(
    r"\operatorname{sgn}(z) (e^{|z|} - 1)",
    zero_centered=True,
    monotonic=True,
    smoothness=1,
    steepest=(INF, INF),
    reference="Hafner, Pasukonis, Ba & Lillicrap 2023, Mastering diverse domains through world models",
    extended=True,
)
def symexp(z):
    """Symmetric exponential, the inverse of symlog."""
    size = abs(z)
    return copysign(expm1(size), z), exp(size)


@pointwise(
    r"\ln(1 + z^2)",
    range=(0.0, INF),
    saturates="both",
    steepest=(1.0, 1.0),
    reference="Misra, Echo (Seagull)",
    extended=True,
)
def seagull(z):
    """Seagull: an even function."""
    size = abs(z)
    far = size > 1
    value = log1p(where(size > 1e20, size, size * size))
    r = where(far, 1 / where(far, size, 1), size)
    return where(size > 1e20, 2 * value, value), copysign(2 * r / (1 + r * r), z)


@formula
def _centered_softplus(z):
    """log((1 + e^z)/2): softplus with its digits around 0."""
    return maximum(z, 0) + log1p(0.5 * expm1(-abs(z)))


@pointwise(
    r"\ln(1 + e^{k z}) + z / c - \ln 2",
    parameters={"k": Parameter(1.0, 1e-3, 1e3), "c": Parameter(2.0, 1e-3, 1e3)},
    monotonic=True,
    steepest=lambda k, c: (k + 1 / c, INF),
    reference="Ciuparu, Nagy-Dăbâcan & Mureşan 2019, Soft++",
    extended=True,
)
def soft_plus_plus(z, k, c):
    """Soft++, a leaky softplus through the origin."""
    y = k * z
    s, _, _ = logistic(y)
    return _centered_softplus(y) + z / c, k * s + 1 / c, times(z, s), -z / (c * c)


@pointwise(
    r"a (\ln(1 + e^z) - b)",
    parameters={"a": Parameter(1.5, 1e-3, 1e3), "b": Parameter(LN2, -1e3, 1e3)},
    range=lambda a, b: (-a * b, INF),
    monotonic=True,
    saturates="low",
    steepest=lambda a, b: (a, INF),
    reference="Sun et al. (parametric softplus in Kunc & Kléma 2024, section 3.18)",
    extended=True,
)
def psoftplus(z, a, b):
    """Parametric softplus; b is ln 2 rounded, so the root is not quite at 0."""
    s, _, _ = logistic(z)
    value = _centered_softplus(z) + ((LN2 - b) + LN2_REST)
    return a * value, a * s, value, constant(-a, z)


@pointwise(
    r"z \text{ if } z > 0 \text{ else } 2 \ln \tfrac{1 + e^z}{2}",
    range=(-1.3862943611198906, INF),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=(1.0, 1.0),
    reference="Kunc & Kléma 2024, section 3.6.13 (softplus linear unit)",
    extended=True,
)
def slu(z):
    """Softplus linear unit."""
    s, _, _ = logistic(z)
    return where(z > 0, z, 2 * _centered_softplus(z)), where(z > 0, 1, 2 * s)


@pointwise(
    r"a z + \ln 2 \text{ if } z > 0 \text{ else } \ln(1 + e^z)",
    parameters={"a": Parameter(1.5, 0.0, 1e3)},
    range=(0.0, INF),
    monotonic=True,
    smoothness=lambda a: 1 if a == 0.5 else 0,
    saturates="low",
    kinks=lambda a: () if a == 0.5 else (0.0,),
    steepest=lambda a: (max(a, 0.5), 1.0 if a > 0.5 else 0.0),
    reference="Kunc & Kléma 2024, section 3.6.14 (rectified softplus)",
    extended=True,
)
def resp(z, a):
    """Rectified softplus; a from 1.4 to 2 worked well. The slope at 0 is that of the left, 1/2."""
    s, _, _ = logistic(z)
    right = z > 0
    left = log1p(exp(where(right, 0, z)))
    return where(right, times(z, a) + left, left), where(right, a, s), where(right, z, constant(0, z))


@pointwise(
    r"\ln(\cosh z + z \cosh \tfrac z2) \text{ if } z \ge 0 \text{ else } \ln(\cosh z) + z",
    range=(-LN2, INF),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=(1.0, 0.0),
    reference="Kunc & Kléma 2024, section 3.37 (HcLSH)",
    extended=True,
)
def hclsh(z):
    """Hyperbolic cosine linearized squashing function; below 0 it is log((1 + e^2z)/2)."""
    size = abs(z)
    right = z > 0
    h = exp(-0.5 * size)
    t = h * h
    fall = expm1(-2 * size)
    bend = times(size, h)
    # cosh z + z cosh(z/2) over e^z/2, less 2: what softplus has, and more on the right.
    more = where(right, bend * (1 + t), 0)
    value = where(right, z, 0) + log1p(0.5 * (fall + more))
    slope = (where(right, -fall + h * (1 + t) + 0.5 * bend * (1 - t), 2 * t * t)) / (2 + fall + more)
    return value, slope


@pointwise(
    r"\tfrac{1}{12} \operatorname{arsinh}(z) \sqrt{|z|}",
    zero_centered=True,
    monotonic=True,
    smoothness=1,
    saturates="both",
    steepest=(0.09739148156550029, 1.3719036490742452),
    reference="Parisi 2020, m-arcsinh",
    extended=True,
)
def m_arcsinh(z):
    """Modified inverse hyperbolic sine."""
    size = abs(z)
    root, curve = sqrt(size), asinh(size)
    far = size > 1
    r = where(far, 1 / where(far, size, 1), size)
    nonzero = where(size == 0, 1, size)
    rate = where(far, r, 1) / sqrt(1 + r * r) + where(size == 0, 0.5, 0.5 * curve / nonzero)
    return copysign(root * curve, z) / 12, where(size == INF, 0, root * rate / 12)


@pointwise(
    r"\tfrac13 \sinh z \text{ if } z > 0 \text{ else } \tfrac14 z^3",
    monotonic=True,
    smoothness=0,
    kinks=(0.0,),
    steepest=(INF, INF),
    reference="Parisi et al. 2021, hyper-sinh",
    extended=True,
)
def hyper_sinh(z):
    """Hyper-sinh; the slope at 0 is that of the left, 0."""
    right = z > 0
    high = where(right, z, 0)
    far, h = high > 40, exp(0.5 * high)
    value = where(far, h / 6 * h, sinh(high) / 3)
    return where(right, value, 0.25 * z * z * z), where(right, where(far, value, cosh(high) / 3), 0.75 * z * z)


@pointwise(
    r"\sinh(a z) + \operatorname{arsinh}(a z)",
    parameters={"a": Parameter(1.0, 1e-3, 1e3)},
    zero_centered=True,
    monotonic=True,
    steepest=(INF, INF),
    reference="Kunc & Kléma 2024, section 3.25 (comb-H-sine)",
    extended=True,
)
def comb_h_sine(z, a):
    """Comb-H-sine, found by an evolutionary search."""
    y = a * z
    h = exp(0.5 * abs(y))
    rate = 1 / sqrt(1 + y * y)
    slope = where(abs(y) > 40, 0.5 * a * h * h, a * (cosh(y) + rate))
    return sinh(y) + asinh(y), slope, times(z, cosh(y) + rate)


@pointwise(
    r"(\arctan z)^2 - z",
    steepest=(1.8238985596831418, -0.7653789266657889),
    reference="Eger, Youssef & Gurevych 2018, Is it time to swish?",
    extended=True,
)
def arctid(z):
    """Arctid: falls everywhere."""
    angle = atan(z)
    return angle * angle - z, 2 * angle / (1 + z * z) - 1

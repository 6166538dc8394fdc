"""The relatives of SiLU: z sigma(z) scaled, shifted, squashed, composed with itself, and joined to other pieces."""

from __future__ import annotations

from gradsim.activations.families.extremes import lowest, steepest
from gradsim.activations.families.gates import gated, half_exponential, logistic, silu_and_slope, times
from gradsim.activations.families.pieces import constant
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import atan, exp, exp_expm1, minimum, sech_squared, tanh, where

INF = float("inf")
SILU_MIN, SILU_MAX_SLOPE = -0.2784645427610738, (1.099839320128867, 2.3993572805154677)


@pointwise(
    r"\beta z\,\sigma(z)",
    parameters={"beta": Parameter(1.5, 1e-3, 1e3)},
    range=lambda beta: (beta * SILU_MIN, INF),
    saturates="low",
    steepest=lambda beta: (beta * SILU_MAX_SLOPE[0], SILU_MAX_SLOPE[1]),
    reference="Alcaide 2018, E-swish: adjusting activations to different network depths",
    extended=True,
)
def e_swish(z, beta):
    """E-swish; its author recommends beta from 1 to 2."""
    value, slope = silu_and_slope(z)
    return beta * value, beta * slope, value


@pointwise(
    r"\max(0, z)\,\sigma(z) + T",
    parameters={"T": Parameter(-0.2, -1e6, 1e6)},
    aliases=("fts",),
    range=lambda T: (T, INF),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=SILU_MAX_SLOPE,
    reference="Chieng, Wahid, Pauline & Perla 2018, Flatten-T Swish",
    extended=True,
)
def flatten_t_swish(z, T):
    """Flatten-T Swish; the slope at 0 is that of the left, 0."""
    value, slope = silu_and_slope(z)
    return where(z <= 0, T, value + T), where(z <= 0, 0, slope), constant(1, z)


@pointwise(
    r"\max(0, z) + z\,\sigma(z)",
    range=(SILU_MIN, INF),
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=(1 + SILU_MAX_SLOPE[0], SILU_MAX_SLOPE[1]),
    reference="Kunc & Kléma 2024, section 3.6.47 (optimal activation function)",
    extended=True,
)
def oaf(z):
    """Optimal activation function, ReLU + SiLU; the slope at 0 is that of the left, 1/2."""
    value, slope = silu_and_slope(z)
    return where(z > 0, z + value, value), where(z > 0, 1 + slope, slope)


@pointwise(
    r"z\,\sigma(z\,\sigma(z))",
    monotonic=True,
    steepest=(1.1376512730096877, 2.3297759652317168),
    reference="Verma, Chug & Singh (DoubleSiLU in Kunc & Kléma 2024, section 3.3.22)",
    extended=True,
)
def double_silu(z):
    """Double SiLU: the gate is the logistic function of SiLU, so z/2 far to the left."""
    inner, inner_slope = silu_and_slope(z)
    gate, _, rate = logistic(inner)
    return gated(z, gate, rate * inner_slope)


@pointwise(
    r"\sigma(z)\,(1 + z\,\sigma(-z))",
    range=(-0.09983932012886692, 1.099839320128867),
    saturates="both",
    steepest=(0.5, 0.0),
    reference="Elfwing, Uchibe & Doya 2018",
    extended=True,
)
def dsilu(z):
    """The derivative of SiLU as an activation of its own: an S-shape that overshoots both levels."""
    h, w, r = half_exponential(z)
    _, value = silu_and_slope(z)
    s, c = w * w * r, where(z < 0, r, h * h * r)
    return value, times(2 + z * (c - s), h * r) * (h * r)


@pointwise(
    r"z\,\sigma(z) + \tfrac14 e^{-z^2 - 1}",
    range=(-0.2642687762880736, INF),
    saturates="low",
    steepest=(1.0986124726281052, 2.4554365644157027),
    reference="Kunc & Kléma 2024, section 3.3.23 (modified SiLU)",
    extended=True,
)
def msilu(z):
    """Modified SiLU: SiLU with a small Gaussian bump."""
    value, slope = silu_and_slope(z)
    bump = exp(-(z * z) - 1)
    return value + 0.25 * bump, slope - 0.5 * times(z, bump)


@pointwise(
    r"\tanh(z\,\sigma(z))",
    range=(-0.2714833852324538, 1.0),
    saturates="both",
    steepest=(0.6766003824530141, 0.5773206282592705),
    reference="Verma, Chug & Singh (TSiLU in Kunc & Kléma 2024, section 3.3.24)",
    extended=True,
)
def tsilu(z):
    """The hyperbolic tangent of SiLU."""
    value, slope = silu_and_slope(z)
    return tanh(value), sech_squared(value) * slope


@pointwise(
    r"\arctan(z\,\sigma(z))",
    range=(-0.27158430714064885, 1.5707963267948966),
    saturates="both",
    steepest=(0.6807692927119125, 0.6035335583293735),
    reference="Verma, Chug & Singh (ASiLU in Kunc & Kléma 2024, section 3.3.25)",
    extended=True,
)
def asilu(z):
    """The inverse tangent of SiLU."""
    value, slope = silu_and_slope(z)
    # 1/(1 + value^2) as r^2/(1 + r^2) with r = 1/value where value^2 would overflow
    far = value > 1
    r = where(far, 1 / where(far, value, 1), value)
    rate = 1 / (1 + r * r)
    return atan(value), where(far, r * slope * r, slope) * rate


@pointwise(
    r"z\,\sigma(\arctan z)",
    monotonic=True,
    steepest=(0.8292163718034636, 3.5121708197576735),
    reference="Verma, Chug & Singh (SwAT in Kunc & Kléma 2024, section 3.3.26)",
    extended=True,
)
def swat(z):
    """SiLU with the gate at arctan z: linear far off, with two slopes."""
    s, _, d = logistic(atan(z))
    return gated(z, s, d / (1 + z * z))


@pointwise(
    r"z \text{ if } z \ge 0 \text{ else } \frac{z}{1 + a e^{-b z}}",
    parameters={"a": Parameter(0.5, 1e-3, 1e3), "b": Parameter(0.7, 1e-3, 1e3)},
    range=lambda a, b: (lowest(sara, -(20 + a) / b, 0, a=a, b=b), INF),
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=(1.0, 1.0),
    reference="Qureshi & Sarosh Umar (SaRa in Kunc & Kléma 2024, section 3.6.53)",
    extended=True,
)
def sara(z, a, b):
    """Swish and ReLU activation; the slope at 0 is that of the left, 1/(1 + a)."""
    h = exp(0.5 * b * minimum(z, 0))
    r = 1 / (h * h + a)
    weighted = times(z, h)
    value, slope = weighted * (h * r), times(1 + b * z * (a * r), h) * (h * r)
    right = z > 0
    by_a, by_b = -weighted * (h * r * r), a * (weighted * r) * (weighted * r)
    return where(right, z, value), where(right, 1, slope), where(right, 0, by_a), where(right, 0, by_b)


@pointwise(
    r"z\,\sigma(\beta z) + \alpha \tanh z",
    parameters={"alpha": Parameter(0.1, 0.0, 1e3), "beta": Parameter(1.0, 1e-3, 1e3, role="learned")},
    range=lambda alpha, beta: (lowest(swish_t, -30 / beta, 0, alpha=alpha, beta=beta), INF),
    saturates="low",
    steepest=lambda alpha, beta: steepest(swish_t, -20 / beta, 20 / beta, alpha=alpha, beta=beta),
    reference="Seo, Kim & Park 2024, Swish-T",
    extended=True,
)
def swish_t(z, alpha, beta):
    """Swish-T: Swish with a learned sharpness and a tanh bias."""
    y = times(z, beta)
    h, w, r = half_exponential(y)
    _, slope = silu_and_slope(y)
    bias, by_beta = tanh(z), times(z, h * r)
    return times(z, w) * (w * r) + alpha * bias, slope + alpha * sech_squared(z), bias, by_beta * by_beta


@pointwise(
    r"z\,\sigma(z) \text{ if } z \ge 0 \text{ else } (e^z - 1)\,\sigma(z)",
    range=(-0.1715728752538099, INF),
    smoothness=1,
    saturates="low",
    steepest=SILU_MAX_SLOPE,
    reference="Basirat & Roth 2018, The quest for the golden activation function",
    extended=True,
)
def elish(z):
    """Exponential linear sigmoid squashing."""
    s, _, d = logistic(z)
    e, e_minus_1 = exp_expm1(minimum(z, 0))
    value, slope = silu_and_slope(z)
    return where(z >= 0, value, e_minus_1 * s), where(z >= 0, slope, e * s + e_minus_1 * d)

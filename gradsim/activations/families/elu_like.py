"""Relatives of the exponential linear unit: an exponential below 0, a line above, often with learned parameters."""

from __future__ import annotations

import math

from gradsim.activations.families.extremes import highest, lowest
from gradsim.activations.families.gates import TWO_OVER_SQRT_PI, logistic, times
from gradsim.activations.families.pieces import INFINITY, constant, exp_rest, learned, log1p_rest, scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import copysign, erf, exp, exp_expm1, expm1, log1p, where


@pointwise(
    r"\frac{a}{b} z \text{ if } z > 0 \text{ else } a (e^{z/b} - 1)",
    parameters={"a": learned(1.0), "b": learned(1.0)},
    extended=True,
    range=lambda a, b: (-max(a, 0.1), INFINITY),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=lambda a, b: (max(a, 0.1) / max(b, 0.1), 1.0),
    reference="Trottier, Giguère & Chaib-draa 2017",
)
def pelu(z, a, b):
    """Parametric ELU (PELU). The paper keeps a and b above 0.1: below, each counts as 0.1, with derivative 0."""
    low, nothing = z <= 0, where(z == z, 0, z)
    height, width = where(a < 0.1, 0.1, a), where(b < 0.1, 0.1, b)
    x = z / width
    e, e_minus_1 = exp_expm1(where(low, x, nothing))
    ratio = height / width
    shape = where(low, e_minus_1, x)
    slope = where(low, ratio * e, constant(ratio, z))
    d_b = where(low, -ratio * times(x, e), -(ratio / width) * z)
    return (
        where(low, height * e_minus_1, ratio * z),
        slope,
        where(a < 0.1, nothing, shape),
        where(b < 0.1, nothing, d_b),
    )


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha (e^{\beta z} - 1)",
    parameters={"alpha": learned(1.0), "beta": learned(1.0)},
    extended=True,
    range=lambda alpha, beta: (
        -alpha if beta > 0 <= alpha else -INFINITY if alpha * beta > 0 else 0.0,
        INFINITY,
    ),
    monotonic=lambda alpha, beta: alpha * beta >= 0,
    smoothness=lambda alpha, beta: 1 if alpha * beta == 1 else 0,
    saturates=lambda alpha, beta: "low" if alpha == 0 or beta >= 0 else "none",
    kinks=lambda alpha, beta: () if alpha * beta == 1 else (0.0,),
    steepest=lambda alpha, beta: (
        (max(1.0, abs(alpha * beta)), 1.0 if abs(alpha * beta) <= 1 else 0.0)
        if alpha == 0 or beta >= 0
        else (INFINITY, -INFINITY)
    ),
    reference="Li et al. 2018",
)
def mpelu(z, alpha, beta):
    """Multiple parametric ELU (MPELU); grows without bound below 0 where training takes beta below 0."""
    low, nothing = z <= 0, where(z == z, 0, z)
    e, e_minus_1 = exp_expm1(where(low, scaled(beta, z), nothing))
    bend = where(low, e_minus_1, nothing)
    slope = where(low, scaled(alpha * beta, e), constant(1, z))
    return where(low, scaled(alpha, bend), z), slope, bend, where(low, scaled(alpha, times(z, e)), nothing)


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha \left(\max(0, 1 + (1 - t) z)^{1/(1 - t)} - 1\right)",
    parameters={"alpha": learned(1.0), "t": Parameter(0.9, 0.5, 0.99)},
    extended=True,
    range=lambda alpha, t: (min(-alpha, 0.0), INFINITY),
    monotonic=lambda alpha, t: alpha >= 0,
    smoothness=lambda alpha, t: 1 if alpha == 1 else 0,
    saturates="low",
    kinks=lambda alpha, t: () if alpha == 1 else (0.0,),
    steepest=lambda alpha, t: (max(1.0, abs(alpha)), 1.0 if abs(alpha) <= 1 else 0.0),
    reference="Cheng et al. 2020",
)
def pdelu(z, alpha, t):
    """Parametric deformable ELU (PDELU): an ELU whose exponential is deformed, -alpha left of -1/(1 - t)."""
    q = 1 - t
    p = 1 / q
    low, nothing = z <= 0, where(z == z, 0, z)
    inside = low & (q * z > -1)
    x = where(inside, q * z, nothing)
    growth = log1p(x)
    # Next to 0 it is z, of which a hundredth may not be a normal number.
    bend = where(low, where(z > -1e-290, z, where(inside, expm1(p * growth), -1)), nothing)
    slope = where(low, where(inside, alpha * exp(t * p * growth), 0), constant(1, z))
    w, rest = log1p_rest(x)
    part = p * w * exp(p * growth / 2)
    d_t = where(inside, alpha * rest * part * part, nothing)
    return where(low, alpha * bend, z), slope, bend, d_t


@formula
def _bump(z, beta):
    """z e^(beta z), (1 + beta z) e^(beta z) and z^2 e^(beta z) for z below 0; 0 above."""
    low, nothing = z <= 0, where(z == z, 0, z)
    x = where(low, scaled(beta, z), nothing)
    # Squared, so that large factors come before what may leave the normal numbers.
    root = exp(x / 2)
    part = times(where(low, z, nothing), root)
    return part * root, times(1 + x, root) * root, part * part


@pointwise(
    r"\lambda z \text{ if } z > 0 \text{ else } \lambda \alpha z e^z",
    parameters={"scale": Parameter(1.07862, 0.0, 1e6), "alpha": Parameter(2.90427, 0.0, 1e6)},
    extended=True,
    range=lambda scale, alpha: (-scale * alpha / math.e, INFINITY if scale else 0.0),
    zero_centered=lambda scale, alpha: scale == 0,
    monotonic=lambda scale, alpha: scale * alpha == 0,
    smoothness=lambda scale, alpha: 0 if scale * (alpha - 1) else 1,
    saturates=lambda scale, alpha: "low" if scale else "both",
    kinks=lambda scale, alpha: (0.0,) if scale * (alpha - 1) else (),
    steepest=lambda scale, alpha: (scale * max(1.0, alpha), 1.0 if alpha <= 1 else 0.0),
    reference="Zhang & Li 2018",
)
def serlu(z, scale, alpha):
    """Scaled exponentially regularized linear unit (SERLU): self-normalizing, with a bump below 0."""
    low = z <= 0
    part, rise, _ = _bump(z, constant(1, z))
    shape = where(low, alpha * part, z)
    slope = where(low, alpha * rise, constant(1, z))
    return scaled(scale, shape), scale * slope, shape, scale * part


@pointwise(
    r"z \text{ if } z > 0 \text{ else } z e^z",
    extended=True,
    range=(-1 / math.e, INFINITY),
    smoothness=1,
    saturates="low",
    steepest=(1.0, 1.0),
    reference="Ying et al. 2019",
)
def reu(z):
    """Rectified exponential unit (REU)."""
    part, rise, _ = _bump(z, constant(1, z))
    return where(z <= 0, part, z), where(z <= 0, rise, constant(1, z))


def _preu_range(alpha: float, beta: float) -> tuple[float, float]:
    bump = 0.0 if alpha == 0 else -alpha / (beta * math.e) if beta > 0 else -alpha * INFINITY
    return min(bump, alpha * INFINITY if alpha < 0 else 0.0), max(bump, alpha * INFINITY if alpha > 0 else 0.0)


@pointwise(
    r"\alpha z \text{ if } z > 0 \text{ else } \alpha z e^{\beta z}",
    parameters={"alpha": learned(1.0), "beta": learned(1.0)},
    extended=True,
    range=_preu_range,
    zero_centered=lambda alpha, beta: alpha * beta == 0,
    monotonic=lambda alpha, beta: alpha == 0 or alpha > 0 >= beta,
    smoothness=lambda alpha, beta: 1 if alpha * beta else INFINITY,
    saturates=lambda alpha, beta: "both" if alpha == 0 else "low" if beta > 0 else "none",
    steepest=lambda alpha, beta: (abs(alpha), 1.0) if alpha == 0 or beta >= 0 else (INFINITY, -INFINITY),
    reference="Ying et al. 2019",
)
def preu(z, alpha, beta):
    """Parametric rectified exponential unit (PREU); grows without bound below 0 where beta is below 0."""
    low = z <= 0
    part, rise, square = _bump(z, beta)
    base = where(low, part, z)
    slope = scaled(alpha, where(low, rise, constant(1, z)))
    return scaled(alpha, base), slope, base, where(low, scaled(alpha, square), where(z == z, 0, z))


def _diff_elu_lowest(b: float) -> float:
    """The lowest value for a = 1, where (1 + z) e^z = b^2 e^(bz): Newton's method, from the right of the root."""
    z = 0.0
    for _ in range(60):
        excess = (1 + z) * math.exp(z) - b * b * math.exp(b * z)
        z -= excess / ((2 + z) * math.exp(z) - b**3 * math.exp(b * z))
    return z * math.exp(z) - b * math.exp(b * z)


@pointwise(
    r"z \text{ if } z \ge 0 \text{ else } a (z e^z - b e^{b z})",
    parameters={"a": Parameter(0.3, 0.0, 1e6), "b": Parameter(0.1, 0.01, 0.5)},
    extended=True,
    range=lambda a, b: (a * _diff_elu_lowest(b), INFINITY),
    monotonic=lambda a, b: a == 0,
    smoothness=lambda a, b: -1 if a else 0,
    saturates="low",
    kinks=(0.0,),
    steepest=lambda a, b: max((1.0, 1.0), (a * (1 - b * b), 0.0)),
    reference="Hu et al., in Kunc & Kléma 2024, 3.7.3",
)
def diff_elu(z, a, b):
    """Difference exponential linear unit (DiffELU). It jumps to 0 at 0, where its slope is the right one."""
    low, nothing = z < 0, where(z == z, 0, z)
    under = where(low, z, nothing)
    e, f = exp(under), exp(b * under)
    bump, decay = times(under, e), times(b * under, f)
    shape = where(low, bump - b * f, z)
    slope = where(low, a * ((e + bump) - b * b * f), constant(1, z))
    return where(low, a * shape, z), slope, where(low, shape, nothing), where(low, -a * (f + decay), nothing)


_SILU_LOWEST = -0.2784645427610738


def _delu_range(n: float) -> tuple[float, float]:
    rise = n + 0.5
    if rise >= 0:
        return _SILU_LOWEST, INFINITY if rise > 0 else 1.0
    # Above 0 it peaks where e^-z = -rise, if it rises at all.
    return -INFINITY, 0.0 if rise <= -1 else 1 + rise - rise * math.log(-rise)


@pointwise(
    r"(n + \tfrac12) z + 1 - e^{-z} \text{ if } z > 0 \text{ else } z \sigma(z)",
    parameters={"n": learned(0.0)},
    extended=True,
    range=_delu_range,
    monotonic=False,
    smoothness=lambda n: 1 if n == -1 else 0,
    saturates=lambda n: "low" if n + 0.5 else "both",
    kinks=lambda n: () if n == -1 else (0.0,),
    steepest=lambda n: max((abs(n + 1.5), 0.0), (abs(n + 0.5), INFINITY), (0.5, 0.0)),
    reference="Pishchik 2023",
)
def delu(z, n):
    """DELU: SiLU below 0, a line of learned slope with a rounded foot above; the slope at 0 is SiLU's, 1/2."""
    low, nothing = z <= 0, where(z == z, 0, z)
    s, _, ds = logistic(where(low, z, nothing))
    rise = n + 0.5
    over = where(low, nothing, z)
    e, e_minus_1 = exp_expm1(-over)
    value = where(low, times(z, s), scaled(rise, over) - e_minus_1)
    return value, where(low, s + times(z, ds), rise + e), over


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha \operatorname{erf}(z)",
    parameters={"alpha": learned(1.0)},
    extended=True,
    range=lambda alpha: (min(-alpha, 0.0), INFINITY),
    monotonic=lambda alpha: alpha >= 0,
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=lambda alpha: (
        max(1.0, abs(alpha) * TWO_OVER_SQRT_PI),
        1.0 if abs(alpha) * TWO_OVER_SQRT_PI <= 1 else 0.0,
    ),
    reference="Rajanand & Singh 2024",
)
def erf_relu(z, alpha):
    """ErfReLU: the error function below 0."""
    low, nothing = z <= 0, where(z == z, 0, z)
    under = where(low, z, nothing)
    bend = erf(under)
    slope = where(low, alpha * TWO_OVER_SQRT_PI * exp(-under * under), constant(1, z))
    return where(low, alpha * bend, z), slope, bend


@pointwise(
    r"a \max(0, z) + b \operatorname{elu}(z) - (1 - a - b) \operatorname{elu}(-z)",
    parameters={"a": learned(0.4), "b": learned(0.3)},
    extended=True,
    range=lambda a, b: (
        -INFINITY if a + b < 1 else lowest(p_e2_relu, -50, 50, a=a, b=b),
        INFINITY if a + b > 0 else highest(p_e2_relu, -50, 50, a=a, b=b),
    ),
    zero_centered=lambda a, b: a == 0 and b == 0.5,
    monotonic=lambda a, b: a <= 1 and a + b >= 0 and a + b <= 1,
    smoothness=lambda a, b: 0 if a else 1,
    saturates=lambda a, b: "high" if a + b == 0 else "low" if a + b == 1 else "none",
    kinks=lambda a, b: (0.0,) if a else (),
    steepest=lambda a, b: max((1.0, 0.0), (abs(1 - a), 0.0), (abs(a + b), INFINITY), (abs(1 - a - b), -INFINITY)),
    reference="Jie et al. 2021",
)
def p_e2_relu(z, a, b):
    """P-E2-ReLU: a learned mixture of a ReLU and two ELUs; the slope at 0 is 1 - a."""
    high, size = z > 0, abs(z)
    e, e_minus_1 = exp_expm1(-size)
    rest = exp_rest(-size)
    others = 1 - a - b
    value = where(high, scaled(a + b, z) - others * e_minus_1, b * e_minus_1 + scaled(others, z))
    return value, where(high, (a + b) + others * e, b * e + others), where(high, rest, -z), rest


@pointwise(
    r"a z + (1 - a) (\operatorname{elu}(z) - \operatorname{elu}(-z))",
    parameters={"a": learned(0.5)},
    extended=True,
    zero_centered=True,
    monotonic=lambda a: a <= 2,
    smoothness=lambda a: INFINITY if a == 1 else 2,
    steepest=lambda a: max((1.0, INFINITY), (abs(2 - a), 0.0)),
    reference="Jie et al. 2021",
)
def p_e2_id(z, a):
    """P-E2-Id: a learned mixture of the identity and two ELUs, z + (1 - a) (1 - e^-z) above 0 and odd."""
    e, e_minus_1 = exp_expm1(-abs(z))
    bend = copysign(e_minus_1, z)
    return z + (1 - a) * bend, 1 + (1 - a) * e, -bend

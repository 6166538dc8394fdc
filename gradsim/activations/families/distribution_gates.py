"""Distribution functions as gates: normal, Cauchy, Laplace, Gumbel and algebraic ones. The relatives of GELU."""

from __future__ import annotations

from gradsim.activations.families.extremes import lowest, steepest
from gradsim.activations.families.gates import (
    INV_SQRT_2PI,
    SQRT_HALF,
    TWO_OVER_SQRT_PI,
    direction,
    erf_slope,
    far_left,
    gated,
    half_exponential,
    normal,
    times,
)
from gradsim.activations.families.pieces import learned
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import atan, erf, exp, exp_expm1, log1p, minimum, sech_squared, softplus, tanh, where

INF = float("inf")
INV_PI, HALF_PI = 0.3183098861837907, 1.5707963267948966


@formula
def _cauchy_tail(w, square):
    """atan(w) - w/(1 + w^2), by its series for w up to 1/8."""
    q = 18 / 19 - square * (20 / 21)
    q = 14 / 15 - square * (16 / 17 - square * q)
    q = 10 / 11 - square * (12 / 13 - square * q)
    q = 6 / 7 - square * (8 / 9 - square * q)
    return w * square * (2 / 3 - square * (4 / 5 - square * q))


@pointwise(
    r"z \left(\tfrac12 + \tfrac1\pi \arctan z\right)",
    range=(-INV_PI, INF),
    monotonic=True,
    saturates="low",
    steepest=(1.0, INF),
    reference="Kunc & Kléma 2024, section 3.3.3 (Cauchy linear unit)",
    extended=True,
)
def calu(z):
    """Cauchy linear unit. With w = 1/abs(z) its left is -atan(w)/(pi w), of slope (atan(w) - w/(1 + w^2))/pi."""
    size = abs(z)
    far = size > 1
    w = where(far, 1 / where(far, size, 1), size)
    angle, square = atan(w), w * w
    tail = where(square < 0.015625, _cauchy_tail(w, square), angle - w / (1 + square))
    tail = where(far, tail, HALF_PI - angle - w / (1 + square)) * INV_PI
    nonzero = where(w == 0, 1, w)
    low = where(far, where(w == 0, 1, angle / nonzero), w * (HALF_PI - angle)) * INV_PI
    return where(z > 0, z - low, -low), where(z > 0, 1 - tail, tail)


@pointwise(
    r"z F(z),\ F(z) = 1 - \tfrac12 e^{-z} \text{ if } z \ge 0 \text{ else } \tfrac12 e^z",
    range=(-0.18393972058572117, INF),
    smoothness=2,
    saturates="low",
    steepest=(1.0676676416183064, 2.0),
    reference="Kunc & Kléma 2024, section 3.3.4 (Laplace linear unit)",
    extended=True,
)
def lalu(z):
    """Laplace linear unit: the gate is the distribution function of the Laplace distribution."""
    size = abs(z)
    h, _, _ = half_exponential(z)
    low, low_slope = times(size, h) * (0.5 * h), times(1 - size, h) * (0.5 * h)
    return where(z > 0, z - low, -low), where(z > 0, 1 - low_slope, low_slope)


@pointwise(
    r"a z \operatorname{erf}(z / \sqrt 2)",
    parameters={"a": Parameter(1.0, 1e-3, 1e3)},
    range=(0.0, INF),
    steepest=lambda a: (1.2578082903703096 * a, 1.4142135623730951),
    reference="Yu & Su 2019, Symmetrical Gaussian error linear units",
    extended=True,
)
def sgelu(z, a):
    """Symmetrical GELU: an even function."""
    y = z * SQRT_HALF
    value, slope = gated(z, erf(y), erf_slope(y) * SQRT_HALF)
    return a * value, a * slope, value


@pointwise(
    r"z \tanh(z\,\Phi(z))",
    range=(0.0, INF),
    saturates="low",
    steepest=(1.2983066733058115, 1.2018443521278413),
    reference="Naveen, Phish: a novel hyper-optimizable activation function",
    extended=True,
)
def phish(z):
    """Phish: z times the hyperbolic tangent of GELU."""
    cumulative, density = normal(z)
    inner, inner_slope = gated(z, cumulative, density)
    value, slope = gated(z, tanh(inner), sech_squared(inner) * inner_slope)
    # Far left it is z^2 Phi(z), whose factor Phi is subnormal before the product is: Mills' ratio by its series.
    far = z < -36
    x = where(far, where(z < -60, -60, z), -36)
    w = 1 / (x * x)
    mills = 1 - w * (1 - 3 * w * (1 - 5 * w * (1 - 7 * w * (1 - 9 * w * (1 - 11 * w * (1 - 13 * w))))))
    root = exp(-0.25 * x * x)
    tail = root * INV_SQRT_2PI
    return where(far, -x * mills * root * tail, value), where(far, (x * x - 2 * mills) * root * tail, slope)


@pointwise(
    r"z \operatorname{erf}(\ln(1 + e^z))",
    range=(-0.3484374587596064, INF),
    saturates="low",
    steepest=(1.086125444150997, 1.0960460404526292),
    reference="Nag & Bhattacharyya 2021, SERF",
    extended=True,
)
def serf(z):
    """SERF, log-softplus error activation function."""
    _, w, r = half_exponential(z)
    plus = softplus(z)
    value, slope = gated(z, erf(plus), erf_slope(plus) * (w * w * r))
    return far_left(z, 1, w, TWO_OVER_SQRT_PI, value, slope)


@pointwise(
    r"z \operatorname{erf}(a e^{b z})",
    parameters={
        "a": learned(0.75),
        "b": learned(0.75),
    },
    range=lambda a, b: (lowest(erfact, -20 / b, 0, a=a, b=b), INF) if min(a, b) > 0 else (-INF, INF),
    saturates="low",
    steepest=lambda a, b: steepest(erfact, -20 / abs(b or 1), 20 / abs(b or 1), a=a, b=b),
    reference="Biswas, Kumar, Banerjee & Pandey 2021, ErfAct and Pserf",
    extended=True,
)
def erfact(z, a, b):
    """ErfAct, with both parameters learned from 0.75 on."""
    root = exp(0.5 * times(z, b))
    u = times(root * root, a)
    bell = exp(-0.5 * u * u)
    rise = times(root * root, bell) * bell * TWO_OVER_SQRT_PI
    value, slope = gated(z, erf(u), a * b * rise)
    value, slope = far_left(z, b, root, a * TWO_OVER_SQRT_PI, value, slope)
    weighted = times(times(z, root), bell)
    by_a = times(root, bell) * weighted * TWO_OVER_SQRT_PI
    return value, slope, by_a, times(weighted * weighted, a) * TWO_OVER_SQRT_PI


@pointwise(
    r"z \operatorname{erf}(\gamma \ln(1 + e^{\delta z}))",
    parameters={
        "gamma": learned(1.25),
        "delta": learned(0.85),
    },
    range=lambda gamma, delta: (
        (lowest(pserf, -20 / delta, 0, gamma=gamma, delta=delta), INF) if min(gamma, delta) > 0 else (-INF, INF)
    ),
    saturates="low",
    steepest=lambda gamma, delta: steepest(
        pserf, -20 / abs(delta or 1), 20 / abs(delta or 1), gamma=gamma, delta=delta
    ),
    reference="Biswas, Kumar, Banerjee & Pandey 2021, ErfAct and Pserf",
    extended=True,
)
def pserf(z, gamma, delta):
    """Parametric SERF, with its parameters learned from 1.25 and 0.85 on."""
    y = times(z, delta)
    _, w, r = half_exponential(y)
    plus = softplus(y)
    u = times(plus, gamma)
    bell = exp(-0.5 * u * u)
    rise = bell * bell * TWO_OVER_SQRT_PI
    value, slope = gated(z, erf(u), gamma * delta * rise * (w * w * r))
    value, slope = far_left(z, delta, w, gamma * TWO_OVER_SQRT_PI, value, slope)
    by_gamma = times(times(z, bell), times(plus, bell)) * TWO_OVER_SQRT_PI
    by_gamma = where(w < 1e-130, times(z, w) * w * TWO_OVER_SQRT_PI, by_gamma)
    by_delta = times(times(z, w), bell)
    return value, slope, by_gamma, times(by_delta * by_delta * r, gamma) * TWO_OVER_SQRT_PI


@pointwise(
    r"z \ln(2 - e^{-e^z})",
    range=(-0.2781594608963869, INF),
    saturates="low",
    steepest=(0.7527045710856695, 1.0417222420439951),
    reference="Kaytan, Aydilek & Yeroğlu (Gish in Kunc & Kléma 2024, section 3.3.10)",
    extended=True,
)
def gish(z):
    """Gish."""
    root = exp(0.5 * z)
    u = root * root
    e, e_minus_1 = exp_expm1(-u)
    value, slope = gated(z, log1p(-e_minus_1), times(u, e) / (1 - e_minus_1))
    return far_left(z, 1, root, 1, value, slope)


@pointwise(
    r"z\,(1 - e^{-e^z})",
    range=(-0.3121825165165163, INF),
    saturates="low",
    steepest=(1.1148783115486786, 1.0600903198932102),
    reference="Kunc & Kléma 2024, section 3.3.12 (LogLogish)",
    extended=True,
)
def loglogish(z):
    """LogLogish: the gate is the complementary log-log function."""
    root = exp(0.5 * z)
    u = root * root
    e, e_minus_1 = exp_expm1(-u)
    value, slope = gated(z, -e_minus_1, times(u, e))
    return far_left(z, 1, root, 1, value, slope)


@pointwise(
    r"z\,e^{-e^{-z}}",
    range=(-0.0972601312276394, INF),
    saturates="low",
    steepest=(1.1133972752756767, 2.2386458346062827),
    reference="Kunc & Kléma 2024, section 3.3.13 (ExpExpish)",
    extended=True,
)
def expexpish(z):
    """ExpExpish: the gate is Gumbel's distribution function."""
    q = exp(-z)
    root = exp(-0.5 * q)
    return times(z, root) * root, times(1 + times(z, q), root) * root


@pointwise(
    r"\frac{z}{1 - z e^{-(z + e^z)}}",
    range=(-0.3771585683961292, INF),
    saturates="low",
    steepest=(1.082834600676194, 0.24794256348037324),
    reference="Kunc & Kléma 2024, section 3.3.5 (CoLU, arXiv 2112.12078)",
    extended=True,
)
def colu(z):
    """Collapsing linear unit. Below 0 the fraction is expanded by e^(z + e^z), which is small there."""
    left = z < 0
    low, high = minimum(z, 0), where(left, 0, minimum(z, 50))
    e = exp(where(left, z, high))
    q = exp(where(left, z + e, -(high + e)))
    r = 1 / (1 - high * q)
    s = 1 / (q - low)
    slope = where(left, times((q - low * low * (1 + e)) * s * s, q), (1 - high * high * q * (1 + e)) * r * r)
    return where(left, times(low * s, q), z * r), slope


@pointwise(
    r"z \arctan z",
    range=(0.0, INF),
    steepest=(1.5707963267948966, INF),
    reference="Tümer Sivri, Pervan Akman & Berkol 2022, arctangent activation function and its variations",
    extended=True,
)
def self_arctan(z):
    """Self arctan: an even function, pi/2 abs(z) - 1 far off."""
    return gated(z, atan(z), 1 / (1 + z * z))


@pointwise(
    r"\frac{z}{2} \left(1 + \frac{a z}{\sqrt{1 + z^2}}\right)",
    parameters={"a": Parameter(0.5, 0.0, 1.0)},
    range=lambda a: (-INF, INF) if a < 1 else (lowest(swim, -10, 0, a=a), INF),
    monotonic=lambda a: a <= 0.9185586535436917,
    saturates=lambda a: "none" if a < 1 else "low",
    steepest=lambda a: (0.5 + 0.5 * a * 1.0886621079036347, 1.4142135623730951),
    reference="Abdool & Dear 2023 (Swim in Kunc & Kléma 2024, section 4.4.14)",
    extended=True,
)
def swim(z, a):
    """Swim: Swish without an exponential, linear with two slopes far off; a = 1 is the power function linear unit."""
    y, rest, size_rest, _, rise = direction(z)
    right = z > 0
    end = where(right, 1 + a, 1 - a)
    bend = a * (rise - rest)
    value = times(0.5 * z, end) - 0.5 * a * size_rest
    return value, 0.5 * (end + where(right, bend, -bend)), 0.5 * abs(z) * y

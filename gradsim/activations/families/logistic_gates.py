"""Functions of the logistic function as gates: z, or something near z, times one that is made of sigma."""

from __future__ import annotations

from gradsim.activations.families.extremes import lowest, steepest
from gradsim.activations.families.gates import (
    far_left,
    gated,
    half_exponential,
    logistic,
    logistic_states,
    sech,
    silu_and_slope,
    times,
    times_logistic,
)
from gradsim.activations.families.pieces import learned
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import atan, exp, log1p, sech_squared, sin_cos, softplus, tanh, where

INF, PI, HALF_PI = float("inf"), 3.141592653589793, 1.5707963267948966


@pointwise(
    r"z\,\sigma(z)\,(\sigma(z) + \sigma(z - a) + \sigma(z - b))",
    parameters={"a": Parameter(20.0, 0.0, 45.0), "b": Parameter(40.0, 0.0, 45.0)},
    range=lambda a, b: (lowest(ts_swish, -10, 2, a=a, b=b), INF),
    saturates="low",
    steepest=lambda a, b: steepest(ts_swish, -10, max(a, b) + 10, a=a, b=b),
    reference="Koçak & Üstündağ Şiray 2021, New activation functions for single layer feedforward neural network",
    extended=True,
)
def ts_swish(z, a, b):
    """Triple-state swish: its slope rises by 1 at 0, a and b."""
    _, states, d, d_a, d_b = logistic_states(z, a, b)
    value, slope = silu_and_slope(z)
    by_a, by_b = -times(value, d_a), -times(value, d_b)
    return times(value, states), slope * states + times(value, d + d_a + d_b), by_a, by_b


@pointwise(
    r"z\,\sigma(e^{-z})",
    monotonic=True,
    steepest=(1.10162653178143, -1.1188672572801655),
    reference="Koçak & Üstündağ Şiray 2021, New activation functions for single layer feedforward neural network",
    extended=True,
)
def generalized_swish(z):
    """Generalized swish: slope 1 far to the left, 1/2 far to the right."""
    q = exp(-z)
    s, _, d = logistic(q)
    return gated(z, s, -times(q, d))


@pointwise(
    r"\frac{z\,e^z}{e^z + 2}",
    range=(-0.157184951483814, INF),
    saturates="low",
    steepest=(1.163664493115648, 2.6546579724625922),
    reference="Chai et al. (EANAF in Kunc & Kléma 2024, section 3.3.33)",
    extended=True,
)
def eanaf(z):
    """Efficient asymmetric nonlinear activation function, z tanh(softplus(z)/2)."""
    h, w, _ = half_exponential(z)
    left, t = z < 0, h * h
    # The gate is w^2 g, and 1 - gate is g times 2 or 2 t.
    g = 1 / where(left, 2 + t, 1 + 2 * t)
    return times(z, w) * (w * g), times(1 + times(z, g * where(left, 2, 2 * t)), w) * (w * g)


@pointwise(
    r"z \sin(\tfrac{\pi}{2} \sigma(z))",
    range=(-0.4291776320505466, INF),
    saturates="low",
    steepest=(1.0588889474338754, 1.4318899243270806),
    reference="Kunc & Kléma 2024, section 3.3.34 (SinSig)",
    extended=True,
)
def sinsig(z):
    """SinSig. The sine of the smaller of sigma(z) and sigma(-z) keeps both tails."""
    h, w, r = half_exponential(z)
    small = h * h * r
    sine, cosine = sin_cos(small * HALF_PI)
    left = z < 0
    rate = where(left, cosine, sine) * (small * r * HALF_PI)
    value, slope = gated(z, where(left, sine, cosine), rate)
    return far_left(z, 1, w, HALF_PI, value, slope)


@pointwise(
    r"z \ln(1 + \sigma(z))",
    range=(-0.2527688167894404, INF),
    saturates="low",
    steepest=(0.7463111804127397, 2.316758514995363),
    reference="Zhu et al. (Logish in Kunc & Kléma 2024, section 3.3.11)",
    extended=True,
)
def logish(z):
    """Logish."""
    h, w, r = half_exponential(z)
    s = w * w * r
    value, slope = gated(z, log1p(s), h * r * h * r / (1 + s))
    return far_left(z, 1, w, 1, value, slope)


@pointwise(
    r"a z \ln(1 + \sigma(b z))",
    parameters={"a": Parameter(1.0, 1e-3, 1e3), "b": Parameter(10.0, 1e-3, 1e3)},
    aliases=("plogish",),
    range=lambda a, b: (-0.2527688167894404 * a / b, INF),
    saturates="low",
    steepest=lambda a, b: (0.7463111804127397 * a, 2.316758514995363 / b),
    reference="Zhu et al. (parametric Logish in Kunc & Kléma 2024, section 3.3.15)",
    extended=True,
)
def parametric_logish(z, a, b):
    """Logish with a scale and a sharpness."""
    h, w, r = half_exponential(b * z)
    s = w * w * r
    scale, by_b = 1 / (1 + s), times(z, h * r)
    value, slope = gated(z, log1p(s), b * (h * r) * (h * r) * scale)
    value, slope = far_left(z, b, w, 1, value, slope)
    return a * value, a * slope, value, a * by_b * by_b * scale


@pointwise(
    r"z \ln(1 + a\,\sigma(b z))",
    parameters={
        "a": learned(1.0),
        "b": learned(1.0),
    },
    aliases=("lau",),
    range=lambda a, b: (lowest(logmoid, -20 / b, 0, a=a, b=b), INF) if min(a, b) > 0 else (-INF, INF),
    saturates="low",
    steepest=lambda a, b: steepest(logmoid, -20 / abs(b or 1), 20 / abs(b or 1), a=a, b=b),
    reference="Kunc & Kléma 2024, section 4.16.5 (logmoid activation unit)",
    extended=True,
)
def logmoid(z, a, b):
    """Logmoid activation unit, with both parameters learned from 1 on; defined where 1 + a sigma(b z) > 0."""
    h, w, r = half_exponential(times(z, b))
    s = w * w * r
    scale, by_b = 1 / (1 + a * s), times(z, h * r)
    value, slope = gated(z, log1p(a * s), a * b * (h * r) * (h * r) * scale)
    value, slope = far_left(z, b, w, a, value, slope)
    return value, slope, times(z, w) * (w * r * scale), times(by_b * by_b * scale, a)


@pointwise(
    r"a z \tanh(\ln(1 + \sigma(b z)))",
    parameters={"a": Parameter(1.0, 1e-3, 1e3), "b": Parameter(1.0, 1e-3, 1e3)},
    range=lambda a, b: (-0.2499936636601295 * a / b, INF),
    saturates="low",
    steepest=lambda a, b: (0.6368842228812263 * a, 2.2154214540088013 / b),
    reference="Wang, Ren & Wang 2022, Smish",
    extended=True,
)
def smish(z, a, b):
    """Smish; tanh(ln y) is (y^2 - 1)/(y^2 + 1)."""
    h, w, r = half_exponential(b * z)
    s = w * w * r
    p = s * (2 + s)
    share = 1 / (2 + p)
    scale, by_b = (1 + s) * 4 * share * share, times(z, h * r)
    value, slope = gated(z, p * share, b * (h * r) * (h * r) * scale)
    value, slope = far_left(z, b, w, 1, value, slope)
    return a * value, a * slope, value, a * by_b * by_b * scale


@pointwise(
    r"z \tanh(\sigma(z))",
    range=(-0.27424287816686216, INF),
    saturates="low",
    steepest=(0.8126193925054332, 2.160425975404418),
    reference="Mercioni, Tat & Holban (tangent-sigmoid ReLU in Kunc & Kléma 2024, section 3.3.18)",
    extended=True,
)
def tsrelu(z):
    """Tangent-sigmoid ReLU."""
    h, w, r = half_exponential(z)
    s = w * w * r
    value, slope = gated(z, tanh(s), sech_squared(s) * (h * r) * (h * r))
    return far_left(z, 1, w, 1, value, slope)


@pointwise(
    r"z \arctan(k \pi\,\sigma(z))",
    parameters={"k": Parameter(0.625, 1e-3, 1e3)},
    range=lambda k: (lowest(pats, -20, 0, k=k), INF),
    saturates="low",
    steepest=lambda k: steepest(pats, -20, 20, k=k),
    reference="Kunc & Kléma 2024, section 4.4.9 (PATS)",
    extended=True,
)
def pats(z, k):
    """PATS with its parameter fixed at 5/8, which its authors found best."""
    h, w, r = half_exponential(z)
    u = k * w * w * r * PI
    scale = PI / (1 + u * u)
    value, slope = gated(z, atan(u), k * (h * r) * (h * r) * scale)
    value, slope = far_left(z, 1, w, k * PI, value, slope)
    return value, slope, times(z, w) * (w * r * scale)


@pointwise(
    r"z\,(1 + e^{-\beta z})^{-\alpha}",
    parameters={"alpha": Parameter(1.5, 1e-2, 1e2), "beta": Parameter(2.0, 1e-2, 1e2)},
    range=lambda alpha, beta: (lowest(aria2, -40 / (alpha * beta), 0, alpha=alpha, beta=beta), INF),
    saturates="low",
    steepest=lambda alpha, beta: steepest(aria2, 0, (20 + alpha) / beta, alpha=alpha, beta=beta),
    reference="ARiA: utilizing Richard's curve for controlling the non-monotonicity, arXiv 1805.08878",
    extended=True,
)
def aria2(z, alpha, beta):
    """ARiA-2: z times Richards' curve with two of its parameters."""
    y = beta * z
    rest = softplus(-y)
    _, w, r = half_exponential(-y)
    # The gate is root^2, and sigma(-y) is w^2 r.
    root = exp(-0.5 * alpha * rest)
    weighted = times(z, root)
    by_beta = times(z, root * w)
    slope = times(1 + alpha * beta * times(times(z, w), w) * r, root) * root
    return weighted * root, slope, -times(weighted, times(rest, root)), alpha * by_beta * by_beta * r


@pointwise(
    r"(z + \operatorname{sech} z)\,\sigma(z)",
    range=(-0.20974290156872910, INF),
    saturates="low",
    steepest=(1.0174118760629347, 4.064383554720999),
    reference="Közkurt, Kılıçarslan, Baş & Elen 2023, αSechSig and αTanhSig",
    extended=True,
)
def sechsig(z):
    """SechSig."""
    bell = sech(z)
    return times_logistic(z, z + bell, 1 - bell * tanh(z))


@pointwise(
    r"(z + \alpha \operatorname{sech}(z + \alpha))\,\sigma(z)",
    parameters={"alpha": Parameter(1.0, -1e2, 1e2)},
    range=lambda alpha: (lowest(alpha_sechsig, -20 - abs(alpha), 20 + abs(alpha), alpha=alpha), INF),
    saturates="low",
    steepest=lambda alpha: steepest(alpha_sechsig, -20 - abs(alpha), 20 + abs(alpha), alpha=alpha),
    reference="Közkurt, Kılıçarslan, Baş & Elen 2023, αSechSig and αTanhSig",
    extended=True,
)
def alpha_sechsig(z, alpha):
    """SechSig with a parameter, for which the survey gives no default."""
    y = z + alpha
    t = exp(-abs(y))
    r = 1 / (1 + t * t)
    bell, bend = 2 * t * r, tanh(y)
    # 1 - alpha tanh y, where it may tend to 0
    sign = where(y < 0, -1, 1) * alpha
    rest = (1 - sign) + sign * 2 * t * t * r
    s, _, _ = logistic(z)
    value, slope = times_logistic(z, z + alpha * bell, 1 - alpha * bell * bend)
    return value, slope, s * bell * rest


@pointwise(
    r"(z + \tanh z)\,\sigma(z)",
    range=(-0.4749160673582663, INF),
    saturates="low",
    steepest=(1.3898424958304677, 0.855320379108989),
    reference="Közkurt, Kılıçarslan, Baş & Elen 2023, αSechSig and αTanhSig",
    extended=True,
)
def tanhsig(z):
    """TanhSig."""
    return times_logistic(z, z + tanh(z), 1 + sech_squared(z))


@pointwise(
    r"(z + \alpha \tanh(z + \alpha))\,\sigma(z)",
    parameters={"alpha": Parameter(1.0, -1e2, 1e2)},
    range=lambda alpha: (lowest(alpha_tanhsig, -20 - abs(alpha), 20 + abs(alpha), alpha=alpha), INF),
    saturates="low",
    steepest=lambda alpha: steepest(alpha_tanhsig, -20 - abs(alpha), 20 + abs(alpha), alpha=alpha),
    reference="Közkurt, Kılıçarslan, Baş & Elen 2023, αSechSig and αTanhSig",
    extended=True,
)
def alpha_tanhsig(z, alpha):
    """TanhSig with a parameter, for which the survey gives no default."""
    y = z + alpha
    s, _, _ = logistic(z)
    bend, rise = tanh(y), sech_squared(y)
    value, slope = times_logistic(z, z + alpha * bend, 1 + alpha * rise)
    return value, slope, s * (bend + alpha * rise)

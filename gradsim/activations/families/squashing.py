"""Bounded S-shapes made of exponentials: the relatives of sigmoid and tanh, scaled, clipped, summed and softened."""

from __future__ import annotations

import math

from gradsim.activations.families.extremes import steepest
from gradsim.activations.families.gates import half_exponential, logistic, logistic_states, times
from gradsim.activations.families.pieces import constant, learned, sinc_slope
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import exp, expm1, minimum, sech_squared, sin_cos, softplus, tanh, where

INF = float("inf")


@pointwise(
    r"4\,\sigma(z) - 2",
    range=(-2.0, 2.0),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Xu, Huang & Li 2016, Revise saturated activation functions",
    extended=True,
)
def scaled_sigmoid(z):
    """Scaled sigmoid, 2 tanh(z/2): as steep as ReLU at 0."""
    y = 0.5 * z
    return 2 * tanh(y), sech_squared(y)


@pointwise(
    r"\sigma(a (z - b))",
    parameters={"a": Parameter(0.02, 1e-6, 1e6), "b": Parameter(600.0, -1e6, 1e6)},
    aliases=("sss",),
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=lambda a, b: (0.25 * a, b),
    reference="Arai & Imamura (shifted and scaled sigmoid in Kunc & Kléma 2024, section 3.2.1)",
    extended=True,
)
def shifted_scaled_sigmoid(z, a, b):
    """Shifted and scaled sigmoid."""
    x = z - b
    s, _, d = logistic(a * x)
    h, _, r = half_exponential(a * x)
    return s, a * d, times(x, h * r) * (h * r), -a * d


@pointwise(
    r"a\,\sigma(b z) - c",
    parameters={"a": Parameter(1.0, 1e-3, 1e3), "b": Parameter(1.0, 1e-3, 1e3), "c": Parameter(0.0, -1e3, 1e3)},
    aliases=("vsf",),
    range=lambda a, b, c: (-c, a - c),
    zero_centered=lambda a, b, c: c == a / 2,
    monotonic=True,
    saturates="both",
    steepest=lambda a, b, c: (0.25 * a * b, 0.0),
    reference="Han & Moraga 1995, The influence of the sigmoid function parameters on the speed of backpropagation",
    extended=True,
)
def variant_sigmoid(z, a, b, c):
    """Variant sigmoid function; the logistic function by default."""
    y = b * z
    s, _, d = logistic(y)
    h, _, r = half_exponential(y)
    # Around a root at 0, where c = a/2, the digits are those of tanh.
    value = where(abs(y) < 1, 0.5 * a * tanh(0.5 * y) + (0.5 * a - c), a * s - c)
    return value, a * b * d, s, a * times(z, h * r) * (h * r), constant(-1, z)


@pointwise(
    r"\sigma(z)\,(\sigma(z) + \sigma(z - a) + \sigma(z - b))",
    parameters={"a": Parameter(20.0, 0.0, 45.0), "b": Parameter(40.0, 0.0, 45.0)},
    aliases=("ts_sigmoid",),
    range=(0.0, 3.0),
    monotonic=True,
    saturates="both",
    steepest=lambda a, b: steepest(triple_state_sigmoid, -10, max(a, b) + 10, a=a, b=b),
    reference="Koçak & Üstündağ Şiray 2021, New activation functions for single layer feedforward neural network",
    extended=True,
)
def triple_state_sigmoid(z, a, b):
    """Triple-state sigmoid, three steps of 1, with the first factor as the survey prints it (others leave it out)."""
    s, states, d, d_a, d_b = logistic_states(z, a, b)
    return s * states, d * states + s * (d + d_a + d_b), -s * d_a, -s * d_b


@pointwise(
    r"\sigma(z) \text{ if } |z| \le b \text{ else } \sigma(\pm b) + a (z \mp b)",
    parameters={"a": Parameter(0.2, 0.0, 1e3), "b": Parameter(2.0, 1e-3, 1e2)},
    aliases=("isigmoid",),
    range=lambda a, b: (-INF, INF) if a else (1 / (1 + math.exp(b)), 1 / (1 + math.exp(-b))),
    monotonic=True,
    smoothness=0,
    saturates=lambda a, b: "none" if a else "both",
    kinks=lambda a, b: (-b, b),
    steepest=lambda a, b: (max(a, 0.25), 0.0 if a <= 0.25 else 2 * b),
    reference="Qin, Wang & Zou (improved logistic sigmoid in Kunc & Kléma 2024, section 3.2.7)",
    extended=True,
)
def improved_logistic_sigmoid(z, a, b):
    """Improved logistic sigmoid, straight beyond b. The slopes at -b and b are those of the left, a and sigma'(b)."""
    low, high = z <= -b, z > b
    at = where(low, -b, where(high, b, z))
    s, _, d = logistic(at)
    beyond = z - at
    outside = low | high
    by_b = where(low, a - d, where(high, d - a, constant(0, z)))
    return times(beyond, a) + s, where(outside, a, d), beyond, by_b


@pointwise(
    r"\sigma(z) + a z",
    parameters={"a": Parameter(0.1, 0.0, 1e3)},
    range=lambda a: (-INF, INF) if a else (0.0, 1.0),
    monotonic=True,
    saturates=lambda a: "none" if a else "both",
    steepest=lambda a: (0.25 + a, 0.0),
    reference="Roodschild, Gotay Sardiñas & Will 2020 (SigLin in Kunc & Kléma 2024, section 3.2.8)",
    extended=True,
)
def siglin(z, a):
    """Sigmoid plus a linear term; its authors tried a = 0, 0.05, 0.1 and 0.15."""
    s, _, d = logistic(z)
    return s + times(z, a), d + a, z


@pointwise(
    r"\tanh z \text{ if } z > 0 \text{ else } a \tanh z",
    parameters={"a": Parameter(0.25, 0.0, 1e3)},
    aliases=("ptanh",),
    range=lambda a: (-a, 1.0),
    zero_centered=lambda a: a == 1,
    monotonic=True,
    smoothness=lambda a: 0 if a != 1 else INF,
    saturates="both",
    kinks=lambda a: (0.0,) if a != 1 else (),
    steepest=lambda a: (max(1.0, a), 0.0),
    reference="Xu, Huang & Li 2016, Revise saturated activation functions",
    extended=True,
)
def penalized_tanh(z, a):
    """Penalized hyperbolic tangent; the slope at 0 is that of the left, a."""
    bend, rise = tanh(z), sech_squared(z)
    right = z > 0
    return where(right, bend, a * bend), where(right, rise, a * rise), where(right, 0, bend)


def _sech_squared(x: float) -> float:
    t = math.exp(-2 * abs(x))
    return 4 * t / (1 + t) ** 2


@pointwise(
    r"\tanh z \text{ for } a < z < b, \text{ else its tangent at } a \text{ or } b",
    parameters={
        "a": learned(-1.5),
        "b": learned(0.0),
    },
    monotonic=True,
    smoothness=1,
    steepest=lambda a, b: (1.0, 0.0) if a < 0 < b else max((_sech_squared(a), -INF), (_sech_squared(b), INF)),
    reference="Wang et al. (rectified linear tanh in Kunc & Kléma 2024, section 4.2.36)",
    extended=True,
)
def reltanh(z, a, b):
    """ReLTanh: tanh whose saturated ends are its tangents at two learned points, -1.5 and 0 to begin with."""
    low, high = z <= a, z >= b
    at = where(low, a, where(high, b, z))
    bend, rise = tanh(at), sech_squared(at)
    beyond = z - at
    by, inside = times(beyond, -2 * bend * rise), constant(0, z)
    return bend + times(beyond, rise), rise, where(low, by, inside), where(low, inside, where(high, by, inside))


@pointwise(
    r"\frac{z}{z / \alpha + e^{-z / \beta}}",
    parameters={"alpha": Parameter(2.0, 1.2, 1e3), "beta": Parameter(3.0, 1e-2, 3.2)},
    aliases=("srs",),
    range=lambda alpha, beta: (-beta / (math.e - beta / alpha), alpha),
    saturates="both",
    steepest=lambda alpha, beta: steepest(soft_root_sign, -20 * beta, 20 * beta, alpha=alpha, beta=beta),
    reference="Zhou, Li, Huo & Kung 2020, Soft-root-sign activation function",
    extended=True,
)
def soft_root_sign(z, alpha, beta):
    """Soft-root-sign; the bounds keep beta/alpha below e, where the denominator has its first root."""
    left, far = z < 0, z > 1
    h = exp(-0.5 * abs(z) / beta)
    q = h * h
    # Below 0 the fraction is expanded by e^(z/beta), beyond 1 divided by z.
    above = where(left, times(z, q), z)
    r = 1 / (above / alpha + where(left, 1, q))
    value = where(far, 1 / (1 / alpha + q / where(far, z, 1)), above * r)
    slope = times(1 + z / beta, h) * r * (h * r)
    by_alpha, by_beta = value / alpha, times(where(left, z, value), h * where(left, r, 1)) / beta
    return value, slope, by_alpha * by_alpha, -by_beta * by_beta


@formula
def _entropy(x, s, c):
    """softplus(x) - x sigma(x), an even function with a tail, from sigma(x) and sigma(-x)."""
    size = abs(x)
    return times(size, minimum(s, c)) + softplus(-size)


@pointwise(
    r"\frac{1}{\alpha} \ln \frac{1 + e^{\alpha z}}{1 + e^{\alpha (z - 1)}}",
    parameters={"alpha": Parameter(50.0, 1e-2, 1e4)},
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=lambda alpha: (math.tanh(alpha / 4), 0.5),
    reference="Klimek & Perelstein 2018, Neural network-based approach to phase space integration",
    extended=True,
)
def soft_clipping(z, alpha):
    """Soft clipping to [0, 1]: f(1 - z) = 1 - f(z), so both tails are those of softplus at a negative argument."""
    left = z <= 0.5
    near = alpha * where(left, z, 1 - z)
    far = near - alpha
    s_near, c_near, _ = logistic(near)
    s_far, c_far, _ = logistic(far)
    low = (softplus(near) - softplus(far)) / alpha
    # sigma(x) - sigma(x - alpha) = sigma(x) sigma(alpha - x) (1 - e^-alpha)
    slope = s_near * c_far * -expm1(-alpha)
    by_alpha = (_entropy(far, s_far, c_far) - _entropy(near, s_near, c_near)) / (alpha * alpha)
    return where(left, low, 1 - low), slope, where(left, by_alpha, -by_alpha)


@pointwise(
    r"a (1 - e^{-z / b}) \text{ if } z > 0 \text{ else } c (e^{z / d} - 1)",
    parameters={
        "a": Parameter(1.0, 1e-3, 1e3),
        "b": Parameter(1.0, 1e-3, 1e3),
        "c": Parameter(1.0, 1e-3, 1e3),
        "d": Parameter(1.0, 1e-3, 1e3),
    },
    range=lambda a, b, c, d: (-c, a),
    zero_centered=lambda a, b, c, d: (a, b) == (c, d),
    monotonic=True,
    smoothness=lambda a, b, c, d: 1 if a / b == c / d else 0,
    saturates="both",
    kinks=lambda a, b, c, d: () if a / b == c / d else (0.0,),
    steepest=lambda a, b, c, d: (max(a / b, c / d), 0.0),
    reference="Hexpo: a vanishing-proof activation function, IJCNN 2017",
    extended=True,
)
def hexpo(z, a, b, c, d):
    """Hexpo, with e^(z/d) on the left as in its paper (the survey prints e^(-z/d)); at 0 the slope of the left, c/d."""
    right = z > 0
    height, width = where(right, a, c), where(right, b, d)
    y = -abs(z) / width
    h, e_minus_1 = exp(0.5 * y), expm1(y)
    steep, off = height / width, constant(0, z)
    value, by_width = where(right, -height * e_minus_1, height * e_minus_1), times(y, h) * (h * steep)
    low, high = where(right, off, e_minus_1), where(right, -e_minus_1, off)
    return value, steep * h * h, high, where(right, by_width, off), low, where(right, off, -by_width)


@pointwise(
    r"\frac{\sin \sigma(z)}{\sigma(z)}",
    range=(0.8414709848078965, 1.0),
    saturates="both",
    steepest=(0.04725421331976019, 0.6485016450467924),
    reference="Koçak & Üstündağ Şiray 2021, New activation functions for single layer feedforward neural network",
    extended=True,
)
def sinc_sigmoid(z):
    """Sinc-sigmoid, with the unnormalized sinc: a falling step."""
    s, _, d = logistic(z)
    sine, cosine = sin_cos(s)
    return where(s == 0, 1, sine / where(s == 0, 1, s)), d * sinc_slope(s, sine, cosine)

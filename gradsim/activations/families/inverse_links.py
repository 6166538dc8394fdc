"""Distribution functions as activations: the inverse links of generalized linear models, and products of them."""

from __future__ import annotations

from gradsim.activations.families.gates import TWO_OVER_SQRT_PI, logistic, normal, times
from gradsim.activations.families.pieces import log1p_rest
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import copysign, exp, exp_expm1, expm1, fma, log1p, minimum, sqrt, where
from gradsim.lanes import erf as error_function

INV_E = 0.36787944117144233


@pointwise(
    r"\Phi(z)",
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=(0.3989422804014327, 0.0),
    reference="Gomes & Ludermir 2009, Complementary log-log and probit: activation functions",
    extended=True,
)
def probit(z):
    """The normal distribution function, the inverse of the probit link."""
    return normal(z)


@pointwise(
    r"\operatorname{erf}(z)",
    range=(-1.0, 1.0),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.1283791670955126, 0.0),
    reference="Williams 1997, Computing with infinite networks",
)
def erf(z):
    """The error function; in its slope the rounding error of z^2 is put back."""
    a = minimum(abs(z), 60)
    square = a * a
    g = exp(-square)
    return error_function(z), fma(g, -fma(a, a, -square), g) * TWO_OVER_SQRT_PI


@pointwise(
    r"e^{-e^{-z}}",
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=(INV_E, 0.0),
    reference="Gomes & Ludermir (LogLog in Kunc & Kléma 2024, section 3.2.20)",
    extended=True,
)
def loglog(z):
    """Log-log: Gumbel's distribution function."""
    q = exp(-z)
    root = exp(-0.5 * q)
    return root * root, times(q, root) * root


@pointwise(
    r"1 - e^{-e^z}",
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=(INV_E, 0.0),
    reference="Gomes & Ludermir 2009, Complementary log-log and probit: activation functions",
    extended=True,
)
def cloglog(z):
    """Complementary log-log, rising, as the link of that name has it; the survey prints it with e^-z, falling."""
    u = exp(z)
    root = exp(-0.5 * u)
    return -expm1(-u), times(u, root) * root


@pointwise(
    r"1 - 2 e^{-0.7 e^z}",
    range=(-1.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=(0.7357588823428847, 0.35667494393873245),
    reference="Gomes & Ludermir (modified cLogLog in Kunc & Kléma 2024, section 3.2.21)",
    extended=True,
)
def cloglogm(z):
    """Modified complementary log-log, rising; the survey prints it with e^-z, falling."""
    u = exp(z) * 7 / 10
    root = exp(-0.5 * u)
    return -1 - 2 * expm1(-u), 2 * times(u, root) * root


@pointwise(
    r"1 - (1 + a e^z)^{-1/a}",
    parameters={"a": Parameter(2.0, 1e-3, 1e3)},
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=lambda a: ((1 + a) ** (-1 / a - 1), 0.0),
    reference="Aranda-Ordaz 1981; Essai Ali, Abdel-Raman & Badry (Kunc & Kléma 2024, section 3.20)",
    extended=True,
)
def aranda_ordaz(z, a):
    """Aranda-Ordaz: the logistic function at a = 1, complementary log-log at a = 0."""
    t = exp(-abs(z))
    right, far = z > 0, z > 30
    y = a * exp(where(far, 30, z))
    # log(1 + a e^z), beyond 30 with e^z taken out
    log = log1p(where(far, a + t - 1, y))
    log = where(far, z + log, log)
    root = exp(-0.5 * log / a)
    share = where(right, 1 / (t + a), t / (1 + a * t))  # e^z/(1 + a e^z)
    _, rest = log1p_rest(y)
    curve = where(far, (a * share - log) / (a * a), -share * share * rest)
    return -expm1(-log / a), root * root * share, times(curve, root) * root


@pointwise(
    r"\sigma(z)\,e^{-e^{-z}}",
    range=(0.0, 1.0),
    monotonic=True,
    saturates="both",
    steepest=(0.3371978593386296, 0.6512766988297902),
    reference="Kunc & Kléma 2024, section 3.2.17 (Sigmoid-Gumbel)",
    extended=True,
)
def sigmoid_gumbel(z):
    """Sigmoid-Gumbel: the product of two distribution functions."""
    s, c, _ = logistic(z)
    q = exp(-z)
    root = exp(-0.5 * q)
    return s * root * root, times(c + q, root) * (s * root)


@pointwise(
    r"e^{-z}\,\sigma(z)",
    aliases=("exp_swish",),
    range=(0.0, 1.0),
    saturates="both",
    steepest=(0.25, 0.0),
    reference="Koçak & Üstündağ Şiray 2022, Performance evaluation of Swish-based activation functions",
    extended=True,
)
def exponential_swish(z):
    """Exponential swish: equal to sigma(-z), a falling logistic function."""
    _, c, d = logistic(z)
    return c, -d


@pointwise(
    r"e^{-z}\,\sigma(z)^2",
    aliases=("dsigmoid",),
    range=(0.0, 0.25),
    saturates="both",
    steepest=(0.09622504486493763, 1.3169578969248166),
    reference="Koçak & Üstündağ Şiray 2021, New activation functions for single layer feedforward neural network",
    extended=True,
)
def sigmoid_derivative(z):
    """The derivative of the logistic function, a bell."""
    t, t_minus_1 = exp_expm1(-abs(z))
    r = 1 / (1 + t)
    value = t * r * r
    fall = value * t_minus_1 * r
    return value, where(z > 0, fall, -fall)


@formula
def _sinh_over_root_of_cosh(z):
    """sinh(z)/sqrt(cosh(2 z)) and its slope, cosh(z)/cosh(2 z)^1.5."""
    t, t_minus_1 = exp_expm1(-2 * abs(z))
    square = 1 + t * t
    r = 1 / sqrt(2 * square)
    return copysign(t_minus_1 * r, z), 2 * t * (1 + t) / square * r


@pointwise(
    r"\frac{e^z - e^{-z}}{\sqrt{2 (e^{2 z} + e^{-2 z})}}",
    range=(-0.7071067811865476, 0.7071067811865476),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Kumar & Sodhi (NewSigmoid in Kunc & Kléma 2024, section 3.2.18)",
    extended=True,
)
def new_sigmoid(z):
    """NewSigmoid, sinh(z)/sqrt(cosh(2 z))."""
    return _sinh_over_root_of_cosh(z)


@pointwise(
    r"\frac{r^z - r^{-z}}{2 r \sqrt{2 (r^{2 z} + r^{-2 z})}},\ r = \sqrt 2",
    range=(-0.25, 0.25),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(0.1225322679335684, 0.0),
    reference="Kumar & Sodhi (Root2sigmoid in Kunc & Kléma 2024, section 3.2.19)",
    extended=True,
)
def root2sigmoid(z):
    """Root2sigmoid as the survey reconstructs it, NewSigmoid at another scale."""
    value, slope = _sinh_over_root_of_cosh(z * 0.34657359027997264)
    return value * 0.3535533905932738, slope * 0.12253226793356839

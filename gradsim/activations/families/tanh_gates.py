"""Hyperbolic tangents and secants as gates: the relatives of Mish and LiSHT; and gates that stand in for them."""

from __future__ import annotations

from gradsim.activations.families.extremes import lowest, steepest
from gradsim.activations.families.gates import far_left, gated, half_exponential, logistic, sech, times
from gradsim.activations.families.pieces import learned
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import exp, exp_expm1, log1p, minimum, sech_squared, softplus, tanh, where

INF = float("inf")


@pointwise(
    r"z \tanh(\tanh(z / 2))",
    range=(0.0, INF),
    steepest=(0.8890963492171295, 1.9457741983475417),
    reference="Mercioni, Tat & Holban (tangent-bipolar-sigmoid ReLU in Kunc & Kléma 2024, section 3.3.19)",
    extended=True,
)
def tbsrelu(z):
    """Tangent-bipolar-sigmoid ReLU: an even function, (1 - e^-z)/(1 + e^-z) being tanh(z/2)."""
    y = 0.5 * z
    inner = tanh(y)
    return gated(z, tanh(inner), 0.5 * sech_squared(inner) * sech_squared(y))


@pointwise(
    r"z \operatorname{sech} z",
    aliases=("resech",),
    range=(-0.6627434193491816, 0.6627434193491816),
    zero_centered=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Kunc & Kléma 2024, section 3.3.27 (rectified hyperbolic secant)",
    extended=True,
)
def rehsec(z):
    """Rectified hyperbolic secant: falls back to 0 on both sides."""
    h, _, _ = half_exponential(z)
    root = 2 * h / (1 + h * h * h * h)
    return times(z, h) * root, times(1 - z * tanh(z), h) * root


@pointwise(
    r"z \tanh(e^z)",
    range=(-0.3532857778482113, INF),
    saturates="low",
    steepest=(1.061975308717916, 0.6965639603951724),
    reference="Liu & Di 2020, TanhExp",
    extended=True,
)
def tanhexp(z):
    """TanhExp."""
    root = exp(0.5 * z)
    u = root * root
    value, slope = gated(z, tanh(u), times(u, sech_squared(u)))
    return far_left(z, 1, root, 1, value, slope)


@pointwise(
    r"\tanh(a z) \ln(1 + e^z)",
    parameters={"a": learned(1.0)},
    range=lambda a: (lowest(tanhsoft1, -20, 0, a=a), INF) if a > 0 else (-INF, INF),
    saturates="low",
    steepest=lambda a: steepest(tanhsoft1, -20, 20, a=a),
    reference="Biswas, Kumar, Banerjee & Pandey 2020, TanhSoft",
    extended=True,
)
def tanhsoft1(z, a):
    """TanhSoft-1, with its parameter learned from 1 on."""
    y = times(z, a)
    bend, root = tanh(y), sech(y)
    s, _, _ = logistic(z)
    plus = softplus(z)
    by_y = times(plus, root)
    return times(plus, bend), a * by_y * root + bend * s, times(times(z, by_y), root)


@pointwise(
    r"z \tanh(b e^{c z})",
    parameters={
        "b": learned(0.6),
        "c": learned(1.0),
    },
    range=lambda b, c: (lowest(tanhsoft2, -20 / c, 0, b=b, c=c), INF) if min(b, c) > 0 else (-INF, INF),
    saturates="low",
    steepest=lambda b, c: steepest(tanhsoft2, -20 / abs(c or 1), 20 / abs(c or 1), b=b, c=c),
    reference="Biswas, Kumar, Banerjee & Pandey 2020, TanhSoft",
    extended=True,
)
def tanhsoft2(z, b, c):
    """TanhSoft-2, with its parameters learned from 0.6 and 1 on."""
    root = exp(0.5 * times(z, c))
    u = times(root * root, b)
    bell = sech(u)
    rise = times(root * root, bell) * bell
    value, slope = gated(z, tanh(u), b * c * rise)
    value, slope = far_left(z, c, root, b, value, slope)
    by_b, by_c = times(times(z, root), bell), times(times(z, root), bell)
    return value, slope, times(root, bell) * by_b, times(by_c * by_c, b)


@pointwise(
    r"\ln(1 + e^z \tanh(a z))",
    parameters={"a": learned(1.0)},
    range=lambda a: (lowest(tanhsoft3, -20, 0, a=a), INF),
    saturates="low",
    steepest=lambda a: steepest(tanhsoft3, -20, 20, a=a),
    reference="Biswas, Kumar, Banerjee & Pandey 2020, TanhSoft",
    extended=True,
)
def tanhsoft3(z, a):
    """TanhSoft-3, with its parameter learned from 1 on; NaN where the logarithm is of a negative number."""
    y = times(z, a)
    bend, root = tanh(y), sech(y)
    t = exp(-abs(z))
    # From 1 on e^z is taken out: z + log(t + tanh).
    right, far = z >= 0, z >= 1
    value = log1p(where(far, t + (bend - 1), where(right, bend / t, t * bend)))
    scale = 1 / (where(right, t, 1) + where(right, 1, t) * bend)
    scale = where(right, scale, t * scale)
    return where(far, z + value, value), (bend + a * root * root) * scale, times(z, root) * (root * scale)


@pointwise(
    r"z \tanh(\ln(1 + e^{z + \beta}))",
    parameters={"beta": Parameter(-0.25, -1e2, 1e2)},
    range=lambda beta: (lowest(mila, -20 - abs(beta), 0, beta=beta), INF),
    saturates="low",
    steepest=lambda beta: steepest(mila, -20 - abs(beta), 20 + abs(beta), beta=beta),
    reference="Misra 2019, Mila (Echo)",
    extended=True,
)
def mila(z, beta):
    """Mila: Mish with the softplus shifted; tanh(ln y) is (y^2 - 1)/(y^2 + 1)."""
    y = z + beta
    h, w, _ = half_exponential(y)
    right, t = y >= 0, h * h
    above = where(right, 1 + 2 * t, t * (2 + t))
    r = 1 / (above + where(right, 2 * t * t, 2))
    scale = where(right, t * t, 1) * (1 + t) * (4 * r * r)
    value, slope = gated(z, above * r, w * w * scale)
    value, slope = far_left(z, 1, w, 1, value, slope)
    return value, slope, times(times(z, w), scale) * w


@pointwise(
    r"z \tanh(\beta \ln(1 + e^z))",
    parameters={"beta": Parameter(1.5, 1e-2, 1e2)},
    range=lambda beta: (lowest(beta_mish, -20, 0, beta=beta), INF),
    saturates="low",
    steepest=lambda beta: steepest(beta_mish, -20, 20 + 20 / beta, beta=beta),
    reference="Misra 2019, Beta Mish (Echo)",
    extended=True,
)
def beta_mish(z, beta):
    """Beta Mish: Mish with (1 + e^z)^beta in place of 1 + e^z."""
    _, w, r = half_exponential(z)
    plus = softplus(z)
    root = sech(beta * plus)
    value, slope = gated(z, tanh(beta * plus), beta * root * root * (w * w * r))
    value, slope = far_left(z, 1, w, beta, value, slope)
    by_beta = times(z, times(plus, root)) * root
    return value, slope, where(w < 1e-130, times(z, w) * w, by_beta)


@pointwise(
    r"z \tanh(z / a)",
    parameters={"a": Parameter(0.01, 1e-6, 1e6)},
    range=(0.0, INF),
    steepest=lambda a: (1.1996786402577338, 1.1996786402577338 * a),
    reference="Vallés-Pérez et al. (SoftModulusT in Kunc & Kléma 2024, section 3.6.31)",
    extended=True,
)
def soft_modulus_t(z, a):
    """SoftModulusT: a smooth absolute value, LiSHT at a = 1."""
    y = z / a
    bend, root = tanh(y), sech(y)
    share = times(y, root)
    return times(z, bend), bend + share * root, -share * share


@pointwise(
    r"z^2 (2 - |z|) \text{ if } |z| \le 1 \text{ else } |z|",
    range=(0.0, INF),
    smoothness=1,
    steepest=(4 / 3, 2 / 3),
    reference="Vallés-Pérez et al. (SoftModulusQ in Kunc & Kléma 2024, section 3.6.30)",
    extended=True,
)
def soft_modulus_q(z):
    """SoftModulusQ: a smooth absolute value of polynomials."""
    size = abs(z)
    near = size <= 1
    return where(near, z * z * (2 - size), size), where(near, z * (4 - 3 * size), where(z > 0, 1, where(z < 0, -1, z)))


@pointwise(
    r"h \max(0, \min(1, \tfrac{z + 1}{2})),\ h = z \text{ if } z \ge 0 \text{ else } e^z - 1",
    range=(-0.09967315152874262, INF),
    smoothness=0,
    saturates="low",
    kinks=(-1.0, 1.0),
    steepest=(1.5, 1.0),
    reference="Basirat & Roth 2018, The quest for the golden activation function",
    extended=True,
)
def hard_elish(z):
    """Hard ELiSH as in its paper (the survey prints 1 + e^-z for e^z - 1); slopes at -1 and 1 are those of the left."""
    e, e_minus_1 = exp_expm1(minimum(z, 0))
    gate = 0.5 * (z + 1)
    low = where(z <= -1, 0, e_minus_1 * gate)
    low_slope = where(z <= -1, 0, e * gate + 0.5 * e_minus_1)
    value = where(z < 0, low, where(z <= 1, z * gate, z))
    return value, where(z < 0, low_slope, where(z <= 1, z + 0.5, where(z > 1, 1, z)))


@pointwise(
    r"\tfrac{z}{2} \max(0, \min(2, z + 2))",
    aliases=("hardmish",),
    range=(-0.5, INF),
    smoothness=0,
    saturates="low",
    kinks=(-2.0,),
    steepest=(1.0, 1.0),
    reference="Misra, H-Mish; Wightman, timm",
    extended=True,
)
def hard_mish(z):
    """Hard Mish; the slope at -2 is that of the left, 0."""
    value = where(z <= -2, 0, where(z <= 0, z * (0.5 * z + 1), z))
    return value, where(z <= -2, 0, where(z <= 0, z + 1, where(z > 0, 1, z)))


@pointwise(
    r"a e^z \tanh z",
    parameters={"a": Parameter(1.0, 1e-3, 1e3)},
    range=lambda a: (-0.3002831060007776 * a, INF),
    saturates="low",
    steepest=(INF, INF),
    reference="Kunc & Kléma 2024, section 3.40 (E-Tanh)",
    extended=True,
)
def e_tanh(z, a):
    """E-Tanh: an exponential with a dip."""
    h = exp(0.5 * z)
    bend = tanh(z)
    return a * h * bend * h, a * h * (bend + sech_squared(z)) * h, h * bend * h

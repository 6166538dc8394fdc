"""Activations from roots, quotients and powers: smooth rectifiers and squashes without an exponential."""

from __future__ import annotations

from gradsim.activations.families.gates import times
from gradsim.activations.families.pieces import INFINITY, constant, hypotenuse, learned, saturating, scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import copysign, exp, expm1, log, log1p, where

_GOLDEN = (5**0.5 - 1) / 2


@pointwise(
    r"\frac{z}{\sqrt{1 + \alpha z^2}}",
    parameters={"alpha": Parameter(1.0, 1e-6, 1e6)},
    extended=True,
    range=lambda alpha: (-(alpha**-0.5), alpha**-0.5),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Carlile et al. 2017",
)
def isru(z, alpha):
    """Inverse square root unit (ISRU)."""
    value, inverse = saturating(z, alpha)
    return value, inverse * inverse * inverse, value * value * value / -2


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \frac{z}{\sqrt{1 + \alpha z^2}}",
    parameters={"alpha": Parameter(1.0, 1e-6, 1e6)},
    extended=True,
    range=lambda alpha: (-(alpha**-0.5), INFINITY),
    monotonic=True,
    smoothness=2,
    saturates="low",
    steepest=(1.0, 1.0),
    reference="Carlile et al. 2017",
)
def isrlu(z, alpha):
    """Inverse square root linear unit (ISRLU): an ELU without its exponential."""
    root, inverse = saturating(z, alpha)
    low = z <= 0
    slope = where(low, inverse * inverse * inverse, constant(1, z))
    return where(low, root, z), slope, where(low, root * root * root / -2, where(z == z, 0, z))


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha \frac{z}{1 - z}",
    aliases=("dlu", "polylu", "fplus"),
    parameters={"alpha": Parameter(1.0, 0.0, 1e6)},
    extended=True,
    range=lambda alpha: (-alpha, INFINITY),
    monotonic=True,
    smoothness=lambda alpha: 1 if alpha == 1 else 0,
    saturates="low",
    kinks=lambda alpha: () if alpha == 1 else (0.0,),
    steepest=lambda alpha: (max(1.0, alpha), 1.0 if alpha <= 1 else 0.0),
    reference="Lin & Shen 2018; alpha = 1: Feng & Yang (PolyLU), Duan, Yang & Dai 2022 (FPLUS)",
)
def sign_relu(z, alpha):
    """SignReLU, the dual linear unit: softsign below 0; at alpha = 1 also known as PolyLU and FPLUS."""
    low, nothing = z <= 0, where(z == z, 0, z)
    w = 1 / (1 + abs(z))
    soft = where(low, where(z < -1, w - 1, z * w), nothing)
    return where(low, alpha * soft, z), where(low, alpha * w * w, constant(1, z)), soft


@pointwise(
    r"\alpha z \text{ if } z > 0 \text{ else } \frac{\alpha z}{1 - \beta z}",
    parameters={
        "alpha": learned(1.0),
        "beta": learned(1.0),
    },
    extended=True,
    range=lambda alpha, beta: (
        0.0 if alpha == 0 else -alpha / beta if alpha > 0 < beta else -INFINITY,
        0.0 if alpha == 0 else -alpha / beta if alpha < 0 < beta else INFINITY,
    ),
    zero_centered=lambda alpha, beta: alpha * beta == 0,
    monotonic=lambda alpha, beta: alpha == 0 or alpha > 0 <= beta,
    smoothness=lambda alpha, beta: INFINITY if alpha * beta == 0 else 1 if beta > 0 else -1,
    kinks=lambda alpha, beta: (1 / beta,) if alpha and beta < 0 else (),
    saturates=lambda alpha, beta: "both" if alpha == 0 else "low" if beta else "none",
    steepest=lambda alpha, beta: (INFINITY, INFINITY) if alpha and beta < 0 else (abs(alpha), 1.0),
    reference="Duan, Yang & Dai 2022",
)
def pfplus(z, alpha, beta):
    """Parametric FPLUS. The paper keeps alpha and beta above 0; below, the formula has a pole at 1/beta."""
    low = z <= 0
    # z/(1 - beta z), in two forms that no infinity passes through.
    far = z < -1
    r = 1 / where(far, z, -1)
    under = where(far, r - beta, 1 - beta * where(far, -1, z))
    quotient = where(beta == 0, z, where(far, 1, z) / under)
    inverse = where(beta == 0, 1, where(far, r, 1) / under)
    base = where(low, quotient, z)
    slope = where(low, alpha * inverse * inverse, constant(alpha, z))
    d_beta = where(low, scaled(alpha, quotient * quotient), where(z == z, 0, z))
    return scaled(alpha, base), slope, base, d_beta


@pointwise(
    r"z \text{ if } z > 0 \text{ else } (1 - z)^{-\alpha} - 1",
    parameters={"alpha": Parameter(1.5, 1e-3, 1e3)},
    extended=True,
    range=(-1.0, INFINITY),
    monotonic=True,
    smoothness=lambda alpha: 1 if alpha == 1 else 0,
    saturates="low",
    kinks=lambda alpha: () if alpha == 1 else (0.0,),
    steepest=lambda alpha: (max(1.0, alpha), 1.0 if alpha <= 1 else 0.0),
    reference="Li, Ding & Li 2018",
)
def polu(z, alpha):
    """Power linear unit (PoLU)."""
    low, nothing = z <= 0, where(z == z, 0, z)
    growth = log1p(abs(z))
    # Roots, for a power can be subnormal where its product with the growth is not.
    root, steeper = exp(-0.5 * alpha * growth), exp(-0.5 * (alpha + 1) * growth)
    slope = where(low, alpha * steeper * steeper, constant(1, z))
    d_alpha = where(low, where(root == 0, 0, -growth * root * root), nothing)
    return where(low, expm1(-alpha * growth), z), slope, d_alpha


@formula
def _power_function(z):
    """z (1 + u)/2 and its slope with u = z/sqrt(1 + z^2), in a form for each sign: (below 0, above 0)."""
    u, inverse = saturating(z, 1)
    tail = inverse / (1 + abs(u))
    below = u * tail / 2, inverse * (tail + u * inverse) / 2
    return *below, z * ((1 + u) / 2), (1 + u + u * inverse * inverse) / 2


@pointwise(
    r"\frac{z}{2} \left(1 + \frac{z}{\sqrt{1 + z^2}}\right)",
    extended=True,
    range=(-(_GOLDEN**2.5) / 2, INFINITY),
    saturates="low",
    steepest=(0.5 + (2 / 3) ** 1.5, 2**0.5),
    reference="Zhu et al. 2021",
)
def pflu(z):
    """Power function linear unit (PFLU): a swish without an exponential."""
    value_low, slope_low, value_high, slope_high = _power_function(z)
    return where(z < 0, value_low, value_high), where(z < 0, slope_low, slope_high)


@pointwise(
    r"z \text{ if } z > 0 \text{ else } z + \frac{z^2}{\sqrt{1 + z^2}}",
    extended=True,
    range=(-(_GOLDEN**2.5), INFINITY),
    smoothness=1,
    saturates="low",
    steepest=(1.0, 1.0),
    reference="Zhu et al. 2021",
)
def fpflu(z):
    """Faster power function linear unit (FPFLU)."""
    value_low, slope_low, _, _ = _power_function(z)
    return where(z <= 0, 2 * value_low, z), where(z <= 0, 2 * slope_low, constant(1, z))


@pointwise(
    r"\frac{\alpha z}{\beta + |z|}",
    parameters={
        "alpha": learned(1.0),
        "beta": learned(1.0),
    },
    extended=True,
    range=lambda alpha, beta: (-abs(alpha), abs(alpha)) if alpha == 0 or beta >= 0 else (-INFINITY, INFINITY),
    zero_centered=True,
    monotonic=lambda alpha, beta: alpha == 0 or alpha > 0 <= beta,
    smoothness=lambda alpha, beta: INFINITY if alpha == 0 else 1 if beta > 0 else -1,
    saturates="both",
    kinks=lambda alpha, beta: () if alpha == 0 or beta > 0 else (beta, -beta) if beta else (0.0,),
    steepest=lambda alpha, beta: (
        (0.0, 0.0) if alpha == 0 else (abs(alpha) / beta, 0.0) if beta > 0 else (INFINITY, INFINITY)
    ),
    reference="Pishchik 2023",
)
def scaled_softsign(z, alpha, beta):
    """Scaled softsign; for a beta below 0 it has poles where |z| is -beta."""
    size = abs(z)
    n = where(z > 1, 1, where(z < -1, -1, z))
    r = where(size > 1, 1 / size, constant(1, z))
    under = beta * r + abs(n)
    # 0 at 0 for beta = 0, too, where it is a step.
    soft, inverse = where(n == 0, n, n / under), r / under
    return alpha * soft, alpha * scaled(beta, inverse * inverse), soft, -scaled(alpha, times(inverse, soft))


def _blu_range(beta: float) -> tuple[float, float]:
    """Where abs(beta) > 1 there is an extremum at z/sqrt(1 + z^2) = -1/beta."""
    if abs(beta) < 1:
        return -INFINITY, INFINITY
    end = -beta if abs(beta) == 1 else -beta + (1 if beta > 0 else -1) * (beta * beta - 1) ** 0.5
    return (end, INFINITY) if beta > 0 else (-INFINITY, end)


@pointwise(
    r"\beta (\sqrt{z^2 + 1} - 1) + z",
    parameters={"beta": learned(0.1)},
    extended=True,
    range=_blu_range,
    zero_centered=lambda beta: beta == 0,
    monotonic=lambda beta: abs(beta) <= 1,
    saturates=lambda beta: {1: "low", -1: "high"}.get(beta, "none"),
    steepest=lambda beta: (1 + abs(beta), INFINITY if beta > 0 else -INFINITY) if beta else (1.0, 0.0),
    reference="Godfrey 2019",
)
def blu(z, beta):
    """Bendable linear unit (BLU), from identity to a rectifier; the paper keeps beta between -1 and 1.

    With s the sign of z and m = |z| + 1 - sqrt(z^2 + 1), between 0 and 1, it is (s + beta) |z| - beta m: where beta is
    -s nothing of the large |z| is left to cancel.
    """
    u, inverse = saturating(z, 1)
    size, sign = abs(u), copysign(constant(1, z), z)
    tail = inverse / (1 + size)
    m = size * (1 + tail) / (1 + inverse)
    value = scaled(sign + beta, abs(z)) - beta * m
    slope = (1 + beta * sign) - beta * sign * inverse * tail
    return value, slope, abs(z) * size / (1 + inverse)


@pointwise(
    r"\log(1 + \beta \max(0, z))",
    parameters={"beta": Parameter(1.0, 1e-6, 1e6)},
    extended=True,
    range=(0.0, INFINITY),
    monotonic=True,
    smoothness=0,
    saturates="both",
    kinks=(0.0,),
    steepest=lambda beta: (beta, 0.0),
    reference="Liu et al. 2019",
)
def nlrelu(z, beta):
    """Natural logarithm ReLU (NLReLU)."""
    low = z <= 0
    x = where(low, constant(1, z), z)
    n = where(x > 1, 1, x)
    r = 1 / where(x > 1, x, 1)
    under = r + beta * n
    value = where(x > 1e100, log(x) + log(beta), log1p(beta * where(x > 1e100, 1, x)))
    return where(low, 0, value), where(low, 0, r * (beta / under)), where(low, 0, n / under)


@pointwise(
    r"\frac{(1 + \alpha) z + \sqrt{(1 - \alpha)^2 z^2 + \mu^2}}{2}",
    parameters={
        "alpha": Parameter(0.25, 0.0, 1.0),
        "mu": learned(4.352665993287951e-9),
    },
    extended=True,
    range=lambda alpha, mu: (-INFINITY if alpha else 0.0, INFINITY),
    monotonic=True,
    smoothness=lambda alpha, mu: INFINITY if mu or alpha == 1 else 0,
    saturates=lambda alpha, mu: "none" if alpha else "low",
    kinks=lambda alpha, mu: () if mu or alpha == 1 else (0.0,),
    steepest=(1.0, INFINITY),
    reference="Biswas et al. 2021",
)
def smu_1(z, alpha, mu):
    """Smooth maximum unit 1 (SMU-1): a leaky ReLU with its kink rounded by mu."""
    spread = 1 - alpha
    x = scaled(spread, z)
    _, u, v = hypotenuse(x, mu)
    # h - |x| is mu v/(1 + |u|), and 1 - |u| is v^2/(1 + |u|).
    size = abs(u)
    rest = v / (1 + size) / 2
    slope = where(z < 0, alpha + spread * v * rest, 1 - spread * v * rest)
    value = where(z < 0, scaled(alpha, z), z) + mu * rest
    d_alpha = where(z > 0, times(z, v) * rest, z * ((1 + size) / 2))
    return value, slope, d_alpha, where((mu == 0) & (z == z), 0, v / 2)


@pointwise(
    r"\sqrt{(z - a)^2 + b^2}",
    aliases=("taf",),
    parameters={
        "a": learned(0.0),
        "b": learned(1.0),
    },
    extended=True,
    range=lambda a, b: (abs(b), INFINITY),
    smoothness=lambda a, b: INFINITY if b else 0,
    kinks=lambda a, b: () if b else (a,),
    steepest=lambda a, b: (1.0, INFINITY),
    reference="Ertuğrul 2018",
)
def multiquadratic(z, a, b):
    """Multiquadratic function, the trained activation function (TAF) of random networks."""
    h, u, v = hypotenuse(z - a, b)
    return h, u, -u, where((b == 0) & (z == z), 0, v)

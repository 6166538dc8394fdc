"""Bounded S-shapes without an exponential: of quotients, roots and pieces of polynomials."""

from __future__ import annotations

from gradsim.activations.families.extremes import steepest
from gradsim.activations.families.gates import direction, logistic
from gradsim.activations.families.pieces import constant
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import copysign, sqrt, where

INF = float("inf")


@pointwise(
    r"\frac{z}{2 (1 + |z|)} + \tfrac12",
    range=(0.0, 1.0),
    monotonic=True,
    smoothness=1,
    saturates="both",
    steepest=(0.5, 0.0),
    reference="Elliott 1993, A better activation function for artificial neural networks",
    extended=True,
)
def elliott(z):
    """Elliott's function, softsign between 0 and 1."""
    r = 1 / (1 + abs(z))
    half = 0.5 * r
    return where(z < 0, half, 1 - half), half * r


@pointwise(
    r"\tfrac12 s^2 + \tfrac12 s,\ s = \frac{z}{1 + |z|}",
    range=(-0.125, 1.0),
    smoothness=1,
    saturates="both",
    steepest=(0.5, 0.0),
    reference="Kunc & Kléma 2024, section 3.11 (Mishra)",
    extended=True,
)
def mishra(z):
    """Mishra's function of the softsign."""
    size = abs(z)
    r = 1 / (1 + size)
    far = size > 1
    s = where(far, 1 / (1 + 1 / where(far, size, 1)), size * r)
    # 1/2 - s is (1 - abs(z))/(2 (1 + abs(z))): exact where it crosses 0.
    fall = where(far, r - 0.5, 0.5 * (1 - size) * r)
    return 0.5 * where(z < 0, -s * r, s * (1 + s)), where(z < 0, fall, 0.5 + s) * r * r


@pointwise(
    r"\frac{z}{\sqrt{1 + z^2}} + \tfrac12",
    aliases=("mef",),
    range=(-0.5, 1.5),
    monotonic=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Kunc & Kléma 2024, section 3.8.11 (modified Elliott function)",
    extended=True,
)
def modified_elliott(z):
    """Modified Elliott function: an inverse square root unit shifted up."""
    y, _, _, slope, _ = direction(z)
    return copysign(y, z) + 0.5, slope


@pointwise(
    r"\frac{a z}{1 + \sqrt{1 + a^2 z^2}}",
    parameters={"a": Parameter(1.0, 1e-3, 1e3)},
    range=(-1.0, 1.0),
    zero_centered=True,
    monotonic=True,
    saturates="both",
    steepest=lambda a: (0.5 * a, 0.0),
    reference="Duch & Jankowski 1999, Survey of neural transfer functions",
    extended=True,
)
def rootsig(z, a):
    """Rootsig."""
    y = abs(a * z)
    far = y > 1
    r = where(far, 1 / where(far, abs(z), 1) / a, y)
    root = sqrt(1 + r * r)
    # 1/(h (1 + h)) with h = sqrt(1 + y^2): beyond 1 the root has r = 1/y taken out.
    rate = 1 / (root * (where(far, r, 1) + root))
    return (
        copysign(where(far, 1, r) / (where(far, r, 1) + root), z),
        where(far, r * a * r, a) * rate,
        copysign(r / a, z) * rate,
    )


@pointwise(
    r"\sigma\left(\frac{z (1 + a |z|)}{1 + |z| (1 + a |z|)}\right)",
    parameters={"a": Parameter(1.0, 1e-3, 1e3)},
    range=(0.2689414213699951, 0.7310585786300049),
    monotonic=True,
    saturates="both",
    steepest=lambda a: steepest(sigmoid_algebraic, 0, 3, a=a),
    reference="Koçak & Üstündağ Şiray 2021, New activation functions for single layer feedforward neural network",
    extended=True,
)
def sigmoid_algebraic(z, a):
    """Sigmoid-algebraic, for a above 0; the survey gives no default."""
    size = abs(z)
    far = size > 1
    r = where(far, 1 / where(far, size, 1), 1)
    n = where(far, 1, size)
    # Beyond 1 the fraction is divided by z^2, r = 1/abs(z).
    above = n * (r + a * n)
    share = 1 / (r * r + above)
    s, _, d = logistic(copysign(above * share, z))
    slope = (r + 2 * a * n) * share * (share * (d * r * r * r))
    return s, slope, copysign(n * n * share * r, z) * (share * d * r)


@pointwise(
    r"\tfrac12 + \frac{3 z}{2 \gamma} - \frac{2 z^3}{\gamma^3} \text{ if } |z| \le \gamma / 2, \text{ else } 0, 1",
    parameters={"gamma": Parameter(1.0, 1e-3, 1e3)},
    range=(0.0, 1.0),
    monotonic=True,
    smoothness=1,
    saturates="both",
    steepest=lambda gamma: (1.5 / gamma, 0.0),
    reference="Hazimeh, Ponomareva, Mol, Tan & Mazumder 2020, The tree ensemble layer",
    extended=True,
)
def smooth_step(z, gamma):
    """Smooth step, w^2 (3 - 2 w) with w = z/gamma + 1/2: exactly 0 and 1 outside."""
    edge = 0.5 * gamma
    low, high = z <= -edge, z >= edge
    outside = low | high
    w, rest = (z + edge) / gamma, (edge - z) / gamma
    nothing = constant(0, z)
    value = where(low, 0, where(high, 1, w * w * (3 - 2 * w)))
    slope = where(outside, nothing, 6 * w * rest / gamma)
    return value, slope, where(outside, nothing, -6 * w * rest * (z / gamma) / gamma)


@formula
def _bent(z):
    """Both halves of a parabola as an S: 2 - abs(z), its square over 4, up to 2; else 0."""
    rest = 2 - abs(z)
    rest = where(rest < 0, 0, rest)
    return rest, 0.25 * rest * rest


@pointwise(
    r"z (1 - \tfrac14 |z|) \text{ for } |z| \le 2, \text{ else } \pm 1",
    range=(-1.0, 1.0),
    zero_centered=True,
    monotonic=True,
    smoothness=1,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Wuraola & Patel 2018, SQNL: a new computationally efficient activation function",
    extended=True,
)
def sqnl(z):
    """Square nonlinearity: tanh from parabolas."""
    rest, gap = _bent(z)
    near = abs(z) < 1
    return where(near, z * (1 - 0.25 * abs(z)), copysign(1 - gap, z)), 0.5 * rest


@pointwise(
    r"\tfrac12 (1 + \operatorname{sqnl} z)",
    range=(0.0, 1.0),
    monotonic=True,
    smoothness=1,
    saturates="both",
    steepest=(0.5, 0.0),
    reference="Wuraola & Patel 2018 (LogSQNL in Kunc & Kléma 2024, section 3.8.6)",
    extended=True,
)
def logsqnl(z):
    """Square logistic sigmoid: the logistic function from parabolas."""
    rest, gap = _bent(z)
    half = 0.5 * gap
    return where(z < 0, half, 1 - half), 0.25 * rest

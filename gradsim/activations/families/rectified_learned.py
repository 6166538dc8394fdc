"""Piecewise linear activations with learned or random parameters. At a kink the slope is the left one."""

from __future__ import annotations

from collections.abc import Callable

from gradsim.activations.families.gates import logistic
from gradsim.activations.families.pieces import INFINITY, constant, learned, scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import fma, where


def _two_slopes(high: float, low: float) -> dict[str, object]:
    """What is known of the function high z if z > 0 else low z."""
    return {
        "monotonic": high >= 0 <= low,
        "smoothness": INFINITY if high == low else 0,
        "kinks": () if high == low else (0.0,),
        "saturates": {(True, True): "both", (True, False): "low", (False, True): "high"}.get(
            (low == 0, high == 0), "none"
        ),
        "steepest": (max(abs(high), abs(low)), 1.0 if abs(high) >= abs(low) else -1.0),
        "range": (
            -INFINITY if high < 0 or low > 0 else 0.0,
            INFINITY if high > 0 or low < 0 else 0.0,
        ),
    }


def _known_by_slopes(slopes: Callable, *others: str) -> dict[str, Callable]:
    """Properties, but for `others`, of a function with `slopes(**parameters)` = (above 0, below 0)."""

    def known(key: str) -> Callable:
        return lambda **values: _two_slopes(*slopes(**values))[key]

    return {key: known(key) for key in _two_slopes(1.0, 0.0) if key not in others}


@formula
def _line(slope, z, shift):
    """slope z + shift, rounded once, with its limit where slope is 0."""
    return where((slope == 0) & (z == z), shift, fma(slope, z, shift))


@pointwise(
    r"\max(0, z) + b",
    aliases=("frelu",),
    parameters={"b": learned(0.0)},
    range=lambda b: (b, INFINITY),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=(1.0, 1.0),
    reference="Qiu, Xu & Cai 2018",
)
def flexible_relu(z, b):
    """Flexible ReLU (FReLU): a ReLU whose rest value is learned."""
    one = constant(1, z)
    return where(z <= 0, b, z + b), where(z <= 0, 0, one), one


@pointwise(
    r"\alpha \max(0, z) + \beta",
    parameters={"alpha": learned(1.0), "beta": learned(1.0)},
    range=lambda alpha, beta: (beta if alpha >= 0 else -INFINITY, INFINITY if alpha > 0 else beta),
    zero_centered=lambda alpha, beta: alpha == beta == 0,
    monotonic=lambda alpha, beta: alpha >= 0,
    smoothness=lambda alpha, beta: 0 if alpha else INFINITY,
    saturates=lambda alpha, beta: "low" if alpha else "both",
    kinks=lambda alpha, beta: (0.0,) if alpha else (),
    steepest=lambda alpha, beta: (abs(alpha), 1.0),
    reference="Pishchik 2023",
)
def shilu(z, alpha, beta):
    """Shifted rectified linear unit (ShiLU)."""
    low = z <= 0
    value = where(low, beta, _line(alpha, z, beta))
    return value, where(low, 0, constant(alpha, z)), where(low, 0, z), constant(1, z)


@pointwise(
    r"\min(\max(0, z), n)",
    parameters={"n": learned(1.0)},
    range=lambda n: (min(n, 0.0), n),
    zero_centered=lambda n: n == 0,
    monotonic=True,
    smoothness=lambda n: 0 if n > 0 else INFINITY,
    saturates="both",
    kinks=lambda n: (0.0, n) if n > 0 else (),
    steepest=lambda n: (1.0, n / 2) if n > 0 else (0.0, 0.0),
    reference="Pishchik 2023",
)
def relun(z, n):
    """Rectified linear unit N (ReLUN), its bound n learned; the constant n where training takes n below 0."""
    rectified = where(z <= 0, 0, z)
    high = rectified > n
    flat = (z <= 0) | high
    return where(high, n, rectified), where(flat, 0, constant(1, z)), where(high, 1, where(z == z, 0, z))


@pointwise(
    r"\alpha z \text{ if } z > 0 \text{ else } \beta z",
    aliases=("dprelu",),
    parameters={"alpha": learned(1.0), "beta": learned(0.01)},
    zero_centered=lambda alpha, beta: alpha == beta,
    **_known_by_slopes(lambda alpha, beta: (alpha, beta)),
    reference="Dual parametric ReLU, in Kunc & Kléma 2024, 4.2.20",
)
def dual_parametric_relu(z, alpha, beta):
    """Dual parametric ReLU (DPReLU): both slopes learned."""
    high, nothing = z > 0, where(z == z, 0, z)
    value = scaled(where(high, alpha, beta), z)
    return value, where(high, alpha, constant(beta, z)), where(high, z, nothing), where(high, nothing, z)


@pointwise(
    r"\alpha z + m \text{ if } z > 0 \text{ else } \beta z + m",
    parameters={"alpha": learned(1.0), "beta": learned(0.01), "m": learned(-0.22)},
    zero_centered=lambda alpha, beta, m: alpha == beta and m == 0,
    range=lambda alpha, beta, m: tuple(m + end for end in _two_slopes(alpha, beta)["range"]),
    **_known_by_slopes(lambda alpha, beta, m: (alpha, beta), "range"),
    reference="Dual Line, in Kunc & Kléma 2024, 4.2.21",
)
def dual_line(z, alpha, beta, m):
    """Dual Line: dual parametric ReLU with a learned shift."""
    high, nothing = z > 0, where(z == z, 0, z)
    slope = where(high, alpha, constant(beta, z))
    return _line(slope, z, m), slope, where(high, z, nothing), where(high, nothing, z), constant(1, z)


@pointwise(
    r"\alpha z \text{ if } z > 0 \text{ else } 0.01 \alpha z",
    parameters={"alpha": learned(1.0)},
    **_known_by_slopes(lambda alpha: (alpha, alpha / 100)),
    zero_centered=lambda alpha: alpha == 0,
    reference="Maniatopoulos & Mitianoudis 2021",
)
def lelelu(z, alpha):
    """Leaky learnable ReLU (LeLeLU): a leaky ReLU with a learned factor."""
    leaky = where(z > 0, z, z / 100)
    return scaled(alpha, leaky), where(z > 0, alpha, constant(alpha / 100, z)), leaky


@pointwise(
    r"x + \zeta \text{ if } x > 0 \text{ else } \beta x + \zeta,\quad x = z - \gamma",
    parameters={"beta": learned(0.25), "gamma": learned(0.0), "zeta": learned(0.0)},
    extended=True,
    zero_centered=lambda beta, gamma, zeta: beta == 1 and gamma == zeta,
    range=lambda beta, gamma, zeta: tuple(zeta + end for end in _two_slopes(1.0, beta)["range"]),
    kinks=lambda beta, gamma, zeta: (gamma,) if beta != 1 else (),
    steepest=lambda beta, gamma, zeta: (max(1.0, abs(beta)), gamma + (1.0 if abs(beta) <= 1 else -1.0)),
    **_known_by_slopes(lambda beta, gamma, zeta: (1.0, beta), "range", "kinks", "steepest"),
    reference="Liu, Shen, Savvides & Cheng 2020",
)
def rprelu(z, beta, gamma, zeta):
    """React-PReLU (RPReLU): PReLU with learned shifts of input and output."""
    x = z - gamma
    high, nothing = x > 0, where(z == z, 0, z)
    slope = where(high, 1, constant(beta, z))
    return scaled(slope, x) + zeta, slope, where(high, nothing, x), -slope, constant(1, z)


@pointwise(
    r"(1 + \sigma(\beta)) z \text{ if } z > 0 \text{ else } \operatorname{clip}(\alpha, 0.01, 0.99)\, z",
    parameters={"alpha": learned(0.9), "beta": learned(2.0)},
    extended=True,
    monotonic=True,
    smoothness=0,
    kinks=(0.0,),
    steepest=lambda alpha, beta: (1 + float(logistic(beta)[0]), 1.0),
    reference="Chen, Li & Xu 2020",
)
def arelu(z, alpha, beta):
    """Attention-based ReLU (AReLU). Outside 0.01 to 0.99 alpha counts as the bound, with derivative 0."""
    s, _, ds = logistic(beta)
    high, nothing = z > 0, where(z == z, 0, z)
    held = where(alpha < 0.01, 0.01, where(alpha > 0.99, 0.99, alpha))
    inside = (alpha >= 0.01) & (alpha <= 0.99)
    slope = where(high, 1 + s, constant(held, z))
    return slope * z, slope, where(high | ~inside, nothing, z), where(high, scaled(ds, z), nothing)


@pointwise(
    r"\max(0, \delta - |z|)",
    parameters={"delta": learned(1.0)},
    range=lambda delta: (0.0, max(delta, 0.0)),
    smoothness=lambda delta: 0 if delta > 0 else INFINITY,
    monotonic=lambda delta: delta <= 0,
    zero_centered=lambda delta: delta <= 0,
    saturates="both",
    kinks=lambda delta: (-delta, 0.0, delta) if delta > 0 else (),
    steepest=lambda delta: (1.0, delta / 2) if delta > 0 else (0.0, 0.0),
    reference="Rozsa & Boult 2019",
)
def tent(z, delta):
    """Tent of learned width delta; 0 everywhere where training takes delta below 0."""
    size, one = abs(z), constant(1, z)
    outside = (z <= -delta) | (z > delta)
    return (
        where(size >= delta, 0, delta - size),
        where(outside, 0, where(z <= 0, one, -one)),
        where(outside, 0, one),
    )


_ELASTIC = {"alpha": Parameter(0.1, 0.0, 1.0), "u": Parameter(0.5, 0.0, 1.0, role="random")}


@formula
def _elastic(alpha, u):
    """A slope drawn from U(1 - alpha, 1 + alpha), and how far the draw is from the middle."""
    middle = 2 * u - 1
    return fma(alpha, middle, 1), middle


@pointwise(
    r"k \max(0, z),\quad k = 1 + \alpha (2u - 1)",
    parameters=_ELASTIC,
    range=(0.0, INFINITY),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=lambda alpha, u: (1 + alpha * (2 * u - 1), 1.0),
    reference="Jiang et al. 2018",
)
def elastic_relu(z, alpha, u):
    """Elastic ReLU (EReLU): its slope is drawn from U(1 - alpha, 1 + alpha) in training and 1 in evaluation."""
    k, middle = _elastic(alpha, u)
    low = z <= 0
    rectified = where(low, 0, z)
    return scaled(k, rectified), where(low, 0, constant(k, z)), scaled(middle, rectified), scaled(2 * alpha, rectified)


@pointwise(
    r"k z \text{ if } z > 0 \text{ else } a z,\quad k = 1 + \alpha (2u - 1)",
    parameters={"a": learned(0.25), **_ELASTIC},
    zero_centered=lambda a, alpha, u: a == 1 + alpha * (2 * u - 1),
    **_known_by_slopes(lambda a, alpha, u: (1 + alpha * (2 * u - 1), a)),
    reference="Jiang et al., in Kunc & Kléma 2024, 4.2.25",
)
def elastic_prelu(z, a, alpha, u):
    """Elastic PReLU (EPReLU): an elastic ReLU with a learned slope below 0."""
    k, middle = _elastic(alpha, u)
    high, nothing = z > 0, where(z == z, 0, z)
    rectified = where(high, z, nothing)
    slope = where(high, k, constant(a, z))
    return scaled(slope, z), slope, where(high, nothing, z), scaled(middle, rectified), scaled(2 * alpha, rectified)

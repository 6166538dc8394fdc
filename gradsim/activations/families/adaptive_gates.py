"""Gated activations, z times a gate between 0 and 1, whose gate or line is learned."""

from __future__ import annotations

from gradsim.activations.families.extremes import highest, lowest, steepest
from gradsim.activations.families.gates import logistic, times
from gradsim.activations.families.pieces import INFINITY, constant, learned, logistic_root, scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import exp, sech_squared, softplus, sqrt, tanh, where


@formula
def _acon(z, line, spread, beta):
    """spread z s(beta spread z) + line z, its slope, its derivatives in spread and beta, and z times the closed gate.

    Where the gate is open the slopes of the lines are added first, and what the gate holds back is taken off.
    """
    y = scaled(spread, z)
    x = scaled(beta, y)
    s, rest, root = logistic_root(x)
    moved, part = times(z, root), times(x, root)
    lean = where(x >= 0, (line + spread) - spread * rest, spread * s + line)
    return (
        times(z, lean),
        lean + spread * part * root,
        times(z, s) + times(moved, part),
        times(y, root) * times(y, root),
        times(z, rest) - times(moved, part),
    )


# The largest slope s(x) + x s'(x) of x s(x), and where.
_SWISH_STEEPEST, _SWISH_STEEPEST_AT = 1.099839320128867, 2.399357280515468


def _acon_steepest(low: float, high: float, beta: float) -> tuple[float, float]:
    """The slope runs from low - excess to high + excess of the difference of the two lines."""
    spread = high - low
    if beta * spread == 0:
        return abs(low + high) / 2, 0.0
    at = _SWISH_STEEPEST_AT / beta / spread
    return max((abs(low + share * spread), at * sign) for sign, share in _ACON_EXTREMES)


_ACON_EXTREMES = ((1, _SWISH_STEEPEST), (-1, 1 - _SWISH_STEEPEST))


def _acon_saturates(low: float, high: float, beta: float) -> str:
    """A smooth maximum of two lines has the smaller slope at -inf, a smooth minimum (beta below 0) the larger."""
    ends = sorted((low, high), reverse=beta < 0) if beta else [(low + high) / 2] * 2
    return {(True, True): "both", (True, False): "low", (False, True): "high"}.get(tuple(e == 0 for e in ends), "none")


def _acon_monotonic(low: float, high: float, beta: float) -> bool:
    if beta * (high - low) == 0:
        return low + high >= 0
    return min(low, high) >= (_SWISH_STEEPEST - 1) * abs(high - low)


def _acon_range(act: object, low: float, high: float, beta: float, /, **values: float) -> tuple[float, float]:
    """Unbounded where an outer line, of slope low or high, leads there; else extremes as far as the gate is moving."""
    bend = beta * (high - low)
    left, right = sorted((low, high), reverse=beta < 0) if bend else [(low + high) / 2] * 2
    reach = 50 / abs(bend) if bend else 1.0
    return (
        -INFINITY if left > 0 or right < 0 else lowest(act, -reach, reach, **values),
        INFINITY if left < 0 or right > 0 else highest(act, -reach, reach, **values),
    )


@pointwise(
    r"(1 - p) z\,\sigma(\beta (1 - p) z) + p z",
    parameters={"p": learned(0.25), "beta": learned(1.0)},
    extended=True,
    range=lambda p, beta: _acon_range(acon_b, p, 1.0, beta, p=p, beta=beta),
    zero_centered=lambda p, beta: beta * (1 - p) == 0,
    monotonic=lambda p, beta: _acon_monotonic(p, 1.0, beta),
    saturates=lambda p, beta: _acon_saturates(p, 1.0, beta),
    steepest=lambda p, beta: _acon_steepest(p, 1.0, beta),
    reference="Ma et al. 2021",
)
def acon_b(z, p, beta):
    """ACON-B: a smooth maximum of z and p z, with learned p and beta."""
    value, slope, _, d_beta, d_p = _acon(z, p, 1 - p, beta)
    return value, slope, d_p, d_beta


@pointwise(
    r"(p_1 - p_2) z\,\sigma(\beta (p_1 - p_2) z) + p_2 z",
    parameters={"p1": learned(1.0), "p2": learned(0.0), "beta": learned(1.0)},
    extended=True,
    range=lambda p1, p2, beta: _acon_range(acon_c, p2, p1, beta, p1=p1, p2=p2, beta=beta),
    zero_centered=lambda p1, p2, beta: beta * (p1 - p2) == 0,
    monotonic=lambda p1, p2, beta: _acon_monotonic(p2, p1, beta),
    saturates=lambda p1, p2, beta: _acon_saturates(p2, p1, beta),
    steepest=lambda p1, p2, beta: _acon_steepest(p2, p1, beta),
    reference="Ma et al. 2021",
)
def acon_c(z, p1, p2, beta):
    """ACON-C: a smooth maximum of two lines of learned slopes, with a learned switch beta."""
    value, slope, d_p1, d_beta, d_p2 = _acon(z, p2, p1 - p2, beta)
    return value, slope, d_p1, d_p2, d_beta


@pointwise(
    r"z \tanh(\alpha \sigma(z))",
    aliases=("tsrelul",),
    parameters={"alpha": learned(0.5)},
    extended=True,
    range=lambda alpha: (
        lowest(psgu, -50, 50, alpha=alpha) if alpha >= 0 else -INFINITY,
        highest(psgu, -50, 50, alpha=alpha) if alpha <= 0 else INFINITY,
    ),
    zero_centered=lambda alpha: alpha == 0,
    monotonic=lambda alpha: alpha == 0,
    saturates=lambda alpha: "low" if alpha else "both",
    steepest=lambda alpha: steepest(psgu, -50, 50, alpha=alpha),
    reference="Li et al. (PSGU); Mercioni, Tat & Holban (TSReLUl), in Kunc & Kléma 2024, 4.4.7",
)
def psgu(z, alpha):
    """Parameterized self-circulating gating unit (PSGU), also TSReLU learnable."""
    s, _, rise = logistic(z)
    x = alpha * s
    opened, flat = tanh(x), sech_squared(x)
    moved = times(z, s)
    return times(z, opened), opened + alpha * flat * times(z, rise), scaled(flat, moved)


def _spans(delta: float, theta: float) -> tuple[tuple[float, float], ...]:
    """Where softplus bends, and where the gate of EIS-1 opens."""
    return (-50.0, 50.0), (-20 / theta, 20 / theta)


@pointwise(
    r"\frac{z \log(1 + e^z)}{z + \delta e^{-\theta z}}",
    parameters={"delta": Parameter(1.16, 0.7, 1e3), "theta": Parameter(1.0, 0.6, 1e3)},
    extended=True,
    range=lambda **values: (min(lowest(eis_1, *span, **values) for span in _spans(**values)), INFINITY),
    saturates="low",
    steepest=lambda **values: max(steepest(eis_1, *span, **values) for span in _spans(**values)),
    reference="Biswas et al. 2020",
)
def eis_1(z, delta, theta):
    """EIS-1: softplus, gated by z/(z + delta e^(-theta z))."""
    negative, far = z < 0, z > 1
    t = exp(-theta * abs(z))
    # z/(z + delta e^(-theta z)) and e^(-theta z)/(z + delta e^(-theta z))^2, each side in terms of the small t.
    under = where(negative, times(z, t) + delta, where(far, 1, z) + delta * t / where(far, z, 1))
    opened = where(negative, times(z, t), where(far, 1, z)) / under
    n = where(far, z, 1)
    small = where(t == 0, 0, t / (under * under))
    plus, (s, _, _) = softplus(z), logistic(z)
    lead = times(where(far, 1, z), plus / n)
    moved = times(lead, small)
    slope = delta * (times(plus / n, small) / n + theta * moved) + opened * s
    return times(plus, opened), slope, -moved, delta * times(times(z, lead), small)


@pointwise(
    r"\frac{z \log(1 + e^z)}{\sqrt{\beta + \gamma z^2}}",
    parameters={"beta": Parameter(1.0, 1e-3, 1e3), "gamma": Parameter(1.0, 1e-3, 1e3)},
    extended=True,
    range=lambda **values: (lowest(eis_2, -50, 50, **values), INFINITY),
    saturates="low",
    steepest=lambda beta, gamma: steepest(eis_2, -50, 50 + 3 * (beta / gamma) ** 0.5, beta=beta, gamma=gamma),
    reference="Biswas et al. 2020",
)
def eis_2(z, beta, gamma):
    """EIS-2: softplus times an inverse square root unit."""
    size = abs(z)
    n = where(z > 1, 1, where(z < -1, -1, z))
    r = where(size > 1, 1 / size, constant(1, z))
    g = sqrt(beta * r * r + gamma * n * n)
    u, inverse = n / g, r / g
    plus, (s, _, _) = softplus(z), logistic(z)
    level = where(z > 1000, u, plus * inverse)
    return u * plus, beta * level * inverse * inverse + u * s, u * level * inverse / -2, u * u * u / -2 * plus

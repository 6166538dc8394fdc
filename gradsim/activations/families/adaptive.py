"""Activations whose parameters are learned with the network, one value a unit. Derivatives hold for all real values."""

from __future__ import annotations

import itertools

from gradsim.activations.families.periodic import snake_parts
from gradsim.activations.families.pieces import learned, scaled
from gradsim.activations.families.rectified import leaky_parts, leaky_properties
from gradsim.activations.families.smooth import product, swish_parts
from gradsim.activations.registry import pointwise
from gradsim.jit import formula
from gradsim.lanes import exp, expm1, log1p, where

_INF = float("inf")


@pointwise(
    r"\max(0, z) + a \min(0, z)",
    parameters={"slope": learned(0.25)},
    reference="He, Zhang, Ren & Sun 2015",
    **leaky_properties(lambda slope: slope),
)
def prelu(z, slope):
    """Parametric rectified linear unit; the slope at 0 is that of the negative side.

    It starts at 0.25 as in the paper and PyTorch; flax starts at 0.01, Keras at 0.
    """
    return leaky_parts(z, slope)


@pointwise(
    r"\max(z, \tau)",
    parameters={"tau": learned(0.0)},
    range=lambda tau: (tau, _INF),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=lambda tau: (tau,),
    steepest=lambda tau: (1.0, tau + 1),
    reference="Singh & Krishnan 2020",
)
def tlu(z, tau):
    """Thresholded linear unit, a rectifier at a learned level; the slope at it is 0, as relu's (TensorFlow takes 1)."""
    low = z <= tau
    return where(low, tau, z), where(low, 0, where(z == z, 1, z)), where(low, 1, where(z == z, 0, z))


# --- piecewise linear -----------------------------------------------------------------------------


def _linear_properties(pieces) -> dict[str, object]:
    """What is known of a piecewise linear function.

    `pieces(**parameters)` are (start, slope, offset) from left to right, the first of them from -inf: offset + slope z.
    """

    def extremes(found):
        ends = [(p[0], q[0]) for p, q in zip(found, [*found[1:], (_INF, 0, 0)], strict=True)]
        values = []
        for (low, high), (_, slope, offset) in zip(ends, found, strict=True):
            for end in (low, high):
                values.append(offset + (slope * end if slope else 0.0))
        return min(values), max(values)

    def kinks(found):
        return tuple(q[0] for p, q in itertools.pairwise(found) if p[1:] != q[1:])

    def jump(found):
        gaps = [abs((q[1] - p[1]) * q[0] + q[2] - p[2]) for p, q in itertools.pairwise(found)]
        return max(gaps) > 1e-12 * max(1.0, *(abs(p[2]) for p in found))

    def steepest(found):
        i = max(range(len(found)), key=lambda i: abs(found[i][1]))
        low = found[i][0]
        high = found[i + 1][0] if i + 1 < len(found) else _INF
        inside = high - 1 if low == -_INF else low + 1 if high == _INF else 0.5 * (low + high)
        return abs(found[i][1]), inside

    def saturates(found):
        flat = (found[0][1] == 0, found[-1][1] == 0)
        return {(True, True): "both", (True, False): "low", (False, True): "high", (False, False): "none"}[flat]

    def monotonic(found):
        falls = [(q[1] - p[1]) * q[0] + q[2] - p[2] < -1e-12 for p, q in itertools.pairwise(found)]
        return all(p[1] >= 0 for p in found) and not any(falls)

    return {
        "range": lambda **p: extremes(pieces(**p)),
        "monotonic": lambda **p: monotonic(pieces(**p)),
        "smoothness": lambda **p: (-1 if jump(pieces(**p)) else 0) if kinks(pieces(**p)) else _INF,
        "saturates": lambda **p: saturates(pieces(**p)),
        "kinks": lambda **p: kinks(pieces(**p)),
        "steepest": lambda **p: steepest(pieces(**p)),
        "zero_centered": lambda **p: all(q[1:] == (1, 0) for q in pieces(**p)),
    }


def _srelu_pieces(t_r, a_r, t_l, a_l):
    left, right = (a_l, t_l - a_l * t_l), (t_r, a_r, t_r - a_r * t_r)
    return [(-_INF, *left), (t_l, 1.0, 0.0), right] if t_l < t_r else [(-_INF, *left), right]


@pointwise(
    r"t_r + a_r (z - t_r) \text{ if } z \ge t_r, z \text{ if } t_l < z < t_r, "
    r"t_l + a_l (z - t_l) \text{ if } z \le t_l",
    parameters={"t_r": learned(1.0), "a_r": learned(1.0), "t_l": learned(0.0), "a_l": learned(0.2)},
    extended=True,
    reference="Jin, Xu, Feng, Wei, Xiong & Yan 2016",
    **_linear_properties(_srelu_pieces),
)
def srelu(z, t_r, a_r, t_l, a_l):
    """S-shaped rectified linear unit: identity between two thresholds, lines of their own from these on.

    Starts as a leaky rectifier (a_r = 1, t_l = 0), as the paper's is in its first epochs; the paper then takes t_r from
    the data. Where training pushes t_l past t_r, the right line comes first.
    """
    right = z >= t_r
    left = ~right & (z <= t_l)
    nothing = where(z == z, 0, z)
    slope = where(right, a_r, where(left, a_l, where(z == z, 1, z)))
    offset = where(right, t_r - a_r * t_r, where(left, t_l - a_l * t_l, 0))
    return (
        offset + scaled(slope, z),
        slope,
        where(right, 1 - a_r, nothing),
        where(right, z - t_r, nothing),
        where(left, 1 - a_l, nothing),
        where(left, z - t_l, nothing),
    )


def _apl_pieces(a1, b1, a2, b2):
    starts = [-_INF, *sorted({0.0, *(b for a, b in ((a1, b1), (a2, b2)) if a)})]
    pieces = []
    for start in starts:
        on = [(a, b) for a, b in ((a1, b1), (a2, b2)) if start < b]
        pieces.append((start, (start >= 0) - sum(a for a, _ in on), float(sum(a * b for a, b in on))))
    return pieces


@pointwise(
    r"\max(0, z) + a_1 \max(0, b_1 - z) + a_2 \max(0, b_2 - z)",
    parameters={"a1": learned(0.0), "b1": learned(0.5), "a2": learned(0.0), "b2": learned(-0.5)},
    extended=True,
    reference="Agostinelli, Hoffman, Sadowski & Baldi 2015",
    **_linear_properties(_apl_pieces),
)
def apl(z, a1, b1, a2, b2):
    """Adaptive piecewise linear unit with two hinges; where a hinge or the rectifier bends, its slope is 0, as relu's.

    Starts as relu: a = 0 is the mean of the authors' random initial a, b = +-0.5 one standard deviation of their b.
    """
    first, second = z < b1, z < b2
    nothing = where(z == z, 0, z)
    slope = where(z > 0, 1, nothing) - where(first, a1, 0) - where(second, a2, 0)
    offset = where(first, a1 * b1, 0) + where(second, a2 * b2, 0)
    return (
        offset + scaled(slope, z),
        slope,
        where(first, b1 - z, nothing),
        where(first, a1, nothing),
        where(second, b2 - z, nothing),
        where(second, a2, nothing),
    )


# --- smooth ---------------------------------------------------------------------------------------


@formula
def _exp_chord(u):
    """(e^u (u - 1) + 1)/u^2 near 0."""
    h = 1 / 5760 + u * (1 / 45360 + u * (1 / 403200 + u / 3991680))
    return 0.5 + u * (1 / 3 + u * (1 / 8 + u * (1 / 30 + u * (1 / 144 + u * (1 / 840 + u * h)))))


@formula
def _log_chord(v):
    """(v + e^-v - 1)/v^2 near 0."""
    h = 1 / 40320 - v * (1 / 362880 - v * (1 / 3628800 - v / 39916800))
    return 0.5 - v * (1 / 6 - v * (1 / 24 - v * (1 / 120 - v * (1 / 720 - v * (1 / 5040 - v * h)))))


@pointwise(
    r"-\frac{\ln(1 - \alpha (z + \alpha))}{\alpha} \text{ if } \alpha < 0, z \text{ if } \alpha = 0, "
    r"\frac{e^{\alpha z} - 1}{\alpha} + \alpha \text{ if } \alpha > 0",
    parameters={"alpha": learned(0.0)},
    range=lambda alpha: (alpha - 1 / alpha if alpha > 0 else -_INF, _INF),
    zero_centered=lambda alpha: alpha == 0,
    monotonic=True,
    saturates=lambda alpha: "none" if alpha == 0 else "low" if alpha > 0 else "high",
    steepest=lambda alpha: (1.0, 0.0) if alpha == 0 else (_INF, _INF if alpha > 0 else 1 / alpha - alpha),
    extended=True,
    reference="Godfrey & Gashler 2015",
)
def soft_exponential(z, alpha):
    """Soft exponential: logarithm for alpha < 0, identity for 0, exponential for alpha > 0.

    Starts as the identity, as the authors' own code does. For alpha < 0 it is defined from z = 1/alpha - alpha on: NaN
    below. The derivative in alpha, z^2/2 + 1 at alpha = 0, is taken from series where alpha z is small.
    """
    u = scaled(alpha, z)
    e, bounded = exp(u), where(u < -1000, -1000, u)
    rising = where(abs(u) < 1e-30, z, expm1(u) / alpha) + alpha
    near, far = z * (z * _exp_chord(where(abs(u) < 0.02, u, 0))), (e * (bounded - 1) + 1) / (alpha * alpha)
    rising_in_alpha = where(abs(u) < 0.02, near, far) + 1

    w = -alpha * (z + alpha)
    v, r = log1p(w), 1 / (1 + w)
    falling = where(abs(w) < 1e-30, z + alpha, -v / alpha)
    near, far = falling * (falling * _log_chord(where(abs(v) < 0.02, v, 0))), (v + expm1(-v)) / (alpha * alpha)
    falling_in_alpha = where(abs(v) < 0.02, near, far) + r

    logarithmic = alpha < 0
    return (
        where(logarithmic, falling, rising),
        where(logarithmic, where(w < -1, v, r), e),
        where(logarithmic, falling_in_alpha, rising_in_alpha),
    )


@pointwise(
    r"z\,\sigma(\beta z)",
    parameters={"beta": learned(1.0)},
    range=lambda beta: (
        -0.2784645427610738 / beta if beta > 0 else -_INF,
        -0.2784645427610738 / beta if beta < 0 else _INF,
    ),
    zero_centered=lambda beta: beta == 0,
    monotonic=lambda beta: beta == 0,
    saturates=lambda beta: "none" if beta == 0 else "low" if beta > 0 else "high",
    steepest=lambda beta: (1.099839320128867, 2.399357280515468 / beta) if beta else (0.5, 0.0),
    reference="Ramachandran, Zoph & Le 2017",
)
def trainable_swish(z, beta):
    """Swish whose beta is learned, from 1 (`silu`) on; beta = 0 is z/2, a large beta `relu`."""
    u, lost = product(beta, z)
    return swish_parts(z, u, lost)


@pointwise(
    r"z + \frac{1}{a} \sin^2(a z)",
    parameters={"frequency": learned(1.0)},
    zero_centered=lambda frequency: frequency == 0,
    monotonic=True,
    steepest=lambda frequency: (2.0, 0.7853981633974483 / frequency) if frequency else (1.0, 0.0),
    extended=True,
    reference="Ziyin, Hartwig & Ueda 2020",
)
def trainable_snake(z, frequency):
    """Snake whose frequency is learned, from 1 on, as in TensorFlow Addons' layer; a frequency of 0 is the identity."""
    return snake_parts(z, frequency)

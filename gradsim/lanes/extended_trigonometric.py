"""Sine, cosine, tangent and their inverses of `Extended` pairs, over the full range.

High and low part are each reduced to a fraction of a quarter turn as plain lanes are (quarters.py, which keeps about
100 bits), and the polynomials are those of the plain functions with their leading terms in pairs.
"""

from __future__ import annotations

from numba import types

from gradsim.jit import device, device_overload, formula
from gradsim.lanes import trigonometric
from gradsim.lanes.elementary import MAGIC_64
from gradsim.lanes.extended import Extended, declare, emitted, extend, low_part, rounded
from gradsim.lanes.pairs import Pair, Plain, choose, fast_two_sum, polynomial, square_root, with_sign
from gradsim.lanes.quarters import HALF_PI_64, TWO_OVER_PI, quarters_64
from gradsim.lanes.vector import bits, fma, rint, where

# --- sine and cosine ------------------------------------------------------------------------------

SIN_LEADING = (
    (-0.16666666666666666, -9.25185853854297e-18),
    (0.008333333333333333, 1.1564823173178714e-19),
    (-0.0001984126984126984, -1.7209558293420705e-22),
)
SIN_TAIL = (
    2.7557319223985876e-06,
    -2.5052108385324982e-08,
    1.605904368570176e-10,
    -7.64709524924489e-13,
    2.7987849615212536e-15,
)
COS_LEADING = (
    (-0.5, 0.0),
    (0.041666666666666664, 2.3129646346357427e-18),
    (-0.001388888888888889, 5.300543954373577e-20),
)
COS_TAIL = (
    2.48015873015873e-05,
    -2.755731922398576e-07,
    2.087675698762301e-09,
    -1.147074542851017e-11,
    4.779424511761687e-14,
    -1.5543182109815457e-16,
)
HALF_PI = HALF_PI_64[:2]


def _plus(a: Plain, b: Pair) -> Pair:
    """a + b where a is the larger, or 0."""
    s, e = fast_two_sum(a, b.high)
    return Pair(s, e + b.low)


@emitted(lambda kind: types.UniTuple(kind, 2))
def _near_zero(r: Pair) -> tuple[Pair, Pair]:
    """sin(r), cos(r) for abs(r) up to pi/4 and a little more."""
    w = r.product(r)
    s = _plus(r.high, r.product(w).product(polynomial(w, SIN_LEADING, SIN_TAIL)))
    sine = Pair(s.high, s.low + r.low)
    cosine = _plus(r.high.of(1), w.product(polynomial(w, COS_LEADING, COS_TAIL)))
    return sine.normalized(), cosine.normalized()


@device
def _quarters_of(x):
    return quarters_64(x)


@formula
def _sin_cos(x):
    n, r, s = _quarters_of(rounded(x))
    # Beyond 2^53 the low part has whole turns of its own.
    m, t, u = _quarters_of(low_part(x))
    r = (extend(r) - s) + (extend(t) - u)
    k = rint(rounded(r) * TWO_OVER_PI)
    r = fma(k, -HALF_PI[1], fma(k, -HALF_PI[0], r))
    quarter = n + m + bits(k + MAGIC_64)
    s, c = _near_zero(r)
    odd = (quarter & 1) == 1
    sine, cosine = where(odd, c, s), where(odd, s, c)
    return where((quarter & 2) == 2, -sine, sine), where(((quarter + 1) & 2) == 2, -cosine, cosine)


def _on_pairs(body):
    """An overload of one argument, for `Extended` alone."""

    def choose(x):
        return (lambda x: body(x)) if isinstance(x, Extended) else None

    return choose


@formula
def _sin(x):
    return _sin_cos(x)[0]


@formula
def _cos(x):
    return _sin_cos(x)[1]


@formula
def _tan(x):
    s, c = _sin_cos(x)
    return s / c


for _function, _body in (
    (trigonometric.sin_cos, _sin_cos),
    (trigonometric.sin, _sin),
    (trigonometric.cos, _cos),
    (trigonometric.tan, _tan),
):
    device_overload(_function)(_on_pairs(_body))


# --- inverses -------------------------------------------------------------------------------------

ATAN_LEADING = (
    (-0.3333333333333333, -1.850371707708594e-17),
    (0.2, -1.1102230246251566e-17),
)
ATAN_TAIL = (
    -0.14285714285714285,
    0.11111111111111086,
    -0.09090909090891823,
    0.07692307687826143,
    -0.06666666083238622,
    0.05882310190080303,
    -0.05261311536832335,
    0.04715123028831835,
    -0.03698183044695511,
)
# From a bound on, the angle of this tangent is taken off: (bound, tangent, angle as a pair).
ANGLES = (
    (0.19891236737965801, 0.4142, (0.3926875054336765, -2.015754797630719e-17)),
    (0.66817863791929892, 1.0, (0.7853981633974483, 3.061616997868383e-17)),
    (1.4966057626654890, 2.414, (1.1780659672490903, -8.210183494927069e-18)),
)
LARGE = 5.0273394921258481


def atan(x: Pair) -> Pair:
    """atan(z) = angle + atan((z - tangent)/(1 + z tangent)), pi/2 - atan(1/z) for large z, with z = abs(x)."""
    z = abs(x)
    # Larger arguments are pi/2 to all bits, and inf would leave nothing of the quotient.
    z = choose(z.high.compare(">", 1e40), 1e40, z)
    tangent = angle = z.of(0)
    for bound, value, parts in ANGLES:
        beyond = z.high.compare(">", bound)
        tangent, angle = choose(beyond, value, tangent), choose(beyond, z.of(parts), angle)
    large = z.high.compare(">", LARGE)
    over, under = choose(large, -1, z - tangent), choose(large, z, 1 + z * tangent)
    angle = choose(large, z.of(HALF_PI), angle)

    t = over.quotient(under).tidied()
    w = t.product(t)
    c = t.product(w).product(polynomial(w, ATAN_LEADING, ATAN_TAIL))
    s, e = fast_two_sum(t.high, c.high)
    h, rest = fast_two_sum(angle.high, s)
    return with_sign(Pair(h, rest + (e + c.low + t.low + angle.low)).normalized(), x)


def asin(x: Pair) -> Pair:
    return atan(x / square_root((1 - x) * (1 + x)))


def acos(x: Pair) -> Pair:
    return 2 * atan(square_root((1 - x) / (1 + x)))


for _function, _emit in ((trigonometric.atan, atan), (trigonometric.asin, asin), (trigonometric.acos, acos)):
    declare(_function, _emit, 1)

"""Activations with learned parameters, of the founding texts and of libraries."""

from __future__ import annotations

from mpmath import mp

from oracles import dual as d
from oracles import oracle


@oracle
def prelu(z, slope=0.25):
    return z if z > 0 else slope * z


@oracle
def tlu(z, tau=0.0):
    return z if z > tau else tau


@oracle
def srelu(z, t_r=1.0, a_r=1.0, t_l=0.0, a_l=0.2):
    # t + a (z - t), multiplied out: z is not lost beside t.
    if z >= t_r:
        return a_r * z + t_r * (1 - a_r)
    return a_l * z + t_l * (1 - a_l) if z <= t_l else z


@oracle
def apl(z, a1=0.0, b1=0.5, a2=0.0, b2=-0.5):
    # The hinges that are on, multiplied out: at large z their sum may be smaller than each by far.
    on = [(a, b) for a, b in ((a1, b1), (a2, b2)) if z < b]
    return ((1 if z > 0 else 0) - sum(a for a, _ in on)) * z + sum(a * b for a, b in on)


@oracle
def soft_exponential(z, alpha=0.0):
    if alpha < 0:
        if alpha * (z + alpha) > 1:
            return z * alpha * mp.nan
        return -d.log1p(-alpha * (z + alpha)) / alpha
    u = alpha * z
    if abs(u) < 1e-8:  # the series: at alpha = 0 the formula is 0/0
        return z * (1 + u / 2 * (1 + u / 3 * (1 + u / 4 * (1 + u / 5)))) + alpha
    return d.expm1(u) / alpha + alpha


@oracle
def trainable_swish(z, beta=1.0):
    return z * d.sigmoid(beta * z)


@oracle(limits={"-inf": ("-inf",), "inf": ("inf",)})
def trainable_snake(z, frequency=1.0):
    return z + d.sin(frequency * z) ** 2 / frequency if frequency != 0 else z * (1 + frequency * z)

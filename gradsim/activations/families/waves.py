"""Oscillating activations: waves that grow, decay or ride on a line. Where there is no limit at infinity it is NaN."""

from __future__ import annotations

import math

from gradsim.activations.families.extremes import lowest, steepest
from gradsim.activations.families.gates import logistic, times
from gradsim.activations.families.pieces import INFINITY, constant, one_minus_cos, sin_cos_of, sin_rest, sinc_slope
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import exp, sin_cos, where

# pi to 106 bits.
_PI, _PI_LOW = math.pi, 1.2246467991473532e-16
_GOLDEN = (5**0.5 - 1) / 2


@pointwise(
    r"z \cos z",
    extended=True,
    zero_centered=True,
    steepest=(INFINITY, INFINITY),
    reference="Noel, Trivedi & Dutta 2021",
)
def gcu(z):
    """Growing cosine unit (GCU)."""
    s, c = sin_cos(z)
    return z * c, c - z * s


@pointwise(
    r"z \sin z",
    extended=True,
    steepest=(INFINITY, INFINITY),
    reference="Rahman et al., in Kunc & Kléma 2024, 3.34",
)
def asu(z):
    """Amplifying sine unit (ASU)."""
    s, c = sin_cos(z)
    return z * s, s + z * c


@pointwise(
    r"1 - \cos z",
    extended=True,
    range=(0.0, 2.0),
    steepest=(1.0, math.pi / 2),
    reference="Kunc & Kléma 2024, 3.30",
)
def cosine(z):
    """Cosine, upside down and lifted to start at 0."""
    return one_minus_cos(z)


@pointwise(
    r"\cos z - z",
    extended=True,
    steepest=(2.0, math.pi / 2),
    reference="Eger, Youssef & Gurevych 2018",
)
def cosid(z):
    """Cosid: a cosine on the falling diagonal."""
    s, c = sin_cos(z)
    return where(abs(z) == INFINITY, -z, c - z), -1 - s


@pointwise(
    r"\sin z - a z",
    parameters={"a": Parameter(1.5, 0.0, 1e6)},
    extended=True,
    range=lambda a: (-INFINITY, INFINITY) if a else (-1.0, 1.0),
    zero_centered=True,
    steepest=lambda a: (1 + a, math.pi),
    reference="Chan et al., in Kunc & Kléma 2024, 3.32",
)
def sinp(z, a):
    """SinP: a sine less a line of slope a."""
    s, _ = sin_cos(z)
    rise, _ = one_minus_cos(z)
    # Near 0 the sine and the line cancel for a = 1, where the slope does everywhere.
    value = where(abs(z) < 0.25, sin_rest(z, s) + (1 - a) * z, s - a * z)
    return where((abs(z) == INFINITY) & (a > 0), -a * z, value), (1 - a) - rise, -z


@formula
def _sinc_at(z, shift_sign, s, c):
    """sin(y)/y and its slope at y = z - pi or z + pi, given sin(z) and cos(z)."""
    y = (z - shift_sign * _PI) - shift_sign * _PI_LOW
    return -s / y, sinc_slope(y, -s, -c)


@pointwise(
    r"\pi \frac{\sin(z - \pi)}{z - \pi}",
    extended=True,
    range=(-0.6824595705010304, math.pi),
    saturates="both",
    steepest=(1.3703055927694596, 1.0600166757716927),
    reference="Noel et al. 2021",
)
def ssu(z):
    """Shifted sinc unit (SSU)."""
    s, c = sin_cos(z)
    value, slope = _sinc_at(z, 1, s, c)
    end = abs(z) == INFINITY
    return where(end, 0, _PI * value), where(end, 0, _PI * slope)


@pointwise(
    r"\frac{\pi}{2} \left(\frac{\sin(z - \pi)}{z - \pi} - \frac{\sin(z + \pi)}{z + \pi}\right)",
    extended=True,
    range=(-1.6364081368248818, 1.6364081368248818),
    zero_centered=True,
    saturates="both",
    steepest=(1.0, 0.0),
    reference="Noel et al. 2021",
)
def dsu(z):
    """Decaying sine unit (DSU), pi^2 sin(z)/(pi^2 - z^2)."""
    s, c = sin_cos(z)
    end, near = abs(z) == INFINITY, abs(z) < 6
    left, left_slope = _sinc_at(z, 1, s, c)
    right, right_slope = _sinc_at(z, -1, s, c)
    far = where(near, 10, z)
    under = (_PI / far - 1) * (_PI / far + 1)
    wave, lean = s / far / far / under, c / far / far / under
    value = where(near, _PI / 2 * (left - right), _PI * _PI * wave)
    slope = where(near, _PI / 2 * (left_slope - right_slope), _PI * _PI * (lean + 2 * wave / far / under))
    return where(end, 0, value), where(end, 0, slope)


@pointwise(
    r"\sin(\omega z)",
    parameters={"omega": Parameter(30.0, 1e-6, 100.0)},
    extended=True,
    range=(-1.0, 1.0),
    zero_centered=True,
    steepest=lambda omega: (omega, 0.0),
    reference="Sitzmann et al. 2020",
)
def siren(z, omega):
    """The sine of sinusoidal representation networks (SIREN)."""
    s, c = sin_cos_of(omega, z)
    return s, omega * c, z * c


@formula
def _wavy_gate(z, wave, wave_slope):
    """(z + wave) s(z) and its slope; the wave is NaN at infinity, the gate closes on that at -inf."""
    s, _, rise = logistic(z)
    line = where(abs(z) == INFINITY, z, z + wave)
    value = times(line, s)
    slope = where(s == 0, 0, (1 + wave_slope) * s) + times(z + wave, rise)
    return value, slope, s


def _learned_wave(a: float, b: float) -> dict[str, Parameter]:
    return {"a": Parameter(a, -1e6, 1e6, role="learned"), "b": Parameter(b, -100.0, 100.0, role="learned")}


@pointwise(
    r"(z + a \sin(b z))\,\sigma(z)",
    parameters=_learned_wave(1.0, 1.0),
    extended=True,
    range=lambda a, b: (lowest(sinlu, -60, 60, a=a, b=b), INFINITY),
    saturates="low",
    steepest=lambda a, b: steepest(sinlu, -60, 60, a=a, b=b),
    reference="Paul et al. 2022",
)
def sinlu(z, a, b):
    """Sinu-sigmoidal linear unit (SinLU)."""
    s, c = sin_cos_of(b, z)
    value, slope, opened = _wavy_gate(z, a * s, where(a == 0, 0, a * b * c))
    return value, slope, where(opened == 0, 0, s * opened), times(where(a == 0, 0, a * (z * c)), opened)


@pointwise(
    r"(z + a \cos(b z))\,\sigma(z)",
    parameters=_learned_wave(1.0, 1.0),
    extended=True,
    range=lambda a, b: (lowest(coslu, -60, 60, a=a, b=b), INFINITY),
    saturates="low",
    steepest=lambda a, b: steepest(coslu, -60, 60, a=a, b=b),
    reference="Pishchik 2023",
)
def coslu(z, a, b):
    """Cosinu-sigmoidal linear unit (CosLU)."""
    s, c = sin_cos_of(b, z)
    value, slope, opened = _wavy_gate(z, a * c, where(a == 0, 0, -a * b * s))
    return value, slope, where(opened == 0, 0, c * opened), times(where(a == 0, 0, -a * times(z, s)), opened)


@pointwise(
    r"\min(z, \sin z)",
    extended=True,
    range=(-INFINITY, 1.0),
    smoothness=2,
    steepest=(1.0, -1.0),
    reference="Eger, Youssef & Gurevych 2018",
)
def minsin(z):
    """Minsin: the identity below 0, a sine above."""
    s, c = sin_cos(z)
    return where(z < 0, z, s), where(z < 0, 1, c)


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \epsilon (\sin z - \cos z)",
    parameters={"epsilon": Parameter(0.0025, 0.0, 0.5)},
    extended=True,
    range=lambda epsilon: (-epsilon * 2**0.5, INFINITY),
    monotonic=lambda epsilon: epsilon == 0,
    smoothness=lambda epsilon: -1 if epsilon else 0,
    saturates=lambda epsilon: "none" if epsilon else "low",
    kinks=(0.0,),
    steepest=(1.0, 1.0),
    reference="Rodrigues 2018",
)
def sine_relu(z, epsilon):
    """SineReLU. It jumps by epsilon at 0; the author's own code takes the larger of line and wave, which does not."""
    s, c = sin_cos(z)
    low = z <= 0
    wave = where(low, s - c, where(z == z, 0, z))
    value = where(low, where(epsilon == 0, 0, epsilon * wave), z)
    return value, where(low, where(epsilon == 0, 0, epsilon * (s + c)), constant(1, z)), wave


@pointwise(
    r"e^{-\sin(a z)}",
    parameters={"a": Parameter(1.0, 1e-6, 100.0)},
    extended=True,
    range=(1 / math.e, math.e),
    # cos(x) e^(-sin x) is largest where sin(x) = (1 - sqrt 5)/2.
    steepest=lambda a: (a * _GOLDEN**0.5 * math.exp(_GOLDEN), -math.asin(_GOLDEN) / a),
    reference="Ramasinghe & Lucey 2022",
)
def exp_sin(z, a):
    """ExpSin of coordinate networks."""
    s, c = sin_cos_of(a, z)
    e = exp(-s)
    lean = -c * e
    return e, a * lean, z * lean

"""Squashing activations whose slope or height is learned."""

from __future__ import annotations

import math

from gradsim.activations.families.gates import logistic, times
from gradsim.activations.families.pieces import INFINITY, constant, learned, logistic_root, scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import exp, log_sigmoid, sech_squared, tanh, where


@pointwise(
    r"z \text{ if } z > 0 \text{ else } \alpha \tanh(\beta z)",
    parameters={"alpha": learned(1.0), "beta": learned(1.0)},
    extended=True,
    range=lambda alpha, beta: (-abs(alpha) if alpha * beta > 0 else 0.0, INFINITY),
    monotonic=lambda alpha, beta: alpha * beta >= 0,
    smoothness=lambda alpha, beta: 2 if alpha * beta == 1 else 0,
    saturates="low",
    kinks=lambda alpha, beta: () if alpha * beta == 1 else (0.0,),
    steepest=lambda alpha, beta: (max(1.0, abs(alpha * beta)), 1.0 if abs(alpha * beta) <= 1 else 0.0),
    reference="Duggal & Gupta 2017",
)
def ptelu(z, alpha, beta):
    """Parametric tanh linear unit (P-TELU); the paper keeps alpha and beta above 0, the formula holds for all."""
    low, nothing = z <= 0, where(z == z, 0, z)
    under = where(low, z, nothing)
    x = scaled(beta, under)
    bend, rise = tanh(x), sech_squared(x)
    slope = where(low, alpha * beta * rise, constant(1, z))
    return where(low, alpha * bend, z), slope, bend, scaled(alpha, times(under, rise))


_STEEPNESS = {"n": Parameter(10.0, 1e-6, 1e6), "a": learned(0.1)}


@pointwise(
    r"\tanh(n a z)",
    parameters=_STEEPNESS,
    extended=True,
    range=lambda n, a: (-1.0, 1.0) if a else (0.0, 0.0),
    zero_centered=True,
    monotonic=lambda n, a: a >= 0,
    saturates="both",
    steepest=lambda n, a: (abs(n * a), 0.0),
    reference="Jagtap, Kawaguchi & Karniadakis 2020",
)
def adaptive_tanh(z, n, a):
    """Tanh with a learned steepness a, made n times faster to learn."""
    x = scaled(n * a, z)
    t = exp(-abs(x))
    # The root of the slope in x, sech(x).
    root = 2 * t / (1 + t * t)
    return tanh(x), n * a * root * root, times(scaled(a, z), root) * root, times(n * z, root) * root


@pointwise(
    r"\sigma(n a z)",
    parameters=_STEEPNESS,
    extended=True,
    range=lambda n, a: (0.0, 1.0) if a else (0.5, 0.5),
    monotonic=lambda n, a: a >= 0,
    saturates="both",
    steepest=lambda n, a: (abs(n * a) / 4, 0.0),
    reference="Jagtap, Kawaguchi & Karniadakis 2020",
)
def adaptive_sigmoid(z, n, a):
    """Logistic sigmoid with a learned steepness a, made n times faster to learn."""
    s, _, root = logistic_root(scaled(n * a, z))
    return s, n * a * root * root, times(scaled(a, z), root) * root, times(n * z, root) * root


@pointwise(
    r"\sigma(z)^m",
    parameters={"m": learned(1.0)},
    extended=True,
    range=lambda m: (0.0, 1.0) if m > 0 else (1.0, INFINITY) if m < 0 else (1.0, 1.0),
    monotonic=lambda m: m >= 0,
    saturates=lambda m: "both" if m >= 0 else "high",
    # m s^m (1 - s) is largest where s = m/(1 + m).
    steepest=lambda m: (
        (math.exp((m + 1) * math.log(m / (1 + m))), math.log(m)) if m > 0 else (INFINITY if m else 0.0, -INFINITY)
    ),
    reference="Chandra & Singh 2004",
)
def psf(z, m):
    """Parametric sigmoid function (PSF): a power m of the logistic sigmoid, unbounded below 0 where m is below 0."""
    height = log_sigmoid(z)
    value = exp(scaled(m, height))
    _, rest, _ = logistic(z)
    return value, scaled(m, value) * rest, times(height, value)

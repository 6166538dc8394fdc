"""Piecewise linear activations of the published field, with fixed parameters. At a kink the slope is the left one."""

from __future__ import annotations

from gradsim.activations.families.pieces import INFINITY, constant, scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import fma, where


@pointwise(
    r"\max(-\delta, z)",
    aliases=("shifted_relu",),
    parameters={"delta": Parameter(1.0, 0.0, 1e6)},
    range=lambda delta: (-delta, INFINITY),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=lambda delta: (-delta,),
    steepest=lambda delta: (1.0, 1.0),
    reference="Macêdo et al. 2019; delta = 1: Clevert, Unterthiner & Hochreiter 2016",
)
def displaced_relu(z, delta):
    """Displaced ReLU (DReLU, DisReLU); with delta = 1, the default, the shifted ReLU."""
    low = z <= -delta
    one = constant(1, z)
    return where(low, -delta, z), where(low, 0, one), where(low, -1, where(z == z, 0, z))


@pointwise(
    r"\max(0, z - a)",
    parameters={"delay": Parameter(0.06, 0.0, 1e6)},
    range=(0.0, INFINITY),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=lambda delay: (delay,),
    steepest=lambda delay: (1.0, delay + 1),
    reference="Shan, Li & Chen, in Kunc & Kléma 2024",
)
def delay_relu(z, delay):
    """Delay ReLU (DRLU): a ReLU moved to the right."""
    low = z <= delay
    one = constant(1, z)
    return where(low, 0, z - delay), where(low, 0, one), where(low, 0, -one)


@pointwise(
    r"z \text{ if } z > 0 \text{ else } z/3",
    monotonic=True,
    smoothness=0,
    kinks=(0.0,),
    steepest=(1.0, 1.0),
    reference="Graham 2014",
)
def very_leaky_relu(z):
    """Very leaky ReLU: a third of what is negative goes through."""
    return where(z > 0, z, z / 3), where(z > 0, 1, constant(1 / 3, z))


@pointwise(
    r"\min(\max(0, z), A)",
    aliases=("brelu",),
    parameters={"bound": Parameter(1.0, 1e-6, 1e6)},
    range=lambda bound: (0.0, bound),
    monotonic=True,
    smoothness=0,
    saturates="both",
    kinks=lambda bound: (0.0, bound),
    steepest=lambda bound: (1.0, bound / 2),
    reference="Liew, Khalil-Hani & Bakhteri 2016",
)
def bounded_relu(z, bound):
    """Bounded ReLU (BReLU)."""
    high, one = z > bound, constant(1, z)
    flat = (z <= 0) | high
    return where(z <= 0, 0, where(high, bound, z)), where(flat, 0, one), where(high, 1, where(z == z, 0, z))


@pointwise(
    r"a z \text{ if } z \le 0,\ z \text{ if } z \le b \text{ else } a (z - b) + b",
    aliases=("blrelu",),
    parameters={"slope": Parameter(0.01, 0.0, 1.0), "bound": Parameter(1.0, 1e-6, 1e6)},
    range=lambda slope, bound: (-INFINITY, INFINITY) if slope else (0.0, bound),
    zero_centered=lambda slope, bound: slope == 1,
    monotonic=True,
    smoothness=lambda slope, bound: 0 if slope < 1 else INFINITY,
    saturates=lambda slope, bound: "none" if slope else "both",
    kinks=lambda slope, bound: (0.0, bound) if slope < 1 else (),
    steepest=lambda slope, bound: (1.0, bound / 2),
    reference="Liew, Khalil-Hani & Bakhteri 2016",
)
def bounded_leaky_relu(z, slope, bound):
    """Bounded leaky ReLU (BLReLU): leaky on both sides of the unit's working range."""
    high, low = z > bound, z <= 0
    outside = high | low
    over = where(high, z - bound, where(low, z, where(z == z, 0, z)))
    value = where(outside, fma(slope, over, where(high, bound, 0)), z)
    # A slope of 0 has its limit at infinity, where 0 * z is NaN.
    value = where(outside & (slope == 0), where(high, bound, 0), value)
    return value, where(outside, slope, constant(1, z)), over, where(high, 1 - slope, where(z == z, 0, z))


@pointwise(
    r"|z|",
    aliases=("modulus",),
    range=(0.0, INFINITY),
    smoothness=0,
    kinks=(0.0,),
    steepest=(1.0, 1.0),
    reference="Hu 2018; Vallés-Pérez et al. 2023",
)
def v_relu(z):
    """V-shaped ReLU (vReLU), the modulus; the slope at 0 is 0, as PyTorch's abs has it."""
    return abs(z), where(z > 0, 1, where(z < 0, -1, z))


@pointwise(
    r"\max(0, 1 - |z|)",
    range=(0.0, 1.0),
    smoothness=0,
    saturates="both",
    kinks=(-1.0, 0.0, 1.0),
    steepest=(1.0, 0.5),
    reference="Zhao & Griffin 2016",
)
def mirrored_relu(z):
    """Mirrored ReLU (mReLU): a triangle that is silent at unusual inputs."""
    size, one = abs(z), constant(1, z)
    slope = where((z <= -1) | (z > 1), 0, where(z <= 0, one, -one))
    return where(size >= 1, 0, 1 - size), slope


@pointwise(
    r"\max(\alpha (z + c) - c, \min(\alpha (z - c) + c, z))",
    parameters={"alpha": Parameter(0.1, 0.0, 1.0), "c": Parameter(1.0, 1e-6, 1e6)},
    range=lambda alpha, c: (-INFINITY, INFINITY) if alpha else (-c, c),
    zero_centered=True,
    monotonic=True,
    smoothness=lambda alpha, c: 0 if alpha < 1 else INFINITY,
    saturates=lambda alpha, c: "none" if alpha else "both",
    kinks=lambda alpha, c: (-c, c) if alpha < 1 else (),
    steepest=(1.0, 0.0),
    reference="Nicolae 2018",
)
def plu(z, alpha, c):
    """Piecewise linear unit: tanh from three straight lines."""
    high, low, nothing = z > c, z <= -c, where(z == z, 0, z)
    bend, outside = where(high, c, where(low, -c, nothing)), high | low
    over = where(outside, z - bend, nothing)
    value = where(outside, bend + scaled(alpha, over), z)
    d_c = where(high, 1 - alpha, where(low, alpha - 1, nothing))
    return value, where(outside, alpha, constant(1, z)), over, d_c

"""Piecewise linear activations and their quadratic relatives. At a kink the slope is the one that PyTorch takes.

Every branch is written out by `where`, in an order that costs few instructions and lets NaN through: a comparison with
NaN is false, so the last branch is the one that NaN takes.
"""

from __future__ import annotations

from collections.abc import Callable

from gradsim.activations.families.pieces import scaled
from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import fma, where

_INF = float("inf")


@formula
def leaky_parts(z, slope):
    """Value, slope and derivative in the slope of a leaky rectifier."""
    return where(z > 0, z, scaled(slope, z)), where(z > 0, 1, where(z <= 0, slope, z)), where(z > 0, 0, z)


def leaky_properties(negative: Callable[..., float]) -> dict[str, Callable]:
    """What is known of a rectifier with the slope `negative(**parameters)` below 0."""
    return {
        "range": lambda **p: (0.0 if negative(**p) <= 0 else -_INF, _INF),
        "zero_centered": lambda **p: negative(**p) == 1,
        "monotonic": lambda **p: negative(**p) >= 0,
        "smoothness": lambda **p: _INF if negative(**p) == 1 else 0,
        "saturates": lambda **p: "low" if negative(**p) == 0 else "none",
        "kinks": lambda **p: () if negative(**p) == 1 else (0.0,),
        "steepest": lambda **p: (max(1.0, abs(negative(**p))), 1.0 if abs(negative(**p)) <= 1 else -1.0),
    }


@pointwise(
    "z",
    aliases=("linear",),
    zero_centered=True,
    monotonic=True,
    steepest=(1.0, 0.0),
    reference="the linear neuron",
)
def identity(z):
    """No activation: a network of these is one linear map."""
    return z, where(z == z, 1, z)


@pointwise(
    r"\max(0, z)",
    range=(0.0, _INF),
    monotonic=True,
    smoothness=0,
    saturates="low",
    kinks=(0.0,),
    steepest=(1.0, 1.0),  # anywhere above 0: at 0 itself the unit is off, on the low side
    reference="Nair & Hinton 2010",
)
def relu(z):
    """Rectified linear unit; the slope at 0 is 0."""
    return where(z <= 0, 0, z), where(z <= 0, 0, where(z > 0, 1, z))


@pointwise(
    r"\max(0, z) + a \min(0, z)",
    parameters={"slope": Parameter(0.01, -1e6, 1e6)},
    reference="Maas, Hannun & Ng 2013",
    **leaky_properties(lambda slope: slope),
)
def leaky_relu(z, slope):
    """Leaky rectified linear unit; the slope at 0 is that of the negative side.

    The default is PyTorch's, JAX's and the paper's; Keras 3 and TensorFlow take 0.2, the layer of Keras 2 takes 0.3.
    """
    return leaky_parts(z, slope)


@pointwise(
    r"\min(\max(0, z), 6)",
    range=(0.0, 6.0),
    monotonic=True,
    smoothness=0,
    saturates="both",
    kinks=(0.0, 6.0),
    steepest=(1.0, 3.0),
    reference="Krizhevsky 2010",
)
def relu6(z):
    """Rectified linear unit that is capped at 6; the slope at 0 and at 6 is 0."""
    low, high = z <= 0, z >= 6
    return where(low, 0, where(high, 6, z)), where(low | high, 0, where(z == z, 1, z))


@pointwise(
    r"H(z) = 0 \text{ if } z < 0 \text{ else } 1",
    aliases=("heaviside",),
    range=(0.0, 1.0),
    monotonic=True,
    smoothness=-1,
    saturates="both",
    kinks=(0.0,),
    steepest=(0.0, 0.0),
    reference="McCulloch & Pitts 1943",
)
def binary_step(z):
    """The threshold neuron: 1 from 0 on, and a slope of 0 everywhere, at the jump as well: nothing to descend."""
    return where(z < 0, 0, where(z >= 0, 1, z)), where(z == z, 0, z)


@pointwise(
    r"\min(\max(z_\mathrm{min}, z), z_\mathrm{max})",
    aliases=("hard_tanh",),
    parameters={"min_val": Parameter(-1.0, -1e6, 0.0), "max_val": Parameter(1.0, 0.0, 1e6)},
    range=lambda min_val, max_val: (min_val, max_val),
    zero_centered=lambda min_val, max_val: min_val == -max_val,
    monotonic=True,
    smoothness=0,
    saturates="both",
    kinks=lambda min_val, max_val: (min_val, max_val),
    steepest=lambda min_val, max_val: (1.0, 0.5 * (min_val + max_val)),
    reference="Collobert 2004",
)
def hardtanh(z, min_val, max_val):
    """Identity between two bounds; the slope at the bounds is 0 (JAX's hard_tanh takes 1 there)."""
    low, high = z <= min_val, z >= max_val
    inside = where(z == z, 0, z)
    return (
        where(low, min_val, where(high, max_val, z)),
        where(low | high, 0, where(z == z, 1, z)),
        where(low, 1, inside),
        where(high & ~low, 1, inside),
    )


@pointwise(
    r"\mathrm{relu6}(z + 3) / 6",
    aliases=("hard_sigmoid",),
    range=(0.0, 1.0),
    monotonic=True,
    smoothness=0,
    saturates="both",
    kinks=(-3.0, 3.0),
    steepest=(1 / 6, 0.0),
    reference="Howard et al. 2019",
)
def hardsigmoid(z):
    """Piecewise linear logistic, as PyTorch, JAX and Keras 3 have it; the slope at -3 and 3 is 0."""
    # The distance to the nearer kink is exact where the result is small, or close to 1.
    rest = 3 - abs(z)
    part = where(rest < 0, 0, rest) * (1 / 6)
    return where(z < 0, part, 1 - part), where(rest <= 0, 0, where(z == z, 1 / 6, z))


@pointwise(
    r"\min(\max(0.2 z + 0.5, 0), 1)",
    range=(0.0, 1.0),
    monotonic=True,
    smoothness=0,
    saturates="both",
    kinks=(-2.5, 2.5),
    steepest=(0.2, 0.0),
    reference="Theano; Keras 2",
)
def hard_sigmoid_keras2(z):
    """The hard sigmoid of Theano and Keras 2, steeper than `hardsigmoid`; the slope at +-2.5 is 0.2, as there."""
    rest = 2.5 - abs(z)
    part = where(rest < 0, 0, rest) * 0.2
    return where(z < 0, part, 1 - part), where(rest < 0, 0, where(z == z, 0.2, z))


@pointwise(
    r"z\,\mathrm{relu6}(z + 3) / 6",
    aliases=("hard_swish", "hard_silu"),
    range=(-0.375, _INF),
    smoothness=0,
    saturates="low",
    kinks=(-3.0, 3.0),
    steepest=(1.5, 2.9999999999999996),  # the limit from the left: at 3 itself the slope is 1
    reference="Howard et al. 2019",
)
def hardswish(z):
    """Piecewise quadratic swish, max(0, z) - abs(z) (3 - abs(z))/6 between the kinks; the slope is 0 at -3, 1 at 3."""
    size = abs(z)
    rest = 3 - size
    bow = where(rest <= 0, 0, size * (1 / 6) * rest)
    # (2 z + 3)/6 in forms that are exact at the root -1.5 and beside the kink 3.
    slope = where(z > 0, fma(rest, -1 / 3, 1.5), (z + z + 3) * (1 / 6))
    # From -3 down `bow` is 0, and NaN where z is: the slope there.
    return where(z <= 0, 0, z) - bow, where(rest > 0, slope, where(z > 0, 1, bow))


@pointwise(
    r"z \text{ if } z > t \text{ else } v",
    parameters={"threshold": Parameter(0.0, -1e6, 1e6), "default_value": Parameter(0.5, -1e6, 1e6)},
    range=lambda threshold, default_value: (min(threshold, default_value), _INF),
    monotonic=lambda threshold, default_value: default_value <= threshold,
    smoothness=lambda threshold, default_value: 0 if default_value == threshold else -1,
    saturates="low",
    kinks=lambda threshold, default_value: (threshold,),
    steepest=lambda threshold, default_value: (1.0, threshold + 1),
    reference="PyTorch; Keras 3",
)
def threshold(z, threshold, default_value):
    """Identity above the threshold, else another value; without defaults in PyTorch and Keras: here PyTorch's example.

    The slope at the threshold is 0. The derivative in the threshold is 0, too: the jump itself is not seen.
    """
    low = z <= threshold
    nothing = where(z == z, 0, z)
    return where(low, default_value, z), where(low, 0, where(z == z, 1, z)), nothing, where(low, 1, nothing)


@pointwise(
    r"z \text{ if } z > \theta \text{ else } 0",
    parameters={"theta": Parameter(1.0, 0.0, 1e6)},
    range=(0.0, _INF),
    monotonic=True,
    smoothness=lambda theta: 0 if theta == 0 else -1,
    saturates="low",
    kinks=lambda theta: (theta,),
    steepest=lambda theta: (1.0, theta + 1),
    reference="Konda, Memisevic & Krueger 2015",
)
def thresholded_relu(z, theta):
    """Identity above theta, else 0 (the TRec unit, Keras' ThresholdedReLU); the slope at theta is 0."""
    low = z <= theta
    return where(low, 0, z), where(low, 0, where(z == z, 1, z)), where(z == z, 0, z)


@pointwise(
    r"\max(0, z)^2",
    aliases=("squared_relu", "relu2"),
    range=(0.0, _INF),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=(_INF, _INF),
    reference="So et al. 2021",
)
def relu_squared(z):
    """Squared rectified linear unit (Primer)."""
    h = where(z <= 0, 0, z)
    return h * h, h + h


@pointwise(
    r"0 \text{ if } z \le -1, \tfrac{1}{4} (z + 1)^2 \text{ if } -1 < z < 1, z \text{ if } z \ge 1",
    range=(0.0, _INF),
    monotonic=True,
    smoothness=1,
    saturates="low",
    steepest=(1.0, 1.0),
    reference="JAX; Keras 3",
)
def sparse_plus(z):
    """Piecewise quadratic softplus, 0 up to -1 and the identity from 1 on; its slope is `sparse_sigmoid`."""
    half = where(z <= -1, 0, 0.5 * (z + 1))
    return where(z >= 1, z, half * half), where(half >= 1, 1, half)


@pointwise(
    r"\min(\max(\tfrac{1}{2} (z + 1), 0), 1)",
    range=(0.0, 1.0),
    monotonic=True,
    smoothness=0,
    saturates="both",
    kinks=(-1.0, 1.0),
    steepest=(0.5, 0.0),
    reference="Courbariaux, Bengio & David 2015; Blondel, Martins & Niculae 2019",
)
def sparse_sigmoid(z):
    """Piecewise linear logistic, the slope of `sparse_plus`; its own slope at -1 and 1 is 0 (JAX takes 1/4 there)."""
    rest = 1 - abs(z)
    part = where(rest < 0, 0, rest) * 0.5
    return where(z < 0, part, 1 - part), where(rest <= 0, 0, where(z == z, 0.5, z))

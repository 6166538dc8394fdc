"""Piecewise linear activations. At the kink the slope is the one that PyTorch takes, written out."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.lanes import where


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
    range=(0.0, float("inf")),
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
    monotonic=True,
    smoothness=0,
    kinks=(0.0,),
    steepest=lambda slope: (max(1.0, abs(slope)), 1.0 if abs(slope) <= 1 else -1.0),
    reference="Maas, Hannun & Ng 2013",
)
def leaky_relu(z, slope):
    """Leaky rectified linear unit; the slope at 0 is that of the negative side."""
    # A slope of 0 has the limit 0 at -inf, where 0 * z is NaN.
    low = where((slope == 0) & (z < 0), 0, slope * z)
    return where(z > 0, z, low), where(z > 0, 1, where(z <= 0, slope, z)), where(z > 0, 0, z)

"""Shrinkage: small inputs give 0, or next to nothing."""

from __future__ import annotations

from gradsim.activations.registry import pointwise
from gradsim.activations.spec import Parameter
from gradsim.jit import formula
from gradsim.lanes import copysign, exp_expm1, fma, where

_INF = float("inf")


@pointwise(
    r"z \text{ if } |z| > \lambda \text{ else } 0",
    aliases=("hard_shrink",),
    parameters={"lambd": Parameter(0.5, 0.0, 1e6)},
    zero_centered=True,
    monotonic=True,
    smoothness=lambda lambd: -1 if lambd else 0,
    kinks=lambda lambd: (-lambd, lambd) if lambd else (0.0,),
    steepest=lambda lambd: (1.0, lambd + 1),
    reference="Donoho & Johnstone 1994",
)
def hardshrink(z, lambd):
    """Hard thresholding: identity beyond lambd, 0 within; the slope at both jumps is 0."""
    small = abs(z) <= lambd
    return where(small, 0, z), where(small, 0, where(z == z, 1, z)), where(z == z, 0, z)


@pointwise(
    r"\mathrm{sign}(z) \max(0, |z| - \lambda)",
    aliases=("soft_shrink",),
    parameters={"lambd": Parameter(0.5, 0.0, 1e6)},
    zero_centered=True,
    monotonic=True,
    smoothness=0,
    kinks=lambda lambd: (-lambd, lambd) if lambd else (0.0,),
    steepest=lambda lambd: (1.0, lambd + 1),
    reference="Donoho & Johnstone 1994",
)
def softshrink(z, lambd):
    """Soft thresholding: towards 0 by lambd, 0 within; the slope at both kinks is 0."""
    small = abs(z) <= lambd
    shift = copysign(lambd, z)
    nothing = where(z == z, 0, z)
    return (
        where(small, 0, z - shift),
        where(small, 0, where(z == z, 1, z)),
        where(small, nothing, where(z > 0, -1, where(z < 0, 1, z))),
    )


@formula
def _tanh_rest(w):
    """(z - tanh(z))/z^3 as a function of w = z^2 in [0, 1], a fit."""
    p = fma(w, -2.5160441116866362307e-8, 2.6334848125504449931e-7)
    p = fma(p, w, -1.3793194780109670273e-6)
    p = fma(p, w, 4.9880382405912627245e-6)
    p = fma(p, w, -0.000014606501923747837011)
    p = fma(p, w, 0.00003838995147853161196)
    p = fma(p, w, -0.000096463005172115849377)
    p = fma(p, w, 0.00023895716105748322077)
    p = fma(p, w, -0.00058997933192145352631)
    p = fma(p, w, 0.0014558247011305004934)
    p = fma(p, w, -0.0035921266808673743778)
    p = fma(p, w, 0.0088632354047411413927)
    p = fma(p, w, -0.021869488529139738874)
    p = fma(p, w, 0.053968253968046740857)
    p = fma(p, w, -0.13333333333333090569)
    return fma(p, w, 0.3333333333333333286)


@pointwise(
    r"z - \tanh z",
    aliases=("tanh_shrink",),
    zero_centered=True,
    monotonic=True,
    steepest=(1.0, _INF),
    reference="PyTorch; TensorFlow Addons",
)
def tanhshrink(z):
    """What tanh takes away; slope tanh^2, so that 0 is a point of rest."""
    size = abs(z)
    t, t_minus_1 = exp_expm1(-2 * size)
    w = where(size > 1, 1, z * z)
    near = size * (w * _tanh_rest(w))
    # Past 1 the difference is taken from 1, which is exact there: (z - 1) + (1 - tanh z).
    return copysign(where(size > 1, (size - 1) + 2 * t / (1 + t), near), z), t_minus_1 * t_minus_1 / fma(t, t + 2, 1)

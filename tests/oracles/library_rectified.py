"""Piecewise linear activations of PyTorch, JAX and Keras, as their documentation defines them."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def relu6(z):
    return d.clip(z, 0, 6)


@oracle
def binary_step(z):
    return d.piecewise_constant(z, d.mpf(1 if z >= 0 else 0))


@oracle
def hardtanh(z, min_val=-1.0, max_val=1.0):
    if z <= min_val:
        return min_val
    return max_val if z >= max_val else z


@oracle
def hardsigmoid(z):
    return d.clip(z + 3, 0, 6) / 6


@oracle
def hard_sigmoid_keras2(z):
    """The documentation of Keras 2: 0 if z < -2.5, 1 if z > 2.5, the line in -2.5 <= z <= 2.5."""
    if z < -2.5:
        return 0
    return 1 if z > 2.5 else z / 5 + d.mpf(0.5)


@oracle
def hardswish(z):
    """PyTorch: the slope at -3 is 0, that at 3 is 1."""
    if z <= -3:
        return 0
    return z if z >= 3 else z * (z + 3) / 6


@oracle
def threshold(z, threshold=0.0, default_value=0.5):
    return z if z > threshold else default_value


@oracle
def thresholded_relu(z, theta=1.0):
    return z if z > theta else 0


@oracle
def relu_squared(z):
    return d.maximum(z, 0) ** 2


@oracle
def sparse_plus(z):
    if z <= -1:
        return 0
    return z if z >= 1 else (z + 1) ** 2 / 4


@oracle
def sparse_sigmoid(z):
    """Keras 3: 0 for z <= -1, 1 for z >= 1, so the slope at both is 0."""
    if z <= -1:
        return 0
    return 1 if z >= 1 else (z + 1) / 2

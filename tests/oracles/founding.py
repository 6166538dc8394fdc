"""The activations of the founding texts, as these give them; kinks as PyTorch has them."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def identity(z):
    return z


@oracle
def sigmoid(z):
    return 1 / (1 + d.exp(-z))


@oracle
def tanh(z):
    return d.tanh(z)


@oracle
def relu(z):
    return z if z > 0 else 0


@oracle
def leaky_relu(z, slope=0.01):
    return z if z > 0 else slope * z


@oracle
def elu(z, alpha=1.0):
    return z if z > 0 else alpha * d.expm1(z)


@oracle
def softplus(z):
    return d.log1p(d.exp(z))


@oracle
def silu(z):
    return z / (1 + d.exp(-z))


@oracle
def gelu(z):
    return z * d.gaussian_cdf(z)

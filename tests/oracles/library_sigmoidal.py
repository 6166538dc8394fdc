"""S-shaped activations of the founding texts and of libraries."""

from __future__ import annotations

from oracles import dual as d
from oracles import oracle


@oracle
def logistic(z, L=1.0, k=1.0, x0=0.0):
    return L * d.sigmoid(k * (z - x0))


@oracle
def scaled_tanh(z, a=1.7159, b=2 / 3):
    return a * d.tanh(b * z)


@oracle
def softsign(z):
    # The second form for large z: the slope of the first is a difference of numbers that agree in every digit.
    return z / (1 + d.absolute(z)) if abs(z) < 1 else d.sign(z) / (1 + 1 / d.absolute(z))


@oracle
def atan(z):
    return d.atan(z)


@oracle
def laplace(z, mu=0.707107, sigma=0.282095):
    """Hugging Face's LaplaceActivation: (1 + erf((z - mu) / (sigma sqrt(2)))) / 2, by the tail."""
    return d.gaussian_cdf((z - mu) / sigma)

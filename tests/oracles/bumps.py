"""Radial functions of one number, and wavelets."""

from __future__ import annotations

from oracles import dual, oracle


@oracle
def inverse_quadratic(z, a=1.0):
    return 1 / (1 + (a * z) ** 2)


@oracle
def inverse_multiquadric(z, a=1.0):
    return 1 / dual.sqrt(1 + (a * z) ** 2)


@oracle
def laplacian(z, a=1.0):
    return dual.exp((-z if z > 0 else z) / a)


@oracle
def super_gaussian(z, a=1.0, b=1.0):
    return dual.exp(-b * z**2 / (2 * a**2))


@oracle
def mexican_hat(z):
    return 2 / (dual.sqrt(dual.mpf(3)) * dual.pi ** dual.mpf(0.25)) * (1 - z**2) * dual.exp(-(z**2) / 2)


@oracle
def morlet(z):
    return dual.exp(-(z**2) / 2) * dual.cos(5 * z)


@oracle
def elephant(z, a=1.0, d=4.0):
    return 1 / (1 + abs(z / a) ** d)

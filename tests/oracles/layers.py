"""Activations that look at more than one number: lists of pre-activations in, lists of outputs out."""

from __future__ import annotations

from oracles import dual, layer_oracle


def _many(z):
    """1 - s has digits only where s is written with many: enough for the smallest share, and at most a float's."""
    return 60 + int(min(700.0, max(map(float, z)) - min(map(float, z))))


@layer_oracle(digits=_many)
def softmax(z):
    exponentials = [dual.exp(x) for x in z]
    total = sum(exponentials)
    return [e / total for e in exponentials]


@layer_oracle(digits=_many)
def softmin(z):
    exponentials = [dual.exp(-x) for x in z]
    total = sum(exponentials)
    return [e / total for e in exponentials]


@layer_oracle(digits=_many)
def log_softmax(z):
    """z_u - log(sum of exp(z_v)), with the sum taken relative to u: of a single unit it is 0."""
    return [-dual.log1p(sum(dual.exp(x - z[u]) for v, x in enumerate(z) if v != u)) for u in range(len(z))]


@layer_oracle
def sparsemax(z):
    """Projection onto the simplex, by sorting (Martins & Astudillo 2016, algorithm 1)."""
    falling = sorted(z, key=lambda x: -x.value)
    support = max(k for k in range(1, len(z) + 1) if 1 + k * falling[k - 1] > sum(falling[:k]))
    tau = (sum(falling[:support]) - 1) / support
    return [x - tau if x > tau else 0 for x in z]


@layer_oracle
def maxout(z, k=2):
    """Of equal ones the first: max() returns it."""
    units = len(z) // k
    return [max(z[u::units], key=dual.value_of) for u in range(units)]


def _gated(gate, z):
    """a gate(b), or gate(a) b: the halves of z, unit by unit."""
    units = len(z) // 2
    return [gate(a, b) for a, b in zip(z[:units], z[units:], strict=True)]


@layer_oracle
def glu(z):
    return _gated(lambda a, b: a * dual.sigmoid(b), z)


@layer_oracle
def reglu(z):
    return _gated(lambda a, b: a * b if a > 0 else 0, z)


@layer_oracle
def geglu(z):
    return _gated(lambda a, b: a * dual.gaussian_cdf(a) * b, z)


@layer_oracle
def swiglu(z):
    return _gated(lambda a, b: a * dual.sigmoid(a) * b, z)


@layer_oracle
def crelu(z):
    return [x if x > 0 else 0 for x in z] + [-x if x < 0 else 0 for x in z]

"""Layerwise activations on random vectors, and their errors against the oracle, for tests and the accuracy table."""

from __future__ import annotations

import functools

import numpy as np
from exactly import DIGITS, beyond
from mpmath import mp
from oracles import LAYER_ORACLES


def vectors(act, dtype, count, seed=0):
    """`count` pairs (pre-activations, upstream) of layers of 1 to 8 units: all scales, some with ties and zeros."""
    random = np.random.default_rng([seed, np.dtype(dtype).itemsize])
    for _ in range(count):
        units = int(random.integers(1, 9))
        z = random.normal(size=units * act.preactivations) * 10 ** random.uniform(-3, 2.3)
        kind = random.integers(0, 8)
        if kind == 0:
            z = np.round(z)
        elif kind == 1:
            z *= 10.0 ** random.uniform(-30, 30, z.size)
        upstream = random.normal(size=units * act.outputs) * 10 ** random.uniform(-3, 3)
        yield z.astype(dtype), upstream.astype(dtype)


def layer_errors(act, z, upstream, bar):
    """{"value": (errors, outputs), "vjp": (errors, results)}: in ulp beyond one ulp of every input, and the results.

    A product with the Jacobian sums products of upstream numbers and slopes: as everywhere each slope may be off by
    `bar` ulp, and what that explains does not count.
    """
    shape = {name: int(act.values[name]) for name in act.with_role("shape")}
    oracle = LAYER_ORACLES[act.name]
    exact = oracle(z, **shape)
    wanted = exact.vjp(upstream)
    steps, steps_above = (_ulps(numbers) for numbers in (z, upstream))
    off = mp.mpf(bar * float(np.finfo(z.dtype).eps))

    @functools.cache
    def moved():
        """The products when one pre-activation moves by one ulp, for each."""
        shifted = ([*z[:k], mp.mpf(float(z[k])) + step, *z[k + 1 :]] for k, step in enumerate(steps))
        return [oracle(numbers, **shape).vjp(upstream) for numbers in shifted]

    def output_explained(i):
        return mp.fdot(map(abs, exact.jacobian[i]), steps)

    def product_explained(j):
        each = [step + off * abs(mp.mpf(float(u))) for step, u in zip(steps_above, upstream, strict=True)]
        by_terms = mp.fdot([abs(row[j]) for row in exact.jacobian], each)
        return by_terms + sum(abs(products[j] - wanted[j]) for products in moved())

    # Gates and chains multiply: a factor below the normal numbers has lost digits before another makes it large again.
    factors = [max(1.0, float(np.abs(numbers).max())) for numbers in (z, upstream)]
    smallest = float(np.finfo(z.dtype).smallest_normal) * min(factors[0] * factors[1], 1e30)
    outputs, product = act(z), act.vjp(z, upstream)
    with mp.workdps(DIGITS):
        return {
            "value": (beyond(outputs, exact.outputs, output_explained, bar, smallest), outputs),
            "vjp": (beyond(product, wanted, product_explained, bar, smallest), product),
        }


def _ulps(numbers):
    return [mp.mpf(float(s)) for s in np.spacing(np.abs(numbers))]

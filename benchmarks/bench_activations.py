"""Every activation's value and slope together, on an array that stays in the cache; names from the table."""

from __future__ import annotations

import numpy as np

SIZE = 16_384


def _names() -> list[str]:
    """The table's names; nothing where gradsim of that commit cannot be imported."""
    try:
        from gradsim.activations import ACTIVATIONS
    except ImportError:
        return []
    return list(ACTIVATIONS)


class ValueAndSlope:
    """Seconds for 16,384 numbers, one thread: of layerwise activations, which have no slope, the outputs."""

    params = (_names(), ["float32"])
    param_names = ("activation", "dtype")
    # There are hundreds: few and short repeats each.
    repeat = (2, 5, 0.1)
    warmup_time = 0.01
    rounds = 1

    def setup(self, name: str, dtype: str) -> None:
        from gradsim.activations import get

        activation = get(name)
        pointwise = activation.kind == "pointwise"
        self.call = activation.value_and_derivative if pointwise else activation
        shape = SIZE if pointwise else (SIZE // 1024, 1024)
        self.z = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        self.call(self.z)  # compiles, or loads from the disk cache

    def time_value_and_derivative(self, name: str, dtype: str) -> None:
        self.call(self.z)


class DoublePrecision(ValueAndSlope):
    """The same in float64, of one activation a kind of formula."""

    params = (sorted({"relu", "sigmoid", "tanh", "silu", "gelu"} & set(_names())), ["float64"])

"""Every activation's block, value and slope together, on an array that stays in the cache; names from the table."""

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
    """Seconds for 16,384 numbers, one thread."""

    params = (_names(), ["float32", "float64"])
    param_names = ("activation", "dtype")

    def setup(self, name: str, dtype: str) -> None:
        from gradsim.activations import get

        self.activation = get(name)
        self.z = np.random.default_rng(0).standard_normal(SIZE).astype(dtype)
        self.activation.value_and_derivative(self.z)  # compiles, or loads from the disk cache

    def time_value_and_derivative(self, name: str, dtype: str) -> None:
        self.activation.value_and_derivative(self.z)

"""Initial weights: every initializer is a recipe over common base numbers.

A weight is `shift + normal * N + uniform * U + truncated * T` with N standard normal, U uniform on [-1, 1] and T the N
of the same place bent to a normal number cut off at two, drawn from counters that know only the seed, the layer and the
weight's place; some initializers then treat the matrix as a whole. The same seed therefore draws the same base numbers
under every initializer: comparisons are paired. Biases are drawn the same way from a stream of their own.

`INITIALIZERS` is the table; `docs/definitions.md` says what each is.
"""

from __future__ import annotations

from gradsim.initializers.methods import METHODICAL, zeros_of
from gradsim.initializers.parametrization import ntk_learning_rates
from gradsim.initializers.record import (
    AUTO,
    METHODS,
    MOST_NUMBERS,
    TRUNCATED_STD,
    Gain,
    Initializer,
    Layer,
    Option,
    Scales,
    Start,
    Whole,
    gain_of,
)
from gradsim.initializers.scaled import PLAIN, SCALED, fan_of

INITIALIZERS = {initializer.name: initializer for initializer in (*PLAIN, *SCALED, *METHODICAL)}

__all__ = [
    "AUTO",
    "INITIALIZERS",
    "METHODS",
    "MOST_NUMBERS",
    "TRUNCATED_STD",
    "Gain",
    "Initializer",
    "Layer",
    "Option",
    "Scales",
    "Start",
    "Whole",
    "fan_of",
    "gain_of",
    "ntk_learning_rates",
    "zeros_of",
]

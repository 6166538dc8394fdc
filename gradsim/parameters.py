"""Numbers that a choice takes: defaults, bounds, and the error for a value outside them."""

from __future__ import annotations

import dataclasses
import math
import sys

import numpy as np

from gradsim.errors import UsageError, short


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A number of an activation, initializer, loss, optimizer or schedule: its default and its closed bounds."""

    default: float
    low: float = -np.inf
    high: float = np.inf

    def check(self, owner: str, name: str, value: object) -> float:
        """The value as a float; UsageError naming the owner, the parameter and what is allowed."""
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise UsageError(f"{owner}: parameter {name!r} is {short(value)}; a number is needed")
        # An integer may be larger than any float.
        large = isinstance(value, int) and abs(value) > sys.float_info.max
        number = math.inf if large else float(value)
        if not (self.low <= number <= self.high and abs(number) < math.inf):
            bounds = f"{self.low:g} to {self.high:g}" if np.isfinite([self.low, self.high]).any() else "finite numbers"
            shown = f"{value:g}" if isinstance(value, float) else short(value)
            raise UsageError(f"{owner}: parameter {name!r} is {shown}; allowed: {bounds}")
        return number

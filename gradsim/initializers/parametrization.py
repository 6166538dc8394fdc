"""The neural-tangent-kernel parametrization as learning rates of the standard one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradsim.errors import UsageError, short


def ntk_learning_rates(learning_rate: float, fans_in: Sequence[int], gain: float = 1.0) -> list[float]:
    """The rate of each layer that makes standard training that of the neural-tangent-kernel parametrization.

    There a layer computes `z = c (w h + b)` with `c = gain / sqrt(fan_in)` and trains w and b, drawn from N(0, 1). In
    the standard parametrization `W = c w`, so that W starts from N(0, c^2) (the initializer "ntk"), and a step of w at
    `learning_rate` is a step of W at `c^2 * learning_rate`, which is what this gives, one number a layer.

    The two train alike, exactly, under optimizers that are linear in the gradient (gradient descent, momentum,
    Nesterov) without weight decay and clipping. The biases are then those of a unit that is always 1; where they are to
    have a scale of their own, as in Jacot et al., leave them out (`bias = False`).

    fans_in: inputs of each layer: features, then units of each hidden layer. Raises UsageError for other input.
    Source: Jacot, Gabriel & Hongler 2018.
    """
    for name, value in (("learning_rate", learning_rate), ("gain", gain)):
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < math.inf:
            raise UsageError(f"{name} = {short(value)}: must be a finite number of at least 0")
    fans = list(fans_in) if isinstance(fans_in, list | tuple | range | np.ndarray) else None
    whole = int | np.integer
    if not fans or any(isinstance(m, bool) or not isinstance(m, whole) or m < 1 for m in fans):
        raise UsageError(f"fans_in = {short(fans_in)}: must be a list of whole numbers of at least 1")
    return [float(learning_rate * gain**2 / m) for m in fans]

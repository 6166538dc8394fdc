"""Training steps over network shapes, one thread: seconds, and the share of the multiply-add peak of the same run.

Quality beside speed: the loss after training is tracked too, so that fast and wrong shows.
"""

from __future__ import annotations

import statistics
from itertools import pairwise

import numpy as np

# name: (widths, activation, batch, groups, steps)
SHAPES = {
    "16-16-1 tanh": ((16, 16, 1), "tanh", 16, 16, 200),
    "64-32-32-10 relu": ((64, 32, 32, 10), "relu", 64, 4, 40),
    "64-[32]x10-10 tanh": ((64, *[32] * 10, 10), "tanh", 64, 2, 20),
    "2-8-8-2 relu": ((2, 8, 8, 2), "relu", 32, 16, 200),
    "784-128-128-10 relu": ((784, 128, 128, 10), "relu", 128, 1, 4),
}
REPEATS = 5


class Training:
    """The engine on plain arrays: no records, no files."""

    params = (list(SHAPES), ["float32", "float64"])
    param_names = ("shape", "dtype")

    def setup(self, shape: str, dtype: str) -> None:
        from gradsim.lanes import LANES

        widths, activation, batch, groups, steps = SHAPES[shape]
        rng = np.random.default_rng(0)
        n = groups * LANES[np.dtype(dtype)]
        weights = [
            ((rng.standard_normal((n, a, b)) * np.sqrt(1 / a)).astype(dtype), np.zeros((n, b), dtype))
            for a, b in pairwise(widths)
        ]
        X = rng.standard_normal((steps, batch, widths[0])).astype(dtype)
        y = rng.standard_normal((steps, batch, widths[-1])).astype(dtype)
        self.arguments = (weights, X, y, activation, "mean_squared_error", np.full(n, 0.01))
        macs = [a * b for a, b in pairwise(widths)]
        self.flops = n * steps * 2 * batch * (3 * sum(macs) - macs[0])
        self._train()

    def _train(self) -> tuple[list, float]:
        from gradsim.engine.arrays import train_arrays

        return train_arrays(*self.arguments, threads=1)

    def time_training(self, shape: str, dtype: str) -> None:
        self._train()

    def track_share_of_peak(self, shape: str, dtype: str) -> float:
        """Floating point operations over what the machine's FMA units could do in the same moment."""
        from gradsim.engine.peak import fma_peak

        seconds = statistics.median(self._train()[1] for _ in range(REPEATS))
        return self.flops / seconds / 1e9 / fma_peak(1, dtype, 0.2)

    def track_weight_change(self, shape: str, dtype: str) -> float:
        """Root mean square of what training changed: the same number at every commit."""
        after = self._train()[0]
        pairs = [
            (a, b) for layer, new in zip(self.arguments[0], after, strict=True) for a, b in zip(layer, new, strict=True)
        ]
        return float(np.sqrt(np.mean(np.concatenate([(b - a).ravel() ** 2 for a, b in pairs]))))

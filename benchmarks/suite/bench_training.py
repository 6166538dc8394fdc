"""Training steps over network shapes as asv itself takes time, with its statistics; and that they compute the same.

`bench_engine` has the same shapes, and many more settings, beside the multiply-add peak.
"""

from __future__ import annotations

import time
from itertools import pairwise

# name: (widths, activation, batch, groups, steps)
SHAPES = {
    "16-16-1 tanh": ((16, 16, 1), "tanh", 16, 16, 200),
    "64-32-32-10 relu": ((64, 32, 32, 10), "relu", 64, 4, 40),
    "64-[32]x10-10 tanh": ((64, *[32] * 10, 10), "tanh", 64, 2, 20),
    "2-8-8-2 relu": ((2, 8, 8, 2), "relu", 32, 16, 200),
    "784-128-128-10 relu": ((784, 128, 128, 10), "relu", 128, 1, 4),
}


class Training:
    """The engine on plain arrays: no records, no files, one thread."""

    params = (list(SHAPES), ["float32", "float64"])
    param_names = ("shape", "dtype")
    # Set-up comes before every sample: it draws and trains once.
    timer = time.process_time  # one thread, which other processes do not slow down
    repeat = (5, 20, 1.0)
    rounds = 2
    warmup_time = 0.0

    def setup(self, shape: str, dtype: str) -> None:
        import numpy as np

        try:
            from gradsim.engine.arrays import train_arrays
            from gradsim.lanes import LANES
        except ImportError:
            raise NotImplementedError from None
        widths, activation, batch, groups, steps = SHAPES[shape]
        rng = np.random.default_rng(0)
        n = groups * LANES[np.dtype(dtype)]
        weights = [
            ((rng.standard_normal((n, a, b)) * np.sqrt(1 / a)).astype(dtype), np.zeros((n, b), dtype))
            for a, b in pairwise(widths)
        ]
        X = rng.standard_normal((steps, batch, widths[0])).astype(dtype)
        y = rng.standard_normal((steps, batch, widths[-1])).astype(dtype)
        arguments = (weights, X, y, activation, "mean_squared_error", np.full(n, 0.01))
        self.begin, self.train = weights, lambda: train_arrays(*arguments, threads=1)
        self.train()  # compiles, or loads from the disk cache

    def time_training(self, shape: str, dtype: str) -> None:
        self.train()

    def track_weight_change(self, shape: str, dtype: str) -> float:
        """Root mean square of what training changed: the same number at every commit."""
        import numpy as np

        after = self.train()[0]
        pairs = [(a, b) for layer, new in zip(self.begin, after, strict=True) for a, b in zip(layer, new, strict=True)]
        return float(np.sqrt(np.mean(np.concatenate([(b - a).ravel() ** 2 for a, b in pairs]))))

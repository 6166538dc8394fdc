"""Random bits of the data: a Philox generator by purpose and data seed, the same on every machine."""

from __future__ import annotations

import numpy as np

# Streams keep the split, the generated points and the replaced labels independent under one data seed.
SPLIT_STREAM, POINTS_STREAM, LABELS_STREAM = 1, 2, 3


def philox(stream: int, data_seed: int) -> np.random.Philox:
    """The generator of one stream under `data_seed`, 0 to 2**64 - 1."""
    return np.random.Philox(key=(stream << 64) | int(data_seed))

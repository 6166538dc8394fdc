"""Initializers that look at a whole matrix, lane by lane: no place in a group draws otherwise than the others."""

from __future__ import annotations

import numpy as np
import pytest
from initializer_help import defaults, layer, mean_within, networks

from gradsim.initializers import INITIALIZERS
from gradsim.lanes import LANES

GROUPS = 200
DRAWN = [name for name, entry in INITIALIZERS.items() if entry.method in ("orthogonal", "sparse", "asymmetric")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DRAWN)
def test_every_lane_has_the_moments(name, dtype):
    lanes = LANES[np.dtype(dtype)]
    ((W, _),) = networks((3, 4), name, seeds=range(lanes * GROUPS), dtype=dtype)
    mean, variance = INITIALIZERS[name].moments(layer(3, 4), **defaults(name))
    for lane in range(lanes):
        mine = W.reshape(12, -1)[:, lane::lanes].astype(np.float64)
        assert mine.shape == (12, GROUPS)
        assert len(np.unique(mine, axis=1).T) == GROUPS
        assert mean_within(mine.mean(axis=0), mean)
        assert mean_within((mine**2).mean(axis=0), variance + mean**2)


def test_which_initializers_these_are():
    assert DRAWN == ["orthogonal", "sparse", "randomized_asymmetric"]

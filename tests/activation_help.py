"""Every activation with its default and with other parameters, and the inputs that test it."""

from __future__ import annotations

import numpy as np
import pytest
from exactly import around

from gradsim.activations import ACTIVATIONS

# The package's own: other test modules may enter activations of theirs.
NAMES = [name for name, act in ACTIVATIONS.items() if act.function.__module__.startswith("gradsim.")]
DTYPES = {"float32": np.float32, "float64": np.float64}
every_name = pytest.mark.parametrize("name", NAMES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)


def other_values(act):
    """Parameter values off the defaults, inside their bounds."""
    return {k: float(np.clip(1.7 * p.default + 0.05, p.low, p.high)) for k, p in act.parameters.items()}


SETTINGS = [ACTIVATIONS[name] for name in NAMES]
SETTINGS += [act.with_values(**other_values(act)) for act in SETTINGS if act.parameters]
every_setting = pytest.mark.parametrize("act", SETTINGS, ids=lambda act: act.label)


# The worst of 80,000 random inputs in either precision, where the slope is far from 0.
HARD = {
    "sigmoid": [1.8760501, 4.8406588, -0.197738, -0.10034],
    "tanh": [-2.0712221, 3.11816, -0.0440712],
    "silu": [-2.4574379572662246, -2.406707232797908, -2.379566149554278, -2.3985252380371094, -2.4628896713256836],
    "gelu": [-1.17252, -1.58346, -5.4896536, -4.3432999],
}


def inputs(name, dtype):
    """About 4000: dense where it bends, over the whole range of exp, log-spaced to both ends, around special points."""
    limits, random = np.finfo(dtype), np.random.default_rng(NAMES.index(name) if name in NAMES else 0)
    edge = -np.log(float(limits.smallest_normal))
    low, high = float(limits.smallest_normal), float(limits.max) / 2
    rising = np.concatenate([np.geomspace(low, 20, 300), np.geomspace(20, high, 100)])
    spread = [random.uniform(-r, r, n) for r, n in ((edge, 800), (6, 1400), (16, 600), (1, 300))]
    special = around([0, 1, -1, 0.75, -0.75, -1.2785, np.sqrt(2), 1.5, -1.5, 60, -60, 1000, -1000], dtype)
    return np.concatenate([*spread, rising, -rising, special, HARD.get(name, [])]).astype(dtype)

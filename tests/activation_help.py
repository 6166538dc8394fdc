"""Every activation with default and other parameters, the inputs that test it, and what its blocks make of them."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exactly import around, spread_inputs
from oracles import ORACLES

from gradsim.activations import ACTIVATIONS, get
from gradsim.lanes import LANES

# The package's own: other test modules may enter activations of theirs.
OWN = [name for name, act in ACTIVATIONS.items() if act.function.__module__.startswith("gradsim.")]
NAMES = [name for name in OWN if ACTIVATIONS[name].kind == "pointwise"]
LAYERWISE = [name for name in OWN if ACTIVATIONS[name].kind == "layerwise"]
DTYPES = {"float32": np.float32, "float64": np.float64}
every_name = pytest.mark.parametrize("name", NAMES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)

# What the founding texts name, and what torch.nn, jax.nn, flax.linen, keras.activations and TensorFlow Addons have, by
# gradsim's names or aliases: these are held to 4 ulp, the rest of the published field to 16.
_HELD_TO_4_ULP = """
    logistic sigmoid tanh relu softplus leaky_relu prelu rrelu maxout softmax identity binary_step arctan softsign elu
    srelu apl bent_identity soft_exponential sinusoid sinc gaussian
    relu6 hardtanh hardsigmoid hardswish celu selu gelu gelu_tanh silu mish hardshrink softshrink tanhshrink logsigmoid
    threshold glu softmin log_softmax squareplus sparse_plus sparse_sigmoid sparsemax exponential lisht snake
"""
FOUNDING_AND_LIBRARIES = tuple(_HELD_TO_4_ULP.split())


def bar(name: str) -> float:
    """The largest error allowed, in ulp beyond what one ulp of the input explains."""
    held = {get(known).name for known in FOUNDING_AND_LIBRARIES if _is_there(known)}
    return 4.0 if name in held else 16.0


@functools.cache
def _is_there(name):
    return name in ACTIVATIONS or any(name in act.aliases for act in ACTIVATIONS.values())


# --- settings ---------------------------------------------------------------------------


def other_values(act):
    """Parameter values off the defaults, inside their bounds; shapes stay."""
    return {
        k: float(np.clip(1.7 * p.default + 0.05, p.low, p.high)) for k, p in act.parameters.items() if p.role != "shape"
    }


def rounded(act, dtype):
    """The activation with the parameters that lanes of this precision hold."""
    return dataclasses.replace(act, values={k: float(dtype(v)) for k, v in act.values.items()})


SETTINGS = [ACTIVATIONS[name] for name in NAMES]
SETTINGS += [act.with_values(**other_values(act)) for act in SETTINGS if act.parameters]
LAYER_SETTINGS = [ACTIVATIONS[name] for name in LAYERWISE]
LAYER_SETTINGS += [act.with_values(**dict.fromkeys(act.parameters, 3)) for act in LAYER_SETTINGS if act.parameters]
every_setting = pytest.mark.parametrize("act", SETTINGS, ids=lambda act: act.label)


# --- inputs -----------------------------------------------------------------------------

# The worst of 80,000 random inputs in either precision, where the slope is far from 0.
HARD = {
    "sigmoid": [1.8760501, 4.8406588, -0.197738, -0.10034],
    "tanh": [-2.0712221, 3.11816, -0.0440712],
    "silu": [-2.4574379572662246, -2.406707232797908, -2.379566149554278, -2.3985252380371094, -2.4628896713256836],
    "gelu": [-1.17252, -1.58346, -5.4896536, -4.3432999],
}


def special_points(act):
    """Where an activation changes its ways: its kinks, and where it is steepest."""
    points = [p for p in (*act.kinks, act.steepest_at) if np.isfinite(p)]
    return sorted(set(map(float, points)) - {0.0})


def setting_inputs(act, dtype, count=None):
    """About `count` inputs for an activation with its present parameters, sorted, -0, +-inf and NaN last.

    Where no count is given, 300, and 150 where the parameters are not the defaults: the dense sets are for
    benchmarks/accuracy.py.
    """
    count = count or (300 if act.label == act.name else 150)
    points = special_points(rounded(act, dtype))
    return np.concatenate([np.array(HARD.get(act.name, []), dtype), spread_inputs(dtype, count, points)])


def inputs(name, dtype):
    """About 4000 finite inputs for an activation by name, in random order."""
    points = special_points(ACTIVATIONS[name]) if name in NAMES else []
    x = np.concatenate([spread_inputs(dtype, 4000, points, specials=False), around([0, *points], dtype)])
    return np.random.default_rng(0).permutation(np.concatenate([x, np.array(HARD.get(name, []), dtype)]))


# --- results ----------------------------------------------------------------------------


def all_learned(act):
    """The activation with every parameter trained but shapes: its backward block has all the parameter derivatives."""
    parameters = {
        name: p if p.role == "shape" else dataclasses.replace(p, role="learned") for name, p in act.parameters.items()
    }
    return dataclasses.replace(act, parameters=parameters)


def results(act, x):
    """{"value", "slope", "d/dparameter" ...: array}: what the trainer's own blocks make of x [any size, one dimension].

    The parameter derivatives are the gradients that the backward block adds up, for one unit a number.
    """
    dtype, size = x.dtype, LANES[x.dtype]
    padded = np.zeros(-(-x.size // size) * size, dtype)
    padded[: x.size] = x
    value, slope, delta = (np.empty_like(padded) for _ in range(3))
    numbers = np.repeat(act.parameter_vector().astype(dtype), size)
    units = padded.size // size
    act.block(dtype)(padded, value, slope, numbers, rows=1, units=units)
    found = {"value": value[: x.size], "slope": slope[: x.size]}
    if act.parameters:
        count = len(act.parameters)
        upstream, gradient = np.ones_like(padded), np.zeros((units, count, size), dtype)
        run = all_learned(act).block(dtype, "backward")
        each = np.tile(numbers, units)
        run(padded, value, slope, upstream, delta, each, gradient, rows=1, units=units, row_stride=0, unit_stride=count)
        for j, name in enumerate(act.parameters):
            found[f"d/d{name}"] = gradient[:, j].ravel()[: x.size]
    return found


def exactly_at(act, dtype):
    """z -> {"value", "slope", "d/dparameter" ...: mpf}, at the parameters as lanes hold them; remembers results."""
    values = {k: float(dtype(v)) for k, v in act.values.items()}
    oracle = ORACLES[act.name]

    @functools.cache
    def at(z):
        found = oracle(z, **values)
        return {"value": found.value, "slope": found.slope, **{f"d/d{k}": d for k, d in found.parameters.items()}}

    return at


# --- compiling --------------------------------------------------------------------------


def compile_share(part, parts):
    """Compile every parts-th activation, from `part` on, into the disk cache."""
    for act in [all_learned(ACTIVATIONS[name]) for name in NAMES][part::parts]:
        for dtype in DTYPES.values():
            for output in ("value_and_slope", "backward")[: 1 + bool(act.parameters)]:
                act.block(dtype, output)


def compile_everything(processes=2):
    """Fill the disk cache by several processes at once: one after the other it takes twice the time.

    Where the tests themselves run in several processes, these do.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    commands = [f"import activation_help; activation_help.compile_share({i}, {processes})" for i in range(processes)]
    running = [subprocess.Popen([sys.executable, "-c", c], env=environment) for c in commands]
    assert [process.wait() for process in running] == [0] * processes

"""Gradients of whole networks, through every activation, against central differences of the engine's own loss."""

from __future__ import annotations

import numpy as np
import pytest
from engine_help import Setup, Trained

from gradsim.activations import ACTIVATIONS, get

NAMES = [name for name, act in ACTIVATIONS.items() if act.function.__module__.startswith("gradsim.")]
# One sample through a layer that copies it: the gradient of that layer's biases is the gradient in the inputs.
FEATURES, UNITS, OUTPUTS = 3, 4, 2
STEP = 1e-5


def setup(name, networks, samples=3):
    """One step of plain gradient descent at rate 1: what the weights lose is their gradient."""
    return Setup(
        widths=(FEATURES, FEATURES, UNITS, UNITS, OUTPUTS),
        activations=("identity", name, name),
        loss="mean_squared_error",
        samples=samples,
        batch=None,
        steps=1,
        networks=networks,
        statistics=False,
        vary=False,
        seed=3,
    )


def losses(name, starts):
    """The loss of each start, in training: random parameters are drawn as the seed says, alike for all."""
    n = len(starts)
    rates = np.ones((n, 4))
    return Trained(setup(name, n), start=starts, rates=rates, seeds=np.full(n, 5))


def start_of(name):
    """Weights that copy the inputs in the first layer, others of a few tenths; learned numbers off their defaults."""
    drawn = Trained(setup(name, 1), rates=np.ones((1, 4)))
    start = drawn.start[0].copy()
    for layer in drawn.architecture.split_learned(start):
        for values in layer.values():
            values += np.linspace(0.02, 0.05, UNITS)
    start[: FEATURES * FEATURES] = np.eye(FEATURES).ravel()
    start[FEATURES * FEATURES : FEATURES * (FEATURES + 1)] = [0.11, -0.07, 0.05]
    return start


def trained_numbers(architecture, count):
    """Which numbers of a network are trained: fixed parameters that stand beside learned ones are not."""
    trained, offset = np.ones(count, bool), 0
    for (m, n), act, learned in zip(architecture.shapes, architecture.activations, architecture.learned, strict=False):
        offset += (m + 1) * n
        if learned:
            trained[offset : offset + learned] = np.tile([name in act.learned for name in act.parameters], UNITS)
        offset += learned
    return trained


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_central_differences(name):
    start = start_of(name)
    trained = losses(name, start[None])
    got = start - trained.flat[0]
    learned = trained.architecture.learned
    assert sum(learned) == 2 * UNITS * len(get(name).parameters) * bool(get(name).learned)

    shifts = np.eye(start.size) * STEP
    around = [losses(name, start + k * shifts).losses[:, 0] for k in (-2, -1, 1, 2)]
    wanted = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * STEP)
    wanted[~trained_numbers(trained.architecture, start.size)] = 0
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 * max(1e-3, np.abs(wanted).max()))
    # A gradient of zeros would agree with itself.
    assert np.abs(wanted).max() > 1e-6 or name == "binary_step"

"""Initializers in campaigns: the same wherever a run is, the tangent kernel's training, the depth they decide."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from campaign_help import ids_of, small, tables
from initializer_help import DATA, cell_of, mixed, networks, signals

import gradsim as gs
from gradsim.activations import get
from gradsim.engine import initialize
from gradsim.engine.network import Architecture
from gradsim.initializers import INITIALIZERS
from gradsim.starts import network_starts

METHODICAL = [name for name, entry in INITIALIZERS.items() if entry.method]

# --- the same everywhere ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_starts_alike_whoever_is_beside_it(dtype, monkeypatch):
    """Every initializer beside every other, over several seeds and parameters, in batches of one group and in one."""
    every = [*INITIALIZERS, "orthogonal(gain='auto', offset=0.1)", "lsuv(tolerance=0.01)", "sparse(sparsity=0.7)"]
    widths = (7, 6, 9, 4)
    cells = [cell_of(widths, name, activation="leaky_relu", dtype=dtype) for name in every]
    which = np.tile(np.arange(len(every)), 3)
    seeds = np.arange(len(which)) * 7919 % 101
    together = mixed(widths, cells, which, seeds, samples=DATA)
    monkeypatch.setattr(initialize, "TREATED_BYTES", 1)
    for i in range(0, len(which), 5):
        alone = mixed(widths, [cells[which[i]]], [0], seeds[i : i + 1], samples=DATA)
        for (W, b), (W1, b1) in zip(together, alone, strict=True):
            np.testing.assert_array_equal(W[..., i], W1[..., 0])
            np.testing.assert_array_equal(b[..., i], b1[..., 0])
    pieces = mixed(widths, cells, which, seeds, samples=DATA)
    for (W, _), (W1, _) in zip(together, pieces, strict=True):
        np.testing.assert_array_equal(W, W1)


@pytest.mark.parametrize("name", METHODICAL)
def test_float32_weights_are_the_rounded_float64_ones(name):
    single, double = (
        networks((7, 6, 3), name, samples=DATA, activation="tanh", dtype=dtype, seeds=range(19))
        for dtype in ("float32", "float64")
    )
    for (W, b), (W64, b64) in zip(single, double, strict=True):
        np.testing.assert_array_equal(W, W64.astype(np.float32))
        np.testing.assert_array_equal(b, b64.astype(np.float32))


def test_learned_parameters_start_where_they_are_given():
    """And layers are rescaled with them there."""
    leaky = get("leaky_relu")
    learned = {"slope": dataclasses.replace(leaky.parameters["slope"], role="learned")}
    act = dataclasses.replace(leaky, parameters=learned, values={"slope": -0.4})
    architecture = Architecture((7, 6, 3), (act,))
    cell = cell_of((7, 6, 3), "lsuv(tolerance=0)", activation="leaky_relu(slope=-0.4)", dtype="float64")
    starts = network_starts([cell], np.zeros(5, int), {}, architecture.shapes)
    seeds, slopes = np.arange(5, dtype=np.uint64), np.full((5, 1), -0.4)
    flat = initialize.initial_parameters(architecture, np.dtype("f8"), 0, seeds, starts, slopes, DATA)
    by_network = np.moveaxis(flat.reshape(1, -1, 8), 1, 0).reshape(-1, 8)
    (given,) = architecture.split_learned(by_network)
    assert (given["slope"] == -0.4).all()
    layers = architecture.split(by_network)
    for k in range(5):
        for z in signals(layers, [leaky.with_values(slope=-0.4)], DATA[:256], k):
            assert math.isclose(z.var(), 1, rel_tol=1e-12)


def test_a_campaign_of_all_of_them_is_run_by_run_itself(tmp_path):
    names = ["orthogonal", "lsuv", "data_dependent", "critical", "rai", "he_normal(gain='auto')"]
    grid = {"initializer": names, "activation.slope": [0.1, 0.3], "seed": range(3)}
    made = small(activation="leaky_relu", dtype="float64", grid=grid)
    frames = tables(made.run(tmp_path / "all", progress=False))
    for i in (0, 7, 14, 22, 29, 35):
        run_id, settings = ids_of(made)[i], made.plan.settings(i)
        alone = small(
            activation=settings.activation[0], initializer=settings.initializer, seed=settings.seed, dtype="float64"
        )
        assert ids_of(alone) == [run_id]
        for (W, b), (W1, b1) in zip(made.initial_weights(run_id), alone.initial_weights(run_id), strict=True):
            np.testing.assert_array_equal(W, W1)
            np.testing.assert_array_equal(b, b1)
        final = frames["runs"].set_index("run_id").loc[run_id, "final_loss"]
        assert final == tables(alone.run(tmp_path / run_id, progress=False))["runs"]["final_loss"].item()


# --- the tangent kernel -----------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "beta"), [("sgd", 0.0), ("momentum(beta=0.8)", 0.8)])
def test_rates_of_the_tangent_kernel_train_its_parametrization(optimizer, beta):
    """A twin in NumPy trains w and b of z = c (w h + b); the campaign trains W = c w and c b."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(12, 3)), random.normal(size=(12, 2))
    gain, rate, steps, fans = 1.3, 0.4, 40, [3, 6, 5]
    made = gs.Campaign(
        dataset=(X, y),
        scaling="none",
        test_fraction=0,
        hidden=[6, 5],
        activation="tanh",
        initializer=f"ntk(gain={gain})",
        learning_rate=gs.initializers.ntk_learning_rates(rate, fans, gain),
        optimizer=optimizer,
        loss="mean_squared_error",
        batch_size="full",
        steps=steps,
        dtype="float64",
    )
    (run_id,) = ids_of(made)
    X, y, _, _ = made.data()
    c = [gain / math.sqrt(m) for m in fans]
    params = [[W / k, b / k] for (W, b), k in zip(made.initial_weights(run_id), c, strict=True)]
    velocity = [[np.zeros_like(p) for p in pair] for pair in params]
    for _ in range(steps):
        hs = [X]
        for (w, b), k in zip(params, c, strict=True):
            hs.append(np.tanh(k * (hs[-1] @ w + b)) if len(hs) < 3 else k * (hs[-1] @ w + b))
        delta = 2 * (hs[-1] - y) / y.size
        for i in (2, 1, 0):
            gradients = [c[i] * hs[i].T @ delta, c[i] * delta.sum(axis=0)]
            delta = c[i] * delta @ params[i][0].T * (1 - hs[i] ** 2)
            for j, g in enumerate(gradients):
                velocity[i][j] = beta * velocity[i][j] + g
                params[i][j] = params[i][j] - rate * velocity[i][j]
    trained = made.replay(run_id).weights
    for (W, b), (w, v), k in zip(trained, params, c, strict=True):
        np.testing.assert_allclose(W, k * w, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(b, k * v, rtol=1e-9, atol=1e-12)
    assert not np.allclose(trained[0][0], made.initial_weights(run_id)[0][0], rtol=0.01)

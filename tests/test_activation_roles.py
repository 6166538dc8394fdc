"""Activations with learned, random and shape parameters, and activations of whole layers, inside the trainer."""

from __future__ import annotations

import numpy as np
import pytest
from engine_help import DTYPES, Setup, Trained

import gradsim as gs
from gradsim.activations import get
from gradsim.engine import train
from gradsim.errors import UsageError

every_dtype = pytest.mark.parametrize("dtype", DTYPES)


# --- learned ----------------------------------------------------------------------------


def prelu_network(start, X, Y, rates, steps):
    """Gradient descent of one hidden PReLU layer by hand: (W, b, slopes, V, c), and the loss of every step."""
    W, b, a, V, c = (p.astype(np.float64) for p in start)
    losses = []
    for _ in range(steps):
        z = X @ W + b
        h = np.where(z > 0, z, a * z)
        error = h @ V + c - Y
        losses.append((error**2).mean())
        d = 2 * error / error.size
        dh = d @ V.T
        dz = dh * np.where(z > 0, 1, a)
        da = (dh * np.where(z > 0, 0, z)).sum(axis=0)
        V, c = V - rates[1] * h.T @ d, c - rates[1] * d.sum(axis=0)
        W, b, a = W - rates[0] * X.T @ dz, b - rates[0] * dz.sum(axis=0), a - rates[0] * da
    return (W, b, a, V, c), losses


@every_dtype
def test_learned_slopes_follow_gradient_descent_by_hand(dtype):
    setup = Setup((3, 5, 2), ("prelu",), dtype, loss="mean_squared_error", batch=None, steps=40, networks=20)
    trained = Trained(setup)
    tolerance = {"float64": 1e-11, "float32": 2e-4}[dtype]
    X, Y = trained.data
    for i in (0, 7, 19):
        start = trained.start[i]
        (W, b), (V, c) = trained.architecture.split(start)
        (learned,) = trained.architecture.split_learned(start)
        given = get("prelu").parameters["slope"].default
        np.testing.assert_array_equal(learned["slope"], trained.values[0]["slope"][i])
        assert 0.4 < learned["slope"][0] / given < 2.1
        (W, b, a, V, c), losses = prelu_network((W, b, learned["slope"], V, c), X, Y, trained.rates[i], 40)
        np.testing.assert_allclose(trained.losses[i], losses, rtol=tolerance)
        (ended,) = trained.architecture.split_learned(trained.flat[i])
        np.testing.assert_allclose(ended["slope"], a, rtol=tolerance, atol=tolerance)
        assert np.abs(a - learned["slope"]).max() > 1e-3
        for got, wanted in zip(trained.weights(i), ((W, b), (V, c)), strict=True):
            np.testing.assert_allclose(got[0], wanted[0], rtol=tolerance, atol=tolerance)


def test_a_campaign_starts_learned_parameters_from_what_is_given():
    campaign = gs.Campaign(
        dataset="digits",
        activation="prelu",
        depth=2,
        width=5,
        batch_size=32,
        steps=20,
        grid={"activation.slope": [0.0, 0.25, 0.9], "seed": range(2)},
    )
    again = campaign.replay(campaign.plan.run_ids(np.arange(6))[4])
    start = again.learned_snapshots[0]
    assert [sorted(layer) for layer in start] == [["slope"], ["slope"]]
    assert len(start[0]["slope"]) == 5
    for layer in start:
        np.testing.assert_array_equal(layer["slope"], np.float32(again.settings.activation[0].values["slope"]))
    assert not np.array_equal(again.learned[0]["slope"], start[0]["slope"])
    # The record of the probe is that of the network with its own slopes.
    last = again.layers[again.layers["step"] == 20].set_index("layer")
    X = campaign.data()[0][:256]
    (W, b), _, _ = again.weights
    z = X @ W + b
    h = np.where(z > 0, z, again.learned[0]["slope"] * z)
    np.testing.assert_allclose(last.loc[0, "activation_mean"], h.mean(), rtol=1e-4, atol=1e-6)


# --- random -----------------------------------------------------------------------------


def rrelu(dtype="float64", **changed):
    return Setup(**{"widths": (3, 6, 5, 2), "activations": ("rrelu", "rrelu"), "dtype": dtype, "steps": 6} | changed)


def test_draws_depend_on_the_seed_and_not_on_the_lane():
    setup = rrelu(networks=24, vary=False)
    drawn = Trained(setup)
    start, rates = np.repeat(drawn.start[:1], 24, axis=0), np.repeat(drawn.rates[:1], 24, axis=0)
    trained = Trained(setup, start=start, rates=rates, seeds=np.array([3, 9] * 12))
    np.testing.assert_array_equal(trained.losses[::2], trained.losses[:1].repeat(12, axis=0))
    np.testing.assert_array_equal(trained.losses[1::2], trained.losses[1:2].repeat(12, axis=0))
    assert (trained.losses[0] != trained.losses[1]).all()


def test_pieces_of_a_batch_do_not_change_the_draws(monkeypatch):
    setup = rrelu(samples=300, batch=200, steps=3, vary=False)
    whole = Trained(setup)
    monkeypatch.setattr(train, "LEAST_ROWS", 17)
    monkeypatch.setattr(train, "MOST_ROWS", 17)
    assert whole.task.capacity == 17
    pieces = Trained(setup)
    np.testing.assert_allclose(pieces.losses, whole.losses, rtol=1e-12)


def test_both_precisions_draw_the_same():
    starts = Trained(rrelu(networks=16, vary=False))
    single = Trained(rrelu("float32", networks=16, vary=False), start=starts.start, rates=starts.rates)
    np.testing.assert_allclose(single.losses, starts.losses, rtol=2e-4)


def test_training_draws_and_evaluation_does_not():
    trained = Trained(rrelu(samples=9, batch=None, steps=1, checkpoints=(0, 1), vary=False))
    assert (trained.losses[:, 0] != trained.train_loss[:, 0]).all()
    mean_slope = np.mean([get("rrelu").parameters[name].default for name in ("lower", "upper")])
    X, y = trained.data
    for i in range(3):
        h = X
        for W, b in trained.snapshot(i, 0):
            z = h @ W + b
            h = np.where(z > 0, z, z * mean_slope)
        loss = np.log(np.exp(z).sum(axis=1)) - z[np.arange(9), y]
        np.testing.assert_allclose(trained.train_loss[i, 0], loss.mean(), rtol=1e-12)


def test_draws_are_uniform_and_independent():
    """Pre-activations of -1 at rate 0: the output is minus the mean slope of four units, its mean square the loss."""
    rows, steps, units = 64, 40, 4
    weights = [0.0] * units + [-1.0] * units + [1 / units] * units + [0.0]  # W, b, V, c
    setup = Setup(
        widths=(1, units, 1),
        activations=("rrelu",),
        loss="mean_squared_error",
        samples=rows,
        batch=None,
        steps=steps,
        vary=False,
        statistics=False,
    )
    zero = {"targets": np.zeros((rows, 1)), "rates": np.zeros((8, 2))}
    losses = Trained(setup, start=np.tile(weights, (8, 1)), **zero).losses
    lower, upper = (get("rrelu").parameters[name].default for name in ("lower", "upper"))
    mean, variance = (lower + upper) / 2, (upper - lower) ** 2 / 12
    expected = mean**2 + variance / units
    assert abs(losses.mean() - expected) < 5 * losses.std() / np.sqrt(losses.size)
    # Were rows or units drawn alike, the batch means would spread more: var(m^2) = 4 mean^2 var(m) for a narrow m.
    of_a_batch = 4 * mean**2 * (variance / units) / rows
    assert 0.8 < losses.var() / of_a_batch < 1.25
    assert len(np.unique(losses)) == losses.size


# --- whole layers -----------------------------------------------------------------------


def numpy_layer(name, z):
    """Outputs of a layerwise activation, and its Jacobian [rows, outputs, pre-activations], by hand."""
    n = z.shape[1]
    eye = np.eye(n)
    if name in ("softmax", "log_softmax", "softmin"):
        sign = -1 if name == "softmin" else 1
        e = np.exp(sign * z - (sign * z).max(axis=1, keepdims=True))
        s = e / e.sum(axis=1, keepdims=True)
        if name == "log_softmax":
            return np.log(s), eye - s[:, None, :]
        return s, sign * (s[:, :, None] * eye - s[:, :, None] * s[:, None, :])
    half = n // 2
    positive = (z > 0).astype(float)
    if name == "crelu":
        J = np.concatenate([positive[:, :, None] * eye, -(1 - positive)[:, :, None] * eye], axis=1)
        return np.concatenate([np.maximum(z, 0), np.maximum(-z, 0)], axis=1), J
    small = np.eye(half)
    a, b = z[:, :half], z[:, half:]
    if name == "maxout":
        first = (a >= b).astype(float)
        J = np.concatenate([first[:, :, None] * small, (1 - first)[:, :, None] * small], axis=2)
        return np.maximum(a, b), J
    if name == "glu":
        s = 1 / (1 + np.exp(-b))
        da, db = s, a * s * (1 - s)
        return a * s, np.concatenate([da[:, :, None] * small, db[:, :, None] * small], axis=2)
    if name == "reglu":
        da, db = (a > 0) * b, np.maximum(a, 0)
        return np.maximum(a, 0) * b, np.concatenate([da[:, :, None] * small, db[:, :, None] * small], axis=2)
    raise KeyError(name)


LAYERWISE = ["softmax", "softmin", "log_softmax", "maxout", "glu", "reglu", "crelu"]


@pytest.mark.parametrize("name", LAYERWISE)
@every_dtype
def test_networks_of_layerwise_activations_follow_gradient_descent_by_hand(name, dtype):
    setup = Setup((3, 4, 3, 2), (name, name), dtype, loss="mean_squared_error", batch=None, steps=15, networks=9)
    trained = Trained(setup)
    X, Y = trained.data
    layers = [[W.copy(), b.copy()] for W, b in trained._layers(trained.start[8])]
    losses = []
    for _ in range(15):
        inputs, jacobians, h = [], [], X
        for k, (W, b) in enumerate(layers):
            inputs.append(h)
            z = h @ W + b
            if k < 2:
                h, J = numpy_layer(name, z)
                jacobians.append(J)
        error = z - Y
        losses.append((error**2).mean())
        d = 2 * error / error.size
        for k in (2, 1, 0):
            W, b = layers[k]
            before = np.einsum("ro,rop->rp", d @ W.T, jacobians[k - 1]) if k else None
            layers[k] = [W - trained.rates[8, k] * inputs[k].T @ d, b - trained.rates[8, k] * d.sum(axis=0)]
            d = before
    tolerance = {"float64": 1e-10, "float32": 2e-4}[dtype]
    np.testing.assert_allclose(trained.losses[8], losses, rtol=tolerance)
    for got, wanted in zip(trained.weights(8), layers, strict=True):
        np.testing.assert_allclose(got[0], wanted[0], rtol=tolerance, atol=tolerance)


def test_a_shape_parameter_is_an_axis_of_its_own_networks(tmp_path):
    campaign = gs.Campaign(
        dataset="digits",
        activation="maxout",
        depth=1,
        width=4,
        batch_size=32,
        steps=10,
        grid={"activation.k": [2, 3], "seed": range(2)},
    )
    runs = campaign.run(tmp_path / "out").runs
    assert len(runs) == 4
    shapes = {campaign.replay(r).weights[0][0].shape for r in runs["run_id"]}
    assert shapes == {(64, 8), (64, 12)}
    with pytest.raises(UsageError, match=r"parameter 'k' is 2\.5; allowed: whole numbers"):
        gs.Campaign(dataset="digits", activation="maxout(k=2.5)")


def test_without_a_bound_on_the_slope_nothing_is_called_saturated(tmp_path):
    campaign = gs.Campaign(dataset="digits", activation="glu", depth=1, width=4, batch_size=32, steps=10)
    results = campaign.run(tmp_path / "out")
    hidden = results.layers[results.layers["layer"] == 0]
    assert hidden["saturated_low"].isna().all()
    assert hidden["saturated_high"].isna().all()
    assert hidden["dead"].notna().all()
    assert (results.runs["diagnosis"] != "saturated").all()

"""Training by the engine against the twin: weights, losses and statistics, for every choice and odd shape."""

from __future__ import annotations

import itertools

import naive
import numpy as np
import pytest
from engine_help import CHECKPOINTS, TOLERANCE, Setup, Trained, relative_error
from naive_activations import ACTIVATIONS

from gradsim.engine.arrays import train_arrays
from gradsim.optimizers import OPTIMIZERS

every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)
NAMES = list(ACTIVATIONS)  # those with a twin in NumPy
# The others are compared in test_losses.
every_loss = pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error"])
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def assert_equals_twin(trained, networks):
    """Weights after, and losses before every step."""
    tolerance = TOLERANCE[trained.setup.dtype]
    assert trained.finished
    for i in networks:
        weights, losses = trained.twin(i)
        assert np.isfinite(losses).all()
        assert relative_error(trained.weights(i), weights) < tolerance
        assert np.abs(trained.losses[i] - losses).max() < tolerance * np.abs(losses).max()
        # It has moved far beyond the tolerance.
        start = trained._layers(trained.start[i])
        assert relative_error(weights, start) > 2 * tolerance


# --- every choice -----------------------------------------------------------------------


@every_dtype
@every_loss
@every_optimizer
@pytest.mark.parametrize("name", NAMES)
def test_fifty_steps_equal_the_twin(name, optimizer, loss, dtype):
    rate = 0.03 if optimizer == "momentum" else 0.1
    trained = Trained(Setup((7, 5, 3, 4), (name, name), dtype, loss, optimizer, rate=rate))
    assert_equals_twin(trained, [0, 5, trained.count - 1])
    assert len(np.unique(trained.losses[:, -1])) == trained.count


@every_dtype
@every_optimizer
def test_every_lane_has_its_own_numbers(optimizer, dtype):
    """Rates a layer, momentum and activation parameters all differ; 20 networks fill no group evenly."""
    trained = Trained(Setup((4, 6, 5, 3), ("leaky_relu", "elu"), dtype, optimizer=optimizer, rate=0.05, networks=20))
    assert trained.count % trained.lanes != 0
    steering = [v for v in trained.steering.values() if 0 < v.max() <= 1]
    for numbers in (trained.rates.ravel(), *steering, *(v for p in trained.values for v in p.values())):
        assert len(np.unique(numbers)) == numbers.size
    assert_equals_twin(trained, range(trained.count))


@every_dtype
@pytest.mark.parametrize(
    "names",
    [
        ("tanh", "relu", "sigmoid"),
        ("leaky_relu", "identity", "elu"),
        ("gelu", "leaky_relu", "leaky_relu"),
        tuple(NAMES),
    ],
    ids="-".join,
)
def test_layers_with_activations_of_their_own(names, dtype):
    trained = Trained(Setup((5, *[4] * len(names), 3), names, dtype, optimizer="momentum", rate=0.03))
    assert_equals_twin(trained, [0, 3])


# --- odd shapes -------------------------------------------------------------------------

# widths, samples, batch (None: full), loss
SHAPES = [
    ((1, 1, 1), 1, None, "mean_squared_error"),
    ((1, 1, 1), 1, 1, "mean_squared_error"),
    ((1, 1, 1), 7, 3, "mean_squared_error"),
    ((1, 1, 2), 5, 1, "softmax_cross_entropy"),
    ((3, 2), 8, 4, "softmax_cross_entropy"),
    ((5, 1), 30, None, "mean_squared_error"),
    ((1, 1), 2, None, "mean_squared_error"),
    *[((4, w, 3), 20, 6, "softmax_cross_entropy") for w in range(2, 10)],
    ((2, 1, 1, 1, 2), 20, 5, "softmax_cross_entropy"),
    ((5, 17, 33, 3), 20, 7, "softmax_cross_entropy"),
    ((33, 9, 17, 2), 20, 20, "mean_squared_error"),
    ((9, 33, 1, 17, 10), 40, 13, "softmax_cross_entropy"),
    ((1000, 6, 3), 12, 5, "softmax_cross_entropy"),
    ((3, 4, 19), 20, 9, "softmax_cross_entropy"),
    ((3, *[4] * 9, 2), 20, 9, "mean_squared_error"),
    ((6, 5, 3), 300, None, "softmax_cross_entropy"),
    ((6, 5, 3), 300, 200, "mean_squared_error"),
    ((6, 5, 3), 129, 129, "softmax_cross_entropy"),
    ((6, 5, 3), 20, 150, "softmax_cross_entropy"),
    ((6, 5, 3), 65, 64, "softmax_cross_entropy"),
]


def shape_setup(shape, dtype, bias):
    widths, samples, batch, loss = shape
    names = tuple(itertools.islice(itertools.cycle(["tanh", "silu", "leaky_relu"]), len(widths) - 2))
    rate = 0.002 if widths[0] == 1000 else 0.05
    return Setup(widths, names, dtype, loss, bias=bias, samples=samples, batch=batch, rate=rate, seed=1)


@every_dtype
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"{'-'.join(map(str, s[0]))} batch {s[2]} of {s[1]}")
def test_odd_shapes_equal_the_twin(shape, bias, dtype):
    trained = Trained(shape_setup(shape, dtype, bias))
    assert_equals_twin(trained, [0, trained.count - 1])


@every_dtype
def test_a_single_output_of_cross_entropy_is_certain_and_still(dtype):
    """One class: the loss is 0 and so is every gradient."""
    trained = Trained(Setup((3, 4, 1), ("tanh",), dtype, steps=5))
    assert (trained.losses == 0).all()
    np.testing.assert_array_equal(trained.flat, trained.start)


@every_dtype
def test_a_learning_rate_of_zero_leaves_the_weights(dtype):
    trained = Trained(Setup((3, 4, 2), ("tanh",), dtype, optimizer="momentum", rate=0.0, batch=None))
    np.testing.assert_array_equal(trained.flat, trained.start)
    assert (trained.losses == trained.losses[:, :1]).all()
    assert not trained.statistics["update_ratio"].any()


@every_dtype
@pytest.mark.parametrize("labels", [False, True], ids=["regression", "classification"])
def test_training_of_plain_arrays_equals_the_twin(labels, dtype):
    """`train_arrays`, the engine for benchmarks, with a batch stream of its own."""
    random, networks, widths = np.random.default_rng(0), 20, (3, 5, 2)
    weights = [
        (random.normal(size=(networks, m, n)).astype(dtype), random.normal(size=(networks, n)).astype(dtype))
        for m, n in itertools.pairwise(widths)
    ]
    before = [(W.copy(), b.copy()) for W, b in weights]
    X = random.normal(size=(10, 6, 3))
    y = random.integers(0, 2, (10, 6)) if labels else random.normal(size=(10, 6, 2))
    rates, loss = random.uniform(0.05, 0.1, networks), "softmax_cross_entropy" if labels else "mean_squared_error"
    got, seconds = train_arrays(weights, X, y, "tanh", loss, rates, threads=2)
    assert seconds > 0
    kind = np.dtype(dtype).type
    flat_X, flat_y = (
        X.astype(kind).astype(float).reshape(60, 3),
        y.reshape(60) if labels else y.astype(kind).reshape(60, 2),
    )
    for i in range(networks):
        start = [(W[i], b[i]) for W, b in before]
        rows = np.arange(60).reshape(10, 6)
        wanted, _ = naive.train(start, flat_X, flat_y, rows, [("tanh", {})], loss, learning_rates=kind(rates[i]))
        assert relative_error([(W[i], b[i]) for W, b in got], wanted) < TOLERANCE[dtype]
    for (W, b), (W0, b0) in zip(weights, before, strict=True):
        np.testing.assert_array_equal(W, W0)
        np.testing.assert_array_equal(b, b0)


# --- gradients by differences -----------------------------------------------------------


@every_loss
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_the_loss(name, loss):
    """One step at rate 1 subtracts the gradient; losses of shifted copies in other lanes give it by differences."""
    setup = Setup((3, 4, 3, 2), (name, name), "float64", loss, batch=None, samples=11, steps=1, statistics=False)
    drawn = Trained(setup)
    start, values = drawn.start[0], drawn.parameters(0)
    h = 1e-5
    shifts = h * np.concatenate([np.zeros((1, start.size)), np.eye(start.size), -np.eye(start.size)])
    many = Setup(**{**vars(setup), "networks": len(shifts)})

    class Shifted(Trained):
        def _draw_networks(self):
            super()._draw_networks()
            self.start, self.rates = start + shifts, np.ones_like(self.rates)
            self.values = [{k: np.full(self.count, v) for k, v in layer.items()} for layer in values]

    trained = Shifted(many)
    gradient = start - trained.flat[0]
    above, below = trained.losses[1:, 0].reshape(2, -1)
    assert np.abs(gradient).max() > 1e-2
    np.testing.assert_allclose((above - below) / (2 * h), gradient, rtol=1e-6, atol=1e-8)


# --- what is recorded -------------------------------------------------------------------


def assert_statistics(trained, network):
    s = trained.setup
    X, y = (a[: min(s.probe, s.samples)] for a in trained.data)
    single = s.dtype == "float32"
    saved = [trained.snapshot(network, c) for c in range(len(s.checkpoints))]
    for c, step in enumerate(s.checkpoints):
        following = saved[c + 1] if step + 1 in s.checkpoints else None
        previous = saved[c - 1] if step == s.steps and s.steps - 1 in s.checkpoints else None
        wanted = naive.layer_statistics(saved[c], X, y, trained.activations(network), s.loss, previous, following)
        for layer, record in enumerate(wanted):
            for name, value in record.items():
                got = trained.statistics[name][network, c, layer]
                if name == "update_ratio" and following is None and previous is None:
                    assert got > 0 or record["weight_rms"] == 0
                    continue
                # A mean near 0 and a small spread are as exact as the numbers that they are made of.
                spread = record[name.split("_")[0] + "_std"] if name.endswith("_mean") else 0
                floor = abs(record[name.replace("_std", "_mean")]) if name.endswith("_std") else spread
                if name in ("delta_rms", "gradient_rms"):
                    floor = 1e-2  # what is left of an output of size 1 that nearly fits
                assert got == pytest.approx(
                    value, rel=2e-4 if single else 1e-9, abs=1e-5 * floor if single else 1e-11 * floor, nan_ok=True
                ), (name, layer, step)
    assert set(trained.statistics) == set(wanted[0])


@every_dtype
@every_loss
@pytest.mark.parametrize("name", NAMES)
def test_statistics_equal_the_twins(name, loss, dtype):
    trained = Trained(Setup((4, 6, 5, 3), (name, name), dtype, loss, checkpoints=CHECKPOINTS, samples=30, rate=0.2))
    for network in (0, trained.count - 1):
        assert_statistics(trained, network)


@every_dtype
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize(
    ("widths", "samples", "batch", "probe"),
    [
        ((2, 3), 9, 4, 256),
        ((1, 1, 1), 1, 1, 1),
        ((5, 9, 1, 4), 200, 7, 150),
        ((3, 5, 2), 300, None, 256),
        ((7, 4, 2), 70, 9, 3),
    ],
    ids=str,
)
def test_statistics_in_odd_shapes(widths, samples, batch, probe, bias, dtype):
    loss = "softmax_cross_entropy" if widths[-1] > 1 else "mean_squared_error"
    names = ("tanh", "relu")[: len(widths) - 2]
    trained = Trained(
        Setup(
            widths,
            names,
            dtype,
            loss,
            "momentum",
            bias=bias,
            samples=samples,
            batch=batch,
            probe=probe,
            checkpoints=CHECKPOINTS,
            rate=0.02,
        )
    )
    assert_statistics(trained, 2)


def equal_units(start):
    """Hidden weights all equal; the output's stay, else the deltas would be exact zeros but for rounding."""
    hidden = np.arange(start.shape[1]) < (4 + 1) * 6 + (6 + 1) * 5
    return np.where(hidden, 0.5, start)


def test_statistics_of_saturated_dead_and_equal_units():
    """Weights so large, so negative or so equal that the fractions are far from 0."""
    for name, change in (
        ("sigmoid", lambda start: start * 30),
        ("tanh", lambda start: start * 30),
        ("relu", lambda start: start - 2),
        ("relu", lambda start: start * 0),
        ("elu", lambda start: start - 3),
        ("silu", equal_units),
        ("gelu", equal_units),
    ):
        setup = Setup((4, 6, 5, 3), (name, name), samples=30, steps=2, checkpoints=(0, 1, 2))
        trained = Trained(setup, start=change(Trained(setup).start))
        assert_statistics(trained, 1)
        found = trained.statistics
        seen = found["saturated_low"] + found["saturated_high"] + found["dead"] + (1 - found["distinct_units"])
        assert seen[1, 0, :2].max() > 0.2


@every_dtype
@every_loss
def test_full_losses_and_scores_equal_the_twins(loss, dtype):
    setup = Setup((4, 6, 3), ("tanh",), dtype, loss, samples=150, test_samples=37, checkpoints=CHECKPOINTS)
    trained = Trained(setup)
    X, y = trained.data
    rel = 1e-12 if dtype == "float64" else 1e-5
    for network in (0, 4):
        activations = trained.activations(network)
        for c in range(len(CHECKPOINTS)):
            weights = trained.snapshot(network, c)
            wanted = naive.loss_and_gradients(weights, X[:150], y[:150], activations, loss)[0]
            assert trained.train_loss[network, c] == pytest.approx(wanted, rel=rel)
        weights = trained.weights(network)
        for a, b in zip(weights, trained.snapshot(network, -1), strict=True):
            np.testing.assert_array_equal(a[0], b[0])
        test_loss = naive.loss_and_gradients(weights, X[150:], y[150:], activations, loss)[0]
        assert trained.final["test_loss"][network] == pytest.approx(test_loss, rel=rel)
        if loss == "softmax_cross_entropy":
            hits = naive.forward(weights, X, activations)[0][-1].argmax(axis=1) == y
            assert trained.final["train_hits"][network] == pytest.approx(hits[:150].mean(), abs=1e-12)
            assert trained.final["test_hits"][network] == pytest.approx(hits[150:].mean(), abs=1e-12)
            assert 0.2 < trained.final["train_hits"][network] < 1


def test_of_equal_outputs_the_first_is_the_prediction():
    setup = Setup((2, 3), (), samples=60, steps=1, rate=0.0)
    trained = Trained(setup, start=np.zeros((8, 9)))
    np.testing.assert_allclose(trained.final["train_hits"], (trained.labels == 0).mean(), rtol=1e-15)


@every_dtype
def test_probes_change_nothing(dtype):
    base = {"widths": (4, 6, 5, 3), "activations": ("tanh", "relu"), "dtype": dtype, "optimizer": "momentum"}
    watched = Trained(Setup(**base, checkpoints=CHECKPOINTS))
    unwatched = Trained(Setup(**base, checkpoints=(), statistics=False))
    np.testing.assert_array_equal(watched.flat, unwatched.flat)
    np.testing.assert_array_equal(watched.losses, unwatched.losses)

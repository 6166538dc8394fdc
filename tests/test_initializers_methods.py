"""Initializers that look at a whole matrix, at the activation or at the data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from campaign_help import ids_of, settings_by_id, small
from initializer_help import DATA, FANS, cell_of, defaults, layer, mean_within, networks, signals, within

from gradsim.activations import get
from gradsim.engine.rescale import sample_count
from gradsim.initializers import INITIALIZERS
from gradsim.starts import layer_moments
from gradsim.theory import critical_sigma_w

EPS = {"float32": 1e-6, "float64": 1e-14}
METHODICAL = [name for name, entry in INITIALIZERS.items() if entry.method]


# --- moments of all ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in METHODICAL if n not in ("lsuv", "data_dependent")])
@pytest.mark.parametrize(("m", "n"), FANS)
def test_moments_are_those_of_the_record(name, m, n):
    """Over networks, which are independent of each other where entries are not."""
    seeds = range(max(40, min(4000, 20_000 // (m * n))))
    ((W, b),) = networks((m, n), name, seeds=seeds, dtype="float64")
    mean, variance = INITIALIZERS[name].moments(layer(m, n), **defaults(name))
    by_network = W.reshape(m * n, -1)
    assert mean_within(by_network.mean(axis=0), mean)
    assert mean_within((by_network**2).mean(axis=0), variance + mean**2)
    if name != "randomized_asymmetric":
        assert not b.any()
    elif m <= 3:  # where a bias is special often enough
        assert mean_within(b.mean(axis=0), mean)
        assert mean_within((b**2).mean(axis=0), variance + mean**2)


def test_moments_of_a_network_by_layer():
    """What theory asks for: mean and variance of weights and biases, layer by layer."""
    shapes = [(7, 5), (5, 5), (5, 3)]
    cell = cell_of((7, 5, 5, 3), "critical(sigma_b=0.3)", activation="tanh")
    sigma = critical_sigma_w("tanh", 0.3)
    hidden = [((0, sigma**2 / m), (0, 0.09)) for m in (7, 5)]
    for got, wanted in zip(layer_moments(cell, shapes), [*hidden, ((0, 1 / 5), (0, 0))], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9)
    cell = cell_of((7, 5, 5, 3), "orthogonal(gain=2)", bias_initializer="constant(value=0.1)")
    for (m, n), (weights, biases) in zip(shapes, layer_moments(cell, shapes), strict=True):
        np.testing.assert_allclose([*weights, *biases], [0, 4 / max(m, n), 0.1, 0])
    assert layer_moments(cell_of((7, 5, 5, 3), "lsuv"), shapes) == [None] * 3


# --- orthogonal and identity ------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n"), [*FANS, (5, 7), (7, 5), (33, 30), (30, 33)])
def test_orthogonal_matrices_are_orthogonal(m, n, dtype):
    ((W, _),) = networks((m, n), "orthogonal(gain=1.5)", seeds=range(19), dtype=dtype)
    Q = np.moveaxis(W.astype(np.float64), -1, 0) / 1.5
    gram = Q.transpose(0, 2, 1) @ Q if m >= n else Q @ Q.transpose(0, 2, 1)
    assert np.abs(gram - np.eye(min(m, n))).max() < EPS[dtype]
    assert len(np.unique(W[0, 0])) > 1


@pytest.mark.parametrize(("m", "n"), [(1, 1), (6, 6), (9, 4), (4, 9), (40, 40), (64, 17)])
def test_orthogonal_is_q_of_the_base_numbers_with_a_positive_diagonal_of_r(m, n):
    ((W, _),), ((N, _),) = (
        networks((m, n), name, seeds=range(5), dtype="float64") for name in ("orthogonal", "normal(std=1)")
    )
    for k in range(5):
        base = N[..., k] if m >= n else N[..., k].T
        q, r = np.linalg.qr(base)
        q = q * np.sign(np.diag(r))
        np.testing.assert_allclose(W[..., k], q if m >= n else q.T, atol=2e-13)


def test_orthogonal_matrices_are_uniform():
    """Of Haar measure: E tr Q = 0, E (tr Q)^2 = 1, E q^4 = 3/(n (n + 2)), and both signs of the determinant."""
    ((W, _),) = networks((3, 3), "orthogonal", seeds=range(6000), dtype="float64")
    trace = np.trace(W)
    assert mean_within(trace, 0)
    assert mean_within(trace**2, 1)
    assert mean_within((W**4).mean(axis=(0, 1)), 3 / 15)
    assert mean_within(np.linalg.det(np.moveaxis(W, -1, 0)), 0)


def test_offset_of_an_orthogonal_matrix():
    ((W, _),), ((Q, _),) = (
        networks((6, 4), name, dtype="float64") for name in ("orthogonal(gain=2, offset=0.5)", "orthogonal")
    )
    np.testing.assert_allclose(W, 2 * Q + 0.5, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("m", "n"), FANS)
def test_identity(m, n):
    ((W, _),) = networks((m, n), "identity(gain=0.7)", seeds=range(3))
    np.testing.assert_array_equal(W, np.broadcast_to(np.float32(0.7) * np.eye(m, n, dtype="f4")[..., None], (m, n, 3)))


# --- sparse and asymmetric --------------------------------------------------------------


@pytest.mark.parametrize(("m", "n"), FANS)
@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 1.0])
def test_sparse_counts(m, n, sparsity):
    """As many zeros an input as PyTorch has; the rest is the normal initializer's."""
    ((W, _),), ((N, _),) = (
        networks((m, n), name, seeds=range(17)) for name in (f"sparse(sparsity={sparsity}, std=2)", "normal(std=2)")
    )
    zero = W == 0
    assert (zero.sum(axis=1) == math.ceil(sparsity * n)).all()
    np.testing.assert_array_equal(W[~zero], N[~zero])


def test_sparse_zeros_are_anywhere():
    """Each output is off equally often, and outputs of one input exclude each other as draws without replacement do."""
    ((W, _),) = networks((2, 5), "sparse(sparsity=0.4, std=1)", seeds=range(4000))
    off = (W == 0).astype(float)
    for i, j in itertools.product(range(2), range(5)):
        assert within(off[i, j].mean(), 0.4, 0.24, 4000)
        assert within((off[i, j] * off[i, (j + 1) % 5]).mean(), 0.1, 0.09, 4000)
    assert within((off[0, 0] * off[1, 0]).mean(), 0.16, 0.16 * 0.84, 4000)


@pytest.mark.parametrize("bias", [True, False])
def test_one_entry_of_each_asymmetric_unit_is_a_beta_number(bias):
    m, n, seeds = 4, 6, 2500
    ((W, b),) = networks((m, n), "rai", bias=bias, seeds=range(seeds), dtype="float64")
    normal = "variance_scaling(scale=0.36084049, distribution='normal')"
    biases = {"bias_initializer": "normal(std=0.30035)"} if bias else {}
    ((N, c),) = networks((m, n), normal, bias=bias, seeds=range(seeds), dtype="float64", **biases)
    rows = np.concatenate([W, b[None]]) if bias else W
    base = np.concatenate([N, c[None]]) if bias else N
    special = ~np.isclose(rows, base, rtol=1e-9, atol=0)
    assert (special.sum(axis=0) == 1).all()
    places = len(rows)
    assert places == m + bias
    for place in range(places):
        assert within(special[place].mean(), 1 / places, (1 - 1 / places) / places, n * seeds)
    beta = rows[special]
    assert ((beta > 0) & (beta <= 1)).all()
    # Its distribution function is x^2: the square is uniform.
    square = np.sort(beta**2)
    assert np.abs(square - (np.arange(square.size) + 0.5) / square.size).max() < 2.5 / math.sqrt(square.size)
    assert within(beta.mean(), 2 / 3, 1 / 18, beta.size)


# --- what the activation says -----------------------------------------------------------

GAINS = {"tanh": 1.5925, "elu": 1.2452, "selu": 1.0, "gelu": 1.5335, "silu": 1.6765, "mish": 1.4868}
GAINS |= {"softplus": 1.0419, "sigmoid": 1.8462, "softsign": 2.3375, "hardtanh": 1.392, "relu": math.sqrt(2)}


@pytest.mark.parametrize("activation", GAINS)
def test_the_automatic_gain_keeps_the_variance(activation):
    gain = INITIALIZERS["lecun_normal"].moments(layer(1, 1, activation), gain="auto", offset=0.0)[1] ** 0.5
    assert abs(gain - GAINS[activation]) < 1e-3
    z = np.random.default_rng(0).normal(size=400_000)
    assert mean_within(get(activation)(z) ** 2, 1 / gain**2)


def test_the_automatic_gain_is_each_layers_own():
    widths, cell = (8, 8, 8, 8), {"activation": ["tanh", "relu"], "dtype": "float64"}
    auto, plain = (networks(widths, f"glorot_uniform(gain={g})", **cell) for g in ("'auto'", "1"))
    for gain, (W, _), (W1, _) in zip((GAINS["tanh"], GAINS["relu"], 1), auto, plain, strict=True):
        np.testing.assert_allclose(W / W1, gain, rtol=1e-4)
    for name in ("orthogonal", "identity", "ntk", "kaiming_normal", "variance_scaling"):
        (W, _), *_ = networks(widths, f"{name}(gain='auto')", **cell)
        (W1, _), *_ = networks(widths, f"{name}(gain=1)", **cell)
        np.testing.assert_allclose(W, W1 * GAINS["tanh"], rtol=1e-4, atol=1e-15)
    (W, b), *_ = networks(widths, "zeros", bias_initializer="he_uniform(gain='auto')", **cell)
    (_, b1), *_ = networks(widths, "zeros", bias_initializer="he_uniform(gain=1)", **cell)
    np.testing.assert_allclose(b, b1 * GAINS["tanh"], rtol=1e-4)


def test_he_normal_is_the_automatic_gain_of_relu():
    (W, _), *_ = networks((8, 8, 2), "lecun_normal(gain='auto')", activation="relu", dtype="float64")
    (W1, _), *_ = networks((8, 8, 2), "he_normal", activation="relu", dtype="float64")
    np.testing.assert_allclose(W, W1, rtol=1e-12)


def test_critical_is_on_the_edge_of_chaos():
    made = networks((9, 8, 7), "critical(sigma_b=0.3)", activation="tanh", seeds=range(3000), dtype="float64")
    (W, b), (W2, b2) = made
    assert mean_within(W.ravel() ** 2, 1.39558**2 / 9)
    assert mean_within(b.ravel() ** 2, 0.09)
    assert mean_within(W2.ravel() ** 2, 1 / 8)
    assert not b2.any()
    (W, b), _ = networks((9, 8, 7), "critical", activation="relu", bias=False)
    base, _ = networks((9, 8, 7), "kaiming_normal", activation="relu", bias=False)
    np.testing.assert_allclose(W, base[0], rtol=1e-6)
    assert b is None


def test_critical_and_gain_of_a_users_own_activation():
    own = small(
        activation={"formula": "tanh(b*z)", "name": "steep", "parameters": {"b": 2.0}},
        grid={"initializer": ["critical", "lecun_normal(gain='auto')"], "activation.b": [1.0, 2.0, 0.5]},
        dtype="float64",
    )
    base = {name: small(initializer=name, dtype="float64") for name in ("ntk", "lecun_normal")}
    base = {name: c.initial_weights(ids_of(c)[0])[0][0] for name, c in base.items()}
    for run_id, settings in settings_by_id(own).items():
        W = own.initial_weights(run_id)[0][0]
        b = settings.activation[0].values["b"]
        if settings.initializer.name == "critical":  # chi1 = sigma_w^2 b^2 at variance 0
            np.testing.assert_allclose(W, base["ntk"] / b, rtol=1e-6)
        else:
            square = (np.tanh(b * np.random.default_rng(1).normal(size=200_000)) ** 2).mean()
            np.testing.assert_allclose(W, base["lecun_normal"] / math.sqrt(square), rtol=0.01)


# --- what the data say ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activations", "fields"),
    [
        (["relu", "tanh", "relu"], {}),
        (["tanh", "gelu", "elu"], {"bias_initializer": "normal(std=0.3)"}),
        (["leaky_relu", "softplus", "sigmoid"], {"bias": False, "dtype": "float64"}),
        (["softmax", "swiglu", "maxout"], {"dtype": "float64"}),
    ],
    ids=str,
)
def test_layers_have_unit_variance_within_the_tolerance(activations, fields):
    widths = (7, 12, 9, 10, 3)
    layers = networks(widths, "lsuv", activation=activations, samples=DATA, seeds=range(20), **fields)
    start = networks(widths, "orthogonal", activation=activations, seeds=range(20), **fields)
    distances = []
    for k in range(20):
        for z in signals(layers, activations, DATA[:256], k):
            distances.append(abs(z.var() - 1))
        for (W, b), (Q, c) in zip(layers, start, strict=True):
            np.testing.assert_allclose(
                W[..., k] / np.abs(W[..., k]).max(), Q[..., k] / np.abs(Q[..., k]).max(), rtol=1e-5
            )
            assert b is None or (b == c).all()
    assert max(distances) < 0.1 + 1e-5
    assert max(abs(z.var() - 1) for z in signals(start, activations, DATA[:256], 0)) > 0.1


def test_tolerance_and_rounds():
    def variances(initializer, **fields):
        layers = networks((7, 8, 8, 2), initializer, activation="tanh", samples=DATA, dtype="float64", **fields)
        return [[z.var() for z in signals(layers, ["tanh", "tanh"], DATA[:256], k)] for k in range(8)]

    # Without biases one round is exact.
    np.testing.assert_allclose(variances("lsuv(tolerance=0, rounds=1)"), 1, rtol=1e-12)
    # With them a round divides only the weights: the variance nears 1 from round to round.
    biased = [
        np.abs(np.array(variances(f"lsuv(tolerance=0, rounds={r})", bias_initializer="normal(std=0.5)")) - 1).max()
        for r in (0, 1, 2, 100)
    ]
    assert biased[0] > biased[1] > biased[2] > 1e-6 > biased[3]
    for (W, _), (Q, _) in zip(
        *(networks((7, 8, 2), i, activation="tanh", samples=DATA) for i in ("lsuv(rounds=0)", "orthogonal")),
        strict=True,
    ):
        np.testing.assert_array_equal(W, Q)


def test_networks_that_no_rescaling_can_help_are_left_alone():
    """Dead layers have variance 0; inputs that overflow have none; units do not vary on one sample."""
    dead = networks((7, 5, 5, 2), "lsuv", activation="relu", bias_initializer="constant(value=-1000)", samples=DATA)
    for W, b in dead:
        assert np.isfinite(W).all()
        assert (b == -1000).all()
    np.testing.assert_array_equal(
        dead[1][0],
        networks((7, 5, 5, 2), "orthogonal", activation="relu", bias_initializer="constant(value=-1000)")[1][0],
    )
    start = {"lsuv": "orthogonal", "data_dependent": "ntk"}
    cases = [(name, scale * DATA) for name in start for scale in (1e200, 0)] + [("data_dependent", DATA[:1])]
    for name, samples in cases:
        ((W, b),) = networks((7, 3), name, samples=samples, dtype="float64")
        np.testing.assert_array_equal(W, networks((7, 3), start[name], dtype="float64")[0][0])
        assert (b == 0).all()


@pytest.mark.parametrize("bias", [True, False])
def test_data_dependent_units_have_mean_0_and_variance_1(bias):
    activations = ["relu", "softplus"]
    layers = networks(
        (7, 12, 9, 3),
        "data_dependent",
        activation=activations,
        bias=bias,
        samples=DATA,
        seeds=range(9),
        dtype="float64",
    )
    start = networks((7, 12, 9, 3), "ntk", activation=activations, bias=bias, seeds=range(9), dtype="float64")
    for k in range(9):
        for z, (W, b), (N, _) in zip(signals(layers, activations, DATA[:256], k), layers, start, strict=True):
            np.testing.assert_allclose(z.var(axis=0), 1, rtol=1e-10)
            assert not bias or np.abs(z.mean(axis=0)).max() < 1e-12
            ratio = W[..., k] / N[..., k]
            np.testing.assert_allclose(ratio, ratio[:1] + 0 * ratio, rtol=1e-12)
            assert (b is not None) == bias


def test_how_many_samples_are_looked_at():
    assert [sample_count(w) for w in (1, 1000, 4096, 8192, 10**8)] == [256, 256, 256, 128, 1]
    few = networks((7, 3), "lsuv(tolerance=0)", samples=DATA[:5], dtype="float64")
    assert math.isclose(signals(few, [], DATA[:5], 0)[0].var(), 1, rel_tol=1e-12)

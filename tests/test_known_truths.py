"""What theory says must come out, through whole campaigns.

The intervals are derived, not fitted. With biases 0 and weights N(0, s/n) that are not cut off, of a layer with fan-in
n, the pre-activations for an input of mean square q are independent N(0, s q). With relu the mean square of the next
layer is then q times

    F = (s / width) sum_i max(0, g_i)^2,    g_i independent standard normal.

E max(0, g)^2 = 1/2 and E max(0, g)^4 = 3/2, so E F = s/2 and var F = s^2 (3/2 - 1/4) / width = 5 s^2 / (4 width):
with s = 2 (He) mean 1 and variance 5/width, with s = 1 mean 1/2 and variance 5/(4 width). The factors of different
layers and networks are independent, and relu is positively homogeneous: inputs that are multiples of one vector all
have the same factors, so that one network is one observation, whatever the number of samples.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive_activations import ACTIVATIONS

import gradsim as gs

WIDTH, DEPTH, SEEDS = 32, 20, 1024
SIGMAS = 4.5


@pytest.fixture(scope="module")
def rectified(tmp_path_factory):
    """1024 networks of 20 layers of 32 relu units for each of three initializers, untrained, on multiples of one x."""
    random = np.random.default_rng(0)
    x = random.normal(size=WIDTH)
    X = np.outer([1.0, 0.5, 2.0, 3.0], x)
    campaign = gs.Campaign(
        name="rectified",
        dataset=(X, np.array([0, 1, 0, 1])),
        scaling="none",
        test_fraction=0,
        depth=DEPTH,
        width=WIDTH,
        activation="relu",
        learning_rate=0.0,
        steps=1,
        batch_size="full",
        grid={
            "initializer": ["kaiming_normal", "ntk", {"name": "normal", "std": 1 / math.sqrt(WIDTH)}],
            "seed": range(SEEDS),
        },
    )
    results = campaign.run(tmp_path_factory.mktemp("rectified") / "results", threads=1, progress=False)
    layers = results.layers.merge(results.runs[["run_id", "initializer", "seed"]], on="run_id")
    layers = layers[(layers.step == 0) & (layers.layer < DEPTH)]
    layers["square"] = layers.activation_mean**2 + layers.activation_std**2
    inputs = float((campaign.data()[0].astype(np.float64) ** 2).mean())
    tables = {
        name: {column: group.pivot(index="seed", columns="layer", values=column).to_numpy() for column in KEPT}
        for name, group in layers.groupby("initializer")
    }
    return tables, inputs


KEPT = ("square", "zero")


def squares(rectified, initializer):
    """[networks, 1 + layers]: the mean square of the input and of each layer."""
    tables, inputs = rectified
    (name,) = [n for n in tables if n.startswith(initializer)]
    square = tables[name]["square"]
    return np.concatenate([np.full((len(square), 1), inputs), square], axis=1)


def test_relu_with_he_normal_keeps_the_expected_squared_norm_through_twenty_layers(rectified):
    """The product of l factors has mean 1 and variance (1 + 5/width)^l - 1."""
    kept = squares(rectified, "kaiming_normal")
    ratio = kept[:, 1:] / kept[:, :1]
    assert ratio.shape == (SEEDS, DEPTH)
    for layer in range(DEPTH):
        deviation = math.sqrt(((1 + 5 / WIDTH) ** (layer + 1) - 1) / SEEDS)
        assert abs(ratio[:, layer].mean() - 1) < SIGMAS * deviation, f"layer {layer}"
    assert ratio[:, -1].std() > 0.5


def test_relu_with_variance_one_over_fan_in_halves_the_squared_norm_at_each_layer(rectified):
    halved = squares(rectified, "ntk")
    ratio = halved[:, 1:] / halved[:, :1]
    for layer in range(DEPTH):
        deviation = math.sqrt(((1 + 5 / WIDTH) ** (layer + 1) - 1) / SEEDS)
        assert abs(ratio[:, layer].mean() * 2.0 ** (layer + 1) - 1) < SIGMAS * deviation, f"layer {layer}"


@pytest.mark.parametrize(("initializer", "s"), [("kaiming_normal", 2.0), ("ntk", 1.0)])
def test_the_factor_of_a_single_layer_has_its_mean_and_variance(rectified, initializer, s):
    """All layers of all networks are independent draws of F: 20,480 of them pin both moments down."""
    square = squares(rectified, initializer)
    # Where a whole layer is dead (once in 2^32 draws) there would be no factor; there is none here.
    factor = (square[:, 1:] / square[:, :-1]).ravel()
    variance = 5 * s**2 / (4 * WIDTH)
    assert abs(factor.mean() - s / 2) < SIGMAS * math.sqrt(variance / factor.size)
    # E (r - 1/2)^4 of r = max(0, g)^2, from E r^4 = 105/2, E r^3 = 15/2, E r^2 = 3/2 and E r = 1/2.
    fourth_central = s**4 * (105 / 2 - 15 + 9 / 4 - 1 / 4 + 1 / 16)
    second_central = 5 * s**2 / 4
    fourth = (fourth_central + 3 * (WIDTH - 1) * second_central**2) / WIDTH**3
    spread = math.sqrt((fourth - variance**2) / factor.size)
    assert abs(((factor - s / 2) ** 2).mean() - variance) < SIGMAS * spread


def test_initializers_of_the_same_variance_are_the_same_networks(rectified):
    np.testing.assert_array_equal(squares(rectified, "ntk"), squares(rectified, "normal"))


def test_half_of_the_relu_units_are_active_at_random_weights(rectified):
    """By the symmetry of W every unit is on with probability 1/2, in every layer, independently of the others."""
    tables, _ = rectified
    for table in tables.values():
        shares = table["zero"].mean(axis=0)
        deviation = math.sqrt(0.25 / (WIDTH * SEEDS))
        assert (np.abs(shares - 0.5) < SIGMAS * deviation).all()
        assert abs(table["zero"].mean() - 0.5) < SIGMAS * deviation / math.sqrt(DEPTH)


# --- symmetry ---------------------------------------------------------------------------


def test_zeros_never_break_symmetry(tmp_path):
    """Every activation; equal weights other than 0 do not either."""
    campaign = gs.Campaign(
        name="zeros",
        dataset="iris",
        depth=3,
        width=5,
        steps=30,
        batch_size=16,
        learning_rate=0.05,
        target=0.01,
        grid={
            "activation": list(ACTIVATIONS),
            "initializer": ["zeros", "constant(value=0.3)", "glorot_uniform"],
            "seed": [0, 1],
        },
    )
    results = campaign.run(tmp_path / "results", threads=1, progress=False)
    runs = results.runs
    assert set(runs.activation) == set(ACTIVATIONS)
    equal = runs[runs.initializer != "glorot_uniform"]
    wrong = equal[(equal.diagnosis != "symmetric") | (equal.outcome == "converged")]
    assert wrong.empty, wrong[["activation", "initializer", "outcome", "diagnosis"]].to_string()
    assert (equal.diagnosis_layer == 0).all()
    np.testing.assert_allclose(equal.diagnosis_value.astype(float), 1 / 5)
    broken = runs[runs.initializer == "glorot_uniform"]
    assert not (broken.diagnosis == "symmetric").any()
    last = results.layers[results.layers.step == 30].merge(runs[["run_id", "initializer"]], on="run_id")
    hidden = last[last.layer < 3].groupby("initializer").distinct_units
    np.testing.assert_allclose(hidden.max()[["zeros", "constant(value=0.3)"]], 1 / 5)
    assert hidden.min()["glorot_uniform"] == 1


# --- vanishing gradients ----------------------------------------------------------------


def gaussian_mean(function, variance):
    """E function(sqrt(variance) g) by Gauss-Hermite quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    return float((weights * function(math.sqrt(variance) * points)).sum() / weights.sum())


def test_sigmoid_shrinks_the_error_by_about_a_quarter_a_layer(tmp_path):
    """Its slope is at most 1/4, and with weights of variance 1/fan_in the mean square of W delta is that of delta.

    Mean field gives the rest: q = E s(sqrt(q) g)^2 is the variance of the pre-activations, and the mean square of the
    deltas shrinks by E s'(sqrt(q) g)^2 a layer.
    """
    depth, width, seeds = 8, 128, 64
    campaign = gs.Campaign(
        name="sigmoid",
        dataset="digits",
        depth=depth,
        width=width,
        activation="sigmoid",
        initializer="lecun_normal",
        learning_rate=0.0,
        steps=1,
        probe_samples=16,
        grid={"seed": range(seeds)},
    )
    results = campaign.run(tmp_path / "results", threads=1, progress=False)
    layers = results.layers[results.layers.step == 0]
    rms = layers.pivot(index="run_id", columns="layer", values="delta_rms").to_numpy()
    # From the second hidden layer on the pre-activations have forgotten the data.
    shrinkage = np.sqrt((rms[:, 1 : depth - 1] ** 2).mean(axis=0) / (rms[:, 2:depth] ** 2).mean(axis=0))
    assert (shrinkage < 0.25).all()
    assert (shrinkage > 0.2).all()
    q = 0.25
    for _ in range(100):
        q = gaussian_mean(lambda z: 1 / (1 + np.exp(-z)) ** 2, q)
    slope = math.sqrt(gaussian_mean(lambda z: (np.exp(-z) / (1 + np.exp(-z)) ** 2) ** 2, q))
    # |W^T delta|^2 has relative variance 2/width a network, and of a ratio's mean square root half of it counts.
    deviation = 0.5 * math.sqrt(2 * 2 / width / seeds)
    np.testing.assert_allclose(shrinkage, slope, rtol=SIGMAS * deviation + 1 / width)
    assert 0.22 < slope < 0.25
    total = (rms[:, 0] / rms[:, depth - 1]).mean()
    assert 0.2 ** (depth - 1) < total < 0.25 ** (depth - 1) * 1.2


def test_float32_sigmoid_slope_at_20():
    """e^-20 / (1 + e^-20)^2 = 2.0611536e-9, where y (1 - y) is 0 in float32."""
    got = gs.activations.get("sigmoid").derivative(np.array([20.0], np.float32))[0]
    wanted = math.exp(-20) / (1 + math.exp(-20)) ** 2
    assert abs(float(got) - wanted) <= 4 * np.spacing(np.float32(wanted))
    y = np.float32(1) / (np.float32(1) + np.exp(np.float32(-20)))
    assert y * (1 - y) == 0


# --- a quadratic ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linear(tmp_path_factory):
    """Linear regression by full-batch gradient descent at rates around 2/lambda_max, and its exact eigenvalues."""
    random = np.random.default_rng(1)
    X = random.normal(size=(60, 4)) * [1.0, 0.6, 1.5, 0.9]
    y = X @ [1.0, -2.0, 0.5, 0.3] + 0.5 + 0.1 * random.normal(size=60)
    fields = {"dataset": (X, y), "scaling": "none", "test_fraction": 0, "depth": 0, "batch_size": "full"}
    fields |= {
        "steps": 2000,
        "dtype": "float64",
        "activation": "identity",
        "loss": "mse",
        "initializer": "lecun_normal",
    }
    X, y, _, _ = gs.Campaign(**fields).data()
    # The bias is one more input, always 1; the Hessian of mean((Xw - y)^2) is 2 X'X / n.
    A = np.column_stack([X, np.ones(len(X))])
    hessian = 2 * A.T @ A / len(A)
    limit = 2 / np.linalg.eigvalsh(hessian)[-1]
    rates = [float(share * limit) for share in SHARES]
    campaign = gs.Campaign(name="linear", **fields, grid={"learning_rate": rates})
    results = campaign.run(tmp_path_factory.mktemp("linear") / "results", threads=1, progress=False)
    runs = results.runs.sort_values("learning_rate").reset_index(drop=True)
    return campaign, runs, A, y, hessian


SHARES = (0.1, 0.5, 0.95, 0.99, 1.01, 1.05, 2.0)


def test_gradient_descent_converges_exactly_below_two_over_the_largest_eigenvalue(linear):
    _, runs, A, y, _ = linear
    best = np.linalg.lstsq(A, y, rcond=None)[0]
    least = float(((A @ best - y.ravel()[:, None] if best.ndim > 1 else A @ best - y.ravel()) ** 2).mean())
    for share, run in zip(SHARES, runs.itertuples(), strict=True):
        if share < 1:
            assert run.outcome == "converged", share
            assert run.final_loss == pytest.approx(least, rel=1e-6)
        else:
            assert run.outcome == "diverged", share
            assert not run.final_loss < 1000 * run.initial_loss


def test_every_iterate_is_the_exact_one(linear):
    """w_t = w* + (1 - rate H)^t (w_0 - w*)."""
    campaign, runs, A, y, hessian = linear
    best = np.linalg.lstsq(A, y.reshape(len(A), 1), rcond=None)[0]
    for run in runs.itertuples():
        if run.learning_rate > 1.02 * 2 / np.linalg.eigvalsh(hessian)[-1]:
            continue
        history = campaign.replay(run.run_id, checkpoints=[1, 10, 300])
        ((W, b),) = campaign.initial_weights(run.run_id)
        start = np.vstack([W, b])
        for step, ((W, b),) in zip(history.checkpoints, history.snapshots, strict=True):
            if step <= 300:
                factor = np.linalg.matrix_power(np.eye(5) - run.learning_rate * hessian, int(step))
                np.testing.assert_allclose(np.vstack([W, b]), best + factor @ (start - best), rtol=1e-9, atol=1e-11)
        assert history.loss[0] == pytest.approx(((A @ start - y.reshape(-1, 1)) ** 2).mean(), rel=1e-12)

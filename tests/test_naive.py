"""The twin proves itself: finite differences, PyTorch, closed forms, hand-made cases; all without gradsim."""

from __future__ import annotations

import itertools
import math

import naive
import numpy as np
import pytest
from mpmath import mp

SETTINGS = [(name, {}) for name in naive.ORACLES] + [("leaky_relu", {"slope": 0.3}), ("elu", {"alpha": 1.7})]
every_activation = pytest.mark.parametrize(("name", "params"), SETTINGS, ids=lambda v: str(v or "default"))
# The others are proved in test_naive_losses.
every_loss = pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared_error"])
every_optimizer = pytest.mark.parametrize(
    "optimizer", [("sgd", {}), ("momentum", {"beta": 0.9})], ids=["sgd", "momentum"]
)


def network(widths, seed=0, bias=True):
    """Random weights, inputs and a target for each loss, for layers of these widths and 7 samples."""
    random = np.random.default_rng(seed)
    weights = [
        (random.normal(size=(m, n)) / math.sqrt(m), random.normal(size=n) / 2 if bias else None)
        for m, n in itertools.pairwise(widths)
    ]
    X, Y = random.normal(size=(7, widths[0])), random.normal(size=(7, widths[-1]))
    return weights, X, {"softmax_cross_entropy": np.arange(7) % widths[-1], "mean_squared_error": Y}


# --- random numbers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ("00000000 00000000", "00000000 00000000 00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff", "ffffffff ffffffff ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("a4093822 299f31d0", "243f6a88 85a308d3 13198a2e 03707344", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_known_answers(key, counter, expected):
    key, counter, expected = ([int(word, 16) for word in text.split()] for text in (key, counter, expected))
    assert naive.philox4x32(tuple(key), tuple(counter)) == tuple(expected)


# --- activations ------------------------------------------------------------------------


def test_every_table_lists_the_same_activations():
    assert list(naive.ORACLES) == list(naive.ACTIVATIONS) == list(naive.MAX_SLOPE)


@every_activation
def test_exact_slope_is_the_derivative_of_the_exact_value(name, params):
    oracle = naive.ORACLES[name]
    with mp.workdps(50):
        h = mp.mpf("1e-15")
        for z in (-30.0, -2.4, -1.2784645, -0.75, -1e-3, 1e-3, 0.7, 2.4, 30.0):
            numeric = (oracle(z + h, **params)[0] - oracle(z - h, **params)[0]) / (2 * h)
            assert abs(numeric - oracle(z, **params)[1]) < mp.mpf("1e-28")


@every_activation
def test_float64_activation_agrees_with_the_exact_one(name, params):
    z = np.array([*np.linspace(-40, 40, 401), -700, -300, -1e-9, -1e-300, 0, 1e-300, 1e-9, 300, 700, 1e308, -1e308])
    wanted = np.array([[float(x) for x in naive.ORACLES[name](x, **params)] for x in z]).T
    # In gelu's tail the rounding of z^2 / 2 = 700 costs three digits.
    rtol = 1e-12 if name == "gelu" else 1e-14
    np.testing.assert_allclose(naive.ACTIVATIONS[name](z, **params), wanted, rtol=rtol, atol=1e-307)


def test_exact_values_in_the_tails():
    assert float(naive.ORACLES["sigmoid"](20.0)[1]) == 2.061153613941849e-09
    assert float(naive.ORACLES["tanh"](1e-300)[0]) == 1e-300
    assert float(naive.ORACLES["elu"](-1e-200)[0]) == -1e-200
    assert float(naive.ORACLES["softplus"](-700.0)[0]) == math.exp(-700)


LIMITS = {  # name -> ((value, slope) at -inf, at 0, at +inf)
    "identity": ((-math.inf, 1), (0, 1), (math.inf, 1)),
    "sigmoid": ((0, 0), (0.5, 0.25), (1, 0)),
    "tanh": ((-1, 0), (0, 1), (1, 0)),
    "relu": ((0, 0), (0, 0), (math.inf, 1)),
    "leaky_relu": ((-math.inf, 0.01), (0, 0.01), (math.inf, 1)),
    "elu": ((-1, 0), (0, 1), (math.inf, 1)),
    "softplus": ((0, 0), (math.log(2), 0.5), (math.inf, 1)),
    "silu": ((0, 0), (0, 0.5), (math.inf, 1)),
    "gelu": ((0, 0), (0, 0.5), (math.inf, 1)),
}


@pytest.mark.parametrize("name", naive.ORACLES)
def test_limits_kinks_and_nan(name):
    z = np.array([-math.inf, 0.0, math.inf, math.nan])
    wanted = np.array([*LIMITS[name], (math.nan, math.nan)]).T
    exact = np.array([[float(x) for x in naive.ORACLES[name](x)] for x in z]).T
    np.testing.assert_array_equal(exact, wanted)
    np.testing.assert_allclose(naive.ACTIVATIONS[name](z), wanted, rtol=1e-15)


def test_parameters_decide_the_slope_at_the_kink():
    assert naive.ORACLES["leaky_relu"](0.0, slope=0.3)[1] == mp.mpf(0.3)
    assert naive.ORACLES["elu"](0.0, alpha=1.7)[1] == mp.mpf(1.7)
    assert naive.ORACLES["leaky_relu"](-math.inf, slope=0.0) == (0, 0)
    assert naive.ACTIVATIONS["leaky_relu"](np.array([-math.inf]), slope=0.0)[0] == 0


@every_activation
def test_max_slope_is_the_largest(name, params):
    largest, point = naive.MAX_SLOPE[name](**params)
    slopes = np.abs(naive.ACTIVATIONS[name](np.linspace(-50, 50, 100_001), **params)[1])
    assert slopes.max() <= largest * (1 + 1e-15)
    assert slopes.max() == pytest.approx(largest, rel=2e-3 if params else 1e-6)
    if name in ("silu", "gelu", "sigmoid", "tanh"):
        assert float(naive.ORACLES[name](point, **params)[1]) == pytest.approx(largest, rel=1e-15)
    assert naive.MAX_SLOPE["silu"]() == (pytest.approx(1.09984, abs=1e-5), pytest.approx(2.39936, abs=1e-5))
    assert naive.MAX_SLOPE["gelu"]() == (pytest.approx(1.12890, abs=1e-5), pytest.approx(math.sqrt(2)))


# --- losses and gradients ---------------------------------------------------------------


def test_losses_of_known_predictions():
    y = np.array([0, 2, 1])
    assert naive.softmax_cross_entropy(np.zeros((3, 5)), y)[0] == pytest.approx(math.log(5), rel=1e-15)
    assert naive.softmax_cross_entropy(np.array([[1e4, 0.0]]), np.array([1]))[0] == 1e4
    assert naive.mean_squared_error(np.zeros((3, 4)), y)[0] == 3 / 12
    assert naive.mean_squared_error(np.array([[1.0], [4.0]]), np.array([0.0, 2.0]))[0] == 2.5


def assert_gradient_matches_differences(widths, activations, loss, bias=True):
    weights, X, targets = network(widths, bias=bias)
    _, gradients, _ = naive.loss_and_gradients(weights, X, targets[loss], activations, loss)
    h = 1e-5
    for array, gradient in zip(itertools.chain(*weights), itertools.chain(*gradients), strict=True):
        if array is None:
            assert gradient is None
            continue
        numeric = np.empty_like(array)
        for index in np.ndindex(array.shape):
            center, losses = array[index], []
            for moved in (center - h, center + h):
                array[index] = moved
                losses.append(naive.loss_and_gradients(weights, X, targets[loss], activations, loss)[0])
            array[index], numeric[index] = center, (losses[1] - losses[0]) / (2 * h)
        assert np.abs(gradient).max() > 1e-4
        np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-9)


@every_loss
@every_activation
def test_gradient_matches_central_differences(name, params, loss):
    assert_gradient_matches_differences([5, 3, 3], [(name, params)], loss)


@every_loss
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("widths", [[3, 2], [1, 2, 2], [5, 3, 1, 7, 2]], ids=str)
def test_gradient_matches_central_differences_in_odd_shapes(widths, bias, loss):
    mixed = [("tanh", {}), ("leaky_relu", {"slope": 0.3}), ("silu", {})][: len(widths) - 2]
    assert_gradient_matches_differences(widths, mixed, loss, bias)


# --- training ---------------------------------------------------------------------------


def torch_activation(functional, name, params):
    return {
        "identity": lambda z: z,
        "leaky_relu": lambda z: functional.leaky_relu(z, params.get("slope", 0.01)),
        "elu": lambda z: functional.elu(z, **params),
        "softplus": lambda z: functional.softplus(z, threshold=1e9),  # its default 20 is an approximation
    }.get(name) or getattr(functional, name)


@every_loss
@every_optimizer
@every_activation
def test_training_equals_pytorch(name, params, optimizer, loss):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    weights, X, targets = network([5, 3, 4, 3], seed=1)
    y, rates = targets[loss], [0.05, 0.2, 0.1]
    batches = np.random.default_rng(2).integers(0, 7, size=(20, 3))
    final, losses = naive.train(weights, X, y, batches, [(name, params)] * 2, loss, optimizer, rates)

    f = torch_activation(torch.nn.functional, name, params)
    layers = [tuple(torch.tensor(a, requires_grad=True) for a in layer) for layer in weights]
    groups = [{"params": layer, "lr": rate} for layer, rate in zip(layers, rates, strict=True)]
    stepper = torch.optim.SGD(groups, momentum=optimizer[1].get("beta", 0.0))
    criterion = torch.nn.MSELoss() if loss == "mean_squared_error" else torch.nn.CrossEntropyLoss()
    for step, batch in enumerate(batches):
        h = torch.tensor(X[batch])
        for W, b in layers[:-1]:
            h = f(h @ W + b)
        value = criterion(h @ layers[-1][0] + layers[-1][1], torch.tensor(y[batch]))
        assert losses[step] == pytest.approx(value.item(), rel=1e-11)
        stepper.zero_grad()
        value.backward()
        stepper.step()
    for ours, theirs, start in zip(
        itertools.chain(*final), itertools.chain(*layers), itertools.chain(*weights), strict=True
    ):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-13)
        assert not np.allclose(ours, start, rtol=1e-3)


@pytest.mark.parametrize("name", naive.ORACLES)
def test_slope_at_zero_equals_pytorch(name):
    torch = pytest.importorskip("torch")
    z = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    torch_activation(torch.nn.functional, name, {})(z).backward()
    assert z.grad.item() == pytest.approx(float(naive.ORACLES[name](0.0)[1]), rel=1e-15)


def least_squares():
    """W0, X, Y, the solution W* and the Hessian 2 X'X / (n k) of a linear model's mean squared error."""
    weights, X, targets = network([3, 2], seed=3, bias=False)
    Y = targets["mean_squared_error"]
    return weights, X, Y, np.linalg.lstsq(X, Y, rcond=None)[0], 2 * X.T @ X / Y.size


def test_gradient_descent_on_a_quadratic_has_the_exact_iterate():
    weights, X, Y, solution, hessian = least_squares()
    final, losses = naive.train(weights, X, Y, np.tile(np.arange(7), (30, 1)), [], "mean_squared_error")
    factor = np.linalg.matrix_power(np.eye(3) - 0.1 * hessian, 30)
    np.testing.assert_allclose(final[0][0], solution + factor @ (weights[0][0] - solution), rtol=1e-12)
    assert losses[0] == pytest.approx(np.mean((X @ weights[0][0] - Y) ** 2), rel=1e-14)


def test_momentum_on_a_quadratic_has_the_exact_iterate():
    weights, X, Y, solution, hessian = least_squares()
    everything = np.tile(np.arange(7), (99, 1))
    final, losses = naive.train(
        weights, X, Y, everything, [], "mean_squared_error", ("momentum", {"beta": 0.8}), [0.1], steps=30
    )
    one = np.eye(3)  # one step maps (v, e), e = W - W*, to (u, e - lr u) with u = beta v + H e
    step = np.block([[0.8 * one, hessian], [-0.08 * one, one - 0.1 * hessian]])
    start = np.vstack([np.zeros((3, 2)), weights[0][0] - solution])
    wanted = solution + (np.linalg.matrix_power(step, 30) @ start)[3:]
    np.testing.assert_allclose(final[0][0], wanted, rtol=1e-12)
    assert len(losses) == 30


def test_training_diverges_beyond_two_over_the_largest_eigenvalue():
    weights, X, Y, _, hessian = least_squares()
    everything, limit = np.tile(np.arange(7), (4000, 1)), 2 / np.linalg.eigvalsh(hessian)[-1]
    below, above = (
        naive.train(weights, X, Y, everything, [], "mean_squared_error", learning_rates=share * limit)[1]
        for share in (0.99, 1.5)
    )
    assert below[-1] < below[0]
    assert np.isinf(above).any()
    assert not np.isfinite(above[-1])


def test_training_leaves_its_start_alone():
    weights, X, targets = network([5, 3, 3])
    before = [a.copy() for a in itertools.chain(*weights)]
    y = targets["mean_squared_error"]
    naive.train(weights, X, y, np.array([[0, 1]]), [("tanh", {})], "mean_squared_error")
    for array, copy in zip(itertools.chain(*weights), before, strict=True):
        np.testing.assert_array_equal(array, copy)


# --- what is measured -------------------------------------------------------------------


def test_statistics_of_a_network_worked_out_by_hand():
    weights = [
        (np.array([[1.0, -1.0], [1.0, 0.0]]), np.array([0.0, -1.0])),
        (np.array([[2.0], [5.0]]), np.array([1.0])),
    ]
    X, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[6.0], [7.0]])
    # z = [[3, -2], [2, -4]], out = [7, 5], dLoss/dout = [1, -2], delta = [[2, 0], [-4, 0]],
    # dLoss/dW = [[-10, 0], [8, 0]] and [[-1], [0]]
    halved = [(W / 2, b) for W, b in weights]
    hidden, out = naive.layer_statistics(weights, X, y, [("relu", {})], "mean_squared_error", previous=halved)
    assert hidden == {
        "preactivation_mean": -0.25,
        "preactivation_std": pytest.approx(math.sqrt(8.1875)),
        "activation_mean": 1.25,
        "activation_std": pytest.approx(math.sqrt(1.6875)),
        "saturated_low": 0.5,
        "saturated_high": 0.0,
        "dead": 0.5,
        "zero": 0.5,
        "delta_rms": pytest.approx(math.sqrt(5)),
        "gradient_rms": pytest.approx(math.sqrt(41)),
        "weight_rms": pytest.approx(math.sqrt(0.75)),
        "update_ratio": pytest.approx(0.5),
        "sign_coherence": 0.25,
        "distinct_units": 1.0,
    }
    assert (out["preactivation_mean"], out["activation_mean"], out["activation_std"]) == (6.0, 6.0, 1.0)
    assert (out["saturated_low"], out["saturated_high"], out["dead"], out["zero"]) == (0, 0, 0, 0)
    assert out["delta_rms"] == pytest.approx(math.sqrt(2.5))
    assert out["gradient_rms"] == pytest.approx(math.sqrt(0.5))
    assert (out["sign_coherence"], out["distinct_units"]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("name", "params", "low", "high"),
    [  # a z that is not saturated and one that is, on each side; None where the side never is
        ("sigmoid", {}, (-3.636, -3.638), (3.636, 3.638)),
        ("tanh", {}, (-1.818, -1.819), (1.818, 1.819)),
        ("relu", {}, (5e-324, 0.0), None),
        ("leaky_relu", {}, (5e-324, 0.0), None),
        ("leaky_relu", {"slope": 20.0}, None, (0.0, 5e-324)),
        ("elu", {}, (-2.302, -2.303), None),
        ("elu", {"alpha": 20.0}, (-2.302, -2.303), (0.0, 5e-324)),
        ("softplus", {}, (-2.197, -2.198), None),
        ("silu", {}, (-0.882, -0.883), None),
        ("gelu", {}, (-1.4142, -0.7517916), None),  # the slope is -0.129 at -sqrt(2), 0 at -0.75
        ("identity", {}, None, None),
    ],
    ids=str,
)
def test_saturation_thresholds(name, params, low, high):
    for side, pair in enumerate((low, high)):
        free, flat = pair or (1e6 * (2 * side - 1),) * 2
        assert naive.saturated(np.array([[free]]), name, params) == (0, 0)
        wanted = (float(side == 0), float(side == 1)) if pair else (0, 0)
        assert naive.saturated(np.array([[flat]]), name, params) == wanted


def test_dead_means_for_every_sample():
    assert naive.dead_fraction(np.array([[0.0, 1e-8, 0.0, -1.0], [0.0, -1e-8, 2e-7, -1.0]])) == 0.5


def test_sign_coherence_of_known_signs():
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=4)))
    assert naive.sign_coherence(np.abs(signs) * 0.3, signs[:, :2]) == 1.0
    assert naive.sign_coherence(signs, np.ones((16, 2))) == 0.375  # E |S_4| / 4 of a fair walk
    assert naive.sign_coherence(signs * [1, 1, 0, 0], np.ones((16, 1))) == 0.25
    assert naive.sign_coherence(signs, np.array([[0.0]] * 8 + [[-1.0]] * 8)) == 0.1875


def test_distinct_units():
    row = np.array([[1.0, 1 + 5e-7, 2.0, 1 + 2e-6], [0.0, 0.0, 0.0, 0.0]])
    assert naive.distinct_units(row, None) == 0.75
    assert naive.distinct_units(row, np.zeros(4)) == 0.75
    assert naive.distinct_units(row, np.array([0.0, 1e-9, 0.0, 0.0])) == 1.0
    assert naive.distinct_units(np.zeros((3, 5)), np.zeros(5)) == 0.2
    assert naive.distinct_units(np.array([[1.0, 1 + 8e-7, 1 + 16e-7]]), None) == pytest.approx(1 / 3)


def test_statistics_of_a_diverged_network_warn_of_nothing():
    weights, X, targets = network([5, 3, 2])
    weights[0][0][0, 0] = math.inf
    hidden, out = naive.layer_statistics(
        weights, X, targets["mean_squared_error"], [("relu", {})], "mean_squared_error"
    )
    assert hidden["weight_rms"] == math.inf
    assert math.isnan(out["preactivation_mean"]) or math.isinf(out["preactivation_mean"])


def test_update_ratio_and_rms():
    W = np.array([[3.0, 4.0]])
    assert naive.update_ratio(W, 0.5 * W, None) == pytest.approx(0.5)
    assert naive.update_ratio(W, 0.5 * W, 1.1 * W) == pytest.approx(0.1)
    assert math.isnan(naive.update_ratio(0 * W, None, W))
    assert math.isnan(naive.update_ratio(W, None, None))
    assert naive.rms(W * 1e-200) == pytest.approx(math.sqrt(12.5) * 1e-200, rel=1e-14)
    assert naive.rms(np.array([1.0, -math.inf])) == math.inf
    assert math.isnan(naive.rms(np.array([1.0, math.nan])))


# --- how a run ended --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "target", "wanted"),  # losses: at step 0, at two thirds, at the end
    [
        ((1.0, 0.5, math.nan), 0.6, "diverged"),
        ((1.0, 0.5, math.inf), 0.6, "diverged"),
        ((1.0, 0.5, 1000.1), 0.6, "diverged"),
        ((1.0, 0.5, 1000.0), 0.5, "converged"),
        ((1.0, 0.5, 0.499), 0.4, "stalled"),
        ((1.0, 0.5, 0.6), 0.4, "stalled"),
        ((1.0, 0.5, 0.494), 0.4, "learning"),
        ((1.0, 0.5, 0.4), 0.4, "converged"),
        ((1.0, 0.0, 0.0), -1.0, "stalled"),
    ],
)
def test_outcomes(losses, target, wanted):
    assert naive.outcome(losses[0], losses[2], losses, losses[1], target) == wanted


HEALTHY = {"delta_rms": 1.0, "distinct_units": 1.0, "dead": 0.0, "saturated_low": 0.0, "saturated_high": 0.0}


def diagnose(*changes, ended="stalled", losses=(1.0, 0.9), widths=(4, 4), first=False):
    """Diagnosis of two hidden layers and an output, HEALTHY but for `changes` (layer, column, number)."""
    records = [[dict(HEALTHY) for _ in range(3)] for _ in range(2)]
    for layer, column, number in changes:
        records[0 if first else 1][layer][column] = number
    return naive.diagnosis(ended, losses, records, list(widths), gain=0.2)


SYMMETRIC, DEAD, SATURATED = (1, "distinct_units", 0.25), (1, "dead", 1.0), (0, "saturated_high", 0.95)
VANISHING, EXPLODING = (0, "delta_rms", 0.9e-6), (1, "delta_rms", 1e6)


def test_diagnosis_one_by_one():
    assert diagnose(EXPLODING) == diagnose(EXPLODING, first=True) == ("exploding", 1, 1e6)
    assert diagnose(losses=(1.0, math.inf, math.nan)) == ("exploding", None, math.inf)
    assert diagnose(SYMMETRIC) == ("symmetric", 1, 0.25)
    assert diagnose(DEAD) == ("dead", 1, 1.0)
    assert diagnose(SATURATED) == ("saturated", 0, 0.95)
    assert diagnose((1, "saturated_low", 0.5), (1, "saturated_high", 0.4375)) == ("saturated", 1, 0.9375)
    assert diagnose(VANISHING) == ("vanishing", 0, pytest.approx(0.9e-6))
    assert diagnose(ended="learning") == ("slow", None, 0.2)
    assert diagnose()[:2] == ("unexplained", None)
    assert diagnose(DEAD, ended="converged")[:2] == ("", None)


def test_diagnosis_takes_the_first_that_holds():
    order = [EXPLODING, SYMMETRIC, DEAD, SATURATED, VANISHING]
    names = [diagnose(*order[i:], ended="learning")[0] for i in range(6)]
    assert names == ["exploding", "symmetric", "dead", "saturated", "vanishing", "slow"]


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ((1, "delta_rms", 0.99e6), {}),
        ((1, "distinct_units", 0.5), {}),
        ((1, "distinct_units", 1.0), {"widths": (4, 1)}),
        ((1, "dead", 0.75), {}),
        ((2, "dead", 1.0), {}),
        ((0, "saturated_low", 0.9), {}),
        ((2, "saturated_low", 1.0), {}),
        ((0, "delta_rms", 1.1e-6), {}),
        (DEAD, {"first": True}),
    ],
    ids=str,
)
def test_diagnosis_short_of_its_threshold(change, options):
    assert diagnose(change, **options)[0] == "unexplained"


def test_a_network_without_any_gradient_does_not_explode():
    assert diagnose(*[(layer, "delta_rms", 0.0) for layer in range(3)])[0] == "unexplained"


@pytest.mark.parametrize("name", ["sigmoid", "relu"])
def test_zero_weights_stay_symmetric(name):
    weights = [(np.zeros((m, n)), np.zeros(n)) for m, n in [(5, 4), (4, 3)]]
    _, X, targets = network([5, 3])
    setting = ([(name, {})], "softmax_cross_entropy")
    y = targets["softmax_cross_entropy"]
    final, losses = naive.train(weights, X, y, np.tile(np.arange(7), (50, 1)), *setting, learning_rates=0.5)
    record = naive.layer_statistics(final, X, y, *setting)
    assert losses[-1] < losses[0]
    assert record[0]["zero"] == (name == "relu")
    assert naive.diagnosis("stalled", losses, [record], [4]) == ("symmetric", 0, 0.25)

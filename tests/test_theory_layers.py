"""Expected signals and gradients by layer: recursion, probabilities, arithmetic, kernels of samples."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import erfc
from theory_help import arccosine

import gradsim as gs
from gradsim import theory
from gradsim.activations import get
from gradsim.initializers import Scales
from gradsim.theory.layers import Incoming, Layer, _all_pairs, layer_statistics
from gradsim.theory.meanfield import mean_square, mean_square_slope


def test_a_profile_follows_the_variance_map_and_chi():
    widths = [50, 80, 60, 40, 10]
    frame = theory.profile(widths, ["tanh", "gelu", "hardtanh"], "glorot_normal", "normal(std=0.2)", inputs=1.3)
    assert frame["layer"].tolist() == [0, 1, 2, 3]
    q, square, deltas = [], 1.3, [1.0]
    acts = [get(name) for name in ("tanh", "gelu", "hardtanh")]
    for i, (m, n) in enumerate(pairwise(widths)):
        q.append(m * 2 / (m + n) * square + 0.04)
        square = float(mean_square(acts[i], q[-1])[0]) if i < 3 else math.nan
        assert frame["weight_rms"][i] == pytest.approx(math.sqrt(2 / (m + n)))
    for i in (2, 1, 0):
        m, n = widths[i + 1], widths[i + 2]
        deltas.insert(0, deltas[0] * n * 2 / (m + n) * float(mean_square_slope(acts[i], q[i])[0]))
    np.testing.assert_allclose(frame["preactivation_std"] ** 2, q, rtol=1e-9)
    np.testing.assert_allclose(frame["delta_rms"] ** 2, deltas, rtol=1e-9)
    assert frame["gradient_rms"].isna().all()
    np.testing.assert_allclose(frame["preactivation_mean"], 0)


def test_shares_are_probabilities():
    """relu is off at z <= 0; tanh is saturated where its slope is under 0.1; a mean shifts them."""
    frame = theory.profile([30, 30, 30], "relu", "he_normal")
    assert frame["zero"].tolist() == [0.5, 0.0]
    assert frame["saturated_low"].tolist() == [0.5, 0.0]
    assert frame["saturated_high"].tolist() == [0.0, 0.0]
    frame = theory.profile([30, 30, 30], "tanh", Scales(normal=2 / math.sqrt(30)), Scales(shift=0.7))
    at = math.atanh(math.sqrt(0.9))
    assert frame["saturated_high"][0] == pytest.approx(erfc((at - 0.7) / 2 / math.sqrt(2)) / 2, rel=1e-9)
    assert frame["saturated_low"][0] == pytest.approx(erfc((at + 0.7) / 2 / math.sqrt(2)) / 2, rel=1e-9)
    assert frame["preactivation_mean"][0] == pytest.approx(0.7)
    assert theory.profile([3, 3, 3], "exp(z)")["saturated_low"].isna()[0]


def test_equal_weights_make_equal_units_exactly():
    """Without randomness theory is arithmetic: every unit of a layer is f(fan_in c mean(h))."""
    X = np.random.default_rng(0).normal(size=(7, 5))
    frame = theory.profile([5, 6, 4, 2], "gelu", Scales(shift=0.3), inputs=X)
    h = X
    for i, n in enumerate((6, 4, 2)):
        z = 0.3 * h.sum(axis=1, keepdims=True) + np.zeros((1, n))
        h = get("gelu")(z) if i < 2 else z
        assert frame["preactivation_mean"][i] == pytest.approx(z.mean(), rel=1e-9)
        assert frame["preactivation_std"][i] == pytest.approx(z.std(), rel=1e-7)
        assert frame["activation_std"][i] == pytest.approx(h.std(), rel=1e-7)
    zeros = theory.profile([5, 6, 4, 2], "relu", "zeros", inputs=X)
    assert (zeros[["preactivation_std", "activation_std", "weight_rms"]] == 0).all(axis=None)
    assert zeros["zero"].tolist() == [1, 1, 0]


def test_covariances_of_samples_are_those_of_the_kernel():
    """Of two inputs, through layers of relu: the arc-cosine kernel (Cho & Saul 2009), and its slopes."""
    X = np.array([[1.0, 0.5, -0.2, 0.3], [0.8, -0.4, 0.1, 1.5]])
    seen = []

    def deltas(mean, covariance):
        seen.append(covariance)
        return np.array([[1.0, 0.25], [0.25, 4.0]])

    shape = (4, 4)
    layers = [Layer(*shape, get("relu"), (0.0, 0.5)), Layer(*shape, None, (0.0, 0.5))]
    frame = layer_statistics(layers, Incoming.from_data(X), deltas)
    first = 0.5 * X @ X.T
    size = math.sqrt(first[0, 0] * first[1, 1])
    c = first[0, 1] / size
    wanted = 4 * 0.5 * np.array([[first[0, 0] / 2, size * arccosine(1, c)], [0, first[1, 1] / 2]])
    np.testing.assert_allclose(seen[0][np.triu_indices(2)], wanted[np.triu_indices(2)], rtol=1e-4)
    assert frame["delta_rms"][1] == pytest.approx(math.sqrt(2.5))
    assert frame["delta_rms"][0] == pytest.approx(math.sqrt(4 * 0.5 * 0.5 * 2.5))
    back = 4 * 0.5 * np.array([[0.5, 0.25 * arccosine(0, c)], [0.25 * arccosine(0, c), 2.0]])
    assert frame["gradient_rms"][0] == pytest.approx(math.sqrt((back * (X @ X.T) / 4).sum()), rel=1e-3)


def test_layers_that_look_at_whole_layers_have_no_theory():
    campaign = gs.Campaign(dataset="iris", hidden=[6, 6, 6], activation=["tanh", "softmax", "tanh"], steps=1)
    frame = campaign.theory()
    assert frame["preactivation_std"].notna().tolist() == [True, False, False, False]
    assert frame["delta_rms"].isna().all()
    assert frame["weight_rms"].notna().all()


def test_of_many_rows_evenly_spaced_ones_are_looked_at():
    """Rows that grow: the first ones alone would have another spread."""
    X = np.linspace(0.1, 2, 3000)[:, None] * np.random.default_rng(0).choice([-1.0, 1.0], size=(3000, 4))
    frame = theory.profile([4, 50, 1], "tanh", Scales(normal=0.5), inputs=X)
    exact = math.sqrt((X**2).mean() - (X.mean(axis=0) ** 2).mean() / 50)
    assert frame["preactivation_std"][0] == pytest.approx(exact, rel=2e-3)
    assert len(theory.profile([3] * 1002, "relu", "he_normal")) == 1001


def test_a_sum_over_pairs_of_some_samples_stands_for_all():
    """Independent samples, gradients that have nothing in common: pairs of a sample with itself are all there is."""
    pairs = np.eye(50) / 50**2  # each delta is divided by the number of samples, 50 of 200
    assert _all_pairs(pairs, 200) == pytest.approx(1 / 200)
    assert _all_pairs(np.ones((50, 50)) / 50**2, 200) == pytest.approx(1)
    assert _all_pairs(pairs, 50) == _all_pairs(pairs, None) == pytest.approx(1 / 50)

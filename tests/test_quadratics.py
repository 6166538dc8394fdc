"""Quadratics: where runs of a linear model diverge and how fast they converge, against the closed forms to 0.1%."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest
from campaign_help import ROOT

import gradsim as gs

_SPEC = importlib.util.spec_from_file_location("quadratics", ROOT / "benchmarks" / "quadratics.py")
quadratics = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(quadratics)

EXACT = 1e-3


def assert_as_predicted(rows, count):
    assert len(rows) == count
    for row in rows:
        assert row.measured == pytest.approx(row.predicted, rel=EXACT), row


def test_gradient_descent_diverges_beyond_two_over_the_largest_eigenvalue():
    """And is fastest at 2/(smallest + largest), where a step leaves (kappa - 1)/(kappa + 1) of the distance."""
    assert_as_predicted(quadratics.descent(), 6)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.99])
def test_momentum_diverges_beyond_its_own_threshold(beta):
    """2 (1 + beta)/largest of heavy ball; of Nesterov's method that over 1 + 2 beta."""
    assert_as_predicted(quadratics.momentum(beta), 2)


def test_heavy_ball_is_fastest_at_polyak_s_numbers():
    assert_as_predicted(quadratics.best_momentum(), 2)


def test_no_rate_and_beta_nearby_are_faster_than_polyak_s():
    X = quadratics.with_eigenvalues(0.02, 0.4, 2.5)
    low, high = quadratics.ends(X)
    root = math.sqrt(high / low)
    beta, rate = ((root - 1) / (root + 1)) ** 2, (2 / (math.sqrt(high) + math.sqrt(low))) ** 2
    rates = rate * np.linspace(0.9, 1.1, 9)
    found = {
        share: quadratics.factors(X, f"momentum(beta={beta * share!r})", rates, (800, 1600))
        for share in (0.9, 0.97, 1.0, 1.03, 1.1)
    }
    assert found[1.0].argmin() == 4
    assert found[1.0][4] == pytest.approx(math.sqrt(beta), rel=2e-3)
    others = np.concatenate([factors for share, factors in found.items() if share != 1.0])
    assert others.min() > found[1.0][4]


def test_a_linear_model_of_real_data_diverges_beyond_its_threshold(tmp_path):
    """Diabetes with biases, standardized: the distance is that of the loss from the least squares solution's."""
    fields = {"dataset": "diabetes", "depth": 0, "batch_size": "full", "dtype": "float64", "steps": 4000}
    X, y, _, _ = gs.Campaign(**fields).data()
    design = np.hstack([X, np.ones((len(X), 1))])
    predicted = 2 / np.linalg.eigvalsh(2 * design.T @ design / len(X))[-1]
    least = np.mean((design @ np.linalg.lstsq(design, y, rcond=None)[0] - y) ** 2)
    rates = predicted * (1 + np.array([-1, -0.5, 0.5, 1]) * EXACT)
    campaign = gs.Campaign(
        **fields, checkpoints=[3000], sharpness=True, probe_samples=len(X), grid={"learning_rate": rates.tolist()}
    )
    results = campaign.run(tmp_path, progress=False)
    curves = results.curves.merge(results.runs[["run_id", "learning_rate"]])
    excess = curves.pivot(index="learning_rate", columns="step", values="train_loss") - least
    assert (excess[4000] > excess[3000]).tolist() == [False, False, True, True]
    measured = curves[curves["sharpness"].notna()]
    np.testing.assert_allclose(measured["sharpness"], 2 / predicted, rtol=1e-6)
    np.testing.assert_allclose(measured["stability_limit"], 2 / measured["learning_rate"], rtol=1e-15)

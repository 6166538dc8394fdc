"""Deep networks train where theory says that signals reach their ends, and not beside it.

Every network of a comparison has the same data, batches, seeds and learning rates; `python benchmarks/deep_networks.py`
searches each start's best rate and counts on more seeds.
"""

from __future__ import annotations

import math

import pytest

import gradsim as gs
from gradsim import theory

SIGMA_B, SEEDS, RATE = 0.3, 8, 0.0045
SHARED = {"dataset": "iris", "width": 48, "batch_size": 32, "steps": 400, "optimizer": "sgd"}
UNTRAINED = math.log(3)  # the loss of equal probabilities for three classes


def by_initializer(path, **fields):
    """The runs of each initializer."""
    runs = gs.Campaign(**SHARED | fields).run(path, progress=False).runs
    return dict(list(runs.groupby("initializer")))


def converged(runs) -> int:
    return int(runs["outcome"].eq("converged").sum())


@pytest.fixture(scope="module")
def tanh(tmp_path_factory):
    """Networks of 50 layers of tanh at 0.7, 1 and 1.5 times the critical sigma_w, biases alike, by that factor."""
    sigma_w = theory.critical_sigma_w("tanh", SIGMA_B)
    names = {factor: f"ntk(gain={factor * sigma_w!r})" for factor in (0.7, 1.0, 1.5)}
    rates = [0.0005, RATE, 0.03]
    fields = {"depth": 50, "activation": "tanh"}
    path = tmp_path_factory.mktemp("tanh")
    scaled = by_initializer(
        path / "scaled",
        **fields,
        bias_initializer=f"normal(std={SIGMA_B})",
        grid={"initializer": list(names.values()), "learning_rate": rates, "seed": range(SEEDS)},
    )
    found = dict(zip(names, (scaled[name] for name in names.values()), strict=True))
    critical = {"initializer": f"critical(sigma_b={SIGMA_B})", "learning_rate": RATE}
    (found["critical"],) = by_initializer(path / "critical", **fields, **critical, grid={"seed": range(SEEDS)}).values()
    return found


def test_theory_says_which_of_fifty_layers_are_reached():
    """Two inputs, and gradients, are told apart over some six depth scales (Schoenholz et al. 2017)."""
    sigma_w = theory.critical_sigma_w("tanh", SIGMA_B)
    ordered, critical, chaotic = (theory.depth_scales("tanh", f * sigma_w, SIGMA_B) for f in (0.7, 1.0, 1.5))
    assert 6 * ordered.xi_c < 50
    assert critical.xi_c > 1e6
    assert 6 * chaotic.xi_c < 50
    assert chaotic.chi1**25 > 1e3  # gradients, over fifty layers


def test_fifty_tanh_layers_train_on_the_edge_of_chaos_and_not_beside_it(tanh):
    at = {name: runs[runs["learning_rate"].eq(RATE)] for name, runs in tanh.items()}
    assert all(len(runs) == SEEDS for runs in at.values())
    assert converged(at["critical"]) >= SEEDS - 1
    assert converged(at[1.0]) >= SEEDS - 1
    assert converged(at[0.7]) == 0
    assert converged(at[1.5]) == 0
    assert at["critical"]["final_loss"].median() < 0.1 * UNTRAINED
    assert at[1.5]["final_loss"].median() > 0.25 * UNTRAINED


def test_no_learning_rate_nearby_helps_beside_the_edge(tanh):
    for factor in (0.7, 1.5):
        assert tanh[factor]["learning_rate"].nunique() == 3
        assert converged(tanh[factor]) == 0
    # Where signals die nothing is learned at all.
    assert ((tanh[0.7]["final_loss"] - UNTRAINED).abs() < 0.02).all()


def test_thirty_relu_layers_train_with_he_and_stall_with_glorot(tmp_path):
    rates = [0.0008, 0.008, 0.08]
    runs = by_initializer(
        tmp_path,
        depth=30,
        activation="relu",
        grid={"initializer": ["he_normal", "glorot_normal"], "learning_rate": rates, "seed": range(SEEDS)},
    )
    assert converged(runs["he_normal"].query("learning_rate == 0.008")) >= SEEDS - 1
    glorot = runs["glorot_normal"]
    assert len(glorot) == len(rates) * SEEDS
    assert converged(glorot) == 0
    assert glorot["outcome"].eq("stalled").sum() >= len(glorot) - 2
    assert ((glorot["final_loss"] - UNTRAINED).abs() < 0.05).all()

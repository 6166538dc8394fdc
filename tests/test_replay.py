"""Replays: one run again, bit for bit, and its whole history; checked against the naive twin in float64."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from campaign_help import ids_of, refusal, settings_by_id, small

from gradsim.lanes import exp
from gradsim.replay import replay

GRID = {
    "activation": ["leaky_relu(slope=0.2)", ["tanh", "gelu"]],
    "initializer": ["zeros", "he_normal", "normal(std=40)"],
    "learning_rate": [0.1, [0.2, 0.05, 0.4], 500.0],
    "bias": [True, False],
    "seed": [0, 3],
}


@pytest.fixture(scope="module", params=["float32", "float64"])
def done(request, tmp_path_factory):
    campaign = small(grid=GRID, dtype=request.param, optimizer="momentum(beta=0.5)", bias_initializer="normal(std=0.1)")
    return campaign, campaign.run(tmp_path_factory.mktemp("done"), progress=False)


def test_a_replay_is_the_run_bit_for_bit(done):
    campaign, results = done
    outcomes = set()
    for run_id in ids_of(campaign)[::5]:
        again = campaign.replay(run_id)
        curve = results.curves.query("run_id == @run_id").sort_values("step")
        # With so few steps every row of the curve is one step.
        assert curve["batch_loss"].to_numpy()[1:].tobytes() == again.loss.tobytes()
        layers = results.layers.query("run_id == @run_id").sort_values(["step", "layer"], ignore_index=True)
        mine = again.layers
        assert list(mine.columns) == [c for c in layers.columns if c != "run_id"]
        for column in mine:
            assert layers[column].to_numpy().tobytes() == mine[column].to_numpy().tobytes(), column
        outcomes |= set(results.runs.query("run_id == @run_id")["outcome"])
    assert "diverged" in outcomes
    assert len(outcomes) > 1


def test_a_replay_s_snapshots_lead_from_the_initial_to_the_final_weights(done):
    campaign, results = done
    run_id = results.runs.query("outcome != 'diverged'")["run_id"].iloc[0]
    again = campaign.replay(run_id)
    initial = campaign.initial_weights(run_id)
    assert again.run_id == run_id
    assert repr(again).startswith(f"<Replay {run_id!r}: ")
    assert len(repr(again)) < 120
    assert again.checkpoints.tolist() == sorted(results.layers["step"].unique())
    for expected, snapshot in ((initial, again.snapshots[0]), (again.weights, again.snapshots[-1])):
        for (W, b), (V, c) in zip(expected, snapshot, strict=True):
            np.testing.assert_array_equal(W, V)
            np.testing.assert_array_equal(b, c)
    assert [W.dtype for W, _ in initial] == [np.dtype(campaign.dtype)] * 3
    assert [W.shape for W, _ in initial] == [(4, 5), (5, 5), (5, 3)]


def test_without_biases_there_are_none(done):
    campaign, _ = done
    for run_id, resolved in settings_by_id(campaign).items():
        assert all((b is None) == (not resolved.bias) for _, b in campaign.initial_weights(run_id))


def test_after_divergence_everything_is_nan(done):
    campaign, results = done
    row = results.runs.query("first_nonfinite_step > 3").iloc[0]
    again = campaign.replay(row["run_id"], checkpoints=range(21))
    first = int(row["first_nonfinite_step"])
    assert np.isfinite(again.loss[:first]).all()
    assert np.isnan(again.loss[first:]).all()
    for step, snapshot in zip(again.checkpoints, again.snapshots, strict=True):
        finite = all(np.isfinite(W).all() for W, _ in snapshot)
        if step > first + 1:
            assert not finite
            assert not any(np.isfinite(W).any() for W, _ in snapshot)
    assert set(again.histograms.query("step > @first + 1").index) == set()


def test_checkpoints_of_one_s_own(done):
    campaign, _ = done
    run_id = ids_of(campaign)[10]
    again = campaign.replay(run_id, checkpoints=[5, 7])
    assert again.checkpoints.tolist() == [0, 5, 7, 14, 20]
    np.testing.assert_array_equal(again.loss, campaign.replay(run_id).loss)
    for steps in ([5], (5,), range(5, 6), np.array([5])):
        assert replay(campaign, run_id, steps).checkpoints.tolist() == [0, 5, 14, 20]
    for steps in (5, "5", [5.0], [True], [-1], [None], np.array([0.5])):
        refusal(lambda steps=steps: campaign.replay(run_id, steps), "checkpoints", "whole numbers")
    refusal(lambda: campaign.replay(run_id, [21]), "checkpoints", "21", "20")


def test_an_unknown_run_is_refused(done):
    campaign, _ = done
    for call in (campaign.replay, campaign.initial_weights, campaign.data, campaign.batch_indices):
        refusal(lambda call=call: call("0" * 16), "0" * 16, "not of this campaign")
    refusal(lambda: campaign.replay(None), "None", "not of this campaign")


# --- against the naive twin -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"activation": ["tanh", "leaky_relu(slope=0.3)"], "learning_rate": [0.3, 0.1, 0.2]},
        {"optimizer": "momentum(beta=0.7)", "initializer": "lecun_normal", "bias_initializer": "uniform(limit=1)"},
        {"loss": "mse", "activation": "sigmoid", "bias": False, "batch_size": "full"},
        {"dataset": "diabetes", "activation": "silu", "hidden": [7, 3, 2], "learning_rate": 0.02, "scaling": "minmax"},
        {"dataset": "moons(samples=50)", "activation": "elu(alpha=0.5)", "depth": 0, "batch_size": 7, "data_seed": 3},
        {"dataset": "wine", "activation": "softplus", "hidden": [17], "steps": 60, "test_fraction": 0},
        {"loss": "cross_entropy(label_smoothing=0.2)", "label_noise": 0.3, "batch_order": "replacement"},
        {"dataset": "linnerud", "loss": "huber(delta=0.3)", "scaling": "maxabs", "batch_order": "replacement"},
        {"dataset": "xor(noise=0.1)", "loss": "crammer_singer(margin=0.5)", "batch_size": 31},
    ],
)
def test_anyone_can_replay_a_run_from_what_the_campaign_gives(fields):
    campaign = small(**{"dtype": "float64", "seed": 5} | fields)
    (run_id,) = ids_of(campaign)
    resolved = settings_by_id(campaign)[run_id]
    X, y, _, _ = campaign.data()
    layers = resolved.activation * (len(resolved.widths) if len(resolved.activation) == 1 else 1)
    activations = [(c.name, c.values) for c in layers] if resolved.widths else []
    loss = "mean_squared_error" if y.ndim == 2 else "softmax_cross_entropy"
    if campaign.loss != "auto":
        loss = campaign.loss.name, campaign.loss.values
    weights, losses = naive.train(
        campaign.initial_weights(run_id),
        X,
        y,
        campaign.batch_indices(),
        activations,
        loss,
        (resolved.optimizer.name, resolved.optimizer.values),
        resolved.learning_rate if len(resolved.learning_rate) > 1 else resolved.learning_rate[0],
    )
    again = campaign.replay(run_id)
    np.testing.assert_allclose(again.loss, losses, rtol=1e-10)
    assert np.std(losses) > 0
    for (W, b), (V, c) in zip(again.weights, weights, strict=True):
        np.testing.assert_allclose(W, V, rtol=1e-9, atol=1e-13)
        if b is not None:
            np.testing.assert_allclose(b, c, rtol=1e-9, atol=1e-13)


# --- histograms -----------------------------------------------------------------------------------


def test_histograms_hold_every_sample_and_unit():
    campaign = small(dtype="float64", activation="tanh", hidden=[7, 3], probe_samples=50)
    (run_id,) = ids_of(campaign)
    again = campaign.replay(run_id)
    found = again.histograms
    assert list(found.columns) == ["step", "layer", "quantity", "left", "right", "count"]
    parts = dict(list(found.groupby(["step", "layer", "quantity"])))
    X = campaign.data()[0][:50]
    for step, weights in zip(again.checkpoints, again.snapshots, strict=True):
        zs, hs = naive.forward(weights, X, [("tanh", {}), ("tanh", {})])
        for layer, units in enumerate((7, 3, 3)):
            for quantity, values in (("preactivation", zs[layer]), ("activation", hs[layer + 1])):
                mine = parts[step, layer, quantity]
                assert len(mine) == 60
                assert mine["count"].sum() == 50 * units
                np.testing.assert_allclose([mine["left"].min(), mine["right"].max()], [values.min(), values.max()])
                np.testing.assert_array_equal(mine["left"].to_numpy()[1:], mine["right"].to_numpy()[:-1])
                expected, _ = np.histogram(values, bins=60)
                assert np.abs(mine["count"].to_numpy() - expected).sum() <= 4  # values at the edge of a bin


def test_histograms_of_values_that_hardly_differ():
    for fields in (
        {"initializer": "zeros"},
        {"initializer": "constant(value=1e-30)", "dtype": "float64"},
        {"initializer": "constant(value=1000)", "bias_initializer": "constant(value=1e6)", "learning_rate": 0},
        {
            "initializer": "normal(std=1e-16)",
            "bias_initializer": "constant(value=1)",
            "dtype": "float64",
            "learning_rate": 0,
        },
        {
            "initializer": "normal(std=1e6)",
            "activation": "identity",
            "depth": 40,
            "dtype": "float64",
            "learning_rate": 0,
        },
        {
            "initializer": "normal(std=1e6)",
            "activation": "identity",
            "depth": 60,
            "dtype": "float64",
            "learning_rate": 0,
        },
    ):
        campaign = small(**fields)
        histograms = campaign.replay(ids_of(campaign)[0]).histograms
        assert (histograms["right"] > histograms["left"]).all(), fields
        counts = histograms.groupby(["step", "layer", "quantity"])["count"].sum()
        assert counts.max() == 120 * 5, fields


def test_a_user_s_activation_is_replayed():
    import gradsim as gs

    @gs.activations.pointwise(name="gauss_of_the_replay_test")
    def gauss(z):
        e = exp(-z * z)
        return e, -2 * z * e

    campaign = small(activation=gauss, dtype="float64")
    again = campaign.replay(ids_of(campaign)[0])
    X, _, _, _ = campaign.data()
    z = X @ again.weights[0][0] + again.weights[0][1]
    last = again.histograms.query("step == 20 and layer == 0 and quantity == 'activation'")
    np.testing.assert_allclose(last["right"].max(), np.exp(-(z**2)).max(), rtol=1e-12)

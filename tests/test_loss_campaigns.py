"""Losses, label noise and batch order as settings of a campaign: ids, axes, targets, scores, batches."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from campaign_help import ids_of, one_id, refusal, settings_by_id, small, tables

from gradsim import Campaign
from gradsim.analysis import words
from gradsim.listing import listing
from gradsim.losses import LOSSES
from gradsim.report.methods import fixed_settings

# --- ids ------------------------------------------------------------------------------------------


def test_what_is_switched_off_makes_no_other_run():
    plain = one_id()
    for fields in (
        {"label_noise": 0},
        {"label_noise": -0.0},
        {"batch_order": "epoch"},
        {"loss": "cross_entropy"},
        {"loss": "cross_entropy(label_smoothing=0)"},
        {"loss": {"name": "softmax_cross_entropy", "label_smoothing": -0.0}},
        {"optimizer": "sgd(weight_decay=0)"},
        {"schedule": "constant(warmup=0)"},
    ):
        assert one_id(**fields) == plain, fields
    others = [
        {"label_noise": 0.1},
        {"batch_order": "replacement"},
        {"loss": "cross_entropy(label_smoothing=0.1)"},
        {"loss": "hinge"},
        {"loss": "hinge(margin=2)"},
        {"loss": "huber"},
        {"loss": "huber(delta=2)"},
    ]
    assert len({plain, *(one_id(**fields) for fields in others)}) == 1 + len(others)


def test_full_batches_have_no_order():
    assert one_id(batch_size="full", batch_order="replacement") == one_id(batch_size="full")


@pytest.mark.parametrize(
    ("fields", "axis", "field", "name"),
    [
        ({"loss": "huber", "dataset": "diabetes"}, "loss.delta", "loss", "huber"),
        ({"loss": "cross_entropy"}, "loss.label_smoothing", "loss", "cross_entropy"),
        ({"loss": "crammer_singer"}, "loss.margin", "loss", "crammer_singer"),
        ({}, "optimizer.weight_decay", "optimizer", "sgd"),
        ({"optimizer": "momentum"}, "optimizer.clip_norm", "optimizer", "momentum"),
        ({}, "schedule.warmup", "schedule", "constant"),
        ({"schedule": "cosine"}, "schedule.final", "schedule", "cosine"),
    ],
)
def test_a_run_of_a_parameters_axis_is_that_run_alone(fields, axis, field, name):
    """Whichever value stands first, and also where one of them is 0, which switches it off."""
    values = [0.5, 1.0] if axis in ("loss.delta", "loss.margin") else [0.0, 0.5, 1.0]
    alone = [one_id(**fields | {field: {"name": name, axis.partition(".")[2]: v}}) for v in values]
    assert len(set(alone)) == len(values)
    assert ids_of(small(**fields, grid={axis: values})) == alone
    assert ids_of(small(**fields, grid={axis: values[::-1]})) == alone[::-1]
    assert ids_of(small(**fields, grid={field: [{"name": name, axis.partition(".")[2]: v} for v in values]})) == alone


# --- axes -----------------------------------------------------------------------------------------


def test_parameters_of_a_loss_share_groups_and_change_no_bit(tmp_path):
    common = {"dataset": "diabetes", "loss": "huber", "depth": 1}
    campaign = small(**common, grid={"loss.delta": [0.2, 0.5, 1.0, 3.0], "seed": range(3)})
    assert campaign.plan.lane_axes == [0, 1]
    assert len(campaign.plan.cohort_cells) == 1
    listed = small(**common, grid={"loss": ["huber(delta=0.2)", "huber(delta=3)"], "seed": range(3)})
    assert len(listed.plan.cohort_cells) == 1
    results = campaign.run(tmp_path / "a", progress=False)
    together = tables(results)["runs"].set_index("run_id")
    for path, other in (("b", listed), ("c", small(**common | {"loss": "huber(delta=0.5)"}, seed=2))):
        for row in other.run(tmp_path / path, progress=False).runs.itertuples():
            for column in ("initial_loss", "final_loss", "target_loss", "test_r2", "gain"):
                assert getattr(row, column) == together.loc[row.run_id, column]
    assert results.runs["loss"].unique().tolist() == ["huber"]
    assert sorted(results.runs["loss.delta"].unique()) == [0.2, 0.5, 1.0, 3.0]
    assert results.runs.groupby("loss.delta")["final_loss"].median().is_monotonic_increasing


def test_losses_and_noise_are_axes_that_can_be_written_and_read(tmp_path):
    campaign = small(
        dataset="moons(samples=60)",
        grid={
            "loss": ["hinge", "cross_entropy(label_smoothing=0.1)", "mae"],
            "label_noise": [0, 0.2],
            "batch_order": ["epoch", "replacement"],
            "data_seed": [0, 1],
        },
    )
    (tmp_path / "c.toml").write_text(campaign.to_toml())
    again = Campaign.from_toml(tmp_path / "c.toml")
    assert ids_of(again) == ids_of(campaign)
    assert again.digest == campaign.digest
    runs = campaign.run(tmp_path / "r", progress=False).runs
    assert set(runs["loss"]) == {"hinge", "softmax_cross_entropy(label_smoothing=0.1)", "absolute_error"}
    assert runs.groupby(["loss", "label_noise", "batch_order", "data_seed"]).size().eq(1).all()
    assert runs["final_loss"].nunique() == 24
    assert campaign.resolved()["grid"]["label_noise"] == [0, 0.2]


def test_the_report_states_them(tmp_path):
    results = small(loss="hinge(margin=2)", label_noise=0.25, batch_order="replacement").run(tmp_path, progress=False)
    stated = dict(fixed_settings(results))
    assert (stated["loss"], stated["label noise"], stated["batch order"]) == ("hinge(margin=2)", "0.25", "replacement")
    assert words.axis_name("loss.label_smoothing") == "loss label smoothing"


def test_the_listing_describes_every_loss():
    rows = {row["name"]: row for row in listing("losses")}
    assert list(rows) == list(LOSSES)
    assert rows["huber"]["parameters"] == ["delta=1"]
    assert rows["hinge"]["tasks"] == ["classification"]


# --- targets and scores ---------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["iris", "diabetes"])
def test_the_target_is_a_share_of_what_the_best_constant_loses(dataset, tmp_path):
    task = "regression" if dataset == "diabetes" else "classification"
    names = [n for n, loss in LOSSES.items() if task in loss.tasks and not (task == "regression" and loss.target_range)]
    campaign = small(dataset=dataset, grid={"loss": names}, target=0.3)
    runs = campaign.run(tmp_path, progress=False).runs.set_index("loss")
    y = campaign.data(ids_of(campaign)[0])[1].astype(float if task == "regression" else int)
    for name in names:
        wanted = 0.3 * LOSSES[name].constant_loss(y, 3 if task == "classification" else 1)
        assert runs.loc[name, "target_loss"] == pytest.approx(wanted, rel=1e-6)


def test_smoothed_labels_can_converge(tmp_path):
    """No network can lose less than the smoothed label's entropy, which is over a tenth of the best constant's."""
    grid = {"loss.label_smoothing": [0.0, 0.2, 1.0]}
    campaign = small(loss="cross_entropy", steps=400, optimizer="momentum", grid=grid)
    runs = campaign.run(tmp_path, progress=False).runs.set_index("loss.label_smoothing")
    loss, y = LOSSES["softmax_cross_entropy"], campaign.data()[1]
    for smoothing in (0.0, 0.2, 1.0):
        least, constant = (f(y, 3, label_smoothing=smoothing) for f in (loss.least_loss, loss.constant_loss))
        assert runs.loc[smoothing, "target_loss"] == pytest.approx(least + 0.1 * (constant - least), rel=1e-12)
        assert least == 0 or runs.loc[smoothing, "final_loss"] >= least
    assert runs.loc[0.2, "outcome"] == "converged"
    assert runs.loc[0.2, "target_loss"] > 0.3


@pytest.mark.parametrize("loss", [n for n, loss in LOSSES.items() if loss.squares])
def test_r2_is_that_of_the_squared_errors_under_every_loss(loss, tmp_path):
    campaign = small(dataset="linnerud", loss=loss, dtype="float64", test_fraction=0.4, batch_size="full", steps=60)
    (row,) = campaign.run(tmp_path, progress=False).runs.itertuples()
    again = campaign.replay(row.run_id)
    X, y, X_test, y_test = campaign.data()
    for inputs, targets, found in ((X, y, row.train_r2), (X_test, y_test, row.test_r2)):
        out = inputs
        for i, (W, b) in enumerate(again.weights):
            out = out @ W + b
            out = np.maximum(out, 0) if i < 2 else out
        wanted = 1 - np.mean((out - targets) ** 2) / targets.var(axis=0).mean()
        assert found == pytest.approx(wanted, rel=1e-9)


def test_logistic_takes_targets_between_0_and_1(tmp_path):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    y = (X @ random.normal(size=(3, 2)) > 0).astype(float)
    refusal(lambda: small(dataset=(X, y), loss="logistic").plan.check_data(), "logistic", "allowed: 0 to 1", "scaling")
    refusal(
        lambda: small(dataset=(X, 2 * y), loss="logistic", scaling="none").plan.check_data(), "from 0 to 2", "0 to 1"
    )
    campaign = small(dataset=(X, y), loss="logistic", scaling="none", depth=0, steps=1000, learning_rate=5.0)
    (row,) = campaign.run(tmp_path, progress=False).runs.itertuples()
    assert row.outcome == "converged"
    assert pd.isna(row.train_r2)
    assert pd.isna(row.test_r2)
    assert row.target_loss == pytest.approx(0.1 * LOSSES["logistic"].constant_loss(campaign.data()[1], 2), rel=1e-6)


@pytest.mark.parametrize("loss", [n for n, loss in LOSSES.items() if "classification" in loss.tasks])
def test_every_loss_learns_to_tell_classes_apart(loss, tmp_path):
    """The largest output is the prediction under every one."""
    campaign = small(loss=loss, steps=300, optimizer="momentum", learning_rate=0.05, grid={"seed": range(4)})
    runs = campaign.run(tmp_path, progress=False).runs
    assert runs["train_accuracy"].median() > 0.9


# --- label noise and batches ----------------------------------------------------------------------


def test_label_noise_is_in_what_networks_see():
    campaign = small(grid={"label_noise": [0.0, 0.5], "data_seed": [0, 1]})
    ids = {(s.label_noise, s.data_seed): run_id for run_id, s in settings_by_id(campaign).items()}
    clean, noisy = (campaign.data(ids[f, 0]) for f in (0.0, 0.5))
    assert (clean[1] != noisy[1]).sum() == 60
    for i in (0, 2, 3):
        np.testing.assert_array_equal(clean[i], noisy[i])
    assert not np.array_equal(noisy[1], campaign.data(ids[0.5, 1])[1])


def test_the_data_seed_is_an_axis_of_data_and_batches_alone():
    campaign = small(dataset="moons(samples=60)", grid={"data_seed": [0, 1], "batch_order": ["epoch", "replacement"]})
    ids = {(s.data_seed, s.batch_order): run_id for run_id, s in settings_by_id(campaign).items()}
    for order in ("epoch", "replacement"):
        first, second = ids[0, order], ids[1, order]
        assert not np.array_equal(campaign.data(first)[0], campaign.data(second)[0])
        assert not np.array_equal(campaign.batch_indices(first), campaign.batch_indices(second))
        for (W, _), (V, _) in zip(campaign.initial_weights(first), campaign.initial_weights(second), strict=True):
            np.testing.assert_array_equal(W, V)


def test_batches_with_replacement():
    campaign = small(batch_order="replacement", steps=9000, batch_size=8)
    batches = campaign.batch_indices()
    assert batches.shape == (9000, 8)
    counts = np.bincount(batches.reshape(-1), minlength=120)
    assert len(counts) == 120
    # 600 a row are expected; all 120 lie within 5 standard deviations, and not all within half of one.
    assert np.abs(counts - 600).max() < 5 * np.sqrt(600)
    assert np.abs(counts - 600).max() > 0.5 * np.sqrt(600)
    repeats = np.mean([len(set(b)) < 8 for b in batches.tolist()])
    expected = 1 - np.prod(1 - np.arange(8) / 120)
    assert repeats == pytest.approx(expected, abs=5 * np.sqrt(expected * (1 - expected) / 9000))
    fewer = small(batch_order="replacement", steps=7, batch_size=8, grid={"seed": [5, 6]})
    np.testing.assert_array_equal(fewer.batch_indices(), batches[:7])
    assert not np.array_equal(small(batch_order="replacement", steps=7, campaign_seed=1).batch_indices(), batches[:7])


def test_batch_orders_do_not_share_a_group():
    campaign = small(grid={"batch_order": ["epoch", "replacement"], "seed": range(3)})
    assert len(campaign.plan.cohort_cells) == 2
    exclude = [{"batch_order": "replacement", "batch_size": "full"}]
    mixed = {"batch_order": ["epoch", "replacement"], "batch_size": [8, "full"]}
    refusal(lambda: small(grid=mixed), "two values of batch_order give the same runs")
    assert small(grid=mixed, exclude=exclude).runs == 3

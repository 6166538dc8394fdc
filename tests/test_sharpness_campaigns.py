"""Sharpness in campaigns: the columns and their limits, replay, what it must not change, the frame and the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from campaign_help import assert_same, ids_of, refusal, small, tables

from gradsim import analysis, plots

GRID = {"activation": ["tanh", "relu"], "learning_rate": [0.1, 0.4, 1e30], "seed": range(3)}
pytestmark = pytest.mark.usefixtures("small_shards")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    campaign = small(sharpness=True, grid=GRID)
    return campaign, campaign.run(tmp_path_factory.mktemp("sharp"), progress=False)


# --- columns --------------------------------------------------------------------------------------


def test_stands_in_the_curves_at_checkpoints_and_is_null_where_a_run_is_lost(measured):
    _, results = measured
    curves = results.curves.merge(results.runs[["run_id", "first_nonfinite_step"]])
    assert list(results.curves) == ["run_id", "step", "batch_loss", "train_loss", "sharpness", "stability_limit"]
    at_checkpoint = curves["step"].isin(results.layers["step"].unique())
    lost = curves["step"] >= curves["first_nonfinite_step"].fillna(np.inf)
    assert 0 < lost.sum() < len(lost)
    assert (curves["sharpness"].notna() == (at_checkpoint & ~lost)).all()
    assert (curves["stability_limit"].notna() == at_checkpoint).all()
    assert curves["sharpness"].dropna().ge(0).all()
    asked = results.query("select count(*) as n from curves where sharpness is not null")["n"][0]
    assert asked == curves["sharpness"].notna().sum()


def test_changes_nothing_else(measured, tmp_path):
    campaign, results = measured
    without = small(grid=GRID)
    assert ids_of(without) == ids_of(campaign)
    assert without.digest == small(grid=GRID, sharpness=False).digest != campaign.digest
    plain = tables(without.run(tmp_path, progress=False))
    assert "sharpness" not in plain["curves"]
    mine = tables(results)
    mine["curves"] = mine["curves"].drop(columns=["sharpness", "stability_limit"])
    assert_same(mine, plain)


def test_does_not_depend_on_what_else_runs(measured, tmp_path):
    _, results = measured
    some = small(sharpness=True, grid={**GRID, "seed": [2], "learning_rate": [1e30, 0.4]}).run(tmp_path, progress=False)
    mine, theirs = tables(some), tables(results)
    assert_same(
        mine, {k: f[f["run_id"].isin(mine["runs"]["run_id"])].reset_index(drop=True) for k, f in theirs.items()}
    )


def test_replay_gives_the_same_bits_asked_for_or_not(measured):
    campaign, results = measured
    for run_id in (ids_of(campaign)[0], ids_of(campaign)[-1]):
        recorded = results.curves[results.curves["run_id"] == run_id].set_index("step")["sharpness"]
        for source in (campaign, small(grid=GRID)):
            again = source.replay(run_id)
            np.testing.assert_array_equal(again.sharpness, recorded[again.checkpoints])
    elsewhere = campaign.replay(ids_of(campaign)[0], [0, 5, 20])
    assert elsewhere.sharpness[0] == campaign.replay(ids_of(campaign)[0]).sharpness[0]
    assert elsewhere.sharpness.shape == elsewhere.checkpoints.shape


def test_random_parameters_are_at_their_mean():
    def at_start(activation):
        campaign = small(activation=activation, dtype="float64")
        return campaign.replay(ids_of(campaign)[0]).sharpness[0]

    mean = (1 / 8 + 1 / 3) / 2
    assert at_start("rrelu") == pytest.approx(at_start(f"leaky_relu(slope={mean!r})"), rel=1e-12)
    assert at_start("rrelu") != pytest.approx(at_start("leaky_relu"), rel=1e-3)


def test_more_memory_and_time_are_planned_for(measured):
    campaign, _ = measured
    with_it, without = campaign.plan.costs[0], small(grid=GRID).plan.costs[0]
    assert with_it.group_seconds > without.group_seconds
    assert with_it.group_bytes > without.group_bytes
    assert with_it.run_flops > without.run_flops


def test_toml_and_bad_values(measured, tmp_path):
    _, results = measured
    assert results.settings["sharpness"] is True
    assert results.campaign.sharpness
    for value in ("yes", 1, None):
        refusal(lambda value=value: small(sharpness=value), "sharpness", str(value))
    refusal(lambda: small(grid={"sharpness": [True, False]}), "sharpness")
    refusal(lambda: small(sharpness=True, store="runs"), "sharpness", 'store = "runs"')
    small(grid={"seed": [0]}).run(tmp_path, progress=False)
    refusal(lambda: small(sharpness=True, grid={"seed": [0]}).run(tmp_path, progress=False), "sharpness was False")


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"learning_rate": 0.25}, 8.0),
        ({"learning_rate": [0.25] * 3}, 8.0),
        ({"learning_rate": [0.25, 0.5, 0.25]}, None),
        ({"learning_rate": 0.0}, None),
        ({"learning_rate": 0.25, "optimizer": "sgd(weight_decay=0.5)"}, 7.5),
        ({"learning_rate": 0.25, "optimizer": "sgd(weight_decay=0.5)", "activation": "prelu"}, None),
        ({"learning_rate": 0.25, "activation": "prelu"}, 8.0),
        ({"learning_rate": 0.25, "optimizer": "momentum(beta=0.5)"}, 12.0),
        ({"learning_rate": 0.25, "optimizer": "nesterov(beta=0.5)"}, 6.0),
        ({"learning_rate": 0.25, "optimizer": "adam"}, None),
        ({"learning_rate": 0.25, "optimizer": "sign"}, None),
    ],
)
def test_limits_of_stability(fields, wanted, tmp_path):
    curves = small(sharpness=True, steps=2, **fields).run(tmp_path, progress=False).curves
    limits = curves["stability_limit"]
    if wanted is None:
        assert limits.isna().all()
    else:
        assert limits[curves["step"].isin([0, 2])].tolist() == [wanted, wanted]


def test_limits_follow_axes_and_schedules(tmp_path):
    campaign = small(
        sharpness=True,
        optimizer="momentum",
        schedule="step(every=10, factor=0.5)",
        checkpoints=[5, 12],
        grid={"optimizer.beta": [0.0, 0.5], "learning_rate": [0.1, 0.2]},
    )
    results = campaign.run(tmp_path, progress=False)
    curves = results.curves.merge(results.runs[["run_id", "optimizer.beta", "learning_rate"]])
    for row in curves.dropna(subset=["stability_limit"]).to_dict("records"):
        rate = row["learning_rate"] * (1 if row["step"] < 10 else 0.5)
        assert row["stability_limit"] == pytest.approx(2 * (1 + row["optimizer.beta"]) / rate, rel=1e-12)
    assert set(curves.dropna(subset=["stability_limit"])["step"]) == {0, 5, 12, 14, 20}


def test_gradient_descent_settles_at_the_edge_of_stability(tmp_path):
    """Full batches, a rate whose limit the sharpness reaches: it then stays about there (Cohen et al. 2021)."""
    campaign = small(
        dataset="diabetes",
        activation="tanh",
        width=16,
        batch_size="full",
        steps=3000,
        probe_samples=1000,
        checkpoints=range(2000, 3000, 50),
        sharpness=True,
        grid={"learning_rate": [0.1], "seed": range(4)},
    )
    results = campaign.run(tmp_path, progress=False)
    late = results.curves[results.curves["step"] >= 2000].dropna(subset=["sharpness"])
    share = (late["sharpness"] / late["stability_limit"]).groupby(late["run_id"]).median()
    assert share.between(0.9, 1.15).all(), share


# --- frame and figure -----------------------------------------------------------------------------


def test_the_frame_has_medians_and_the_limit_of_each_rate(measured):
    _, results = measured
    frame = analysis.sharpness(results.curves, results.runs, ["activation"])
    assert list(frame) == ["learning_rate", "activation", "step", "n", "median", "q25", "q75", "limit"]
    joined = results.curves.merge(results.runs[["run_id", "learning_rate", "activation"]]).dropna(subset=["sharpness"])
    cell = joined.query("learning_rate == 0.4 and activation == 'relu' and step == 20")
    row = frame.query("learning_rate == 0.4 and activation == 'relu' and step == 20").iloc[0]
    assert (row["n"], row["limit"]) == (3, 5.0)
    assert row["median"] == cell["sharpness"].median()
    assert row["q25"] == cell["sharpness"].quantile(0.25)
    pooled = analysis.sharpness(results.curves, results.runs, rate=None)
    assert list(pooled)[:2] == ["step", "n"]
    assert pooled["limit"].isna().all()


def test_the_frame_needs_the_column(done):
    _, results = done
    refusal(lambda: analysis.sharpness(results.curves, results.runs), "sharpness = true")


def test_the_figure_draws_each_line_and_its_limit(measured):
    _, results = measured
    frame = analysis.sharpness(results.curves, results.runs, ["activation"])
    frame = frame[frame["learning_rate"] < 1]
    figure = plots.sharpness(frame)
    drawn = [one for one in figure.axes if one.lines]
    assert len(drawn) == 2
    for one, name in zip(drawn, ["tanh", "relu"], strict=True):
        assert one.get_yscale() == "log"
        assert len(one.lines) == 4
        for k, rate in enumerate([0.1, 0.4]):
            line, limit = one.lines[2 * k : 2 * k + 2]
            cell = frame[frame["learning_rate"].eq(rate) & frame["activation"].eq(name)]
            np.testing.assert_allclose(line.get_ydata(), cell["median"])
            np.testing.assert_allclose(limit.get_ydata(), 2 / rate)
            assert line.get_color() == limit.get_color()
    assert "2/rate" in " ".join(text.get_text() for text in figure.texts)


def test_awkward_figures(measured):
    _, results = measured
    frame = analysis.sharpness(results.curves, results.runs)
    plots.sharpness(frame.iloc[:0])
    plots.sharpness(frame.iloc[:1], theme="dark")
    plots.sharpness(frame.assign(limit=np.nan))
    far = plots.sharpness(frame.assign(limit=1e12))
    assert far.axes[0].get_ylim()[1] < 1e6
    assert "2/rate" not in " ".join(text.get_text() for text in far.texts)
    negative = frame.assign(median=-1.0, q25=-2.0, q75=-0.5)
    plots.sharpness(negative)
    many = pd.concat([frame.assign(learning_rate=frame["learning_rate"] * 2**k) for k in range(9)])
    assert "shown" in " ".join(text.get_text() for text in plots.sharpness(many).texts)

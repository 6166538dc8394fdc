"""Comparisons against slow, obvious twins, and findings that are true for any campaign."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from fake_results import VARIANTS as NAMES
from fake_results import fake_results
from hypothesis import given
from hypothesis import strategies as st

from gradsim import analysis
from gradsim.analysis import words
from gradsim.analysis.comparisons import DIAGNOSES
from gradsim.analysis.groups import SortedGroups
from gradsim.analysis.intervals import resampled_median_ranks, share_mean_interval
from gradsim.errors import UsageError

VARIANTS = {name: fake_results(**arguments) for name, arguments in NAMES.items()}


@pytest.fixture(scope="module")
def digits():
    return fake_results()


def small_runs(**columns) -> pd.DataFrame:
    """A frame of runs that holds what a comparison needs and no more."""
    n = len(next(iter(columns.values())))
    base = {"run_id": [f"{k:016x}" for k in range(n)], "outcome": "stalled", "diagnosis": "slow", "final_loss": 1.0}
    base |= {"steps_to_target": np.nan, "seed": range(n), "depth": 2, "steps": 10, "hidden": "64-32"}
    return pd.DataFrame(base | columns)


# Intervals


def test_wilson_interval_known_value():
    # 8 of 10: p = 0.8, z = 1.959964; worked out by hand from the formula.
    low, high = analysis.wilson_interval(8, 10)
    assert low == pytest.approx(0.4901625, abs=1e-7)
    assert high == pytest.approx(0.9433178, abs=1e-7)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_solve_the_score_equation(counts):
    k, n = counts
    z = 1.959963984540054
    for end in analysis.wilson_interval(k, n):
        if 0 < end < 1:
            assert abs(k / n - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), rel=1e-9)
    low, high = analysis.wilson_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert (low == 0) == (k == 0)
    assert (high == 1) == (k == n)


def test_wilson_interval_of_arrays_and_of_nothing():
    low, high = analysis.wilson_interval(np.array([0, 3]), np.array([0, 6]))
    assert (low[0], high[0]) == (0, 1)
    assert (low[1], high[1]) == analysis.wilson_interval(3, 6)


@pytest.mark.parametrize("call", [lambda: analysis.wilson_interval(3, 2), lambda: analysis.wilson_interval(1, 2, 1.5)])
def test_wilson_interval_refuses_nonsense(call):
    with pytest.raises(UsageError, match="must lie between 0 and"):
        call()


@pytest.mark.parametrize("n", [1, 2, 7, 16, 33])
def test_bootstrap_interval_of_the_mean_is_the_plain_bootstrap(n):
    values = np.random.default_rng(n).lognormal(size=n)
    # The twin: draw the same indices, take the mean of each resample, sort, cut off 2.5% at both ends.
    index = np.random.default_rng([0, n]).integers(0, n, size=(1000, n))
    drawn = np.sort([np.mean(np.sort(values)[row]) for row in index])
    low, high = analysis.bootstrap_interval(values, "mean")
    assert low == pytest.approx(drawn[24], rel=1e-12)
    assert high == pytest.approx(drawn[975], rel=1e-12)
    assert (low, high) == analysis.bootstrap_interval(np.random.default_rng(0).permutation(values), "mean")


@pytest.mark.parametrize("n", [1, 2, 7, 16, 33, 500])
def test_bootstrap_interval_of_the_median_is_that_of_resampled_samples(n):
    values = np.sort(np.random.default_rng(n).lognormal(size=n))
    # The twin resamples whole samples; 1.95 sqrt(2/N) is what two samples of size N of one distribution keep apart by
    # chance once in a thousand times (Kolmogorov-Smirnov).
    index = np.random.default_rng(7).integers(0, n, size=(20_000, n))
    twin = np.sort(np.median(values[index], axis=1))
    ranks = resampled_median_ranks(n, 20_000)
    own = np.sort(np.repeat(0.5 * values[ranks.lower] + 0.5 * values[ranks.upper], ranks.counts))
    grid = np.union1d(twin, own) * (1 + 1e-12)
    gap = np.abs(np.searchsorted(twin, grid, "right") - np.searchsorted(own, grid, "right")).max() / 20_000
    assert gap < 1.95 * np.sqrt(2 / 20_000)
    low, high = analysis.bootstrap_interval(values, "median", resamples=20_000)
    assert own[499] <= low <= own[500]
    assert own[19_499] <= high <= own[19_500]
    assert (low, high) == analysis.bootstrap_interval(np.random.default_rng(0).permutation(values), resamples=20_000)


def test_a_million_groups_have_the_intervals_of_each_by_itself():
    random = np.random.default_rng(3)
    codes = random.permutation(np.repeat(np.arange(40), np.arange(40) % 9))
    values = np.where(random.random(len(codes)) < 0.1, np.inf, random.normal(size=len(codes)))
    values[::11] = np.nan
    groups = SortedGroups.of(values, codes, 40)
    low, high = groups.median_intervals()
    for k, group in enumerate(groups):
        expected = analysis.bootstrap_interval(values[codes == k])
        np.testing.assert_array_equal((low[k], high[k]), expected)
        kept = values[codes == k][~np.isnan(values[codes == k])]
        np.testing.assert_array_equal(np.sort(kept), group)
        np.testing.assert_array_equal(groups.medians()[k], np.median(kept) if len(kept) else np.nan)


def test_bootstrap_interval_covers_about_as_often_as_it_says():
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        low, high = analysis.bootstrap_interval(random.normal(size=25))
        hits += low <= 0 <= high
    assert 0.90 <= hits / 400 <= 0.99


def test_bootstrap_interval_with_infinite_and_missing_values():
    assert analysis.bootstrap_interval([1.0, np.inf, np.inf]) == (1.0, np.inf)
    assert analysis.bootstrap_interval([2.0, np.nan, 2.0]) == (2.0, 2.0)
    assert all(math.isnan(end) for end in analysis.bootstrap_interval([np.nan]))
    with pytest.raises(UsageError, match="'median' and 'mean'"):
        analysis.bootstrap_interval([1.0], "mode")


# Words


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1, "100%"), (0.0004, "<0.1%"), (0.9999, ">99.9%"), (0.005, "0.5%"), (0.01, "1%"), (0.455, "46%")],
)
def test_percent_says_none_and_all_only_where_it_is_so(share, text):
    assert words.percent(share) == text


@pytest.mark.parametrize(
    ("x", "text"),
    [(3e-12, "3e-12"), (0.01234, "0.0123"), (1234.4, "1,234"), (7.12e11, "7.1e11"), (np.inf, "infinite"), (0, "0")],
)
def test_number(x, text):
    assert words.number(x) == text


def test_setting_in_words():
    row = {"seed": 3, "learning_rate.0": 0.1, "bias": True, "activation": "relu", "initializer": "he", "depth": 5}
    assert words.setting(row, list(row)) == "relu with he, bias on, depth 5 at learning rate 0.1 in layer 0, seed 3"


# Axes


def test_axes_are_discovered():
    runs = VARIANTS["many axes"].runs
    axes = VARIANTS["many axes"].axes
    found = analysis.comparison_axes(runs, axes, rates=True)
    assert found == ["activation", "initializer", "bias", "batch_size", "activation.slope", "learning_rate"]
    assert analysis.rate_axis(runs, axes) == "learning_rate"
    assert "seed" not in analysis.setting_axes(axes)
    per_layer = VARIANTS["rates by layer"]
    assert analysis.comparison_axes(per_layer.runs, per_layer.axes) == []
    assert analysis.rate_axis(per_layer.runs, per_layer.axes) == "learning_rate.0"
    one = VARIANTS["one converged"]
    assert analysis.rate_axis(one.runs, one.axes) is None


def test_zipped_axes_are_compared_once():
    runs = small_runs(activation=["tanh", "relu"] * 2, initializer=["glorot", "he"] * 2)
    assert analysis.comparison_axes(runs, ["activation", "initializer"]) == ["activation"]


# Comparisons


def test_convergence_rate_equals_pandas(digits):
    by = ["activation", "initializer", "learning_rate"]
    rates = analysis.convergence_rate(digits.runs, by).set_index(by)
    direct = digits.runs.assign(ok=digits.runs["outcome"].eq("converged")).groupby(by)["ok"]
    assert rates["rate"].sort_index().equals(direct.mean().rename("rate").sort_index())
    assert rates["n"].eq(16).all()
    whole = analysis.convergence_rate(digits.runs)
    assert whole["converged"].tolist() == [int(digits.runs["outcome"].eq("converged").sum())]


def test_groups_keep_grid_order_and_missing_values():
    runs = small_runs(activation=["tanh", "relu", "tanh"], slope=[0.5, 0.1, np.nan])
    rates = analysis.convergence_rate(runs, ["activation", "slope"])
    assert rates["activation"].tolist() == ["tanh", "tanh", "relu"]
    assert rates["slope"].isna().tolist() == [False, True, False]
    assert rates["n"].sum() == 3
    shuffled = analysis.convergence_rate(runs.iloc[[1, 0, 2]], ["slope"])
    assert shuffled["slope"].tolist()[:2] == [0.1, 0.5]


def test_loss_counts_diverged_runs_as_infinite():
    runs = small_runs(
        learning_rate=[0.1] * 3 + [1.0] * 3,
        final_loss=[1.0, 2.0, np.nan, 1e9, np.nan, 0.5],
        outcome=["learning", "learning", "diverged", "diverged", "diverged", "learning"],
    )
    table = analysis.loss_by_learning_rate(runs)
    assert table["loss"].tolist() == [2.0, np.inf]
    assert table["diverged"].tolist() == [1, 2]
    assert table["loss_low"].tolist() == [1.0, 0.5]
    assert table["loss_high"].tolist() == [np.inf, np.inf]


def test_learning_rate_windows():
    rates = [0.001, 0.01, 0.1, 1.0]
    converged = {"gap": [1, 0, 1, 0], "none": [0, 0, 0, 0], "all": [1, 1, 1, 1]}
    cells = [(name, rate, ok) for name, oks in converged.items() for rate, ok in zip(rates, oks, strict=True)]
    runs = small_runs(
        activation=[c[0] for c in cells],
        learning_rate=[c[1] for c in cells],
        outcome=["converged" if c[2] else "stalled" for c in cells],
    )
    table = analysis.learning_rate_windows(runs, ["activation"]).set_index("activation")
    assert table.loc["gap", ["lowest", "highest", "gaps", "open_low", "open_high"]].tolist() == [
        0.001,
        0.1,
        1,
        True,
        False,
    ]
    assert np.isnan(table.loc["none", "lowest"])
    assert np.isnan(table.loc["none", "best"])
    assert table.loc["all", ["lowest", "highest", "gaps", "open_high"]].tolist() == [0.001, 1.0, 0, True]


def test_at_best_rate_keeps_the_rate_that_converges_most_then_loses_least():
    runs = small_runs(
        activation=["a", "a", "b", "b"],
        learning_rate=[0.1, 1.0, 0.1, 1.0],
        outcome=["stalled", "converged", "stalled", "stalled"],
        final_loss=[0.1, 0.5, 2.0, 1.0],
    )
    best = analysis.at_best_rate(runs, ["activation"])
    assert best[["activation", "learning_rate"]].to_numpy().tolist() == [["a", 1.0], ["b", 1.0]]


def test_loss_curves_equal_pandas_and_count_the_lost(digits):
    some = digits.runs[digits.runs["initializer"] == "normal(std=1)"]
    table = analysis.loss_curves(digits.curves, some, ["activation"])
    merged = digits.curves.merge(some[["run_id", "activation"]], on="run_id")
    last = merged[merged["step"] == 1000]
    for name, group in last.groupby("activation"):
        loss = group["batch_loss"].fillna(np.inf)
        row = table[(table["activation"] == name) & (table["step"] == 1000)].iloc[0]
        assert row["n"] == len(group)
        assert row["median"] == pytest.approx(np.median(loss))
    assert np.isinf(table["q75"]).any()
    assert not table[["median", "q25", "q75"]].isna().any().any()


# Layers


def test_layer_profile_equals_pandas(digits):
    table = analysis.layer_profile(digits.layers, digits.runs, "delta_rms", ["activation"], steps=[0, 1000])
    merged = digits.layers.merge(digits.runs[["run_id", "activation"]], on="run_id")
    grouped = merged[merged["step"].isin([0, 1000])].groupby(["activation", "step", "layer"])["delta_rms"]
    expected = grouped.quantile([0.25, 0.5, 0.75]).unstack()
    found = table.set_index(["activation", "step", "layer"]).sort_index()
    assert np.allclose(found[["q25", "median", "q75"]], expected, rtol=1e-12)
    assert found["n"].equals(grouped.count().rename("n"))


def test_saturation_means_hidden_layers_only(digits):
    table = analysis.saturation(digits.layers, digits.runs, ["activation"])
    assert table["layer"].max() == 4
    merged = digits.layers.merge(digits.runs[["run_id", "activation"]], on="run_id")
    cell = merged[(merged["activation"] == "tanh") & (merged["step"] == 300) & (merged["layer"] == 1)]
    row = table[(table["activation"] == "tanh") & (table["step"] == 300) & (table["layer"] == 1)].iloc[0]
    assert row["high"] == pytest.approx(cell["saturated_high"].mean())
    assert row["low"] == pytest.approx(cell["saturated_low"].mean())


def small_layers(runs: pd.DataFrame, dead: dict[tuple[int, int], float]) -> pd.DataFrame:
    rows = [
        {"run_id": runs["run_id"][run], "step": step, "layer": layer, "dead": dead.get((run, layer), 0.0)}
        for run in range(len(runs))
        for step in (0, 10)
        for layer in range(3)
    ]
    layers = pd.DataFrame(rows)
    layers.loc[layers["step"] == 0, "dead"] = 0.123
    return layers


def test_dead_units_weigh_layers_by_width_and_drop_what_is_not_finite():
    runs = small_runs(activation=["relu"] * 3, learning_rate=[1.0] * 3)
    # Widths 64 and 32: run 0 has 64 of 96 dead, run 1 none, run 2 no finite record; layer 2 is the output.
    layers = small_layers(runs, {(0, 0): 1.0, (0, 2): 1.0, (2, 1): np.nan})
    table = analysis.dead_units(layers, runs, ["activation"])
    assert table["n"].tolist() == [2]
    assert table["mean"].tolist() == pytest.approx([64 / 96 / 2])
    assert table["low"].iloc[0] == 0
    assert table["high"].iloc[0] == pytest.approx(2 / 3)


def test_delta_ratio_is_first_over_last():
    runs = small_runs(activation=["a", "b"])
    layers = small_layers(runs, {}).assign(delta_rms=[4.0, 9, 2, 1, 1, 1, 0, 9, 2, 1, 1, 1])
    assert analysis.delta_ratio(layers, runs).tolist() == [2.0, 0.0]
    assert analysis.delta_ratio(layers, runs.assign(depth=0)).isna().all()


def test_gradient_flow_has_start_and_end(digits):
    table = analysis.gradient_flow(digits.layers, digits.runs, ["activation"])
    assert set(table["moment"]) == {"start", "end"}
    start = table[(table["moment"] == "start") & (table["activation"] == "relu")]
    profile = analysis.layer_profile(digits.layers, digits.runs, "delta_rms", ["activation"], steps=[0])
    assert start["median"].tolist() == profile[profile["activation"] == "relu"]["median"].tolist()
    assert start["layer"].tolist() == list(range(6))


# Outcomes, diagnoses, settings


@pytest.mark.parametrize("name", VARIANTS)
def test_outcome_and_fate_counts_add_up(name):
    runs = VARIANTS[name].runs
    for table in (analysis.outcome_counts(runs), analysis.fate_counts(runs)):
        assert table["n"].sum() == len(runs)
        assert table["share"].sum() == pytest.approx(1)
    by = analysis.fate_counts(runs, ["activation"])
    assert by.groupby("activation")["n"].sum().sort_index().equals(runs.groupby("activation").size().rename("n"))


def test_diagnosis_counts_name_a_run_that_has_it(digits):
    table = analysis.diagnosis_counts(digits.runs, digits.axes)
    failed = digits.runs[digits.runs["outcome"] != "converged"]
    assert table["n"].sum() == len(failed)
    assert table["n"].is_monotonic_decreasing
    assert set(table["diagnosis"]) <= set(DIAGNOSES)
    for row in table.itertuples():
        run = digits.runs.set_index("run_id").loc[row.example]
        assert run["diagnosis"] == row.diagnosis
        assert row.n == failed["diagnosis"].eq(row.diagnosis).sum()
        assert str(run["activation"]) in row.setting


SHOWN = {
    ("vanishing", 0, 3e-12): "layer 0: delta_rms 3e-12 of the last layer's",
    ("dead", 1, 1.0): "layer 1: 100% of its units are dead",
    ("symmetric", 2, 0.03125): "layer 2: 3% of its units are distinct",
    ("saturated", 3, 0.96): "layer 3: 96% of (sample, unit) pairs are saturated",
    ("exploding", 0, 3e7): "loss not finite from step 7 on; before, layer 0: delta_rms 3e7 times the last layer's",
    ("exploding", None, None): "loss not finite from step 7 on",
    ("slow", None, 0.08): "loss still falling: relative gain 0.08 over the last third of the steps",
    ("unexplained", None, None): "final loss 2, 3 at the start; relative gain 0.001 over the last third of the steps",
}


@pytest.mark.parametrize("case", SHOWN)
def test_evidence(case):
    diagnosis, layer, value = case
    run = {"outcome": "stalled", "diagnosis": diagnosis, "final_loss": 2.0, "initial_loss": 3.0, "gain": 0.001}
    run |= {"diagnosis_layer": pd.NA if layer is None else layer, "diagnosis_value": np.nan if value is None else value}
    run["first_nonfinite_step"] = 7.0 if diagnosis == "exploding" else np.nan
    assert analysis.evidence(pd.Series(run)) == SHOWN[case]


def test_best_settings_rank_by_certainty_then_speed():
    runs = small_runs(
        activation=["sure"] * 4 + ["fast"] * 2 + ["slow"] * 4 + ["never"],
        outcome=["converged"] * 10 + ["stalled"],
        steps_to_target=[20.0] * 4 + [1.0] * 2 + [30.0] * 4 + [np.nan],
    )
    table = analysis.best_settings(runs, ["activation", "seed"])
    # 4 of 4 is surer than 2 of 2, whatever the speed; of equals the faster comes first.
    assert table["activation"].tolist() == ["sure", "slow", "fast", "never"]
    assert table["steps"].tolist()[:3] == [20, 30, 1]
    assert len(analysis.best_settings(runs, ["seed"])) == 1


@pytest.mark.parametrize("name", VARIANTS)
def test_hopeless_settings_cover_what_never_converged_and_nothing_else(name):
    results = VARIANTS[name]
    runs, axes = results.runs, analysis.setting_axes(results.axes)
    covered = pd.Series(False, runs.index)
    for row in analysis.hopeless_settings(runs, results.axes).to_dict("records"):
        match = pd.Series(True, runs.index)
        for axis in row["keys"]:
            match &= runs[axis].eq(row[axis])
        assert match.sum() == row["n"]
        assert not runs.loc[match, "outcome"].eq("converged").any()
        assert not covered[match].all()
        covered |= match
    ever = runs["outcome"].eq("converged").groupby([runs[axis] for axis in axes]).transform("max") if axes else None
    never = ~ever if axes else runs["outcome"].ne("converged")
    assert covered.equals(never.rename(None))


# Findings


@pytest.mark.parametrize("name", VARIANTS)
def test_findings_are_at_most_ten_whole_sentences(name):
    sentences = analysis.findings(VARIANTS[name])
    assert 1 <= len(sentences) <= 10
    assert max(map(len, sentences)) < 420
    for sentence in sentences:
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert not re.search(r"\b(nan|none|<na>|inf)\b", sentence.replace("None of", "").lower()), sentence


def test_findings_are_the_same_each_time():
    assert analysis.findings(VARIANTS["regression"]) == analysis.findings(VARIANTS["regression"])


def test_findings_state_the_numbers(digits):
    text = " ".join(analysis.findings(digits))
    converged = int(digits.runs["outcome"].eq("converged").sum())
    assert f"({converged}; 95% interval" in text
    best = analysis.best_settings(digits.runs, digits.axes).iloc[0]
    assert (
        f"{best['activation']} with {best['initializer']} at learning rate {words.value(best['learning_rate'])}" in text
    )
    assert f"in a median of {words.number(best['steps'])} steps" in text
    assert "zeros (0 of 560, symmetric)" in text
    symmetric = int(digits.runs["diagnosis"].eq("symmetric").sum())
    assert f"symmetric {words.percent(symmetric / (2240 - converged))} ({symmetric})" in text


def test_findings_single_nothing_out_where_all_are_alike():
    axes = {"activation": ["relu", "gelu"], "initializer": ["he_normal"], "learning_rate": [0.01, 0.1], "seed": [0, 1]}
    results = fake_results(axes=axes, fate="converged")
    results.layers["dead"] = 0.25
    text = " ".join(analysis.findings(results))
    assert "most often" not in text
    assert "equally often at every learning rate: 100% (4 of 4;" in text
    assert "25% are dead at the end" in text
    assert "; at 0.01 it is" not in text


def test_findings_of_one_run_tell_what_became_of_it():
    assert "converged: it reached the target loss at step" in analysis.findings(VARIANTS["one converged"])[0]
    assert "diverged" in analysis.findings(VARIANTS["one diverged"])[0]
    assert "loss not finite from step" in analysis.findings(VARIANTS["one diverged"])[0]
    assert "still learning" in analysis.findings(VARIANTS["one slow"])[0]


def test_findings_recommend_nothing_where_nothing_converged():
    for name in ("all diverged", "all stalled"):
        text = " ".join(analysis.findings(VARIANTS[name]))
        assert text.startswith("None of the 48 runs converged (95% interval 0 to 7%)")
        assert "best single setting" not in text


def test_findings_speak_of_r2_for_regression():
    assert "test R²" in " ".join(analysis.findings(VARIANTS["regression"]))


def test_findings_of_nothing_and_of_categories():
    results = VARIANTS["regression"]
    nothing = fake_results(axes={"seed": [0]})
    nothing.runs = nothing.runs.iloc[:0]
    assert analysis.findings(nothing) == ["No run has finished yet, so there is nothing to compare."]
    categories = fake_results(axes=dict(small_axes(results)), task="regression", dataset="diabetes")
    before = analysis.findings(categories)
    for frame in (categories.runs, categories.layers, categories.curves):
        for name in frame.select_dtypes(["object", "str"]).columns:
            frame[name] = frame[name].astype("category")
    assert analysis.findings(categories) == before


def small_axes(results) -> dict[str, list]:
    return {axis: results.runs[axis].drop_duplicates().tolist() for axis in results.axes}


@pytest.mark.parametrize("column", ["delta_rms", "update_ratio"])
def test_start_and_end_equal_pandas(digits, column):
    by = ["activation"]
    call = {"delta_rms": analysis.gradient_flow, "update_ratio": analysis.update_ratios}[column]
    layers = digits.layers.assign(update_ratio=digits.layers["delta_rms"] * 0.3)
    found = call(layers, digits.runs, by).set_index([*by, "moment", "layer"])["median"]
    joined = layers.merge(digits.runs[["run_id", *by]])
    for moment, step in (("start", 0), ("end", 1000)):
        direct = joined[joined["step"].eq(step)].groupby([*by, "layer"])[column].median()
        for (activation, layer), value in direct.items():
            assert found[activation, moment, layer] == pytest.approx(value, rel=1e-12)


def test_dead_over_time_weighs_layers_by_width():
    runs = small_runs(outcome=["stalled"] * 2, activation=["relu", "relu"])
    rows = [(run, step, layer, dead) for run, share in zip(runs["run_id"], (0.1, 0.4), strict=True)
            for step in (0, 10) for layer, dead in enumerate((share, share + step / 20, 0.9))]  # fmt: skip
    layers = pd.DataFrame(rows, columns=["run_id", "step", "layer", "dead"])
    found = analysis.dead_over_time(layers, runs, ["activation"]).set_index("step")
    assert found["n"].tolist() == [2, 2]
    assert found.loc[0, "mean"] == pytest.approx(0.25)
    assert found.loc[10, "mean"] == pytest.approx(0.25 + 0.5 * 32 / 96)
    lost = layers.assign(dead=layers["dead"].where(layers["step"].eq(0) | layers["run_id"].eq(runs["run_id"][0])))
    assert analysis.dead_over_time(lost, runs)["n"].tolist() == [2, 1]


def test_dead_by_axis_equals_pandas_and_its_interval_the_bootstrap(digits):
    found = analysis.dead_by_axis(digits.layers, digits.runs, digits.axes)
    assert found["axis"].drop_duplicates().tolist() == ["activation", "initializer", "learning_rate"]
    last = digits.layers[digits.layers["step"].eq(1000) & digits.layers["layer"].lt(5)]
    share = last.groupby("run_id")["dead"].agg(lambda dead: dead.mean(skipna=False))
    runs = digits.runs.assign(share=digits.runs["run_id"].map(share))
    for row in found.itertuples():
        values = runs.loc[runs[row.axis].eq(row.value), "share"].dropna()
        assert row.n == len(values)
        assert row.mean == pytest.approx(values.mean())
        low, high = analysis.bootstrap_interval(values, "mean")
        width = max(high - low, 1e-12)
        assert abs(row.low - low) < 0.2 * width
        assert abs(row.high - high) < 0.2 * width


def test_share_mean_interval_of_nothing_of_one_value_and_of_many():
    assert np.isnan(share_mean_interval([])).all()
    assert share_mean_interval([0.25] * 5) == (0.25, 0.25)
    values = np.random.default_rng(0).random(100_000)
    low, high = share_mean_interval(values)
    # The mean of so many is normal: 1.96 standard errors at either side.
    assert low == pytest.approx(values.mean() - 1.96 * values.std() / values.size**0.5, abs=2e-4)
    assert high == pytest.approx(values.mean() + 1.96 * values.std() / values.size**0.5, abs=2e-4)


# Time to target


def test_time_to_target_equals_pandas_and_counts_those_that_never_reach_it(digits):
    by = ["activation", "initializer"]
    found = analysis.time_to_target(digits.runs, by).set_index(by)
    for key, cell in digits.runs.groupby(by, sort=False):
        good = cell[cell["outcome"].eq("converged")]
        assert found.loc[key, ["n", "converged"]].tolist() == [len(cell), len(good)]
        assert found.loc[key, "rate"] == len(good) / len(cell)
        if len(good):
            assert found.loc[key, "steps"] == good["steps_to_target"].median()
            assert tuple(found.loc[key, ["steps_low", "steps_high"]]) == analysis.bootstrap_interval(
                good["steps_to_target"]
            )
        else:
            assert np.isnan(found.loc[key, "steps"])


def test_converged_by_step_drops_nobody(digits):
    found = analysis.converged_by_step(digits.runs, ["activation"])
    for row in found.itertuples():
        cell = digits.runs[digits.runs["activation"].eq(row.activation)]
        assert row.n == len(cell)
        assert row.converged == (cell["outcome"].eq("converged") & cell["steps_to_target"].le(row.step)).sum()
        assert (row.low, row.high) == analysis.wilson_interval(row.converged, row.n)
    assert found["step"].min() == 1
    assert found["step"].max() == 1000
    last = found[found["step"].eq(1000)]
    assert last["share"].tolist() == analysis.convergence_rate(digits.runs, ["activation"])["rate"].tolist()
    few = small_runs(outcome=["converged", "stalled"], steps_to_target=[3.0, np.nan], steps=[10, 100])
    shares = analysis.converged_by_step(few).set_index("step")["share"]
    assert shares[[1, 2, 3, 100]].tolist() == [0, 0, 0.5, 0.5]
    assert analysis.converged_by_step(few.iloc[:0]).empty


# Telling runs


def test_telling_runs_are_one_that_converged_and_one_a_diagnosis(digits):
    found = analysis.telling_runs(digits.runs, digits.axes)
    failed = digits.runs[digits.runs["outcome"].ne("converged")]
    assert found["fate"].tolist() == ["converged", *failed["diagnosis"].value_counts().index]
    assert found["n"].sum() == len(digits.runs)
    assert found["share"].sum() == pytest.approx(1)
    chosen = digits.runs.set_index("run_id").loc[found["run_id"]]
    assert chosen["diagnosis"].iloc[1:].tolist() == found["fate"].tolist()[1:]
    good = digits.runs.loc[digits.runs["outcome"].eq("converged"), "steps_to_target"]
    assert chosen["steps_to_target"].iloc[0] == good.sort_values().iloc[(len(good) - 1) // 2]
    assert found["evidence"].iloc[0] == f"target reached at step {words.count(chosen['steps_to_target'].iloc[0])}"
    assert analysis.telling_runs(VARIANTS["all converged"].runs)["fate"].tolist() == ["converged"]
    assert "converged" not in set(analysis.telling_runs(VARIANTS["all diverged"].runs)["fate"])


@pytest.mark.parametrize(
    ("steps", "lost", "expected"),
    [
        (1000, None, [0, 1, 3, 10, 30, 100, 300, 1000]),
        (1000, 5.0, [0, 1, 3, 4]),
        (1000, 0, [0]),
        (1000, 1, [0]),
        (20, float("nan"), [0, 1, 3, 10, 20]),
        (1, pd.NA, [0, 1]),
    ],
)
def test_moments_end_where_the_loss_does(steps, lost, expected):
    assert analysis.moments(steps, lost) == expected


def test_example_courses_hold_the_loss_and_what_shows_the_diagnosis(digits):
    examples = analysis.telling_runs(digits.runs, digits.axes)
    found = analysis.example_courses(examples, digits.runs, digits.curves, digits.layers)
    for run_id, rows in found.groupby("run_id"):
        layers = digits.layers[digits.layers["run_id"].eq(run_id)].set_index(["step", "layer"])
        curve = digits.curves[digits.curves["run_id"].eq(run_id)].set_index("step")["batch_loss"].loc[1:]
        loss = rows[rows["statistic"].eq("batch_loss")]
        assert loss["layer"].isna().all()
        np.testing.assert_array_equal(loss["value"], curve)
        (name,) = set(rows["statistic"]) - {"batch_loss"}
        assert name == {"dead": "dead", "saturated": "saturated", "symmetric": "distinct_units"}.get(
            rows["fate"].iloc[0], "delta_ratio"
        )
        for row in rows[rows["statistic"].eq(name)].itertuples():
            at = layers.loc[(row.step, row.layer)]
            direct = {
                "saturated": at["saturated_low"] + at["saturated_high"],
                "delta_ratio": at["delta_rms"] / layers.loc[(row.step, 5), "delta_rms"],
            }.get(name, at.get(name))
            np.testing.assert_allclose(row.value, direct)
        assert set(rows["layer"].dropna()) == {0, 1, 2, 3, 4}
    assert set(analysis.example_courses(examples, digits.runs, digits.curves)["statistic"]) == {"batch_loss"}


def test_histograms_of_replays_are_shares_of_four_moments_and_at_most_eight_layers():
    runs = small_runs(outcome=["converged"], steps=[100], depth=[20]).assign(first_nonfinite_step=np.nan)
    bins = [(step, layer, q, b / 2, b / 2 + 0.5, 1 + b) for step in (0, 1, 3, 10, 30, 67, 100) for layer in range(21)
            for q in ("activation", "preactivation") for b in range(3)]  # fmt: skip
    table = pd.DataFrame(bins, columns=["step", "layer", "quantity", "left", "right", "count"])
    examples = pd.DataFrame({"fate": ["converged", "dead"], "run_id": [runs["run_id"][0], "gone"], "setting": "one"})
    found = analysis.activation_histograms(examples, runs, {runs["run_id"][0]: table})
    assert found["step"].unique().tolist() == [0, 3, 10, 100]
    assert found["layer"].unique().tolist() == [0, 3, 5, 8, 11, 14, 16, 19]
    assert len(found) == 4 * 8 * 3
    assert np.allclose(found.groupby(["step", "layer"])["share"].sum(), 1)
    assert found["share"].iloc[:3].tolist() == [1 / 6, 2 / 6, 3 / 6]
    assert analysis.activation_histograms(examples, runs, {}).empty

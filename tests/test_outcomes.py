"""Outcomes and diagnoses against the naive twin's, on records made by hand and by hypothesis."""

from __future__ import annotations

import math
from types import SimpleNamespace

import naive
import numpy as np
import pytest
from campaign_help import small
from hypothesis import given, settings
from hypothesis import strategies as st

from gradsim import Campaign, outcomes
from gradsim.fields import Thresholds
from gradsim.shard import _steps_to_target

NAMES = ("delta_rms", "distinct_units", "dead", "saturated_low", "saturated_high")
HEALTHY = {"delta_rms": 1.0, "distinct_units": 1.0, "dead": 0.0, "saturated_low": 0.1, "saturated_high": 0.1}


def record(**changes: float) -> dict[str, float]:
    """One layer at one checkpoint."""
    return HEALTHY | changes


def judged(losses, records, widths, target=0.1, two_thirds=None, all_finite=True, thresholds=None):
    """The verdict on one run; losses at checkpoints, records [checkpoint][layer]."""
    statistics = {n: np.array([[[layer[n] for layer in at] for at in records]], float) for n in NAMES}
    place = len(losses) - 2 if two_thirds is None else two_thirds
    given = outcomes.Losses(np.array([losses], float), place, np.array([not all_finite]) == 0)
    found = outcomes.classify(given, statistics, tuple(widths), target, thresholds or Thresholds())
    return found.outcome[0], found.diagnosis[0], int(found.layer[0]), float(found.value[0]), float(found.gain[0])


def healthy(layers: int, checkpoints: int = 3) -> list[list[dict]]:
    return [[record() for _ in range(layers)] for _ in range(checkpoints)]


# --- by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "outcome"),
    [
        ([1, 0.5, 0.09], "converged"),
        ([1, 0.1, 0.5], "converged"),  # reached at a checkpoint before
        ([1, 0.5, 0.4951], "stalled"),
        ([1, 0.5, 0.494], "learning"),
        ([1, 0.5, 0.6], "stalled"),
        ([1, 0.5, 1000], "stalled"),
        ([1, 0.5, 1001], "diverged"),
        ([1, 0.05, 1001], "diverged"),
        ([1, 0.05, math.nan], "diverged"),
        ([1, math.nan, math.nan], "diverged"),
        ([math.inf, math.nan, math.nan], "diverged"),
        ([0, 0, 0], "converged"),
        ([1, 0, 0.2], "converged"),
    ],
)
def test_outcomes(losses, outcome):
    assert judged(losses, healthy(3), (4, 4))[0] == outcome


@pytest.mark.parametrize(
    ("at_the_end", "expected"),
    [
        ([{}, {}, {}], ("unexplained", -1, math.nan)),
        ([{"delta_rms": 1e6}, {}, {}], ("exploding", 0, 1e6)),
        ([{"delta_rms": 1e6}, {"delta_rms": 2e7}, {}], ("exploding", 1, 2e7)),
        ([{"delta_rms": 0.99e6}, {}, {}], ("unexplained", -1, math.nan)),
        ([{}, {"distinct_units": 0.25}, {}], ("symmetric", 1, 0.25)),
        ([{"distinct_units": 0.5}, {}, {}], ("unexplained", -1, math.nan)),
        ([{}, {}, {"distinct_units": 1 / 3}], ("unexplained", -1, math.nan)),  # the output layer
        ([{"dead": 1}, {"dead": 1}, {}], ("dead", 0, 1)),
        ([{"dead": 0.99}, {}, {"dead": 1}], ("unexplained", -1, math.nan)),
        ([{}, {"saturated_low": 0.5, "saturated_high": 0.41}, {}], ("saturated", 1, 0.91)),
        ([{}, {}, {"saturated_high": 0.95}], ("unexplained", -1, math.nan)),
        ([{"delta_rms": 0.9e-6}, {}, {}], ("vanishing", 0, 0.9e-6)),
        ([{"delta_rms": 1.1e-6}, {}, {}], ("unexplained", -1, math.nan)),
        ([{"delta_rms": 0}, {}, {"delta_rms": 0}], ("unexplained", -1, math.nan)),
        # The first that holds, in the order of the list.
        ([{"delta_rms": 1e9, "dead": 1, "distinct_units": 0.25}, {}, {}], ("exploding", 0, 1e9)),
        ([{"dead": 1}, {"distinct_units": 0.25}, {}], ("symmetric", 1, 0.25)),
        ([{"saturated_low": 1}, {"dead": 1}, {}], ("dead", 1, 1)),
        ([{"delta_rms": 1e-9}, {"saturated_low": 0.8, "saturated_high": 0.2}, {}], ("saturated", 1, 1.0)),
    ],
)
def test_diagnoses(at_the_end, expected):
    records = [*healthy(3, 2), [record(**changes) for changes in at_the_end]]
    outcome, name, layer, value, _ = judged([1, 0.5, 0.5], records, (4, 4))
    assert outcome == "stalled"
    assert (name, layer) == expected[:2]
    assert value == pytest.approx(expected[2], nan_ok=True)
    # A run that converged has none.
    assert judged([1, 0.5, 0.05], records, (4, 4))[1:3] == ("", -1)
    # At an earlier checkpoint only growth counts.
    early = judged([1, 0.5, 0.5], [records[2], *healthy(3, 2)], (4, 4))
    assert early[1:3] == (expected[:2] if name == "exploding" else ("unexplained", -1))


def test_still_learning_is_slow_and_says_how_much():
    assert judged([1, 0.5, 0.4], healthy(3), (4, 4)) == ("learning", "slow", -1, pytest.approx(0.2), pytest.approx(0.2))


def test_one_unit_is_not_symmetric():
    records = [[record(distinct_units=1.0), record()]] * 3
    assert judged([1, 1, 1], records, (1,))[1] == "unexplained"
    assert judged([1, 1, 1], [[record(distinct_units=0.5), record()]] * 3, (2,))[1] == "symmetric"


def test_a_batch_that_was_not_finite_is_exploding():
    outcome, name, layer, value, _ = judged([1, 0.5, 0.5], healthy(3), (4, 4), all_finite=False)
    assert (outcome, name, layer) == ("stalled", "exploding", -1)
    assert math.isnan(value)


def test_a_diverged_run_is_diagnosed_at_its_last_records():
    nothing = [record(**dict.fromkeys(NAMES, math.nan)) for _ in range(3)]
    grown = [record(delta_rms=1e8), record(), record()]
    found = judged([1, 5, math.nan], [healthy(3)[0], grown, nothing], (4, 4), all_finite=False)
    assert found[:4] == ("diverged", "exploding", 0, 1e8)
    found = judged([1, 5, math.nan], [healthy(3)[0], healthy(3)[0], nothing], (4, 4), all_finite=False)
    assert found[:3] == ("diverged", "exploding", -1)
    # No records at all.
    found = judged([math.nan] * 3, [nothing] * 3, (4, 4), all_finite=False)
    assert found[:3] == ("diverged", "exploding", -1)


def test_a_linear_model_has_no_hidden_layer_to_blame():
    assert judged([1, 1, 1], [[record(dead=1, distinct_units=0.1, saturated_low=1)]] * 3, ())[1:3] == (
        "unexplained",
        -1,
    )
    assert judged([1, 1, 5000], [[record()]] * 3, ())[:2] == ("diverged", "unexplained")


def test_thresholds_are_fields_of_the_campaign():
    thresholds = Campaign(thresholds={"saturated": 0.1, "stalled": 0.5, "diverged": 2}).thresholds
    assert judged([1, 0.5, 0.4], healthy(3), (4, 4), thresholds=thresholds)[:3] == ("stalled", "saturated", 0)
    assert judged([1, 0.5, 2.5], healthy(3), (4, 4), thresholds=thresholds)[0] == "diverged"


# --- by chance ------------------------------------------------------------------------------------

RATIOS = st.sampled_from([0.0, 1e-9, 0.5e-6, 2e-6, 1.0, 3.0, 0.5e6, 2e6, 1e9])
SHARES = st.sampled_from([0.0, 0.3, 0.5, 0.95, 1.0])
LOSS = st.sampled_from([0.0, 0.05, 0.5, 0.999, 1.0, 1.01, 2.0, 900.0, 5000.0])


@st.composite
def runs(draw):
    """One run: losses at checkpoints, records, widths, and from which checkpoint on its numbers are not finite."""
    widths = draw(st.lists(st.integers(1, 4), max_size=3))
    checkpoints = draw(st.integers(2, 5))
    end = draw(st.one_of(st.just(checkpoints), st.integers(1, checkpoints)))
    losses = [draw(LOSS) if i < end else math.nan for i in range(checkpoints)]
    records = []
    for i in range(checkpoints):
        at = []
        for layer in range(len(widths) + 1):
            width = widths[layer] if layer < len(widths) else 3
            at.append(
                {
                    "delta_rms": draw(RATIOS),
                    "distinct_units": draw(st.integers(1, width)) / width,
                    "dead": draw(st.sampled_from([0.0, 0.5, 1.0])),
                    "saturated_low": (low := draw(SHARES)),
                    "saturated_high": draw(st.floats(0, 1 - low)),
                }
            )
        records.append(at if i < end else [dict.fromkeys(NAMES, math.nan) for _ in at])
    return losses, records, widths, end


@settings(max_examples=250, deadline=None)
@given(runs(), st.sampled_from([0.04, 0.1, 0.6]))
def test_every_run_is_judged_as_the_twin_judges(run, target):
    losses, records, widths, end = run
    place = len(losses) - 2
    outcome, name, layer, value, gain = judged(losses, records, widths, target, place, all_finite=end == len(losses))
    twin = naive.outcome(losses[0], losses[-1], losses, losses[place], target)
    assert outcome == twin
    expected_gain = naive.relative_gain(losses[place], losses[-1])
    assert gain == pytest.approx(expected_gain, nan_ok=True)
    expected, where, number = naive.diagnosis(twin, losses, records[:end], widths, expected_gain)
    assert name == expected
    if name == "exploding" and where is not None:  # two layers may have grown alike, at different checkpoints
        assert number in [at[layer]["delta_rms"] / at[-1]["delta_rms"] for at in records[:end] if at[-1]["delta_rms"]]
    else:
        assert layer == (-1 if where is None else where)
    if math.isfinite(number):
        assert value == pytest.approx(number, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(runs(), min_size=2, max_size=6), st.integers(0, 5))
def test_runs_are_judged_one_by_one(many, which):
    """Together or alone, the verdict is the same."""
    checkpoints, widths = len(many[0][0]), many[0][2]
    alike = [r for r in many if len(r[0]) == checkpoints and r[2] == widths]
    statistics = {n: np.array([[[x[n] for x in at] for at in r[1]] for r in alike], float) for n in NAMES}
    finite = np.array([r[3] == checkpoints for r in alike])
    together = outcomes.classify(
        outcomes.Losses(np.array([r[0] for r in alike]), checkpoints - 2, finite),
        statistics,
        tuple(widths),
        0.1,
        Thresholds(),
    )
    i = which % len(alike)
    alone = judged(*alike[i][:3], all_finite=bool(finite[i]))
    assert (together.outcome[i], together.diagnosis[i], together.layer[i]) == alone[:3]
    np.testing.assert_array_equal([together.value[i], together.gain[i]], alone[3:])


def test_the_names_are_all_there_is():
    assert set(outcomes.OUTCOMES) == {"converged", "learning", "stalled", "diverged"}
    assert outcomes.DIAGNOSES[:2] == ("exploding", "symmetric")


# --- known truths, from runs ----------------------------------------------------------------------


@pytest.mark.parametrize("train_samples", [1, 4, 5, 23, 24, 1000], ids="{} samples".format)
def test_steps_to_target_by_batches_or_checkpoints(train_samples):
    """Of losses that fall from where small ones are lost beside them, one is no longer finite, and some are reached."""
    random = np.random.default_rng(train_samples)
    losses = np.exp(random.normal(size=(200, 12)) + np.linspace(1, -2, 12))
    losses[:100, :2] *= 1e200
    losses[::7, 5:] = np.nan
    losses[1::7, 3] = 1.7e308
    full, targets = np.exp(random.normal(size=(200, 4))), random.uniform(0.1, 1, 200)
    cohort = SimpleNamespace(
        data=SimpleNamespace(train_samples=train_samples),
        task=SimpleNamespace(batch=4),
        checkpoints=np.array([0, 3, 8, 12]),
    )
    found = _steps_to_target(cohort, SimpleNamespace(losses=losses, train_loss=full), targets)
    window = min(12, math.ceil(train_samples / 4))
    for mine, checked, target, step in zip(losses.tolist(), full, targets, found, strict=True):
        reached = [s for s in range(window - 1, 12) if sum(mine[s - window + 1 : s + 1]) / window <= target]
        reached += cohort.checkpoints[checked <= target].tolist()
        assert step == min(reached, default=math.inf) or (np.isnan(step) and not reached)
    assert np.isnan(found).any()
    assert len(np.unique(found)) > 4


@pytest.mark.parametrize(
    ("fields", "outcome", "diagnosis"),
    [
        ({"initializer": "zeros", "activation": "tanh"}, {"stalled", "learning"}, "symmetric"),
        ({"initializer": "zeros", "activation": "relu"}, {"stalled", "learning"}, "symmetric"),
        ({"bias_initializer": "constant(value=-100)", "activation": "relu"}, {"stalled", "learning"}, "dead"),
        ({"initializer": "normal(std=100)", "activation": "tanh", "learning_rate": 1e-6}, {"stalled"}, "saturated"),
        ({"learning_rate": 1e6, "activation": "leaky_relu"}, {"diverged"}, "exploding"),
        (
            {"depth": 12, "initializer": "normal(std=0.05)", "activation": "sigmoid"},
            {"stalled", "learning"},
            "vanishing",
        ),
        ({"learning_rate": 0.02, "activation": "tanh"}, {"learning"}, "slow"),
    ],
)
def test_known_troubles_get_their_names(fields, outcome, diagnosis, tmp_path):
    runs = small(**fields, grid={"seed": range(8)}).run(tmp_path, progress=False).runs
    assert set(runs["outcome"]) <= outcome
    assert set(runs["diagnosis"]) == {diagnosis}


def test_a_run_that_converges_has_no_diagnosis(tmp_path):
    runs = small(steps=1000, learning_rate=0.2, width=16, target=0.3).run(tmp_path, progress=False).runs
    row = runs.iloc[0]
    assert (row["outcome"], row["diagnosis"]) == ("converged", "")
    assert np.isnan(row["diagnosis_value"])
    assert 0 < row["steps_to_target"] < 1000
    assert row["train_accuracy"] > 0.9

"""Recommendations: theory narrows as it should, choices are the middle of what works, and a trial from end to end."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_help import complaint
from recommend_help import TARGET, group_of, recommendation, runs_of

import gradsim as gs
from gradsim.activations.symbolic.record import FormulaWarning
from gradsim.advice import choice, words
from gradsim.advice.candidates import COMMON, REACH, candidates, judged, narrowed
from gradsim.advice.choice import Group, best_first, measured, promising, rungs
from gradsim.advice.question import read_question
from gradsim.advice.recommend import recommend
from gradsim.advice.shapes import APART, made_up
from gradsim.advice.text import as_text
from gradsim.advice.trial import LADDERS, Setting
from gradsim.errors import UsageError
from gradsim.theory.subject import subject

# --- theory narrows -------------------------------------------------------------------------------


def labels(found) -> list[str]:
    return [c.initializer for c in found]


def test_theory_keeps_he_and_drops_glorot_in_deep_relu_networks():
    relu = subject("relu")
    found = narrowed(candidates(relu, 20, 32))
    assert labels(found)[0] == "he_normal"
    assert "glorot_uniform" not in labels(found)
    assert {c.initializer: c.theory.within_reach for c in found}["he_normal"]
    # chi1 = 1/2 with Glorot, whose layers halve squared gradients.
    assert judged(relu, "glorot_uniform", 20, 32).log_gradient == pytest.approx(20 * math.log(0.5))
    assert judged(relu, "glorot_uniform", 20, 32).gradient == pytest.approx(2.0**-10)
    assert "glorot_uniform" in labels(narrowed(candidates(relu, 5, 32)))


def test_theory_leaves_what_data_center_to_deep_sigmoid_networks():
    found = narrowed(candidates(subject("sigmoid"), 20, 32))
    assert "data_dependent" in labels(found)
    assert not set(labels(found)) & set(COMMON)
    assert "lsuv" not in labels(found)
    # Of the logistic function at variance 1, E f'^2 over the variance of f, which is E f^2 - 1/4.
    z = np.linspace(-10, 10, 200_001)
    weight = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    f = 1 / (1 + np.exp(-z))
    chi = (weight * (f * (1 - f)) ** 2).sum() / (weight * (f - 0.5) ** 2).sum()
    (mine,) = (c for c in found if c.initializer == "data_dependent")
    assert mine.theory.chi1 == pytest.approx(chi, rel=1e-6)
    assert mine.theory.log_gradient == pytest.approx(20 * math.log(chi), rel=1e-5)


def test_theory_finds_biases_for_what_is_flat_at_0():
    found = narrowed(candidates(subject("z*sin(z)"), 20, 32))
    assert all(label.startswith("critical(sigma_b=") for label in labels(found))
    assert [c.theory.chi1 for c in found] == pytest.approx([1] * len(found), abs=1e-6)


def test_candidates_are_of_different_scales_and_bounded():
    for name in ("relu", "tanh", "selu", "binary_step", "exponential"):
        found = candidates(subject(name), 10, 16)
        kinds = [(c.initializer.split("(")[0], f"{c.theory.sigma_w:.3f}", f"{c.theory.sigma_b:.3f}") for c in found]
        assert len(set(kinds)) == len(kinds)
        assert 2 <= len(narrowed(found, 7)) <= 2
        assert len(narrowed(found)) <= 8
    assert judged(subject("binary_step"), "he_normal", 3, 8).log_gradient == -math.inf
    assert judged(subject("exponential"), "he_normal", 30, 8).log_gradient == math.inf


@pytest.mark.parametrize("formula", ["exp(z*z)", "1/z", "log(z)"])
def test_where_theory_says_nothing_the_rest_is_tried(formula):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FormulaWarning)
        found = narrowed(candidates(subject(formula), 3, 16))
    assert labels(found) == ["he_normal", "glorot_uniform", "torch_linear", "data_dependent", "lsuv"]
    assert all(c.theory.silent and c.theory.within_reach for c in found)
    assert words.expectation(found[0].theory, 3).startswith("says nothing")


def test_nothing_left_to_try_is_the_activations_fault(monkeypatch):
    monkeypatch.setattr("gradsim.advice.candidates._labels", lambda act: iter(["lecun_normal(gain='auto')"]))
    with pytest.raises(UsageError, match=r"^activation = 'boundless': there is no initializer for it"):
        candidates(subject("boundless=exp(z*z)"), 3, 16)


def test_what_theory_expects_is_said():
    tanh, relu = subject("tanh"), subject("relu")
    assert (
        words.expectation(judged(relu, "he_normal", 20, 32), 20)
        == "chi1 = 1.00, gradients keep their size over 20 layers"
    )
    assert words.expectation(judged(relu, "glorot_uniform", 20, 32), 20).endswith(
        "gradients shrink to 0.000977 over 20 layers"
    )
    assert "grow" in words.expectation(judged(tanh, "variance_scaling(scale=9.0)", 20, 32), 20)
    assert words.expectation(judged(subject("binary_step"), "he_normal", 1, 8), 1) == "no slope, no gradient"
    assert REACH == 6


# --- choices --------------------------------------------------------------------------------------


def test_the_middle_of_the_longest_window_is_chosen():
    group = group_of({0.001: 6, 0.003: 0, 0.01: 6, 0.03: 6, 0.1: 6, 0.3: 5})
    assert [m.setting.learning_rate for m in group.window] == [0.01, 0.03, 0.1]
    assert group.middle.setting.learning_rate == 0.03
    nothing = group_of({0.001: 0, 0.003: 2, 0.01: 5, 0.03: 1})
    assert nothing.window == ()
    assert nothing.middle.setting.learning_rate == 0.01


def test_a_wide_window_wins_and_the_more_common_of_equals():
    narrow, wide = group_of({0.01: 6, 0.03: 0}), group_of({0.01: 6, 0.03: 6}, initializer="lsuv")
    assert best_first([narrow, wide])[0] is wide
    same = group_of({0.01: 6, 0.03: 6}, initializer="glorot_uniform")
    assert best_first([same, wide])[0] is same
    # From a factor of 30 on a window is wide enough.
    five = group_of(dict.fromkeys(LADDERS["sgd"][:5], 6), initializer="lsuv")
    assert best_first([group_of(dict.fromkeys(LADDERS["sgd"][:4], 6)), five])[0] is not five


@pytest.mark.parametrize(
    ("counts", "ends", "told"),
    [
        ({0.003: 0, 0.01: 6, 0.03: 6, 0.1: 1}, (False, False), "0.01; all of 0.01 to 0.03 work"),
        ({0.1: 0, 0.3: 6, 1.0: 6}, (False, True), "all of 0.3 to 1 work, the highest tried"),
        ({0.001: 6, 0.003: 6, 0.01: 6, 0.03: 1}, (True, False), "all of 0.001 to 0.01 work, the lowest tried"),
        (dict.fromkeys(LADDERS["sgd"], 6), (True, True), "all of 0.001 to 1 work, the lowest and highest tried"),
        ({0.03: 0, 0.1: 6, 0.3: 6}, (False, True), "work, the highest tried at full length"),
        ({0.3: 0, 1.0: 6}, (False, True), "1; the highest tried; its neighbor on the ladder already fails"),
        ({0.01: 0, 0.03: 6, 0.1: 0}, (False, False), "0.03; its neighbors on the ladder already fail"),
    ],
)
def test_a_range_that_ends_where_trying_ended_is_said_so(counts, ends, told):
    group = group_of(counts)
    setting = group.middle.setting
    found = dataclasses.replace(recommendation(optimizer="sgd"), group=group, setting=setting)
    (line,) = (line for line in as_text(found).splitlines() if "learning rate " in line)
    assert told in line
    assert ("tried" in line) == any(ends)
    plain = found.to_dict()
    assert (plain["lowest_tried"], plain["highest_tried"]) == ends


def test_rates_at_which_most_converge_are_not_to_avoid():
    found = words.rates_to_avoid(group_of({0.001: 0, 0.003: 6, 0.01: 6, 0.03: 5, 0.1: 5, 0.3: 1}))
    assert [(f.what, f.converged) for f in found] == [
        ("learning rates from 0.3 up", 1),
        ("learning rates from 0.001 down", 0),
    ]
    assert words.rates_to_avoid(group_of({0.003: 5, 0.01: 6, 0.03: 5})) == ()


def test_the_race_has_every_optimizer_and_every_activation_asked_for():
    found = [group_of({0.01: k}, initializer=f"normal(std={k})", optimizer=o) for k in (3, 5, 6) for o in LADDERS]
    chosen = promising(found, 4, each=False)
    assert len(chosen) == 4
    assert {g.key[2] for g in chosen} == set(LADDERS)
    assert chosen == sorted(chosen, key=found.index)


def test_progress_is_logarithmic_between_the_constant_prediction_and_the_target():
    setting = Setting(subject("relu"), "he_normal", "sgd", 0.1)
    for best, progress in ((10 * TARGET, 0.0), (TARGET, 1.0), (TARGET * 10**0.5, 0.5), (np.inf, 0.0), (1e9, 0.0)):
        (m,) = measured([setting], runs_of(0, 3, best))
        assert m.progress == pytest.approx(progress)
    (m,) = measured([setting], runs_of(2, 6, 0.7))
    assert (m.converged, m.n, m.diagnosis, m.diagnosed, m.value, m.loss) == (2, 6, "slow", 4, 0.25, 0.7)
    assert m.steps == 50


def test_rates_that_got_nowhere_are_not_raced():
    settings = [Setting(subject("relu"), "he_normal", "sgd", rate) for rate in LADDERS["sgd"]]
    best = (1.0, 1.0, 0.9, 0.3, 0.1, 1.0, np.inf)
    runs = pd.concat([runs_of(0, 2, b, i) for i, b in enumerate(best)])
    group = Group(tuple(measured(settings, runs)))
    assert [m.setting.learning_rate for m in group.worth_racing] == [0.01, 0.03, 0.1, 0.3]
    hopeless = Group(tuple(measured(settings, pd.concat([runs_of(0, 2, 2.0, i) for i in range(7)]))))
    assert len(hopeless.worth_racing) == 7


def test_rungs_span_a_window():
    assert rungs(0.001, 0.1, "adam" if 0.1 in LADDERS["adam"] else "momentum") == [0.001, 0.01, 0.1]
    assert rungs(0.01, 0.01, "sgd") == [0.003, 0.01, 0.03]
    assert rungs(1.0, 1.0, "sgd") == [0.3, 1.0]


def test_diagnoses_come_with_their_numbers():
    setting = Setting(subject("relu"), "he_normal", "sgd", 0.1)
    for diagnosis, value, told in (
        ("vanishing", 3e-9, "vanishing: the first layer's error signal is 3e-9 of the last's"),
        ("exploding", np.nan, "exploding: the loss is not finite"),
        ("exploding", 1e8, "grows 1e8-fold"),
        ("saturated", 0.97, "97% of layer 2"),
        ("dead", 1.0, "no sample moves any unit of layer 2"),
        ("unexplained", np.nan, "stalled: the loss stops at 1, the target is 0.1"),
    ):
        frame = runs_of(0, 4, diagnosis=diagnosis, diagnosis_value=value, diagnosis_layer=2)
        (m,) = measured([setting], frame)
        assert told in words.why(m)
    assert choice.WORKS == 0.95


# --- what is asked --------------------------------------------------------------------------------


def test_shapes_become_tasks_of_that_shape():
    (X, y), note = made_up({"features": 7, "classes": 4, "samples": 96})
    assert X.shape == (96, 7)
    assert sorted(set(y)) == [0, 1, 2, 3]
    assert "96 points of 7 features in 4 classes" in note
    centers = np.stack([X[i::8].mean(axis=0) for i in range(8)])
    away = np.linalg.norm(centers[:, None] - centers, axis=2) + 1e9 * np.eye(8)
    assert APART - 2 < away.min() < APART + 2
    question = read_question("relu", {"features": 3, "outputs": 2, "samples": 50}, 1, 8, 100, 8)
    assert (question.data.features, question.data.outputs, question.data.task) == (3, 2, "regression")
    assert question.batch_size == 40


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"activation": "rleu"}, "unknown activation 'rleu'; did you mean"),
        ({"activation": "softmax"}, "whole layers"),
        ({"activation": []}, "the list is empty"),
        ({"activation": ["any", "relu"]}, "stands alone"),
        ({"activation": 3}, "activation 3"),
        ({"activation": {"formula": "z*sin(z)", "nmae": "x"}}, "unknown key 'nmae'"),
        ({"data": "digist"}, "did you mean 'digits'"),
        ({"data": "nowhere.csv"}, "nowhere.csv"),
        ({"data": {"features": 3}}, "either classes or outputs"),
        ({"data": {"classes": 3}}, "features is missing"),
        ({"data": {"features": 3, "classes": 2, "outputs": 1}}, "either classes or outputs"),
        ({"data": {"features": 3, "clases": 2}}, "did you mean 'classes'"),
        ({"data": {"features": 0, "classes": 2}}, "features = 0"),
        ({"data": {"features": 5, "classes": 20, "samples": 100}}, "samples = 100"),
        ({"data": {"features": 10_000, "classes": 2, "samples": 1_000_000}}, "at most 50,000,000"),
        ({"depth": 0}, "depth = 0: must be a whole number; allowed: 1 to 1000"),
        ({"depth": -1}, "depth = -1: must be a whole number; allowed: 1 to 1000"),
        ({"steps": 0}, "allowed: 10 to 1000000"),
        ({"seeds": -1}, "allowed: 8 to 4096"),
        ({"depth": 2.5}, "depth = 2.5"),
        ({"width": -1}, "width = -1"),
        ({"steps": 5}, "steps = 5"),
        ({"seeds": 3}, "seeds = 3"),
        ({"batch_size": 4000}, "batch_size = 4000"),
        ({"threads": 0}, "threads = 0"),
        ({"progress": "yes"}, "progress = 'yes'"),
    ],
)
def test_bad_input_is_one_line(changed, told):
    with pytest.raises(UsageError) as caught:
        recommend(**{"activation": "relu", "data": "iris"} | changed)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_options_are_one_line(cli):
    complaint(cli("recommend", "-a", "rleu"), "rleu", "relu")
    complaint(cli("recommend", "--data", "iris", "--features", 3), "--features")
    complaint(cli("recommend", "--data", "iris", "--target", "x"), "--target x", "--data FILE")
    complaint(cli("recommend", "--features", 20), "--features 20", "--classes", "--outputs", "2 to 1000")
    complaint(cli("recommend", "--classes", 3), "--classes 3", "--features")
    complaint(cli("recommend", "--features", 2, "--classes", 3, "--outputs", 1), "--classes 3", "--outputs 1")
    complaint(cli("recommend", "--code", "torch"), "--code torch", "pytorch")
    complaint(cli("recommend", "--code", "jax", "--json"), "--code", "--json")


# --- end to end -----------------------------------------------------------------------------------

SMALL = {"depth": 2, "width": 8, "steps": 150, "seeds": 16, "batch_size": 30}


@pytest.fixture(scope="module")
def advice():
    return gs.recommend(["tanh", "mine=z*sin(z)+z"], "iris", **SMALL)


def test_a_recommendation_holds_with_seeds_that_were_never_used(advice):
    assert advice.reliable
    assert advice.converged / advice.seeds == advice.rate >= 0.95
    again = advice.campaign(seeds=range(500, 532))
    with tempfile.TemporaryDirectory() as directory:
        runs = again.run(directory, progress=False).runs
    assert runs["outcome"].eq("converged").mean() >= 0.9
    low, high = advice.learning_rates
    assert low <= advice.learning_rate <= high
    assert advice.learning_rate in LADDERS[advice.optimizer]


def test_a_recommendation_is_the_same_again_and_leaves_nothing_behind(advice, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    again = gs.recommend(["tanh", "mine=z*sin(z)+z"], "iris", threads=1, **SMALL)
    apart = {"seconds": 0}
    assert again.to_dict() | apart == advice.to_dict() | apart
    assert list(tmp_path.iterdir()) == []


def test_a_recommendation_as_json_is_complete(advice):
    told = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    assert told["question"]["activations"] == ["tanh", "mine"]
    assert told["n"] == 16
    assert told["low"] <= told["rate"] <= told["high"]
    assert set(told["code"]) == {"pytorch", "keras", "jax"}
    assert {f["what"] for f in (*told["works"], *told["avoid"]) if f["initializer"]} >= set(COMMON) - {
        told["initializer"]
    }
    assert all(f["why"] for f in told["avoid"])
    assert {g["activation"] for g in told["raced"]} == {"tanh", "mine"}


def test_a_recommendation_prints_itself(advice):
    text = str(advice)
    assert text.startswith(f"Start with {advice.activation}, {advice.initializer} and {advice.optimizer} at ")
    assert f"{advice.converged} of 16 fresh seeds" in text
    assert "95% interval" in text
    assert max(map(len, text.splitlines())) <= 120


def test_nothing_that_converges_is_said_so():
    found = gs.recommend(
        "binary_step", {"features": 4, "classes": 8, "samples": 160}, depth=3, width=4, steps=30, seeds=8
    )
    assert not found.reliable
    assert found.converged == 0
    assert found.learning_rates is None
    assert str(found).startswith("Nothing that was tried converges within 30 steps")
    assert "stands in for your data" in str(found)
    assert found.to_dict()["learning_rate_range"] is None


def test_the_command_prints_json_and_code(cli, tmp_path):
    frame = pd.DataFrame({"a": np.linspace(-1, 1, 60), "y": np.linspace(-2, 2, 60), "b": np.cos(np.arange(60.0))})
    frame.to_csv(tmp_path / "line.csv", index=False)
    options = ["-a", "tanh", "--depth", 1, "--width", 6, "--steps", 60, "--seeds", 8, "--quiet"]
    answer = cli("recommend", "--data", tmp_path / "line.csv", "--target", "y", *options, "--json")
    told = json.loads(answer.out)
    assert answer.status == 0
    assert answer.err == ""
    assert (told["question"]["data"], told["question"]["features"], told["question"]["task"]) == (
        "line.csv",
        2,
        "regression",
    )
    answer = cli("recommend", "--features", 2, "--outputs", 1, "--samples", 60, *options[:-1], "--code", "keras")
    compile(answer.out, "<keras>", "exec")
    assert "keras.layers.Dense" in answer.out
    assert "verifying: 8 networks" in answer.err


def test_other_verdicts_are_said():
    some = recommendation(converged=5)
    assert str(some).startswith("Nothing that was tried converges reliably; the best found is relu, he_normal")
    assert "the others" in as_text(some)
    assert Path(gs.advice.__file__).is_relative_to(Path(gs.__file__).parent)

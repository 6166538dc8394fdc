"""Studies: the framework, the gallery against what is recorded, and that every rule can come out either way."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys

import numpy as np
import pandas as pd
import pytest
from campaign_help import ROOT
from PIL import Image

from gradsim import UsageError
from gradsim.plots.style import dress, new_figure

sys.path.insert(0, str(ROOT / "reports"))
study = importlib.import_module("study")
every = importlib.import_module("all")

CLAIMS = [s for s in every.studies() if s.order < 100]
TINY = {"dataset": "iris", "depth": 1, "width": 4, "steps": 20, "batch_size": 8, "learning_rate": 0.1}


def frame(columns, *rows):
    return pd.DataFrame(list(rows), columns=columns.split())


# --- the framework --------------------------------------------------------------------------------


def toy(**changes):
    """A study of three networks whose verdict depends on how many there are."""

    def measure(bench):
        results = bench.run("toy", **TINY, grid={"seed": range(bench.pick(3, 2))})
        return {"runs": results.runs[["seed", "final_loss"]], "count": len(results.runs)}

    def decide(measured):
        number = study.Number("networks", measured["count"], 1, 4)
        row = study.Beside("networks", str(measured["count"]), "3", "nobody 1900", measured["count"] == 3)
        return study.Verdict("holds" if measured["count"] == 3 else "does not hold", "Counted.", "", (number,), (row,))

    def draw(measured):
        figure = new_figure(2.0)
        figure.add_subplot().plot(measured["runs"]["seed"], measured["runs"]["final_loss"])
        return dress(figure, "Losses")

    texts = dict.fromkeys(("title", "claim", "source", "rule", "varied"), "Words & <signs>.")
    made = study.Study("toy", 1, **texts, measure=measure, decide=decide, draw=draw, expected="holds")
    return dataclasses.replace(made, **changes)


def test_a_study_makes_a_page_with_its_picture_its_tables_and_a_record(tmp_path):
    record = study.conduct(toy(), tmp_path)
    assert record["word"] == "holds"
    assert record["networks"] == 3
    assert record["numbers"][0]["text"] == "3 (1 to 4)"
    assert record["seconds"] >= 0
    page = (tmp_path / "index.html").read_text()
    assert "Words &amp; &lt;signs&gt;." in page
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert list(pd.read_csv(tmp_path / "runs.csv")["seed"]) == [0, 1, 2]
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width > 600
    json.dumps(record)


def test_finished_campaigns_are_found_again_and_others_have_their_own_place(tmp_path):
    first = study.Bench(tmp_path)
    one = first.run("same", **TINY, grid={"seed": [0, 1]})
    written = {f: f.stat().st_mtime_ns for f in one.files("runs")}
    again = study.Bench(tmp_path).run("same", **TINY, grid={"seed": [0, 1]})
    assert {f: f.stat().st_mtime_ns for f in again.files("runs")} == written
    other = study.Bench(tmp_path).run("same", **TINY | {"steps": 21}, grid={"seed": [0, 1]})
    assert other.path != one.path
    assert first.networks == 2


def test_a_verdict_says_when_it_holds_only_then():
    assert study.Verdict("holds only when", "", "it rains").headline == "Holds only when it rains."
    assert study.Verdict("does not hold", "").headline == "Does not hold."
    for word, when in (("holds only when", ""), ("holds", "it rains"), ("maybe", "")):
        with pytest.raises(UsageError, match=word):
            study.Verdict(word, "", when)


def test_the_exit_status_tells_a_verdict_that_is_not_the_recorded_one(tmp_path, capsys):
    assert study.main(toy(), ["--out", str(tmp_path / "full")]) == 0
    assert study.main(toy(), ["--out", str(tmp_path / "quick"), "--quick"]) == 1
    assert "recorded verdict is: holds" in capsys.readouterr().out
    assert study.main(toy(expected=None), ["--out", str(tmp_path / "quick"), "--quick"]) == 0
    (tmp_path / "file").touch()
    assert study.main(toy(), ["--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_all_studies_in_one_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(every, "studies", lambda names=(): [toy(), toy(name="other", expected="does not hold")])
    for place in ("RECORDS", "PICTURES", "GALLERY"):
        monkeypatch.setattr(every, place, tmp_path / "kept" / place.lower())
    (tmp_path / "kept").mkdir()
    assert every.main(["--out", str(tmp_path / "out")]) == 1
    out = capsys.readouterr().out
    assert "NOT AS RECORDED: does not hold" in out
    assert not any((tmp_path / "kept").iterdir())
    assert every.main(["--out", str(tmp_path / "out"), "--record"]) == 1
    assert (tmp_path / "kept" / "pictures" / "toy.png").is_file()
    assert list(every.records()) == ["toy", "other"]
    assert "**Holds.** Counted." in every.GALLERY.read_text()
    with pytest.raises(SystemExit):
        every.main(["--quick", "--record"])


def test_unknown_studies_are_refused_in_one_line(capsys):
    assert every.main(["symetry"]) == 2
    assert "did you mean 'symmetry'" in capsys.readouterr().err


def test_a_rate_is_chosen_on_even_seeds_and_counted_on_odd_ones():
    rows = []
    for rate, even, odd in ((0.1, 10, 99), (0.2, 20, 1), (0.3, None, 1)):
        rows += [
            {
                "learning_rate": rate,
                "seed": seed,
                "activation": "relu",
                "steps_to_target": (even, odd)[seed % 2],
                "outcome": "learning" if (even, odd)[seed % 2] is None else "converged",
                "final_loss": 1.0,
            }
            for seed in range(4)
        ]
    best = study.at_own_rate(pd.DataFrame(rows), ["activation"])
    assert best["learning_rate"].tolist() == [0.1, 0.1]
    assert best["seed"].tolist() == [1, 3]
    assert best["steps"].tolist() == [99, 99]


# --- what is recorded -----------------------------------------------------------------------------


def test_the_gallery_is_made_of_what_is_recorded():
    assert every.GALLERY.read_text(encoding="utf-8") == every.gallery()


@pytest.mark.parametrize("one", CLAIMS, ids=lambda s: s.name)
def test_every_claim_has_its_record_and_a_light_picture(one):
    record = every.records()[one.name]
    assert record["word"] == one.expected
    assert not record["quick"]
    for name in ("claim", "source", "rule", "varied", "title", "expected"):
        assert record[name] == getattr(one, name), f"python reports/all.py {one.name} --record"
    picture = every.PICTURES / f"{one.name}.png"
    assert 3_000 < picture.stat().st_size < 200_000


def test_all_fifteen_claims_are_studied():
    assert {int(s.order) for s in CLAIMS} == set(range(1, 16))


def test_a_study_from_its_file(tmp_path):
    """The shortest one in full: campaigns, replays, figure."""
    record = study.conduct(importlib.import_module("step_length").STUDY, tmp_path, quick=True)
    assert record["word"] == "holds"
    assert record["beside"][0]["ours"] == "0.443, 0.433, 0.423"


# --- decision rules: made-up measurements, as they should be and not ------------------------------


def linear_collapse(linear=1.0, curved=0.01, product=0.5):
    losses = frame(
        "dataset activation depth min median size accuracy",
        ["xor", "identity", 3, 0.5 * linear, 0.5, 10, 0.5],
        ["xor", "relu", 3, 0.5 * curved, 0.1, 10, 1.0],
    )
    collapse = frame("dataset depth final_loss product_loss least_loss", ["xor", 3, 0.5, product, 0.5])
    return {"losses": losses, "collapse": collapse}


def saturation(logistic=1e-4, relu=1.5):
    names = ("normal(std=0.02)", "glorot_uniform")
    rows = [
        [start, name, 10.0, 9, value, value * 0.9, value * 1.1]
        for start in names
        for name, value in (("sigmoid", logistic), ("tanh", 1e-8), ("relu", relu))
    ]
    slopes = frame(
        "activation slope_at_10 slope_at_0 last_positive last_of_product",
        ["sigmoid", 4e-5, 0.25, 104, 16.6],
        ["tanh", 8e-9, 1.0, 52, 9.0],
    )
    return {"gradients": frame("initializer activation shift n gradient low high", *rows), "slopes": slopes}


def sigmoid_shrinkage(factors=(0.1, 0.2, 0.6)):
    rows = [["sigmoid", "ntk", 8, f, f * 0.99, f * 1.01, f**9, s] for f, s in zip(factors, (0.5, 1, 4), strict=True)]
    depths = frame(
        "activation depth n factor low high ratio",
        ["sigmoid", 20, 8, 0.23, 0.22, 0.24, 1e-12],
        ["tanh", 20, 8, 0.9, 0.89, 0.91, 0.2],
    )
    slopes = frame("activation largest_slope", ["sigmoid", 0.25], ["tanh", 1.0])
    return {
        "factors": frame("activation initializer n factor low high ratio scale", *rows),
        "depths": depths,
        "slopes": slopes,
    }


def quadrant(single=1.0, batch=0.3, longer=2.0, in_batches=1.0):
    signs = [
        [name, size, seed, step, (single if size == 1 else batch) if name == "sigmoid" else 0.2]
        for name in ("sigmoid", "centered_sigmoid")
        for size in (1, 96)
        for step in (0, 300)
        for seed in range(4)
    ]
    paths = [
        [name, size, seed, (longer if size == 1 else in_batches) * (1 + 0.01 * seed) if name == "sigmoid" else 1.0]
        for name in ("sigmoid", "centered_sigmoid")
        for size in (1, 32)
        for seed in range(8)
    ]
    return {
        "signs": frame("activation batch_size seed step coherence", *signs),
        "paths": frame("activation batch_size seed path", *paths),
    }


def cost_of_exp(element=3.0, small=1.3, large=1.1):
    rows = [
        [turn, name, of, factor if name != "relu" else 1.0]
        for of, factor in (("an element", element), ("2-8-8-2", small), ("64-128-128-10", large))
        for name in ("relu", "sigmoid", "tanh", "softplus")
        for turn in range(9)
    ]
    return {"times": frame("round activation of seconds", *rows)}


def relu_speed(ratios=(6.0, 7.0), logistic=2.0):
    rows = [
        [f"set{k}", depth, 10.0, 10.0 * r, 20.0 * r, r, logistic]
        for k in range(8)
        for depth, r in zip((1, 6), ratios, strict=True)
    ]
    own = frame("dataset depth relu tanh sigmoid tanh_over_relu sigmoid_over_tanh", *rows)
    return {"own": own, "shared": own.assign(learning_rate=0.1)}


def half_active(even=0.5, leaning=0.7):
    rows = [
        ["digits", "standard", "he_normal", bias, 9, value, value - 0.01, value + 0.01, value - 0.02, value + 0.02]
        for bias, value in (("zeros", even), ("normal(std=0.5)", even), ("constant(value=1)", leaning))
    ]
    columns = "dataset scaling initializer bias_initializer n active low high lowest_layer highest_layer"
    return {"starts": frame(columns, *rows), "ends": frame(columns, *rows)}


def dead_bias(share=1.0, first=0, second=0, leaky=0):
    units = frame(
        "activation bias layer dead_share dead revived low high dead_at_end",
        ["relu", -8.0, 0, share, 100, first, 0, 1, 1.0],
        ["relu", -8.0, 1, share, 100, second, 0, 1, 1.0],
        ["leaky_relu", -8.0, 0, 0.0, leaky, 0, 0, 1, 0.0],
        ["elu", -8.0, 0, 0.0, 0, 0, 0, 1, 0.0],
    )
    runs = frame("activation bias rate", ["relu", -16.0, 0.0], ["leaky_relu", -16.0, 0.0], ["elu", -16.0, 0.5])
    return {"units": units, "runs": runs}


def dead_units(at_best=0.0, beyond=0.6):
    rows = [
        [depth, rate, 9, 0.0, dead, dead * 0.95, dead * 1.05, accuracy]
        for depth in (1, 3)
        for rate, dead, accuracy in ((0.1, at_best, 1.0), (1.0, beyond if depth > 1 else 0.0, 0.5))
    ]
    depths = frame("depth learning_rate n diverged dead low high accuracy", *rows)
    relu = depths[depths["depth"].eq(3)].drop(columns="depth").assign(activation="relu")
    return {"depths": depths, "remedies": pd.concat([relu, relu.assign(activation="elu", dead=0.0)])}


def symmetry(ever=1.0, random=0.9):
    starts = ("zeros", "constant(value=0.5)", "ones", "normal(std=0.001)", "glorot_uniform")
    rows = [
        [s, 100, 0 if k < 3 else int(100 * random), 0 if k < 3 else random, 0.0, 1.0, 1, 1 if k < 3 else 16, 16, ever]
        for k, s in enumerate(starts)
    ]
    return {"starts": frame("initializer n converged rate low high min median max ever", *rows)}


def weight_scale(large=0.8, usual=0.01):
    rows = [
        [name, depth, scale, 9, share, share * 0.99, share * 1.01]
        for name in ("sigmoid", "tanh", "relu")
        for depth in (2, 5)
        for scale, share in ((1.0, usual), (10.0, large))
    ]
    starts = frame("activation depth scale n saturated low high", *rows)
    trained = starts.assign(n=8, converged=4, rate=0.5)
    return {"starts": starts, "trained": trained}


def xavier_he(relu=(9, 0), tanh=(9, 0), sigmoid=(9, 0)):
    pairs, starts = [], []
    for name, own, (wins, losses) in (
        ("relu", "he_normal", relu),
        ("tanh", "glorot_normal", tanh),
        ("sigmoid", "glorot_normal", sigmoid),
    ):
        other = "glorot_normal" if own == "he_normal" else "he_normal"
        low, high = study_interval(wins, wins + losses)
        pairs.append([name, 10, own, other, wins, losses, low, high])
        starts += [[name, 10, start, 0.5] for start in (own, other)]
    return {
        "pairs": frame("activation depth own other wins losses low high", *pairs),
        "starts": frame("activation depth initializer rate", *starts),
    }


def study_interval(k, n):
    from gradsim.analysis import wilson_interval

    return wilson_interval(k, n)


def input_scaling(ratio=3.0, others=3.0):
    cells = [(d, a) for d in ("wine", "iris") for a in ("sigmoid", "tanh", "relu")]
    pairs = [[d, a, seed, ratio if d == "wine" else others] for d, a in cells for seed in range(1, 20, 2)]
    table = [[d, scaling, a, 10, 10, 1.0, 0.7, 1.0, 100.0, 0.2] for d, a in cells for scaling in ("standard", "none")]
    columns = "dataset scaling activation n converged rate low high steps saturated"
    return {"pairs": frame("dataset activation seed ratio", *pairs), "scalings": frame(columns, *table)}


def step_length(off=0.0, sign=40.0):
    over = [["slope 1, rate 0.01", k, w + off] for k, w in zip((39, 40, 41), (0.443, 0.433, 0.423), strict=True)]
    turn = [["abs(w - optimum), rate 0.01", k, w] for k, w in ((39, 0.443), (40, 0.433))]
    rest = [["(w - optimum)^2, rate 0.1", 60, 0.437], ["slope 1, rate 0.0001", 0, 0.833]]
    angles = [
        [rule, seed, sign if rule == "sign" else 0.0] for rule in ("sgd", "sign", "normalized") for seed in (0, 1)
    ]
    return {
        "paths": frame("case step weight", *over, *turn, *rest),
        "arrives": frame("case step", ["slope 1, rate 0.0001", 3960]),
        "angles": frame("optimizer seed degrees", *angles),
    }


def direction(sign=(1.0, 1.0), sgd=(1.0, 0.0)):
    rows = [
        [rule, depth, dtype, 8, int(8 * r), r, *study_interval(int(8 * r), 8), "saturated", 1e-9, 0.0]
        for rule, rates in (("sign", sign), ("normalized", sign), ("sgd", sgd))
        for depth, r in zip((2, 10), rates, strict=True)
        for dtype in ("float32", "float64")
    ]
    start = [
        [rule, d, t, 1e-9, 0.0, float(d < 80 or (t == "float64" and rule == "sign"))]
        for rule in ("sign", "sgd")
        for d in (2, 80)
        for t in ("float32", "float64")
    ]
    return {
        "depths": frame("optimizer depth dtype n converged rate low high why gradient zero", *rows),
        "start": frame("optimizer depth dtype gradient zero moved", *start),
        "underflow": frame("dtype depth", ["float32", 75], ["float64", 538]),
    }


def softplus(difference=0.0, hidden=2.0):
    weights = frame(
        "dataset activation first hidden all", ["wine", "maxout", 1, 50 * hidden, 110], ["wine", "relu", 1, 50, 60]
    )
    ratios = frame("dataset seed ratio", *[["wine", seed, 1.1] for seed in range(8)])
    return {"identities": frame("identity difference", ["tanh", difference]), "weights": weights, "ratios": ratios}


def universal(place=0.0, exponent=-1.0, wide=0.001):
    unit = frame("W b place expected_place width expected_width", [2.0, 0.0, place, 0.0, 1.0, 1.0])
    targets = (("wave", exponent), ("kink", -1.0), ("root", -0.5))
    built = [[name, n, n**power] for name, power in targets for n in (4, 16, 64)]
    trained = [["polynomial", "relu", width, 8, left, left * 0.9, left * 1.1] for width, left in ((1, 0.9), (64, wide))]
    return {
        "unit": unit,
        "built": frame("target units error", *built),
        "trained": frame("dataset activation width n error low high", *trained),
    }


def rule_of_thumb(**steps):
    steps = {"relu": 10, "leaky_relu": 10, "maxout": 10, "tanh": 20, "sigmoid": 90} | steps
    rows = [
        [f"set{k}", 2, name, taken + 0.1 * ((k + j) % 3), 1.0, 4, 0.9, 0.5]
        for k in range(9)
        for j, (name, taken) in enumerate(steps.items())
    ]
    return {"cells": frame("dataset depth activation steps converged runs test window", *rows)}


YES, PARTLY, NO = study.WORDS
CASES = [
    (linear_collapse, {}, YES),
    (linear_collapse, {"linear": 0.9}, NO),
    (linear_collapse, {"product": 0.51}, NO),
    (linear_collapse, {"curved": 0.8}, NO),
    (saturation, {}, YES),
    (saturation, {"logistic": 0.05}, NO),
    (saturation, {"relu": 1e-3}, NO),
    (sigmoid_shrinkage, {}, PARTLY),
    (sigmoid_shrinkage, {"factors": (0.1, 0.2, 0.22)}, YES),
    (sigmoid_shrinkage, {"factors": (0.3, 0.4, 0.6)}, NO),
    (quadrant, {}, PARTLY),
    (quadrant, {"batch": 1.0, "in_batches": 2.0}, YES),
    (quadrant, {"single": 0.9}, NO),
    (quadrant, {"longer": 0.8}, NO),
    (cost_of_exp, {}, YES),
    (cost_of_exp, {"large": 0.99}, PARTLY),
    (cost_of_exp, {"element": 0.9}, NO),
    (relu_speed, {}, YES),
    (relu_speed, {"ratios": (1.0, 7.0)}, PARTLY),
    (relu_speed, {"ratios": (1.0, 2.0)}, NO),
    (half_active, {}, PARTLY),
    (half_active, {"leaning": 0.5}, YES),
    (half_active, {"even": 0.4}, NO),
    (dead_bias, {}, YES),
    (dead_bias, {"second": 8}, PARTLY),
    (dead_bias, {"first": 8}, NO),
    (dead_bias, {"share": 0.5}, NO),
    (dead_units, {}, PARTLY),
    (dead_units, {"at_best": 0.5}, YES),
    (dead_units, {"beyond": 0.3}, NO),
    (symmetry, {}, YES),
    (symmetry, {"ever": 2.0}, NO),
    (symmetry, {"random": 0.0}, NO),
    (weight_scale, {}, YES),
    (weight_scale, {"large": 0.3}, NO),
    (weight_scale, {"usual": 0.3}, NO),
    (xavier_he, {}, YES),
    (xavier_he, {"tanh": (2, 7)}, PARTLY),
    (xavier_he, {"tanh": (2, 7), "sigmoid": (0, 0), "relu": (5, 4)}, NO),
    (input_scaling, {}, YES),
    (input_scaling, {"others": 1.0}, PARTLY),
    (input_scaling, {"ratio": 0.5, "others": 1.0}, NO),
    (step_length, {}, YES),
    (step_length, {"off": 1e-6}, NO),
    (step_length, {"sign": 0.0}, NO),
    (direction, {}, YES),
    (direction, {"sign": (1.0, 0.0), "sgd": (0.0, 0.0)}, PARTLY),
    (direction, {"sign": (1.0, 0.0)}, NO),
    (softplus, {}, YES),
    (softplus, {"difference": 1e-9}, NO),
    (softplus, {"hidden": 1.9}, NO),
    (universal, {}, YES),
    (universal, {"place": 1e-3}, NO),
    (universal, {"exponent": -0.5}, NO),
    (universal, {"wide": 0.2}, NO),
    (rule_of_thumb, {}, YES),
    (rule_of_thumb, {"tanh": 5}, PARTLY),
    (rule_of_thumb, {"sigmoid": 5}, NO),
]


@pytest.mark.parametrize(("made", "changes", "word"), CASES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_rule_comes_out_as_the_numbers_say(made, changes, word):
    verdict = importlib.import_module(made.__name__).STUDY.decide(made(**changes))
    assert verdict.word == word
    assert verdict.sentence.endswith(".")
    assert "nan" not in verdict.sentence
    assert all(np.isfinite(n.value) or n.value == np.inf for n in verdict.numbers)


def test_every_rule_can_come_out_in_two_ways_at_least():
    ways = {s.name: {word for made, _, word in CASES if made.__name__ == s.name} for s in CLAIMS}
    assert {name for name, words in ways.items() if len(words) < 2} == set()

"""Classics of the literature: their rules can come out either way, and the closed forms that they use are right."""

from __future__ import annotations

import importlib
import math
import sys

import numpy as np
import pandas as pd
import pytest
from campaign_help import ROOT
from scipy.integrate import quad

from gradsim import theory
from gradsim.analysis import wilson_interval

sys.path.insert(0, str(ROOT / "reports"))
study = importlib.import_module("study")
every = importlib.import_module("all")

NAMES = (
    "schoenholz_2017",
    "glorot_2010",
    "he_2015",
    "lu_2019",
    "cohen_2021",
    "klambauer_2017",
    "saxe_2014",
    "mishkin_2016",
    "lecun_1998",
    "xu_2015",
)
CLASSICS = {name: importlib.import_module(f"classic_{name}") for name in NAMES}


def frame(columns, *rows):
    return pd.DataFrame(list(rows), columns=columns.split())


# --- made-up measurements, as a rule wants them and not -------------------------------------------


def schoenholz_2017(middle=90.0, farthest=1.0):
    cells = [
        (1.0, 20.0, 3.6),
        (1.4, 50.0, 10.7),
        (1.76, middle, math.inf),
        (2.5, 55.0 * farthest, 11.8),
        (4.0, 30.0, 7.0),
    ]
    reach = frame("sigma_w2 depth cut_off xi", *([s, d, False, xi] for s, d, xi in cells))
    depths = (8, 32, 96)
    accuracy = frame("sigma_w2 depth accuracy", *([s, d, float(d < deep)] for s, deep, _ in cells for d in depths))
    return {"reach": reach, "accuracy": accuracy, "critical": 1.76}


def glorot_2010(standard=0.32, normalized=0.95, large=0.9, top=0.03, order=(1, 2, 3, 4, 5)):
    factors = {
        ("standard", "minmax"): (standard, 1.0),
        ("standard", "standard"): (standard, 1.0),
        ("normalized", "minmax"): (normalized, 1.0),
        ("normalized", "standard"): (large, 1.0),
    }
    falls = [[*key, seed, *values] for key, values in factors.items() for seed in range(4)]
    gradients = [[*key, layer, 1e-6, 1e-6] for key in factors for layer in range(1, 6)]
    tanh = [
        [scaling, rate, layer, step, 0.1 if step >= 100 * place else 0.0]
        for scaling in ("minmax", "standard")
        for rate in (0.1, 0.3)
        for place, layer in enumerate(order, 1)
        for step in range(0, 600, 100)
    ]
    sigmoid = [
        [d, layer, s, top if layer == d and s else 0.5] for d in (4, 5) for layer in range(1, d + 1) for s in (0, 9)
    ]
    return {
        "falls": frame("initializer scaling seed back weights", *falls),
        "gradients": frame("initializer scaling layer back weights", *gradients),
        "tanh": frame("scaling learning_rate layer step value", *tanh),
        "sigmoid": frame("depth layer step value", *sigmoid),
        "loss": frame("depth final_loss", [4, 2.3], [5, 2.3]),
    }


def he_2015(he=1.0, xavier=0.0, adam=0.0, n=24):
    rows = []
    for optimizer, start, depth, share in (
        ("SGD", "kaiming_normal", 22, 1.0),
        ("SGD", "kaiming_normal", 30, he),
        ("SGD", "xavier_normal", 22, 1.0),
        ("SGD", "xavier_normal", 30, xavier),
        ("Adam", "kaiming_normal", 30, 1.0),
        ("Adam", "xavier_normal", 30, adam),
    ):
        steps = 100.0 if start[0] == "k" else 900.0
        rows.append([optimizer, start, depth, share, *wilson_interval(round(share * n), n), steps])
    both = ("kaiming_normal", "xavier_normal")
    return {
        "starts": frame("optimizer initializer depth rate low high steps", *rows),
        "falls": frame("initializer seed forward back", *([s, k, 1.0, 0.7] for s in both for k in range(4))),
        "signals": frame("initializer seed layer delta_rms", *([s, 0, k, 0.7**k] for s in both for k in range(1, 32))),
        "curves": frame(
            "initializer depth step low loss high",
            *([s, d, t, 0.1, 0.2, 0.3] for s in both for d in (22, 30) for t in (0, 9)),
        ),
    }


def lu_2019(raised=0.0, simulated=0.0, remedy=0.4, flat=False):
    rows = []
    for width in (2, 3):
        for depth in (5, 10, 20):
            bound = theory.born_dead(depth, width)
            share = min(0.9 * (theory.born_dead(10, width) if flat and depth > 10 else bound) + raised, 1.0)
            share = share / 2 if flat and depth > 10 else share
            for start, value in (("symmetric", share), ("randomized asymmetric", share * remedy)):
                ends = wilson_interval(round(value * 1000), 1000)
                rows.append([start, width, depth, 1000, value, *ends, bound, share + simulated])
    trained = frame(
        "start n collapsed low high born converged",
        ["symmetric", 1000, 0.95, 0.93, 0.96, 0.9, 0.0],
        ["randomized asymmetric", 1000, 0.4, 0.38, 0.42, 0.3, 0.3],
    )
    return {"born": frame("start width depth n share low high bound simulated", *rows), "trained": trained}


def cohen_2021(stays=(1.0, 1.01, 1.05), arrives=500.0, left=0.1):
    rows = [
        [rate, seed, 0.3, arrives, level, level * 1.1, 0.0, 0.2, left]
        for rate, level in zip((0.03, 0.05, 0.1), stays, strict=True)
        for seed in range(6)
    ]
    curves = [[rate, 0, step, 2 / rate, 2 / rate, 0.1] for rate in (0.03, 0.05, 0.1) for step in (0, 99)]
    return {
        "networks": frame("learning_rate seed start arrives stays high rises_before rises_after left", *rows),
        "curves": frame("learning_rate seed step sharpness stability_limit train_loss", *curves),
    }


def klambauer_2017(selu=1.0, elu=0.01, mean=0.0):
    rows = [
        [scale, name, seed, layer, shift, variance]
        for name, shift, variance in (("selu", mean, selu), ("relu", 0.5, 2.0), ("tanh", 0.0, 0.01), ("elu", 0.0, elu))
        for scale in (0.5, 1.0, 2.0)
        for layer in (1, 16, 50)
        for seed in range(3)
    ]
    return {"signals": frame("scale activation seed layer mean variance", *rows)}


def saxe_2014(exponent=-1.0, orthogonal=(50.0, 50.0), gaussian=(50.0, 300.0)):
    half = [[seed, s, 1000 * s**exponent] for seed in range(4) for s in (1.0, 2.0, 4.0, 8.0)]
    deep = [
        [name, depth, 4, t, 0.95 * t, 1.05 * t, 0.01]
        for name, steps in (("orthogonal", orthogonal), ("Gaussian", gaussian))
        for depth, t in zip((2, 40), steps, strict=True)
    ]
    return {
        "half": frame("seed strength step", *half),
        "modes": frame("strength step learned", *([s, t, s] for s in (1.0, 2.0, 4.0, 8.0) for t in (0, 99))),
        "deep": frame("start depth n steps low high learning_rate", *deep),
    }


def mishkin_2016(relu=1.0, sigmoid=1.0, he=0.5, variance=0.95, n=24):
    shares = {"relu": relu, "tanh": 1.0, "sigmoid": sigmoid}
    rows = [
        [name, start, *wilson_interval(round(value * n), n), value, 50.0]
        for name, share in shares.items()
        for start in ("lsuv", "orthogonal", "he_normal", "glorot_normal")
        for value in [share if start == "lsuv" else he]
    ]
    pairs = [[name, "he_normal", 9, 0, 0.7, 1.0] for name in shares]
    return {
        "starts": frame("activation initializer low high rate steps", *rows),
        "variance": frame("activation min max", *([name, variance, 1.02] for name in shares)),
        "pairs": frame("activation other wins losses low high", *pairs),
    }


def lecun_1998(inputs=(9, 0), plain=(9, 0), logistic=(9, 0)):
    rows = []
    for data in ("wine", "digits"):
        for name in ("scaled_tanh", "tanh", "sigmoid"):
            rows += [
                [data, name, "inputs", other, *inputs, *wilson_interval(inputs[0], sum(inputs))]
                for other in ("minmax", "none")
            ]
        for other, (wins, losses) in (("tanh", plain), ("sigmoid", logistic)):
            rows.append([data, "scaled_tanh", "activation", other, wins, losses, *wilson_interval(wins, wins + losses)])
    steps = [
        [data, name, scaling, 50.0, 40.0, 60.0, 0.1]
        for data in ("wine", "digits")
        for name in ("scaled_tanh", "tanh", "sigmoid")
        for scaling in ("standard", "minmax", "none")
    ]
    return {
        "pairs": frame("data activation of other wins losses low high", *rows),
        "steps": frame("data activation scaling steps first last learning_rate", *steps),
    }


def xu_2015(relu=0.1, prelu=0.1):
    above = {"relu": relu, "leaky_relu": 0.1, "leaky_relu(slope=0.181818)": 0.1, "prelu": prelu, "rrelu": 0.0}
    rows = [
        [name, images, seed, 0.001, 0.5 + more + 0.01 * seed, 0.1 + more / 10]
        for name, more in above.items()
        for images in (90, 180)
        for seed in range(6)
    ]
    return {"runs": frame("activation images data_seed final_loss test_loss error", *rows)}


CASES = [
    (schoenholz_2017, {}, "holds"),
    (schoenholz_2017, {"farthest": 1.63}, "holds only when"),
    (schoenholz_2017, {"middle": 40.0}, "does not hold"),
    (glorot_2010, {}, "holds"),
    (glorot_2010, {"large": 0.7}, "holds only when"),
    (glorot_2010, {"top": 0.4}, "holds only when"),
    (glorot_2010, {"order": (5, 4, 3, 2, 1)}, "holds only when"),
    (glorot_2010, {"standard": 0.9}, "does not hold"),
    (glorot_2010, {"normalized": 0.5}, "does not hold"),
    (he_2015, {}, "holds"),
    (he_2015, {"adam": 1.0}, "holds only when"),
    (he_2015, {"xavier": 0.6}, "does not hold"),
    (he_2015, {"he": 0.4}, "does not hold"),
    (lu_2019, {}, "holds"),
    (lu_2019, {"raised": 0.2}, "does not hold"),
    (lu_2019, {"simulated": 0.1}, "does not hold"),
    (lu_2019, {"remedy": 1.0}, "does not hold"),
    (lu_2019, {"flat": True}, "does not hold"),
    (cohen_2021, {}, "holds"),
    (cohen_2021, {"stays": (1.0, 1.0, 2.0)}, "holds only when"),
    (cohen_2021, {"stays": (0.5, 0.6, 2.0)}, "does not hold"),
    (cohen_2021, {"arrives": math.inf}, "does not hold"),
    (cohen_2021, {"left": 1.1}, "does not hold"),
    (klambauer_2017, {}, "holds"),
    (klambauer_2017, {"elu": 1.0}, "holds only when"),
    (klambauer_2017, {"selu": 2.0}, "does not hold"),
    (klambauer_2017, {"mean": 0.2}, "does not hold"),
    (saxe_2014, {}, "holds"),
    (saxe_2014, {"orthogonal": (50.0, 100.0)}, "holds only when"),
    (saxe_2014, {"exponent": -2.0}, "does not hold"),
    (saxe_2014, {"gaussian": (50.0, 55.0)}, "does not hold"),
    (mishkin_2016, {}, "holds"),
    (mishkin_2016, {"sigmoid": 0.0, "he": 0.0}, "holds only when"),
    (mishkin_2016, {"variance": 0.5}, "does not hold"),
    (mishkin_2016, {"relu": 0.7, "he": 1.0}, "does not hold"),
    (lecun_1998, {}, "holds"),
    (lecun_1998, {"plain": (0, 9)}, "holds only when"),
    (lecun_1998, {"inputs": (0, 9), "plain": (0, 9), "logistic": (5, 5)}, "does not hold"),
    (xu_2015, {}, "holds"),
    (xu_2015, {"prelu": 0.0}, "holds only when"),
    (xu_2015, {"relu": -0.1}, "does not hold"),
]


@pytest.mark.parametrize(("measured", "changes", "word"), CASES, ids=lambda v: getattr(v, "__name__", str(v)))
def test_a_rule_comes_to_its_verdict(measured, changes, word):
    one = CLASSICS[measured.__name__]
    verdict = one.STUDY.decide(measured(**changes))
    assert verdict.word == word, verdict.sentence
    assert verdict.sentence
    assert verdict.numbers
    assert verdict.beside
    assert word == "does not hold" or " nan" not in verdict.sentence


def test_every_rule_can_hold_and_can_fail():
    for name in NAMES:
        words = {word for measured, _, word in CASES if measured.__name__ == name}
        assert {"holds", "does not hold"} <= words, name


@pytest.mark.parametrize("name", NAMES)
def test_a_classic_is_drawn_from_what_was_measured(name):
    measured = globals()[name]()
    figure = study.styled(CLASSICS[name].STUDY.draw)(measured)
    assert figure.texts[0].get_text()
    assert all(axes.has_data() or axes.get_label() == "<colorbar>" for axes in figure.axes)


@pytest.mark.parametrize("name", NAMES)
def test_a_classic_has_its_record_and_picture(name):
    one = CLASSICS[name].STUDY
    record = every.records()[one.name]
    assert one.order > 100
    assert record["word"] == one.expected
    assert not record["quick"]
    for key in ("claim", "source", "rule", "varied", "title", "expected"):
        assert record[key] == getattr(one, key), f"python reports/all.py {one.name} --record"
    assert 3_000 < (every.PICTURES / f"{one.name}.png").stat().st_size < 200_000


# --- closed forms ---------------------------------------------------------------------------------


def selu(z):
    return 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z))


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (0.1, 1.5), (-0.1, 0.8), (1.0, 0.2)])
def test_moments_of_selu_are_integrals(mean, variance):
    def expected(power):
        def weighed(z):
            return selu(z) ** power * math.exp(-((z - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)

        return quad(weighed, -12, 0, epsabs=1e-13)[0] + quad(weighed, 0, 14, epsabs=1e-13)[0]

    first, second = CLASSICS["klambauer_2017"].moments(mean, variance)
    assert first == pytest.approx(expected(1), abs=1e-9)
    assert second == pytest.approx(expected(2) - expected(1) ** 2, abs=1e-9)


def test_slopes_of_selu_agree_with_the_variance_map():
    assert CLASSICS["klambauer_2017"].slopes()[1] == pytest.approx(theory.variance_slope("selu", 1.0, 1.0), rel=1e-6)


@pytest.mark.parametrize("strength", [1.0, 3.0, 8.0])
def test_half_time_of_a_mode_is_what_steps_take(strength):
    """Two numbers u = v from a small start, descending (s - u v)^2/2."""
    rate, u, v, step = 1e-4, 0.01, 0.01, 0
    while u * v < strength / 2:
        error = strength - u * v
        u, v, step = u + rate * error * v, v + rate * error * u, step + 1
    assert step == pytest.approx(CLASSICS["saxe_2014"].half_time(strength, 1e-4, rate), rel=5e-3)


def test_modes_of_the_task_are_those_it_is_said_to_have():
    one = CLASSICS["saxe_2014"]
    X, Y, U, V = one.task()
    assert X.T @ X / len(X) == pytest.approx(np.eye(one.DIMENSIONS), abs=1e-12)
    strengths = np.linalg.svd(X.T @ Y / len(X), compute_uv=False)
    assert strengths[: len(one.STRENGTHS)] == pytest.approx(sorted(one.STRENGTHS, reverse=True))
    found = np.diag(V.T @ (X.T @ Y / len(X)) @ U)
    assert found[: len(one.STRENGTHS)] == pytest.approx(one.STRENGTHS)


def test_the_bend_of_scaled_tanh_is_its_largest_second_derivative():
    one = CLASSICS["lecun_1998"]
    x = np.linspace(0.01, 4, 400_001)
    t = np.tanh(one.B * x)
    second = np.abs(2 * one.A * one.B**2 * t * (1 - t * t))
    assert x[second.argmax()] == pytest.approx(one.bend(), abs=2e-5)
    assert one.scaled(1.0) == pytest.approx(1.0, abs=1e-4)


def test_born_dead_networks_are_those_of_a_loop():
    """Ten layers of two rectifiers on both half-lines, one network at a time."""
    random = np.random.default_rng(5)
    dead = 0
    for _ in range(3000):
        h = np.array([[-1.0], [1.0]])
        for _ in range(10):
            h = np.maximum(h @ random.normal(size=(h.shape[1], 2)), 0)
        dead += not h.any()
    simulated = theory.simulate_born_dead(10, 2, CLASSICS["lu_2019"].points(64)[0], networks=3000)
    assert simulated.share == pytest.approx(dead / 3000, abs=4 * math.sqrt(2 * 0.09 / 3000))
    assert dead / 3000 < theory.born_dead(10, 2)


def test_a_trainable_depth_is_where_accuracy_crosses():
    depth = CLASSICS["schoenholz_2017"].trainable_depth
    assert depth([10, 20, 40], [1.0, 1.0, 0.1], 0.55) == (pytest.approx(20 * 2**0.5), False)
    assert depth([10, 20, 40], [1.0, 0.9, 0.8], 0.55) == (40.0, True)
    assert depth([10, 20, 40], [0.2, 0.9, 0.8], 0.55) == (10.0, False)


def test_a_network_at_the_edge_is_seen_from_its_arrival_on():
    curves = frame(
        "learning_rate seed step sharpness stability_limit train_loss",
        *(
            [0.1, 0, 100 * k, s, 20.0, loss]
            for k, (s, loss) in enumerate([(5, 1.0), (12, 0.5), (20, 0.4), (22, 0.45), (21, 0.2)])
        ),
    )
    row = CLASSICS["cohen_2021"].networks(curves).iloc[0]
    assert (row["start"], row["arrives"], row["stays"]) == (0.25, 200, 1.05)
    assert (row["rises_before"], row["rises_after"], row["left"]) == (0.0, 0.5, 0.5)


def test_layers_are_ordered_by_when_they_saturate():
    rows = [[1, 0, 0.0], [1, 9, 0.1], [2, 0, 0.0], [2, 5, 0.2], [3, 0, 0.0], [3, 9, 0.01]]
    assert CLASSICS["glorot_2010"].crossings(frame("layer step value", *rows)) == [2, 1, 3]

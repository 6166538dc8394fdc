"""Training beside peers: rows and names, the twin, contenders that need no other library, tables and the picture."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import peers  # noqa: E402
from benchmarks.contenders import CONTENDERS, figure, load, rounds, sklearn_joblib, tables, twin  # noqa: E402
from benchmarks.contenders.tasks import MIXED, ROWS, SHAPES, USUAL_ROWS, Campaign, Task, make_problem  # noqa: E402

TINY = Task("tiny", (5, 7, 6, 3), "tanh", "softmax_cross_entropy", batch=8, networks=20, steps=6)
REGRESSION = dataclasses.replace(TINY, widths=(5, 7, 1), loss="mean_squared_error", full_batch=True)


# --- rows ---------------------------------------------------------------------------------------------


def test_rows_are_every_shape_activation_and_optimizer_sweeps_and_campaigns():
    names = {s.name for s in SHAPES}
    for shape in names:
        own = [row for row in ROWS.values() if row.name.split("/")[0] == shape and "/x" not in row.name]
        assert {(r.activation, r.optimizer) for r in own} == {
            (a, o) for a in ("relu", "tanh", "gelu") for o in ("sgd", "adam")
        }
    counts = {row.networks for name, row in ROWS.items() if name.split("/")[0] == "16-16-1"}
    assert min(counts) == 64
    assert max(counts) == 65_536
    campaign = ROWS["mixed/64-32-32-10"]
    assert isinstance(campaign, Campaign)
    assert len(campaign.activations) == 8
    assert campaign.base.networks == 4 * 8 * 16
    assert set(USUAL_ROWS) <= set(ROWS)


def test_patterns_choose_rows():
    assert peers.rows_named(["16-16-1"]) == ["16-16-1"]
    assert set(peers.rows_named(["16-16-1/x*"])) == {f"16-16-1/x{n}" for n in (64, 256, 1024, 4096, 16384)}
    assert peers.rows_named(["all"]) == list(ROWS)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["--rows", "17-17-1"], "--rows 17-17-1: no such row"),
        (["--repeats", "2"], "--repeats 2: at least 5"),
        (["--figure", "peers.txt"], "--figure peers.txt: allowed are names in .png"),
        (["--json", "nowhere/at/all.json"], "no such directory"),
    ],
)
def test_bad_command_lines_are_refused_in_a_line(argv, text, capsys):
    with pytest.raises(SystemExit) as caught:
        peers.arguments(argv)
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_the_usual_run_takes_ten_minutes_or_so(capsys):
    given = peers.arguments([])
    assert given.rows == list(USUAL_ROWS)
    assert 5 * 60 < peers.estimate(given.rows, given.contenders, given.repeats) < 15 * 60
    assert peers.arguments(["--contenders", "all"]).contenders == list(CONTENDERS)
    assert peers.main(["--dry-run"]) == 0
    assert re.search(r"6 rows, 8 contenders: about \d+ minutes", capsys.readouterr().err)


# --- the twin and contenders --------------------------------------------------------------------------


@pytest.mark.parametrize("activation", MIXED)
def test_the_twins_gradients_are_those_of_its_loss(activation):
    task = dataclasses.replace(TINY, activation=activation)
    problem = make_problem(task)
    weights, x, y = problem.initial(3), problem.X[-1].astype(float), problem.y[-1]
    found = twin.gradients(task, weights, x, y)
    for (W, b), (dW, db) in zip(weights, found, strict=True):
        for array, gradient in ((W, dW), (b, db)):
            place = tuple(n // 2 for n in array.shape)
            sides = []
            for moved in (1e-6, -2e-6):
                array[place] += moved
                sides.append(twin.loss_of(task, problem, weights))
            array[place] += 1e-6
            assert gradient[place] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("task", [TINY, REGRESSION], ids=["classes", "regression"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_numpy_and_scikit_learn_train_as_the_twin_does(task, optimizer):
    task = dataclasses.replace(task, optimizer=optimizer)
    problem = make_problem(task)
    gate = twin.Gate(task, problem)
    contender = load("numpy").build(task, problem)
    contender.prepare()
    assert gate.error(contender.network) < 1e-4
    networks, _ = sklearn_joblib.train_networks(task, problem)
    assert gate.error(networks.__getitem__) < gate.TOLERANCE


@pytest.mark.parametrize("optimizer", ["sgd"])
def test_gradsim_trains_as_the_twin_does(optimizer):
    task = dataclasses.replace(TINY, optimizer=optimizer)
    problem = make_problem(task)
    contender = load("gradsim").build(task, problem)
    assert contender.once() > 0
    assert twin.Gate(task, problem).error(contender.network) < 1e-4


def test_the_gate_stops_who_does_not_train():
    problem = make_problem(TINY)
    gate = twin.Gate(TINY, problem)
    assert gate.error(problem.initial) > 0.5
    assert gate.error(lambda i: [(W * np.nan, b) for W, b in problem.initial(i)]) == 1e9


def test_the_gate_passes_over_a_network_that_float32_cannot_decide():
    task = dataclasses.replace(TINY, activation="relu")
    problem = make_problem(task)
    W, b = problem.weights[0]
    assert 0 in twin.Gate(task, problem).expected
    b[0, 0] = -(problem.X[0, 0] @ W[0, :, 0])  # the first unit is on its kink: the order of adding turns it on or off
    gate = twin.Gate(task, problem)
    assert 0 not in gate.expected
    assert gate.expected


# --- what is printed ----------------------------------------------------------------------------------


def _row(name: str, seconds: dict[str, float]) -> dict:
    row = rounds.Row(name, [*seconds, "sklearn"], quick=False)
    row.peaks = [200.0]
    for contender, median in seconds.items():
        row.results[contender] |= {
            "seconds": [median, 1.1 * median, 0.9 * median],
            "errors": [1e-6 if contender != "torch-func" else 1.0],
            "others": [0.0],
            "flops": row.row.flops,
            "network_steps": row.row.networks * row.row.steps,
            "peak_bytes": 2**20,
        }
    row.results["sklearn"]["absent"] = "it has no such thing"
    return row.summary()


@pytest.fixture
def report() -> dict:
    own = {"gradsim": 0.25, "jax": 1.0, "jax-plain": 2.0, "torch-func": 0.1, "numpy": 3.0}
    rows = [_row(name, {c: s * (1 + i / 5) for c, s in own.items()}) for i, name in enumerate(ROWS) if i < 10]
    rows += [_row(name, own) for name in ("16-16-1/x64", "16-16-1/x1024")]
    return {
        "date": "2026-01-02T03:04:05",
        "quick": False,
        "repeats": 5,
        "machine": {"cpu": "Abacus", "cores": 2},
        "versions": {"jax": "1"},
        "rows": rows,
    }


def test_ratios_are_of_medians_and_leave_out_who_is_wrong(report):
    row = report["rows"][0]
    assert row["best_peer"] == "jax"
    assert row["ratio"] == pytest.approx(4)
    assert row["best_plain_peer"] == "jax-plain"
    assert row["contenders"]["gradsim"]["fraction_of_peak"] == pytest.approx(row["flops"] / 0.25 / 200e9)


def test_the_page_says_all(report):
    text = tables.page(report)
    assert "| **4.0** |" in text
    assert "FMA peak 200 GFLOP/s" in text
    assert "WRONG 2-8-8-2, torch-func: 1.0e+00 from the float64 reference" in text
    assert "NONE 2-8-8-2, sklearn: it has no such thing" in text
    widths = {len(line) for line in tables.speed_table(report["rows"]).splitlines()}
    assert len(widths) == 1


def test_the_picture_has_every_row_and_the_sweep(report, tmp_path):
    drawn = figure.peers_figure(report)
    left, right, curve = drawn.axes
    assert [t.get_text() for t in left.get_yticklabels()] == [row["row"] for row in report["rows"]]
    assert len(left.lines) == 1 + 3 * len(report["rows"])  # the peers that agree, and the line at 1
    assert right.get_xlabel() == "% of the FMA peak"
    assert curve.get_title("left") == "16-16-1"
    figure.save(report, tmp_path / "peers.png")
    assert (tmp_path / "peers.png").stat().st_size > 20_000

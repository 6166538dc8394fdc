"""The league: its files against the catalogue, the choice, places, intervals, who may be first, and the page."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest
from campaign_help import ROOT

import gradsim as gs
from gradsim.activations import ACTIVATIONS

sys.path.insert(0, str(ROOT / "reports"))
league = importlib.import_module("league")

import league_page  # noqa: E402
import league_words  # noqa: E402
import standings  # noqa: E402

KEPT = ROOT / "reports" / "league"


# --- the campaigns --------------------------------------------------------------------------------


def files():
    return [tomllib.loads((ROOT / "reports" / name).read_text(encoding="utf-8")) for name in league.FILES]


def test_the_league_has_every_activation_of_the_catalogue():
    catalogue = {name for name, act in ACTIVATIONS.items() if act.function.__module__.startswith("gradsim.")}
    first, *others = files()
    for campaign in (first, *others):
        assert set(campaign["grid"]["activation"]) == catalogue
    for other in others:
        assert {key for key in first | other if first.get(key) != other.get(key)} <= {"name", "target", "grid"}
        differ = {key for key in first["grid"] if first["grid"][key] != other["grid"].get(key)}
        assert differ <= {"dataset", "depth", "width"}


def test_a_linear_model_misses_the_target_of_the_regression():
    X, y, _, _ = gs.Campaign(dataset="diabetes", depth=0).data()
    X = np.column_stack([X.astype(float), np.ones(len(X))])
    left = np.mean((X @ np.linalg.lstsq(X, y.astype(float))[0] - y) ** 2) / np.var(y.astype(float))
    assert left == pytest.approx(0.499, abs=5e-4)
    targets = [one["target"] for one in files() if one["grid"]["dataset"] == ["diabetes"]]
    assert targets == [0.45]


def test_all_starts_are_good_for_every_activation():
    """A start that some activation refuses would stop the campaign; planning checks all."""
    grid = {name: files()[0]["grid"][name] for name in ("activation", "initializer")}
    assert gs.Campaign(depth=1, width=4, steps=1, dataset="iris", grid=grid).runs == 3 * 241


# --- the choice -----------------------------------------------------------------------------------


def runs_of(*rows):
    """Runs of wine, one layer of 16: (activation, initializer, rate, seed, steps or None, final loss)."""
    frame = pd.DataFrame(
        rows, columns=["activation", "initializer", "learning_rate", "seed", "steps_to_target", "final_loss"]
    )
    frame["steps_to_target"] = frame["steps_to_target"].astype(float)
    outcome = np.where(frame["steps_to_target"].notna(), "converged", "learning")
    frame["outcome"] = np.where(np.isfinite(frame["final_loss"]), outcome, "diverged")
    return frame.assign(dataset="wine", depth=1, width=16, dead=0.0, saturated=np.nan, test=0.5)


def test_the_choice_is_by_share_then_steps_then_loss():
    rows = [("relu", start, rate, seed, 10, 0.1) for start in "ab" for rate in (0.1, 1.0) for seed in (0, 1)]
    often = runs_of(*rows[:-1], ("relu", "b", 1.0, 1, None, 0.2))
    often.loc[often["initializer"].eq("b") & often["learning_rate"].eq(0.1), "steps_to_target"] = 9
    chosen = standings.choose(often)
    assert chosen[["initializer", "learning_rate", "share"]].to_numpy().tolist() == [["b", 0.1, 1.0]]
    never = runs_of(
        *(
            ("relu", "a", rate, seed, None, loss)
            for rate, loss in ((0.1, 0.9), (1.0, 0.7), (3.0, np.inf))
            for seed in (0, 1)
        )
    )
    assert standings.choose(never)["learning_rate"].tolist() == [1.0]
    assert standings.choose(never)["share"].tolist() == [0.0]


def field():
    """ReLU, tanh and sigmoid from two seeds: tanh is twice as fast, sigmoid never trains."""
    steps = {"relu": (20, 40), "sigmoid": (None, None), "tanh": (10, 20)}
    fresh = runs_of(*((name, "a", 0.1, 100 + k, n, 0.3) for name, pair in steps.items() for k, n in enumerate(pair)))
    search = runs_of(
        *(
            (name, start, rate, 0, 10 if (start, rate) != ("b", 1.0) and name != "sigmoid" else None, 0.3)
            for name, start, rate in itertools.product(steps, "ab", (0.1, 1.0))
        )
    )
    return standings.field_of(search, fresh)


def test_places_and_numbers_are_those_of_the_runs():
    found = field()
    assert found.names.tolist() == ["relu", "sigmoid", "tanh"]
    assert found.numbers["place"][:, 0].tolist() == [[2, 2], [3, 3], [1, 1]]
    assert np.exp(found.numbers["steps"][2, 0]) == pytest.approx([0.5, 0.5])
    assert np.isnan(found.numbers["steps"][1]).all()
    assert found.numbers["trained"].mean(axis=(1, 2)).tolist() == [1, 0, 1]
    # Both rates of start a, a decade apart; three of four settings.
    assert found.numbers["window"][:, 0, 0].tolist() == [2, 0, 2]
    assert found.numbers["any"][:, 0, 0].tolist() == [0.75, 0, 0.75]
    table = standings.standing(found)
    assert table["activation"].tolist() == ["tanh", "relu", "sigmoid"]
    assert table["first"].tolist() == [True, False, False]
    assert table["saturated"].isna().all()


def test_who_does_not_converge_is_placed_by_the_loss_and_ties_share():
    fresh = runs_of(
        ("relu", "a", 0.1, 100, None, 0.5),
        ("tanh", "a", 0.1, 100, None, 0.4),
        ("elu", "a", 0.1, 100, 300, 0.45),
        ("gelu", "a", 0.1, 100, 300, 0.41),
        ("sinc", "a", 0.1, 100, None, np.inf),
    )
    search = pd.concat([fresh, fresh.assign(learning_rate=1.0)]).assign(seed=0)
    places = standings.field_of(search, fresh)
    assert dict(zip(places.names, places.numbers["place"][:, 0, 0], strict=True)) == {
        "elu": 1.5, "gelu": 1.5, "tanh": 3, "relu": 4, "sinc": 5,
    }  # fmt: skip


def test_leagues_are_by_width_and_depth():
    tasks = pd.DataFrame({"depth": [1, 3, 10, 20, 1, 10], "width": [16, 16, 16, 16, 4, 4]})
    assert standings.league_of(tasks).tolist() == ["shallow", "shallow", "deep", "deep", "narrow", "narrow"]


def test_the_depth_tolerated_ends_where_a_lesser_one_fails():
    shapes = [("iris", 1, 16), ("iris", 3, 16), ("iris", 10, 16), ("iris", 3, 4), ("wine", 3, 16), ("wine", 1, 16)]
    tasks = pd.DataFrame(shapes, columns=standings.TASK)
    trained = np.zeros((2, 6, 4))
    trained[0, :3] = 1
    trained[0, 5, :2] = 1  # half of wine's shallowest
    trained[1, [1, 2, 3, 4]] = 1  # deep or narrow ones alone
    found = standings.deepest(standings.Field(np.array(["a", "b"]), tasks, {"trained": trained}))
    assert found["layers"].tolist() == [(10 + 1) / 2, 0]
    assert found["layers_low"][0] == 5
    assert found["layers_high"][0] == 5.5


# --- intervals ------------------------------------------------------------------------------------


def test_resampled_means_spread_as_two_stages_of_sampling_do():
    drawn = standings.resamples(40, 16, 2000)
    assert (drawn.sum(axis=(1, 2)) == 40 * 16).all()
    generator = np.random.default_rng(1)
    values = generator.normal(size=(1, 40, 1)) + np.zeros((1, 40, 16))  # tasks differ, seeds do not
    again = standings.means(values, drawn)
    assert again.std() == pytest.approx(values.std() / np.sqrt(40), rel=0.1)
    low, high = standings.interval(again)
    assert low < standings.mean(values) < high
    values[0, 0, 0] = np.nan
    assert standings.mean(values)[0] == pytest.approx(np.nanmean(values))


def test_the_true_first_is_among_those_who_may_be_first_and_the_last_is_not():
    kept, last, count = 0, 0, 60
    drawn = standings.resamples(20, 4, 300)
    for seed in range(count):
        values = np.random.default_rng(seed).normal(size=(8, 20, 4)) + np.array([0, *[0.1] * 6, 2])[:, None, None]
        found = standings.may_be_first(standings.mean(values), standings.means(values, drawn))
        kept += found[0]
        last += found[-1]
    assert kept >= 0.9 * count
    assert last == 0


def test_the_same_function_under_two_names_is_no_rival():
    values = np.random.default_rng(0).normal(size=(1, 20, 4)).repeat(2, axis=0)
    drawn = standings.resamples(20, 4, 100)
    assert standings.may_be_first(standings.mean(values), standings.means(values, drawn)).all()


# --- the whole, small -----------------------------------------------------------------------------


def small():
    grid = {
        "dataset": ["iris"],
        "depth": [1],
        "width": [8, 4],
        "activation": ["relu", "tanh", "maxout", "rrelu"],
        "initializer": ["he_normal"],
        "learning_rate": [0.01, 0.1],
        "seed": [0],
    }
    grids = (grid, grid | {"dataset": ["diabetes"]})
    return [league.part(file, one, 40) for file, one in zip(league.FILES[:2], grids, strict=True)]


def test_a_small_league_runs_resumes_and_makes_its_page(tmp_path):
    made = league.run(small(), tmp_path, range(100, 104), rounds=2)
    assert made.networks == 2 * (16 + 8 * 4)
    assert set(made.standings) == {"shallow", "narrow", "all"}
    assert set(made.fresh["seed"]) == set(range(100, 104))
    assert made.fresh["dead"].between(0, 1).all()
    chosen = made.fresh[[*standings.TASK, "activation", *standings.CHOICE]].drop_duplicates()
    assert len(chosen) == len(made.choice) == 16
    assert len(chosen.merge(made.choice)) == 16

    written = {f: f.stat().st_mtime_ns for f in tmp_path.glob("*/runs/*.parquet")}
    again = league.run(small(), tmp_path, range(100, 104), rounds=1)
    assert {f: f.stat().st_mtime_ns for f in tmp_path.glob("*/runs/*.parquet")} == written
    pd.testing.assert_frame_equal(again.choice, made.choice)
    pd.testing.assert_frame_equal(again.fresh, made.fresh)
    cost = made.cost.set_index("activation")
    assert cost.loc["relu"].tolist() == [1, 1, 1]
    assert cost["cost"].between(0.1, 20).all()
    assert (cost["cost_low"] <= cost["cost_high"]).all()

    page = league_page.write_page(made, tmp_path / "league.html", "do it").read_text()
    assert page.count("data:image/png;base64,") == 6
    assert "http" not in page
    assert "<b>" in page
    assert "**" not in page
    league_page.write_record(made, tmp_path, "do it")
    kept = (tmp_path / "README.md").read_text()
    assert all(one in kept for one in made.answers)
    table = pd.read_csv(tmp_path / "standings.csv")
    assert len(table) == 3 * 4
    for name in ("leaders", "known", "everybody"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_marks_say_what_is_learned_random_or_larger():
    assert league_words.marks("relu") == ""
    assert league_words.marks("rrelu") == "random"
    assert league_words.marks("prelu") == "learned"
    assert re.fullmatch(r"1\.\dx weights", league_words.marks("maxout"))


def test_the_page_that_is_kept_is_of_the_whole_catalogue():
    table = pd.read_csv(KEPT / "standings.csv")
    assert set(table["league"]) == {*standings.LEAGUES, "all"}
    names = set(files()[0]["grid"]["activation"])
    text = (KEPT / "README.md").read_text(encoding="utf-8")
    for _, frame in table.groupby("league"):
        assert set(frame["activation"]) == names
        assert f"| 1 | {frame.iloc[0]['activation']}" in text
    sizes = [{key: len(x) for key, x in one["grid"].items()} for one in files()]
    tasks = sum(one["dataset"] * one["depth"] * one["width"] for one in sizes)
    settings = sizes[0]["initializer"] * 8 * 2
    assert f"{len(names) * tasks * (settings + len(league.FRESH)):,} networks" in text

"""Plans: run ids that belong to settings alone, cohorts of what can share a group, shards that cover all runs once."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
from campaign_help import AXES, grids, ids_of, one_id, refusal, settings_by_id, small
from hypothesis import given, settings
from hypothesis import strategies as st

from gradsim import Campaign
from gradsim import plan as plan_module
from gradsim.cohort import cohort_key
from gradsim.resolve import same_run

# --- run ids --------------------------------------------------------------------------------------


def test_run_ids_are_what_they_were():
    # Stored results are found by these: a change here breaks every results directory.
    assert one_id() == "5960a51a6430957a"
    assert (
        one_id(activation=["tanh", "leaky_relu"], optimizer="momentum", learning_rate=[1, 2, 3]) == "1c1c9543a7dec09e"
    )


def test_run_ids_are_16_hexadecimal_digits():
    for run_id in ids_of(small(grid={"seed": range(20)})):
        assert len(run_id) == 16
        assert set(run_id) <= set("0123456789abcdef")


@settings(max_examples=60, deadline=None)
@given(grids())
def test_ids_are_unique_and_do_not_depend_on_the_grid_around_them(grid):
    campaign = small(grid=grid)
    found = settings_by_id(campaign)
    assert len(found) == campaign.runs == len(list(itertools.product(*grid.values())))
    some = random.Random(repr(grid)).sample(sorted(found), min(5, len(found)))
    for run_id in some:
        values = {f: getattr(found[run_id], f) for f in type(found[run_id]).model_fields if f != "hidden"}
        values |= {"activation": list(values["activation"]), "learning_rate": list(values["learning_rate"])}
        assert ids_of(small(**values)) == [run_id]


@settings(max_examples=40, deadline=None)
@given(grids(), st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_the_order_of_axes_or_values(grid, shuffler):
    names = list(grid)
    shuffler.shuffle(names)
    shuffled = {name: shuffler.sample(grid[name], len(grid[name])) for name in names}
    assert sorted(ids_of(small(grid=shuffled))) == sorted(ids_of(small(grid=grid)))


@settings(max_examples=40, deadline=None)
@given(grids(), st.data())
def test_exclude_leaves_exactly_the_other_runs(grid, data):
    if len(grid) < 1 or all(len(v) == 1 for v in grid.values()):
        return
    name = data.draw(st.sampled_from([n for n, v in grid.items() if len(v) > 1]))
    gone = data.draw(st.sampled_from(grid[name]))
    rest = small(grid=grid | {name: [v for v in grid[name] if v != gone]})
    without = small(grid=grid, exclude={name: [gone]})
    assert ids_of(without) == ids_of(rest)


@settings(max_examples=60, deadline=None)
@given(grids(), st.data())
def test_what_is_planned_can_be_written_and_read_again(tmp_path_factory, grid, data):
    others = [name for name in AXES if name not in grid and name != "learning_rate.1"]
    fields = {n: data.draw(st.sampled_from(AXES[n])) for n in data.draw(st.lists(st.sampled_from(others), unique=True))}
    campaign = small(**fields, grid=grid)
    path = tmp_path_factory.getbasetemp() / "planned.toml"
    path.write_text(campaign.to_toml(), encoding="utf-8")
    again = Campaign.from_toml(path)
    assert ids_of(again) == ids_of(campaign)
    assert again.digest == campaign.digest


def test_zip_is_the_diagonal_of_the_product():
    columns = {"learning_rate": [0.1, 0.2, 0.3], "width": [3, 4, 5]}
    zipped, product = ids_of(small(zip=columns)), ids_of(small(grid=columns))
    assert zipped == [product[0], product[4], product[8]]


def test_ids_depend_on_every_field():
    changes = {name: values[1] for name, values in AXES.items() if name != "learning_rate.1"}
    changes |= {"loss": "mse", "activation": "tanh", "hidden": [5, 4], "batch_size": "full", "dataset": "wine"}
    changes |= {"batch_order": "replacement"}
    ids = [one_id()] + [one_id(**{name: value}) for name, value in changes.items()] + [one_id(campaign_seed=1)]
    assert len(set(ids)) == len(ids)


def test_ids_do_not_depend_on_what_is_measured():
    for change in (
        {"checkpoints": [3]},
        {"probe_samples": 5},
        {"target": 0.5},
        {"name": "x"},
        {"thresholds": {"stalled": 0.5}},
    ):
        assert one_id(**change) == one_id(), change


def test_a_run_has_one_place_in_the_grid():
    for fields, name in (
        ({"grid": {"activation": ["relu", ["relu", "relu"]]}}, "activation"),
        ({"grid": {"learning_rate": [0.1, [0.1, 0.1, 0.1]]}}, "learning_rate"),
        ({"grid": {"initializer": ["normal(std=1)", "normal(std=2)"], "initializer.std": [3, 4]}}, "initializer"),
        ({"grid": {"depth": [0, 1], "width": [3, 4]}}, "width"),
        ({"hidden": [], "grid": {"learning_rate": [0.1, 0.2], "learning_rate.0": [0.3]}}, "learning_rate"),
        ({"zip": {"activation": ["relu", "relu"], "scaling": ["none", "none"]}}, "'relu', 'none' is given twice"),
    ):
        refusal(lambda fields=fields: small(**fields), name)


def test_positions_and_settings():
    campaign = small(grid={"seed": [5, 6], "learning_rate": [0.1, 0.2, 0.3]}, exclude={"seed": 5, "learning_rate": 0.2})
    found = [(s.seed, s.learning_rate[0]) for s in settings_by_id(campaign).values()]
    assert found == [(5, 0.1), (5, 0.3), (6, 0.1), (6, 0.2), (6, 0.3)]
    for i, run_id in enumerate(ids_of(campaign)):
        assert campaign.plan.position(run_id) == i
    refusal(lambda: campaign.plan.position("nothing"), "nothing", "not of this campaign")


# --- cohorts --------------------------------------------------------------------------------------


def test_what_shares_a_cohort():
    base = {"grid": {"seed": [0, 1]}}
    together = {
        "seed": [0, 1],
        "initializer": ["zeros", "he_normal"],
        "learning_rate": [0.1, [0.1, 0.2, 0.3]],
        "activation": ["leaky_relu(slope=0.1)", "leaky_relu(slope=0.2)"],
        "optimizer": ["momentum(beta=0.1)", "momentum(beta=0.2)"],
    }
    apart = {
        "activation": ["relu", "tanh"],
        "optimizer": ["sgd", "momentum"],
        **{name: AXES[name][:2] for name in ("width", "bias", "steps", "dtype", "scaling", "data_seed", "batch_size")},
        **{name: AXES[name] for name in ("loss", "dataset", "test_fraction")},
    }
    for name, values in together.items():
        assert len(set(small(grid={name: values}).plan.cohort_of_cell)) == 1, name
    for name, values in apart.items():
        assert len(set(small(**base | {"grid": {name: values}}).plan.cohort_of_cell)) == 2, name


def test_numbers_of_lanes_need_no_cells():
    campaign = small(
        activation="leaky_relu",
        optimizer="momentum",
        grid={
            "seed": range(10),
            "learning_rate": [0.1, 0.2],
            "learning_rate.1": [0.3, 0.4],
            "activation.slope": [0.1, 0.2],
            "optimizer.beta": [0.5, 0.6],
        },
    )
    assert len(campaign.plan.cells) == 1
    assert len(set(ids_of(campaign))) == campaign.runs == 160
    assert len(small(grid={"learning_rate": [0.1, [0.1, 0.2, 0.3]]}).plan.cells) == 2


def test_settings_that_are_lane_numbers_equal_those_resolved():
    campaign = small(
        activation=["leaky_relu", "elu"],
        grid={"activation.slope": [0.1, 0.2], "learning_rate.0": [0.1, 0.2], "seed": [3, 4]},
    )
    cells = campaign.plan.cells
    for position, (run_id, resolved) in enumerate(settings_by_id(campaign).items()):
        cell = cells[int(campaign.plan.cell_numbers(campaign.plan.codes(np.array([position])))[0])]
        assert cohort_key(cell) == cohort_key(resolved)
        assert campaign.plan.settings_for(run_id, "data").seed == resolved.seed
    assert len({same_run(s) for s in settings_by_id(campaign).values()}) == campaign.runs


# --- shards ---------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(grids(), st.sampled_from([1e-9, 1e-4, 1.5]))
def test_shards_cover_all_runs_once(grid, seconds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "SHARD_SECONDS", seconds)
        campaign = small(grid=grid)
        shards = campaign.plan.shards
    positions = np.concatenate([s.positions for s in shards])
    assert sorted(positions.tolist()) == list(range(campaign.runs))
    assert len({s.name for s in shards}) == len({s.mark for s in shards}) == len(shards)
    plan = campaign.plan
    for shard in shards:
        assert set(plan.cohort_of_cell[plan.cell_numbers(plan.codes(shard.positions))]) == {shard.cohort}
        full = -(-len(shard.positions) // plan.costs[shard.cohort].lanes)
        assert full == 1 or seconds > 1e-9


def test_shards_are_whole_groups_of_about_the_same_work():
    campaign = small(grid={"seed": range(10_000), "dtype": ["float32", "float64"]}, steps=1000)
    plan = campaign.plan
    for cohort, lanes in ((0, 16), (1, 8)):
        sizes = [len(s.positions) for s in plan.shards if s.cohort == cohort]
        assert sum(sizes) == 10_000
        assert all(size == sizes[0] for size in sizes[:-1])
        assert sizes[0] % lanes == 0
        nominal = sizes[0] / lanes * plan.costs[cohort].group_seconds
        held = sizes[0] / lanes * plan.costs[cohort].group_bytes
        assert nominal <= plan_module.SHARD_SECONDS * 1.1
        assert held <= plan_module.SHARD_BYTES * 1.1
        assert nominal > plan_module.SHARD_SECONDS / 2 or held > plan_module.SHARD_BYTES / 2
    assert 0 < plan.nominal_seconds() < 1000


def test_many_checkpoints_make_smaller_shards():
    few = small(grid={"seed": range(20_000)}, steps=1000).plan.shards
    many = small(grid={"seed": range(20_000)}, steps=1000, checkpoints=range(1000)).plan.shards
    assert len(many) > 2 * len(few)


def test_a_shard_s_mark_tells_its_runs():
    shard = plan_module.Shard(0, 1, 0, 16, 1, np.arange(32))
    assert shard.name == "c0000-s000001"
    assert shard.mark == dataclasses.replace(shard, block=32, blocks=np.zeros(1, np.int64)).mark  # the same runs
    assert shard.mark != dataclasses.replace(shard, start=16, stop=32).mark


# --- large and small ------------------------------------------------------------------------------


def test_a_million_runs_are_planned_in_a_moment():
    grid = {"seed": {"range": 100_000}, "learning_rate": {"geomspace": [1e-3, 1, 10]}, "activation": ["relu", "tanh"]}
    campaign = small(grid=grid)
    shards = campaign.plan.shards
    assert campaign.runs == sum(len(s.positions) for s in shards) == 2_000_000
    last = campaign.plan.run_ids(shards[-1].positions[-3:])
    assert len(set(last)) == 3


def test_a_billion_runs_are_planned_without_listing_them():
    grid = {"activation": ["relu", "tanh"], "learning_rate": {"geomspace": [1e-3, 1, 500]}, "seed": range(10**6)}
    plan = small(grid=grid).plan
    assert plan.size == sum(map(len, plan.shards)) == 10**9
    assert sum(shard.blocks.nbytes for shard in {shard.cohort: shard for shard in plan.shards}.values()) < 100
    last = plan.shards[-1]
    assert last.positions[-1] == 10**9 - 1
    assert plan.settings(int(last.positions[0])).activation[0].name == "tanh"


def test_shards_are_the_same_however_runs_are_blocked():
    grid = {"seed": range(40), "activation": ["relu", "tanh"], "learning_rate": [0.1, 0.2, 0.3]}
    for order in itertools.permutations(grid):
        plan = small(grid={name: grid[name] for name in order}).plan
        cells = plan.cell_numbers(plan.codes(np.arange(plan.size)))
        for cohort in plan.costs:
            mine = np.concatenate([s.positions for s in plan.shards if s.cohort == cohort])
            assert mine.tolist() == np.flatnonzero(plan.cohort_of_cell[cells] == cohort).tolist()
        assert plan._block == math.prod(len(grid[n]) for n in order[order.index("activation") + 1 :])


@pytest.mark.parametrize("most", [10**6, 1])
def test_a_run_is_found_by_its_id_whether_ids_are_kept_or_not(monkeypatch, most):
    plan = small(grid={"activation": ["relu", "tanh"], "seed": range(20)}).plan
    monkeypatch.setattr(plan_module, "MAX_BLOCKS", most)
    monkeypatch.setattr(plan_module, "_PIECE", 7)
    ids = plan.run_ids(np.arange(plan.size))
    assert [plan.position(run_id) for run_id in ids] == list(range(plan.size))
    refusal(lambda: plan.position("0" * 16), "is not of this campaign")


def test_what_is_too_large_is_refused_at_once():
    grid = {name: {"range": 20_000} for name in ("seed", "data_seed")} | {"learning_rate": {"linspace": [0, 1, 25_000]}}
    refusal(lambda: small(grid=grid), "grid", "10,000,000,000,000 runs", "1,000,000,000,000")
    refusal(lambda: small(grid={"seed": range(10**15)}), "grid.seed", "1,000,000,000,000")
    grid = {"seed": range(10**8), "activation": ["relu", "tanh"]}
    refusal(lambda: small(grid=grid), "200,000,000 runs", "give activation before seeds")
    rule = {"seed": 0}
    refusal(lambda: small(grid={"seed": range(10**8)}, exclude=rule), "exclude", "100,000,000 runs", "50,000,000")
    refusal(lambda: small(grid={"data_seed": {"range": 300_000}}), "300,000 combinations", "200,000")


def test_network_shapes_in_words():
    describe = plan_module.describe
    assert describe(64, (32,) * 5, 10) == "64-[32]x5-10"
    assert describe(64, (32, 16), 10) == "64-32-16-10"
    assert describe(4, (), 3) == "4-3"
    campaign = small(grid={"hidden": [[1], [2], [3], [4]]})
    assert campaign.plan.describe_networks() == "4-1-3, 4-2-3, 4-3-3, ..."

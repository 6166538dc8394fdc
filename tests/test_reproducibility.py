"""The same answer everywhere: a run's numbers depend on its own settings alone, to the last bit.

Not on threads, on the runs beside it, on their order, on how they are divided into shards, or on an interruption.
"""

from __future__ import annotations

import signal
import subprocess
import time

import numpy as np
import pytest
from campaign_help import (
    assert_same,
    command,
    environment,
    gradsim,
    ids_of,
    only,
    refusal,
    settings_by_id,
    shard_names,
    small,
    tables,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradsim import Campaign, Results, UsageError
from gradsim import plan as plan_module

# Runs that converge, that diverge at different steps, with initializers and parameters of every kind beside each other.
GRID = {
    "activation": ["leaky_relu(slope=0.3)", "leaky_relu(slope=-0.2)", "tanh", ["gelu", "elu"]],
    "initializer": ["zeros", "normal(std=30)", "uniform(limit=2)", "he_normal"],
    "learning_rate": [0.05, 300.0, [0.1, 0.02, 0.3]],
    "seed": [0, 1, 2],
}


@pytest.fixture(scope="module", params=["float32", "float64"])
def whole(request, tmp_path_factory):
    """The grid run on one thread, in one shard a cohort."""
    campaign = small(grid=GRID, dtype=request.param, optimizer="momentum(beta=0.5)", target=0.5)
    return campaign, tables(campaign.run(tmp_path_factory.mktemp("whole"), threads=1, progress=False))


def run_in_small_shards(campaign: Campaign, path, threads: int = 1) -> Results:
    """One group a shard, the smallest there is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "SHARD_SECONDS", 1e-9)
        return campaign.model_copy().run(path, threads=threads, progress=False)


def test_the_grid_holds_all_there_is_to_hold(whole):
    _, frames = whole
    assert {"learning", "stalled", "converged", "diverged"} <= set(frames["runs"]["outcome"])
    assert frames["runs"]["first_nonfinite_step"].nunique() > 3
    assert len(frames["runs"]) == 4 * 4 * 3 * 3


def test_two_threads_give_the_same(whole, tmp_path):
    campaign, frames = whole
    results = run_in_small_shards(campaign, tmp_path, threads=2)
    assert len(shard_names(tmp_path)) >= 9
    assert_same(tables(results), frames)


def test_a_run_alone_gives_the_same(whole, tmp_path):
    campaign, frames = whole
    found = settings_by_id(campaign)
    ids = list(found)
    for i in (0, 17, 50, len(ids) - 1):
        resolved = found[ids[i]]
        alone = small(
            dtype=resolved.dtype,
            optimizer=resolved.optimizer,
            target=campaign.target,
            activation=list(resolved.activation),
            initializer=resolved.initializer,
            learning_rate=list(resolved.learning_rate),
            seed=resolved.seed,
        )
        results = alone.run(tmp_path / ids[i], progress=False)
        assert_same(tables(results), only(frames, [ids[i]]))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_part_of_the_grid_in_any_order_gives_the_same(whole, tmp_path_factory, data):
    campaign, frames = whole
    names = data.draw(st.permutations(list(GRID)))
    grid = {}
    for name in names:
        grid[name] = data.draw(st.lists(st.sampled_from(GRID[name]), min_size=1, unique_by=repr), label=name)
    part = campaign.model_copy(update={"grid": grid})
    results = part.run(tmp_path_factory.mktemp("part"), progress=False)
    found = only(frames, ids_of(part))
    assert len(found["runs"]) == part.runs
    assert_same(tables(results), found)


def test_other_shards_give_the_same(whole, tmp_path, monkeypatch):
    campaign, frames = whole
    counts = []
    for seconds in (1e-9, 2e-4, 1.5):
        monkeypatch.setattr(plan_module, "SHARD_SECONDS", seconds)
        path = tmp_path / str(seconds)
        assert_same(tables(campaign.model_copy().run(path, progress=False)), frames)
        counts.append(len(shard_names(path)))
    assert counts[0] > counts[1] >= counts[2]


def test_resuming_after_lost_files_gives_the_same(whole, tmp_path):
    campaign, frames = whole
    run_in_small_shards(campaign, tmp_path)
    names = shard_names(tmp_path)
    for table, lost in (("runs", names[::3]), ("layers", names[1:2]), ("curves", names[-1:])):
        for name in lost:
            (tmp_path / table / name).unlink()
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").iterdir() if p.name == names[4]}
    assert_same(tables(run_in_small_shards(campaign, tmp_path)), frames)
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def test_resuming_with_other_shards_gives_the_same(whole, tmp_path):
    campaign, frames = whole
    run_in_small_shards(campaign, tmp_path)
    names = shard_names(tmp_path)
    for name in names[: len(names) // 2]:
        (tmp_path / "runs" / name).unlink()
    # Larger shards: half of the small ones are in place, under names that mean other runs now.
    results = campaign.model_copy().run(tmp_path, progress=False)
    assert_same(tables(results), frames)
    assert len(shard_names(tmp_path)) < len(names)
    assert shard_names(tmp_path) == shard_names(tmp_path, "curves") == shard_names(tmp_path, "layers")
    # And back again.
    assert_same(tables(run_in_small_shards(campaign, tmp_path)), frames)


def test_axes_in_another_order_are_another_directory_s(tmp_path):
    grid = {"seed": [0, 1], "activation": ["relu", "tanh"]}
    small(grid=grid).run(tmp_path, progress=False)
    turned = small(grid=dict(reversed(grid.items())))
    refusal(lambda: turned.run(tmp_path, progress=False), "order of the axes", "seed, activation", error=UsageError)


INTERRUPTED = """
dataset = "digits"
width = 24
batch_size = 32
steps = 250

[grid]
learning_rate = {geomspace = [1e-3, 1, 8]}
depth = [2, 3, 4, 5, 6, 7, 8, 9]
seed = {range = 10}
"""


def test_interrupted_and_resumed_gives_the_same(tmp_path):
    file, path = tmp_path / "long.toml", tmp_path / "results"
    file.write_text(INTERRUPTED)
    expected = tables(Campaign.from_toml(file).run(tmp_path / "whole", progress=False))
    process = subprocess.Popen(
        command("run", file, "--out", path, "--no-report", "--threads", 1),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What runs in the background of a script has inherited that it ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (path / "runs").is_dir() or not shard_names(path):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert output == ""
    assert "interrupted" in errors.splitlines()[-1]
    assert "Traceback" not in errors

    finished = shard_names(path)
    assert 0 < len(finished) < 8
    partly = tables(Results(path))
    assert_same(partly, only(expected, partly["runs"]["run_id"]))
    kept = {name: (path / "runs" / name).stat().st_mtime_ns for name in finished}

    resumed = gradsim("resume", path, "--no-report", "--quiet")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr == ""
    assert_same(tables(Results(path)), expected)
    assert {name: (path / "runs" / name).stat().st_mtime_ns for name in finished} == kept


def test_results_are_those_of_the_campaign_stored_beside_them(whole, tmp_path):
    campaign, frames = whole
    stored = campaign.run(tmp_path, progress=False).campaign
    assert stored.digest == campaign.digest
    assert ids_of(stored) == ids_of(campaign)
    assert_same(tables(stored.run(tmp_path / "again", progress=False)), frames)
    some = ids_of(campaign)[40]
    np.testing.assert_array_equal(stored.replay(some).loss, campaign.replay(some).loss)

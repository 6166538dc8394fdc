"""What a campaign will cost, said before it is run."""

from __future__ import annotations

import json

import pytest

import gradsim as gs
from gradsim.estimate import estimate

FIELDS = {"name": "small", "dataset": "spirals(samples=60)", "width": 4, "batch_size": 10}
GRID = {"activation": ["tanh", "relu"], "learning_rate": [0.01, 0.1], "seed": {"range": 20}}


def campaign(**more) -> gs.Campaign:
    return gs.Campaign(**FIELDS | {"depth": 2, "steps": 40, "grid": GRID} | more)


def test_what_is_counted_is_exact():
    mine = campaign()
    found = estimate(mine, threads=1)
    assert (found.runs, found.cohorts, found.shards, found.threads) == (80, 2, len(mine.plan.shards), 1)
    assert found.networks == "2-4-4-2"
    # Forward, both gradients: 6 a weight, but for the data's own; see Architecture.step_flops.
    each = mine.plan.costs[0].run_flops
    assert found.flops == 80 * each
    assert each == 40 * 10 * (6 * (2 * 4 + 4 * 4 + 4 * 2) - 2 * 2 * 4)


@pytest.mark.parametrize("steps", [1, 3, 4, 60])
def test_any_number_of_steps(steps):
    found = estimate(campaign(steps=steps), threads=2)
    assert 0 < found.seconds < 60
    assert found.memory_bytes > 10_000_000


def test_sharpness_and_large_matrices_cost_what_they_cost():
    def seconds(**more) -> float:
        return estimate(campaign(grid={"seed": {"range": 16}}, **more), threads=1).seconds

    assert seconds(sharpness=True) > 3 * seconds()
    large = {"width": 100, "steps": 1}  # a start that costs more than the training
    assert seconds(**large, initializer="orthogonal") > seconds(**large)


def test_the_disk_is_foreseen(tmp_path):
    mine = campaign(grid=GRID | {"seed": {"range": 200}})
    found = estimate(mine, threads=1)
    mine.run(tmp_path / "results", threads=1, progress=False)
    written = sum(file.stat().st_size for file in (tmp_path / "results").rglob("*.parquet"))
    assert written / 1.5 < found.disk_bytes < 1.5 * written


def test_on_the_command_line(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "small.toml"
    file.write_text(campaign().to_toml())
    said = cli("run", file, "--dry-run", "-t", 1)
    assert said.status == 0, said.err
    for word in ("80 networks 2-4-4-2", "2 cohorts", "time ", "memory ", "disk "):
        assert word in said.out
    told = json.loads(cli("run", file, "--dry-run", "--json").out)
    assert told["runs"] == 80
    assert not (tmp_path / "results").exists()

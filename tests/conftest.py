"""Fixtures of several test modules."""

from __future__ import annotations

import sys

import pytest
from campaign_help import GRID, small
from cli_help import Answer
from hypothesis import settings

from gradsim import plan
from gradsim.cli import main

# The same examples in every run; `--hypothesis-profile=default` draws new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


@pytest.fixture(scope="module", autouse=True)
def table_of_activations():
    """Activations that tests of a module made are gone with it: their names are free for the next."""
    from formula_help import table_put_back

    with table_put_back():
        yield


@pytest.fixture
def cli(monkeypatch, capsys):
    """`cli("run", file)` -> Answer; errors that are no exit are errors of the test."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["gradsim", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return Answer(caught.value.code, out, err)

    return call


@pytest.fixture
def small_shards(monkeypatch):
    """One group a shard, so that a small campaign has several."""
    monkeypatch.setattr(plan, "SHARD_SECONDS", 1e-9)


@pytest.fixture(scope="session")
def done(tmp_path_factory):
    """A finished campaign of several shards; its directory is for reading only."""
    path = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SHARD_SECONDS", 1e-9)
        campaign = small(grid=GRID, name="done")
        return campaign, campaign.run(path, progress=False)

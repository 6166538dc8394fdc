"""Fixtures of several test modules."""

from __future__ import annotations

import sys

import pytest
from cli_help import Answer
from hypothesis import settings

from gradsim.cli import main

# The same examples in every run; `--hypothesis-profile=default` draws new ones.
settings.register_profile("same", derandomize=True)
settings.load_profile("same")


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

"""Data sets of scikit-learn's wheel: the cache, whatever happens to it."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import numpy as np
import pytest
from datasets_help import own_cache, refuses  # noqa: F401

from gradsim.datasets import DATASETS, bundled, fingerprint, load, save_raw
from gradsim.errors import GradsimError


@pytest.fixture
def fetches(monkeypatch, tmp_path):
    """An empty cache, and the list of sets that were taken from scikit-learn instead of it."""
    made = []
    fetch = bundled._fetch_sklearn
    monkeypatch.setattr(bundled, "_fetch_sklearn", lambda name: made.append(name) or fetch(name))
    monkeypatch.setattr(bundled, "_cache_root", lambda: tmp_path)
    return made


def test_cache_is_written_once_and_gives_the_same(fetches, tmp_path):
    first, second = load("wine"), load("wine")
    assert fetches == ["wine"]
    assert fingerprint(first) == fingerprint(second)
    assert (first.feature_names, first.class_names) == (second.feature_names, second.class_names)
    (file,) = (tmp_path / "datasets").iterdir()  # nothing temporary is left
    assert file.suffix == ".npz"


def test_cache_is_keyed_by_the_version_of_scikit_learn(fetches, monkeypatch):
    load("iris")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99.0")
    load("iris")
    assert fetches == ["iris", "iris"]


def test_descriptions_are_those_of_the_table(fetches, tmp_path):
    raw = load("iris")
    (file,) = (tmp_path / "datasets").iterdir()
    save_raw(replace(raw, description="As an earlier version put it."), file)
    assert load("iris").description == DATASETS["iris"].description
    assert fetches == ["iris"]


def _truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


def _flip_a_value(path):
    with np.load(path) as stored:
        content = dict(stored)
    content["X"][0, 0] += 1
    np.savez(path, **content)


EXECUTED = []


def _spring(word):
    EXECUTED.append(word)


class _Trap:
    """Unpickling it leaves a trace."""

    def __reduce__(self):
        return _spring, ("trap",)


def _pickle(path):
    with np.load(path) as stored:
        content = dict(stored)
    content["feature_names"] = np.array([_Trap()], dtype=object)
    np.savez(path, **content)


@pytest.mark.parametrize(
    "damage",
    [_truncate, _flip_a_value, _pickle, lambda p: p.write_bytes(b""), lambda p: p.write_text("no archive")],
)
def test_damaged_cache_is_made_anew(fetches, tmp_path, damage):
    good = fingerprint(load("iris"))
    (file,) = (tmp_path / "datasets").iterdir()
    damage(file)
    assert fingerprint(load("iris")) == good
    assert fetches == ["iris", "iris"]
    assert EXECUTED == []
    assert fingerprint(load("iris")) == good
    assert len(fetches) == 2  # the damaged file was replaced


def test_unusable_cache_is_no_error(fetches, tmp_path, monkeypatch):
    (tmp_path / "datasets").write_text("a file where the directory should be")
    assert load("iris").X.shape == (150, 4)
    monkeypatch.setattr(bundled, "_cache_root", lambda: None)
    assert load("iris").X.shape == (150, 4)
    assert fetches == ["iris", "iris"]


def test_full_disk_leaves_nothing_behind(fetches, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    load("iris")
    assert list((tmp_path / "datasets").iterdir()) == []


def test_cache_root_comes_from_jit(monkeypatch, tmp_path):
    monkeypatch.undo()
    stub = types.ModuleType("gradsim.jit")
    monkeypatch.setitem(sys.modules, "gradsim.jit", stub)
    assert bundled._cache_root() is None  # a module without the function: no cache
    stub.cache_root = lambda: tmp_path
    assert bundled._cache_root() == tmp_path
    stub.cache_root = lambda: None
    assert bundled._cache_root() is None


def test_missing_scikit_learn_says_so(monkeypatch):
    import importlib.metadata

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    refuses("'iris'", "scikit-learn", call=lambda: load("iris"), error=GradsimError)

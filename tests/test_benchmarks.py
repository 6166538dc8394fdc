"""The asv suite: it names everything that the tables hold, imports nothing too early, and measures what it says."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import math
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import gradsim.lanes
from gradsim.activations import ACTIVATIONS
from gradsim.datasets import DATASETS
from gradsim.initializers import INITIALIZERS
from gradsim.lanes import LANES
from gradsim.losses import LOSSES
from gradsim.optimizers import OPTIMIZERS

ROOT = Path(__file__).resolve().parents[1]
SUITE = ROOT / "benchmarks" / "suite"
MODULES = sorted(path.stem for path in SUITE.glob("bench_*.py"))


def _loaded(name: str, path: Path, **more):
    spec = importlib.util.spec_from_file_location(name, path, **more)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_loaded("asv_suite", SUITE / "__init__.py", submodule_search_locations=[str(SUITE)])
compare = _loaded("benchmarks_compare", ROOT / "benchmarks" / "compare.py")
entries, measure, *benches = (importlib.import_module(f"asv_suite.{name}") for name in ("entries", "measure", *MODULES))
bench = dict(zip(MODULES, benches, strict=True))


def _benchmarks() -> dict[str, type]:
    """{module.Class.function: class} of everything that asv runs."""
    found = {}
    for name, module in bench.items():
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__ and not cls.__name__.startswith("_"):
                methods = [m for m in dir(cls) if re.match("time_|timeraw_|track_|peakmem_", m)]
                found |= {f"{name}.{cls.__name__}.{method}": cls for method in methods}
    return found


# --- completeness -------------------------------------------------------------------------------------


def _own_activations() -> dict[str, str]:
    """{name: family} of the package's own."""
    return {
        name: act.function.__module__.rpartition(".")[2]
        for name, act in ACTIVATIONS.items()
        if act.function.__module__.startswith("gradsim.")
    }


@pytest.mark.parametrize(
    ("named", "table"),
    [
        (entries.ACTIVATIONS, _own_activations()),
        (entries.INITIALIZERS, INITIALIZERS),
        (entries.LOSSES, LOSSES),
        (entries.OPTIMIZERS, OPTIMIZERS),
        (entries.DATASETS, DATASETS),
        ((*entries.LANES, *entries.LANES_APART), gradsim.lanes.__all__),
    ],
    ids=["activations", "initializers", "losses", "optimizers", "datasets", "lanes"],
)
def test_every_entry_of_a_table_is_benchmarked(named, table):
    assert sorted(named) == sorted(table), "benchmarks/suite/entries.py and the table differ"


def test_families_are_those_of_the_package():
    named = {name: family for family, names in entries.FAMILIES.items() for name in names}
    assert named == _own_activations()


def test_the_lists_are_what_asv_runs():
    own = {
        "bench_activations.ByName": entries.ACTIVATIONS,
        "bench_activations.ByFamily": entries.FAMILIES,
        "bench_lanes.Elementary": entries.LANES,
        "bench_starts.Initializers": entries.INITIALIZERS,
        "bench_starts.DataSets": entries.DATASETS,
        "bench_engine.Optimizers": entries.OPTIMIZERS,
        "bench_engine.Losses": entries.LOSSES,
    }
    for place, names in own.items():
        module, cls = place.split(".")
        assert getattr(bench[module], cls).params[0] == list(names)


def test_environments_have_the_dependencies_of_the_package():
    conf = json.loads(re.sub(r"(?m)^\s*//.*$", "", (ROOT / "asv.conf.json").read_text()))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(conf["matrix"]["req"]) == sorted(re.match(r"[\w-]+", line)[0] for line in declared)
    assert (ROOT / conf["benchmark_dir"]).resolve() == SUITE


# --- what asv asks of a suite -------------------------------------------------------------------------


def test_modules_import_neither_the_package_nor_anything_heavy():
    """asv imports every module for every case, and the installed commit must not be preceded by the working tree."""
    names = ", ".join(f"suite.{name}" for name in MODULES)
    code = f"import {names}, sys; print([m for m in ('gradsim', 'numpy', 'numba') if m in sys.modules], len(sys.path))"
    done = subprocess.run([sys.executable, "-c", code], cwd=SUITE.parent, capture_output=True, text=True, check=True)
    before = subprocess.run(
        [sys.executable, "-c", "import sys; print([], len(sys.path))"],
        cwd=SUITE.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == before.stdout


def test_parameters_are_plain_text_of_distinct_values():
    for name, cls in _benchmarks().items():
        for values in getattr(cls, "params", ()):
            assert len(set(values)) == len(values) > 1, name
            assert all(isinstance(v, str) for v in values), name


def test_every_benchmark_has_a_least_difference_that_counts():
    assert len(_benchmarks()) > 40
    for name in _benchmarks():
        assert any(re.search(pattern, name) for pattern, _ in compare.FLOORS), name


# --- measuring ----------------------------------------------------------------------------------------


def test_least_takes_turns_and_keeps_the_least():
    now, order, extra = [0.0], [], {"a": iter([0, 0, 5, 0, 1]), "b": iter([0, 0, 2, 2, 2])}

    def call(name, seconds):
        def run(times):
            order.append(name)
            now[0] += times * (seconds + next(extra[name]))

        return run

    found = measure.least({"a": call("a", 1.0), "b": call("b", 3.0)}, 3, turn=1.0, clock=lambda: now[0])
    assert order == ["a", "a", "b", "b", "a", "b", "a", "b", "a", "b"]
    assert found == {"a": 1.0, "b": 3.0}


def test_least_repeats_short_calls_until_they_fill_a_turn():
    now, counts = [0.0], []

    def call(times):
        counts.append(times)
        now[0] += times * 1e-6

    assert measure.least({0: call}, 1, turn=1e-3, clock=lambda: now[0])[0] == pytest.approx(1e-6)
    assert counts[-1] * 1e-6 >= 1e-3


def test_what_a_commit_is_missing_is_left_out_and_other_troubles_are_not():
    def lacking():
        raise AttributeError

    def broken():
        raise RuntimeError

    assert measure.made({"x": lacking, "y": lambda: 7}) == {"y": 7}
    assert math.isnan(measure.read({}, "x"))
    with pytest.raises(RuntimeError):
        measure.made({"x": broken})


def test_threads_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GRADSIM_BENCHMARK_THREADS", "3")
    assert measure.threads() == 3
    monkeypatch.delenv("GRADSIM_BENCHMARK_THREADS")
    assert measure.threads() == 2


@pytest.mark.parametrize("name", ["relu", "prelu", "softmax", "maxout", "glu"])
def test_blocks_fill_their_results(name):
    b, act = bench["bench_activations"], ACTIVATIONS[name]
    for dtype in b.DTYPES:
        arrays = b.arrays_of(dtype, "L1")
        call, numbers = b.contender(name, dtype, "value_and_slope", arrays)
        call(2)
        z, h, _ = arrays
        assert 0.9 * z.size < numbers <= z.size
        if act.kind == "pointwise":
            np.testing.assert_array_equal(h, act(z))
        else:
            assert np.count_nonzero(h) > 0.4 * numbers / act.preactivations


def test_float32_is_told_from_float64():
    b = bench["bench_activations"]
    errors = {name: b.ulps(name) for name in ("relu", "tanh", "gelu", "silu")}
    assert errors["relu"] == 0
    assert all(0.3 < errors[name] < 4 for name in ("tanh", "gelu", "silu"))


@pytest.mark.parametrize("precision", ["float32", "float64", "pairs"])
def test_lane_functions_compute_what_they_are_called(precision):
    b = bench["bench_lanes"]
    rng, size = np.random.default_rng(0), b.NUMBERS[precision]
    x = rng.uniform(*entries.LANES["exp"][1:], size).astype(np.float32)
    np.testing.assert_allclose(b.contender("exp", precision)[1], np.exp(x.astype(np.float64)), rtol=1e-6)
    out = b.contender("sin_cos", precision)[1]
    x = np.random.default_rng(0).uniform(-9, 9, size).astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(out, np.maximum(np.sin(x), np.cos(x)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", ["forward 64x8 over 2, data", "weights 33x7 over 64"])
def test_contractions_are_of_the_shape_that_they_name(shape, monkeypatch):
    b, kept = bench["bench_engine"], []
    original = gradsim.lanes.aligned_empty
    monkeypatch.setattr(gradsim.lanes, "aligned_empty", lambda *a: kept.append(original(*a)) or kept[-1])
    call, flops = b.contraction(shape, "float64", b._contractions())
    call(1)
    rows, columns, length, shared = b.CONTRACTIONS[shape]
    a, right, c = kept
    left = np.broadcast_to(a.reshape(rows, length, 1 if shared else 8), (rows, length, 8))
    wanted = np.einsum("mkl,knl->mnl", left, right.reshape(length, columns, 8))
    np.testing.assert_allclose(c.reshape(rows, columns, 8), wanted, atol=1e-10)
    assert flops == 2 * rows * columns * length * 8


def test_every_setting_of_the_engine_trains():
    b = bench["bench_engine"]
    settings = b._of_shapes() | b._of_tables()
    assert len(settings) == 60 + 5 + len(OPTIMIZERS) + len(LOSSES)
    small = {key: s for key, s in settings.items() if key[0] != "step" or key[3:] == ("adam", "64")}
    for setting in small.values():
        call, count = b.trainer(setting)
        call(1)
        assert count == setting.groups * LANES[np.dtype(setting.dtype)]


@pytest.mark.parametrize("name", entries.INITIALIZERS)
def test_every_initializer_is_measured(name):
    bench["bench_starts"].initializer(name)(1)


@pytest.mark.parametrize("kind", bench["bench_starts"].RANDOM)
def test_every_kind_of_random_number_is_measured(kind):
    bench["bench_starts"].random_numbers(kind)(1)


@pytest.mark.parametrize("name", entries.DATASETS)
def test_every_data_set_is_measured(name, tmp_path):
    bench["bench_starts"].data_set(name, tmp_path)(1)


def test_cases_read_the_numbers_of_the_set_up_cache():
    b = bench["bench_activations"]
    found = {("name", "relu"): 0.1, ("family", "value", "float64", "memory", "waves"): 0.7, ("ulps", "waves"): 1.5}
    assert b.ByName().track_value_and_slope(found, "relu") == 0.1
    assert math.isnan(b.ByName().track_value_and_slope(found, "tanh"))
    assert b.ByFamily().track_value(found, "waves", "float64", "memory") == 0.7
    assert b.Accuracy().track_float32(found, "waves") == 1.5


# --- the pull request's verdict -----------------------------------------------------------------------

SLOW = "bench_campaigns.Loading.time_runs"  # a floor of 1 ms


@pytest.mark.parametrize(
    ("pairs", "red"),
    [
        ([(0.1, 0.12)] * 5, True),
        ([(0.1, 0.12)] * 4 + [(0.1, 0.1)], True),  # one pair may disagree
        ([(0.1, 0.12)] * 3 + [(0.1, 0.1)] * 2, False),  # two may not
        ([(0.1, 0.105)] * 5, False),  # within the factor
        ([(0.001, 0.0015)] * 5, False),  # half a millisecond
        ([(0.1, 0.05)] * 5, False),
        ([(0.1, math.nan)] * 5, True),  # the number is gone
        ([(math.nan, 0.1)] * 5, False),  # the benchmark is new
        ([(0.0, 0.1)] * 5, True),
    ],
)
def test_red_needs_ratio_and_duration_and_agreement(pairs, red):
    assert compare.judge(SLOW, pairs, 1.1).red is red


def test_floors_are_those_of_the_name():
    assert compare.floor_of("bench_startup.FirstShard.track_warm_start_s") == 0.05
    assert compare.floor_of("bench_memory.Memory.peakmem_run") == 4e6
    assert compare.floor_of("bench_activations.ByName.track_value_and_slope('relu')") == 0.02


class _Machine:
    """In asv's place: the head is slow at first, and once more where it is said to be so."""

    def __init__(self, really: bool):
        self.really, self.asked = really, []

    def measure(self, commit, patterns):
        self.asked.append(commit)
        slow = commit == "head" and (self.really or len(self.asked) <= 2)
        return {SLOW: 0.2 if slow else 0.1, "bench_campaigns.Whole.time_run": 1.0}


@pytest.mark.parametrize("really", [True, False])
def test_what_looks_slower_is_measured_again_in_pairs(really, monkeypatch, capsys):
    machine = _Machine(really)
    monkeypatch.setattr(compare, "Asv", lambda quick, environment: machine)
    monkeypatch.setattr(compare, "commit_of", str)
    assert compare.main(["base", "head", "--pairs", "3"]) == int(really)
    assert machine.asked == ["base", "head", "base", "head", "head", "base", "base", "head"]
    printed = capsys.readouterr().out
    assert "1 look worse at first" in printed
    assert ("RED" in printed) is really
    assert "time_run " not in printed

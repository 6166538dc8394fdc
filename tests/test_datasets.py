"""Data sets: the table, known shapes, synthetic points, fingerprints, names and parameters."""

from __future__ import annotations

import math
import subprocess
import sys
import types
import warnings

import numpy as np
import pandas as pd
import pytest
from datasets_help import BUNDLED, own_cache, refuses  # noqa: F401

from gradsim import datasets
from gradsim.datasets import DATASETS, REQUIRED, Dataset, check_parameters, fingerprint, load, prepare

# --- The table and its sets -----------------------------------------------------------------------


def test_every_entry_describes_itself():
    assert set(DATASETS) == {*BUNDLED, "spirals", "moons", "file", "arrays"}
    for name, spec in DATASETS.items():
        assert spec.name == name
        assert spec.task in ("classification", "regression", "auto")
        assert spec.description.endswith(".")
        assert ("Synthetic" in spec.description) is (not spec.real)
        assert set(spec.bounds) <= set(spec.parameters)
        for parameter, (kind, low, high) in spec.bounds.items():
            assert isinstance(spec.parameters[parameter], kind)
            assert low <= spec.parameters[parameter] <= high


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_have_their_known_shape(name):
    samples, features, counts = BUNDLED[name]
    raw = load(name)
    assert raw.X.shape == (samples, features)
    assert raw.X.dtype == np.float64
    assert np.isfinite(raw.X).all()
    assert len(set(raw.feature_names)) == features
    assert len(raw.class_names) == len(counts)
    if name == "diabetes":
        assert raw.y.shape == (442, 1)
        assert (raw.y.min(), raw.y.max()) == (25, 346)
        assert set(raw.X[:, raw.feature_names.index("sex")]) == {1, 2}  # own units, not the scaled variant
    else:
        assert raw.y.dtype == np.int64
        assert np.bincount(raw.y).tolist() == counts


def test_bundled_sets_hold_the_right_values():
    assert load("iris").X[0].tolist() == [5.1, 3.5, 1.4, 0.2]
    assert load("iris").class_names == ("setosa", "versicolor", "virginica")
    assert (load("digits").X.min(), load("digits").X.max()) == (0, 16)
    assert load("wine").X[0, 0] == 14.23


@pytest.mark.parametrize("name", [*BUNDLED, "spirals", "moons"])
@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
def test_prepared_arrays_are_as_documented(name, scaling):
    data = prepare(name, {}, scaling=scaling)
    raw = load(name)
    assert isinstance(data, Dataset)
    assert data.train_samples + data.test_samples == len(raw.X)
    assert data.test_samples == round(0.2 * len(raw.X))
    assert data.features == raw.X.shape[1]
    assert data.outputs == (len(raw.class_names) or 1)
    assert data.real is DATASETS[name].real
    for X, y in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        assert X.dtype == np.float64
        assert X.flags.c_contiguous
        assert np.isfinite(X).all()
        assert len(X) == len(y)
        assert (y.dtype, y.ndim) == ((np.int64, 1) if data.task == "classification" else (np.float64, 2))
    assert (data.name, data.scaling, data.fingerprint) == (name, scaling, fingerprint(raw))


def test_dataset_is_frozen():
    with pytest.raises(AttributeError):
        prepare("moons").name = "other"


def test_public_names():
    assert set(datasets.__all__) >= {"DATASETS", "SCALINGS", "TASKS", "DatasetSpec", "RawData", "Dataset"}
    for name in datasets.__all__:
        # The function, say, and not a module of the package that is called the same.
        assert not isinstance(getattr(datasets, name), types.ModuleType)


def test_import_loads_only_numpy():
    code = (
        "import sys, gradsim.datasets as d; d.prepare('moons', {});"
        "[d.check_parameters(name) for name in d.DATASETS if name not in ('file', 'arrays')];"
        "d.check_parameters('file', {'path': 'x.csv'}); d.check_parameters('arrays', {'stored': 'x.npz'});"
        "print([m for m in ('sklearn', 'pyarrow', 'pandas', 'scipy', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- Synthetic sets -------------------------------------------------------------------------------


@pytest.mark.parametrize(("samples", "arms", "turns"), [(600, 2, 1.5), (100, 3, 0.5), (17, 5, 2.0)])
def test_noiseless_spirals_lie_on_their_arms(samples, arms, turns):
    raw = load("spirals", {"samples": samples, "arms": arms, "turns": turns, "noise": 0})
    radius = np.hypot(raw.X[:, 0], raw.X[:, 1])
    assert radius.min() >= 0.1
    assert radius.max() <= 1
    expected = 2 * np.pi * (turns * (radius - 0.1) / 0.9 + raw.y / arms)
    difference = np.angle(np.exp(1j * (np.arctan2(raw.X[:, 1], raw.X[:, 0]) - expected)))
    assert np.abs(difference).max() < 1e-9
    counts = np.bincount(raw.y, minlength=arms)
    assert counts.sum() == samples
    assert counts.max() - counts.min() <= 1


def test_noiseless_moons_lie_on_half_circles():
    raw = load("moons", {"noise": 0.0})
    upper, lower = raw.X[raw.y == 0], raw.X[raw.y == 1]
    np.testing.assert_allclose(np.hypot(upper[:, 0], upper[:, 1]), 1, atol=1e-12)
    np.testing.assert_allclose(np.hypot(lower[:, 0] - 1, lower[:, 1] - 0.5), 1, atol=1e-12)
    assert (upper[:, 1] >= 0).all()
    assert (lower[:, 1] <= 0.5).all()
    assert np.bincount(raw.y).tolist() == [300, 300]


@pytest.mark.parametrize("name", ["spirals", "moons"])
def test_noise_has_the_asked_spread_and_the_seed_decides(name):
    clean, noisy = (load(name, {"samples": 20_000, "noise": noise}).X for noise in (0, 0.3))
    spread = (noisy - clean).std(axis=0)  # the same seed draws the same points; 0.3 to 5 standard errors
    np.testing.assert_allclose(spread, 0.3, atol=5 * 0.3 / math.sqrt(2 * 20_000))
    assert np.array_equal(load(name, {}, 3).X, load(name, {}, 3).X)
    assert not np.array_equal(load(name, {}, 3).X, load(name, {}, 4).X)


# --- Fingerprint ----------------------------------------------------------------------------------


def test_fingerprint_sees_every_part_of_the_content():
    X, y = np.arange(12.0).reshape(6, 2), np.array(["a", "b", "a", "b", "a", "b"])
    frame = pd.DataFrame({"p": X[:, 0], "q": X[:, 1], "label": y})
    base = fingerprint(load("arrays", {"X": frame}))
    assert len(base) == 16
    assert int(base, 16) >= 0
    assert base == fingerprint(load("arrays", {"X": frame.copy()}))
    changed = [frame.copy() for _ in range(3)]
    changed[0].loc[3, "q"] = np.nextafter(7.0, 8.0)
    changed[1].loc[3, "label"] = "a"
    changed[2]["label"] = frame["label"].replace("b", "c")
    changed.append(frame.rename(columns={"p": "r"}))
    prints = {fingerprint(load("arrays", {"X": other})) for other in changed}
    assert len(prints | {base}) == 5


def test_fingerprint_is_of_the_raw_data_alone():
    one = prepare("iris", scaling="none", test_fraction=0.5, data_seed=9)
    assert one.fingerprint == prepare("iris").fingerprint
    assert prepare("moons", data_seed=1).fingerprint != prepare("moons", data_seed=2).fingerprint


# --- Names and parameters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "params", "fragments"),
    [
        ("iriss", {}, ["'iriss'", "did you mean 'iris'"]),
        ("qqqq", {}, ["'qqqq'", "allowed: digits"]),
        (7, {}, ["unknown data set 7"]),
        ("my/data.csv", {}, ["'my/data.csv'", "file"]),
        ("iris", {"samples": 3}, ["'iris'", "'samples'", "takes none"]),
        ("spirals", {"sampels": 3}, ["'sampels'", "did you mean 'samples'"]),
        ("spirals", {"samples": 3}, ["samples = 3", "from 4 to"]),
        ("spirals", {"samples": 10.5}, ["samples = 10.5", "an integer"]),
        ("spirals", {"samples": "600"}, ["samples = '600'", "an integer"]),
        ("spirals", {"samples": True}, ["samples = True", "an integer"]),
        ("spirals", {"samples": 10**12}, ["samples = 1000000000000", "to 10000000"]),
        ("spirals", {"arms": 1}, ["arms = 1", "from 2 to 100"]),
        ("spirals", {"arms": 10, "samples": 19}, ["samples = 19", "2 per arm", "20"]),
        ("spirals", {"turns": math.nan}, ["turns = nan", "a number from 0.1"]),
        ("moons", {"noise": -0.1}, ["noise = -0.1", "from 0 to 10"]),
        ("moons", {"noise": [0.1]}, ["noise = [0.1]", "a number"]),
        ("moons", {"noise": "x" * 500}, ["noise = 'xxx", "..."]),
    ],
)
def test_bad_names_and_parameters_are_refused_in_one_line(name, params, fragments):
    message = refuses(*fragments, call=lambda: load(name, params))
    assert len(message) < 200
    assert refuses(call=lambda: check_parameters(name, params)) == message


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"scaling": "standart"}, ["scaling = 'standart'", "did you mean 'standard'"]),
        ({"scaling": None}, ["scaling = None", "did you mean 'none'"]),
        ({"scaling": 3}, ["scaling = 3", "allowed: standard, minmax, none"]),
        ({"test_fraction": 1}, ["test_fraction = 1", "from 0"]),
        ({"test_fraction": -0.1}, ["test_fraction = -0.1"]),
        ({"test_fraction": "0.2"}, ["test_fraction = '0.2'", "a number"]),
        ({"data_seed": -1}, ["data_seed = -1", "an integer from 0"]),
        ({"data_seed": 2**64}, ["data_seed = 18446744073709551616"]),
        ({"data_seed": 0.5}, ["data_seed = 0.5", "an integer"]),
        ({"data_seed": True}, ["data_seed = True", "an integer"]),
    ],
)
def test_bad_options_are_refused_in_one_line(options, fragments):
    refuses(*fragments, call=lambda: prepare("moons", {}, **options))


def test_checked_parameters_are_complete_and_pass_again():
    checked = check_parameters("spirals", {"samples": np.int32(40), "turns": 1})
    assert checked == {"samples": 40, "arms": 2, "turns": 1.0, "noise": 0.05}
    assert [type(value) for value in checked.values()] == [int, int, float, float]
    assert check_parameters("iris") == {}
    needed = {"file": {"path": "x.csv"}, "arrays": {"stored": "x.npz"}}
    for name, spec in DATASETS.items():
        checked = check_parameters(name, needed.get(name))
        assert list(checked) == list(spec.parameters)
        assert check_parameters(name, checked) == checked


def test_parameters_are_checked_without_the_data(tmp_path):
    absent = tmp_path / "absent.csv"
    assert check_parameters("file", {"path": absent}) == {"path": absent, "target": None, "task": "auto"}
    refuses("no such file", call=lambda: load("file", {"path": absent}))
    assert check_parameters("arrays", {"stored": absent})["stored"] == absent
    refuses("no such file", call=lambda: load("arrays", {"stored": absent}))
    for name, params, fragment in (
        ("file", {}, "'path' is required"),
        ("file", {"path": 3}, "path = 3: must be text"),
        ("file", {"path": "x.csv", "task": "regresion"}, "did you mean 'regression'"),
        ("arrays", {"X": [[1], [2]], "y": [0, 1], "target": "y"}, "both given"),
    ):
        call = lambda name=name, params=params: check_parameters(name, params)  # noqa: E731
        refuses(fragment, call=call)


def test_numpy_numbers_are_numbers():
    raw = load("spirals", {"samples": np.int32(40), "noise": np.float32(0), "turns": 1}, np.uint64(2**64 - 1))
    assert raw.X.shape == (40, 2)


def test_required_reads_well():
    assert repr(REQUIRED) == "required"


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare("arrays", {"X": np.full((3, 1), 1e100), "y": [1.0, 2, 3]})

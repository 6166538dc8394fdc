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
from datasets_help import BUNDLED, SYNTHETIC, own_cache, refuses  # noqa: F401

from gradsim import datasets
from gradsim.datasets import DATASETS, REQUIRED, SCALINGS, Dataset, check_parameters, fingerprint, load, prepare

# --- The table and its sets -----------------------------------------------------------------------


def test_every_entry_describes_itself():
    assert set(DATASETS) == {*BUNDLED, *SYNTHETIC, "file", "arrays"}
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
    if name == "linnerud":
        assert raw.y.shape == (20, 3)
        assert raw.X[0].tolist() == [5, 162, 60]
        assert raw.y[0].tolist() == [191, 36, 50]
    elif name == "diabetes":
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


@pytest.mark.parametrize("name", [*BUNDLED, *SYNTHETIC])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_prepared_arrays_are_as_documented(name, scaling):
    data = prepare(name, {}, scaling=scaling)
    raw = load(name)
    assert isinstance(data, Dataset)
    assert data.train_samples + data.test_samples == len(raw.X)
    assert data.test_samples == round(0.2 * len(raw.X))
    assert data.features == raw.X.shape[1]
    assert data.outputs == (len(raw.class_names) or raw.y.shape[1])
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


@pytest.mark.parametrize("name", ["spirals", "moons", "circles", "xor"])
def test_noise_has_the_asked_spread_and_the_seed_decides(name):
    clean, noisy = (load(name, {"samples": 20_000, "noise": noise}).X for noise in (0, 0.3))
    spread = (noisy - clean).std(axis=0)  # the same seed draws the same points; 0.3 to 5 standard errors
    np.testing.assert_allclose(spread, 0.3, atol=5 * 0.3 / math.sqrt(2 * 20_000))
    assert np.array_equal(load(name, {}, 3).X, load(name, {}, 3).X)
    assert not np.array_equal(load(name, {}, 3).X, load(name, {}, 4).X)


def test_noiseless_circles_lie_on_their_circles():
    raw = load("circles", {"noise": 0.0, "factor": 0.3})
    radius = np.hypot(raw.X[:, 0], raw.X[:, 1])
    np.testing.assert_allclose(radius, np.where(raw.y == 0, 1, 0.3), rtol=1e-12)
    assert np.bincount(raw.y).tolist() == [300, 300]
    for label in (0, 1):  # all around: four quadrants of 75 expected points, 40 is -5 sigma
        X = raw.X[raw.y == label]
        assert np.bincount(2 * (X[:, 0] > 0) + (X[:, 1] > 0)).min() > 40


@pytest.mark.parametrize(("bits", "samples"), [(2, 600), (3, 80), (5, 33)])
def test_noiseless_xor_is_parity(bits, samples):
    raw = load("xor", {"bits": bits, "samples": samples, "noise": 0})
    assert set(np.unique(raw.X)) == {-1, 1}
    assert len(np.unique(raw.X, axis=0)) == 2**bits
    np.testing.assert_array_equal(raw.y, (raw.X > 0).sum(axis=1) % 2)
    # No weighing of the coordinates tells the classes apart.
    if samples % 2**bits == 0:
        np.testing.assert_allclose(raw.X.T @ (2 * raw.y - 1), 0, atol=1e-12)


def test_blobs_are_clouds_about_their_centers():
    raw = load("blobs", {"samples": 30_000, "features": 5, "classes": 3, "noise": 0.7}, 4)
    centers = np.array([raw.X[raw.y == c].mean(axis=0) for c in range(3)])
    assert np.abs(centers).max() < 5.1
    assert centers.std() > 1
    rest = raw.X - centers[raw.y]
    np.testing.assert_allclose(rest.std(axis=0), 0.7, rtol=0.03)
    assert np.abs(np.corrcoef(rest.T) - np.eye(5)).max() < 5 / math.sqrt(30_000)
    assert np.bincount(raw.y).tolist() == [10_000] * 3


def test_random_labels_have_nothing_to_do_with_the_points():
    raw = load("random_labels", {"samples": 20_000, "features": 6, "classes": 4})
    assert np.bincount(raw.y).tolist() == [5000] * 4
    for c in range(4):
        assert np.abs(raw.X[raw.y == c].mean(axis=0)).max() < 5 / math.sqrt(5000)
    np.testing.assert_allclose(raw.X.std(axis=0), 1, atol=0.03)


@pytest.mark.parametrize("degree", [1, 3, 7])
def test_noiseless_polynomials_are_chebyshevs(degree):
    raw = load("polynomial", {"degree": degree, "samples": 500})
    x = raw.X[:, 0]
    np.testing.assert_allclose(raw.y[:, 0], np.cos(degree * np.arccos(x)), atol=1e-12)
    assert (np.diff(x) > 0).all()
    assert (np.floor((x + 1) * 250) == np.arange(500)).all()  # one in each part


@pytest.mark.parametrize("jumps", [1, 3, 10])
def test_noiseless_step_functions_jump_at_equal_distances(jumps):
    raw = load("step_function", {"jumps": jumps, "samples": 4000})
    x, y = raw.X[:, 0], raw.y[:, 0]
    assert set(y) == {-1, 1}
    assert y[0] == -1
    places = x[1:][np.diff(y) != 0]
    np.testing.assert_allclose(places, -1 + 2 * np.arange(1, jumps + 1) / (jumps + 1), atol=2 / 4000 + 1e-12)


@pytest.mark.parametrize("name", ["polynomial", "step_function", "teacher"])
def test_noise_on_targets_has_the_asked_spread(name):
    clean, noisy = (load(name, {"samples": 20_000, "noise": noise}) for noise in (0.0, 0.3))
    np.testing.assert_array_equal(clean.X, noisy.X)
    assert (noisy.y - clean.y).std() == pytest.approx(0.3, abs=5 * 0.3 / math.sqrt(2 * 20_000))


@pytest.mark.parametrize(("activation", "function"), [("tanh", np.tanh), ("relu", lambda z: np.maximum(z, 0))])
def test_a_teacher_is_a_network(activation, function):
    params = {"samples": 3000, "features": 4, "outputs": 2, "depth": 2, "width": 5, "activation": activation}
    raw = load("teacher", params, 3)
    assert raw.y.shape == (3000, 2)
    rng = np.random.Generator(np.random.Philox(key=(2 << 64) | 3))
    h = rng.standard_normal((3000, 4))
    np.testing.assert_array_equal(raw.X, h)
    for fan_in, fan_out in ((4, 5), (5, 5)):
        std = math.sqrt((2 if activation == "relu" else 1) / fan_in)
        h = function(h @ (std * rng.standard_normal((fan_in, fan_out))))
    y = h @ (rng.standard_normal((5, 2)) / math.sqrt(5))
    np.testing.assert_allclose(raw.y, y, rtol=1e-10, atol=1e-12)
    linear = load("teacher", params | {"depth": 0}, 3)
    assert np.linalg.matrix_rank(np.hstack([linear.X, linear.y]), tol=1e-8) == 4


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_synthetic_set_is_drawn_by_the_seed_alone(name):
    first, again, other = (load(name, {}, seed) for seed in (3, 3, 4))
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    assert not np.array_equal(first.X, other.X)


FOURTH = {  # first feature and label or target of the fourth point under seed 1
    "spirals": (1.0182339845885686, 1),
    "moons": (2.221062493449953, 1),
    "circles": (0.5998514738187956, 1),
    "xor": (1.2348208186283829, 0),
    "blobs": (-1.3361098416164736, 0),
    "random_labels": (-0.9990793981630239, 1),
    "polynomial": (-0.9801904881133389, -0.8263922998163216),
    "step_function": (-0.9801904881133389, -1.0),
    "teacher": (-0.9990793981630239, 0.3745610132993254),
}


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_points_of_a_seed_are_what_they_were(name):
    """Results are found again by the content of their data: a change here breaks every results directory."""
    raw = load(name, {}, 1)
    assert (raw.X[3, 0], raw.y.reshape(-1)[3]) == pytest.approx(FOURTH[name], rel=1e-12)


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
        ("my/data.xlsx", {}, ["'my/data.xlsx'", "must end in .csv, .parquet, .npz"]),
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
        ("xor", {"samples": 100, "bits": 7}, ["samples = 100", "one a corner, 128"]),
        ("blobs", {"classes": 4, "samples": 7}, ["'blobs'", "samples = 7", "2 a class, 8"]),
        ("blobs", {"samples": 10**7, "features": 10**4}, ["'blobs'", "at most 4 GB"]),
        ("random_labels", {"classes": 4, "samples": 7}, ["'random_labels'", "samples = 7"]),
        ("random_labels", {"noise": 0.1}, ["'noise'"]),
        ("circles", {"factor": 1}, ["factor = 1", "0.99"]),
        ("teacher", {"activation": "tahn"}, ["activation = 'tahn'", "did you mean 'tanh'"]),
        ("teacher", {"activation": 3}, ["activation = 3", "allowed: tanh, relu"]),
        ("teacher", {"samples": 10**7, "width": 10**4}, ["'teacher'", "at most 4 GB"]),
        ("polynomial", {"degree": 0}, ["degree = 0", "from 1 to 100"]),
        ("step_function", {"jumps": 1.5}, ["jumps = 1.5", "an integer"]),
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
        ({"scaling": 3}, ["scaling = 3", "allowed: standard, minmax, maxabs, none"]),
        ({"test_fraction": 1}, ["test_fraction = 1", "from 0"]),
        ({"test_fraction": -0.1}, ["test_fraction = -0.1"]),
        ({"test_fraction": "0.2"}, ["test_fraction = '0.2'", "a number"]),
        ({"data_seed": -1}, ["data_seed = -1", "an integer from 0"]),
        ({"data_seed": 2**64}, ["data_seed = 18446744073709551616"]),
        ({"data_seed": 0.5}, ["data_seed = 0.5", "an integer"]),
        ({"data_seed": True}, ["data_seed = True", "an integer"]),
        ({"label_noise": 1.5}, ["label_noise = 1.5", "from 0 to 1"]),
        ({"label_noise": "some"}, ["label_noise = 'some'", "a number"]),
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
    assert check_parameters("file", {"path": absent}) == {
        "path": absent,
        "features": None,
        "target": None,
        "task": "auto",
    }
    refuses("no such file", call=lambda: load("file", {"path": absent}))
    assert check_parameters("arrays", {"stored": absent})["stored"] == absent
    refuses("no such file", call=lambda: load("arrays", {"stored": absent}))
    for name, params, fragment in (
        ("file", {}, "'path' is required"),
        ("file", {"path": 3}, "path = 3: must be text"),
        ("file", {"path": "x.csv", "features": "a"}, "features = 'a' names an array of an .npz file"),
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

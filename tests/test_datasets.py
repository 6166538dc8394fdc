"""Data sets: known shapes, split, scaling, cache, and one line for everything a user can get wrong."""

from __future__ import annotations

import math
import subprocess
import sys
import types
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradsim import datasets
from gradsim.datasets import DATASETS, REQUIRED, Dataset, fingerprint, load, prepare, split_indices
from gradsim.errors import GradsimError, UsageError

BUNDLED = {  # name: samples, features, samples a class; from the data sets' own documentation
    "digits": (1797, 64, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]),
    "iris": (150, 4, [50, 50, 50]),
    "wine": (178, 13, [59, 71, 48]),
    "breast_cancer": (569, 30, [212, 357]),
    "diabetes": (442, 10, []),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache_of_our_own(cache, monkeypatch):
    monkeypatch.setattr(datasets, "_cache_root", lambda: cache)


def refuses(*fragments: str, call, error: type = UsageError) -> str:
    """`call` raises `error` with one line that holds every fragment."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message, message
    return message


def csv_file(tmp_path, text: str | bytes, name: str = "data.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load_csv(tmp_path, text: str | bytes, **options):
    return load("file", {"path": csv_file(tmp_path, text), **options})


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


def test_import_loads_only_numpy():
    code = (
        "import sys, gradsim.datasets as d; d.prepare('moons', {});"
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


# --- Split ----------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    fraction=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**64 - 1),
    shuffle=st.randoms(use_true_random=False),
)
def test_split_is_complete_disjoint_and_stratified(counts, fraction, seed, shuffle):
    labels = [c for c, count in enumerate(counts) for _ in range(count)]
    shuffle.shuffle(labels)
    labels = np.array(labels)
    train, test = split_indices(len(labels), labels, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for c, count in enumerate(counts):
        tested = int((labels[test] == c).sum())
        assert tested <= count - 1  # something of every class is left to train on
        assert min(math.floor(count * fraction), count - 1) <= tested <= math.ceil(count * fraction)
    wanted = math.floor(len(labels) * fraction + 0.5)
    possible = sum(min(math.ceil(c * fraction), c - 1) for c in counts)
    assert len(test) == min(wanted, possible)
    again = split_indices(len(labels), labels, fraction, seed)
    assert np.array_equal(train, again[0])
    assert np.array_equal(test, again[1])


def test_split_by_largest_remainder():
    labels = np.repeat([0, 1, 2], [7, 5, 4])  # quotas at 0.25: 1.75, 1.25, 1.0; four test rows
    _, test = split_indices(16, labels, 0.25, 0)
    assert np.bincount(labels[test]).tolist() == [2, 1, 1]


def test_a_class_of_one_sample_is_trained_on():
    train, test = split_indices(
        5, np.array([0, 1, 1, 1, 1]), 0.5, 0
    )  # 2.5 rounds to 3, but 0 has none to give
    assert 0 in train
    assert len(test) == 2


def test_split_without_labels_and_without_test_rows():
    train, test = split_indices(10, None, 0.3, 5)
    assert (len(train), len(test)) == (7, 3)
    assert set(train) | set(test) == set(range(10))
    for labels in (None, np.arange(10) % 2):
        train, test = split_indices(10, labels, 0, 5)
        assert sorted(train) == list(range(10))
        assert len(test) == 0


def test_no_test_fraction_gives_empty_test_arrays():
    data = prepare("diabetes", test_fraction=0)
    assert data.X_test.shape == (0, 10)
    assert data.y_test.shape == (0, 1)
    assert prepare("iris", test_fraction=0).y_test.shape == (0,)


def test_training_order_is_shuffled_by_the_seed():
    first, second = prepare("iris", data_seed=0), prepare("iris", data_seed=1)
    assert not np.array_equal(first.X_train, second.X_train)
    assert np.array_equal(first.X_train, prepare("iris", data_seed=0).X_train)
    # The file is sorted by class; of the first 60 shuffled rows, 20 a class are expected, and 8 is -5 sigma.
    assert np.bincount(first.y_train[:60], minlength=3).min() >= 8


def test_split_is_pinned():
    """Saved campaigns replay only as long as a seed keeps its meaning; this changes if the recipe does."""
    words = np.random.Philox(key=(1 << 64) | 42).random_raw(8)
    train, test = split_indices(8, None, 0.25, 42)
    order = sorted(range(8), key=lambda i: int(words[i]))
    assert [*test, *train] == order


# --- Scaling --------------------------------------------------------------------------------------


def _some_rows(task: str = "regression"):
    rng = np.random.default_rng(7)
    X = rng.normal(3, 5, (50, 4)) * [1, 1e-6, 1e6, 0] + [0, 1, 0, 0.1]
    return {"X": X, "y": rng.normal(-2, 9, (50, 2)), "task": task}


def test_standard_scaling_has_mean_0_and_deviation_1_in_training():
    data = prepare("arrays", _some_rows())
    np.testing.assert_allclose(data.X_train.mean(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose(data.X_train[:, :3].std(axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(data.y_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.y_train.std(axis=0), 1, rtol=1e-12)
    assert np.abs(data.X_test[:, :3].mean(axis=0)).min() > 1e-6  # not fitted on the test rows


def test_minmax_scaling_spans_0_to_1_in_training():
    data = prepare("arrays", _some_rows(), scaling="minmax")
    assert data.X_train[:, :3].min(axis=0).tolist() == [0, 0, 0]
    assert data.X_train[:, :3].max(axis=0).tolist() == [1, 1, 1]
    np.testing.assert_allclose(data.y_train.std(axis=0), 1, rtol=1e-12)


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_scaling_ignores_the_test_rows(scaling):
    rows = _some_rows()
    before = prepare("arrays", rows, scaling=scaling)
    _, test = split_indices(50, None, 0.2, 0)
    rows["X"][test] *= 100
    rows["y"][test] -= 1e4
    after = prepare("arrays", rows, scaling=scaling)
    assert np.array_equal(before.X_train, after.X_train)
    assert np.array_equal(before.y_train, after.y_train)
    assert not np.array_equal(before.X_test, after.X_test)


def test_no_scaling_leaves_everything():
    rows = _some_rows()
    data = prepare("arrays", rows, scaling="none")
    train, test = split_indices(50, None, 0.2, 0)
    assert np.array_equal(data.X_train, rows["X"][train])
    assert np.array_equal(data.y_test, rows["y"][test])


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_constant_features_become_exactly_0(scaling):
    # The mean over rows of 0.1 is some ulps off 0.1: a deviation of 1e-17 must not be divided by.
    assert 0 < np.full((40, 4), 0.1).std(axis=0)[3] < 1e-15
    data = prepare("arrays", _some_rows(), scaling=scaling)
    assert (data.X_train[:, 3] == 0).all()
    assert (data.X_test[:, 3] == 0).all()


def test_extreme_but_allowed_values_scale_without_overflow():
    X = np.array([[1e100, 5e-324], [-1e100, 0], [3.0, 1e-170], [0, 2e-170], [1, 3e-170]])
    for scaling in ("standard", "minmax"):
        data = prepare("arrays", {"X": X, "y": [1.5, 2, 3, 4, 5]}, scaling=scaling)
        assert np.isfinite(data.X_train).all()
        assert np.isfinite(data.X_test).all()


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


# --- Cache ----------------------------------------------------------------------------------------


@pytest.fixture
def fetches(monkeypatch, tmp_path):
    """An empty cache, and the list of sets that were taken from scikit-learn instead of it."""
    made = []
    fetch = datasets._fetch_sklearn
    monkeypatch.setattr(datasets, "_fetch_sklearn", lambda name: made.append(name) or fetch(name))
    monkeypatch.setattr(datasets, "_cache_root", lambda: tmp_path)
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
    monkeypatch.setattr(datasets, "_cache_root", lambda: None)
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
    assert datasets._cache_root() is None  # a module without the function: no cache
    stub.cache_root = lambda: tmp_path
    assert datasets._cache_root() == tmp_path
    stub.cache_root = lambda: None
    assert datasets._cache_root() is None


def test_missing_scikit_learn_says_so(monkeypatch):
    import importlib.metadata

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    refuses("'iris'", "scikit-learn", call=lambda: load("iris"), error=GradsimError)


# --- Files that are right -------------------------------------------------------------------------


def test_csv_with_labels(tmp_path):
    raw = load_csv(tmp_path, "\ufeffa, b ,kind\n1,2,x\n3,4.5, y\n\n5,-6e1,x\n7,0,y")
    assert raw.X.tolist() == [[1, 2], [3, 4.5], [5, -60], [7, 0]]
    assert (raw.task, raw.y.tolist(), raw.class_names) == ("classification", [0, 1, 0, 1], ("x", "y"))
    assert raw.feature_names == ("a", "b")
    assert raw.description == "data.csv: 4 samples, 2 features, 2 classes."


def test_csv_quotes_and_windows_line_ends(tmp_path):
    raw = load_csv(tmp_path, '"a","long, name",y\r\n"1","2",u\r\n3,4,"v, w"\r\n')
    assert raw.feature_names == ("a", "long, name")
    assert raw.class_names == ("u", "v, w")


def test_target_is_the_named_column(tmp_path):
    raw = load_csv(tmp_path, "y,a,b\n0.5,1,2\n1.5,3,4\n", target="y")
    assert (raw.task, raw.y.tolist(), raw.feature_names) == ("regression", [[0.5], [1.5]], ("a", "b"))


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (["0", "1"] * 3, "classification", ("0", "1")),
        (["10", "9", "-1"] * 2, "classification", ("-1", "9", "10")),
        (["True", "false"] * 3, "classification", ("False", "True")),
        (["u", "v"] * 3, "classification", ("u", "v")),
        (["0.0", "1.0"] * 3, "regression", ()),
        ([str(i) for i in range(6)], "regression", ()),  # more distinct integers than half of the rows
        ([str(i // 2) for i in range(42)], "regression", ()),  # 21 distinct
        ([str(i // 2) for i in range(40)], "classification", tuple(str(i) for i in range(20))),
    ],
)
def test_task_follows_from_the_target(tmp_path, values, task, classes):
    rows = "".join(f"{i},{value}\n" for i, value in enumerate(values))
    raw = load_csv(tmp_path, "a,y\n" + rows)
    assert (raw.task, raw.class_names) == (task, classes)
    if task == "classification":
        assert [raw.class_names[i].lower() for i in raw.y] == [value.lower() for value in values]


def test_task_can_be_forced(tmp_path):
    text = "a,y\n1,0\n2,1\n3,0\n4,1\n"
    assert load_csv(tmp_path, text, task="regression").y.tolist() == [[0], [1], [0], [1]]
    raw = load_csv(tmp_path, "a,y\n1,0.5\n2,1.5\n", task="classification")
    assert raw.class_names == ("0.5", "1.5")
    assert load_csv(tmp_path, "a,y\n1,true\n2,false\n", task="regression").y.tolist() == [[1], [0]]
    raw = load_csv(tmp_path, "a,y\n1,5\n2,6\n3,7\n4,?\n", task="classification")
    assert raw.class_names == ("5", "6", "7", "?")


def test_boolean_and_constant_features_are_numbers(tmp_path):
    raw = load_csv(tmp_path, "a,b,y\nTrue,7,u\nFalse,7,v\n")
    assert raw.X.tolist() == [[1, 7], [0, 7]]


def test_array_index_as_header_is_a_header(tmp_path):
    assert load_csv(tmp_path, pd.DataFrame(np.eye(3)).to_csv(index=False)).feature_names == ("0", "1")


def _typed_frame():
    return pd.DataFrame(
        {
            "small": np.array([1, 2, 3, 4], np.int8),
            "wide": np.array([0.5, 1.5, 2.5, 3.5], np.float32),
            "flag": [True, False, True, False],
            "nullable": pd.array([1, 2, 3, 4], dtype="Int64"),
            "label": pd.Categorical(["p", "q", "p", "q"]),
        }
    )


def test_parquet_and_frames_keep_their_types(tmp_path):
    frame = _typed_frame()
    frame.to_parquet(tmp_path / "data.parquet")
    file = load("file", {"path": str(tmp_path / "data.parquet")})
    given = load("arrays", {"X": frame, "target": "label"})
    assert (
        file.X.tolist()
        == given.X.tolist()
        == [[1, 0.5, 1, 1], [2, 1.5, 0, 2], [3, 2.5, 1, 3], [4, 3.5, 0, 4]]
    )
    assert file.class_names == given.class_names == ("p", "q")
    assert fingerprint(file) == fingerprint(given)


def test_digits_as_text_are_labels_in_a_typed_file(tmp_path):
    pq.write_table(pa.table({"a": [1.0, 2, 3], "y": ["0", "1", "2"]}), tmp_path / "d.parquet")
    raw = load("file", {"path": tmp_path / "d.parquet"})
    assert (raw.task, raw.class_names) == ("classification", ("0", "1", "2"))


def test_upper_case_suffix(tmp_path):
    path = csv_file(tmp_path, "a,y\n1,u\n2,v\n", "DATA.CSV")
    assert load("file", {"path": path}).X.shape == (2, 1)


def test_csv_round_trip_of_a_real_set(tmp_path):
    iris = load("iris")
    frame = pd.DataFrame(iris.X, columns=iris.feature_names)
    frame["species"] = [iris.class_names[i] for i in iris.y]
    frame.to_csv(tmp_path / "iris.csv", index=False)
    assert fingerprint(load("file", {"path": tmp_path / "iris.csv"})) == fingerprint(iris)


# --- Files that are wrong -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("", ["is empty"]),
        ("\n\n", ["is empty"]),
        ("a,y\n", ["no data below the header", "at least 2 samples"]),
        ("a,y\n1,u\n", ["one sample only", "at least 2 samples"]),
        ("a\n1\n2\n", ["only one column", "'a'"]),
        ("a;y\n1;2\n3;4\n", ["only one column", "'a;y'", "commas"]),
        ("a,a,y\n1,2,u\n3,4,v\n", ["duplicate column name 'a'"]),
        ("a, a,y\n1,2,u\n3,4,v\n", ["duplicate column name 'a'"]),
        (",a,y\n0,1,u\n1,2,v\n", ["column 1 has no name", "index"]),
        ("a,b,y\n1,2,u\n3,four,v\n5,6,u\n", ["column 'b', data row 2", "'four' is text", "number"]),
        ("a,y\n1,u\n,v\n", ["column 'a', data row 2", "the cell is empty"]),
        ("a,y\n1,u\n2,v\nnan,u\n", ["column 'a', data row 3", "nan", "finite"]),
        ("a,y\n-inf,u\n2,v\n", ["column 'a', data row 1", "-inf", "finite"]),
        ("a,y\n1e400,u\n2,v\n", ["column 'a', data row 1", "inf", "finite"]),
        ("a,y\n1e200,u\n2,v\n", ["column 'a', data row 1", "1e+200", "at most 1e+100"]),
        ("a,y\n1,u\n2,\n", ["column 'y', data row 2", "''", "no value"]),
        ("a,y\n1,NaN\n2,u\n3,v\n", ["column 'y', data row 1", "'NaN'", "no value"]),
        ("a,y\n1,0.5\n2,nan\n", ["column 'y', data row 2", "nan", "finite"]),
        ("a,y\n1,0.5\n2,inf\n", ["column 'y', data row 2", "inf", "finite"]),
        ("a,y\n1,u\n2,u\n", ["'y'", "one class only", "'u'", "at least 2 classes"]),
        ("a,y\n1,3\n2,3\n3,3\n", ["'y'", "one class only", "3", "at least 2 classes"]),
        ("a,y\n1,0.5\n2,0.5\n", ["'y'", "0.5 throughout", "must vary"]),
        ("a,y\n1,5.5\n2,6\n3,7\n4,?\n", ["column 'y', data row 4", "'?'", "text among numbers"]),
        ("a,b,y\n1,2,u\n3,v\n", ["data row 2 has 2 columns", "the header 3", "'3,v'"]),
        ("a,y\n1,u\n2,v,w\n", ["data row 2 has 3 columns", "the header 2"]),
        ('a,y\n1,u\n2,"v\n3,u\n', ["column 'y', data row 2", "spans lines", "quotation mark"]),
        (b"a,y\n1,u\n2,\xff\n", ["data row 2", "UTF-8"]),
        (b"\xff\xfea\x00,\x00y\x00\n\x00", ["header", "UTF-8"]),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6,3,other\n", ["first line", "column names"]),
        ("1.5,2.5,7\n4.9,3.0,8\n6,3,9\n", ["first line", "column names"]),
    ],
)
def test_bad_csv_is_refused_in_one_line(tmp_path, text, fragments):
    refuses("data.csv", *fragments, call=lambda: load_csv(tmp_path, text))


def test_free_text_is_no_target_unless_said(tmp_path):
    text = "a,y\n" + "".join(f"{i},word{i}\n" for i in range(30))
    refuses("column 'y'", "30 different texts", "classification", call=lambda: load_csv(tmp_path, text))
    assert len(load_csv(tmp_path, text, task="classification").class_names) == 30
    refuses("'word0' is text", "number", call=lambda: load_csv(tmp_path, text, task="regression"))


def test_the_first_bad_cell_is_named_wherever_it_is(tmp_path):
    for bad in (0, 1, 498, 999):
        cells = [f"{i}.5" for i in range(1000)]
        cells[bad] = cells[-1] = "1,5" if bad % 2 else "12 kg"
        rows = "".join(f'"{cell}",{i % 2}\n' for i, cell in enumerate(cells))
        refuses(f"column 'a', data row {bad + 1}:", call=lambda rows=rows: load_csv(tmp_path, "a,y\n" + rows))


def test_unknown_target_gets_a_hint(tmp_path):
    text = "width,height,species\n1,2,u\n3,4,v\n"
    refuses("'specie'", "did you mean 'species'", call=lambda: load_csv(tmp_path, text, target="specie"))
    refuses("'zzz'", "width, height", call=lambda: load_csv(tmp_path, text, target="zzz"))
    refuses("target = ['species']", call=lambda: load_csv(tmp_path, text, target=["species"]))
    wide = ",".join(f"column{i}" for i in range(1000)) + "\n"
    assert len(refuses("'zzz'", "...", call=lambda: load_csv(tmp_path, wide, target="zzz"))) < 300


def test_unknown_task_gets_a_hint(tmp_path):
    call = lambda: load_csv(tmp_path, "a,y\n1,u\n2,v\n", task="clasification")  # noqa: E731
    refuses("'clasification'", "did you mean 'classification'", call=call)


def test_paths_that_are_no_data_file(tmp_path):
    csv_file(tmp_path, "a,y\n1,u\n2,v\n", "flowers.csv")
    csv_file(tmp_path, "a,y\n1,u\n2,v\n", "flowers.txt")
    (tmp_path / "folder.csv").mkdir()
    refuses(
        "flower.csv",
        "no such file",
        "'flowers.csv'",
        call=lambda: load("file", {"path": tmp_path / "flower.csv"}),
    )
    refuses("nowhere", "no such file", call=lambda: load("file", {"path": tmp_path / "nowhere" / "x.csv"}))
    refuses("is a directory", ".csv", call=lambda: load("file", {"path": tmp_path / "folder.csv"}))
    refuses(
        "'.txt'", "allowed: .csv, .parquet", call=lambda: load("file", {"path": tmp_path / "flowers.txt"})
    )
    refuses("path = 3", "must be text", call=lambda: load("file", {"path": 3}))
    refuses("cannot be read", call=lambda: load("file", {"path": "x" * 5000 + ".csv"}))
    refuses("'path' is required", call=lambda: load("file", {}))


def test_files_that_would_not_fit(tmp_path):
    path = csv_file(tmp_path, "a,y\n1,u\n2,v\n")
    with open(path, "ab") as handle:
        handle.truncate(5_000_000_000)  # sparse: takes no room on the disk
    refuses("5.0 GB", "at most 4 GB", call=lambda: load("file", {"path": path}))


def test_too_many_features(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "MAX_FEATURES", 3)
    refuses("4 features", "at most 3", call=lambda: load_csv(tmp_path, "a,b,c,d,y\n1,2,3,4,u\n1,2,3,4,v\n"))
    assert load_csv(tmp_path, "a,b,c,y\n1,2,3,u\n1,2,3,v\n").X.shape == (2, 3)
    pq.write_table(pa.table({name: [1, 2] for name in "abcde"}), tmp_path / "d.parquet")
    refuses("4 features", call=lambda: load("file", {"path": tmp_path / "d.parquet"}))


def test_parquet_that_is_none(tmp_path):
    junk = csv_file(tmp_path, b"PAR1 this is not a Parquet file PAR1", "data.parquet")
    refuses("data.parquet", "not a readable Parquet file", call=lambda: load("file", {"path": junk}))
    empty = csv_file(tmp_path, b"", "empty.parquet")
    refuses("empty.parquet", "is empty", call=lambda: load("file", {"path": empty}))


@pytest.mark.parametrize(
    ("table", "fragments"),
    [
        ({"a": [1.0, None, 3], "y": [0, 1, 1]}, ["column 'a', data row 2", "empty or NaN"]),
        ({"a": [1.0, math.nan, 3], "y": [0, 1, 1]}, ["column 'a', data row 2", "nan", "finite"]),
        ({"a": ["1", "x", "3"], "y": [0, 1, 1]}, ["column 'a', data row 2", "'x' is text"]),
        ({"a": [1, 2, 3], "y": ["u", None, "v"]}, ["column 'y', data row 2", "empty or NaN"]),
        ({"a": [[1], [2], [3]], "y": [0, 1, 1]}, ["column 'a' holds list", "number"]),
        ({"a": [1, 2, 3], "y": np.array([1, 2, 3], "datetime64[s]")}, ["column 'y' holds timestamp"]),
        ({"a": [1], "y": [1]}, ["one sample only"]),
        ({"a": [1, 2]}, ["only one column"]),
        ({}, ["no columns"]),
    ],
)
def test_bad_parquet_is_refused_in_one_line(tmp_path, table, fragments):
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(table), path)
    refuses("data.parquet", *fragments, call=lambda: load("file", {"path": path}))


def test_parquet_index_and_double_names(tmp_path):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"a": [1, 2], "y": [0.5, 1]}, index=[7, 3]).to_parquet(path)
    refuses("column 3 has no name", "index", call=lambda: load("file", {"path": path}))
    pq.write_table(pa.table([[1, 2], [3, 4], [5, 6]], names=["a", "a", "y"]), path)
    refuses("duplicate column name 'a'", call=lambda: load("file", {"path": path}))


def loads_or_refuses(path) -> None:
    """Either finite numbers or a one-line UsageError; anything else fails."""
    message = ""
    try:
        assert np.isfinite(load("file", {"path": path}).X).all()
    except UsageError as error:
        message = str(error)
    assert "\n" not in message


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=200), suffix=st.sampled_from([".csv", ".parquet"]))
def test_no_content_brings_anything_but_a_usage_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.write_bytes(content)
    loads_or_refuses(path)


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet='ab,01.-e"\n\r ', max_size=60))
def test_no_csv_text_brings_anything_but_a_usage_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz_text.csv"
    path.write_bytes(("x,y\n" + text).encode())
    loads_or_refuses(path)


# --- Arrays ---------------------------------------------------------------------------------------


def test_arrays_of_several_kinds_of_target():
    X = np.arange(8).reshape(4, 2)
    raw = load("arrays", {"X": X, "y": np.array([3, 1, 3, 1])})
    assert (raw.y.tolist(), raw.class_names, raw.X.dtype) == ([1, 0, 1, 0], ("1", "3"), np.float64)
    for y in (["u", "v", "u", "v"], np.array(["u", "v", "u", "v"], object), pd.Series(["u", "v", "u", "v"])):
        assert load("arrays", {"X": X.tolist(), "y": y}).class_names == ("u", "v")
    assert load("arrays", {"X": X, "y": [True, False, True, False]}).class_names == ("False", "True")
    assert load("arrays", {"X": X, "y": [[0.5], [1], [2], [3]]}).y.shape == (4, 1)
    assert load("arrays", {"X": X, "y": np.eye(4)[:, :3]}).y.shape == (4, 3)
    assert load("arrays", {"X": X, "y": [0, 1, 0, 1], "task": "regression"}).task == "regression"


def test_arrays_are_copied():
    X, y = np.zeros((4, 2)), np.array([0.0, 1, 2, 3])
    raw = load("arrays", {"X": X, "y": y})
    X[:], y[:] = 9, 9
    assert raw.X.max() == 0
    assert raw.y.tolist() == [[0], [1], [2], [3]]


def test_frame_with_y_given_apart():
    frame = pd.DataFrame({"a": [1, 2, 3, 4], 7: [5.0, 6, 7, 8]})
    raw = load("arrays", {"X": frame, "y": [0, 0, 1, 1]})
    assert (raw.feature_names, raw.X.tolist()[0], raw.class_names) == (("a", "7"), [1, 5], ("0", "1"))
    assert load("arrays", {"X": frame, "target": 7}).feature_names == ("a",)


GOOD = np.arange(8.0).reshape(4, 2)


@pytest.mark.parametrize(
    ("params", "fragments"),
    [
        ({"X": GOOD}, ["y is missing"]),
        ({"y": [1, 2]}, ["'X' is required"]),
        ({"X": GOOD, "y": [0, 1, 0]}, ["y has shape (3,)", "X (4, 2)"]),
        ({"X": GOOD[:, 0], "y": [0, 1, 0, 1]}, ["X has shape (4,)", "[samples, features]"]),
        ({"X": GOOD[:, :0], "y": [0, 1, 0, 1]}, ["X has shape (4, 0)"]),
        ({"X": GOOD[:1], "y": [0]}, ["one sample only"]),
        ({"X": GOOD, "y": np.zeros((4, 2, 1))}, ["y has shape (4, 2, 1)"]),
        ({"X": GOOD + 1j, "y": [0, 1, 0, 1]}, ["X has dtype complex128", "real numbers"]),
        ({"X": GOOD.astype(object), "y": [0, 1, 0, 1]}, ["X has dtype object", "real numbers"]),
        ({"X": GOOD.astype(str), "y": [0, 1, 0, 1]}, ["X has dtype <U", "real numbers"]),
        ({"X": [[1, 2], [3]], "y": [0, 1]}, ["X is no array"]),
        ({"X": GOOD, "y": GOOD[:, 0] + 1j}, ["y has dtype complex128"]),
        ({"X": GOOD, "y": np.array([0, None, 1, 2], object)}, ["y has dtype object"]),
        ({"X": np.where(GOOD == 5, np.nan, GOOD), "y": [0, 1, 0, 1]}, ["column 'x1', data row 3", "nan"]),
        ({"X": np.where(GOOD == 2, np.inf, GOOD), "y": [0, 1, 0, 1]}, ["column 'x0', data row 2", "inf"]),
        ({"X": np.ma.masked_equal(GOOD, 5), "y": [0, 1, 0, 1]}, ["X has masked elements"]),
        ({"X": GOOD, "y": [0, 1, np.nan, 1]}, ["column 'y', data row 3", "nan"]),
        ({"X": GOOD, "y": GOOD * [1, np.inf] + 1}, ["column 'y1', data row 1", "inf"]),
        ({"X": GOOD, "y": GOOD, "task": "classification"}, ["classes need shape (4,)"]),
        ({"X": GOOD, "y": np.ones((4, 2))}, ["the same in every row"]),
        ({"X": GOOD, "y": ["u"] * 4}, ["one class only", "'u'"]),
        ({"X": GOOD, "y": [0, 1, 0, 1], "target": "a"}, ["both given"]),
        ({"X": GOOD, "target": "a"}, ["'a'", "give y"]),
        ({"X": GOOD, "y": [0, 1, 0, 1], "task": "regresion"}, ["did you mean 'regression'"]),
        (
            {"X": np.broadcast_to(1.0, (10**6, 1000)), "y": [0]},
            ["1,000,000 x 1,000", "16.0 GB", "at most 4 GB"],
        ),
        ({"X": pd.DataFrame({"a": [1, None], "y": [0.5, 1]})}, ["column 'a', data row 2", "empty or NaN"]),
        ({"X": pd.DataFrame({"a": [1, "b"], "y": [0.5, 1]})}, ["column 'a', data row 2", "'b' is text"]),
        ({"X": pd.DataFrame({"a": [1, 1j], "y": [0.5, 1]})}, ["column 'a'"]),
        ({"X": pd.DataFrame({"a": [1, 2], "y": [0.5, 1]}), "target": "z"}, ["'z' is not a column", "a, y"]),
        ({"X": pd.DataFrame(np.ones((2, 3)), columns=["a", "a", "y"])}, ["duplicate column name 'a'"]),
        ({"X": pd.DataFrame({"a": [1, 2]}), "y": [1.5]}, ["y has shape (1,)"]),
        ({"X": pd.DataFrame({"a": ["p", "q"]}), "y": [1.5, 2]}, ["column 'a', data row 1", "'p' is text"]),
    ],
)
def test_bad_arrays_are_refused_in_one_line(params, fragments):
    refuses(*fragments, call=lambda: load("arrays", params))


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
    assert len(refuses(*fragments, call=lambda: load(name, params))) < 200


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


def test_numpy_numbers_are_numbers():
    raw = load("spirals", {"samples": np.int32(40), "noise": np.float32(0), "turns": 1}, np.uint64(2**64 - 1))
    assert raw.X.shape == (40, 2)


def test_required_reads_well():
    assert repr(REQUIRED) == "required"


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare("arrays", {"X": np.full((3, 1), 1e100), "y": [1.0, 2, 3]})

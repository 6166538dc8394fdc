"""Arrays and frames given in Python, or kept in a file from an earlier run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from datasets_help import refuses

from gradsim.datasets import fingerprint, load, prepare, save_raw


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


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "arrays.npz"
    save_raw(load("arrays", {"X": GOOD, "y": ["u", "v", "u", "v"]}), path)
    return path


@pytest.mark.parametrize("y", [["u", "v", "u", "v"], [0.5, 1, 2, 3], np.eye(4)[:, :3]])
def test_stored_arrays_are_the_same_data(tmp_path, y):
    params = {"X": pd.DataFrame({"a": [1, 2, 3, 4], "b": [5.0, 6, 7, 9]}), "y": y}
    save_raw(load("arrays", params), tmp_path / "arrays.npz")
    for path in (tmp_path / "arrays.npz", str(tmp_path / "arrays.npz")):
        before, after = (prepare("arrays", p, test_fraction=0.25) for p in (params, {"stored": path}))
        for name in ("X_train", "y_train", "X_test", "y_test"):
            assert getattr(before, name).tobytes() == getattr(after, name).tobytes()
        for name in ("task", "feature_names", "class_names", "description", "fingerprint"):
            assert getattr(before, name) == getattr(after, name)


def test_stored_arrays_in_the_home_directory(stored, monkeypatch):
    monkeypatch.setenv("HOME", str(stored.parent))
    monkeypatch.setenv("USERPROFILE", str(stored.parent))
    whole = load("arrays", {"stored": stored})
    assert fingerprint(load("arrays", {"stored": "~/arrays.npz"})) == fingerprint(whole)


@pytest.mark.parametrize(
    ("params", "fragments"),
    [
        ({"X": GOOD}, ["stored = ", "X are both given", "one of them"]),
        ({"y": [0, 1, 0, 1]}, ["stored = ", "y are both given"]),
        ({"X": GOOD, "y": [0, 1, 0, 1]}, ["are both given"]),
        ({"target": "a"}, ["target are both given"]),
        ({"task": "regression"}, ["arrays.npz", "task = 'regression'", "for classification"]),
        ({"task": "regresion"}, ["did you mean 'regression'"]),
        ({"stored": 3}, ["stored = 3", "must be text"]),
        ({"stored": "nowhere/arrays.npz"}, ["nowhere/arrays.npz", "no such file"]),
        ({"stored": None}, ["'X' is required", "'stored' is not given"]),
    ],
)
def test_bad_stored_arrays_are_refused_in_one_line(stored, params, fragments):
    refuses(*fragments, call=lambda: load("arrays", {"stored": stored, **params}))


def test_damaged_stored_arrays_are_refused(stored):
    assert load("arrays", {"stored": stored, "task": "classification"}).class_names == ("u", "v")
    stored.write_bytes(stored.read_bytes()[:-100])
    refuses("arrays.npz", "damaged", call=lambda: load("arrays", {"stored": stored}))

"""A user's CSV and Parquet files: what is read, and one line for everything that can be wrong."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets_help import csv_file, load_csv, own_cache, refuses  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from gradsim.datasets import checks, fingerprint, load
from gradsim.errors import UsageError

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
    assert file.X.tolist() == given.X.tolist() == [[1, 0.5, 1, 1], [2, 1.5, 0, 2], [3, 2.5, 1, 3], [4, 3.5, 0, 4]]
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
    refuses("'.txt'", "allowed: .csv, .parquet", call=lambda: load("file", {"path": tmp_path / "flowers.txt"}))
    refuses("path = 3", "must be text", call=lambda: load("file", {"path": 3}))
    refuses("cannot be read", call=lambda: load("file", {"path": "x" * 5000 + ".csv"}))
    refuses("no such file", call=lambda: load("file", {"path": "~nobody-of-this-name/x.csv"}))
    refuses("'path' is required", call=lambda: load("file", {}))


def test_files_that_would_not_fit(tmp_path):
    path = csv_file(tmp_path, "a,y\n1,u\n2,v\n")
    with open(path, "ab") as handle:
        handle.truncate(5_000_000_000)  # sparse: takes no room on the disk
    refuses("5.0 GB", "at most 4 GB", call=lambda: load("file", {"path": path}))


def test_too_many_features(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "MAX_FEATURES", 3)
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

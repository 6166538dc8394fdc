"""The set "arrays": X and y or a pandas DataFrame given in Python, or kept in a file by `save_raw`."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsim.datasets.checks import check_finite, check_path, check_samples, check_size, check_task, one_line
from gradsim.datasets.columns import check_names, column_numbers, column_target, described, from_columns
from gradsim.datasets.spec import DatasetSpec, RawData
from gradsim.datasets.storage import load_raw
from gradsim.errors import UsageError, short
from gradsim.places import Place, place_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def _check(X: Any, y: Any, target: str | None, task: str, stored: str | os.PathLike[str] | None) -> None:
    if stored is not None:
        check_path("data set 'arrays': stored", stored)
        for name, value in (("X", X), ("y", y), ("target", target)):
            if value is not None:
                kept = short(os.fspath(stored))
                raise UsageError(f"arrays: stored = {kept} and {name} are both given; one of them is allowed")
    elif X is None:
        raise UsageError("data set 'arrays': parameter 'X' is required where 'stored' is not given")
    check_task("arrays", task)
    if y is not None and target is not None:
        raise UsageError(f"arrays: y and target = {short(target)} are both given; one of them is allowed")


def _arrays(seed: int, X: Any, y: Any, target: str | None, task: str, stored: str | os.PathLike[str] | None) -> RawData:
    if stored is not None:
        return _stored(place_of(os.path.expanduser(stored)), task)
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return _frame(X, y, target, task)
    if target is not None:
        raise UsageError(f"arrays: target = {short(target)} names a column of a DataFrame, but X is an array; give y")
    return from_arrays("arrays", X, y, task)


def from_arrays(source: str, X: Any, y: Any, task: str) -> RawData:
    """Raw data of anything array-like: X [samples, features] and y [samples] or [samples, targets].

    Raises UsageError, beginning with the source, where they cannot be trained on.
    """
    X = _matrix(source, X)
    return _with_y(source, X, tuple(f"x{i}" for i in range(X.shape[1])), y, task)


def _stored(path: Place, task: str) -> RawData:
    raw = load_raw(path)
    if task not in ("auto", raw.task):
        raise UsageError(f"{path}: task = {short(task)}: the stored data are for {raw.task}")
    return raw


def _matrix(source: str, given: Any) -> np.ndarray:
    """X as float64 [samples, features], a copy."""
    X = _array(source, "X", given)
    if X.ndim != 2 or X.shape[1] == 0:
        raise UsageError(f"{source}: X has shape {X.shape}; [samples, features] is needed")
    check_samples(source, len(X))
    if X.dtype.kind not in "biuf":
        raise UsageError(f"{source}: X has dtype {X.dtype}; real numbers are needed")
    check_size(source, *X.shape)
    with np.errstate(over="ignore"):  # a long double may become inf, which is then refused by name
        X = np.array(X, dtype=np.float64, order="C")
    check_finite(source, X, [f"x{i}" for i in range(X.shape[1])], "feature")
    return X


def _array(source: str, name: str, given: Any) -> np.ndarray:
    if np.ma.is_masked(given):
        raise UsageError(f"{source}: {name} has masked elements; every element needs a value")
    try:
        return np.asarray(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{source}: {name} is no array: {one_line(error)}") from None


def _with_y(source: str, X: np.ndarray, feature_names: tuple[str, ...], given: Any, task: str) -> RawData:
    import pyarrow as pa

    if given is None:
        raise UsageError(f"{source}: y is missing; give y, or a DataFrame with the name of its target")
    y = _array(source, "y", given)
    if y.ndim not in (1, 2) or y.size == 0 or len(y) != len(X):
        raise UsageError(f"{source}: y has shape {y.shape} and X {X.shape}; y needs one row per row of X")
    text = y.dtype.kind in "UT" or (y.dtype.kind == "O" and all(isinstance(v, str) for v in y.flat))
    if not text and y.dtype.kind not in "biuf":
        raise UsageError(f"{source}: y has dtype {y.dtype}; real numbers, booleans or text are needed")
    if y.ndim == 1 or y.shape[1] == 1:
        values = y.ravel().astype(object) if text else y.ravel()
        column = pa.chunked_array([pa.array(values, type=pa.large_string() if text else None)])
        y, task, class_names = column_target(source, "y", column, task)
        return described(source, X, y, task, feature_names, class_names)
    if text or task == "classification":
        raise UsageError(f"{source}: y has shape {y.shape}; classes need shape ({len(X)},)")
    y = np.array(y, dtype=np.float64, order="C")
    check_finite(source, y, [f"y{i}" for i in range(y.shape[1])], "target")
    if (y == y[0]).all():
        raise UsageError(f"{source}: y is the same in every row; it must vary")
    return described(source, X, y, "regression", feature_names, ())


def _frame(frame: pd.DataFrame, y: Any, target: str | None, task: str) -> RawData:
    """A pandas DataFrame, by the rules of a file; with `y` given apart, all of its columns are features."""
    check_size("arrays", len(frame), frame.shape[1])
    if y is None:
        names = check_names("arrays", frame.columns, target)
        columns = [_arrow_column(frame.iloc[:, i]) for i in range(len(names))]
        return from_columns("arrays", names, columns, target, task)
    check_samples("arrays", len(frame))
    names = check_names("arrays", [*frame.columns, "y given apart"], None)[:-1]
    columns = [_arrow_column(frame.iloc[:, i]) for i in range(len(names))]
    pairs = zip(names, columns, strict=True)
    X = np.column_stack([column_numbers("arrays", name, column, "feature") for name, column in pairs])
    check_finite("arrays", X, names, "feature")
    return _with_y("arrays", np.ascontiguousarray(X), tuple(names), y, task)


def _arrow_column(series: pd.Series) -> pa.ChunkedArray:
    import pyarrow as pa

    try:
        column = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        # Objects of several kinds: as text, so that the first one that is no number can be named.
        column = pa.array([str(value) for value in series], pa.string())
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


SPECS = (
    DatasetSpec(
        name="arrays",
        task="auto",
        real=True,
        description="X and y, or a pandas DataFrame and the name of its target, given in Python; up to 4 GB in memory.",
        load=_arrays,
        parameters=MappingProxyType({"X": None, "y": None, "target": None, "task": "auto", "stored": None}),
        check=_check,
    ),
)

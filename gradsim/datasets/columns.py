"""From the named columns of a file or a frame to the numbers of a data set.

Columns are pyarrow's. The first cell that is no number, or no label, is named by column and data row.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gradsim.datasets.checks import cell, check_finite, check_samples
from gradsim.datasets.spec import RawData
from gradsim.errors import UsageError, short

if TYPE_CHECKING:
    import pyarrow as pa

# Text that other programs write for "no value"; "none" is left out because it is a common label.
MISSING = ("", "nan", "na", "n/a", "#n/a", "null")
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def check_names(source: str, raw_names: Sequence[object], target: str | None) -> list[str]:
    """Names on one line each; refuses too few, nameless or double ones, and a target not among them."""
    names = [" ".join(str(name).split()) for name in raw_names]
    if len(names) < 2:
        what = f"only one column, {short(names[0])}" if names else "no columns"
        raise UsageError(f"{source}: {what}; features and a target, separated by commas, are needed")
    seen: set[str] = set()
    for position, name in enumerate(names, 1):
        if not name or name.startswith("__index_level_"):
            raise UsageError(f"{source}: column {position} has no name; leave out an index column or name it")
        if name in seen:
            raise UsageError(f"{source}: duplicate column name {short(name)}; names must differ")
        seen.add(name)
    if target is not None and str(target) not in seen:
        near = difflib.get_close_matches(str(target), names, n=1, cutoff=0.5)
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        hint = f"did you mean {near[0]!r}?" if near else f"allowed: {listed}"
        raise UsageError(f"{source}: target = {short(target)} is not a column; {hint}")
    return names


def from_columns(
    source: str, names: list[str], columns: Sequence[pa.ChunkedArray], target: str | None, task: str
) -> RawData:
    """Raw data of named columns, the target being the one called so, or the last."""
    place = len(names) - 1 if target is None else names.index(str(target))
    features = [i for i in range(len(names)) if i != place]
    samples = len(columns[place])
    check_samples(source, samples)
    X = np.empty((samples, len(features)))
    for position, i in enumerate(features):
        X[:, position] = column_numbers(source, names[i], columns[i], "feature")
    feature_names = tuple(names[i] for i in features)
    check_finite(source, X, feature_names, "feature")
    y, task, class_names = column_target(source, names[place], columns[place], task)
    return described(source, X, y, task, feature_names, class_names)


def described(
    source: str,
    X: np.ndarray,
    y: np.ndarray,
    task: str,
    feature_names: tuple[str, ...],
    class_names: tuple[str, ...],
) -> RawData:
    """Raw data with the one line that describes them."""
    ends = f"{len(class_names)} classes" if task == "classification" else f"{y.shape[1]} regression target(s)"
    text = f"{Path(source).name}: {len(X)} samples, {X.shape[1]} features, {ends}."
    return RawData(X, y, task, feature_names, class_names, text)


def _plain(source: str, name: str, column: pa.ChunkedArray, role: str) -> tuple[pa.ChunkedArray, bool]:
    """The column without dictionary, and whether it is text; refuses missing cells and other types."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise UsageError(f"{cell(source, name, row)}: the cell is empty or NaN; every {role} needs a value")
    kind, types = column.type, pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return column.cast(pa.large_string()), True
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind):
        return column, False
    raise UsageError(f"{source}: column {short(name)} holds {kind}; every {role} must be a number")


def column_numbers(source: str, name: str, column: pa.ChunkedArray, role: str) -> np.ndarray:
    """The column as float64; an error naming its first cell that is text."""
    import pyarrow as pa

    column, text = _plain(source, name, column, role)
    if text:
        row = _first_text(column)
        value = column[row].as_py()
        what = f"{short(value)} is text" if value else "the cell is empty"
        raise UsageError(f"{cell(source, name, row)}: {what}; every {role} must be a number")
    # A copy, because an Arrow column can be a view of the user's own array.
    return np.array(column.cast(pa.float64(), safe=False).to_numpy())


def _first_text(column: pa.ChunkedArray) -> int:
    """The first cell that is no number, by bisection; 0 where all are numbers kept as text."""
    import pyarrow as pa

    def parses(start: int, stop: int) -> bool:
        try:
            column.slice(start, stop - start).cast(pa.float64())
        except pa.ArrowInvalid:
            return False
        return True

    start, stop = 0, len(column)
    if parses(start, stop):
        return 0
    while stop - start > 1:
        middle = (start + stop) // 2
        if parses(start, middle):
            start = middle
        else:
            stop = middle
    return start


def column_target(
    source: str, name: str, column: pa.ChunkedArray, task: str
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """(y, task, class names) of one column; under "auto" text, booleans and few integers are classes.

    Few: at most 20 distinct values and at most half as many as there are samples.
    """
    import pyarrow as pa

    column, text = _plain(source, name, column, "target")
    if task == "regression" or not (text or pa.types.is_boolean(column.type)):
        values = column_numbers(source, name, column, "target")
        check_finite(source, values[:, None], [name], "target")
        distinct = len(np.unique(values))
        few = pa.types.is_integer(column.type) and distinct <= min(20, len(values) // 2)
        if task == "regression" or (task == "auto" and not few):
            if distinct == 1:
                raise UsageError(f"{source}: target {short(name)} is {values[0]:g} throughout; it must vary")
            return values[:, None], "regression", ()
    if text:
        _check_labels(source, name, column, task)
    classes, y = np.unique(column.to_numpy(), return_inverse=True)
    if len(classes) < 2:
        only = short(classes[0].item() if hasattr(classes[0], "item") else classes[0])
        raise UsageError(f"{source}: target {short(name)} has one class only, {only}; at least 2 classes are needed")
    return y.astype(np.int64), "classification", tuple(str(c) for c in classes.tolist())


def _check_labels(source: str, name: str, column: pa.ChunkedArray, task: str) -> None:
    """Refuse text that is no label: missing values, swallowed lines, a word among numbers, free text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = pc.is_in(pc.utf8_lower(column), value_set=pa.array(MISSING, column.type))
    number = pc.match_substring_regex(column, NUMBER)
    numbers, samples, distinct = pc.sum(number).as_py(), len(column), pc.count_distinct(column).as_py()
    # Tried in this order; the "auto" ones are doubts that task="classification" settles.
    doubts = [
        (missing, "stands for no value; every target needs one"),
        (pc.match_substring(column, "\n"), "spans lines; is a quotation mark not closed?"),
    ]
    if task == "auto" and samples / 2 < numbers < samples:
        doubts.append((pc.invert(number), 'is text among numbers; correct it, or say task = "classification"'))
    if task == "auto" and distinct > max(20, samples // 2):
        why = f'is one of {distinct} different texts; name another target, or say task = "classification"'
        doubts.append((pc.is_valid(column), why))
    for mask, why in doubts:
        row = pc.index(mask, True).as_py()
        if row >= 0:
            raise UsageError(f"{cell(source, name, row)}: {short(column[row].as_py())} {why}")

"""The set "file": a user's CSV or Parquet file, as columns, or two arrays of an .npz file."""

from __future__ import annotations

import csv
import difflib
import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from gradsim.datasets.checks import check_path, check_size, check_task, one_line
from gradsim.datasets.columns import NUMBER, check_names, from_columns
from gradsim.datasets.npz import read_npz
from gradsim.datasets.spec import REQUIRED, DatasetSpec, RawData
from gradsim.errors import UsageError, short

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".parquet", ".npz")


def _check(path: str | os.PathLike[str], features: str | None, target: str | None, task: str) -> None:
    check_path("data set 'file': path", path)
    check_task(os.fspath(path), task)
    if features is not None and not str(path).lower().endswith(".npz"):
        raise UsageError(
            f"{os.fspath(path)}: features = {short(features)} names an array of an .npz file; of other files every "
            "column but the target is a feature"
        )


def _file(seed: int, path: str | os.PathLike[str], features: str | None, target: str | None, task: str) -> RawData:
    source = os.fspath(path)
    file = Path(os.path.expanduser(source))
    try:
        _check_file(source, file)
        if file.suffix.lower() == ".npz":
            return read_npz(source, file, features, target, task)
        reader = _read_csv if file.suffix.lower() == ".csv" else _read_parquet
        names, columns = reader(source, file, target)
    except OSError as error:
        raise UsageError(f"{source}: cannot be read: {one_line(error.strerror or error)}") from None
    return from_columns(source, names, columns, target, task)


def _check_file(source: str, file: Path) -> None:
    if file.is_dir():
        raise UsageError(f"{source}: is a directory; a .csv, .parquet or .npz file is needed")
    if not file.exists():
        siblings = os.listdir(file.parent) if file.parent.is_dir() else []
        near = difflib.get_close_matches(file.name, [s for s in siblings if s.lower().endswith(SUFFIXES)])
        raise UsageError(f"{source}: no such file" + (f"; did you mean {near[0]!r}?" if near else ""))
    if not file.is_file():
        raise UsageError(f"{source}: is not a regular file; a .csv, .parquet or .npz file is needed")
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{source}: suffix {short(file.suffix)} is not known; allowed: {', '.join(SUFFIXES)}")
    if file.stat().st_size == 0:
        raise UsageError(f"{source}: the file is empty")


def _read_csv(source: str, file: Path, target: str | None) -> tuple[list[str], list[pa.ChunkedArray]]:
    """Column names and columns, each of numbers or booleans where all of its cells are, else of text."""
    import pyarrow as pa
    import pyarrow.csv

    raw_names, rows = _csv_header(source, file)
    names = check_names(source, raw_names, target)
    check_size(source, rows, len(names) - 1, text_bytes=file.stat().st_size)
    broken: list[Any] = []
    try:
        table = pyarrow.csv.read_csv(
            file,
            # Serial, because only then are rows numbered in messages; a block takes the widest allowed line.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=1 << 26),
            pyarrow.csv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=lambda r: broken.append(r) or "error"
            ),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(raw_names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowException as error:
        if broken:
            row = broken[0]
            raise UsageError(
                f"{source}: data row {row.number - 1} has {row.actual_columns} columns, the header "
                f"{row.expected_columns}: {short(row.text)}"
            ) from None
        place = re.search(r"Row #(\d+)", str(error))
        where = f", data row {int(place[1]) - 1}" if place else ""
        why = "is not UTF-8 text" if "UTF8" in str(error) else one_line(error)
        raise UsageError(f"{source}{where}: {why}; a CSV file in UTF-8 is needed") from None
    if table.column_names != raw_names:
        raise UsageError(f"{source}: the header cannot be read; a first line of column names is needed")
    columns = [_parsed(column) for column in table.columns]
    _check_header_is_no_data(source, names, columns)
    return names, columns


def _csv_header(source: str, file: Path) -> tuple[list[str], int]:
    """Column names as written, and rows estimated from the first MiB, before anything large is read."""
    try:
        # Line by line in bytes: a text file would decode ahead, and blame the header for a later line.
        with open(file, "rb") as handle:
            lines = (line.decode("utf-8-sig") for line in iter(lambda: handle.readline(1 << 26), b""))
            names = next((row for row in csv.reader(lines) if row), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{source}: the header is not UTF-8 text with commas: {one_line(error)}") from None
    if names is None:
        raise UsageError(f"{source}: the file is empty")
    with open(file, "rb") as handle:
        sample = handle.read(1 << 20)
    lines_estimate = max(sample.count(b"\n"), 1) * file.stat().st_size // len(sample)
    return names, lines_estimate


def _check_header_is_no_data(source: str, names: list[str], columns: list[pa.ChunkedArray]) -> None:
    """Refuse a file without a header, whose first sample would be taken for names and lost."""
    *features, target = names
    if names == [str(i) for i in range(len(names))] or not all(re.match(NUMBER, name) for name in features):
        return
    if re.match(NUMBER, target) or target in columns[-1].unique().to_pylist():
        line = short(",".join(names))
        raise UsageError(f"{source}: the first line {line} looks like data; a first line of column names is needed")


def _read_parquet(source: str, file: Path, target: str | None) -> tuple[list[str], list[pa.ChunkedArray]]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            names = check_names(source, parquet.schema_arrow.names, target)
            check_size(source, parquet.metadata.num_rows, len(names) - 1)
            return names, parquet.read(use_threads=False).columns
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{source}: is not a readable Parquet file: {one_line(error)}") from None


def _parsed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text cells as int64, float64 or booleans where every one is such, else trimmed text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(column)
    try:
        numbers = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        lowered = pc.utf8_lower(text)
        boolean = pc.all(pc.is_in(lowered, value_set=pa.array(["true", "false"]))).as_py()
        return pc.equal(lowered, "true") if boolean else text
    try:
        return pc.cast(text, pa.int64())
    except pa.ArrowInvalid:
        return numbers


SPECS = (
    DatasetSpec(
        name="file",
        task="auto",
        real=True,
        description="A user's CSV, Parquet or .npz file, up to 4 GB in memory; the last column is the target unless "
        "one is named; of an .npz file arrays X and y, or those named by features and target.",
        load=_file,
        parameters=MappingProxyType({"path": REQUIRED, "features": None, "target": None, "task": "auto"}),
        check=_check,
    ),
)

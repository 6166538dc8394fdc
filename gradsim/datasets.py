"""Data sets as the networks see them: loaded, checked, split by seed, scaled on the training split alone.

`DATASETS` lists them; `load` gives the raw numbers and `prepare` the arrays that are trained on. Importing
this loads nothing but NumPy: scikit-learn (1.6 s, 90 MB) and pyarrow come in only with a set that needs them.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from gradsim.errors import GradsimError, UsageError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCALINGS = ("standard", "minmax", "none")
TASKS = ("auto", "classification", "regression")
MAX_FEATURES = 1_000_000
MAX_BYTES = 4_000_000_000
# Squares and ranges of anything smaller stay finite, so scaling a training split cannot overflow.
MAX_MAGNITUDE = 1e100
# Text that other programs write for "no value"; "none" is left out because it is a common label.
MISSING = ("", "nan", "na", "n/a", "#n/a", "null")
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
# Streams keep the split and the generated points independent under one data seed.
SPLIT_STREAM, POINTS_STREAM = 1, 2


class _Required:
    """Stands for the default of a parameter that has none."""

    def __repr__(self) -> str:
        return "required"


REQUIRED = _Required()


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False)
class DatasetSpec:
    """One entry of `DATASETS`: what it is, what it takes, how to get it.

    `task` is "classification", "regression", or "auto" where the user's data decide. `parameters` maps a name
    to its default (`REQUIRED` where there is none), `bounds` the numeric ones to (type, lowest, highest).
    `load(data_seed, **parameters)` gives `RawData`. `real` is False for generated data only.
    """

    name: str
    task: str
    real: bool
    description: str
    load: Callable[..., RawData]
    parameters: Mapping[str, object] = field(default_factory=_nothing)
    bounds: Mapping[str, tuple[type, float, float]] = field(default_factory=_nothing)


@dataclass(frozen=True, eq=False)
class RawData:
    """Before split and scaling: X float64 [n, features]; y int64 [n] classes, or float64 [n, targets]."""

    X: np.ndarray
    y: np.ndarray
    task: str
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    description: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data as the networks see them, split and scaled.

    X float64 [n, features], C-contiguous; y int64 [n] class indices (classification) or float64 [n, outputs]
    (regression). Training rows are shuffled, so the first k of them are a fair sample. `fingerprint` is that
    of the raw content, before split and scaling.
    """

    name: str
    task: str
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    description: str
    real: bool
    scaling: str
    fingerprint: str

    @property
    def features(self) -> int:
        """Number of inputs of a network on these data."""
        return self.X_train.shape[1]

    @property
    def outputs(self) -> int:
        """Number of outputs of a network on these data: classes, or regression targets."""
        return len(self.class_names) if self.task == "classification" else self.y_train.shape[1]

    @property
    def train_samples(self) -> int:
        """Rows in the training split."""
        return self.X_train.shape[0]

    @property
    def test_samples(self) -> int:
        """Rows in the test split; may be 0."""
        return self.X_test.shape[0]


# --- Load, split, scale ---------------------------------------------------------------------------


def load(name: str, params: Mapping[str, object] | None = None, data_seed: int = 0) -> RawData:
    """The raw data of the set `name`; `params` as `DATASETS[name].parameters` lists them.

    `data_seed` (0 to 2**64 - 1) draws the synthetic sets and leaves the others alone. Raises UsageError for
    an unknown name, an unknown or unfit parameter, and data that cannot be trained on.
    """
    spec = _spec(name)
    seed = _bounded("data_seed", data_seed, int, 0, 2**64 - 1)
    return spec.load(seed, **_parameters(spec, params or {}))


def prepare(
    name: str,
    params: Mapping[str, object] | None = None,
    *,
    scaling: str = "standard",
    test_fraction: float = 0.2,
    data_seed: int = 0,
) -> Dataset:
    """The set `name`, split into training and test rows by `data_seed` and scaled; the same on every call.

    Scaling is fitted on the training rows alone: "standard" gives x -> (x - mean) / std with the population
    standard deviation, "minmax" x -> (x - min) / (max - min), "none" leaves x. A feature that is constant in
    training is divided by 1. Regression targets are standardized, y -> (y - mean) / std over the training
    rows, under "standard" and "minmax" alike, and keep their units under "none"; R2 is the same in either.
    Splitting: see `split_indices`. Raises UsageError as `load` does, and for an unknown scaling or a fraction
    outside [0, 1).
    """
    if scaling not in SCALINGS:
        raise UsageError(f"scaling = {_short(scaling)}{did_you_mean(scaling, SCALINGS)}")
    fraction = _bounded("test_fraction", test_fraction, float, 0, math.nextafter(1, 0))
    raw = load(name, params, data_seed)
    labels = raw.y if raw.task == "classification" else None
    train, test = split_indices(len(raw.X), labels, fraction, data_seed)
    X_train, X_test, y_train, y_test = raw.X[train], raw.X[test], raw.y[train], raw.y[test]
    if scaling != "none":
        center, scale = _fit_scaling(X_train, scaling)
        X_train, X_test = (X_train - center) / scale, (X_test - center) / scale
        if raw.task == "regression":
            center, scale = _fit_scaling(y_train, "standard")
            y_train, y_test = (y_train - center) / scale, (y_test - center) / scale
    return Dataset(
        name=name,
        task=raw.task,
        X_train=np.ascontiguousarray(X_train),
        y_train=np.ascontiguousarray(y_train),
        X_test=np.ascontiguousarray(X_test),
        y_test=np.ascontiguousarray(y_test),
        feature_names=raw.feature_names,
        class_names=raw.class_names,
        description=raw.description,
        real=DATASETS[name].real,
        scaling=scaling,
        fingerprint=fingerprint(raw),
    )


def split_indices(
    samples: int, labels: np.ndarray | None, test_fraction: float, data_seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training and of the test split, each shuffled, by (samples, labels, fraction, seed) alone.

    With `labels` (class indices) the split is stratified: round(samples * fraction) test rows, shared among
    the classes by largest remainder. Each class keeps a row for training, so with classes of one sample there
    can be fewer test rows. Without labels the split is plain random.
    """
    # Sorting raw Philox words rather than asking for a permutation: the words are fixed by the algorithm,
    # while NumPy may change how a permutation is drawn from one release to the next.
    order = np.argsort(_philox(SPLIT_STREAM, data_seed).random_raw(samples), kind="stable")
    groups = np.zeros(samples, np.int64) if labels is None else labels
    counts = np.bincount(groups)
    by_group = order[np.argsort(groups[order], kind="stable")]
    starts = np.cumsum(counts) - counts
    in_test = np.zeros(samples, bool)
    for start, taken in zip(starts, _largest_remainder(counts, test_fraction), strict=True):
        in_test[by_group[start : start + taken]] = True
    return order[~in_test[order]], order[in_test[order]]


def _largest_remainder(counts: np.ndarray, fraction: float) -> np.ndarray:
    """Test rows a class: the floor of its share, the rest by largest remainder, never the whole class."""
    quota = counts * fraction
    most = np.minimum(np.ceil(quota), counts - 1).astype(np.int64)
    taken = np.minimum(np.floor(quota).astype(np.int64), most)
    missing = math.floor(counts.sum() * fraction + 0.5) - taken.sum()
    for group in np.argsort(np.floor(quota) - quota, kind="stable"):
        if missing > 0 and taken[group] < most[group]:
            taken[group] += 1
            missing -= 1
    return taken


def _philox(stream: int, data_seed: int) -> np.random.Philox:
    return np.random.Philox(key=(stream << 64) | int(data_seed))


def _fit_scaling(values: np.ndarray, scaling: str) -> tuple[np.ndarray, np.ndarray]:
    """Per column, what to subtract and what to divide by."""
    low, high = values.min(axis=0), values.max(axis=0)
    if scaling == "minmax":
        center, scale = low, high - low
    else:
        center, scale = values.mean(axis=0), values.std(axis=0)
    # By low == high, not by a zero spread: the mean of equal numbers can be an ulp off, and dividing by that
    # ulp would make noise of a constant. The other bound keeps test rows from overflowing on a tiny spread.
    constant = (low == high) | (scale < 1e-200)
    return np.where(constant, low, center), np.where(constant, 1.0, scale)


def fingerprint(raw: RawData) -> str:
    """16 hexadecimal digits of BLAKE2b over X, y, their shapes, and the feature and class names."""
    digest = hashlib.blake2b(digest_size=8)
    for array in (raw.X, raw.y):
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    for names in (raw.feature_names, raw.class_names):
        digest.update(repr(tuple(names)).encode())
    return digest.hexdigest()


# --- Checking what was asked for ------------------------------------------------------------------


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _spec(name: str) -> DatasetSpec:
    if isinstance(name, str) and name in DATASETS:
        return DATASETS[name]
    if isinstance(name, str) and name.lower().endswith((".csv", ".parquet")):
        raise UsageError(f'unknown data set {_short(name)}; a file is given as the set "file" with its path')
    raise UsageError(f"unknown data set {_short(name)}{did_you_mean(name, DATASETS)}")


def _parameters(spec: DatasetSpec, params: Mapping[str, object]) -> dict[str, object]:
    """The given parameters over the defaults, each one known and within its bounds."""
    resolved = dict(spec.parameters)
    for key, value in params.items():
        if not resolved:
            raise UsageError(f"data set {spec.name!r}: unknown parameter {_short(key)}; it takes none")
        if key not in resolved:
            raise UsageError(
                f"data set {spec.name!r}: unknown parameter {_short(key)}{did_you_mean(key, resolved)}"
            )
        if key in spec.bounds:
            value = _bounded(f"data set {spec.name!r}: {key}", value, *spec.bounds[key])
        resolved[key] = value
    for key, value in resolved.items():
        if value is REQUIRED:
            raise UsageError(f"data set {spec.name!r}: parameter {key!r} is required")
    return resolved


def _bounded(label: str, value: Any, kind: type, low: float, high: float) -> Any:
    number = Integral if kind is int else Real
    if isinstance(value, number) and not isinstance(value, bool) and low <= value <= high:
        return kind(value)
    wanted = "an integer" if kind is int else "a number"
    raise UsageError(f"{label} = {_short(value)}: must be {wanted} from {low} to {high}")


def _check_task(source: str, task: object) -> None:
    if task not in TASKS:
        raise UsageError(f"{source}: task = {_short(task)}{did_you_mean(str(task), TASKS)}")


def _check_size(source: str, samples: int, features: int, text_bytes: int = 0) -> None:
    if features > MAX_FEATURES:
        raise UsageError(f"{source}: {features:,} features; at most {MAX_FEATURES:,} are allowed")
    estimate = 16 * samples * features + text_bytes  # raw and scaled float64, both alive in `prepare`
    if estimate > MAX_BYTES:
        raise UsageError(
            f"{source}: about {samples:,} x {features:,} numbers would need {estimate / 1e9:.1f} GB of "
            f"memory; at most {MAX_BYTES / 1e9:.0f} GB are allowed"
        )


def _check_finite(source: str, values: np.ndarray, names: Sequence[str], role: str) -> None:
    bad = ~(np.abs(values) <= MAX_MAGNITUDE)  # written so that NaN fails
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = float(values[row, column])
        why = f"at most {MAX_MAGNITUDE:g} in magnitude" if math.isfinite(value) else "finite"
        raise UsageError(f"{_cell(source, names[column], row)}: {value:g}; every {role} must be {why}")


def _cell(source: str, column: str, row: int) -> str:
    return f"{source}: column {_short(column)}, data row {row + 1}"


# --- Synthetic sets -------------------------------------------------------------------------------


def _spirals(seed: int, samples: int, arms: int, turns: float, noise: float) -> RawData:
    """Arm a of A at t ~ U(0, 1): radius 0.1 + 0.9 t, angle 2 pi (turns t + a / A); plus N(0, noise^2)."""
    if samples < 2 * arms:
        raise UsageError(f"data set 'spirals': samples = {samples}: must be at least 2 per arm, {2 * arms}")
    rng = np.random.Generator(_philox(POINTS_STREAM, seed))
    y = np.arange(samples, dtype=np.int64) % arms
    t = rng.random(samples)
    angle = 2 * np.pi * (turns * t + y / arms)
    # Radius starts at 0.1, not 0, where all arms would meet and no label could be told.
    X = (0.1 + 0.9 * t)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    X += noise * rng.standard_normal((samples, 2))
    text = f"Synthetic: {samples} points on {arms} spiral arms of {turns:g} turns, noise {noise:g}."
    return RawData(X, y, "classification", ("x", "y"), tuple(f"arm {a}" for a in range(arms)), text)


def _moons(seed: int, samples: int, noise: float) -> RawData:
    """Half circles at angle a ~ U(0, pi): (cos a, sin a) and (1 - cos a, 1/2 - sin a), plus N(0, noise^2)."""
    rng = np.random.Generator(_philox(POINTS_STREAM, seed))
    y = np.arange(samples, dtype=np.int64) % 2
    angle = np.pi * rng.random(samples)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    X = np.where(y[:, None] == 0, upper, [1.0, 0.5] - upper)
    X += noise * rng.standard_normal((samples, 2))
    text = f"Synthetic: {samples} points on two interleaved half circles, noise {noise:g}."
    return RawData(X, y, "classification", ("x", "y"), ("upper", "lower"), text)


# --- Real sets from scikit-learn's wheel ----------------------------------------------------------


def _cache_root() -> Path | None:
    try:
        from gradsim.jit import cache_root
    except ImportError:
        return None
    return cache_root()


def _from_sklearn(name: str) -> RawData:
    """A set of scikit-learn's, from the cache where one of this scikit-learn version is there and sound."""
    import importlib.metadata

    try:
        version = importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError:
        raise GradsimError(f"data set {name!r} comes with scikit-learn, which is not installed") from None
    root = _cache_root()
    path = None if root is None else root / "datasets" / f"{name}-scikit-learn-{version}.npz"
    raw = None if path is None else _read_cache(path, name)
    if raw is None:
        raw = _fetch_sklearn(name)
        if path is not None:
            _write_cache(path, raw)
    return raw


def _fetch_sklearn(name: str) -> RawData:
    import sklearn.datasets

    # Diabetes in its own units: the default is scaled over all rows, test rows included.
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(sklearn.datasets, f"load_{name}")(**options)
    X = np.ascontiguousarray(bunch.data, dtype=np.float64)
    names = tuple(str(n) for n in bunch.feature_names)
    spec = DATASETS[name]
    if spec.task == "regression":
        return RawData(
            X, np.asarray(bunch.target, np.float64)[:, None], spec.task, names, (), spec.description
        )
    classes = tuple(str(c) for c in bunch.target_names)
    return RawData(X, np.asarray(bunch.target, np.int64), spec.task, names, classes, spec.description)


def _read_cache(path: Path, name: str) -> RawData | None:
    spec = DATASETS[name]
    try:
        # Opened here because np.load leaves a file that it cannot read open.
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as stored:
            names, classes = (tuple(stored[key].tolist()) for key in ("feature_names", "class_names"))
            raw = RawData(stored["X"], stored["y"], spec.task, names, classes, spec.description)
            sound = str(stored["fingerprint"]) == fingerprint(raw)
    except Exception:
        # A damaged archive raises nearly anything (OSError, BadZipFile, zlib.error, KeyError, MemoryError for
        # a wild shape, ...), and all of it means the same: not usable, make it anew.
        return None
    return raw if sound else None


def _write_cache(path: Path, raw: RawData) -> None:
    """Into place by rename, so that no reader meets half a file; not being able to write is no error."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as handle:
            temporary = handle.name
            np.savez(
                handle,
                X=raw.X,
                y=raw.y,
                feature_names=np.array(raw.feature_names, dtype=np.str_),
                class_names=np.array(raw.class_names, dtype=np.str_),
                fingerprint=np.array(fingerprint(raw)),
            )
        os.replace(temporary, path)
    except OSError:
        pass  # a full or read-only disk costs the next process a second, nothing more
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


# --- A user's file --------------------------------------------------------------------------------


def _file(seed: int, path: str | os.PathLike[str], target: str | None, task: str) -> RawData:
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"data set 'file': path = {_short(path)}: must be text")
    source = os.fspath(path)
    _check_task(source, task)
    try:
        file = Path(source).expanduser()
        _check_file(source, file)
        reader = _read_csv if file.suffix.lower() == ".csv" else _read_parquet
        names, columns = reader(source, file, target)
    except OSError as error:
        raise UsageError(f"{source}: cannot be read: {_one_line(error.strerror or error)}") from None
    return _from_columns(source, names, columns, target, task)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())


def _check_file(source: str, file: Path) -> None:
    if file.is_dir():
        raise UsageError(f"{source}: is a directory; a .csv or .parquet file is needed")
    if not file.exists():
        siblings = os.listdir(file.parent) if file.parent.is_dir() else []
        near = difflib.get_close_matches(
            file.name, [s for s in siblings if s.lower().endswith((".csv", ".parquet"))]
        )
        raise UsageError(f"{source}: no such file" + (f"; did you mean {near[0]!r}?" if near else ""))
    if not file.is_file():
        raise UsageError(f"{source}: is not a regular file; a .csv or .parquet file is needed")
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"{source}: suffix {_short(file.suffix)} is not known; allowed: .csv, .parquet")
    if file.stat().st_size == 0:
        raise UsageError(f"{source}: the file is empty")


def _read_csv(source: str, file: Path, target: str | None) -> tuple[list[str], list[pa.ChunkedArray]]:
    """Column names and columns, each of numbers or booleans where all of its cells are, else of text."""
    import pyarrow as pa
    import pyarrow.csv

    raw_names, rows = _csv_header(source, file)
    names = _check_names(source, raw_names, target)
    _check_size(source, rows, len(names) - 1, text_bytes=file.stat().st_size)
    broken: list[Any] = []
    try:
        table = pyarrow.csv.read_csv(
            file,
            # Serial, because only then are rows numbered in messages; a block takes the widest allowed line.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=1 << 26),
            pyarrow.csv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=lambda r: broken.append(r) or "error"
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(raw_names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowException as error:
        if broken:
            row = broken[0]
            raise UsageError(
                f"{source}: data row {row.number - 1} has {row.actual_columns} columns, the header "
                f"{row.expected_columns}: {_short(row.text)}"
            ) from None
        place = re.search(r"Row #(\d+)", str(error))
        where = f", data row {int(place[1]) - 1}" if place else ""
        why = "is not UTF-8 text" if "UTF8" in str(error) else _one_line(error)
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
        raise UsageError(f"{source}: the header is not UTF-8 text with commas: {_one_line(error)}") from None
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
        line = _short(",".join(names))
        raise UsageError(
            f"{source}: the first line {line} looks like data; a first line of column names is needed"
        )


def _read_parquet(source: str, file: Path, target: str | None) -> tuple[list[str], list[pa.ChunkedArray]]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            names = _check_names(source, parquet.schema_arrow.names, target)
            _check_size(source, parquet.metadata.num_rows, len(names) - 1)
            return names, parquet.read(use_threads=False).columns
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{source}: is not a readable Parquet file: {_one_line(error)}") from None


# --- Columns to numbers ---------------------------------------------------------------------------


def _check_names(source: str, raw_names: Sequence[object], target: str | None) -> list[str]:
    """Names on one line each; refuses too few, nameless or double ones, and a target not among them."""
    names = [" ".join(str(name).split()) for name in raw_names]
    if len(names) < 2:
        what = f"only one column, {_short(names[0])}" if names else "no columns"
        raise UsageError(f"{source}: {what}; features and a target, separated by commas, are needed")
    seen: set[str] = set()
    for position, name in enumerate(names, 1):
        if not name or name.startswith("__index_level_"):
            raise UsageError(f"{source}: column {position} has no name; leave out an index column or name it")
        if name in seen:
            raise UsageError(f"{source}: duplicate column name {_short(name)}; names must differ")
        seen.add(name)
    if target is not None and str(target) not in seen:
        near = difflib.get_close_matches(str(target), names, n=1, cutoff=0.5)
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        hint = f"did you mean {near[0]!r}?" if near else f"allowed: {listed}"
        raise UsageError(f"{source}: target = {_short(target)} is not a column; {hint}")
    return names


def _from_columns(
    source: str, names: list[str], columns: Sequence[pa.ChunkedArray], target: str | None, task: str
) -> RawData:
    """Raw data of named columns, the target being the one called so, or the last."""
    place = len(names) - 1 if target is None else names.index(str(target))
    features = [i for i in range(len(names)) if i != place]
    samples = len(columns[place])
    _check_samples(source, samples)
    X = np.empty((samples, len(features)))
    for position, i in enumerate(features):
        X[:, position] = _numbers(source, names[i], columns[i], "feature")
    feature_names = tuple(names[i] for i in features)
    _check_finite(source, X, feature_names, "feature")
    y, task, class_names = _target(source, names[place], columns[place], task)
    return _described(source, X, y, task, feature_names, class_names)


def _check_samples(source: str, samples: int) -> None:
    if samples < 2:
        what = "no data below the header" if samples == 0 else "one sample only"
        raise UsageError(f"{source}: {what}; at least 2 samples are needed")


def _described(
    source: str,
    X: np.ndarray,
    y: np.ndarray,
    task: str,
    feature_names: tuple[str, ...],
    class_names: tuple[str, ...],
) -> RawData:
    ends = f"{len(class_names)} classes" if task == "classification" else f"{y.shape[1]} regression target(s)"
    text = f"{Path(source).name}: {len(X)} samples, {X.shape[1]} features, {ends}."
    return RawData(X, y, task, feature_names, class_names, text)


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


def _plain(source: str, name: str, column: pa.ChunkedArray, role: str) -> tuple[pa.ChunkedArray, bool]:
    """The column without dictionary, and whether it is text; refuses missing cells and other types."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = pc.index(pc.is_null(column), True).as_py()
        raise UsageError(f"{_cell(source, name, row)}: the cell is empty or NaN; every {role} needs a value")
    kind, types = column.type, pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return column.cast(pa.large_string()), True
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind):
        return column, False
    raise UsageError(f"{source}: column {_short(name)} holds {kind}; every {role} must be a number")


def _numbers(source: str, name: str, column: pa.ChunkedArray, role: str) -> np.ndarray:
    """The column as float64; an error naming its first cell that is text."""
    import pyarrow as pa

    column, text = _plain(source, name, column, role)
    if text:
        row = _first_text(column)
        value = column[row].as_py()
        what = f"{_short(value)} is text" if value else "the cell is empty"
        raise UsageError(f"{_cell(source, name, row)}: {what}; every {role} must be a number")
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


def _target(
    source: str, name: str, column: pa.ChunkedArray, task: str
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """(y, task, class names) of one column; under "auto" text, booleans and few integers are classes.

    Few: at most 20 distinct values and at most half as many as there are samples.
    """
    import pyarrow as pa

    column, text = _plain(source, name, column, "target")
    if task == "regression" or not (text or pa.types.is_boolean(column.type)):
        values = _numbers(source, name, column, "target")
        _check_finite(source, values[:, None], [name], "target")
        distinct = len(np.unique(values))
        few = pa.types.is_integer(column.type) and distinct <= min(20, len(values) // 2)
        if task == "regression" or (task == "auto" and not few):
            if distinct == 1:
                raise UsageError(f"{source}: target {_short(name)} is {values[0]:g} throughout; it must vary")
            return values[:, None], "regression", ()
    if text:
        _check_labels(source, name, column, task)
    classes, y = np.unique(column.to_numpy(), return_inverse=True)
    if len(classes) < 2:
        only = _short(classes[0].item() if hasattr(classes[0], "item") else classes[0])
        raise UsageError(
            f"{source}: target {_short(name)} has one class only, {only}; at least 2 classes are needed"
        )
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
        doubts.append(
            (pc.invert(number), 'is text among numbers; correct it, or say task = "classification"')
        )
    if task == "auto" and distinct > max(20, samples // 2):
        why = f'is one of {distinct} different texts; name another target, or say task = "classification"'
        doubts.append((pc.is_valid(column), why))
    for mask, why in doubts:
        row = pc.index(mask, True).as_py()
        if row >= 0:
            raise UsageError(f"{_cell(source, name, row)}: {_short(column[row].as_py())} {why}")


# --- Arrays and frames given in Python ------------------------------------------------------------


def _arrays(seed: int, X: Any, y: Any, target: str | None, task: str) -> RawData:
    _check_task("arrays", task)
    if y is not None and target is not None:
        raise UsageError(f"arrays: y and target = {_short(target)} are both given; one of them is allowed")
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        return _frame(X, y, target, task)
    if target is not None:
        raise UsageError(
            f"arrays: target = {_short(target)} names a column of a DataFrame, but X is an array; give y"
        )
    X = _matrix(X)
    return _with_y(X, tuple(f"x{i}" for i in range(X.shape[1])), y, task)


def _matrix(given: Any) -> np.ndarray:
    """X as float64 [samples, features], a copy."""
    X = _array("X", given)
    if X.ndim != 2 or X.shape[1] == 0:
        raise UsageError(f"arrays: X has shape {X.shape}; [samples, features] is needed")
    _check_samples("arrays", len(X))
    if X.dtype.kind not in "biuf":
        raise UsageError(f"arrays: X has dtype {X.dtype}; real numbers are needed")
    _check_size("arrays", *X.shape)
    with np.errstate(over="ignore"):  # a long double may become inf, which is then refused by name
        X = np.array(X, dtype=np.float64, order="C")
    _check_finite("arrays", X, [f"x{i}" for i in range(X.shape[1])], "feature")
    return X


def _array(name: str, given: Any) -> np.ndarray:
    if np.ma.is_masked(given):
        raise UsageError(f"arrays: {name} has masked elements; every element needs a value")
    try:
        return np.asarray(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"arrays: {name} is no array: {_one_line(error)}") from None


def _with_y(X: np.ndarray, feature_names: tuple[str, ...], given: Any, task: str) -> RawData:
    import pyarrow as pa

    if given is None:
        raise UsageError("arrays: y is missing; give y, or a DataFrame with the name of its target")
    y = _array("y", given)
    if y.ndim not in (1, 2) or y.size == 0 or len(y) != len(X):
        raise UsageError(f"arrays: y has shape {y.shape} and X {X.shape}; y needs one row per row of X")
    text = y.dtype.kind in "UT" or (y.dtype.kind == "O" and all(isinstance(v, str) for v in y.flat))
    if not text and y.dtype.kind not in "biuf":
        raise UsageError(f"arrays: y has dtype {y.dtype}; real numbers, booleans or text are needed")
    if y.ndim == 1 or y.shape[1] == 1:
        values = y.ravel().astype(object) if text else y.ravel()
        column = pa.chunked_array([pa.array(values, type=pa.large_string() if text else None)])
        y, task, class_names = _target("arrays", "y", column, task)
        return _described("arrays", X, y, task, feature_names, class_names)
    if text or task == "classification":
        raise UsageError(f"arrays: y has shape {y.shape}; classes need shape ({len(X)},)")
    y = np.array(y, dtype=np.float64, order="C")
    _check_finite("arrays", y, [f"y{i}" for i in range(y.shape[1])], "target")
    if (y == y[0]).all():
        raise UsageError("arrays: y is the same in every row; it must vary")
    return _described("arrays", X, y, "regression", feature_names, ())


def _frame(frame: pd.DataFrame, y: Any, target: str | None, task: str) -> RawData:
    """A pandas DataFrame, by the rules of a file; with `y` given apart, all of its columns are features."""
    _check_size("arrays", len(frame), frame.shape[1])
    if y is None:
        names = _check_names("arrays", frame.columns, target)
        columns = [_arrow_column(frame.iloc[:, i]) for i in range(len(names))]
        return _from_columns("arrays", names, columns, target, task)
    _check_samples("arrays", len(frame))
    names = _check_names("arrays", [*frame.columns, "y given apart"], None)[:-1]
    columns = [_arrow_column(frame.iloc[:, i]) for i in range(len(names))]
    pairs = zip(names, columns, strict=True)
    X = np.column_stack([_numbers("arrays", name, column, "feature") for name, column in pairs])
    _check_finite("arrays", X, names, "feature")
    return _with_y(np.ascontiguousarray(X), tuple(names), y, task)


def _arrow_column(series: pd.Series) -> pa.ChunkedArray:
    import pyarrow as pa

    try:
        column = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        # Objects of several kinds: as text, so that the first one that is no number can be named.
        column = pa.array([str(value) for value in series], pa.string())
    return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])


# --- The table ------------------------------------------------------------------------------------


def _bundled(name: str, task: str, description: str) -> DatasetSpec:
    return DatasetSpec(name, task, True, description, lambda seed: _from_sklearn(name))


_DIGITS = "1,797 handwritten digits, 8 x 8 pixels of 0 to 16, 10 classes (Alpaydin and Kaynak 1998, UCI)."
_IRIS = "150 iris flowers by 4 lengths and widths in cm, 3 species (Fisher 1936)."
_WINE = "178 Italian wines by 13 chemical measurements, 3 cultivars (Aeberhard and Forina 1992, UCI)."
_BREAST = (
    "569 breast tumors by 30 measurements of cell nuclei, malignant or benign (Street et al. 1993, UCI)."
)
_DIABETES = "442 diabetes patients by 10 baseline measurements, progression after a year (Efron et al. 2004)."
_SPIRALS_TEXT = (
    "Synthetic: 600 points (default) on spiral arms in the plane, one class an arm; generated by seed."
)
_MOONS_TEXT = (
    "Synthetic: 600 points (default) on two half circles in the plane, 2 classes; generated by seed."
)
_FILE = (
    "A user's CSV or Parquet file, up to 4 GB in memory; the last column is the target unless one is named."
)
_ARRAYS = "X and y, or a pandas DataFrame and the name of its target, given in Python; up to 4 GB in memory."

_POINTS = {"samples": (int, 4, 10_000_000), "noise": (float, 0, 10)}
_SPIRALS = MappingProxyType({"samples": 600, "arms": 2, "turns": 1.5, "noise": 0.05})
_SPIRALS_BOUNDS = MappingProxyType({**_POINTS, "arms": (int, 2, 100), "turns": (float, 0.1, 20)})
_MOONS, _MOONS_BOUNDS = MappingProxyType({"samples": 600, "noise": 0.1}), MappingProxyType(_POINTS)
_FILE_TAKES = MappingProxyType({"path": REQUIRED, "target": None, "task": "auto"})
_ARRAYS_TAKE = MappingProxyType({"X": REQUIRED, "y": None, "target": None, "task": "auto"})

_SPECS = (
    _bundled("digits", "classification", _DIGITS),
    _bundled("iris", "classification", _IRIS),
    _bundled("wine", "classification", _WINE),
    _bundled("breast_cancer", "classification", _BREAST),
    _bundled("diabetes", "regression", _DIABETES),
    DatasetSpec("spirals", "classification", False, _SPIRALS_TEXT, _spirals, _SPIRALS, _SPIRALS_BOUNDS),
    DatasetSpec("moons", "classification", False, _MOONS_TEXT, _moons, _MOONS, _MOONS_BOUNDS),
    DatasetSpec("file", "auto", True, _FILE, _file, _FILE_TAKES),
    DatasetSpec("arrays", "auto", True, _ARRAYS, _arrays, _ARRAYS_TAKE),
)
DATASETS: Mapping[str, DatasetSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})

"""Shards on disk: rows as Parquet, written so that a file is either whole or absent.

A shard is three files of the same name in `runs/`, `curves/` and `layers/`. Each is written under a temporary name,
synced and renamed, `runs/` last. It counts as complete when all three footers can be read, carry the campaign's digest
and have the rows that they should.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gradsim.campaign import Campaign
from gradsim.cohort import Cohort, layer_activations, layer_rates
from gradsim.engine.probe import STATISTICS
from gradsim.errors import GradsimError
from gradsim.plan import Plan, Shard
from gradsim.shard import Outcome, curve_columns, curve_steps, run_columns

TABLES = ("layers", "curves", "runs")
_DIGEST, _SHARD = b"gradsim.campaign", b"gradsim.shard"


def tables_of(
    campaign: Campaign, plan: Plan, cohort: Cohort, shard: Shard, result: Outcome, seconds: float
) -> dict[str, pa.Table]:
    """The rows of a shard, by table."""
    ids = plan.run_ids(shard.positions)
    n = len(ids)
    runs = {"run_id": pa.array(ids)} | setting_columns(plan, cohort, shard.positions)
    columns = run_columns(campaign, cohort, result) | {"seconds": np.full(n, seconds / n)}
    for name, values in columns.items():
        if name == "diagnosis_layer":
            runs[name] = pa.array(values, pa.int64(), mask=values < 0)
        else:
            runs[name] = _strings(values) if values.dtype.kind == "U" else _numbers(values)

    steps, batch, train = curve_columns(cohort, result)
    curves = {
        "run_id": _repeated(ids, len(steps)),
        "step": pa.array(np.tile(steps, n)),
        "batch_loss": _numbers(batch.reshape(-1)),
        "train_loss": _numbers(train.reshape(-1)),
    }
    checks, depth = cohort.checkpoints, cohort.task.architecture.depth
    layers = {
        "run_id": _repeated(ids, len(checks) * depth),
        "step": pa.array(np.tile(np.repeat(checks, depth), n)),
        "layer": pa.array(np.tile(np.arange(depth), n * len(checks))),
    }
    layers |= {name: _numbers(result.statistics[name].reshape(-1)) for name in STATISTICS}
    return {"runs": pa.table(runs), "curves": pa.table(curves), "layers": pa.table(layers)}


def setting_columns(plan: Plan, cohort: Cohort, positions: np.ndarray) -> dict[str, pa.Array]:
    """The settings' columns of `runs`; a parameter that is an axis has its own column and leaves the label."""
    codes = plan.codes(positions)
    numbers, inverse = np.unique(plan.cell_numbers(codes), return_inverse=True)
    cells = [plan.cells[c] for c in numbers]
    dotted = [name for name in plan.axis_names if "." in name]

    def label(field: str, choice) -> str:
        from gradsim.campaign import entry_of
        from gradsim.choices import short_label

        axes = {name.partition(".")[2] for name in dotted if name.partition(".")[0] == field}
        entry = entry_of(field, choice)
        defaults = {k: getattr(p, "default", p) for k, p in entry.parameters.items()}
        return short_label(choice, defaults | {k: v for k, v in choice.params if k in axes})

    def activation(cell) -> str:
        labels = [label("activation", c) for c in layer_activations(cell)] or [label("activation", cell.activation[0])]
        return labels[0] if len(set(labels)) == 1 else "-".join(labels)

    def gathered(values: list, kind: pa.DataType | None = None) -> pa.Array:
        if kind is None and values and isinstance(values[0], str):
            return pa.DictionaryArray.from_arrays(pa.array(inverse.astype(np.int32)), pa.array(values)).cast(
                pa.string()
            )
        return pa.array(values, kind).take(pa.array(inverse))

    widths = [cell.widths for cell in cells]
    columns = {
        "dataset": gathered([label("dataset", c.dataset) for c in cells]),
        "scaling": gathered([c.scaling for c in cells]),
        "depth": gathered([len(w) for w in widths], pa.int64()),
        "width": gathered([w[0] if len(set(w)) == 1 else None for w in widths], pa.int64()),
        "hidden": gathered(["-".join(map(str, w)) for w in widths]),
        "activation": gathered([activation(c) for c in cells]),
        "initializer": gathered([label("initializer", c.initializer) for c in cells]),
        "bias": gathered([c.bias for c in cells], pa.bool_()),
        "bias_initializer": gathered([label("bias_initializer", c.bias_initializer) for c in cells]),
        "loss": gathered([cohort.task.loss] * len(cells)),
        "optimizer": gathered([label("optimizer", c.optimizer) for c in cells]),
        "learning_rate": gathered([_single_rate(c) for c in cells], pa.float64()),
        "batch_size": gathered([cohort.task.batch] * len(cells), pa.int64()),
        "steps": gathered([c.steps for c in cells], pa.int64()),
        "dtype": gathered([c.dtype for c in cells]),
        "data_seed": gathered([c.data_seed for c in cells], pa.int64()),
        "seed": gathered([c.seed for c in cells], pa.int64()),
    }
    for i, axis in enumerate(plan.axes):
        for name, values in zip(axis.names, axis.values, strict=True):
            if i in plan.lane_axes or "." in name:
                plain = np.array([v[0] if isinstance(v, tuple) else v for v in values])
                columns[name] = pa.array(plain[codes[:, i]])
    return columns


def _single_rate(cell) -> float:
    rates = set(layer_rates(cell))
    return rates.pop() if len(rates) == 1 else float("nan")


def _numbers(values: np.ndarray) -> pa.Array:
    """NaN is stored as null: pandas gives NaN back, and SQL leaves it out of averages."""
    return pa.array(values, from_pandas=True)


def _strings(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(object), pa.string())


def _repeated(ids: np.ndarray, times: int) -> pa.Array:
    """Each id so many times: 16 characters once, then small numbers."""
    codes = pa.array(np.repeat(np.arange(len(ids), dtype=np.int32), times))
    return pa.DictionaryArray.from_arrays(codes, pa.array(ids)).cast(pa.string())


# --- files ----------------------------------------------------------------------------------------


def write_shard(folder: Path, shard: Shard, tables: dict[str, pa.Table], digest: str) -> None:
    """Write the three files of a shard. Raises GradsimError with one line where the disk does not take them."""
    for table in TABLES:
        target = folder / table / f"{shard.name}.parquet"
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        marked = tables[table].replace_schema_metadata({_DIGEST: digest.encode(), _SHARD: shard.name.encode()})
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as sink:
                pq.write_table(marked, sink, compression="zstd")
                sink.flush()
                os.fsync(sink.fileno())
            os.replace(temporary, target)
            _sync_folder(target.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise GradsimError(f"{target}: cannot be written: {error.strerror or error}") from None


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where folders can be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def expected_rows(cohort: Cohort, runs: int) -> dict[str, int]:
    """Rows that a shard's tables should have."""
    per_run = {
        "runs": 1,
        "curves": len(curve_steps(cohort)),
        "layers": len(cohort.checkpoints) * cohort.task.architecture.depth,
    }
    return {table: per_run[table] * runs for table in TABLES}


def is_complete(folder: Path, shard: Shard, rows: dict[str, int], digest: str) -> bool:
    """Whether all three files of a shard are whole and of this campaign."""
    for table in TABLES:
        path = folder / table / f"{shard.name}.parquet"
        try:
            found = pq.read_metadata(path)
        except (OSError, pa.ArrowException):
            return False
        marks = found.metadata or {}
        if (
            found.num_rows != rows[table]
            or marks.get(_DIGEST) != digest.encode()
            or marks.get(_SHARD) != shard.name.encode()
        ):
            return False
    return True


_SHARD_FILE = re.compile(r"c\d{4,}-s\d{6,}\.parquet")


def shard_files(folder: Path, table: str) -> list[Path]:
    """The files of a table, in the order of the plan."""
    place = folder / table
    return sorted(p for p in place.iterdir() if _SHARD_FILE.fullmatch(p.name)) if place.is_dir() else []

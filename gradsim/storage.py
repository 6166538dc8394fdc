"""A shard's results as the rows of Parquet tables: runs, and as much of curves and layers as the campaign stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from gradsim.axes import taken
from gradsim.campaign import Campaign
from gradsim.choices import Choice, short_label
from gradsim.cohort import Cohort, checkpoints_of, layer_rates, loss_for
from gradsim.engine.probe import STATISTICS
from gradsim.fields import RunFields, label_of, table_of
from gradsim.plan import Plan, Shard
from gradsim.resolve import distinct_activations
from gradsim.results import STORED
from gradsim.shard import Outcome, curve_columns, curve_steps, run_columns, sharpness_columns, target_losses


def tables_of(
    campaign: Campaign, plan: Plan, cohort: Cohort, shard: Shard, result: Outcome, seconds: float
) -> dict[str, pa.Table]:
    """The rows of a shard, by table: those that the campaign stores."""
    stored = STORED[campaign.store]
    ids = plan.run_ids(shard.positions)
    n = len(ids)
    runs = {"run_id": pa.array(ids)} | setting_columns(plan, cohort, shard.positions)
    targets = target_losses(plan, cohort, shard.positions)
    columns = run_columns(campaign, cohort, result, targets) | {"seconds": np.full(n, seconds / n)}
    for name, values in columns.items():
        if name == "diagnosis_layer":
            runs[name] = pa.array(values, pa.int64(), mask=values < 0)
        else:
            runs[name] = _strings(values) if values.dtype.kind == "U" else _numbers(values)

    tables = {"runs": pa.table(runs)}
    if "curves" in stored:
        tables["curves"] = _curves(cohort, result, ids, sharpness_columns(plan, cohort, shard.positions, result))
    if "layers" in stored:
        tables["layers"] = _layers(cohort, result, ids)
    return tables


def _curves(cohort: Cohort, result: Outcome, ids: np.ndarray, more: dict[str, np.ndarray]) -> pa.Table:
    steps, batch, train = curve_columns(cohort, result)
    columns = {
        "run_id": _repeated(ids, len(steps)),
        "step": pa.array(np.tile(steps, len(ids))),
        "batch_loss": _numbers(batch.reshape(-1)),
        "train_loss": _numbers(train.reshape(-1)),
    }
    return pa.table(columns | {name: _finite(values.reshape(-1)) for name, values in more.items()})


def _layers(cohort: Cohort, result: Outcome, ids: np.ndarray) -> pa.Table:
    checks, depth = cohort.checkpoints, cohort.task.architecture.depth
    columns = {
        "run_id": _repeated(ids, len(checks) * depth),
        "step": pa.array(np.tile(np.repeat(checks, depth), len(ids))),
        "layer": pa.array(np.tile(np.arange(depth), len(ids) * len(checks))),
    }
    return pa.table(columns | {name: _finite(result.statistics[name].reshape(-1)) for name in STATISTICS})


def setting_columns(plan: Plan, cohort: Cohort, positions: np.ndarray) -> dict[str, pa.Array]:
    """The settings' columns of `runs`; a parameter that is an axis has its own column and leaves the label."""
    codes = plan.codes(positions)
    numbers, inverse = np.unique(plan.cell_numbers(codes), return_inverse=True)
    rows = [_settings(plan, cohort, plan.cells[c]) for c in numbers]
    kinds = {name: _KINDS.get(name.partition(".")[0], pa.string()) for name in rows[0]}
    columns = {
        name: pa.array([row[name] for row in rows], kind, from_pandas=True).take(pa.array(inverse))
        for name, kind in kinds.items()
    }
    for i, axis in enumerate(plan.axes):
        for name, values in zip(axis.names, axis.values, strict=True):
            if i in plan.lane_axes or "." in name:
                columns[name] = pa.array(taken(values, codes[:, i]))
    return columns


_KINDS = {
    **dict.fromkeys(("depth", "width", "batch_size", "steps", "data_seed", "seed"), pa.int64()),
    "bias": pa.bool_(),
    "learning_rate": pa.float64(),
    "test_fraction": pa.float64(),
    "label_noise": pa.float64(),
}


def _settings(plan: Plan, cohort: Cohort, cell: RunFields) -> dict[str, object]:
    """The settings of a cell as they stand in `runs`; None where there is no one value."""
    widths, rates = cell.widths, set(layer_rates(cell))
    return {
        "dataset": _dataset_label(plan, cell.dataset),
        "scaling": cell.scaling,
        "test_fraction": cell.test_fraction,
        "label_noise": cell.label_noise,
        "depth": len(widths),
        "width": widths[0] if len(set(widths)) == 1 else None,
        "hidden": "-".join(map(str, widths)),
        "activation": "-".join(_label(plan, "activation", c) for c in distinct_activations(cell)),
        "initializer": _label(plan, "initializer", cell.initializer),
        "bias": cell.bias,
        "bias_initializer": _label(plan, "bias_initializer", cell.bias_initializer),
        "loss": _label(plan, "loss", loss_for(cell, cohort.data.task)),
        "optimizer": _label(plan, "optimizer", cell.optimizer),
        "schedule": _label(plan, "schedule", cell.schedule),
        "learning_rate": rates.pop() if len(rates) == 1 else None,
        **_listed_rates(plan, cell),
        "batch_size": cohort.task.batch,
        "batch_order": cell.batch_order,
        "steps": cell.steps,
        "dtype": cell.dtype,
        "data_seed": cell.data_seed,
        "seed": cell.seed,
    }


def _listed_rates(plan: Plan, cell: RunFields) -> dict[str, float | None]:
    """Where an axis has several lists of learning rates, a column a layer: without a number, all would be alike."""
    rates = dict(enumerate(layer_rates(cell)))
    return {f"learning_rate.{layer}": rates.get(layer) for layer in range(plan.listed_rates)}


def _label(plan: Plan, field: str, choice: Choice) -> str:
    """The choice without the parameters that are at their defaults, or that are axes."""
    own = {name.partition(".")[2] for name in plan.axis_names if name.startswith(f"{field}.")}
    return label_of(field, choice, {k: v for k, v in choice.params if k in own})


def _dataset_label(plan: Plan, choice: Choice) -> str:
    """A file by its name, with its folder only where two of the campaign's have the same name; arrays as "arrays"."""
    if choice.name == "arrays":
        return "arrays"
    if choice.name != "file":
        return _label(plan, "dataset", choice)
    paths = {c.values["path"] for c in plan.varied("dataset") if c.name == "file"}
    path = Path(choice.values["path"])
    name = path.name if [Path(p).name for p in paths].count(path.name) <= 1 else str(path)
    others = Choice(name, tuple((k, v) for k, v in choice.params if k != "path"))
    defaults = table_of("dataset")["file"].parameters
    own = {name.partition(".")[2] for name in plan.axis_names if name.startswith("dataset.")}
    return short_label(others, defaults | {k: v for k, v in others.params if k in own})


def _numbers(values: np.ndarray) -> pa.Array:
    """NaN is stored as null: pandas gives NaN back, and SQL leaves it out of averages."""
    return pa.array(values, from_pandas=True)


def _finite(values: np.ndarray) -> pa.Array:
    """A statistic that overflowed is no number either."""
    return _numbers(np.where(np.isfinite(values), values, np.nan))


def _strings(values: np.ndarray) -> pa.Array:
    return pa.array(values.astype(object), pa.string())


def _repeated(ids: np.ndarray, times: int) -> pa.Array:
    """Each id so many times: 16 characters once, then small numbers."""
    codes = pa.array(np.repeat(np.arange(len(ids), dtype=np.int32), times))
    return pa.DictionaryArray.from_arrays(codes, pa.array(ids)).cast(pa.string())


def expected_rows(campaign: Campaign, cell: RunFields) -> dict[str, int]:
    """Rows of one run of a cell in each table that the campaign stores."""
    checkpoints = checkpoints_of(cell.steps, campaign.checkpoints)
    rows = {
        "runs": 1,
        "curves": len(curve_steps(cell.steps, checkpoints)),
        "layers": len(checkpoints) * (len(cell.widths) + 1),
    }
    return {table: rows[table] for table in STORED[campaign.store]}

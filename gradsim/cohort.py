"""What the networks of a cohort share: data, batches, shape, loss, and when they are looked at.

A *cell* is the settings of some runs (`RunFields`); cells with the same `cohort_key` can share groups of lanes.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from gradsim import datasets
from gradsim.activations import ACTIVATIONS
from gradsim.activations.spec import Activation
from gradsim.choices import Choice
from gradsim.datasets import Dataset
from gradsim.engine.network import Architecture
from gradsim.engine.probe import STATISTICS
from gradsim.engine.random import STREAM_BATCHES, STREAM_DRAWS, draws, permutation
from gradsim.engine.train import Samples, Task
from gradsim.errors import UsageError
from gradsim.fields import LOSS_AUTO, RunFields, completed
from gradsim.lanes.vector import WIDEST
from gradsim.losses import LOSSES

if TYPE_CHECKING:
    from gradsim.campaign import Campaign

# Nominal speed of one thread, for the size of shards only: flops a second, and seconds an activation or a step.
_FLOPS = {"float32": 45e9, "float64": 22e9}
_SECONDS_PER_ACTIVATION, _SECONDS_PER_STEP = 0.5e-9, 1e-6
# Products with the Hessian that the sharpness of a network at a checkpoint takes.
_HESSIAN_PRODUCTS = 20
_MAX_CACHED_DATASETS = 16
# Indices of all batches are held at once, 8 bytes each; weights of a group, their gradients and states too.
MAX_BATCH_INDICES = 100_000_000
MAX_PARAMETERS = 20_000_000


# --- which runs belong together -------------------------------------------------------------------


def layer_activations(cell: RunFields) -> tuple[Choice, ...]:
    """One choice for each hidden layer."""
    hidden = len(cell.widths)
    return cell.activation if len(cell.activation) == hidden else cell.activation * hidden


def layer_rates(cell: RunFields) -> tuple[float, ...]:
    """One learning rate for each layer of weights."""
    layers = len(cell.widths) + 1
    return cell.learning_rate if len(cell.learning_rate) == layers else cell.learning_rate * layers


def data_key(cell: RunFields, what: str = "split") -> tuple:
    """Equal for runs with the same split; what = "data": the same arrays too; "batches": the same batches too."""
    key = (cell.dataset.key, cell.scaling, cell.test_fraction, cell.label_noise, cell.data_seed)
    extra = {"split": (), "data": (cell.dtype,), "batches": (cell.batch_size, batch_order(cell), cell.steps)}
    return key + extra[what]


def batch_order(cell: RunFields) -> str:
    """How batches are drawn: the same however they would be, where a batch is all there is."""
    return "epoch" if cell.batch_size == "full" else cell.batch_order


def cohort_key(cell: RunFields) -> tuple:
    """Equal for runs that may sit in one group."""
    return (
        data_key(cell, "data"),
        cell.loss if cell.loss == LOSS_AUTO else cell.loss.name,
        cell.batch_size,
        batch_order(cell),
        cell.steps,
        cell.widths,
        tuple(_shaped(c) for c in layer_activations(cell)),
        cell.bias,
        cell.optimizer.name,
        cell.schedule.name,
    )


def _shaped(choice: Choice) -> tuple:
    """Which activation, and what of it shapes the network."""
    shaping = ACTIVATIONS[choice.name].with_role("shape")
    return choice.name, *((k, v) for k, v in choice.params if k in shaping)


# --- data -----------------------------------------------------------------------------------------

_datasets: OrderedDict[tuple, tuple[Choice, object, Dataset]] = OrderedDict()
_datasets_lock = Lock()


def dataset_of(cell: RunFields) -> Dataset:
    """The data of a run, split and scaled; kept for the next run on the same data."""
    key, version = data_key(cell), _file_version(cell.dataset)
    with _datasets_lock:
        if key not in _datasets or _datasets[key][1] != version:
            prepared = datasets.prepare(
                cell.dataset.name,
                cell.dataset.values,
                scaling=cell.scaling,
                test_fraction=cell.test_fraction,
                label_noise=cell.label_noise,
                data_seed=cell.data_seed,
            )
            # The choice is kept with it: it keeps a user's arrays, whose identity is in the key, alive.
            _datasets[key] = (cell.dataset, version, prepared)
            while len(_datasets) > _MAX_CACHED_DATASETS:
                _datasets.popitem(last=False)
        _datasets.move_to_end(key)
        return _datasets[key][2]


def _file_version(choice: Choice) -> tuple[int, int] | None:
    """What changes when the user saves a data file anew."""
    if choice.name != "file":
        return None
    try:
        found = os.stat(os.path.expanduser(choice.values["path"]))
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _called(cell: RunFields) -> str:
    """What messages call the data."""
    return str(cell.dataset.values.get("path") or cell.dataset.name)


def loss_for(cell: RunFields, task: str) -> Choice:
    """The loss; "auto" is cross-entropy for classes and mean squared error for numbers."""
    if cell.loss == LOSS_AUTO:
        return completed("loss", Choice("softmax_cross_entropy" if task == "classification" else "mean_squared_error"))
    if task not in LOSSES[cell.loss.name].tasks:
        allowed = ", ".join(name for name, loss in LOSSES.items() if task in loss.tasks)
        raise UsageError(f"loss = {cell.loss.name!r}: {_called(cell)} is {task}; allowed: {allowed}")
    return cell.loss


def _check_targets(cell: RunFields, loss: str, data: Dataset) -> None:
    """Whether the targets of regression are such as the loss can be asked to fit."""
    if LOSSES[loss].target_range is None or data.task == "classification":
        return
    low, high = LOSSES[loss].target_range
    targets = np.concatenate([data.y_train, data.y_test])
    if targets.min() < low or targets.max() > high:
        hint = "" if cell.scaling == "none" else '; scaling = "none" leaves them as they are'
        raise UsageError(
            f"loss = {loss!r}: targets of {_called(cell)} are from {targets.min():.3g} to {targets.max():.3g}; "
            f"allowed: {low:g} to {high:g}{hint}"
        )


def batch_of(cell: RunFields, data: Dataset) -> int:
    """Samples a step."""
    if cell.batch_size == "full":
        return data.train_samples
    if cell.batch_size > data.train_samples:
        raise UsageError(
            f"batch_size = {cell.batch_size}: {_called(cell)} has {data.train_samples} training samples; "
            'give at most that, or "full"'
        )
    return cell.batch_size


def check_with_data(cell: RunFields) -> None:
    """Whether the data of a run can be had, and its loss, batches and network fit them. Raises UsageError."""
    data = dataset_of(cell)
    _check_targets(cell, loss_for(cell, data.task).name, data)
    batch = batch_of(cell, data)
    if cell.batch_size != "full" and batch * cell.steps > MAX_BATCH_INDICES:
        raise UsageError(
            f"steps = {cell.steps}, batch_size = {batch}: {batch * cell.steps:,} samples to draw; "
            f"at most {MAX_BATCH_INDICES:,} are allowed"
        )
    parameters = architecture_of(cell, data).parameter_count
    if parameters > MAX_PARAMETERS:
        raise UsageError(f"a network has {parameters:,} parameters; at most {MAX_PARAMETERS:,} are allowed")


def batch_indices(campaign: Campaign, cell: RunFields) -> np.ndarray:
    """int64 [steps, batch]: rows of the training data.

    Epoch by epoch in an order drawn anew, what is left of an epoch that does not fill a batch being dropped; or each
    row drawn from all, with replacement. A full batch takes all rows in order.
    """
    data = dataset_of(cell)
    batch, n = batch_of(cell, data), data.train_samples
    if cell.batch_size == "full":
        return np.broadcast_to(np.arange(n), (cell.steps, n))
    if batch_order(cell) == "replacement":
        drawn = draws(campaign.campaign_seed, cell.data_seed, STREAM_DRAWS, cell.steps * batch, n)
        return drawn.reshape(cell.steps, batch)
    per_epoch = n // batch
    epochs = -(-cell.steps // per_epoch)
    order = np.empty((epochs, per_epoch, batch), np.int64)
    for epoch in range(epochs):
        drawn = permutation(campaign.campaign_seed, cell.data_seed, STREAM_BATCHES, epoch, n)
        order[epoch] = drawn[: per_epoch * batch].reshape(per_epoch, batch)
    return order.reshape(-1, batch)[: cell.steps]


def targets_of(data: Dataset, y: np.ndarray) -> np.ndarray:
    """What losses on targets are measured against: the numbers, or labels as one-hot rows."""
    return np.eye(data.outputs)[y] if y.ndim == 1 else y


def data_arrays(cell: RunFields) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X_train, y_train, X_test, y_test in the run's precision; labels stay integers."""
    data = dataset_of(cell)

    def cast(a: np.ndarray) -> np.ndarray:
        return a.copy() if a.dtype.kind == "i" else a.astype(cell.dtype)

    return cast(data.X_train), cast(data.y_train), cast(data.X_test), cast(data.y_test)


def _samples(data: Dataset, X: np.ndarray, y: np.ndarray, loss: str, dtype: np.dtype) -> Samples:
    labels = y if y.ndim == 1 else np.empty(0, np.int64)
    targets = targets_of(data, y) if LOSSES[loss].on_targets else np.empty(0)
    return Samples(
        np.ascontiguousarray(X, dtype).reshape(-1),
        np.ascontiguousarray(labels, np.int64),
        np.ascontiguousarray(targets, dtype).reshape(-1),
    )


# --- cohorts --------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a cohort's networks cost: nominal seconds of a group on one thread, networks a group, bytes of a group's
    weights and records, flops a run."""

    group_seconds: float
    lanes: int
    group_bytes: int
    run_flops: float


@dataclasses.dataclass(frozen=True)
class Cohort:
    """What the networks of a cohort share, ready to train."""

    cell: RunFields
    data: Dataset
    task: Task

    @property
    def checkpoints(self) -> np.ndarray:
        """Steps that are recorded."""
        return self.task.checkpoints


def architecture_of(cell: RunFields, data: Dataset) -> Architecture:
    """The shape of a run's network, with its activations at their present parameters."""
    activations = tuple(bound_activation(c) for c in layer_activations(cell))
    return Architecture((data.features, *cell.widths, data.outputs), activations, cell.bias)


def bound_activation(choice: Choice) -> Activation:
    """The activation with its parameters' values; the same object for the same choice."""
    return _bound(ACTIVATIONS[choice.name], choice)


@functools.lru_cache(maxsize=10_000)
def _bound(entry: Activation, choice: Choice) -> Activation:
    # The entry is part of the key: a user may define an activation anew under its old name.
    return entry.with_values(**choice.values)


def cohort_cost(campaign: Campaign, cell: RunFields) -> Cost:
    """Nominal figures; they depend on the campaign alone, never on the machine."""
    data = dataset_of(cell)
    batch, architecture = batch_of(cell, data), architecture_of(cell, data)
    dtype = np.dtype(cell.dtype)
    lanes = WIDEST[dtype]
    flops = cell.steps * architecture.step_flops(batch)
    seconds = lanes * (flops / _FLOPS[cell.dtype] + cell.steps * batch * sum(cell.widths) * _SECONDS_PER_ACTIVATION)
    checks = len(checkpoints_of(cell.steps, campaign.checkpoints))
    records = 8 * (cell.steps + checks * (1 + architecture.depth * len(STATISTICS)))
    weights = architecture.parameter_count * dtype.itemsize
    if campaign.sharpness:
        samples = min(campaign.probe_samples, data.train_samples)
        products = checks * _HESSIAN_PRODUCTS * 12 * samples * architecture.multiplications
        seconds += lanes * products / _FLOPS["float64"]
        flops += products
        weights *= 1 + checks  # kept until the end of training
    return Cost(seconds + cell.steps * _SECONDS_PER_STEP, lanes, lanes * (records + weights), flops)


def checkpoints_of(steps: int, chosen: tuple[int, ...] | None = None) -> np.ndarray:
    """Steps that are recorded: 0, the step after two thirds, the last, and between them the chosen ones or, by default,
    those of 1, 3, 10, 30, ... that lie between a hundredth and half of the steps."""
    fixed = {0, two_thirds(steps), steps}
    if chosen is not None:
        late = [s for s in chosen if s > steps]
        if late:
            raise UsageError(f"checkpoints: {late[0]} is beyond the last step, {steps}")
        return np.array(sorted(fixed | set(chosen)))
    ladder = {m * 10**k for k in range(8) for m in (1, 3)}
    return np.array(sorted(fixed | {s for s in ladder if steps / 100 <= s <= steps / 2}))


def two_thirds(steps: int) -> int:
    """The step that the gain of the last third is measured from."""
    return math.ceil(2 * steps / 3)


def cohort_of(campaign: Campaign, cell: RunFields, checkpoints: list[int] | None = None) -> Cohort:
    """Data, batches and shape of the cohort that a cell belongs to. Raises UsageError where they do not fit."""
    data = dataset_of(cell)
    check_with_data(cell)
    loss = loss_for(cell, data.task).name
    dtype = np.dtype(cell.dtype)
    steps = checkpoints_of(cell.steps, campaign.checkpoints if checkpoints is None else tuple(checkpoints))
    full = cell.batch_size == "full"
    batches = np.empty((cell.steps, 0), np.int64) if full else batch_indices(campaign, cell)
    task = Task(
        architecture=architecture_of(cell, data),
        dtype=dtype,
        loss=loss,
        optimizer=cell.optimizer.name,
        train=_samples(data, data.X_train, data.y_train, loss, dtype),
        test=_samples(data, data.X_test, data.y_test, loss, dtype),
        classes=data.outputs if data.task == "classification" else 0,
        batches=np.ascontiguousarray(batches),
        checkpoints=steps,
        probe_samples=min(campaign.probe_samples, data.train_samples),
        campaign_seed=campaign.campaign_seed,
        sharpness=campaign.sharpness,
    )
    return Cohort(cell, data, task)

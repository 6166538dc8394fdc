"""One shard: from the settings of its runs to arrays for the engine, and from the engine's records to rows.

Everything here is a function of the campaign and of a run's own settings, never of the shard: which runs happen to
share it changes no number.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gradsim import outcomes
from gradsim.axes import taken
from gradsim.campaign import Campaign
from gradsim.choices import Choice
from gradsim.cohort import Cohort, bound_activation, layer_activations, layer_rates, loss_for, two_thirds
from gradsim.engine.initialize import initial_parameters
from gradsim.engine.network import lanes_array
from gradsim.engine.probe import STATISTICS
from gradsim.engine.rescale import SAMPLES
from gradsim.engine.train import FINAL, Networks, Records, saturation_limits
from gradsim.lanes import aligned_empty, group_count
from gradsim.losses import LOSSES
from gradsim.optimizers import OPTIMIZERS
from gradsim.plan import Plan
from gradsim.schedules import SCHEDULES
from gradsim.starts import network_starts

TAIL_STEPS = 20
CURVE_POINTS = 50
# What stands for a loss that is not finite, and the most that a loss relative to the first counts for.
LARGEST_LOSS = 1e6


# --- lanes ----------------------------------------------------------------------------------------


def networks_of(plan: Plan, cohort: Cohort, positions: np.ndarray) -> Networks:
    """Initial weights and numbers of the runs, in groups."""
    task, dtype = cohort.task, cohort.task.dtype
    architecture = task.architecture
    cells, inverse, lane_values = _settings_of(plan, positions)
    seeds = lane_values.get("seed", np.array([c.seed for c in cells])[inverse]).astype(np.uint64)
    rates, steering = _rates(cells, inverse, lane_values), _steering(cells, inverse, lane_values)
    parameters, limits = _activation_numbers(cells, inverse, lane_values)

    layers = rates.shape[1]
    optimizer_numbers = np.concatenate([rates[:, :, None], np.repeat(steering[:, None, :], layers, axis=1)], axis=2)
    grouped = lanes_array(optimizer_numbers, dtype)
    own = _loss_numbers(cohort, cells, inverse, lane_values)
    loss = lanes_array(own if own.shape[1] else np.zeros((len(own), 1)), dtype)
    grouped_limits = lanes_array(limits, dtype)
    grouped_parameters = lanes_array(parameters, dtype)
    grouped_seeds = lanes_array(seeds, dtype)
    return Networks(
        weights=initial_parameters(
            architecture,
            dtype,
            plan.campaign.campaign_seed,
            seeds,
            network_starts(cells, inverse, lane_values, architecture.shapes),
            parameters,
            cohort.data.X_train[:SAMPLES],
        ),
        parameters=_aligned(grouped_parameters.reshape(len(grouped), -1), dtype),
        numbers=_aligned(grouped.reshape(*grouped.shape[:2], -1), dtype),
        saturation=saturation_limits(grouped_limits[:, :, 0], grouped_limits[:, :, 1], dtype),
        seeds=np.ascontiguousarray(grouped_seeds).view(np.float64),
        factors=_factors(cells, inverse, lane_values, dtype),
        loss=_aligned(loss.reshape(len(loss), -1), dtype),
    )


def _settings_of(plan: Plan, positions: np.ndarray) -> tuple[list, np.ndarray, dict[str, np.ndarray]]:
    """Cells, which of them each run has, and the values of the lane axes, by run."""
    codes = plan.codes(positions)
    numbers, inverse = np.unique(plan.cell_numbers(codes), return_inverse=True)
    lane_values = {
        name: taken(values, codes[:, i])
        for i in plan.lane_axes
        for name, values in zip(plan.axes[i].names, plan.axes[i].values, strict=True)
    }
    return [plan.cells[c] for c in numbers], inverse, lane_values


def _rates(cells, inverse, lane_values) -> np.ndarray:
    """Learning rates [n, layers]."""
    rates = np.array([layer_rates(c) for c in cells])[inverse]
    if "learning_rate" in lane_values:
        rates = np.repeat(lane_values["learning_rate"][:, None], rates.shape[1], axis=1)
    for layer in range(rates.shape[1]):
        if f"learning_rate.{layer}" in lane_values:
            rates[:, layer] = lane_values[f"learning_rate.{layer}"]
    return rates


def _steering(cells, inverse, lane_values) -> np.ndarray:
    """The parameters of each run's optimizer [n, K]."""
    steering = np.array([[v for _, v in c.optimizer.params] for c in cells])[inverse]
    for j, name in enumerate(OPTIMIZERS[cells[0].optimizer.name].parameters):
        steering[:, j] = lane_values.get(f"optimizer.{name}", steering[:, j])
    return steering


def _loss_numbers(cohort: Cohort, cells, inverse, lane_values) -> np.ndarray:
    """The parameters of each run's loss [n, K]."""
    given = [loss_for(c, cohort.data.task).values for c in cells]
    columns = [
        lane_values.get(f"loss.{name}", np.array([v[name] for v in given])[inverse])
        for name in LOSSES[cohort.task.loss].parameters
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(inverse), 0))


def target_losses(plan: Plan, cohort: Cohort, positions: np.ndarray) -> np.ndarray:
    """The loss at which each run has converged [n]: the campaign's share of the way from the least loss that there can
    be up to the best constant prediction's."""
    loss, data = LOSSES[cohort.task.loss], cohort.data
    numbers = _loss_numbers(cohort, *_settings_of(plan, positions))
    # A column of zeros, for NumPy tells no rows without columns apart.
    distinct, which = np.unique(np.pad(numbers, ((0, 0), (0, 1))), axis=0, return_inverse=True)
    targets = []
    for row in distinct.tolist():
        values = dict(zip(loss.parameters, row, strict=False))
        least = loss.least_loss(data.y_train, data.outputs, **values)
        constant = loss.constant_loss(data.y_train, data.outputs, **values)
        targets.append(least + plan.campaign.target * (constant - least))
    return np.array(targets)[which.reshape(-1)]


def _scheduled(cells, inverse, lane_values) -> np.ndarray | None:
    """Factors of the learning rate [n, steps]; None for constant rates."""
    schedule, steps = SCHEDULES[cells[0].schedule.name], cells[0].steps
    own = {}
    for name in schedule.parameters:
        given = np.array([c.schedule.values[name] for c in cells])[inverse]
        own[name] = lane_values.get(f"schedule.{name}", given)
    if schedule.name == "constant" and not own["warmup"].any():
        return None
    return schedule.factors(steps, **own)


def _factors(cells, inverse, lane_values, dtype) -> np.ndarray:
    """The same as [groups, steps * L]; [groups, 0] for constant rates."""
    scheduled = _scheduled(cells, inverse, lane_values)
    if scheduled is None:
        return np.empty((group_count(len(inverse), dtype), 0), dtype)
    factors = lanes_array(scheduled, dtype)
    return _aligned(factors.reshape(len(factors), -1), dtype)


def _aligned(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    out = aligned_empty(values.shape, dtype)
    out[...] = values
    return out


def _activation_numbers(cells, inverse, lane_values) -> tuple[np.ndarray, np.ndarray]:
    """Parameters of all layers' activations [n, A] (at least one column), and (max slope, where) [n, hidden, 2]."""
    n = len(inverse)
    layers = [layer_activations(c) for c in cells]
    columns, limits = [np.zeros(n)], np.zeros((n, len(layers[0]), 2))
    for k in range(len(layers[0])):
        values = np.array([[v for _, v in mine[k].params] for mine in layers])[inverse]
        name, keys = layers[0][k].name, [key for key, _ in layers[0][k].params]
        for j, key in enumerate(keys):
            values[:, j] = lane_values.get(f"activation.{key}", values[:, j])
        distinct, which = np.unique(values, axis=0, return_inverse=True)
        bound = [bound_activation(Choice(name, tuple(zip(keys, row, strict=True)))) for row in distinct.tolist()]
        limits[:, k] = np.array([(a.max_slope, a.steepest_at) for a in bound])[which.reshape(-1)]
        columns += list(values.T)
    # The kernels start layer 0's parameters at column 0; the placeholder stands last.
    return np.stack(columns[1:] + columns[:1], axis=1), limits


# --- a shard run, and its rows --------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the runs of a shard left: arrays with the run first, NaN from a run's first non-finite loss on."""

    losses: np.ndarray  # [n, steps] batch losses
    train_loss: np.ndarray  # [n, checkpoints]
    final: dict[str, np.ndarray]  # [n] each
    statistics: dict[str, np.ndarray]  # [n, checkpoints, layers] each
    first_nonfinite: np.ndarray  # [n], NaN where all finite
    sharpness: np.ndarray  # [n, checkpoints], [0, checkpoints] where it is not measured


def outcome_of(cohort: Cohort, records: Records, n: int) -> Outcome:
    """The records of the first n lanes, by run."""
    losses, train_loss, final = (_by_run(a, n) for a in (records.losses, records.train_loss, records.final))
    size = records.losses.shape[-1]
    shape = records.statistics.shape
    stats = _by_run(records.statistics.reshape(*shape[:-1], len(STATISTICS), size), n)
    steps, checks = np.arange(losses.shape[1]), cohort.checkpoints
    first = np.fmin(_first(~np.isfinite(losses), steps), _first(~np.isfinite(train_loss), checks))
    alive = np.where(np.isnan(first), np.inf, first)
    losses[steps >= alive[:, None]] = np.nan
    gone = checks >= alive[:, None]
    train_loss[gone] = np.nan
    stats[gone] = np.nan
    sharpness = _by_run(records.sharpness, n)
    sharpness[gone[: len(sharpness)]] = np.nan
    final[gone[:, -1]] = np.nan
    return Outcome(
        losses=losses,
        train_loss=train_loss,
        final=dict(zip(FINAL, final.T, strict=True)),
        statistics=dict(zip(STATISTICS, np.moveaxis(stats, -1, 0), strict=True)),
        first_nonfinite=first,
        sharpness=sharpness,
    )


def _by_run(values: np.ndarray, n: int) -> np.ndarray:
    """[groups, ..., L] -> [n, ...]."""
    moved = np.moveaxis(values, -1, 1)
    return moved.reshape(-1, *moved.shape[2:])[:n].copy()


def _first(condition: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The first step at which a condition [n, steps] holds; NaN where it never does."""
    return np.where(condition.any(axis=1), steps[condition.argmax(axis=1)], np.nan)


def run_columns(campaign: Campaign, cohort: Cohort, result: Outcome, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of `runs` beside the settings; targets: the loss at which each run has converged."""
    data, losses = cohort.data, result.train_loss
    judged = outcomes.classify(
        outcomes.Losses(
            losses,
            int(np.searchsorted(cohort.checkpoints, two_thirds(cohort.cell.steps))),
            np.isnan(result.first_nonfinite),
        ),
        result.statistics,
        cohort.task.architecture.preactivations,
        targets,
        campaign.thresholds,
    )
    columns = {
        "outcome": judged.outcome,
        "diagnosis": judged.diagnosis,
        "diagnosis_layer": judged.layer,
        "diagnosis_value": judged.value,
        "target_loss": targets,
        "initial_loss": losses[:, 0],
        "final_loss": losses[:, -1],
        "best_loss": np.fmin.reduce(losses, axis=1),
        "tail_mean_loss": result.losses[:, -TAIL_STEPS:].mean(axis=1),
        "trainability": _trainability(_losses_of_steps(cohort, result)),
        "gain": judged.gain,
        "steps_to_target": np.where(judged.outcome == "converged", _steps_to_target(cohort, result, targets), np.nan),
        "first_nonfinite_step": result.first_nonfinite,
    }
    final = result.final
    if data.task == "classification":
        columns |= {"train_accuracy": final["train_hits"], "test_accuracy": final["test_hits"]}
    else:
        for part, y in (("train", data.y_train), ("test", data.y_test)):
            told = len(y) > 1 and LOSSES[cohort.task.loss].squares
            with np.errstate(divide="ignore", invalid="ignore"):
                columns[f"{part}_r2"] = 1 - final[f"{part}_squares"] / (y.var(axis=0).mean() if told else np.nan)
    return columns | {"test_loss": final["test_loss"]}


def _losses_of_steps(cohort: Cohort, result: Outcome) -> np.ndarray:
    """Losses before each step [n, steps]: of the batches, or of all training data where every step is a checkpoint."""
    every = len(cohort.checkpoints) > cohort.cell.steps
    return result.train_loss[:, :-1] if every else result.losses


def _trainability(losses: np.ndarray) -> np.ndarray:
    """The measure of Sohl-Dickstein 2024 of losses [n, steps] that are NaN from the first that is not finite on.

    With v the losses over the first, at most 10^6: -sum v where the mean of the last 20 is under 1, else sum 1/v. NaN
    where the first loss is 0, or so large that the stand-in of one that is not finite would be a gain.
    """
    first = losses[:, 0]
    with np.errstate(all="ignore"):
        v = np.where(np.isnan(losses), LARGEST_LOSS, losses)
        v /= first[:, None]
        np.minimum(v, LARGEST_LOSS, out=v)
        converged = v[:, -TAIL_STEPS:].mean(axis=1) < 1
        out = -v.sum(axis=1)
        out[~converged] = (1 / v[~converged]).sum(axis=1)
    return np.where((first > 0) & (first < LARGEST_LOSS), out, np.nan)


def _steps_to_target(cohort: Cohort, result: Outcome, targets: np.ndarray) -> np.ndarray:
    """The first step at which a full training loss is at the target, or the mean of the last batch losses: of as many
    batches as hold all samples, or of all steps where these are fewer."""
    steps = result.losses.shape[1]
    window = min(steps, -(-cohort.data.train_samples // cohort.task.batch))
    by_batches = _first(_moving_mean(result.losses, window) <= targets[:, None], np.arange(window - 1, steps))
    by_checkpoints = _first(result.train_loss <= targets[:, None], cohort.checkpoints)
    return np.fmin(by_batches, by_checkpoints)


def _moving_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Means of `window` neighbors [n, steps - window + 1], from sums of 1, 2, 4, ... of them.

    Differences of running sums would be 0 wherever a far larger loss came before.
    """
    means, sums = np.zeros((len(values), values.shape[1] - window + 1)), values
    begin = 0
    with np.errstate(over="ignore"):  # losses that are finite may have a sum that is not
        for span in (1 << k for k in range(window.bit_length())):
            if span > 1:
                sums = sums[:, : -(span // 2)] + sums[:, span // 2 :]
            if window & span:
                means += sums[:, begin : begin + means.shape[1]]
                begin += span
    return means / window


def curve_steps(steps: int, checkpoints: np.ndarray) -> np.ndarray:
    """Steps of the rows of `curves`: about fifty even ones, and the checkpoints."""
    even = np.arange(steps + 1) if steps <= CURVE_POINTS else np.rint(np.linspace(0, steps, CURVE_POINTS + 1))
    return np.union1d(even.astype(np.int64), checkpoints)


def curve_columns(cohort: Cohort, result: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps [k], mean batch loss since the row before [n, k], full training loss [n, k] (NaN between checkpoints)."""
    steps = curve_steps(cohort.cell.steps, cohort.checkpoints)
    n = len(result.losses)
    batch = np.full((n, len(steps)), np.nan)
    with np.errstate(over="ignore"):
        batch[:, 1:] = np.add.reduceat(result.losses, steps[:-1], axis=1) / np.diff(steps)
    train = np.full((n, len(steps)), np.nan)
    train[:, np.searchsorted(steps, cohort.checkpoints)] = result.train_loss
    return steps, batch, train


# The largest second derivative at which an optimizer's steps do not grow on a quadratic, times the learning rate.
STABLE = {
    "sgd": lambda: 2.0,
    "momentum": lambda beta: 2 * (1 + beta),
    "nesterov": lambda beta: 2 * (1 + beta) / (1 + 2 * beta),
}


def sharpness_columns(plan: Plan, cohort: Cohort, positions: np.ndarray, result: Outcome) -> dict[str, np.ndarray]:
    """Sharpness and stability limit [n, k] at the steps of the curves, NaN between checkpoints; or none."""
    if not len(result.sharpness):
        return {}
    limits = stability_limits(cohort, *_settings_of(plan, positions))
    steps = curve_steps(cohort.cell.steps, cohort.checkpoints)
    columns = {}
    for name, values in (("sharpness", result.sharpness), ("stability_limit", limits)):
        columns[name] = np.full((len(values), len(steps)), np.nan)
        columns[name][:, np.searchsorted(steps, cohort.checkpoints)] = values
    return columns


def stability_limits(cohort: Cohort, cells, inverse, lane_values) -> np.ndarray:
    """The sharpness up to which a run's optimizer is stable at its learning rate of each checkpoint [n, checkpoints].

    That of full batches. NaN for optimizers whose limit is no function of the rate, and where layers differ in theirs.
    """
    task, rates = cohort.task, _rates(cells, inverse, lane_values)
    if task.optimizer not in STABLE:
        return np.full((len(rates), len(cohort.checkpoints)), np.nan)
    numbers = dict(zip(OPTIMIZERS[task.optimizer].parameters, _steering(cells, inverse, lane_values).T, strict=True))
    own = [numbers[name] for name in OPTIMIZERS[task.optimizer].own_parameters]
    scheduled, moments = _scheduled(cells, inverse, lane_values), np.minimum(cohort.checkpoints, cohort.cell.steps - 1)
    factors = np.ones((len(rates), len(moments))) if scheduled is None else scheduled[:, moments]
    rate = np.where(np.all(rates == rates[:, :1], axis=1) & np.all(rates > 0, axis=1), rates[:, 0], np.nan)
    decay = numbers["weight_decay"]
    if any(task.architecture.learned):  # these do not decay
        decay = np.where(decay == 0, 0, np.nan)
    with np.errstate(divide="ignore"):
        return np.reshape(STABLE[task.optimizer](*own), (-1, 1)) / (rate[:, None] * factors) - decay[:, None]

"""What theory expects of a campaign's networks before their first step, and what was measured beside it."""

from __future__ import annotations

import ctypes
import itertools
import math
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from gradsim.activations import ACTIVATIONS
from gradsim.analysis.intervals import bootstrap_interval
from gradsim.cohort import Cohort, architecture_of, cohort_of, loss_for
from gradsim.errors import UsageError, short
from gradsim.fields import RunFields
from gradsim.lanes import LANES, aligned_empty
from gradsim.lanes.vector import WIDEST
from gradsim.losses import LOSSES
from gradsim.starts import layer_moments
from gradsim.storage import setting_columns
from gradsim.theory.layers import COLUMNS, Deltas, Incoming, Layer, layer_statistics, spaced

if TYPE_CHECKING:
    from gradsim.campaign import Campaign
    from gradsim.plan import Plan
    from gradsim.results import Results

# Fields that change a network's first forward and backward pass.
FIELDS = (
    "dataset",
    "scaling",
    "label_noise",
    "test_fraction",
    "data_seed",
    "depth",
    "width",
    "hidden",
    "activation",
    "initializer",
    "bias",
    "bias_initializer",
    "loss",
)
# Draws of an output over which the loss's deltas are averaged, and runs looked at at once.
DRAWS, _PIECE = 1280, 1_000_000
# Statistics whose squares have the expected mean.
_ROOTS = ("preactivation_std", "activation_std", "delta_rms", "gradient_rms", "weight_rms")


def of_campaign(campaign: Campaign, run_id: str | None = None) -> pd.DataFrame:
    """Expected statistics by layer before the first step: axes, layer and the columns of `results.layers`.

    One row a layer for each setting that theory tells apart: seeds, learning rates, optimizers and the like are not.
    run_id: of one run alone, without axes. NaN where theory has nothing to say: layers of maxout, softmax and the like
    and what depends on them. Of a probe set of more than 1024 samples as many, evenly spaced, are looked at.
    """
    plan = campaign.plan
    if run_id is not None:
        return _statistics(campaign, plan.settings(plan.position(run_id)))
    chosen, names = _telling(plan)
    frames = []
    for position in _representatives(plan, chosen):
        settings = plan.settings(position)
        frame = _statistics(campaign, settings)
        if names:
            columns = setting_columns(plan, cohort_of(campaign, settings), np.array([position]))
            for k, name in enumerate(names):
                frame.insert(k, name, columns[name][0].as_py())
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _telling(plan: Plan) -> tuple[list[int], list[str]]:
    """The axes that theory tells apart: their places in the plan, and the names of their columns."""
    chosen = [i for i, axis in enumerate(plan.axes) if any(name.partition(".")[0] in FIELDS for name in axis.names)]
    return chosen, [name for i in chosen for name in plan.axes[i].names]


def _representatives(plan: Plan, chosen: list[int]) -> list[int]:
    """The first run of each combination of the chosen axes, in the order of the plan."""
    if plan.kept is None:  # then it has the first value of every other axis
        strides = [math.prod(plan.shape[i + 1 :]) for i in chosen]
        steps = (range(0, plan.shape[i] * stride, stride) for i, stride in zip(chosen, strides, strict=True))
        return [sum(places) for places in itertools.product(*steps)]
    first: dict[tuple, int] = {}
    for start in range(0, plan.size, _PIECE):
        positions = np.arange(start, min(start + _PIECE, plan.size))
        codes, at = np.unique(plan.codes(positions)[:, chosen], axis=0, return_index=True)
        for code, place in sorted(zip(codes.tolist(), positions[at].tolist(), strict=True), key=lambda pair: pair[1]):
            first.setdefault(tuple(code), place)
    return list(first.values())


def _statistics(campaign: Campaign, settings: RunFields) -> pd.DataFrame:
    cohort = cohort_of(campaign, settings)
    samples = cohort.task.probe_samples
    places = spaced(samples)
    X = cohort.data.X_train[places].astype(settings.dtype).astype(float)
    deltas = _deltas(cohort, settings, places)
    with threadpool_limits(1, user_api="blas"):  # matrices of 256 rows: several threads only wait for each other
        frame = layer_statistics(_layers(cohort, settings), Incoming.from_data(X), deltas, settings.dtype, samples)
    # Deltas are divided by the size of the probe set; gradients are their sums, whatever that size.
    frame["delta_rms"] *= len(places) / samples
    return frame


def _layers(cohort: Cohort, settings: RunFields) -> list[Layer]:
    architecture = architecture_of(settings, cohort.data)
    moments = layer_moments(settings, architecture.shapes)
    return [
        Layer(*shape, act, None)
        if drawn is None
        else Layer(*shape, act, drawn[0], drawn[1] if settings.bias else (0, 0))
        for shape, act, drawn in zip(architecture.shapes, [*architecture.activations, None], moments, strict=True)
    ]


def _deltas(cohort: Cohort, settings: RunFields, places: np.ndarray) -> Deltas:
    """E[delta delta'] a pair of the training samples at these places, over outputs drawn from their normal distribution
    and then over units; deltas are divided by the number of places.

    The draws are the same in every call and on every machine; the loss is the trainer's own block.
    """
    task, rows = cohort.task, len(places)
    lanes, most, units = LANES[task.dtype], WIDEST[task.dtype], task.architecture.widths[-1]
    block = LOSSES[task.loss].block(task.dtype)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, *[ctypes.c_int64] * 2, ctypes.c_double, ctypes.c_void_p)
    # A loss reads one of them; the other is empty.
    labels, targets = task.train.labels, task.train.targets
    labels = np.ascontiguousarray(labels[places]) if labels.size else labels
    targets = targets.reshape(-1, units)[places].ravel() if targets.size else targets
    values = loss_for(settings, cohort.data.task).values
    numbers = np.repeat(np.array([*values.values()], task.dtype), lanes)

    def deltas(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        if not np.isfinite(covariance).all():
            return np.full_like(covariance, np.nan)
        random = np.random.default_rng(0)
        root = _root(covariance)
        total = np.zeros_like(covariance)
        outputs, lost = aligned_empty((rows, units, lanes), task.dtype), aligned_empty(lanes, np.dtype(np.float64))
        calls = -(-DRAWS // (most * units))
        for _ in range(calls):
            drawn = (root @ random.normal(size=(rows, units * most))).reshape(rows, units, most)
            for first in range(0, most, lanes):
                outputs[...] = mean[:, None, None] + drawn[..., first : first + lanes]
                addresses = [a.__array_interface__["data"][0] for a in (outputs, labels, targets, numbers, lost)]
                call(block.address)(*addresses[:4], rows, units, float(rows), addresses[4])
                flat = outputs.reshape(rows, -1).astype(float)
                total += flat @ flat.T / (units * most)
        return total / calls

    return deltas


def _root(covariance: np.ndarray) -> np.ndarray:
    """A matrix whose square is the covariance, but for what keeps rounding from making it indefinite."""
    scale = covariance.diagonal().max()
    if scale == 0:
        return np.zeros_like(covariance)
    for jitter in (1e-10, 1e-7, 1e-4):
        try:
            return np.linalg.cholesky(covariance + jitter * scale * np.eye(len(covariance)))
        except np.linalg.LinAlgError:
            continue
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))


# --- beside the measurement -----------------------------------------------------------------------


def settings_columns(results: Results) -> list[str]:
    """The columns of `results.runs` by which theory tells settings apart; data seeds only repeat them."""
    return [name for name in _telling(results.campaign.plan)[1] if name in results.runs and name != "data_seed"]


def compare(results: Results | str | os.PathLike, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Theory beside measurement before the first step: axes, layer, statistic, expected, measured, low, high, n.

    One row a setting that theory tells apart (data seeds pooled), a layer and a statistic. `measured` is the mean over
    n networks, of root mean squares and standard deviations the root of the mean square; low and high are its bootstrap
    interval. Runs that differ only in what follows the first step, as learning rates do, are one network.

    results: or the directory they are in. runs: the rows of `results.runs` to look at, all by default.
    """
    results = _read(results)
    keys = settings_columns(results)
    needed = {"run_id", "seed", "data_seed", *keys}
    if runs is not None and not (isinstance(runs, pd.DataFrame) and needed <= {*runs}):
        raise UsageError(f"runs = {short(runs)}: must be rows of results.runs")
    runs = _numbered(results.runs if runs is None else runs, keys).drop_duplicates(["setting", "seed", "data_seed"])
    layers = results.layers[results.layers["step"].eq(0)].merge(runs[["run_id", "setting"]], on="run_id")
    measured, rows = dict(iter(layers.groupby(["setting", "layer"]))), []
    for setting, same in runs.groupby("setting"):
        key = [same[k].iloc[0] for k in keys]
        datasets = same.drop_duplicates("data_seed")["run_id"]
        expected = pd.concat([of_campaign(results.campaign, run_id) for run_id in datasets])
        for layer, theirs in expected.groupby("layer"):
            found = measured.get((setting, layer), layers.iloc[:0])
            rows += [[*key, layer, name, *_beside(name, theirs[name], found[name])] for name in COLUMNS if len(found)]
    return pd.DataFrame(rows, columns=[*keys, "layer", "statistic", "expected", "measured", "low", "high", "n"])


def _read(results: object) -> Results:
    from gradsim.results import Results

    if isinstance(results, str | os.PathLike):
        return Results(results)
    if not isinstance(results, Results):
        raise UsageError(f"results = {short(results)}: must be Results, or the directory of a campaign's results")
    return results


def _numbered(runs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """With a column `setting`: which of those that theory tells apart, in order of appearance."""
    numbers = runs.groupby(keys, sort=False, dropna=False, observed=True).ngroup() if keys else 0
    return runs.assign(setting=numbers)


def silence(results: Results) -> pd.Series:
    """Why theory does not tell all layers of a run, "" where it does; str, one a row of `results.runs`."""
    plan, numbered = results.campaign.plan, _numbered(results.runs, settings_columns(results))
    why = {}
    for setting, run_id in numbered.drop_duplicates("setting")[["setting", "run_id"]].itertuples(index=False):
        settings = plan.settings(plan.position(run_id))
        whole = [choice.name for choice in settings.activation if ACTIVATIONS[choice.name].kind != "pointwise"]
        drawn = layer_moments(settings, [(1, 1)] * (len(settings.widths) + 1))
        decided = f"under {settings.initializer.name} the data decide the weights" if None in drawn else ""
        why[setting] = f"{whole[0]} looks at whole layers" if whole else decided
    return numbered["setting"].map(why)


def _beside(name: str, expected: pd.Series, runs: pd.Series) -> tuple[float, float, float, float, int]:
    """expected, measured, low, high, n."""
    power = 2 if name in _ROOTS else 1
    values = runs.dropna().to_numpy(float) ** power
    if not values.size:
        return (*[np.nan] * 4, 0)
    numbers = [(expected.to_numpy(float) ** power).mean(), values.mean(), *bootstrap_interval(values, "mean")]
    return (*(float(x ** (1 / power)) for x in numbers), values.size)

"""What theory expects of a campaign's networks before their first step, and what was measured beside it."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gradsim.analysis.intervals import bootstrap_interval
from gradsim.cohort import Cohort, architecture_of, cohort_of, loss_for
from gradsim.fields import RunFields
from gradsim.lanes import LANES, aligned_empty
from gradsim.losses import LOSSES
from gradsim.starts import layer_moments
from gradsim.storage import setting_columns
from gradsim.theory.layers import COLUMNS, MOST_SAMPLES, Deltas, Incoming, Layer, layer_statistics

if TYPE_CHECKING:
    from gradsim.campaign import Campaign
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
    and what depends on them.
    """
    plan = campaign.plan
    if run_id is not None:
        return _statistics(campaign, plan.settings(plan.position(run_id)))
    chosen = [i for i, axis in enumerate(plan.axes) if any(name.partition(".")[0] in FIELDS for name in axis.names)]
    names = [name for i in chosen for name in plan.axes[i].names]
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


def _representatives(plan, chosen: list[int]) -> list[int]:
    """The first run of each combination of the chosen axes, in the order of the plan."""
    first: dict[tuple, int] = {}
    for start in range(0, plan.size, _PIECE):
        positions = np.arange(start, min(start + _PIECE, plan.size))
        codes, at = np.unique(plan.codes(positions)[:, chosen], axis=0, return_index=True)
        for code, place in sorted(zip(codes.tolist(), positions[at].tolist(), strict=True), key=lambda pair: pair[1]):
            first.setdefault(tuple(code), place)
    return list(first.values())


def _statistics(campaign: Campaign, settings: RunFields) -> pd.DataFrame:
    cohort = cohort_of(campaign, settings)
    X = cohort.data.X_train[: cohort.task.probe_samples].astype(settings.dtype).astype(float)[:MOST_SAMPLES]
    frame = layer_statistics(
        _layers(cohort, settings), Incoming.from_data(X), _deltas(cohort, settings, len(X)), settings.dtype
    )
    # Gradients are sums over the probe set of deltas that are divided by its size.
    frame["delta_rms"] *= len(X) / cohort.task.probe_samples
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


def _deltas(cohort: Cohort, settings: RunFields, rows: int) -> Deltas:
    """E[delta delta'] a pair of samples, over outputs drawn from their normal distribution and then over units.

    The draws are the same in every call; the loss is the trainer's own block.
    """
    task = cohort.task
    lanes, units = LANES[task.dtype], task.architecture.widths[-1]
    block = LOSSES[task.loss].block(task.dtype)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, *[ctypes.c_int64] * 2, ctypes.c_double, ctypes.c_void_p)
    labels, targets = task.train.labels[:rows], task.train.targets[: rows * units]
    values = loss_for(settings, cohort.data.task).values
    numbers = np.repeat(np.array([*values.values()], task.dtype), lanes)

    def deltas(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        if not np.isfinite(covariance).all():
            return np.full_like(covariance, np.nan)
        random = np.random.default_rng(0)
        root = _root(covariance)
        total = np.zeros_like(covariance)
        outputs, lost = aligned_empty((rows, units, lanes), task.dtype), aligned_empty(lanes, np.dtype(np.float64))
        calls = -(-DRAWS // (lanes * units))
        for _ in range(calls):
            drawn = root @ random.normal(size=(rows, units * lanes))
            outputs[...] = mean[:, None, None] + drawn.reshape(rows, units, lanes)
            addresses = [a.__array_interface__["data"][0] for a in (outputs, labels, targets, numbers, lost)]
            call(block.address)(*addresses[:4], rows, units, float(rows), addresses[4])
            flat = outputs.reshape(rows, -1).astype(float)
            total += flat @ flat.T / (units * lanes)
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


def compare(results: Results) -> pd.DataFrame:
    """Theory beside measurement before the first step: axes, layer, statistic, expected, measured, low, high, n.

    One row a setting that theory tells apart (data seeds pooled), a layer and a statistic. `measured` is the mean over
    n runs, of root mean squares and standard deviations the root of the mean square; low and high are its bootstrap
    interval.
    """
    expected = of_campaign(results.campaign)
    axes = [name for name in expected.columns[: expected.columns.get_loc("layer")] if name in results.runs]
    keys = [name for name in axes if name != "data_seed"]
    layers = results.layers[results.layers["step"].eq(0)]
    measured = layers.merge(results.runs[["run_id", *keys]], on="run_id")
    by = [*keys, "layer"]
    rows = []
    groups = {k if isinstance(k, tuple) else (k,): g for k, g in expected.groupby(by, sort=False, dropna=False)}
    for key, runs in measured.groupby(by, sort=False, dropna=False):
        theirs = groups.get(key if isinstance(key, tuple) else (key,))
        for name in COLUMNS if theirs is not None else ():
            rows.append([*(key if isinstance(key, tuple) else (key,)), name, *_beside(name, theirs[name], runs[name])])
    return pd.DataFrame(rows, columns=[*by, "statistic", "expected", "measured", "low", "high", "n"])


def _beside(name: str, expected: pd.Series, runs: pd.Series) -> tuple[float, float, float, float, int]:
    """expected, measured, low, high, n."""
    power = 2 if name in _ROOTS else 1
    values = runs.dropna().to_numpy(float) ** power
    if not values.size:
        return (*[np.nan] * 4, 0)
    numbers = [(expected.to_numpy(float) ** power).mean(), values.mean(), *bootstrap_interval(values, "mean")]
    return (*(float(x ** (1 / power)) for x in numbers), values.size)

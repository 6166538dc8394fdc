"""One run again, bit for bit, with its whole history."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradsim.campaign import Campaign, read_checkpoints
from gradsim.cohort import Cohort, cohort_of
from gradsim.engine.sharpness import measure_sharpness
from gradsim.engine.train import Networks
from gradsim.fields import RunFields
from gradsim.lanes import LANES
from gradsim.shard import Outcome, networks_of, outcome_of

if TYPE_CHECKING:
    import pandas as pd

    from gradsim.activations import Activation

Weights = list[tuple[np.ndarray, np.ndarray | None]]
Learned = list[dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Replay:
    """The history of one run.

    Attributes:
        run_id, settings: which run, and its settings.
        weights: `[(W [fan_in, fan_out], b [fan_out]), ...]` after the last step.
        learned: the learned parameters of each hidden layer's activation after the last step, by name [units].
        loss: float64 [steps], the batch loss before each step's update; NaN from the first non-finite one on.
        checkpoints: steps at which `layers`, `snapshots` and `histograms` stand.
        snapshots, learned_snapshots: the same at each checkpoint.
    """

    run_id: str
    settings: RunFields
    weights: Weights
    learned: Learned
    loss: np.ndarray
    checkpoints: np.ndarray
    snapshots: list[Weights]
    learned_snapshots: list[Learned]
    _cohort: Cohort
    _outcome: Outcome
    _networks: Networks
    _moments: np.ndarray

    def __repr__(self) -> str:
        history = f"{len(self.loss)} steps, {len(self.checkpoints)} checkpoints, {len(self.weights)} layers"
        return f"<Replay {self.run_id!r}: {history}; last batch loss {self.loss[-1]:.4g}>"

    @cached_property
    def layers(self) -> pd.DataFrame:
        """step, layer and the statistics: the run's rows of `results.layers`."""
        import pandas as pd

        depth = self._cohort.task.architecture.depth
        frame = {
            "step": np.repeat(self.checkpoints, depth),
            "layer": np.tile(np.arange(depth), len(self.checkpoints)),
        }
        return pd.DataFrame(frame | {name: values[0].reshape(-1) for name, values in self._outcome.statistics.items()})

    @cached_property
    def sharpness(self) -> np.ndarray:
        """float64 [checkpoints]: the largest eigenvalue of the Hessian of the loss over the probe set, NaN from the
        first non-finite loss on. Measured when first asked for, whether or not the campaign records it."""
        out = np.empty((1, len(self.checkpoints), LANES[self._cohort.task.dtype]))
        measure_sharpness(self._cohort.task, self._networks, self._moments, np.zeros(1, np.int64), out)
        lost = self.checkpoints >= np.nan_to_num(self._outcome.first_nonfinite[0], nan=np.inf)
        return np.where(lost, np.nan, out[0, :, 0])

    @cached_property
    def histograms(self) -> pd.DataFrame:
        """step, layer, quantity ("preactivation" or "activation"), left, right, count: 60 bins over the probe set."""
        import pandas as pd

        rows = []
        for step, weights, learned in zip(self.checkpoints, self.snapshots, self.learned_snapshots, strict=True):
            for layer, (z, h) in enumerate(self._signals(weights, learned)):
                for quantity, values in (("preactivation", z), ("activation", h)):
                    rows += [(int(step), layer, quantity, *bin_) for bin_ in _histogram(values)]
        return pd.DataFrame(rows, columns=["step", "layer", "quantity", "left", "right", "count"])

    def _signals(self, weights: Weights, learned: Learned) -> list[tuple[np.ndarray, np.ndarray]]:
        """(z, h) of each layer over the probe set, flat; random parameters as in evaluation."""
        task = self._cohort.task
        h = task.train.features.reshape(-1, task.architecture.widths[0])[: task.probe_samples]
        out = []
        with np.errstate(all="ignore"):
            for i, (w, b) in enumerate(weights):
                z = h @ w + (0 if b is None else b)
                h = _activated(task.architecture.activations[i], z, learned[i]) if i < len(learned) else z
                out.append((z.reshape(-1), h.reshape(-1)))
        return out


def _activated(act: Activation, z: np.ndarray, learned: dict[str, np.ndarray]) -> np.ndarray:
    """Activations of z [rows, units], each unit with its own learned parameters."""
    if not learned:
        return act(z)
    by_unit = [dict(zip(learned, values, strict=True)) for values in np.transpose(list(learned.values())).tolist()]
    # Training may have carried them beyond the bounds of what can be given.
    acts = [dataclasses.replace(act, values=dict(act.values) | values) for values in by_unit]
    return np.stack([unit(z[:, u]) for u, unit in enumerate(acts)], axis=1)


def _histogram(values: np.ndarray, bins: int = 60) -> list[tuple[float, float, int]]:
    """(left, right, count) of each bin over the finite values; none where there are none."""
    values = values.astype(np.float64)
    values = values[np.abs(values) < 1e300]  # beyond that the width of a bin is no longer finite
    if not len(values):
        return []
    low, high = values.min(), values.max()
    # NumPy refuses bins narrower than its numbers' resolution, as units that are equal but for rounding would have.
    least = max(1e3 * bins * np.spacing(max(abs(low), abs(high))), 1e-290)
    if high - low < least:
        pad = max(least, 0.5 * (low == high))
        low, high = low - pad, high + pad
    count, edges = np.histogram(values, bins=bins, range=(low, high))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), count.tolist(), strict=True))


def _single(campaign: Campaign, run_id: str, checkpoints: tuple[int, ...] | None):
    plan = campaign.plan
    position = plan.position(run_id)
    cohort = cohort_of(campaign, plan.settings(position), checkpoints)
    return position, cohort, networks_of(plan, cohort, np.array([position]))


def _lane_zero(cohort: Cohort, flat: np.ndarray) -> tuple[Weights, Learned]:
    architecture = cohort.task.architecture
    mine = flat.reshape(-1, LANES[cohort.task.dtype])[:, 0].copy()
    return architecture.split(mine), architecture.split_learned(mine)


def initial_weights(campaign: Campaign, run_id: str) -> Weights:
    """The weights before the first step."""
    _, cohort, networks = _single(campaign, run_id, None)
    return _lane_zero(cohort, networks.weights[0])[0]


def replay(campaign: Campaign, run_id: str, checkpoints: list[int] | None = None) -> Replay:
    """Train one run again; `checkpoints`: steps to record at instead of the campaign's."""
    position, cohort, networks = _single(campaign, run_id, read_checkpoints(checkpoints))
    # Sharpness can be asked for later.
    cohort = dataclasses.replace(cohort, task=dataclasses.replace(cohort.task, sharpness=False))
    records = cohort.task.records(1, snapshots=True)
    cohort.task.run(networks, records, cohort.task.workspace(), np.zeros(1, np.int64))
    result = outcome_of(cohort, records, 1)
    weights, learned = _lane_zero(cohort, networks.weights[0])
    at_checkpoints = [_lane_zero(cohort, s) for s in records.snapshots[0]]
    return Replay(
        run_id=str(run_id),
        settings=campaign.plan.settings(position),
        weights=weights,
        learned=learned,
        loss=result.losses[0],
        checkpoints=cohort.checkpoints,
        snapshots=[weights for weights, _ in at_checkpoints],
        learned_snapshots=[learned for _, learned in at_checkpoints],
        _cohort=cohort,
        _outcome=result,
        _networks=networks,
        _moments=records.snapshots,
    )

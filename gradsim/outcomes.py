"""What became of a run, and why: one definition of every outcome and diagnosis.

Outcome, the first that holds: `diverged` (final full training loss not finite, or over 1000 times the initial one),
`converged` (the full training loss reached the target at a checkpoint), `stalled` (under 1% relative gain over the last
third of the steps), `learning`.

Diagnosis of a run that did not converge, the first that holds, with the layer and the number that show it:

    exploding   a loss was not finite, or at some checkpoint delta_rms of a layer is 1e6 times the last layer's
    symmetric   at the end a hidden layer of at least two units has only one distinct unit
    dead        at the end a hidden layer has every unit dead
    saturated   at the end over 90% of a hidden layer is saturated
    vanishing   at the end the first layer's delta_rms is under 1e-6 of the last's
    slow        still learning
    unexplained

The numbers are the defaults of `fields.Thresholds`. "At the end" is the last checkpoint with records. `symmetric`
stands before `dead`: a ReLU network of zeros is both, and the weights are the cause.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradsim.fields import Thresholds

OUTCOMES = ("converged", "learning", "stalled", "diverged")
DIAGNOSES = ("exploding", "symmetric", "dead", "saturated", "vanishing", "slow", "unexplained")


@dataclasses.dataclass(frozen=True)
class Losses:
    """Full training losses of n runs: [n, checkpoints], the index of the checkpoint at two thirds, and whether every
    loss, of batches too, was finite."""

    at_checkpoints: np.ndarray
    two_thirds: int
    all_finite: np.ndarray


@dataclasses.dataclass(frozen=True)
class Verdict:
    """outcome, diagnosis str [n]; layer int [n], -1 where none; value float [n]; gain float [n]."""

    outcome: np.ndarray
    diagnosis: np.ndarray
    layer: np.ndarray
    value: np.ndarray
    gain: np.ndarray


def relative_gain(losses: Losses) -> np.ndarray:
    """(loss at two thirds - final loss) / loss at two thirds; 0 where there was nothing left to gain."""
    before, after = losses.at_checkpoints[:, losses.two_thirds], losses.at_checkpoints[:, -1]
    return np.divide(before - after, before, out=np.zeros_like(before), where=before != 0)


def classify(
    losses: Losses,
    layers: dict[str, np.ndarray],
    widths: tuple[int, ...],
    target: float | np.ndarray,
    thresholds: Thresholds,
) -> Verdict:
    """Outcomes and diagnoses of n runs.

    layers: statistics by name, [n, checkpoints, layers], NaN where not recorded; widths: of the hidden layers; target:
    the loss that counts as converged, one for all or one a run [n].
    """
    with np.errstate(all="ignore"):  # NaN and inf are findings here
        gain = relative_gain(losses)
        initial, final = losses.at_checkpoints[:, 0], losses.at_checkpoints[:, -1]
        best = np.fmin.reduce(losses.at_checkpoints, axis=1)
        outcome = np.select(
            [
                ~np.isfinite(final) | (final > thresholds.diverged * initial),
                best <= target,
                gain < thresholds.stalled,
            ],
            ["diverged", "converged", "stalled"],
            "learning",
        )
        diagnosis, layer, value = _diagnose(losses, layers, widths, outcome, gain, thresholds)
    return Verdict(outcome, diagnosis, layer, value, gain)


def _diagnose(losses, layers, widths, outcome, gain, thresholds):
    n = len(outcome)
    ends = {name: _last_recorded(values) for name, values in layers.items()}
    hidden = len(widths)
    wide = np.array(widths) >= 2
    growth = layers["delta_rms"][:, :, :-1] / layers["delta_rms"][:, :, -1:]
    growth = np.where(np.isfinite(growth), growth, -np.inf).max(axis=1, initial=-np.inf)
    first_of_last = ends["delta_rms"][:, 0] / ends["delta_rms"][:, -1]
    distinct = np.rint(ends["distinct_units"][:, :hidden] * np.array(widths)) if hidden else np.zeros((n, 0))
    flat = ends["saturated_low"][:, :hidden] + ends["saturated_high"][:, :hidden]
    # (name, does it hold a layer [n, k], the number that shows it [n, k])
    by_layer = [
        ("exploding", growth >= thresholds.exploding, growth),
        ("symmetric", (distinct == 1) & wide, ends["distinct_units"][:, :hidden]),
        ("dead", ends["dead"][:, :hidden] == 1, ends["dead"][:, :hidden]),
        ("saturated", flat > thresholds.saturated, flat),
        ("vanishing", (first_of_last < thresholds.vanishing)[:, None] & (hidden > 0), first_of_last[:, None]),
    ]
    diagnosis = np.full(n, "unexplained", "U11")
    layer, value = np.full(n, -1), np.full(n, np.nan)
    # From the last that could hold to the first that does: earlier ones overwrite.
    slow = outcome == "learning"
    diagnosis[slow], value[slow] = "slow", gain[slow]
    for name, holds, numbers in reversed(by_layer):
        found = holds.any(axis=1)
        where = (
            (np.where(holds, numbers, -np.inf) if name == "exploding" else holds).argmax(axis=1)[found]
            if found.any()
            else []
        )
        diagnosis[found], layer[found], value[found] = name, where, numbers[found, where]
        if name == "exploding":
            blown = ~losses.all_finite
            diagnosis[blown] = name
            unseen = blown & ~found
            layer[unseen], value[unseen] = -1, np.nan
    done = outcome == "converged"
    diagnosis[done], layer[done], value[done] = "", -1, np.nan
    return diagnosis, layer, value


def _last_recorded(values: np.ndarray) -> np.ndarray:
    """[n, checkpoints, layers] -> [n, layers] at the last checkpoint that has records."""
    recorded = np.isfinite(values).any(axis=2)
    last = np.where(recorded.any(axis=1), values.shape[1] - 1 - recorded[:, ::-1].argmax(axis=1), 0)
    return values[np.arange(len(values)), last]

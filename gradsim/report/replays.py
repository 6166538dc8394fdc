"""Runs trained again for the page: within a budget, and a reason for each that was not.

Replaying is of the engine's kind, with compiled activations: imported when it is done, never before.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gradsim import analysis
from gradsim.errors import GradsimError

if TYPE_CHECKING:
    from gradsim.replay import Replay

RUNS = 5
"""The most runs that are trained again."""

ORDER = ("converged", "saturated", "dead", "exploding", "vanishing", "symmetric", "slow", "unexplained")
"""Fates, those first that activations tell most about."""

RUN_SECONDS, ALL_SECONDS = 2.0, 5.0
"""Nominal seconds on one thread that a replay, and all of them together, may take."""

POINTS = 150
"""The most points of a curve."""


@dataclass
class Replays:
    """What replays found, by run_id: histograms, curves and layers at `analysis.moments`; and why others were not."""

    histograms: dict[str, pd.DataFrame] = field(default_factory=dict)
    curves: dict[str, pd.DataFrame] = field(default_factory=dict)
    layers: dict[str, pd.DataFrame] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


def replay_runs(results: Any, runs: pd.DataFrame, fates: Sequence[str]) -> Replays:
    """Train the given runs again, up to five that are cheap enough, their fates in `ORDER`."""
    campaign, found, left, chosen = results.campaign, Replays(), ALL_SECONDS, []
    ranked = sorted(zip(fates, runs.to_dict("records"), strict=True), key=lambda pair: (*ORDER, pair[0]).index(pair[0]))
    for _, run in ranked:
        run_id = str(run["run_id"])
        if not run["depth"]:
            found.why[run_id] = "it has no hidden layer"
            continue
        try:
            seconds = _seconds(campaign, run_id) if hasattr(campaign, "replay") else None
        except (GradsimError, OSError) as error:
            found.why[run_id] = _told(error)
            continue
        if seconds is None:
            found.why[run_id] = "these results hold no campaign that could train it again"
        elif len(chosen) == RUNS:
            found.why[run_id] = f"only {RUNS} runs are"
        elif seconds > min(left, RUN_SECONDS):
            found.why[run_id] = "that would take too long for a report"
        else:
            left -= seconds
            chosen.append(run)
    with ThreadPoolExecutor(2) as pool:
        jobs = {str(run["run_id"]): pool.submit(_again, campaign, run) for run in chosen}
    for run_id, job in jobs.items():
        try:
            again = job.result()
        except (GradsimError, OSError) as error:
            found.why[run_id] = _told(error)
            continue
        found.histograms[run_id] = again.histograms
        found.curves[run_id] = _curve(again.loss).assign(run_id=run_id)
        found.layers[run_id] = again.layers.assign(run_id=run_id)
    return found


def _seconds(campaign: Any, run_id: str) -> float:
    from gradsim.cohort import cohort_cost

    # A replay leaves the sharpness out, which costs more than training.
    plain = campaign.model_copy(update={"sharpness": False})
    return cohort_cost(plain, campaign.plan.settings(campaign.plan.position(run_id))).group_seconds


def _again(campaign: Any, run: dict[str, Any]) -> Replay:
    return campaign.replay(run["run_id"], analysis.moments(int(run["steps"]), run["first_nonfinite_step"]))


def _curve(loss: np.ndarray) -> pd.DataFrame:
    """step, batch_loss: the mean since the row before, as curves have it, at steps evenly apart on a log axis."""
    steps = np.unique(np.geomspace(1, len(loss), min(len(loss), POINTS)).round().astype(int))
    sums = np.add.reduceat(loss.astype(float), np.concatenate([[0], steps[:-1]]))
    return pd.DataFrame({"step": steps, "batch_loss": sums / np.diff(steps, prepend=0)})


def _told(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")

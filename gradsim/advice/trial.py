"""Small campaigns decide: settings times seeds, trained in a directory that is gone afterwards."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gradsim.activations import Activation
from gradsim.advice.question import Question
from gradsim.campaign import Campaign

if TYPE_CHECKING:
    from gradsim.advice.candidates import Candidate

# Learning rates that are tried: what works for networks of a few to a few dozen layers, and beyond on either side.
LADDERS = {
    "sgd": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    "momentum": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
    "adam": (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03),
}
COLUMNS = ["outcome", "diagnosis", "diagnosis_layer", "diagnosis_value", "target_loss", "final_loss", "best_loss"]
COLUMNS += ["steps_to_target"]
SCORES = ("test_accuracy", "test_r2")


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a recommendation fixes."""

    activation: Activation
    initializer: str
    optimizer: str
    learning_rate: float

    @property
    def group(self) -> tuple[str, str, str]:
        """All but the learning rate."""
        return self.activation.label, self.initializer, self.optimizer


def ladder(candidates: Sequence[Candidate]) -> list[Setting]:
    """Every candidate with every optimizer at all of its learning rates."""
    return [
        Setting(c.activation, c.initializer, optimizer, rate)
        for c in candidates
        for optimizer, rates in LADDERS.items()
        for rate in rates
    ]


class Trial:
    """Trains settings for a question; counts what it took.

    say: told, in a line, what is about to run. Seeds are never used twice: `fresh(n)` gives the next n.
    """

    def __init__(self, question: Question, threads: int | None, say: Callable[[str], None]):
        self.question, self.threads, self.say = question, threads, say
        self.networks, self._next = 0, 0

    def fresh(self, count: int) -> range:
        """Seeds that no network of this trial has had."""
        self._next += count
        return range(self._next - count, self._next)

    def campaign(self, settings: Sequence[Setting], seeds: Sequence[int], steps: int | None = None) -> Campaign:
        """Every setting with every seed."""
        columns = {
            "activation": [s.activation for s in settings],
            "initializer": [s.initializer for s in settings],
            "optimizer": [s.optimizer for s in settings],
            "learning_rate": [s.learning_rate for s in settings],
        }
        fields = self.question.fields | ({} if steps is None else {"steps": steps})
        return Campaign(**fields, zip=[columns], grid={"seed": list(seeds)})

    def run(
        self, what: str, settings: Sequence[Setting], seeds: Sequence[int], steps: int | None = None
    ) -> pd.DataFrame:
        """One row a network: `setting` (its place in the list), seed, and what became of it."""
        campaign = self.campaign(settings, seeds, steps)
        steps = steps or self.question.steps
        self.say(f"{what}: {campaign.runs:,} networks, {steps:,} steps")
        with tempfile.TemporaryDirectory(prefix="gradsim-recommend-") as directory:
            runs = campaign.run(directory, threads=self.threads, progress=False).runs
        self.networks += len(runs)
        return _with_settings(campaign, runs)


def _with_settings(campaign: Campaign, runs: pd.DataFrame) -> pd.DataFrame:
    """The columns that matter, in the order of the plan, with each run's place in the list of settings."""
    plan = campaign.plan
    positions = np.arange(plan.size)
    (axis,) = (i for i, axis in enumerate(plan.axes) if "initializer" in axis.names)
    place = pd.Series(plan.codes(positions)[:, axis], index=plan.run_ids(positions), name="setting")
    kept = [c for c in ["run_id", "seed", *COLUMNS, *SCORES] if c in runs]
    found = runs[kept].set_index("run_id").loc[place.index]
    return found.assign(setting=place).reset_index(drop=True)

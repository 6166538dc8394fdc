"""What is recommended, with the evidence: plain values, JSON, a campaign to check it with, and code to paste."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradsim.advice.candidates import Theory
from gradsim.advice.choice import WORKS, Group, Measured
from gradsim.advice.question import Question
from gradsim.advice.snippets import FRAMEWORKS, snippet
from gradsim.advice.trial import Setting
from gradsim.analysis.intervals import wilson_interval
from gradsim.errors import UsageError

if TYPE_CHECKING:
    from gradsim.campaign import Campaign


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that was tried beside the recommendation.

    Attributes:
        what: in words, such as "glorot_uniform" or "learning rates from 0.3 on".
        why: what became of its networks, with the numbers that show it; empty where they converged.
        converged, n: of so many.
        initializer: where the finding is about one, else "".
        theory: of that initializer.
        learning_rates: those compared at which at least 95% converged.
    """

    what: str
    why: str
    converged: int
    n: int
    initializer: str = ""
    theory: Theory | None = None
    learning_rates: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain values; `theory` is null where there is none."""
        plain = {name: getattr(self, name) for name in ("what", "why", "converged", "n", "initializer")}
        plain |= {"learning_rates": list(self.learning_rates), "theory": _theory(self.theory)}
        return plain | _interval(self.converged, self.n)


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """Start settings, verified, and what they were chosen over.

    Attributes:
        question: what was asked.
        setting: activation, initializer, optimizer, learning rate.
        theory: what mean-field theory says of the initializer.
        verified: what became of fresh seeds at the setting.
        group: the setting's learning rates, as raced.
        raced: all groups that were raced, best first.
        works, avoid: what else was compared, and came out well or badly.
        candidates, networks, seconds: how many initializers theory left of how many, networks trained, time taken.
    """

    question: Question
    setting: Setting
    theory: Theory
    verified: Measured
    group: Group
    raced: tuple[Group, ...]
    works: tuple[Finding, ...]
    avoid: tuple[Finding, ...]
    candidates: tuple[int, int]
    networks: int
    seconds: float

    @property
    def activation(self) -> str:
        return self.setting.activation.label

    @property
    def initializer(self) -> str:
        return self.setting.initializer

    @property
    def optimizer(self) -> str:
        return self.setting.optimizer

    @property
    def learning_rate(self) -> float:
        """The one to begin with."""
        return self.setting.learning_rate

    @property
    def learning_rates(self) -> tuple[float, float] | None:
        """Lowest and highest of the range around it in which at least 95% converged; None where no rate did."""
        window = self.group.window
        return (window[0].setting.learning_rate, window[-1].setting.learning_rate) if window else None

    @property
    def lowest_tried(self) -> bool:
        """Whether the range ends at the lowest rate that was tried at full length: lower ones may work too."""
        return self.group.open_ends[0]

    @property
    def highest_tried(self) -> bool:
        """Whether the range ends at the highest rate that was tried at full length: higher ones may work too."""
        return self.group.open_ends[1]

    @property
    def converged(self) -> int:
        """How many fresh seeds converged, of `seeds`."""
        return self.verified.converged

    @property
    def seeds(self) -> int:
        return self.verified.n

    @property
    def rate(self) -> float:
        """Share of fresh seeds that converged."""
        return self.verified.rate

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95% interval of the rate."""
        return wilson_interval(self.converged, self.seeds)

    @property
    def reliable(self) -> bool:
        """Whether at least 95% of the fresh seeds converged."""
        return self.rate >= WORKS

    def campaign(self, seeds: Sequence[int] | None = None, **fields: object) -> Campaign:
        """A campaign of the recommended setting, by default with as many seeds as it was verified with, none of them
        used before; `fields` are those of `gradsim.Campaign`."""
        from gradsim.campaign import Campaign

        seeds = range(10_000, 10_000 + self.seeds) if seeds is None else seeds
        mine = {name: getattr(self.setting, name) for name in ("activation", "initializer", "optimizer")}
        mine |= {"learning_rate": self.learning_rate, "grid": {"seed": list(seeds)}}
        return Campaign(**self.question.fields | mine | fields)

    def code(self, framework: str) -> str:
        """A program for "pytorch", "keras" or "jax" with these settings. Raises UsageError for another, and for an
        activation that cannot be written in it."""
        return snippet(self, framework)

    def to_dict(self) -> dict[str, object]:
        """All of it as values that JSON can hold. `code` is null where an activation cannot be written."""
        question = self.question
        return {
            "question": {
                "activations": [act.label for act in question.activations],
                "data": question.data_name,
                "synthetic": question.note or None,
                "features": question.data.features,
                "outputs": question.data.outputs,
                "task": question.data.task,
                "train_samples": question.data.train_samples,
                "depth": question.depth,
                "width": question.width,
                "batch_size": question.batch_size,
                "steps": question.steps,
            },
            "activation": self.activation,
            "initializer": self.initializer,
            "optimizer": self.optimizer,
            "learning_rate": self.learning_rate,
            "learning_rate_range": self.learning_rates and list(self.learning_rates),
            "lowest_tried": self.lowest_tried,
            "highest_tried": self.highest_tried,
            "reliable": self.reliable,
            "converged": self.converged,
            "n": self.seeds,
            **_interval(self.converged, self.seeds),
            "median_steps_to_target": _finite(self.verified.steps),
            "median_test_score": _finite(self.verified.score),
            "median_final_loss": _finite(self.verified.loss),
            "target_loss": self.verified.target,
            "theory": _theory(self.theory),
            "raced": [_raced(group) for group in self.raced],
            "works": [finding.to_dict() for finding in self.works],
            "avoid": [finding.to_dict() for finding in self.avoid],
            "networks": self.networks,
            "seconds": round(self.seconds, 2),
            "code": self._codes(),
        }

    def _codes(self) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for framework in FRAMEWORKS:
            try:
                found[framework] = self.code(framework)
            except UsageError:
                found[framework] = None
        return found

    def __str__(self) -> str:
        from gradsim.advice.text import as_text

        return as_text(self)

    __repr__ = __str__


def _raced(group: Group) -> dict[str, object]:
    window, middle = group.window, group.middle
    activation, initializer, optimizer = group.key
    return {
        "activation": activation,
        "initializer": initializer,
        "optimizer": optimizer,
        "learning_rate": middle.setting.learning_rate,
        "learning_rate_range": [m.setting.learning_rate for m in (window[0], window[-1])] if window else None,
        "converged": middle.converged,
        "n": middle.n,
        "by_learning_rate": [
            {"learning_rate": m.setting.learning_rate, "converged": m.converged, "n": m.n, "diagnosis": m.diagnosis}
            for m in group.by_rate
        ],
    }


def _interval(converged: int, n: int) -> dict[str, float]:
    low, high = wilson_interval(converged, n)
    return {"rate": converged / n, "low": low, "high": high}


def _theory(theory: Theory | None) -> dict[str, float | None] | None:
    if theory is None:
        return None
    return {name: _finite(x) for name, x in dataclasses.asdict(theory).items()} | {"gradient": _finite(theory.gradient)}


def _finite(x: float) -> float | None:
    """A number as JSON has it."""
    return float(x) if math.isfinite(x) else None

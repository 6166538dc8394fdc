"""Learning rate schedules: the factor of every step, in closed form; every number of theirs may differ by lane.

A schedule runs over the steps that are left after a linear warm-up: in the first `warmup` steps the factor is
(t + 1)/(warmup + 1), so that the step after it has the full rate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from gradsim.parameters import Parameter

WARMUP = Parameter(0.0, 0.0, 1e9)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """A schedule: `shape(t, steps, **own parameters)` is the factor at step t of `steps`, both after the warm-up."""

    name: str
    formula: str
    shape: Callable[..., np.ndarray]
    own_parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    reference: str = ""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """All parameters: those of its own, then `warmup` in steps."""
        return {**self.own_parameters, "warmup": WARMUP}

    def factors(self, steps: int, warmup: np.ndarray | float = 0.0, **own: np.ndarray | float) -> np.ndarray:
        """Factors of the learning rate, float64 [..., steps]; parameters are numbers or arrays [...]."""
        warmup = np.asarray(warmup, float)[..., None]
        own = {name: np.asarray(value, float)[..., None] for name, value in own.items()}
        t = np.arange(steps, dtype=float)
        after = np.maximum(t - warmup, 0)
        shaped = self.shape(after, np.maximum(steps - warmup, 1), **own)
        return np.where(t < warmup, (t + 1) / (warmup + 1), shaped)


def _step(t, steps, every, factor):
    return factor ** np.floor(t / every)


def _cosine(t, steps, final):
    return final + (1 - final) * (1 + np.cos(np.pi * t / steps)) / 2


def _linear(t, steps, final):
    return 1 + (final - 1) * t / steps


def _exponential(t, steps, final):
    return final ** (t / steps)


_FINAL = Parameter(0.0, 0.0, 1.0)
SCHEDULES = {
    schedule.name: schedule
    for schedule in (
        Schedule("constant", r"\eta", lambda t, steps: np.ones_like(t)),
        Schedule(
            "step",
            r"\eta\,\gamma^{\lfloor t/k \rfloor}",
            _step,
            {"every": Parameter(100.0, 1.0, 1e9), "factor": Parameter(0.1, 0.0, 1.0)},
            reference="PyTorch, StepLR",
        ),
        Schedule(
            "cosine",
            r"\eta \left(f + (1 - f)\,\frac{1 + \cos(\pi t/T)}{2}\right)",
            _cosine,
            {"final": _FINAL},
            reference="Loshchilov & Hutter 2017; PyTorch, CosineAnnealingLR",
        ),
        Schedule("linear", r"\eta\,(1 + (f - 1)\,t/T)", _linear, {"final": _FINAL}, reference="PyTorch, LinearLR"),
        Schedule(
            "exponential",
            r"\eta\,f^{t/T}",
            _exponential,
            {"final": Parameter(0.01, 1e-30, 1.0)},
            reference="PyTorch, ExponentialLR, by its last factor",
        ),
    )
}

"""Who takes part in `peers.py`: one module each, imported only inside its own worker process.

A module offers `build(task, problem) -> Contender` and `versions() -> dict`; the libraries it compares are
imported there and nowhere else, so this package imports without them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Protocol

import numpy as np

# "plain" is the form in which a library is usually used for this; the other tries every layout that we could think of.
CONTENDERS = {
    "gradsim": "gradsim_lanes",
    "jax-plain": "jax_plain",
    "torch-plain": "torch_plain",
    "jax": "jax_vmap",
    "torch": "torch_bmm",
}
TRIAL_STEPS = 5

Weights = list[tuple[np.ndarray, np.ndarray]]


@dataclass
class Setup:
    """What a contender did before the clock started: all of it is reported, none of it is timed.

    `layout` names the variant kept, `compile_seconds` its compilation at full size, `trials` the seconds a
    step of every variant tried, the plainest first.
    """

    layout: str
    compile_seconds: float = 0.0
    trials: dict[str, float] = field(default_factory=dict)


class Contender(Protocol):
    """A library with one task loaded."""

    def prepare(self) -> Setup:
        """Choose a layout, compile, and run the whole task once, untimed."""

    def train(self) -> float:
        """Train every network from its initial weights; seconds of the training alone."""

    def network(self, index: int) -> Weights:
        """The weights of one network after the last `train`, `[(W [fan_in, fan_out], b [fan_out]), ...]`."""


def fastest(layouts: Iterable, seconds: Callable[[object], float], rounds: int = 2) -> tuple[object, dict]:
    """The layout with the least `seconds(layout)`, and the least seen for each.

    Rounds go over all layouts before any is tried again: a disturbance then hits neighbors, not one alone.
    """
    least = dict.fromkeys(layouts, math.inf)
    for _ in range(rounds):
        for layout in least:
            least[layout] = min(least[layout], seconds(layout))
    return min(least, key=least.get), least


def load(name: str) -> ModuleType:
    """The module of a contender; raises ImportError where its library is not installed."""
    return importlib.import_module(f"{__name__}.{CONTENDERS[name]}")

"""Who takes part in `peers.py`: one module each, imported only inside its own worker process.

A module offers `build(task, problem) -> Contender` and `versions() -> dict`; one too slow for all networks of a task
also `share(task) -> int`, how many it trains. The libraries compared are imported there and nowhere else, so this
package imports without them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Entry:
    """A contender's module, and what the estimate of a run's duration goes by: seconds until it is ready, how many
    times gradsim's time it takes, seconds that a campaign's compilation takes it."""

    module: str
    setup: float
    slower: float
    compiling: float
    cold: bool = False  # with an empty cache of compiled kernels; in campaigns only


# "plain" is the form in which a library is usually used for this; "jax" and "torch" try every layout that we could
# think of.
CONTENDERS = {
    "gradsim": Entry("gradsim_lanes", 2, 1, 1),
    "gradsim-cold": Entry("gradsim_lanes", 2, 1, 12, cold=True),
    "jax-plain": Entry("jax_plain", 3, 7, 8),
    "jax": Entry("jax_vmap", 15, 3, 10),
    "torch-plain": Entry("torch_plain", 3, 6, 0),
    "torch": Entry("torch_bmm", 10, 5, 0),
    "torch-func": Entry("torch_func", 4, 15, 2),
    "torch-compile": Entry("torch_compile", 25, 8, 60),
    "numpy": Entry("numpy_matmul", 5, 10, 0),
    "sklearn": Entry("sklearn_joblib", 4, 4, 0),
}
# Left out where none are named: what they take for the least that they show.
SLOW = ("torch-func", "torch-compile")
TRIAL_STEPS = 4

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

    def once(self) -> float:
        """In place of the two above, as a user runs it who does so once: from the problem's arrays to trained
        weights in a layout known to be good, compilation included; seconds of all of it."""

    def network(self, index: int) -> Weights:
        """The weights of one network after the last training, `[(W [fan_in, fan_out], b [fan_out]), ...]`."""


class CannotTakePart(Exception):
    """The library has not got what the task needs; the message says what."""


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
    return importlib.import_module(f"{__name__}.{CONTENDERS[name].module}")

"""From what became of the networks to a choice: the middle of the widest range of learning rates that works."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradsim.advice.trial import LADDERS, SCORES, Setting

# A setting works where so many of its networks converge.
WORKS = 0.95
# A rate is worth a race if in the screening it came so far, or this share of the best rate's way; so are its neighbors.
SOME_WAY, SHARE_OF_BEST = 0.15, 0.25
# So many neighboring rates, a factor of 30, are a wide window; more is no reason to choose something less common.
WIDE = 4


@dataclasses.dataclass(frozen=True)
class Measured:
    """What became of a setting's networks.

    Attributes:
        converged, n: of so many.
        progress: 0 at the loss of the best constant prediction, 1 at the target, on a logarithmic scale; median.
        steps: to the target, median of those that converged; NaN where none did.
        loss, target: median final loss (of those that did not converge, where there are any), and the loss that counts
            as converged.
        diagnosis, diagnosed, value, layer: of those that did not converge the most frequent diagnosis, how many have
            it, the median number that shows it, and the layer most often named (-1: none); "" and 0 where all did.
        score: median test accuracy or R2; NaN where there are no test data.
    """

    setting: Setting
    converged: int
    n: int
    progress: float
    steps: float
    loss: float
    target: float
    diagnosis: str
    diagnosed: int
    value: float
    layer: int
    score: float

    @property
    def rate(self) -> float:
        return self.converged / self.n

    @property
    def works(self) -> bool:
        return self.rate >= WORKS


def measured(settings: Sequence[Setting], runs: pd.DataFrame) -> list[Measured]:
    """One record a setting, in their order."""
    return [_measured(settings[place], group) for place, group in runs.groupby("setting", sort=True)]


def pooled(setting: Setting, runs: pd.DataFrame) -> Measured:
    """All runs as one record."""
    return _measured(setting, runs)


def _measured(setting: Setting, runs: pd.DataFrame) -> Measured:
    done = runs["outcome"].eq("converged")
    failed = runs[~done]
    target = float(runs["target_loss"].iloc[0])
    best = runs["best_loss"].to_numpy(float)
    lost = np.where(np.isfinite(best), np.maximum(best, target), np.inf)
    progress = 1 - np.log10(lost / target) if target > 0 else done.to_numpy(float)
    final = (failed if len(failed) else runs)["final_loss"].to_numpy(float)
    counts = failed["diagnosis"].astype(str).value_counts(sort=False)
    told = str(counts.idxmax()) if len(counts) else ""
    mine = failed[failed["diagnosis"].astype(str).eq(told)]
    layers = mine["diagnosis_layer"].dropna().astype(int)
    values = mine["diagnosis_value"].dropna().to_numpy(float)
    scores = [runs[name].dropna() for name in SCORES if name in runs]
    return Measured(
        setting=setting,
        converged=int(done.sum()),
        n=len(runs),
        progress=float(np.median(np.clip(progress, 0, 1))),
        steps=float(runs.loc[done, "steps_to_target"].median()) if done.any() else np.nan,
        loss=float(np.median(np.where(np.isfinite(final), final, np.inf))),
        target=target,
        diagnosis=told,
        diagnosed=len(mine),
        value=float(np.median(values)) if values.size else np.nan,
        layer=int(layers.mode().iloc[0]) if len(layers) else -1,
        score=float(scores[0].median()) if scores and len(scores[0]) else np.nan,
    )


# --- groups and windows ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Group:
    """An activation with an initializer and an optimizer at all its learning rates, in ascending order."""

    by_rate: tuple[Measured, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.by_rate[0].setting.group

    @property
    def promise(self) -> tuple[float, float]:
        """How far the best rate came, in fifths, and how far all did together, in halves of a rate: what a screening
        is ranked by. Coarse, so that the more common of equals goes on."""
        progress = [m.progress for m in self.by_rate]
        return round(5 * max(progress)) / 5, round(2 * sum(progress)) / 2

    @property
    def worth_racing(self) -> tuple[Measured, ...]:
        """The rates that a screening leaves: from one below the first that got somewhere to one above the last."""
        least = min(SOME_WAY, SHARE_OF_BEST * max(m.progress for m in self.by_rate))
        places = [i for i, m in enumerate(self.by_rate) if m.progress >= least]
        return self.by_rate[max(0, places[0] - 1) : places[-1] + 2]

    @property
    def window(self) -> tuple[Measured, ...]:
        """The longest run of neighboring rates that all work; of equals the fastest. Empty where none works."""
        runs: list[list[Measured]] = [[]]
        for m in self.by_rate:
            if m.works:
                runs[-1].append(m)
            elif runs[-1]:
                runs.append([])
        return tuple(max(runs, key=lambda run: (len(run), -_speed(run))))

    @property
    def open_ends(self) -> tuple[bool, bool]:
        """Whether no lower and no higher rate than the window's was raced: it may go on there. False where none is."""
        window = self.window
        return bool(window) and window[0] is self.by_rate[0], bool(window) and window[-1] is self.by_rate[-1]

    @property
    def middle(self) -> Measured:
        """The middle of the window, of two the faster; the rate that converges most often where there is none."""
        window = self.window
        if not window:
            return max(self.by_rate, key=lambda m: (m.rate, m.progress, -_finite(m.loss)))
        center = (len(window) - 1) / 2
        return min(window, key=lambda m: (round(abs(window.index(m) - center), 1), _finite(m.steps)))

    @property
    def quality(self) -> tuple[float, ...]:
        """What a choice is ranked by: width of the window, up to where it is wide enough, and the share that converges
        at its middle; without a window how near the best came."""
        m, width = self.middle, min(len(self.window), WIDE)
        return (width, m.rate, 0.0, 0.0) if width else (0, m.rate, round(m.progress, 2), -_finite(m.loss))


def _speed(run: Sequence[Measured]) -> float:
    return min((_finite(m.steps) for m in run), default=0.0)


def _finite(x: float) -> float:
    return x if np.isfinite(x) else 1e300


def groups(measurements: Sequence[Measured]) -> list[Group]:
    """The measurements by activation, initializer and optimizer, in their order."""
    found: dict[tuple, list[Measured]] = {}
    for m in measurements:
        found.setdefault(m.setting.group, []).append(m)
    return [Group(tuple(sorted(ms, key=lambda m: m.setting.learning_rate))) for ms in found.values()]


def best_first(found: Sequence[Group]) -> list[Group]:
    """By quality; of equals the earlier, which is the more common."""
    return sorted(found, key=lambda g: g.quality, reverse=True)


def promising(found: Sequence[Group], count: int, each: bool) -> list[Group]:
    """The groups to race, in their order: the most promising by all rates and by the best one, the first of every
    optimizer, with `each` the first of every activation, and then the next ones up to `count`."""
    ranked = sorted(found, key=lambda g: g.promise, reverse=True)
    chosen = [max(found, key=lambda g: g.promise[::-1]), ranked[0]]
    for part in (2, 0) if each else (2,):
        chosen += [next(g for g in ranked if g.key[part] == name) for name in dict.fromkeys(g.key[part] for g in found)]
    chosen = list(dict.fromkeys(chosen))
    chosen += [g for g in ranked if g not in chosen][: max(0, count - len(chosen))]
    return sorted(chosen, key=found.index)


def rungs(low: float, high: float, optimizer: str) -> list[float]:
    """The rates of an optimizer's ladder from low to high, at least three where there are so many."""
    rates = LADDERS[optimizer]
    first, last = rates.index(low), rates.index(high)
    if last - first < 2:
        first, last = max(0, first - 1), min(len(rates) - 1, last + 1)
    middle = (first + last) // 2
    return sorted({rates[first], rates[middle], rates[last]})

"""From runs to standings: which setting is chosen, who comes where on fresh seeds, and how sure that is.

A task is a data set, a depth and a width; a league is some tasks. Numbers of a league are means over its tasks and,
within them, over seeds; intervals are 95% and a bootstrap's that draws tasks anew and then their seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from study import best_settings

TASK = ["dataset", "depth", "width"]
CHOICE = ["initializer", "learning_rate"]
NARROW, DEEP = 4, 10
LEAGUES = ("shallow", "deep", "narrow")
KNOWN = (
    *("identity", "relu", "leaky_relu", "prelu", "rrelu", "relu6", "crelu", "maxout", "elu", "selu"),
    *("softplus", "gelu", "silu", "mish", "hardswish", "sigmoid", "tanh", "hardtanh", "softsign", "sinusoid"),
)
"""What a reader knows and libraries have; the rest of the catalogue is the field that they play in."""
BASE = "relu"
RESAMPLES, CONFIDENCE = 1000, 0.95
NEVER = 1e9  # steps of who does not converge: the loss decides then


def league_of(tasks: pd.DataFrame) -> np.ndarray:
    """The league of each task."""
    return np.select([tasks["width"] <= NARROW, tasks["depth"] >= DEEP], ["narrow", "deep"], "shallow")


# --- the choice -----------------------------------------------------------------------------------


def choose(search: pd.DataFrame) -> pd.DataFrame:
    """The best initializer and learning rate of each activation in each task, as the runs of the search have it.

    `share` is that of these same runs, and flatters: fresh seeds say how good the choice is.
    """
    keys = [*TASK, "activation"]
    return best_settings(search, keys, CHOICE).sort_values(keys, ignore_index=True)


# --- arrays ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Field:
    """Everybody in every task: `names` of the A activations, `tasks` of T rows, and numbers [A, T, seeds], of which one
    seed stands for what the search measured. NaN is what cannot be said."""

    names: np.ndarray
    tasks: pd.DataFrame
    numbers: Mapping[str, np.ndarray]

    def of(self, league: str) -> Field:
        """The tasks of a league."""
        mine = league_of(self.tasks) == league
        return Field(self.names, self.tasks[mine], {name: x[:, mine] for name, x in self.numbers.items()})

    @property
    def leagues(self) -> list[str]:
        """Those that have tasks."""
        found = set(league_of(self.tasks))
        return [name for name in LEAGUES if name in found]


def field_of(search: pd.DataFrame, fresh: pd.DataFrame) -> Field:
    """The numbers of all tasks.

    Of the fresh runs: `place` among all activations in a task and seed, by steps to the target, then by the final loss;
    `trained`, 1 where converged; `steps`, ln of steps over ReLU's of the same seed where both converge; `dead` and
    `saturated`, shares at the end; `test`, accuracy. Of the search: `window`, decades of learning rate at which the
    chosen initializer trains, that is the converged share summed over rates times their distance; `any`, the converged
    share over all settings.
    """
    cube, names, tasks = _cube(fresh)
    converged = cube("outcome") == "converged"
    steps = np.maximum(cube("steps_to_target"), 1)
    steps = np.where(converged, steps, NEVER)
    lost = np.where(cube("outcome") == "diverged", np.inf, np.nan_to_num(cube("final_loss"), nan=np.inf))
    key = np.where(converged, steps, NEVER + rankdata(lost, axis=0))
    with np.errstate(invalid="ignore"):
        ratio = np.log(np.where(converged, steps, np.nan))
    numbers = {
        "place": rankdata(key, axis=0),
        "trained": converged.astype(float),
        "steps": ratio - ratio[names == BASE],
        **{name: cube(name) for name in ("dead", "saturated", "test")},
    }
    return Field(names, tasks, numbers | _of_search(search, fresh, names, tasks))


def _cube(runs: pd.DataFrame):
    """A function column -> [A, T, seeds], the names and the tasks."""
    runs = runs.sort_values(["activation", *TASK, "seed"])
    names, tasks = np.unique(runs["activation"]), runs[TASK].drop_duplicates().reset_index(drop=True)
    shape = (len(names), len(tasks), -1)

    def cube(column: str) -> np.ndarray:
        values = runs[column].to_numpy()
        return (values if values.dtype == object else values.astype(float)).reshape(shape)

    return cube, names, tasks


def _of_search(search: pd.DataFrame, fresh: pd.DataFrame, names: np.ndarray, tasks: pd.DataFrame):
    """`window` and `any` [A, T, 1]."""
    runs = search.assign(converged=search["outcome"].eq("converged"))
    keys = ["activation", *TASK]
    index = pd.MultiIndex.from_product([names, range(len(tasks))])
    places = tasks.assign(place=range(len(tasks)))

    def laid(values: pd.Series) -> np.ndarray:
        frame = values.rename("x").reset_index().merge(places, on=TASK).set_index(["activation", "place"])["x"]
        return frame.reindex(index).to_numpy(float).reshape(len(names), len(tasks), 1)

    rates = np.sort(runs["learning_rate"].unique())
    chosen = runs.merge(fresh[[*keys, "initializer"]].drop_duplicates(), on=[*keys, "initializer"])
    shares = chosen.groupby([*keys, "learning_rate"])["converged"].mean()
    distance = np.log10(rates[-1] / rates[0]) / max(len(rates) - 1, 1)
    return {
        "window": laid(shares.groupby(level=keys).sum() * distance),
        "any": laid(runs.groupby(keys)["converged"].mean()),
    }


# --- intervals ------------------------------------------------------------------------------------


def resamples(tasks: int, seeds: int, count: int = RESAMPLES) -> np.ndarray:
    """How often each (task, seed) is drawn [count, tasks, seeds]: tasks with replacement, then seeds in each."""
    generator = np.random.default_rng([0, tasks, seeds])
    drawn = np.zeros((count, tasks, seeds))
    picked = generator.integers(0, tasks, (count, tasks))
    of_seed = generator.integers(0, seeds, (count, tasks, seeds))
    np.add.at(drawn, (np.arange(count)[:, None, None], picked[:, :, None], of_seed), 1)
    return drawn


def means(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Means of [A, T, seeds] under each resample [A, count], missing ones left out."""
    flat, weights = values.reshape(len(values), -1), drawn.reshape(len(drawn), -1).T
    known = np.isfinite(flat)
    with np.errstate(invalid="ignore"):
        return (np.where(known, flat, 0) @ weights) / (known.astype(float) @ weights)


def mean(values: np.ndarray) -> np.ndarray:
    """The mean over tasks and seeds [A]."""
    return means(values, np.ones((1, *values.shape[1:])))[:, 0]


def interval(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of each row of resampled means; NaN where some resample has no value."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=1, method="inverted_cdf")
    return low, high


def may_be_first(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Whose mean may be the smallest of all [A]: comparisons with the best (Hsu 1981), each against all others at once.

    Row i is out where it is over some j by more than c_i standard errors of the difference, c_i the 95% quantile of the
    largest of such errors over all j: the one that is truly first stays in with that probability, however many there
    are. `drawn`: resampled means [A, count].
    """
    found = np.ones(len(values), bool)
    for i in range(len(values)):
        behind = values[i] - values
        errors = (drawn[i] - drawn) - behind[:, None]
        spread = errors.std(axis=1)
        sure = spread < 1e-12  # always as far behind; the same function under two names is by nothing
        found[i] = not (behind[sure] > 1e-12).any()
        if found[i] and not sure.all():
            largest = (errors[~sure] / spread[~sure, None]).max(axis=0)
            limit = np.quantile(largest, CONFIDENCE, method="inverted_cdf")
            found[i] = not (behind[~sure] > limit * spread[~sure]).any()
    return found


# --- standings ------------------------------------------------------------------------------------

COLUMNS = ("place", "trained", "steps", "window", "any", "dead", "saturated", "test")


def standing(field: Field, known: Sequence[str] = KNOWN) -> pd.DataFrame:
    """A league's table, best place first: of each of COLUMNS the mean and `_low`, `_high`; `steps` as a ratio.

    `first`: may be the first of all; `known_first`: of the `known` ones.
    """
    drawn = {1: resamples(len(field.tasks), 1), 0: resamples(len(field.tasks), field.numbers["place"].shape[2])}
    frame = pd.DataFrame({"activation": field.names})
    for name in COLUMNS:
        values = field.numbers[name]
        again = means(values, drawn[1 if values.shape[2] == 1 else 0])
        columns = (mean(values), *interval(again))
        for ending, column in zip(("", "_low", "_high"), columns, strict=True):
            frame[name + ending] = np.exp(column) if name == "steps" else column
        if name == "place":
            few = np.isin(field.names, known)
            frame["first"], frame["known_first"] = may_be_first(columns[0], again), False
            frame.loc[few, "known_first"] = may_be_first(columns[0][few], again[few])
    return frame.sort_values("place", kind="stable").reset_index(drop=True)


def deepest(field: Field, level: float = 0.5) -> pd.DataFrame:
    """Depth tolerated: activation, layers, layers_low, layers_high.

    The deepest of the depths tried at which, as at all lesser ones, half of the networks of 16 units converge, 0 where
    at none; mean over data sets, which may differ in the depths tried. The interval draws seeds anew.
    """
    wide = (field.tasks["width"] > NARROW).to_numpy()
    tasks, trained = field.tasks[wide].reset_index(drop=True), field.numbers["trained"][:, wide]

    sets = [(some["depth"].to_numpy(), some.index) for _, some in tasks.sort_values("depth").groupby("dataset")]

    def layers(shares: np.ndarray) -> np.ndarray:
        """Of converged shares [A, T]."""
        reached = [np.logical_and.accumulate(shares[:, rows] >= level, axis=1).sum(axis=1) for _, rows in sets]
        return np.mean([np.array([0, *depths])[n] for (depths, _), n in zip(sets, reached, strict=True)], axis=0)

    seeds = trained.shape[2]
    picked = np.random.default_rng(0).integers(0, seeds, (200, seeds))
    again = np.stack([layers(trained[..., one].mean(axis=2)) for one in picked], axis=1)
    low, high = interval(again)
    values = layers(trained.mean(axis=2))
    return pd.DataFrame({"activation": field.names, "layers": values, "layers_low": low, "layers_high": high})


def flattery(field: Field, first: int = 10) -> tuple[float, float]:
    """Mean place of the `first` that one half of the fresh seeds puts first, in that half and in the other."""
    places = field.numbers["place"]
    half, other = mean(places[:, :, ::2]), mean(places[:, :, 1::2])
    best = np.argsort(half, kind="stable")[:first]
    return float(half[best].mean()), float(other[best].mean())

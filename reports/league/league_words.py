"""What the league says in words: who comes first and who may, what that does not mean, how it was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from standings import BASE, KNOWN, Field, flattery

from gradsim.activations import ACTIVATIONS
from gradsim.analysis import words
from gradsim.engine.network import Architecture

if TYPE_CHECKING:
    from league_page import Made

NAMED = 6  # of those who tie


def with_interval(row: pd.Series, name: str, write: Callable[[float], str] = words.number) -> str:
    """ "12 (9 to 16)"; without an interval where there is none, or where it is as good as the number itself."""
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if pd.isna(low) or pd.isna(high) or {write(low), write(high)} == {write(value)}:
        return write(value)
    return f"{write(value)} ({words.span(low, high, write)})"


def whole(x: float) -> str:
    return words.MISSING if pd.isna(x) else f"{x:.0f}"


def _listed(names: list[str]) -> str:
    """Some names, and how many more."""
    more = len(names) - NAMED
    return words.join([*names[:NAMED], f"{more} more"] if more > 1 else names)


def shapes(tasks: pd.DataFrame) -> str:
    """ "1 or 3 hidden layers of 16 units"."""
    found = []
    for width, some in sorted(tasks.groupby("width"), reverse=True):
        depths = sorted(some["depth"].unique())
        noun = "layer" if depths == [1] else "layers"
        found.append(f"{words.join(map(str, depths), 'or')} hidden {noun} of {width} units")
    return words.join(found)


def _ties(frame: pd.DataFrame, mark: str) -> str:
    """Who may be first besides the one that is."""
    others = frame["activation"][frame[mark]].tolist()[1:]
    return f"{_listed(others)} may be as good" if others else "nobody else may be as good"


def answer(league: str, frame: pd.DataFrame) -> str:
    """What to use in a league's networks."""
    usual = frame[frame["activation"].isin(KNOWN)]
    best, top, base = usual.iloc[0], frame.iloc[0], frame[frame["activation"].eq(BASE)].iloc[0]
    parts = [
        f"{league}: of the {len(usual)} best known, {marked(best['activation'], '**')} comes first, at place "
        f"{with_interval(best, 'place', whole)} of {len(frame)} on average; {_ties(usual, 'known_first')}. It trains "
        f"{with_interval(best, 'trained', words.percent)} of the networks"
    ]
    if best["activation"] != BASE:
        parts.append(
            f", in {with_interval(best, 'steps')} times ReLU's steps; ReLU comes at place "
            f"{with_interval(base, 'place', whole)} and trains {with_interval(base, 'trained', words.percent)}"
        )
    if top["activation"] == best["activation"]:
        parts.append(f". It is the first of all, too; {_ties(frame, 'first')}.")
    else:
        parts.append(f". First of all is {marked(top['activation'])}, at {with_interval(top, 'place', whole)}; ")
        parts.append(f"{_ties(frame, 'first')}.")
    return "".join(parts)


def everywhere(leagues: Mapping[str, pd.DataFrame]) -> str:
    """Who may be the first of the best known, and of all, in every league."""
    known, every = (
        set.intersection(*(set(frame["activation"][frame[mark]]) for frame in leagues.values()))
        for mark in ("known_first", "first")
    )
    usual, anybody = words.join(sorted(known)) or "nobody", _listed(sorted(every)) or "nobody"
    return f"May be the first in all {len(leagues)} kinds of networks: of the best known {usual}, of all {anybody}."


def caveats(made: Made) -> list[str]:
    """What the numbers do not say, with numbers."""
    field, every = made.field, made.standings["all"]
    first, other = flattery(field)
    never = every["activation"][every["trained"] < 0.05].tolist()
    found = [
        *_linear(field, every),
        f"Chosen settings converged in {words.percent(made.choice['share'].mean())} of the runs that chose them and in "
        f"{words.percent(field.numbers['trained'].mean())} of those from fresh seeds, which alone rank. The ten that "
        f"half of the fresh seeds put first have the mean place {first:.0f} there and {other:.0f} in the other half.",
        "Intervals draw tasks and seeds anew: they are for other data of this kind, not for images or text, and "
        f"{field.tasks['dataset'].nunique()} data sets are few.",
        "One optimizer (momentum 0.9), batches of 32, one split of each set. A place is among all others, many of "
        "which are relatives of each other: it is no distance, for which see steps.",
        "The time of a step is of networks with three hidden layers of 16 units, in which an activation weighs more "
        "than in wide ones.",
        f"{words.plural(len(never), 'activation')} train under 5% of the networks: {words.join(never) or 'none'}.",
    ]
    twins = _twins(field)
    return [*found, f"The same function under two names, at equal places: {twins}."] if twins else found


def _linear(field: Field, every: pd.DataFrame) -> list[str]:
    """How far one gets without any activation."""
    if "identity" not in field.names:
        return []
    row = every[every["activation"].eq("identity")].iloc[0]
    regression = field.tasks["dataset"].eq("diabetes").to_numpy()
    trained = field.numbers["trained"][field.names == "identity"][0]
    classes, numbers = (
        words.percent(trained[some].sum() / max(trained[some].size, 1)) for some in (~regression, regression)
    )
    return [
        f"The data are small and nearly linear: networks of identity, linear ones, train {classes} of the time on the "
        f"sets of classes, {numbers} on diabetes, whose target is beyond a linear model, and come at place "
        f"{with_interval(row, 'place', whole)} over all. The league says what lets gradient descent get on, not what "
        "a network can represent."
    ]


def _twins(field: Field) -> str:
    """Activations whose every network came to the same end."""
    seen: dict[bytes, list[str]] = {}
    for name, places, steps in zip(field.names, field.numbers["place"], field.numbers["steps"], strict=True):
        seen.setdefault(places.tobytes() + steps.tobytes(), []).append(name)
    return ", ".join(" = ".join(names) for names in seen.values() if 1 < len(names) < 8)


def marked(name: str, around: str = "") -> str:
    """A name with what is to be known of it: "maxout (1.9x weights)"."""
    note = marks(name)
    return f"{around}{name}{around}" + (f" ({note})" if note else "")


def marks(name: str) -> str:
    """What is to be known of an activation: learned or random parameters, more weights than others have."""
    act = ACTIVATIONS[name]
    found = ["learned"] * bool(act.learned) + ["random"] * bool(act.random)
    ratio = _parameters(name) / _parameters(BASE)
    return ", ".join(found + [f"{ratio:.1f}x weights"] * (ratio > 1.15))


def _parameters(name: str) -> int:
    """Trained numbers of a network for digits with three hidden layers of 16 units."""
    return Architecture((64, 16, 16, 16, 10), (ACTIVATIONS[name],) * 3, True).parameter_count


# --- how it was made ------------------------------------------------------------------------------


def method(made: Made) -> list[str]:
    """What was run, in words."""
    tasks, tried = made.field.tasks, made.search
    rates, seeds = np.sort(tried["learning_rate"].unique()), tried["seed"].nunique()
    return [
        f"{len(made.field.names)} activations and {len(tasks)} tasks: {words.join(tasks['dataset'].unique())} with "
        f"{_everywhere(tasks)}. The target is a tenth of the best constant prediction's loss, on diabetes 0.45 of the "
        "variance, which linear least squares misses at 0.499.",
        f"Search: {words.join(tried['initializer'].unique())}; {len(rates)} learning rates from {rates[0]:g} to "
        f"{rates[-1]:.3g}; {seeds} seeds: {words.count(len(tried))} networks. Everybody has the same starts and rates, "
        "so that nobody has more tries. Between layers of m units weights of variance 1/m (glorot_normal) are critical "
        "for what is odd with slope 1 at 0, 2/m (he_normal) for rectifiers; data_dependent scales and centers every "
        "pre-activation on the data, which suits the rest. `critical` itself is refused where there is no edge of "
        "chaos.",
        "Choice: for each activation in each task the start and the rate that train most often, of equals with the "
        f"fewest steps. Rank: {made.fresh['seed'].nunique()} fresh seeds of each choice, "
        f"{words.count(len(made.fresh))} networks.",
        "Who may be the first: comparisons with the best (Hsu 1981), at 95% for all of them together, by bootstrap.",
    ]


def _everywhere(tasks: pd.DataFrame) -> str:
    """Shapes of all data sets, and those of some."""
    sets = tasks.groupby(["depth", "width"])["dataset"].agg(list)
    all_of = sets[sets.map(len) == tasks["dataset"].nunique()].index.to_frame(index=False)
    some_of = sets[sets.map(len) < tasks["dataset"].nunique()]
    extra = [
        f"{words.join(names)} with {shapes(pd.DataFrame([key], columns=['depth', 'width']))}"
        for key, names in some_of.items()
    ]
    return "; ".join([shapes(all_of), *extra])


def size(made: Made) -> str:
    """How much was run, when and on what."""
    minutes = f"{made.seconds / 60:.0f} minutes of threads that shared their cores with other work"
    return f"{words.count(made.networks)} networks, {minutes}; {made.machine}, gradsim {made.version}, {made.date}."

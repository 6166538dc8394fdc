"""Claim 10, second part: Xavier suits tanh and logistic, He suits ReLU."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, at_own_rate, main, where

import gradsim as gs
from gradsim.analysis import convergence_rate, wilson_interval, words
from gradsim.plots.style import dress, new_figure, pens

STARTS, DEPTHS = ("glorot_normal", "he_normal"), (2, 5, 10, 30)
OWN = {"sigmoid": "glorot_normal", "tanh": "glorot_normal", "relu": "he_normal"}


def measure(bench):
    results = bench.run(
        "starts",
        dataset="iris",
        width=32,
        batch_size=32,
        steps=bench.pick(400, 300),
        grid={
            "activation": list(OWN),
            "initializer": list(STARTS),
            "depth": list(DEPTHS) if not bench.quick else [2, 20],
            "learning_rate": gs.geomspace(0.003, 1, bench.pick(12, 6)),
            "seed": range(bench.pick(20, 16)),
        },
    )
    by = ["activation", "depth", "initializer"]
    best = at_own_rate(results.runs, by)
    table = convergence_rate(best, by).merge(best.groupby(by)[["steps", "learning_rate"]].median().reset_index(), on=by)
    return {"starts": table, "pairs": pairs(best)}


def pairs(best):
    """Seeds on which the own initializer is sooner at the target than the other, and on which it is later."""
    rows = []
    for (name, depth), cell in best.groupby(["activation", "depth"], sort=False):
        steps = cell.pivot_table(index="seed", columns="initializer", values="steps")
        own = OWN[name]
        other = "he_normal" if own == "glorot_normal" else "glorot_normal"
        wins, losses = int((steps[own] < steps[other]).sum()), int((steps[own] > steps[other]).sum())
        rows.append([name, depth, own, other, wins, losses, *wilson_interval(wins, wins + losses)])
    return pd.DataFrame(rows, columns=["activation", "depth", "own", "other", "wins", "losses", "low", "high"])


def decide(measured):
    pairs = measured["pairs"].sort_values(["activation", "depth"])
    suits = {name: cell.loc[cell["low"] > 0.5, "depth"].tolist() for name, cell in pairs.groupby("activation")}
    loses = {name: cell.loc[cell["high"] < 0.5, "depth"].tolist() for name, cell in pairs.groupby("activation")}
    table = measured["starts"].set_index(["activation", "depth", "initializer"])
    deepest = int(pairs["depth"].max())
    told = [
        f"{name} {words.percent(table.loc[(name, deepest, own), 'rate'])} with {own.split('_')[0].capitalize()}'s "
        f"against {words.percent(table.loc[(name, deepest, other), 'rate'])}"
        for name, own, other in pairs[["activation", "own", "other"]].drop_duplicates().itertuples(index=False)
    ]
    each = [f"{name}: better at {depths(suits[name])}, worse at {depths(loses[name])}" for name in OWN]
    text = (
        f"Paired by seed at best rates, the initializer that is said to suit is, for {'; '.join(each)}. "
        f"Converged at {deepest} layers: {', '.join(told)}."
    )
    numbers = tuple(
        Number(
            f"pairs won by {r.own}, {r.activation}, {r.depth} layers", r.wins / max(r.wins + r.losses, 1), r.low, r.high
        )
        for r in pairs.itertuples()
    )
    good = [name for name in OWN if suits[name]]
    if len(good) == len(OWN) and not any(loses.values()):
        return Verdict("holds", text, numbers=numbers)
    if not good:
        return Verdict("does not hold", text, numbers=numbers)
    when = words.join([f"{name} has {depths(suits[name], 'or')}" for name in good], "or")
    return Verdict("holds only when", text, when, numbers)


def depths(found, last="and"):
    return f"{words.join([str(d) for d in found], last)} layers" if found else "no depth"


def draw(measured):
    figure = new_figure(3.3)
    looks = dict(zip(STARTS, pens(STARTS), strict=True))
    table = measured["starts"]
    never = 3 * table["steps"].replace(np.inf, np.nan).max()
    for axes, name in zip(figure.subplots(1, len(OWN), sharey=True), OWN, strict=True):
        for start, pen in looks.items():
            cell = where(table, activation=name, initializer=start).sort_values("depth")
            axes.plot(cell["depth"], cell["steps"].clip(upper=never), **pen.line())
        axes.axhline(never, color="#8c8c8c", linewidth=1, linestyle=":", zorder=0)
        axes.set_title(name)
        axes.set_yscale("log")
        ticks = [t for t in (10, 30, 100, 300) if t < never / 1.5]
        axes.set_yticks([*ticks, never], [*map(str, ticks), "never"])
        axes.minorticks_off()
        axes.set_xlabel("hidden layers")
    figure.axes[0].set_ylabel("median steps to the target")
    note = "Each at its own best learning rate, chosen on other seeds. Never: half of the runs do not arrive."
    return dress(
        figure, "Which start trains which activation, and how deep", [p.handle() for p in looks.values()], note
    )


STUDY = Study(
    name="xavier_he",
    order=10.2,
    title="Does Xavier suit tanh and logistic, and He ReLU?",
    claim="Xavier's initialization suits tanh and logistic units, He's suits ReLU.",
    source="Founding texts, claim 10",
    rule=(
        "At an activation and a depth, the own initializer is better than the other's if it takes fewer steps to the "
        "target on more than half of the seeds (Wilson 95% interval of the pairs that differ, each at its own best "
        "rate). Holds if for every activation it is better at some depth and worse at none, only for the activations "
        "and depths at which it is better if that is so for some, does not hold if for none."
    ),
    varied="Glorot's and He's weights; logistic, tanh, ReLU; 2 to 30 layers of 32; 12 rates of SGD; seeds; iris.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

"""Claim 9: all-zero or all-equal weights never break symmetry."""

from __future__ import annotations

from study import Number, Study, Verdict, main

import gradsim as gs
from gradsim.analysis import convergence_rate, wilson_interval, words
from gradsim.plots.style import dress, new_figure, pens

EQUAL = ("zeros", "constant(value=0.5)", "ones")
RANDOM = ("normal(std=0.001)", "glorot_uniform")
STARTS = (*EQUAL, *RANDOM)


def measure(bench):
    results = bench.run(
        "starts",
        dataset="digits",
        width=16,
        batch_size=64,
        steps=bench.pick(800, 400),
        optimizer="adam",
        store="layers",
        grid={
            "initializer": list(STARTS),
            "activation": ["sigmoid", "tanh", "relu", "gelu"],
            "depth": [1, 2, 4],
            "learning_rate": gs.geomspace(1e-3, 1e-1, bench.pick(5, 2)),
            "data_seed": range(bench.pick(4, 2)),
        },
    )
    runs = results.runs.query("outcome != 'diverged'")
    layers = results.layers.merge(runs[["run_id", "initializer", "depth", "steps"]], on="run_id")
    hidden = layers[(layers["layer"] < layers["depth"]) & layers["distinct_units"].notna()]
    units = hidden.assign(units=hidden["distinct_units"] * 16)
    end = units[units["step"].eq(units["steps"])].groupby("initializer")["units"].agg(["min", "median", "max"])
    ever = units.groupby("initializer")["units"].max().rename("ever")
    table = convergence_rate(runs, ["initializer"])
    table = table.merge(end.join(ever), on="initializer")
    return {"starts": table, "accuracy": best_accuracy(runs)}


def best_accuracy(runs):
    return runs.groupby(["initializer", "activation", "depth"])["train_accuracy"].max().reset_index()


def decide(measured):
    table = measured["starts"].set_index("initializer")
    equal, random = table.loc[list(EQUAL)], table.loc[list(RANDOM)]
    most = float(equal["ever"].max())
    runs, converged = int(equal["n"].sum()), int(equal["converged"].sum())
    ends = wilson_interval(converged, runs)
    text = (
        f"In {runs:,} networks that began with equal weights no layer of 16 units ever had more than {most:.0f} "
        f"distinct unit{'s' if most > 1 else ''}, and {converged} converged ({words.span(*ends, words.percent)}). "
        f"Random weights, of standard deviation 0.001 too, leave {random['median'].min():.0f} distinct units at the "
        f"end; with Glorot's {words.percent(table.loc['glorot_uniform', 'rate'])} of the networks converged."
    )
    numbers = (
        Number("most distinct units in any layer at any checkpoint, equal weights", most),
        Number("share converged, equal weights", converged / runs, *ends),
        *(Number(f"share converged, {name}", *random.loc[name, ["rate", "low", "high"]]) for name in RANDOM),
    )
    control = random["median"].min() > 8 and random["rate"].max() > ends[1]
    return Verdict("holds" if most == 1 and control else "does not hold", text, numbers=numbers)


def draw(measured):
    table = measured["accuracy"]
    figure = new_figure(3.1)
    names = list(table["activation"].unique())
    looks = dict(zip(STARTS, pens(STARTS), strict=True))
    for axes, name in zip(figure.subplots(1, len(names), sharey=True), names, strict=True):
        for start, pen in looks.items():
            cell = table[table["activation"].eq(name) & table["initializer"].eq(start)]
            axes.plot(cell["depth"], cell["train_accuracy"], **pen.line())
        axes.set_title(name)
        axes.set_xticks([1, 2, 4])
        axes.set_xlabel("hidden layers")
        axes.set_ylim(0, 1.03)
    figure.axes[0].set_ylabel("best training accuracy, digits")
    return dress(figure, "A layer of equal weights stays one unit", [pen.handle() for pen in looks.values()])


STUDY = Study(
    name="symmetry",
    order=9,
    title="Do equal weights ever become different?",
    claim="Networks whose weights are all zero or all equal never break the symmetry of their units.",
    source="Founding texts, claim 9",
    rule=(
        "Holds if no hidden layer that began with equal weights has a second distinct unit (relative 1e-6) at any "
        "checkpoint of any run, while random weights of the same runs do differ and train more often."
    ),
    varied=(
        "Three equal and two random starts; sigmoid, tanh, ReLU, GELU; 1, 2 and 4 layers of 16; rates of Adam; data "
        "seeds (splits and batches); digits."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

"""Mishkin and Matas 2016: layer-sequential unit variance, a start for any activation."""

from __future__ import annotations

import pandas as pd
from study import Beside, Number, Study, Verdict, at_own_rate, main

from gradsim.analysis import convergence_rate, wilson_interval, words
from gradsim.plots.style import dress, new_figure, pens

STARTS = {"lsuv": "LSUV", "orthogonal": "orthogonal", "he_normal": "He", "glorot_normal": "Xavier"}
NAMES = ("relu", "leaky_relu(slope=0.333)", "tanh", "elu", "gelu", "sigmoid")
SHORT = {"leaky_relu(slope=0.333)": "very leaky relu"}
DEPTH = 20


def measure(bench):
    results = bench.run(
        "starts",
        dataset="iris",
        width=32,
        depth=DEPTH,
        batch_size=32,
        steps=bench.pick(400, 250),
        grid={
            "activation": list(NAMES) if not bench.quick else [NAMES[0], "tanh", "elu", "sigmoid"],
            "initializer": list(STARTS),
            "learning_rate": bench.pick([0.003, 0.01, 0.03, 0.1], [0.01, 0.03, 0.1]),
            "seed": range(bench.pick(24, 16)),
        },
    )
    runs = results.runs.astype({"activation": str, "initializer": str})
    runs["activation"] = runs["activation"].replace(SHORT)
    best = at_own_rate(runs, ["activation", "initializer"])
    by = ["activation", "initializer"]
    table = convergence_rate(best, by).merge(best.groupby(by)["steps"].median().reset_index(), on=by)
    unit = bench.run(
        "variance",
        dataset="iris",
        width=32,
        depth=DEPTH,
        steps=1,
        learning_rate=0.0,
        store="layers",
        initializer="lsuv",
        grid={"activation": list(NAMES), "seed": range(16)},
    )
    layers = (
        unit.layers.query("step == 0")
        .merge(unit.runs[["run_id", "activation"]], on="run_id")
        .astype({"activation": str})
    )
    layers = layers.assign(variance=layers["preactivation_std"] ** 2, activation=layers["activation"].replace(SHORT))
    spread = layers.groupby("activation")["variance"].agg(["min", "max"]).reset_index()
    return {"starts": table, "variance": spread, "pairs": pairs(best)}


def pairs(best):
    """Seeds at which LSUV takes fewer steps than another start, and the reverse."""
    rows = []
    for name, cell in best.groupby("activation"):
        steps = cell.pivot_table(index="seed", columns="initializer", values="steps")
        for other in list(STARTS)[1:]:
            wins, losses = int((steps["lsuv"] < steps[other]).sum()), int((steps["lsuv"] > steps[other]).sum())
            rows.append([name, other, wins, losses, *wilson_interval(wins, wins + losses)])
    return pd.DataFrame(rows, columns=["activation", "other", "wins", "losses", "low", "high"])


def decide(measured):
    table, spread = measured["starts"], measured["variance"]
    rates = table.set_index(["activation", "initializer"])
    names = list(table["activation"].unique())
    trains = [n for n in names if rates.loc[(n, "lsuv"), "low"] > 0.5]
    behind = [n for n in names if max(rates.loc[(n, o), "low"] for o in STARTS) > rates.loc[(n, "lsuv"), "high"]]
    missed = {o: [n for n in names if rates.loc[(n, o), "low"] <= 0.5] for o in STARTS}
    unit = bool(spread["min"].min() > 0.9 and spread["max"].max() < 1.1)
    told = "; ".join(f"{STARTS[o]} {words.join([n for n in names if n not in missed[o]]) or 'none'}" for o in STARTS)
    beaten = measured["pairs"].query("high < 0.5")
    faster = words.join(f"{STARTS[r.other]}'s of {r.activation}" for r in beaten.itertuples())
    text = (
        f"Of {DEPTH} layers, each at its best rate, over half of the networks reach the target with: {told}. LSUV "
        f"leaves every layer's variance within {spread['min'].min():.3f} and {spread['max'].max():.3f}. Paired by "
        f"seed, {faster or 'no other start'} {'take' if faster else 'takes'} fewer steps."
    )
    numbers = (
        *(
            Number(f"share converged, {n}, {STARTS[o]}", *rates.loc[(n, o), ["rate", "low", "high"]])
            for n in names
            for o in STARTS
        ),
        Number("least variance of a layer under LSUV", float(spread["min"].min())),
        Number("largest variance of a layer under LSUV", float(spread["max"].max())),
    )
    beside = (
        Beside(
            "variance of every layer's pre-activations",
            words.span(spread["min"].min(), spread["max"].max()),
            "within 0.1 of 1",
            "their algorithm 1",
            unit,
        ),
        Beside(
            f"{DEPTH} layers train with LSUV",
            words.join(trains) or "none",
            "ReLU, very leaky ReLU, tanh, maxout",
            "their tables, thin deep networks",
            bool({"relu", "tanh"} <= set(trains)),
        ),
    )
    if unit and len(trains) == len(names) and not behind:
        return Verdict("holds", text, numbers=numbers, beside=beside)
    if unit and trains and not set(behind) & set(trains):
        return Verdict("holds only when", text, f"the activation is {words.join(trains, 'or')}", numbers, beside)
    return Verdict("does not hold", text, numbers=numbers, beside=beside)


def draw(measured):
    table = measured["starts"]
    names = sorted(table["activation"].unique(), key=lambda n: n == "sigmoid")
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    looks = dict(zip(STARTS, pens(list(STARTS.values())), strict=True))
    for i, (start, pen) in enumerate(looks.items()):
        cell = table[table["initializer"].eq(start)].set_index("activation").loc[names]
        places = [k + (i - 1.5) * 0.16 for k in range(len(names))]
        around = [cell["rate"] - cell["low"], cell["high"] - cell["rate"]]
        axes.errorbar(places, cell["rate"], yerr=around, fmt=pen.marker, color=pen.color, linewidth=1.2, markersize=5)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(-0.03, 1.05)
    axes.set_ylabel("share that converged")
    axes.axhline(0.5, color="#8c8c8c", linewidth=0.8)
    note = (
        f"{DEPTH} layers of 32 units, iris, each at its own best learning rate, chosen on other seeds; bars: 95% "
        "intervals."
    )
    return dress(figure, "One start for many activations", [p.handle() for p in looks.values()], note)


STUDY = Study(
    name="classic_mishkin_2016",
    order=108,
    title="Does LSUV make deep networks of any activation train?",
    claim="Orthonormal weights scaled layer by layer to unit variance on data (LSUV) make very deep networks train, "
    "whatever the activation.",
    source="Mishkin & Matas 2016",
    rule=(
        "Holds if every layer's variance under LSUV is within 0.1 of 1, if with every activation over half of the "
        "networks of 20 layers reach the target (Wilson 95% interval), and no other start converges more often "
        "(intervals apart); only for the activations of which that is true."
    ),
    varied="Six activations, four starts, 20 layers of 32 (theirs: FitNets of 17 to 19 layers and others, CIFAR-10, "
    "MNIST); rates of SGD; seeds; iris.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

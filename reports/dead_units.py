"""Claim 8, second part: too high a learning rate kills up to 40% of a ReLU network, and what helps."""

from __future__ import annotations

import pandas as pd
from study import Beside, Number, Study, Verdict, main, middle

import gradsim as gs
from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

NAMES = ("relu", "leaky_relu", "prelu", "rrelu", "elu", "maxout")
CLAIMED, FEW = 0.4, 0.01


def measure(bench):
    shared = {"dataset": "digits", "width": 32, "batch_size": 64, "steps": bench.pick(800, 300), "store": "layers"}
    shared |= {"initializer": "he_normal"}
    rates, seeds = gs.geomspace(0.05, 5, bench.pick(13, 7)), range(bench.pick(24, 12))
    depths = bench.run(
        "depths", **shared, activation="relu", grid={"depth": [1, 3, 6], "learning_rate": rates, "seed": seeds}
    )
    remedies = bench.run(
        "remedies", **shared, depth=3, grid={"activation": list(NAMES), "learning_rate": rates, "seed": seeds}
    )
    bias = bench.run(
        "bias",
        **shared,
        depth=3,
        activation="relu",
        grid={
            "bias_initializer": ["zeros", "constant(value=0.1)", "constant(value=1)"],
            "learning_rate": rates,
            "seed": seeds,
        },
    )
    bias.runs["activation"] = "relu, bias " + bias.runs["bias_initializer"].str.extract(r"([\d.]+)\)")[0].fillna("0.1")
    bias.runs.loc[bias.runs["bias_initializer"].eq("zeros"), "activation"] = "relu, bias 0"
    both = pd.concat([shares(remedies, ["activation"]), shares(bias, ["activation"])])
    return {"depths": shares(depths, ["depth"]), "remedies": both[~both["activation"].eq("relu, bias 0")]}


def shares(results, by):
    """At the end: the median dead share of hidden units, shares of runs that blew up, and accuracy."""
    runs = results.runs[["run_id", "learning_rate", "outcome", "train_accuracy", "depth", *set(by) - {"depth"}]]
    layers = results.layers.merge(runs, on="run_id")
    hidden = layers[(layers["layer"] < layers["depth"]) & layers["dead"].notna()]
    last = hidden[hidden["step"].eq(results.campaign.steps)]
    dead = last.groupby("run_id")["dead"].mean()
    runs = runs.assign(dead=runs["run_id"].map(dead), lost=runs["outcome"].eq("diverged"))
    rows = []
    for key, cell in runs.groupby([*by, "learning_rate"]):
        alive = cell["dead"].where(~cell["lost"]).dropna()
        rows.append([*key, len(cell), cell["lost"].mean(), *middle(alive), cell["train_accuracy"].median()])
    return pd.DataFrame(rows, columns=[*by, "learning_rate", "n", "diverged", "dead", "low", "high", "accuracy"])


def decide(measured):
    depths, remedies = (measured[name][measured[name]["diverged"] < 0.5] for name in ("depths", "remedies"))
    many = depths[depths["low"] >= CLAIMED]
    good = depths[depths["accuracy"] >= depths.groupby("depth")["accuracy"].transform("max") - 0.01]
    best = good.loc[good.groupby("depth")["learning_rate"].idxmax()]  # the highest rate that trains as well as any
    top = depths.sort_values("dead").iloc[-1]
    most = remedies.groupby("activation")["dead"].max()
    helped = [name for name in most.index if most[name] <= FEW]
    useless = [
        f"{name} ({words.percent(most[name])})" for name in most.index if most[name] >= most["relu"] and name != "relu"
    ]
    where = [f"{int(d)} layers from rate {words.number(c['learning_rate'].min())} on" for d, c in many.groupby("depth")]
    sometimes = [
        f"{name} up to {words.percent(v)}" for name, v in most.items() if name not in helped and v < most["relu"]
    ]
    text = (
        f"Over 40% of the units are dead at the end in the median network: {words.join(where) or 'at no rate'}. At the "
        f"highest rate that trains well {words.span(best['dead'].min(), best['dead'].max(), words.percent)} are. In 3 "
        f"layers, at any rate at which most networks do not blow up, ReLU loses up to {words.percent(most['relu'])}; "
        f"{words.join(helped) or 'nobody'} at most "
        f"{words.percent(FEW)}{'; ' + words.join(sometimes) if sometimes else ''}. No help: "
        f"{words.join(useless) or 'nothing'}."
    )
    numbers = (
        Number(
            f"largest dead share, {int(top['depth'])} layers at {words.number(top['learning_rate'])}",
            *top[["dead", "low", "high"]],
        ),
        Number("dead share at the highest rate that trains well, largest", float(best["dead"].max())),
        *(Number(f"largest dead share in 3 layers, {name}", share) for name, share in most.items()),
    )
    ours = f"up to {words.percent(top['dead'])}"
    beside = (
        Beside("dead share, networks that do not blow up", ours, "as much as 40%", "founding texts", bool(len(many))),
    )
    if not len(many):
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    if best["low"].max() >= CLAIMED:
        return Verdict("holds", text, numbers=numbers, beside=beside)
    times = (many.groupby("depth")["learning_rate"].min() / best.set_index("depth")["learning_rate"]).min()
    deep = "" if 1 in many["depth"].unique() else "the network has several layers and "
    when = f"{deep}the rate is at least {words.number(times)} times the highest one that trains well"
    return Verdict("holds only when", text, when, numbers, beside)


def draw(measured):
    figure = new_figure(3.5)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, name, key in ((left, "depths", "depth"), (right, "remedies", "activation")):
        table = measured[name]
        kinds = list(table[key].unique())
        for kind, pen in zip(
            kinds, pens([words.plural(k, "layer") if key == "depth" else k for k in kinds]), strict=True
        ):
            cell = table[table[key].eq(kind) & (table["diverged"] < 0.5)]
            axes.plot(cell["learning_rate"], cell["dead"], **pen.line(), label=pen.label)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.legend(fontsize=7.5, loc="upper left")
    left.axhline(CLAIMED, color="#8c8c8c", linewidth=1, zorder=0)
    left.set_ylim(-0.03, 1.03)
    left.set_ylabel("dead share of hidden units at the end")
    left.set_title("ReLU")
    right.set_title("remedies, 3 layers")
    note = "Medians over seeds; rates at which most networks blow up are left out. Gray: 40%."
    return dress(figure, "High rates kill ReLU units, and little else", note=note)


STUDY = Study(
    name="dead_units",
    order=8.2,
    title="Does a high learning rate kill 40% of a ReLU network?",
    claim=(
        "Too high a learning rate kills as much as 40% of a ReLU network; a positive initial bias, Leaky ReLU, PReLU, "
        "RReLU, ELU, Maxout or a smaller rate help."
    ),
    source="Founding texts, claim 8",
    rule=(
        "Holds if at the highest rate that trains well (training accuracy within 1% of the best) at least 40% of the "
        "hidden units are dead at the end (slope 0 for every probe sample; lower end of the median's 95% interval), "
        "only at higher rates if it is so at a rate at which most networks do not blow up, does not hold if at none. "
        "What helps leaves at most 1% dead at any such rate."
    ),
    varied=(
        "13 rates of 0.05 to 5; 1, 3 and 6 layers of 32; six activations, biases of 0.1 and 1; He's weights; seeds; "
        "digits, SGD."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

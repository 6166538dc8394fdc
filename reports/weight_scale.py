"""Claim 10, first part: large initial weights saturate."""

from __future__ import annotations

import pandas as pd
from study import Number, Study, Verdict, at_own_rate, main, where

import gradsim as gs
from gradsim.analysis import bootstrap_interval, convergence_rate, words
from gradsim.plots.style import dress, new_figure, pens

SCALES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
NAMES, DEPTHS = ("sigmoid", "tanh", "relu"), (2, 5)
LARGE, USUAL = 10.0, 1.0


def measure(bench):
    names = {f"lecun_normal(gain={scale:g})": scale for scale in SCALES}
    results = bench.run(
        "scales",
        dataset="digits",
        width=32,
        batch_size=64,
        steps=bench.pick(600, 300),
        store="layers",
        grid={
            "activation": list(NAMES),
            "initializer": list(names),
            "depth": list(DEPTHS),
            "learning_rate": gs.geomspace(1e-3, 3, bench.pick(7, 4)),
            "seed": range(bench.pick(16, 6)),
        },
    )
    runs = results.runs.assign(
        scale=results.runs["initializer"].replace("lecun_normal", "lecun_normal(gain=1)").map(names)
    )
    layers = results.layers.query("step == 0").merge(
        runs[["run_id", "activation", "depth", "scale", "seed"]], on="run_id"
    )
    hidden = layers[layers["layer"] < layers["depth"]]
    flat = hidden.assign(saturated=hidden["saturated_low"] + hidden["saturated_high"])
    networks = flat.groupby(["activation", "depth", "scale", "seed"])["saturated"].mean()  # the rate has no part in it
    rows = [
        [*key, len(cell), cell.mean(), *bootstrap_interval(cell, "mean")]
        for key, cell in networks.groupby(level=["activation", "depth", "scale"])
    ]
    starts = pd.DataFrame(rows, columns=["activation", "depth", "scale", "n", "saturated", "low", "high"])
    best = at_own_rate(runs, ["activation", "depth", "scale"])
    return {"starts": starts, "trained": convergence_rate(best, ["activation", "depth", "scale"])}


def decide(measured):
    starts = measured["starts"].set_index(["activation", "depth", "scale"]).sort_index()
    trained = measured["trained"].set_index(["activation", "depth", "scale"]).sort_index()
    bent = ["sigmoid", "tanh"]
    at = {scale: starts.xs(scale, level="scale").loc[bent] for scale in (USUAL, LARGE)}
    done = {scale: trained.xs(scale, level="scale") for scale in (USUAL, LARGE)}
    saturates = bool((at[LARGE]["low"] > 0.5).all() and (at[USUAL]["high"] < 0.1).all())
    counts = {s: done[s].loc["tanh"][["converged", "n"]].sum() for s in done}
    text = (
        f"At {LARGE:g} times 1/sqrt(fan-in) "
        f"{words.span(at[LARGE]['saturated'].min(), at[LARGE]['saturated'].max(), words.percent)} of logistic and tanh "
        "pre-activations are saturated at the start, at 1/sqrt(fan-in) "
        f"{words.span(at[USUAL]['saturated'].min(), at[USUAL]['saturated'].max(), words.percent)}. Of tanh networks, "
        f"at each scale's best rate, {words.rate(*counts[LARGE].astype(int))} converge at the first and "
        f"{words.rate(*counts[USUAL].astype(int))} at the second."
    )
    numbers = tuple(
        Number(
            f"saturated at {scale:g}/sqrt(fan-in), {name}, {depth} layers",
            *at[scale].loc[(name, depth), ["saturated", "low", "high"]],
        )
        for scale in at
        for name, depth in at[scale].index
    )
    return Verdict("holds" if saturates else "does not hold", text, numbers=numbers)


def draw(measured):
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2, sharey=True)
    looks = dict(zip(NAMES, pens(NAMES), strict=True))
    for name, pen in looks.items():
        for axes, table, value in ((left, "starts", "saturated"), (right, "trained", "rate")):
            for depth in DEPTHS:
                cell = where(measured[table], activation=name, depth=depth).sort_values("scale")
                hollow = (
                    {}
                    if depth == DEPTHS[-1]
                    else {"markerfacecolor": "none", "markeredgecolor": pen.color, "alpha": 0.6}
                )
                axes.plot(cell["scale"], cell[value], **(pen.line() | hollow))
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(SCALES, [f"{s:g}" for s in SCALES])
        axes.minorticks_off()
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel("weights: standard deviation x sqrt(fan-in)")
    left.set_ylabel("saturated share at the start")
    right.set_ylabel("share that converged, best rate")
    right.tick_params(labelleft=True)
    note = f"Full markers: {DEPTHS[-1]} hidden layers; hollow: {DEPTHS[0]}. A ReLU's negative half counts as saturated."
    return dress(figure, "Large weights saturate what can saturate", [pen.handle() for pen in looks.values()], note)


STUDY = Study(
    name="weight_scale",
    order=10.1,
    title="Do large initial weights saturate?",
    claim="Large initial weights saturate logistic and tanh units.",
    source="Founding texts, claim 10",
    rule=(
        "Holds if with weights of 10/sqrt(fan-in) over half of the logistic and tanh pre-activations are saturated at "
        "the start (slope under a tenth of its largest) and with 1/sqrt(fan-in) under a tenth, at both depths (95% "
        "intervals)."
    ),
    varied="Weights of 0.1 to 30 over sqrt(fan-in); logistic, tanh, ReLU; 2 and 5 layers of 32; rates; seeds; digits.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

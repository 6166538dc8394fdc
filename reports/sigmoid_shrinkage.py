"""Claim 3: sigmoid' <= 0.25 shrinks the error signal at every layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Beside, Number, Study, Verdict, main, middle, where

from gradsim import activations, theory
from gradsim.analysis import words
from gradsim.plots.style import color, dress, new_figure, pens

SCALES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
DEPTHS, NAMES, WIDTH = (3, 5, 10, 20), ("sigmoid", "tanh", "relu"), 64
NOTE = "Crosses: mean-field theory of wide networks, sqrt(chi1). Gray: a quarter, and no change (dotted)."


def measure(bench):
    shared = {"dataset": "digits", "width": WIDTH, "batch_size": 64, "steps": 1, "store": "layers"}
    shared |= {"dtype": "float64", "learning_rate": 0.0}
    seeds = range(bench.pick(32, 8))
    names = {f"ntk(gain={scale:g})": scale for scale in SCALES}
    scaled = bench.run(
        "scales", **shared, depth=10, grid={"activation": list(NAMES), "initializer": list(names), "seed": seeds}
    )
    deep = bench.run(
        "depths",
        **shared,
        initializer="glorot_normal",
        grid={"activation": list(NAMES), "depth": list(DEPTHS), "seed": seeds},
    )
    factors = per_layer(scaled, ["activation", "initializer"])
    factors["scale"] = factors["initializer"].replace("ntk", "ntk(gain=1)").map(names)
    factors["theory"] = [theory_factor(*row) for row in factors[["activation", "scale"]].itertuples(index=False)]
    slopes = {name: float(activations.get(name).derivative(np.linspace(-9, 9, 180_001)).max()) for name in NAMES}
    slope = pd.DataFrame({"activation": list(slopes), "largest_slope": list(slopes.values())})
    return {"factors": factors, "depths": per_layer(deep, ["activation", "depth"]), "slopes": slope}


def per_layer(results, by):
    """What the error signal is multiplied by in a layer, towards the input: geometric mean over hidden layers."""
    start = results.layers.query("step == 0")
    runs = results.runs[["run_id", *{*by, "depth"}]].set_index("run_id")
    first = start[start["layer"].eq(0)].set_index("run_id")["delta_rms"]
    last = start[start["layer"].eq(start["run_id"].map(runs["depth"]) - 1)].set_index("run_id")["delta_rms"]
    table = runs.assign(ratio=first / last)
    table["factor"] = table["ratio"] ** (1 / (table["depth"] - 1))
    rows = [
        [*key, len(cell), *middle(cell["factor"]), cell["ratio"].median()]
        for key, cell in table.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*by, "n", "factor", "low", "high", "ratio"])


def theory_factor(name, scale):
    """The root of chi1 at the variance that wide networks tend to."""
    try:
        return float(np.sqrt(theory.chi1(name, scale, 0.0)))
    except theory.NoFixedPoint:
        return np.nan


def decide(measured):
    factors = measured["factors"].query("activation == 'sigmoid'").sort_values("scale")
    within, growing = factors[factors["high"] <= 0.25]["scale"], factors[factors["low"] > 1]["scale"]
    sigmoid = measured["depths"].query("activation == 'sigmoid'").sort_values("depth").iloc[-1]
    tanh = measured["depths"].query("activation == 'tanh'").sort_values("depth").iloc[-1]
    slopes = measured["slopes"].set_index("activation")["largest_slope"]
    usual = factors[factors["scale"].eq(1)].iloc[0]
    text = (
        f"With Glorot's weights the signal falls to {words.number(sigmoid['factor'])} a layer "
        f"({words.span(sigmoid['low'], sigmoid['high'])}) in {int(sigmoid['depth'])} logistic layers, "
        f"{words.number(sigmoid['ratio'])} in all, and to {words.number(tanh['factor'])} a layer of tanh. What falls "
        f"is slope times weights: at weights of {words.number(growing.min()) if len(growing) else 'no'}/sqrt(fan-in) "
        "it grows through logistic layers too."
    )
    numbers = (
        Number("factor a layer, logistic, weights 1/sqrt(fan-in)", *usual[["factor", "low", "high"]]),
        Number("factor a layer, tanh, Glorot's weights, deepest", *tanh[["factor", "low", "high"]]),
        Number("largest slope of the logistic function", slopes["sigmoid"]),
        Number("largest slope of tanh", slopes["tanh"]),
    )
    bound = 0.25 ** (int(sigmoid["depth"]) - 1)
    beside = (
        Beside(
            f"signal left after {int(sigmoid['depth']) - 1} logistic layers, Glorot",
            words.number(sigmoid["ratio"]),
            f"at most 0.25^{int(sigmoid['depth']) - 1} = {words.number(bound)}",
            "founding texts",
            bool(sigmoid["ratio"] <= bound),
        ),
    )
    everywhere = len(within) == len(factors)
    if slopes["sigmoid"] > 0.25 or not len(within):
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    when = "" if everywhere else f"weights' standard deviation is at most {within.max():g}/sqrt(fan-in)"
    return Verdict("holds" if everywhere else "holds only when", text, when, numbers, beside)


def draw(measured):
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2)
    looks = dict(zip(NAMES, pens(NAMES), strict=True))
    for name, pen in looks.items():
        cell = where(measured["factors"], activation=name).sort_values("scale")
        left.plot(cell["scale"], cell["factor"], **pen.line())
        left.plot(cell["scale"], cell["theory"], "x", color=color("ink"), markersize=6, zorder=4)
        cell = where(measured["depths"], activation=name).sort_values("depth")
        right.plot(cell["depth"].astype(int), cell["ratio"], **pen.line())
    left.axhline(0.25, color="#8c8c8c", linewidth=1)
    left.axhline(1, color="#8c8c8c", linewidth=1, linestyle=":")
    left.set_xscale("log", base=2)
    left.set_yscale("log", base=4)
    left.set_yticks([1 / 16, 1 / 4, 1, 4, 16], ["1/16", "1/4", "1", "4", "16"])
    left.set_xticks(SCALES, [f"{s:g}" for s in SCALES])
    left.set_xlabel("weights: standard deviation x sqrt(fan-in)")
    left.set_ylabel("error signal's factor a layer")
    depths = np.array(DEPTHS)
    right.plot(depths, 0.25 ** (depths - 1.0), color="#8c8c8c", linewidth=1)
    right.annotate("0.25 a layer", (12, 0.25**11), (6, 6), textcoords="offset points", color="#8c8c8c")
    right.set_yscale("log")
    right.set_xlabel("hidden layers, Glorot's weights")
    right.set_ylabel("first layer's signal / last's")
    return dress(
        figure, "A quarter a layer, at weights of the usual size", [pen.handle() for pen in looks.values()], NOTE
    )


STUDY = Study(
    name="sigmoid_shrinkage",
    order=3,
    title="Does the logistic function shrink the error to a quarter a layer?",
    claim="sigmoid' is at most 0.25 and shrinks the error signal at every layer, to 0.25^depth; tanh' is at most 1.",
    source="Founding texts, claim 3",
    rule=(
        "Holds if the factor of the error signal a logistic layer (root mean square, first layer over last, before "
        "training) is at most 0.25 at every scale of weights (upper end of the median's 95% interval); holds only when "
        "weights are that small if it is so at some of the scales; does not hold if at none."
    ),
    varied=(
        "Weights of 0.5 to 32 over sqrt(fan-in), 10 layers; Glorot's, 3 to 20 layers; 64 units; logistic, tanh, ReLU; "
        "seeds."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

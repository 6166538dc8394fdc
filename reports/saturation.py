"""Claim 2: a saturated logistic or tanh neuron has slope 0 and stands still."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, hollow, main, middle, where

from gradsim import activations
from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

SHIFTS = (0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0)
NAMES = ("sigmoid", "tanh", "relu")
# With the first every sample's pre-activation is near the bias; with the second data and weights spread them.
SPREADS = {"normal(std=0.02)": "near it", "glorot_uniform": "around it"}
STILL = 0.01


def measure(bench):
    results = bench.run(
        "shifts",
        dataset="digits",
        depth=1,
        width=32,
        batch_size=64,
        steps=bench.pick(1000, 300),
        learning_rate=0.2,
        grid={
            "initializer": list(SPREADS),
            "activation": list(NAMES),
            "bias_initializer": [f"constant(value={shift})" for shift in SHIFTS],
            "seed": range(bench.pick(32, 8)),
        },
        store="layers",
    )
    layers = results.layers.query("step == 0 and layer == 0")
    first = results.runs.merge(layers[["run_id", "gradient_rms"]], on="run_id")
    first["shift"] = first["bias_initializer"].str.extract(r"value=([\d.]+)")[0].fillna("0").astype(float)
    return {"gradients": relative(first), "slopes": slopes()}


def relative(runs):
    """The first layer's gradient over that of the same seed without a shift."""
    by = ["initializer", "activation", "shift"]
    table = runs.pivot_table(index=["initializer", "activation", "seed"], columns="shift", values="gradient_rms")
    rows = [
        [*key, len(values), *middle(values)] for key, values in table.div(table[0.0], axis=0).stack().groupby(level=by)
    ]
    frame = pd.DataFrame(rows, columns=[*by, "n", "gradient", "low", "high"])
    done = runs.assign(converged=runs["outcome"].eq("converged")).groupby(by)["converged"].mean()
    return frame.join(done, on=by)


def slopes():
    """Where float32 slopes become exactly 0, by our formula and by the product that is often used."""
    z = np.arange(0, 120, 0.01).astype(np.float32)
    rows = []
    for name, product in (("sigmoid", lambda y: y * (1 - y)), ("tanh", lambda y: 1 - y * y)):
        act = activations.get(name)
        ours, theirs = act.derivative(z), product(act(z))
        at_10 = float(act.derivative(np.float64(10)))
        rows.append([name, at_10, float(act.derivative(np.float64(0))), *(float(z[s > 0][-1]) for s in (ours, theirs))])
    return pd.DataFrame(rows, columns=["activation", "slope_at_10", "slope_at_0", "last_positive", "last_of_product"])


def decide(measured):
    at10 = measured["gradients"].query("shift == 10").set_index(["initializer", "activation"])
    near, around = (at10.loc[name] for name in SPREADS)
    slope = measured["slopes"].set_index("activation")
    still = all(near.loc[name, "high"] < STILL for name in ("sigmoid", "tanh"))
    control = near.loc["relu", "low"] > STILL
    numbers = tuple(
        Number(
            f"gradient at pre-activation 10, share of that at 0, {name}", *near.loc[name, ["gradient", "low", "high"]]
        )
        for name in NAMES
    )
    last = slope.loc["sigmoid", ["last_of_product", "last_positive"]]
    text = (
        f"At a pre-activation of 10 the gradient of logistic units is {words.number(near.loc['sigmoid', 'gradient'])} "
        f"of that at 0, of tanh units {words.number(near.loc['tanh', 'gradient'])}, of ReLU units "
        f"{words.number(near.loc['relu', 'gradient'])}. Where Glorot's weights spread the samples around 10, outliers "
        f"leave {words.number(around.loc['sigmoid', 'gradient'])} and {words.number(around.loc['tanh', 'gradient'])}. "
        f"The slopes are small, not 0 ({words.number(slope.loc['sigmoid', 'slope_at_10'])}, "
        f"{words.number(slope.loc['tanh', 'slope_at_10'])}): in float32 y(1 - y) is exactly 0 beyond "
        f"{last.iloc[0]:.1f}, the slope itself beyond {last.iloc[1]:.0f}."
    )
    return Verdict("holds" if still and control else "does not hold", text, numbers=numbers)


def draw(measured):
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2)
    looks = dict(zip(NAMES, pens(NAMES), strict=True))
    for (name, pen), (spread, how) in itertools.product(looks.items(), SPREADS.items()):
        cell = where(measured["gradients"], activation=name, initializer=spread)
        near = how == "near it"
        line = pen.line() | {"linestyle": "-"} if near else hollow(pen)
        left.plot(cell["shift"], cell["gradient"], **line)
        if not near:
            right.plot(cell["shift"], cell["converged"], **pen.line())
    left.set_yscale("log")
    left.axhline(STILL, color="#8c8c8c", linewidth=1, zorder=0)
    left.set_ylabel("first gradient / that at 0")
    right.set_ylabel("share that converged")
    right.set_ylim(-0.03, 1.03)
    for axes in (left, right):
        axes.set_xlabel("pre-activation that units begin at")
    note = "Solid: all samples near it (weights of 0.02). Dotted: around it (Glorot's weights), and right. Gray: 1%."
    return dress(figure, "Saturated units hardly move", [pen.handle() for pen in looks.values()], note)


STUDY = Study(
    name="saturation",
    order=2,
    title="Do saturated units stand still?",
    claim="A saturated logistic or tanh neuron has slope 0, its weights stop moving; a pre-activation of 10 is enough.",
    source="Founding texts, claim 2",
    rule=(
        "Holds if the first gradient of a hidden layer of logistic and of tanh units all of whose samples begin near a "
        "pre-activation of 10 is under 1% of the same networks' at 0 (95% interval of the median), and that of ReLU "
        "units is not."
    ),
    varied="Initial bias 0 to 20 of one layer of 32 logistic, tanh and ReLU units; seeds; digits, SGD at 0.2.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

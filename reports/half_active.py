"""Claim 7: half of the ReLU units of a randomly initialized network are active."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Beside, Number, Study, Verdict, main, where

from gradsim import activations
from gradsim.analysis import bootstrap_interval, words
from gradsim.plots.style import dress, new_figure, pens

BIASES = {"zeros": "0", "normal(std=0.5)": "random", "constant(value=0.1)": "0.1", "constant(value=1)": "1"}
NEAR = (0.45, 0.55)


def measure(bench):
    results = bench.run(
        "starts",
        depth=6,
        width=64,
        batch_size=64,
        steps=bench.pick(200, 100),
        learning_rate=0.05,
        activation="relu",
        store="layers",
        grid={
            "dataset": ["digits", "wine"],
            "scaling": ["standard", "minmax"],
            "initializer": ["he_normal", "glorot_uniform", "torch_linear", "orthogonal"],
            "bias_initializer": list(BIASES),
            "seed": range(bench.pick(24, 8)),
        },
        exclude=[{"initializer": "torch_linear", "bias_initializer": list(BIASES)[1:]}],
    )
    leaning = results.runs["bias_initializer"].replace("constant", "constant(value=0.1)")
    results.runs["bias_initializer"] = leaning  # defaults are left out of labels
    names = ["dataset", "scaling", "initializer", "bias_initializer", "seed", "steps", "outcome"]
    layers = results.layers.query("layer < 6").merge(results.runs[["run_id", *names]], on="run_id")
    layers["active"] = 1 - layers["zero"]
    return {
        "starts": shares(layers.query("step == 0")),
        "ends": shares(layers.query("step == steps and outcome != 'diverged'")),
    }


def shares(layers):
    """The mean active share of a network's hidden units, by setting, and the lowest and highest of its layers."""
    by = ["dataset", "scaling", "initializer", "bias_initializer"]
    rows = []
    for key, cell in layers.groupby(by):
        networks = cell.groupby("run_id")["active"].mean()
        each = cell.groupby("layer")["active"].mean()
        rows.append(
            [*key, len(networks), networks.mean(), *bootstrap_interval(networks, "mean"), each.min(), each.max()]
        )
    columns = [*by, "n", "active", "low", "high", "lowest_layer", "highest_layer"]
    return pd.DataFrame(rows, columns=columns)


def decide(measured):
    starts = measured["starts"]
    constant = starts["bias_initializer"].str.startswith("constant")
    near = starts["low"].between(*NEAR) & starts["high"].between(*NEAR) & starts["lowest_layer"].gt(0.4)
    even, shifted = starts[~constant], starts[constant]
    slope = activations.relu.derivative(np.array([1e-30, 1.0, 1e30]))
    ends = measured["ends"]
    after = ends[~ends["bias_initializer"].str.startswith("constant")]["active"]
    text = (
        f"With biases symmetric about 0 a network's active share is {words.percent(even['active'].mean())} on average "
        f"({words.span(even['active'].min(), even['active'].max(), words.percent)} over {len(even)} settings of "
        "initializer, data and scaling); with biases of 0.1 and 1 it is "
        f"{words.span(shifted['active'].min(), shifted['active'].max(), words.percent)}. After training it is "
        f"{words.span(after.min(), after.max(), words.percent)}."
    )
    middle = even.sort_values("active").iloc[len(even) // 2]
    numbers = (
        Number(
            "active share at the start, biases symmetric about 0, median setting", *middle[["active", "low", "high"]]
        ),
        Number("the same, biases positive, largest", float(shifted["active"].max())),
        Number("slope of ReLU at 1e30", float(slope[2])),
    )
    beside = (
        Beside(
            "active units at the start",
            words.percent(even["active"].mean()),
            "about 50%",
            "founding texts",
            bool(near[~constant].all()),
        ),
    )
    if not near[~constant].all() or (slope != 1).any():
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    when = "" if near.all() else "biases are 0 or symmetric about 0"
    return Verdict("holds" if near.all() else "holds only when", text, when, numbers, beside)


def draw(measured):
    figure = new_figure(3.2)
    looks = dict(zip(BIASES, pens(list(BIASES.values())), strict=True))
    for axes, (name, title) in zip(
        figure.subplots(1, 2, sharey=True), (("starts", "before training"), ("ends", "after")), strict=True
    ):
        table = measured[name]
        settings = list(table.groupby(["dataset", "scaling"]).groups)
        for place, (dataset, scaling) in enumerate(settings):
            for k, (bias, pen) in enumerate(looks.items()):
                cell = where(table, dataset=dataset, scaling=scaling, bias_initializer=bias)
                x = np.full(len(cell), place + 0.16 * (k - 1.5)) + np.linspace(-0.05, 0.05, len(cell))
                axes.plot(x, cell["active"], **(pen.line() | {"linestyle": "", "markersize": 5.5}))
        axes.axhline(0.5, color="#8c8c8c", linewidth=1, zorder=0)
        axes.set_xticks(range(len(settings)), [f"{d}\n{s}" for d, s in settings])
        axes.grid(False, axis="x")
        axes.set_ylim(0, 1)
        axes.set_title(title)
    figure.axes[0].set_ylabel("active share of hidden units")
    handles = [pen.handle() for pen in looks.values()]
    for handle in handles:
        handle.set(linestyle="", label=f"bias {handle.get_label()}")
    return dress(
        figure,
        "Half of the units are on, where biases do not lean",
        handles,
        "A dot is an initializer's mean over seeds.",
    )


STUDY = Study(
    name="half_active",
    order=7,
    title="Are half of the ReLU units active at the start?",
    claim=(
        "ReLU does not saturate for z > 0, and about 50% of hidden units are active in a randomly initialized network."
    ),
    source="Founding texts, claim 7",
    rule=(
        "Holds if the mean active share at the start is within 45% to 55% (95% interval) and no layer's is under 40%, "
        "in every setting, and ReLU's slope is 1 wherever z > 0; holds only when biases lean to no side if settings "
        "with constant positive biases alone fail; does not hold otherwise."
    ),
    varied="Four initializers, biases 0, random, 0.1 and 1, two data sets, two scalings, seeds; 6 layers of 64.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

"""Claim 8, first part: a large negative bias kills a ReLU unit for good."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, hollow, main, where

from gradsim.analysis import convergence_rate, wilson_interval, words
from gradsim.plots.style import dress, new_figure, pens

BIASES = (0.0, -2.0, -4.0, -8.0, -16.0)
NAMES = ("relu", "leaky_relu", "elu")
WIDTH = 32


def measure(bench):
    results = bench.run(
        "biases",
        dataset="wine",
        depth=2,
        width=WIDTH,
        batch_size=32,
        steps=bench.pick(4000, 1500),
        initializer="he_normal",
        learning_rate=0.1,
        store="layers",
        grid={
            "activation": list(NAMES),
            "bias_initializer": [f"constant(value={b})" for b in BIASES],
            "seed": range(bench.pick(64, 24)),
        },
    )
    runs = results.runs
    runs["bias"] = runs["bias_initializer"].str.extract(r"value=(-?[\d.]+)\)")[0].astype(float).fillna(0.0)
    layers = results.layers.query("layer < 2").merge(runs[["run_id", "activation", "bias", "steps"]], on="run_id")
    table = layers.pivot_table(index=["activation", "bias", "layer", "run_id"], columns="step", values="dead")
    first, last = table[0], table[results.campaign.steps]
    counts = pd.DataFrame({"dead": (first * WIDTH).round(), "later": (last * WIDTH).round()}).dropna()
    counts["revived"] = (counts["dead"] - counts["later"]).clip(lower=0)
    rows = []
    for key, cell in counts.groupby(level=["activation", "bias", "layer"]):
        total = int(cell["dead"].sum())
        back = int(cell["revived"].sum())
        rows.append(
            [*key, total / WIDTH / len(cell), total, back, *wilson_interval(back, total), cell["later"].mean() / WIDTH]
        )
    columns = ["activation", "bias", "layer", "dead_share", "dead", "revived", "low", "high", "dead_at_end"]
    return {"units": pd.DataFrame(rows, columns=columns), "runs": convergence_rate(runs, ["activation", "bias"])}


def decide(measured):
    units = measured["units"]
    sums = units.groupby(["activation", "layer"])[["dead", "revived"]].sum().astype(int)
    back = {key: (row["dead"], row["revived"]) for key, row in sums.iterrows()}
    low = units.query("activation == 'relu' and bias == -8 and layer == 0").iloc[0]
    leaky = units.query("activation == 'leaky_relu'")["dead"].sum()
    first, second = back["relu", 0], back["relu", 1]
    elu = units.query("activation == 'elu'")["dead_share"].max()
    rates = measured["runs"].set_index(["activation", "bias"])["rate"]
    text = (
        f"A bias of -8 leaves {words.percent(low['dead_share'])} of the first layer's ReLU units dead at the start. Of "
        f"{first[0]:,} dead units of first layers {first[1]:,} revived in training, of {second[0]:,} of second layers "
        f"{words.rate(second[1], max(second[0], 1))}. Leaky ReLU had {leaky:,} dead units. At -16 "
        f"{words.percent(rates['relu', -16.0])} of ReLU networks converge, {words.percent(rates['leaky_relu', -16.0])} "
        f"of leaky and {words.percent(rates['elu', -16.0])} of ELU ones."
    )
    numbers = (
        Number("dead at the start at bias -8, first layer, ReLU", float(low["dead_share"])),
        Number(
            "share of dead ReLU units that revived, first layer",
            first[1] / max(first[0], 1),
            *wilson_interval(*first[::-1]),
        ),
        Number(
            "share of dead ReLU units that revived, second layer",
            second[1] / max(second[0], 1),
            *wilson_interval(*second[::-1]),
        ),
        Number("most ELU units dead at the start at any bias", float(elu)),
    )
    kills = low["dead_share"] > 0.9 and leaky == 0
    if not kills or first[1] > 0:
        return Verdict("does not hold", text, numbers=numbers)
    good = second[1] == 0
    return Verdict(
        "holds" if good else "holds only when",
        text,
        "" if good else "the unit is in the first layer, whose inputs do not change",
        numbers,
    )


def draw(measured):
    figure = new_figure(3.3)
    left, middle, right = figure.subplots(1, 3, sharey=True)
    looks = dict(zip(NAMES, pens(NAMES), strict=True))
    for name, pen in looks.items():
        for layer, axes in ((0, left), (1, middle)):
            cell = where(measured["units"], activation=name, layer=layer)
            axes.plot(-cell["bias"], cell["dead_share"], **hollow(pen))
            axes.plot(-cell["bias"], cell["dead_at_end"], **pen.line())
        cell = where(measured["runs"], activation=name)
        right.plot(-cell["bias"], cell["rate"], **pen.line())
    for axes, title in ((left, "first layer"), (middle, "second layer"), (right, "networks")):
        axes.set_title(title)
        axes.set_xlabel("negative bias at the start")
        axes.set_xticks(-np.array(BIASES))
        axes.set_ylim(-0.03, 1.03)
    left.set_ylabel("dead share of units")
    right.set_ylabel("share that converged")
    note = "Dotted, hollow: at the start. Full: at the end of training."
    return dress(
        figure, "Dead units of the first layer never come back", [pen.handle() for pen in looks.values()], note
    )


STUDY = Study(
    name="dead_bias",
    order=8.1,
    title="Does a large negative bias kill a ReLU unit for good?",
    claim="A large negative bias kills a ReLU unit for good.",
    source="Founding texts, claim 8",
    rule=(
        "Holds if a bias of -8 leaves over 90% of the first layer's ReLU units dead, leaky ReLU none, and no unit that "
        "is dead at the start is alive at the end of training, in any layer; only in first layers if those of the "
        "second revive."
    ),
    varied="Initial bias 0 to -16; ReLU, leaky ReLU, ELU; two layers of 32, He's weights; seeds; wine, SGD at 0.1.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

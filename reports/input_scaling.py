"""Claim 11: inputs should be normalized."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, at_own_rate, main, middle, where

import gradsim as gs
from gradsim.analysis import bootstrap_interval, convergence_rate, words
from gradsim.plots.style import dress, new_figure, pens

SETS, NAMES = ("wine", "breast_cancer", "iris", "digits"), ("sigmoid", "tanh", "relu")
SCALINGS = ("standard", "minmax", "none")


def measure(bench):
    results = bench.run(
        "scalings",
        depth=2,
        width=16,
        batch_size=32,
        steps=bench.pick(1500, 1000),
        optimizer="momentum",
        target=0.2,
        store="layers",
        grid={
            "dataset": list(SETS),
            "scaling": list(SCALINGS),
            "activation": list(NAMES),
            "learning_rate": gs.geomspace(1e-6, 1, bench.pick(13, 7)),
            "seed": range(bench.pick(16, 8)),
        },
    )
    by = ["dataset", "scaling", "activation"]
    best = at_own_rate(results.runs, by)
    table = convergence_rate(best, by).merge(best.groupby(by)["steps"].median().reset_index(), on=by)
    rates = best.groupby(by)["learning_rate"].first().reset_index()
    start = results.layers.query("step == 0 and layer == 0").merge(results.runs[["run_id", *by]], on="run_id")
    start["saturated"] = start["saturated_low"] + start["saturated_high"]
    table = table.merge(start.groupby(by)["saturated"].mean().reset_index(), on=by)
    return {"scalings": table.merge(rates, on=by), "pairs": pairs(best)}


def pairs(best):
    """Of each seed: steps with raw inputs over steps with standardized ones; NaN where neither arrives."""
    table = best.pivot_table(index=["dataset", "activation", "seed"], columns="scaling", values="steps")
    return (table["none"] / table["standard"]).rename("ratio").reset_index()


def decide(measured):
    pairs, table = measured["pairs"], measured["scalings"].set_index(["scaling", "dataset", "activation"])
    rows = []
    for key, cell in pairs.groupby(["dataset", "activation"]):
        ratio = cell["ratio"].dropna()
        raw, standard = (table.loc[(scaling, *key)] for scaling in ("none", "standard"))
        faster = len(ratio) > 0 and bootstrap_interval(ratio)[0] > 1
        rows.append([*key, ratio.median(), bool(faster or raw["high"] < standard["low"])])
    frame = pd.DataFrame(rows, columns=["dataset", "activation", "ratio", "better"])
    count, better = len(frame), int(frame["better"].sum())
    exceptions = [
        f"{d} with {a}" for d, a in frame.loc[~frame["better"], ["dataset", "activation"]].itertuples(index=False)
    ]
    ratio = middle(pairs["ratio"])
    sums = measured["scalings"].groupby("scaling")[["converged", "n"]].sum().astype(int)
    flat = measured["scalings"].query("activation != 'relu'").groupby("scaling")["saturated"].mean()
    times = f"Raw inputs take {words.number(ratio[0])} times the steps"
    slower = times if np.isfinite(ratio[0]) else "Over half of the networks that arrive standardized never do raw"
    text = (
        f"Standardized inputs are better in {better} of {count} combinations of data set and activation, each at its "
        f"own best rate. Raw: {words.rate(*sums.loc['none', ['converged', 'n']])} converge; standardized: "
        f"{words.rate(*sums.loc['standard', ['converged', 'n']])}. {slower}. Raw inputs saturate "
        f"{words.percent(flat['none'])} of the first layer's logistic and tanh pre-activations, standardized ones "
        f"{words.percent(flat['standard'])}."
    )
    numbers = (
        Number("share of combinations in which standardized inputs are better", better / count),
        Number("steps to target, raw over standardized", *ratio),
        Number("first layer saturated at the start, raw", float(flat["none"])),
        Number("first layer saturated at the start, standardized", float(flat["standard"])),
    )
    if better == count:
        return Verdict("holds", text, numbers=numbers)
    if better / count < 0.5:
        return Verdict("does not hold", text, numbers=numbers)
    return Verdict("holds only when", text, f"features differ in scale: not for {words.join(exceptions)}", numbers)


def draw(measured):
    figure = new_figure(3.4)
    looks = dict(zip(SCALINGS, pens(SCALINGS), strict=True))
    table = measured["scalings"]
    never = 3 * table["steps"].replace(np.inf, np.nan).max()
    for axes, name in zip(figure.subplots(1, len(NAMES), sharey=True), NAMES, strict=True):
        for k, (scaling, pen) in enumerate(looks.items()):
            cell = where(table, activation=name, scaling=scaling).set_index("dataset").loc[list(SETS)]
            x = np.arange(len(SETS)) + 0.2 * (k - 1)
            axes.plot(x, cell["steps"].clip(upper=never), **(pen.line() | {"linestyle": "", "markersize": 6}))
        axes.axhline(never, color="#8c8c8c", linewidth=1, linestyle=":", zorder=0)
        axes.set_xticks(range(len(SETS)), [s.replace("_", "\n") for s in SETS], fontsize=8)
        axes.grid(False, axis="x")
        axes.set_yscale("log")
        powers = [10**k for k in range(1, 5) if 10**k < never / 2]
        axes.set_yticks([*powers, never], [*(f"{p:,}" for p in powers), "never"])
        axes.minorticks_off()
        axes.set_ylim(4, never * 1.6)
        axes.set_title(name)
    figure.axes[0].set_ylabel("median steps to the target")
    note = "Each at its own best rate of 1e-6 to 1, chosen on other seeds. Never: half of the runs do not arrive."
    return dress(figure, "Raw inputs slow networks down, or stop them", [pen.handle() for pen in looks.values()], note)


STUDY = Study(
    name="input_scaling",
    order=11,
    title="Should inputs be normalized?",
    claim="Inputs should be normalized.",
    source="Founding texts, claim 11",
    rule=(
        "In a combination of data set and activation, standardized inputs are better if raw ones take more steps to "
        "the target, paired by seed, or converge less often (95% intervals), each at its own best rate. Holds if they "
        "are better in all, only for some if in at least half, does not hold otherwise."
    ),
    varied=(
        "Raw, standardized, min-max inputs; four real sets; logistic, tanh, ReLU; rates 1e-6 to 1; seeds; 2 layers of "
        "16."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

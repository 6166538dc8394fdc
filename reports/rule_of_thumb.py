"""Claim 15: use ReLU; if worried leaky ReLU or Maxout; never sigmoid; expect less of tanh."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, at_own_rate, main

import gradsim as gs
from gradsim.analysis import bootstrap_interval, words
from gradsim.plots.style import color, dress, new_figure

STARTS = {
    "relu": "he_normal",
    "leaky_relu": "he_normal",
    "maxout": "he_normal(gain=1)",
    "tanh": "glorot_normal",
    "sigmoid": "glorot_normal",
    "elu": "he_normal",
    "gelu": "he_normal",
    "selu": "lecun_normal",
}
NAMED = ("relu", "leaky_relu", "maxout", "tanh", "sigmoid")
SETS, DEPTHS = ("digits", "wine", "breast_cancer", "spirals", "circles", "xor(bits=3)"), (1, 3, 8)


def measure(bench):
    results = bench.run(
        "league",
        width=24,
        batch_size=32,
        steps=bench.pick(1000, 500),
        optimizer="momentum",
        zip=[{"activation": list(STARTS), "initializer": list(STARTS.values())}],
        grid={
            "dataset": list(SETS) if not bench.quick else list(SETS[1:5]),
            "depth": list(DEPTHS) if not bench.quick else [2, 6],
            "learning_rate": gs.geomspace(1e-3, 1, bench.pick(7, 5)),
            "seed": range(bench.pick(8, 6)),
        },
    )
    runs = results.runs.assign(dataset=results.runs["dataset"].str.extract(r"^(\w+)")[0])
    by = ["dataset", "depth", "activation"]
    best = at_own_rate(runs, by)
    table = best.groupby(by).agg(steps=("steps", "median"), converged=("converged", "mean"), runs=("seed", "size"))
    test = best.assign(test=best["test_accuracy"].where(best["outcome"].ne("diverged"), 0)).groupby(by)["test"].median()
    rates = runs.assign(ok=runs["outcome"].eq("converged")).groupby([*by, "learning_rate"])["ok"].mean()
    return {"cells": table.join(test).join((rates >= 0.5).groupby(level=by).mean().rename("window")).reset_index()}


def league(cells):
    """Mean rank by steps to the target over tasks (1 is best, equals share), with an interval over tasks drawn anew."""
    steps = cells.pivot_table(index=["dataset", "depth"], columns="activation", values="steps")
    steps = steps[np.isfinite(steps).any(axis=1)]
    ranks = steps.rank(axis=1)
    shares = cells.groupby("activation")[["converged", "window", "test"]].mean()
    rows = [[name, ranks[name].mean(), *bootstrap_interval(ranks[name], "mean"), *shares.loc[name]] for name in ranks]
    frame = pd.DataFrame(rows, columns=["activation", "rank", "low", "high", *shares.columns])
    return frame.sort_values("rank").reset_index(drop=True), ranks


def better(ranks, one, other):
    """How much later `other` ranks than `one`, mean over tasks, with its interval."""
    apart = ranks[other] - ranks[one]
    return (float(apart.mean()), *bootstrap_interval(apart, "mean"))


def decide(measured):
    table, ranks = league(measured["cells"])
    behind = {name: better(ranks, "relu", name) for name in ("leaky_relu", "maxout", "tanh")}
    last = better(ranks, "tanh", "sigmoid")
    named = table[table["activation"].isin(NAMED)]
    never = last[1] > 0 and named.iloc[-1]["activation"] == "sigmoid"
    sooner = [name for name, (_, _, high) in behind.items() if high < 0]
    wrong = [f'"use ReLU" ({words.join(sooner)} rank{"s" * (len(sooner) == 1)} before it)'] * bool(sooner)
    wrong += ['"expect less of tanh"'] * (behind["tanh"][1] <= 0)
    wrong += [f'"or {name}"' for name in ("leaky_relu", "maxout") if behind[name][1] > 0]
    order = ", ".join(f"{r.activation} {r.rank:.1f} ({r.low:.1f} to {r.high:.1f})" for r in table.itertuples())
    shares = table.set_index("activation")["converged"]
    others = words.join(list(table["activation"][: table["activation"].isin(NAMED).argmax()])) or "nobody"
    text = (
        f"Mean rank by steps to the target over {len(ranks)} tasks, each at its own best rate: {order}. Before all "
        f"five that are named: {others}. Converged there: "
        f"{', '.join(f'{name} {words.percent(shares[name])}' for name in NAMED)}."
    )
    numbers = tuple(Number(f"ranks that {name} is behind ReLU", *values) for name, values in behind.items())
    numbers += (Number("ranks that sigmoid is behind tanh", *last),)
    numbers += tuple(Number(f"mean rank, {r.activation}", r.rank, r.low, r.high) for r in table.itertuples())
    if not never:
        return Verdict("does not hold", text, numbers=numbers)
    when = f"{words.join(wrong)} {'are' if len(wrong) > 1 else 'is'} left out" if wrong else ""
    return Verdict("holds only when" if wrong else "holds", text, when, numbers)


def draw(measured):
    table, _ = league(measured["cells"])
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2, width_ratios=[1.3, 1], sharey=True)
    places = np.arange(len(table))
    blue, gray = "#0072B2", "#8c8c8c"
    hues = [blue if name in NAMED else gray for name in table["activation"]]
    left.hlines(places, table["low"], table["high"], color=hues, linewidth=2.2, alpha=0.6)
    left.scatter(table["rank"], places, c=hues, s=36, zorder=3)
    right.barh(places - 0.16, table["converged"], height=0.28, color=hues)
    right.barh(places + 0.16, table["window"], height=0.28, color=hues, alpha=0.4)
    left.set_yticks(places, table["activation"], color=color("ink"))
    left.invert_yaxis()
    for axes in (left, right):
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
    left.set_xlabel("mean rank by steps to the target")
    right.set_xlim(0, 1)
    right.set_xlabel("share that converged")
    note = (
        "Blue: named in the rule. Right: at the best rate; pale: share of rates at which half converge. 95% intervals."
    )
    return dress(figure, "Which activation trains fastest, task by task", note=note)


STUDY = Study(
    name="rule_of_thumb",
    order=15,
    title="Is the rule of thumb right?",
    claim=(
        "Use ReLU and mind the learning rate; if worried, leaky ReLU or Maxout; never sigmoid; try tanh but expect "
        "less."
    ),
    source="Founding texts, claim 15",
    rule=(
        "Activations are ranked by steps to the target in each task (data set and depth), each at its own best rate. "
        "Four parts, over tasks (95% intervals of mean differences): of those named none ranks before ReLU, leaky ReLU "
        "and Maxout not behind it, tanh behind it, sigmoid behind tanh and last. Holds if all do, without the parts "
        "that fail if sigmoid is last, and else not."
    ),
    varied=(
        "Eight activations with their usual initializers; six sets; 1, 3 and 8 layers of 24; seven rates of momentum; "
        "seeds in halves."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

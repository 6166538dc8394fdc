"""Claim 12, second part: if the direction of the gradient is kept, can training always finish?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, at_own_rate, hollow, main, where

import gradsim as gs
from gradsim.analysis import convergence_rate, words
from gradsim.plots.style import color, dress, new_figure, pens

RULES, DEPTHS, DEEPER = ("sgd", "normalized", "sign"), (2, 3, 5, 7, 10, 15, 20), (40, 80, 160)
DTYPES = ("float32", "float64")
SHARED = {
    "dataset": "iris",
    "test_fraction": 0.6,
    "activation": "sigmoid",
    "initializer": "glorot_normal",
    "width": 8,
    "batch_size": "full",
    "store": "layers",
}


def measure(bench):
    depths, seeds = bench.pick(list(DEPTHS), [2, 5, 7, 15]), range(bench.pick(24, 12))
    results = bench.run(
        "depths",
        **SHARED,
        steps=bench.pick(1200, 800),
        schedule="exponential(final=0.01)",
        grid={
            "optimizer": list(RULES),
            "depth": depths,
            "dtype": list(DTYPES),
            "learning_rate": gs.geomspace(0.003, 3, bench.pick(5, 4)),
            "seed": seeds,
        },
    )
    by = ["optimizer", "depth", "dtype"]
    best = at_own_rate(results.runs, by)
    why = best.assign(why=best["diagnosis"].astype(object).where(~best["converged"], "")).groupby(by)["why"]
    common = why.agg(lambda w: w[w.ne("")].mode().iloc[0] if w.ne("").any() else "").reset_index()
    first = bench.run(
        "first",
        **SHARED,
        steps=1,
        learning_rate=0.01,
        grid={"optimizer": list(RULES), "depth": [*depths, *DEEPER], "dtype": list(DTYPES), "seed": seeds},
    )
    start = first.layers.query("step == 0 and layer == 0").merge(first.runs[["run_id", *by]], on="run_id")
    start = start.assign(zero=start["gradient_rms"].eq(0), moved=start["update_ratio"].gt(0))
    signal = start.groupby(by).agg(gradient=("gradient_rms", "median"), zero=("zero", "mean"), moved=("moved", "mean"))
    rates = convergence_rate(best, by).merge(common, on=by)
    return {"depths": rates.merge(signal.reset_index(), on=by), "start": signal.reset_index(), "underflow": underflow()}


def underflow():
    """The depth from which 0.25^depth is exactly 0, by precision."""
    rows = []
    for dtype in DTYPES:
        one, depth = np.dtype(dtype).type(1), 0
        while one > 0:
            one, depth = one * np.dtype(dtype).type(0.25), depth + 1
        rows.append([dtype, depth])
    return pd.DataFrame(rows, columns=["dtype", "depth"])


def decide(measured):
    table, start = measured["depths"], measured["start"]
    failing = table[table["optimizer"].ne("sgd") & table["zero"].eq(0) & (table["high"] < 0.5)].sort_values("depth")
    deepest = {
        key: int(max(cell.loc[cell["rate"] >= 0.5, "depth"], default=0))
        for key, cell in table.groupby(["optimizer", "dtype"])
    }
    told = "; ".join(f"{rule} {deepest[rule, 'float32']} ({deepest[rule, 'float64']} in float64)" for rule in RULES)
    text = f"Deepest logistic networks of which half converge, each at its own best rate, layers: {told}. "
    if len(failing):
        first = failing.sort_values("optimizer", ascending=False, kind="stable").iloc[0]  # signs before normalized
        text += (
            f"With a gradient of {words.number(first['gradient'])}, not 0, {first['optimizer']} brings "
            f"{words.rate(int(first['converged']), int(first['n']))} of {int(first['depth'])} layers to the target, "
            f"though they move (the others are, mostly, {first['why']}). "
        )
    still = {key: cell.loc[cell["moved"].eq(0), "depth"].min() for key, cell in start.groupby(["optimizer", "dtype"])}
    lost, stop = ([at(still[rule, dtype]) for dtype in DTYPES] for rule in ("sgd", "sign"))
    text += (
        f"At rate 0.01 the first layer's first step is lost in rounding {lost[0]} in float32, {lost[1]} in float64; "
        f"signs go on until the gradient is exactly 0, in float32 {stop[0]}, in float64 {stop[1]}."
    )
    numbers = (
        *(Number(f"deepest that trains, {rule}, {dtype}", float(d)) for (rule, dtype), d in deepest.items()),
        *(
            Number(f"layers from which {rule} stands still, {dtype}", float(d))
            for (rule, dtype), d in still.items()
            if d > 0
        ),
        *(Number(f"0.25^depth is 0 from depth, {r.dtype}", float(r.depth)) for r in measured["underflow"].itertuples()),
    )
    if not len(failing):
        return Verdict("holds", text, numbers=numbers)
    ends = table.set_index(["optimizer", "dtype", "depth"]).sort_index()
    further = [(ends.loc[("sign", d), "low"] > ends.loc[("sgd", d), "high"]).any() for d in DTYPES]
    if not all(further):
        return Verdict("does not hold", text, numbers=numbers)
    signs, plain = (min(deepest[rule, dtype] for dtype in DTYPES) for rule in ("sign", "sgd"))
    when = f"logistic layers are at most {signs}, by signs; the gradient itself carries {plain}"
    return Verdict("holds only when", text, when, numbers)


def at(depth):
    return "at no depth tried" if np.isnan(depth) else f"from {depth:.0f} layers on"


def draw(measured):
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2)
    looks = dict(zip(RULES, pens(RULES), strict=True))
    for name, pen in looks.items():
        for dtype in DTYPES:
            cell = where(measured["depths"], optimizer=name, dtype=dtype)
            left.plot(cell["depth"], cell["rate"], **(hollow(pen) if dtype == "float64" else pen.line()))
    for dtype, pen in zip(DTYPES, pens(DTYPES), strict=True):
        cell = measured["start"].query("optimizer == 'sgd' and dtype == @dtype and gradient > 0")
        right.plot(cell["depth"], cell["gradient"], **(pen.line() | {"color": color("muted")}), label=dtype)
    right.legend()
    right.set_yscale("log")
    right.set_yticks([1e-100, 1e-75, 1e-50, 1e-25, 1])
    right.set_ylabel("first layer's gradient")
    left.set_ylabel("share that converged")
    left.set_ylim(-0.03, 1.03)
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        ticks = (2, 5, 10, 20, 40, 80, 160) if axes is right else (2, 5, 10, 20)
        axes.set_xticks(ticks, [str(t) for t in ticks])
        axes.minorticks_off()
        axes.set_xlabel("logistic hidden layers")
    note = "Left: at its own best rate; hollow: float64. Right: at the start; no point where it is exactly 0."
    title = "The direction alone carries further, not everywhere"
    return dress(figure, title, [pen.handle() for pen in looks.values()], note)


STUDY = Study(
    name="direction",
    order=12.2,
    title="If the gradient's direction is kept, can training always finish?",
    claim="If the direction of the gradient is kept, training can always finish, even where gradients vanish.",
    source="Founding texts, claim 12, a question",
    rule=(
        "Networks of more and more logistic layers by the gradient, the normalized gradient and its signs, each at its "
        "own best rate. Holds if by normalized gradient and signs at least half of the runs can converge (upper end of "
        "the 95% interval) at every depth at which the first layer's gradient is not 0; only up to a depth if at some "
        "depth signs converge more often than the gradient (intervals apart, both precisions); does not hold otherwise."
    ),
    varied=(
        "2 to 20 layers of 8 logistic units, Glorot's weights; three optimizers with decaying steps; float32, float64; "
        "rates; seeds; iris."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

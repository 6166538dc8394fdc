"""Cohen et al. 2021: gradient descent sharpens its minimum up to 2/rate and goes on at the edge of stability."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Beside, Number, Study, Verdict, main, middle

from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

RATES = (0.03, 0.05, 0.08, 0.12)
HOVERS, NEAR = (0.95, 1.25), 0.95


def measure(bench):
    steps = bench.pick(10000, 6000)
    results = bench.run(
        "edge",
        dataset="polynomial(samples=100, degree=5)",
        test_fraction=0.0,
        probe_samples=100,
        batch_size="full",
        activation="tanh",
        depth=2,
        width=24,
        optimizer="sgd",
        steps=steps,
        checkpoints=range(0, steps + 1, 99),
        store="curves",
        sharpness=True,
        grid={"learning_rate": list(RATES), "seed": range(16)},
    )
    curves = results.curves.merge(results.runs[["run_id", "learning_rate", "seed"]], on="run_id").dropna(
        subset="sharpness"
    )
    curves = curves[["learning_rate", "seed", "step", "sharpness", "stability_limit", "train_loss"]]
    return {"networks": networks(curves), "curves": curves.query("seed == 0").reset_index(drop=True)}


def networks(curves):
    """By network: sharpness over 2/rate at the start, when it first arrives there and where it stays after; how often
    the loss rises between records then, and what is left of it at the end."""
    rows = []
    for (rate, seed), cell in curves.groupby(["learning_rate", "seed"]):
        cell = cell.sort_values("step")
        relative = (cell["sharpness"] / cell["stability_limit"]).to_numpy()
        loss = cell["train_loss"].to_numpy()
        there = np.flatnonzero(relative >= NEAR)
        arrives = there[0] if there.size else len(relative)
        after, before = relative[arrives:], np.diff(loss[: arrives + 1])
        jumps = np.diff(loss[arrives:])
        rows.append(
            [
                rate,
                seed,
                relative[0],
                cell["step"].iloc[arrives] if there.size else np.inf,
                np.median(after) if after.size else np.nan,
                np.quantile(after, 0.9) if after.size else np.nan,
                (before > 0).mean() if before.size else np.nan,
                (jumps > 0).mean() if jumps.size else np.nan,
                loss[-1] / loss[arrives] if there.size else np.nan,
            ]
        )
    names = ["learning_rate", "seed", "start", "arrives", "stays", "high", "rises_before", "rises_after", "left"]
    return pd.DataFrame(rows, columns=names)


def decide(measured):
    table = measured["networks"]
    below = table[table["start"] < NEAR]
    arrived = below[np.isfinite(below["arrives"])]
    stays = {rate: middle(cell) for rate, cell in arrived.groupby("learning_rate")["stays"]}
    hovers = [rate for rate, (_, low, high) in stays.items() if low >= HOVERS[0] and high <= HOVERS[1]]
    share = len(arrived) / max(len(below), 1)
    rises, left = float(arrived["rises_after"].median()), float(arrived["left"].median())
    text = (
        f"Of {len(below)} networks that begin below 2/rate {words.percent(share)} sharpen up to it; from then on the "
        f"median sharpness is {words.span(*ends(v[0] for v in stays.values()))} times 2/rate at rates of "
        f"{words.span(min(stays, default=np.nan), max(stays, default=np.nan))}. There the loss rises from one record "
        f"to the next {words.percent(rises)} of the time and still falls to {words.percent(left)} of what it was on "
        "arrival, in the median."
    )
    numbers = (
        Number("share of networks that arrive at 2/rate", share),
        *(Number(f"sharpness over 2/rate from then on, rate {rate:g}", *values) for rate, values in stays.items()),
        Number("share of records after arrival at which the loss has risen", rises),
        Number("the same before arrival", float(arrived["rises_before"].median())),
        Number("loss at the end over that on arrival", left),
    )
    beside = (
        Beside(
            "sharpness over 2/rate once there",
            words.span(*ends(v[0] for v in stays.values())),
            "at or just above 1",
            "their figure 1",
            len(hovers) == len(stays) > 0,
        ),
        Beside(
            "loss there",
            f"rises {words.percent(rises)} of the time, falls to {words.percent(left)}",
            "not monotone, falls over long times",
            "their abstract",
            bool(rises > 0 and left < 0.9),
        ),
    )
    tried = table["learning_rate"].nunique()
    held = rises > 0 and left < 0.9
    if len(hovers) == tried and share == 1 and held:
        return Verdict("holds", text, numbers=numbers, beside=beside)
    if len(hovers) >= 2 and held:
        which = words.join(f"{rate:g}" for rate in hovers)
        when = f"the rate is {which}, of {tried} tried"
        return Verdict("holds only when", text, when, numbers, beside)
    return Verdict("does not hold", text, numbers=numbers, beside=beside)


def ends(values):
    """Least and largest."""
    values = list(values)
    return (min(values), max(values)) if values else (np.nan, np.nan)


def draw(measured):
    figure = new_figure(3.5)
    left, right = figure.subplots(1, 2)
    rates = sorted(measured["curves"]["learning_rate"].unique())
    handles = []
    for rate, pen in zip(rates, pens(rates), strict=True):
        cell = measured["curves"].query("learning_rate == @rate")
        left.plot(cell["step"], cell["sharpness"], color=pen.color, linewidth=1.2)
        left.axhline(2 / rate, color=pen.color, linewidth=0.9, linestyle=(0, (4, 2)))
        right.plot(cell["step"], cell["train_loss"], color=pen.color, linewidth=1.2, label=f"rate {rate:g}")
        handles = right.get_lines()
    left.set_title("sharpness; dashed: 2/rate")
    left.set_ylim(0, 2.25 / min(rates))
    right.set_yscale("log")
    right.set_title("training loss")
    for axes in (left, right):
        axes.set_xlabel("step")
    note = (
        "Full-batch gradient descent, one network of each rate; the largest eigenvalue of the loss's Hessian every "
        "99 steps, so even and odd ones."
    )
    return dress(figure, "Sharpness rises to 2/rate and stays there", handles, note)


STUDY = Study(
    name="classic_cohen_2021",
    order=105,
    title="Does gradient descent train at the edge of stability?",
    claim="Under full-batch gradient descent the sharpness rises to 2/rate and hovers there, while the loss goes on "
    "falling, unevenly.",
    source="Cohen, Kaur, Li, Kolter & Talwalkar 2021",
    rule=(
        "Of networks that begin below 2/rate. Holds if all arrive at 95% of it, if at every rate the median over "
        "networks of the median sharpness from then on is 0.95 to 1.25 times 2/rate (95% interval), and if there "
        "the loss both rises between some records and falls below 90% of what it was on arrival; only at those "
        "rates if not at all but at two or more."
    ),
    varied=(
        "Four rates, seeds; 2 layers of 24 tanh units on 100 points of a Chebyshev polynomial of degree 5, squared "
        "error, 10,000 full-batch steps (theirs: 2 layers of 200 on 5,000 images of CIFAR-10, and others)."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

"""Claim 14: weight and bias move and sharpen a unit's step, and sums of steps approximate any function."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, main, middle, where

from gradsim import activations
from gradsim.analysis import words
from gradsim.plots.activations import steps
from gradsim.plots.style import dress, new_figure, pens

SETS = {
    "polynomial": "polynomial(degree=5, noise=0.0, samples=256)",
    "step_function": "step_function(jumps=3, noise=0.0, samples=256)",
}
COUNTS = (4, 8, 16, 32, 64, 128, 256)
WIDTHS = (1, 2, 4, 8, 16, 32, 64)
TARGETS = {
    "wave": lambda x: np.sin(7 * x) + 0.4 * np.cos(19 * x),
    "kink": lambda x: np.abs(x - 0.4),
    "root": np.sqrt,
}


def measure(bench):
    results = bench.run(
        "trained",
        depth=1,
        batch_size="full",
        steps=bench.pick(6000, 2500),
        optimizer="adam",
        schedule="cosine(final=0.0)",
        initializer="lecun_normal(gain=5)",
        bias_initializer="normal(std=2)",
        test_fraction=0,
        grid={
            "dataset": list(SETS.values()),
            "activation": ["sigmoid", "relu"],
            "width": list(WIDTHS),
            "learning_rate": [0.01, 0.05, 0.2],
            "seed": range(bench.pick(16, 4)),
        },
    )
    runs = results.runs.assign(error=1 - results.runs["train_r2"])
    best = runs.groupby(["dataset", "activation", "width", "seed"], as_index=False)["error"].min()
    rows = [[*key, len(cell), *middle(cell["error"])] for key, cell in best.groupby(["dataset", "activation", "width"])]
    trained = pd.DataFrame(rows, columns=["dataset", "activation", "width", "n", "error", "low", "high"])
    built = [[name, n, steps(f, n).error] for name, f in TARGETS.items() for n in COUNTS]
    return {"unit": unit(), "built": pd.DataFrame(built, columns=["target", "units", "error"]), "trained": trained}


def unit():
    """Where a logistic unit's step is and how wide, from 10% to 90%, read off its graph."""
    x, rows = np.linspace(-10, 10, 400_001), []
    for W in (2.0, 8.0, 32.0):
        for b in (-8.0, 0.0, 4.0):
            at = np.interp([0.1, 0.5, 0.9], activations.sigmoid(W * x + b), x)
            rows.append([W, b, at[1], -b / W, at[2] - at[0], 2 * np.log(9) / W])
    return pd.DataFrame(rows, columns=["W", "b", "place", "expected_place", "width", "expected_width"])


def slope(built):
    """Of the error's logarithm against that of the number of steps, by target."""
    return {
        name: float(np.polyfit(np.log(cell["units"]), np.log(cell["error"]), 1)[0])
        for name, cell in built.groupby("target")
    }


def decide(measured):
    one = measured["unit"]
    off = float(
        max((one["place"] - one["expected_place"]).abs().max(), (one["width"] / one["expected_width"] - 1).abs().max())
    )
    falls = slope(measured["built"])
    smooth = [falls["wave"], falls["kink"]]
    table = measured["trained"].set_index(["dataset", "activation", "width"]).sort_index()
    widest, narrow = (table.xs(width, level="width") for width in (WIDTHS[-1], WIDTHS[0]))
    worst = widest["high"].idxmax()
    text = (
        f"Steps of a logistic unit stand at -b/W and are 2 ln 9 / W wide, to {off:.0e}. Built sums of n steps come as "
        f"near as n^{smooth[0]:.2f} and n^{smooth[1]:.2f} (a square root, infinitely steep at 0: "
        f"n^{falls['root']:.2f}). What training finds is another matter: {WIDTHS[-1]} units leave "
        f"{words.percent(widest['error'].min())} of the variance of a polynomial and up to "
        f"{words.percent(widest['error'].max())} of a function with jumps; one unit leaves "
        f"{words.percent(narrow['error'].min())} or more."
    )
    numbers = (
        Number("largest error of a step's place and relative error of its width", off),
        *(Number(f"exponent of the built error, {name}", value) for name, value in falls.items()),
        Number(
            f"variance left by {WIDTHS[-1]} trained units, worst case {worst[0]}",
            *widest.loc[worst, ["error", "low", "high"]],
        ),
    )
    holds = off < 1e-6 and all(abs(s + 1) < 0.1 for s in smooth) and falls["root"] < -0.4
    holds &= bool((widest["high"] < narrow["low"] / 10).all())
    return Verdict("holds" if holds else "does not hold", text, numbers=numbers)


def draw(measured):
    figure = new_figure(3.3)
    left, middle, right = figure.subplots(1, 3)
    x = np.linspace(-2, 2, 401)
    for (W, b), pen in zip(((2, 0), (8, 0), (8, -8)), pens(["a", "b", "c"]), strict=True):
        left.plot(x, activations.sigmoid(W * x + b), color=pen.color, linestyle=pen.dashes, label=f"W={W}, b={b}")
    left.legend(fontsize=7.5, loc="upper left")
    left.set_title("a unit: step at -b/W")
    left.set_xlabel("x")
    names = list(TARGETS)
    for name, pen in zip(names, pens(names), strict=True):
        cell = where(measured["built"], target=name)
        middle.plot(cell["units"], cell["error"], **pen.line(), label=name)
    middle.set_title("built sums of steps")
    middle.set_xlabel("units")
    middle.set_ylabel("largest error")
    pairs = list(measured["trained"].groupby(["dataset", "activation"]))
    for ((dataset, activation), cell), pen in zip(pairs, pens([str(p[0]) for p in pairs]), strict=True):
        right.plot(cell["width"], cell["error"], **pen.line(), label=f"{dataset.split('(')[0]}, {activation}")
    right.set_title("trained networks")
    right.set_xlabel("units")
    right.set_ylabel("share of variance left")
    for axes in (middle, right):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.legend(fontsize=7.5, loc="upper right" if axes is right else "lower left")
        axes.xaxis.set_major_formatter("{x:.0f}")
    right.set_ylim(top=90)  # room for the legend
    return dress(figure, "Steps that weights sharpen and biases move add up to any function")


STUDY = Study(
    name="universal",
    order=14,
    title="Do sums of steps approximate any function?",
    claim="Slope W and bias b move and sharpen a unit's step; sums of such steps approximate any function.",
    source="Founding texts, claim 14",
    rule=(
        "Holds if a logistic unit's step is at -b/W and 2 ln 9 / W wide (10% to 90%) to 1e-6; built sums of n steps "
        "have errors that fall as 1/n (exponent within 0.1) for functions of bounded slope and at least as n^-0.4 for "
        "a root; and 64 trained units leave less than a tenth of the variance that one leaves, in every case (95% "
        "intervals)."
    ),
    varied=(
        "W, b; 4 to 256 built steps, three targets; 1 to 64 trained logistic and ReLU units, two targets, rates of "
        "Adam, seeds."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

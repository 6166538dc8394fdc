"""Schoenholz et al. 2017: random networks can be trained as deep as information travels through them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from study import Beside, Number, Study, Verdict, main

from gradsim import theory
from gradsim.analysis import words
from gradsim.plots.style import color, dress, new_figure

SIGMA_B = math.sqrt(0.05)
CHANCE, MULTIPLE, ROOM = 0.1, 6, 1.25
RANKS, PEAK = 0.7, 1.5


def measure(bench):
    critical = theory.critical_sigma_w("tanh", SIGMA_B)
    squares = [
        *bench.pick([1.0, 1.2, 1.4, 1.6], [1.0, 1.3]),
        critical**2,
        *bench.pick([2.0, 2.5, 3.0, 4.0], [2.5, 4.0]),
    ]
    results = bench.run(
        "depths",
        dataset="digits",
        test_fraction=0.8,
        width=64,
        activation="tanh",
        initializer="ntk",
        bias_initializer=f"normal(std={SIGMA_B!r})",
        batch_size=16,
        steps=bench.pick(300, 200),
        grid={
            "initializer.gain": [math.sqrt(s) for s in squares],
            "depth": bench.pick([8, 12, 16, 24, 32, 48, 64, 96], [12, 24, 48, 96]),
            "learning_rate": [0.003, 0.02, 0.1],
            "seed": range(1),
        },
    )
    cells = accuracies(results.runs)
    return {"accuracy": cells, "reach": reaches(cells), "critical": critical**2}


def accuracies(runs):
    """Mean training accuracy over seeds by sigma_w^2 and depth, at the rate where it is best."""
    runs = runs.assign(sigma_w2=(runs["initializer.gain"] ** 2).round(6), lost=runs["train_accuracy"].fillna(CHANCE))
    mean = runs.groupby(["sigma_w2", "depth", "learning_rate"])["lost"].mean().rename("accuracy").reset_index()
    return mean.loc[mean.groupby(["sigma_w2", "depth"])["accuracy"].idxmax()].reset_index(drop=True)


def reaches(cells):
    """By sigma_w^2: the depth at which accuracy falls half-way to chance, beside the depth scale of theory."""
    rows = []
    for square, column in cells.groupby("sigma_w2"):
        column = column.sort_values("depth")
        deep, cut = trainable_depth(column["depth"].to_numpy(), column["accuracy"].to_numpy(), (1 + CHANCE) / 2)
        rows.append([square, deep, cut, theory.depth_scales("tanh", math.sqrt(square), SIGMA_B).xi_c])
    return pd.DataFrame(rows, columns=["sigma_w2", "depth", "cut_off", "xi"])


def trainable_depth(depths, accuracy, half):
    """The depth of the first fall below `half`, between the depths on either side on a logarithmic scale; whether the
    grid ends before."""
    below = np.flatnonzero(np.asarray(accuracy) < half)
    if not below.size:
        return float(depths[-1]), True
    i = below[0]
    if i == 0:
        return float(depths[0]), False
    share = (accuracy[i - 1] - half) / (accuracy[i - 1] - accuracy[i])
    return float(depths[i - 1] * (depths[i] / depths[i - 1]) ** share), False


def decide(measured):
    reach, critical = measured["reach"], measured["critical"]
    away = reach[(reach["sigma_w2"] / critical - 1).abs() > 1e-3]
    middle = float(reach.loc[(reach["sigma_w2"] - critical).abs().idxmin(), "depth"])
    rank = float(spearmanr(reach["depth"], reach["xi"]).statistic)
    shallow = away.loc[[away["sigma_w2"].idxmin(), away["sigma_w2"].idxmax()]]
    known = away[~away["cut_off"]]
    multiple = known["depth"] / known["xi"]
    over = known[multiple > MULTIPLE * ROOM]
    follows = rank >= RANKS and middle >= reach["depth"].max() * 0.999 and middle >= PEAK * shallow["depth"].max()
    text = (
        f"Networks of 64 tanh units train to {middle:.0f} layers{' and more' if cut(reach, middle) else ''} at the "
        f"critical sigma_w^2 = {critical:.3f}, to {shallow['depth'].iloc[0]:.0f} at {shallow['sigma_w2'].iloc[0]:g} "
        f"and to {shallow['depth'].iloc[1]:.0f} at {shallow['sigma_w2'].iloc[1]:g}; over the grid trainable depth "
        f"and depth scale have a rank correlation of {rank:.2f}. Where it ends within the grid it is "
        f"{words.span(multiple.min(), multiple.max())} depth scales, {'never' if over.empty else 'not always'} over "
        f"{MULTIPLE * ROOM:g}."
    )
    numbers = (
        Number("rank correlation of trainable depth and depth scale", rank),
        Number("trainable depth at the critical scale", middle),
        *(
            Number(f"trainable depth in depth scales, sigma_w^2 = {r.sigma_w2:g}", r.depth / r.xi)
            for r in known.itertuples()
        ),
    )
    beside = (
        Beside(
            "critical sigma_w^2 at sigma_b^2 = 0.05",
            f"{critical:.4f}",
            "1.76",
            "Schoenholz et al., from memory",
            abs(critical - 1.76) < 0.005,
        ),
        Beside(
            "deepest that trains, in depth scales",
            words.span(multiple.min(), multiple.max()),
            "about 6",
            "Schoenholz et al., their curve over MNIST, 300 units",
            bool(MULTIPLE / 2 <= multiple.median() <= MULTIPLE * ROOM),
        ),
    )
    if not follows:
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    if not over.empty:
        when = (
            f"read as a trend: {words.span(over['depth'].min(), over['depth'].max())} layers train beyond 6 depth "
            "scales"
        )
        return Verdict("holds only when", text, when, numbers, beside)
    return Verdict("holds", text, numbers=numbers, beside=beside)


def cut(reach, middle):
    return bool(reach.loc[reach["depth"].eq(middle), "cut_off"].any())


def draw(measured):
    cells = measured["accuracy"]
    table = cells.pivot_table(index="depth", columns="sigma_w2", values="accuracy")
    figure = new_figure(4.2)
    axes = figure.add_subplot()
    x, y = edges(table.columns.to_numpy(float)), np.exp(edges(np.log(table.index.to_numpy(float))))
    image = axes.pcolormesh(x, y, table.to_numpy(), vmin=0, vmax=1, cmap="cividis")
    fine = np.unique(
        np.concatenate([np.linspace(x[0], x[-1], 40), measured["critical"] + np.array([-0.05, -0.02, 0.02, 0.05])])
    )
    scale = np.array([MULTIPLE * theory.depth_scales("tanh", math.sqrt(s), SIGMA_B).xi_c for s in fine])
    axes.plot(fine, np.minimum(scale, 1e6), color="white", linewidth=2.6)
    axes.plot(fine, np.minimum(scale, 1e6), color="#D55E00", linewidth=1.6, linestyle=(0, (5, 2)))
    axes.axvline(measured["critical"], color="white", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.set_yticks(list(table.index), [f"{d}" for d in table.index])
    axes.minorticks_off()
    axes.grid(False)
    axes.set_xlabel("$\\sigma_w^2$, variance of a weight times fan-in")
    axes.set_ylabel("hidden layers")
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.015)
    bar.outline.set_visible(False)
    bar.set_label("training accuracy", color=color("muted"))
    note = (
        "Dashed: 6 depth scales of theory; white line: the edge of chaos. Digits, tanh, 64 units a layer, each cell "
        "at its best rate."
    )
    return dress(figure, "Networks train as deep as information travels", note=note)


def edges(values):
    """Ends of cells around sorted places."""
    middle = (values[1:] + values[:-1]) / 2
    return np.concatenate([[values[0] - (middle[0] - values[0])], middle, [values[-1] + (values[-1] - middle[-1])]])


STUDY = Study(
    name="classic_schoenholz_2017",
    order=101,
    title="Do random networks train as deep as information travels?",
    claim=(
        "A random network can be trained if it is no deeper than a few depth scales of its start (about 6), and to "
        "any depth only close to the edge of chaos."
    ),
    source="Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017",
    rule=(
        "Trainable depth: where training accuracy at the best rate falls half-way to chance. Holds if over "
        "sigma_w^2 its rank correlation with the depth scale is at least 0.7, it is largest at the critical "
        "sigma_w^2, 1.5 times that at either end of the grid or more, and nowhere else is it over 7.5 depth scales; "
        "only as a trend if only the last fails."
    ),
    varied=(
        "9 weight variances (theirs: 1 to 4), sigma_b^2 = 0.05; 8 to 96 layers of 64 tanh units (theirs: 300 units, "
        "to 300 layers, MNIST); three rates of SGD, 300 steps; 359 digits."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

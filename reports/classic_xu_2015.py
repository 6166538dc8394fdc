"""Xu et al. 2015: randomized leaky rectifiers against overfitting."""

from __future__ import annotations

import pandas as pd
from study import Beside, Number, Study, Verdict, main

from gradsim.analysis import bootstrap_interval, words
from gradsim.plots.style import dress, new_figure, pens

NAMES = {
    "relu": "ReLU",
    "leaky_relu": "leaky 1/100",
    "leaky_relu(slope=0.181818)": "leaky 1/5.5",
    "prelu": "PReLU",
    "rrelu": "randomized",
}
RANDOM, FIXED = "rrelu", "leaky_relu(slope=0.181818)"
OTHERS = [name for name in NAMES if name != RANDOM]
FRESH = 100  # seeds that no run saw from which the rule was made
WHAT, ENDS = {"test_loss": "test loss", "error": "test error"}, ["difference", "low", "high"]


def measure(bench):
    shared = {"dataset": "digits", "batch_size": 16, "width": 64, "depth": 3, "initializer": "he_normal"}
    shared |= {"optimizer": "momentum", "learning_rate": 0.01, "steps": 600}
    results = bench.run(
        "sizes",
        **shared,
        grid={
            "activation": list(NAMES),
            "test_fraction": bench.pick([0.95, 0.9, 0.8], [0.95, 0.9]),
            "data_seed": range(FRESH, FRESH + bench.pick(12, 8)),
            "seed": range(8),
        },
    )
    runs = results.runs.astype({"activation": str})
    runs["images"] = (1797 * (1 - runs["test_fraction"])).round().astype(int)
    runs["gap"] = runs["test_loss"] - runs["final_loss"]
    runs["error"] = 1 - runs["test_accuracy"]
    keep = ["activation", "images", "data_seed", "final_loss", "test_loss", "gap", "error", "train_accuracy"]
    return {"runs": runs[keep].reset_index(drop=True)}


def differences(runs):
    """Of the randomized one from each other, paired by data seed: mean of the difference and its interval, by images
    and, as images = 0, over all of them."""
    rows = []
    for column in ("test_loss", "error"):
        table = runs.pivot_table(index=["images", "data_seed"], columns="activation", values=column)
        for other in OTHERS:
            d = (table[RANDOM] - table[other]).unstack("images")
            for images, values in {0: d.mean(axis=1), **dict(d.items())}.items():
                rows.append([images, column, other, values.mean(), *bootstrap_interval(values, "mean")])
    return pd.DataFrame(rows, columns=["images", "what", "other", "difference", "low", "high"])


def decide(measured):
    runs = measured["runs"]
    mean = runs.groupby(["images", "activation"])[["final_loss", "test_loss", "error"]].mean()
    table = differences(runs)
    overall = table[table["images"].eq(0)].set_index(["what", "other"])
    better = [o for o in OTHERS if all(overall.loc[(c, o), "high"] < 0 for c in WHAT)]
    small = int(runs["images"].min())
    shown = ", ".join(f"{label} {words.number(mean.loc[(small, name), 'test_loss'])}" for name, label in NAMES.items())
    wrong = ", ".join(f"{label} {words.percent(mean.loc[(small, name), 'error'])}" for name, label in NAMES.items())
    text = (
        f"With {small} training images test losses are: {shown}; test errors: {wrong}. Paired by data, the "
        f"randomized unit is better in both than {words.join([NAMES[o] for o in better]) or 'none'}; its loss less "
        f"that of PReLU is {Number('', *overall.loc[('test_loss', 'prelu'), ENDS])}, that of the fixed slope 1/5.5 "
        f"{Number('', *overall.loc[('test_loss', FIXED), ENDS])}."
    )
    numbers = tuple(
        Number(
            f"{WHAT[r.what]} of the randomized unit less that of {NAMES[r.other]}{number_of(r.images)}",
            r.difference,
            r.low,
            r.high,
        )
        for r in table.itertuples()
    )
    beside = beside_theirs(mean.loc[small], overall, small)
    if len(better) == len(OTHERS):
        return Verdict("holds", text, numbers=numbers, beside=beside)
    if "relu" in better:
        when = f"it is compared with {words.join([NAMES[o] for o in better], 'or')}"
        return Verdict("holds only when", text, when, numbers, beside)
    return Verdict("does not hold", text, numbers=numbers, beside=beside)


def number_of(images):
    return f", {images:.0f} images" if images else ""


def beside_theirs(mean, overall, small):
    """Rows beside the paper."""
    least, fit = mean["error"], mean["final_loss"]
    others = fit.drop(RANDOM)
    return (
        Beside(
            "test error, randomized against ReLU",
            f"{words.percent(least[RANDOM])} against {words.percent(least['relu'])}, {small} digits",
            "40.25% against 42.90%, CIFAR-100",
            "their table of CIFAR-100, from memory",
            bool(overall.loc[("error", "relu"), "high"] < 0),
        ),
        Beside(
            "test error, leaky 1/5.5 against leaky 1/100",
            f"{words.percent(least[FIXED])} against {words.percent(least['leaky_relu'])}",
            "40.42% against 42.05%, CIFAR-100",
            "their table of CIFAR-100, from memory",
            bool(least[FIXED] < least["leaky_relu"]),
        ),
        Beside(
            "training loss, randomized against the others",
            f"{words.number(fit[RANDOM])} at the mean slope, others {words.span(others.min(), others.max())}",
            "the highest, with random slopes",
            "their figures 2 to 4",
            bool(fit.idxmax() == RANDOM),
        ),
    )


def draw(measured):
    table = differences(measured["runs"])
    table = table[table["images"] > 0]
    figure = new_figure(3.3)
    looks = dict(zip(OTHERS, pens([NAMES[name] for name in OTHERS]), strict=True))
    sizes = sorted(table["images"].unique())
    for axes, (column, title) in zip(figure.subplots(1, 2), WHAT.items(), strict=True):
        for i, (name, pen) in enumerate(looks.items()):
            cell = table[table["other"].eq(name) & table["what"].eq(column)].set_index("images").loc[sizes]
            places = [k + (i - 1.5) * 0.12 for k in range(len(sizes))]
            around = [cell["difference"] - cell["low"], cell["high"] - cell["difference"]]
            axes.errorbar(
                places, cell["difference"], yerr=around, fmt=pen.marker, color=pen.color, linewidth=1.2, markersize=5
            )
        axes.axhline(0, color="#8c8c8c", linewidth=1)
        axes.set_title(f"{title}: randomized less the other")
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.set_xlim(-0.4, len(sizes) - 0.6)
        axes.set_xlabel("training images")
    note = (
        "Digits, 3 layers of 64; means over splits, paired, with 95% intervals. Below 0: the randomized unit is better."
    )
    return dress(figure, "Random slopes beat ReLU; learned ones do as well", [p.handle() for p in looks.values()], note)


STUDY = Study(
    name="classic_xu_2015",
    order=110,
    title="Do random slopes keep rectifiers from overfitting?",
    claim="Leaky rectifiers with a random negative slope in training overfit less: on small data their test loss is "
    "below that of ReLU, leaky and PReLU.",
    source="Xu, Wang, Chen & Li 2015",
    rule=(
        "Paired by data seed, averaged over seeds and numbers of images. Holds if with random slopes both the mean "
        "test loss and the mean test error after training are lower than with each other unit (bootstrap 95% "
        "intervals of the difference below 0); if only than with some, ReLU among them, then against those."
    ),
    varied="Five units; 90, 180 and 359 digits (theirs: CIFAR-10, CIFAR-100, plankton); 3 layers of 64, He's "
    "weights, momentum, 600 steps; data seeds (splits, batches), seeds.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

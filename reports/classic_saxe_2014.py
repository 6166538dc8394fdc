"""Saxe et al. 2014: how deep linear networks learn, mode by mode, and how orthogonal starts make depth free."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import linregress
from study import Beside, Number, Study, Verdict, at_own_rate, main, middle

from gradsim.analysis import bootstrap_interval, words
from gradsim.plots.style import dress, new_figure, pens

STRENGTHS, RATE, SMALL = (1.0, 2.0, 4.0, 8.0), 0.005, 0.01
STARTS = {"orthogonal": "orthogonal", "xavier_normal": "Gaussian"}
DIMENSIONS = 8


def task():
    """X, Y, U, V: inputs of identity correlation, targets whose correlation with them is V diag(STRENGTHS) U^T.

    The loss is the mean over outputs of squared errors: steps of RATE * DIMENSIONS / 2 on it are steps of RATE on half
    of their sum, as in the paper.
    """
    random = np.random.default_rng(3)
    U = np.linalg.qr(random.normal(size=(DIMENSIONS, DIMENSIONS)))[0]
    V = np.linalg.qr(random.normal(size=(DIMENSIONS, DIMENSIONS)))[0]
    strengths = np.zeros(DIMENSIONS)
    strengths[: len(STRENGTHS)] = STRENGTHS
    X = np.sqrt(DIMENSIONS) * np.linalg.qr(random.normal(size=(DIMENSIONS, DIMENSIONS)))[0]
    return X, X @ V @ np.diag(strengths) @ U.T, U, V


def measure(bench):
    X, Y, U, V = task()
    steps = 2400
    modes = bench.run(
        "modes",
        dataset=(X, Y),
        scaling="none",
        test_fraction=0.0,
        depth=1,
        width=DIMENSIONS,
        activation="identity",
        bias=False,
        initializer=f"orthogonal(gain={SMALL})",
        loss="mean_squared_error",
        learning_rate=RATE * DIMENSIONS / 2,
        batch_size="full",
        steps=steps,
        dtype="float64",
        grid={"seed": range(bench.pick(16, 8))},
    )
    rows = []
    for run in modes.runs[["run_id", "seed"]].itertuples():
        trained = modes.campaign.replay(run.run_id, checkpoints=list(range(0, steps + 1, 4)))
        for step, weights in zip(trained.checkpoints, trained.snapshots, strict=True):
            strength = np.diag(V.T @ weights[0][0] @ weights[1][0] @ U)[: len(STRENGTHS)]
            rows += [[run.seed, s, step, a] for s, a in zip(STRENGTHS, strength, strict=True)]
    rows = pd.DataFrame(rows, columns=["seed", "strength", "step", "learned"])
    deep = bench.run(
        "deep",
        dataset="digits",
        test_fraction=0.8,
        width=32,
        activation="identity",
        bias=False,
        batch_size=32,
        steps=bench.pick(600, 400),
        grid={
            "initializer": list(STARTS),
            "depth": bench.pick([2, 5, 10, 20, 40], [2, 8, 32]),
            "learning_rate": bench.pick([0.002, 0.005, 0.01, 0.02, 0.05, 0.1], [0.002, 0.01, 0.05]),
            "seed": range(bench.pick(8, 4)),
        },
    )
    return {"half": halves(rows), "modes": rows[rows["seed"].eq(0)].reset_index(drop=True), "deep": depths(deep.runs)}


def halves(rows):
    """By network and mode: the step at which half of it is learned, between records, beside the closed form."""
    found = []
    for (seed, strength), cell in rows.groupby(["seed", "strength"]):
        step, learned = cell["step"].to_numpy(float), cell["learned"].to_numpy()
        i = np.flatnonzero(learned >= strength / 2)
        if i.size and i[0] > 0:
            j = i[0]
            at = step[j - 1] + (step[j] - step[j - 1]) * (strength / 2 - learned[j - 1]) / (learned[j] - learned[j - 1])
        else:
            at = np.inf
        found.append([seed, strength, at])
    return pd.DataFrame(found, columns=["seed", "strength", "step"])


def half_time(strength, initial, rate=RATE):
    """Steps to half of a mode from a balanced start a(0) = initial: a' = 2 a (s - a) rate, their equation 8.

    t = ln(a_f (s - a_0)/(a_0 (s - a_f)))/(2 s rate) with a_f = s/2.
    """
    return np.log((strength - initial) / initial) / (2 * strength * rate)


def depths(runs):
    """Steps to the target at each start's and depth's own best rate; infinite where it was not reached."""
    best = at_own_rate(runs, ["initializer", "depth"])
    rows = []
    for (start, depth), cell in best.groupby(["initializer", "depth"], observed=True):
        rows.append([STARTS[str(start)], depth, len(cell), *middle(cell["steps"]), cell["learning_rate"].median()])
    return pd.DataFrame(rows, columns=["start", "depth", "n", "steps", "low", "high", "learning_rate"])


def decide(measured):
    half, deep = measured["half"], measured["deep"].set_index(["start", "depth"])
    typical = half.groupby("strength")["step"].median()
    line = linregress(np.log(typical.index.to_numpy(float)), np.log(typical.to_numpy()))
    first, last = deep.index.get_level_values("depth").min(), deep.index.get_level_values("depth").max()
    grows = {
        name: float(deep.loc[(name, last), "steps"] / deep.loc[(name, first), "steps"]) for name in STARTS.values()
    }
    modes = bool(-1.3 < line.slope < -0.8)
    flat = grows["orthogonal"] <= 1.5
    steeper = grows["Gaussian"] > 1.5 and deep.loc[("Gaussian", last), "low"] > deep.loc[("orthogonal", last), "high"]
    shown = ", ".join(f"{t:.0f} for s = {s:g}" for s, t in typical.items())
    text = (
        f"Half of a singular mode of strength s is learned after {shown} steps: t goes as s to the {line.slope:.2f}. "
        f"Linear networks of {last} layers take {words.number(grows['orthogonal'])} times as many steps to the "
        f"target as those of {first} from orthogonal weights and {words.number(grows['Gaussian'])} times as many "
        "from Gaussian ones, each at its best rate."
    )
    numbers = (
        Number("exponent of the learning time in s", float(line.slope)),
        *(
            Number(
                f"steps to half of the mode, s = {s:g}",
                t,
                *bootstrap_interval(half.loc[half["strength"].eq(s), "step"]),
            )
            for s, t in typical.items()
        ),
        *(
            Number(f"steps to the target, {n}, {d} layers", *row[["steps", "low", "high"]])
            for (n, d), row in deep.iterrows()
        ),
    )
    slope = float(line.slope)
    ratios = [typical[s] / half_time(s, SMALL**2) for s in STRENGTHS]
    beside = beside_theirs(slope, ratios, grows, first, last, modes, flat)
    if modes and flat and steeper:
        return Verdict("holds", text, numbers=numbers, beside=beside)
    if modes and steeper and grows["Gaussian"] > grows["orthogonal"]:
        when = (
            f"depth-independent is taken to mean slower growth: {words.number(grows['orthogonal'])} against "
            f"{words.number(grows['Gaussian'])} times"
        )
        return Verdict("holds only when", text, when, numbers, beside)
    return Verdict("does not hold", text, numbers=numbers, beside=beside)


def beside_theirs(slope, ratios, grows, first, last, modes, flat):
    """Rows beside the paper."""
    return (
        Beside(
            "exponent of the learning time of a mode in its strength",
            f"{slope:.2f}",
            "-1 (but for a logarithm)",
            "their solution of a mode's time, 1/(2 s) times a logarithm",
            modes,
        ),
        Beside(
            "steps to half of a mode over ln((s - a0)/a0)/(2 s rate), a0 = 1e-4",
            words.span(min(ratios), max(ratios)),
            "1 from a start aligned with the modes",
            "their equation 8",
            None,
        ),
        Beside(
            f"learning time at {last} layers over {first}, orthogonal",
            words.number(grows["orthogonal"]),
            "about 1",
            "their abstract, on MNIST",
            flat,
        ),
        Beside(
            "the same, Gaussian of the same scale",
            words.number(grows["Gaussian"]),
            "grows with depth",
            "their abstract, on MNIST",
            bool(grows["Gaussian"] > 1.5),
        ),
    )


def draw(measured):
    deep = measured["deep"]
    figure = new_figure(3.5)
    left, right = figure.subplots(1, 2)
    for strength, pen in zip(STRENGTHS, pens([f"s = {s:g}" for s in STRENGTHS]), strict=True):
        cell = measured["modes"][measured["modes"]["strength"].eq(strength)]
        left.plot(cell["step"], cell["learned"], color=pen.color, linewidth=1.6, label=pen.label)
        left.axvline(half_time(strength, SMALL**2), color=pen.color, linewidth=0.8, linestyle=(0, (3, 2)))
    left.set_title("strength of singular modes")
    left.set_xlabel("step")
    left.legend(fontsize=8, loc="center right", bbox_to_anchor=(1, 0.72))
    for name, pen in zip(STARTS.values(), pens(list(STARTS.values())), strict=True):
        cell = deep[deep["start"].eq(name)].sort_values("depth")
        shown = cell[np.isfinite(cell["steps"])]
        right.fill_between(
            shown["depth"], shown["low"], shown["high"].clip(upper=1e4), color=pen.color, alpha=0.15, linewidth=0
        )
        right.plot(shown["depth"], shown["steps"], **pen.line(), label=pen.label)
    right.set_title("steps to the target, digits")
    right.set_xlabel("hidden layers")
    right.set_ylim(bottom=0)
    right.legend(fontsize=8)
    note = (
        "Linear networks. Dashed: closed form of the half-time. Right: medians and 95% intervals, each at its best "
        "rate."
    )
    return dress(figure, "Strong modes are learned first; orthogonal starts make depth free", note=note)


STUDY = Study(
    name="classic_saxe_2014",
    order=107,
    title="How do deep linear networks learn?",
    claim=(
        "In linear networks a singular mode of strength s is learned in a time that goes as 1/s, and from "
        "orthogonal weights, unlike Gaussian ones, the learning time does not grow with depth."
    ),
    source="Saxe, McClelland & Ganguli 2014",
    rule=(
        "Holds if the exponent of the time to half of a mode in s is between -1.3 and -0.8 and the median steps to "
        "the target of the deepest networks, each at its best rate, are at most 1.5 times those of the shallowest "
        "from orthogonal weights and more than that from Gaussian ones, with intervals apart; with a reservation if "
        "orthogonal ones grow more than that but less than Gaussian."
    ),
    varied=(
        "Modes: 4 strengths, one hidden layer of 8, weights 0.01 Q, seeds. Depth: two starts, 2 to 40 linear layers "
        "of 32 (theirs: to 100 of 1000, MNIST), rates of SGD, seeds, 359 digits."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

"""Claim 4: logistic outputs are all positive, so the gradients into a neuron share a sign, and paths zig-zag."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Beside, Number, Study, Verdict, at_own_rate, hollow, main, middle, where

import gradsim as gs
from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

# The same function less one half: the same slopes, outputs about 0. Biases make the two networks equally able.
TWIN = {"formula": "tanh(z/2)/2", "name": "centered_sigmoid"}  # to the last digit: near 0 a difference loses them
NAMES = {"sigmoid": "logistic", "centered_sigmoid": "less 1/2"}
BATCHES, WIDTH = (1, 2, 8, 32, 96), 24
LATER = 300
# Few probe samples: layers are not looked at, and a replay records them at every step.
TASK = {"dataset": "iris", "depth": 2, "width": WIDTH, "test_fraction": 0.2, "probe_samples": 4}


def activation(label):
    """Formulas are labeled with their definition."""
    return label.str.extract(r"^(\w+)")[0]


def measure(bench):
    signs = bench.run(
        "signs",
        **TASK,
        steps=LATER + 1,
        learning_rate=0.3,
        dtype="float64",
        grid={"activation": ["sigmoid", TWIN], "batch_size": list(BATCHES), "seed": range(bench.pick(16, 4))},
    )
    paths = bench.run(
        "paths",
        **TASK,
        steps=bench.pick(3000, 2500),
        grid={
            "activation": ["sigmoid", TWIN],
            "batch_size": [1, 32],
            "learning_rate": gs.geomspace(0.03, 3, bench.pick(6, 4)),
            "seed": range(bench.pick(40, 16)),
        },
    )
    return {"signs": coherence(signs), "paths": lengths(paths)}


def coherence(results):
    """abs(sum of signs)/fan-in of a step into each unit of the second hidden layer, mean over units."""
    rows = []
    for run in results.runs.itertuples():
        kept = results.campaign.replay(run.run_id, checkpoints=[0, 1, LATER, LATER + 1])
        moments = dict(zip(kept.checkpoints.tolist(), kept.snapshots, strict=True))
        for at in (0, LATER):
            step = np.sign(moments[at + 1][1][0] - moments[at][1][0])
            rows.append([run.activation, run.batch_size, run.seed, at, np.abs(step.sum(axis=0)).mean() / WIDTH])
    frame = pd.DataFrame(rows, columns=["activation", "batch_size", "seed", "step", "coherence"])
    return frame.assign(activation=activation(frame["activation"]), batch_size=frame["batch_size"].astype(int))


def lengths(results):
    """Steps to the target and the length of the path there, of those that arrive, each at its own best rate."""
    best = at_own_rate(results.runs, ["activation", "batch_size"])
    rows = []
    for run in best[best["converged"]].itertuples():
        steps = results.campaign.replay(run.run_id, checkpoints=np.arange(int(run.steps) + 1)).snapshots
        points = np.array([np.concatenate([part.ravel() for layer in weights for part in layer]) for weights in steps])
        path = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
        rows.append([run.activation, int(run.batch_size), run.seed, run.learning_rate, run.steps, path])
    frame = pd.DataFrame(rows, columns=["activation", "batch_size", "seed", "learning_rate", "steps", "path"])
    return frame.assign(activation=activation(frame["activation"]))


def decide(measured):
    signs, most = measured["signs"].groupby(["activation", "batch_size", "step"])["coherence"], max(BATCHES)
    single = float(min(signs.get_group(("sigmoid", 1, step)).min() for step in (0, LATER)))
    first, later = (signs.get_group(("sigmoid", most, step)) for step in (0, LATER))
    twin = signs.get_group(("centered_sigmoid", 1, 0))
    found = {size: middle(paired(measured["paths"], size)) for size in (1, 32)}
    text = (
        f"In a step of one sample all weights into a unit move the same way (coherence {single:.2f}; "
        f"{twin.median():.2f} with logistic less 1/2). Over {most} samples it is {first.median():.2f} at the first "
        f"step, {later.median():.2f} after {LATER}. At its own best rate the logistic network's path to the target is "
        f"{words.number(found[1][0])} times its twin's ({words.span(*found[1][1:])}) sample by sample and "
        f"{words.number(found[32][0])} times ({words.span(*found[32][1:])}) in batches of 32."
    )
    numbers = (
        Number("coherence of a step, logistic, one sample, least", single),
        Number(f"the same, {most} samples, first step", *middle(first)),
        Number(f"the same, {most} samples, after {LATER} steps", *middle(later)),
        Number("coherence of a step, twin, one sample", *middle(twin)),
        Number("coherence of random signs", float(np.sqrt(2 / (np.pi * WIDTH)))),
        *(Number(f"path, logistic over twin, batches of {size}", *values) for size, values in found.items()),
    )
    mixed = f"{first.median():.2f}, later {later.median():.2f}"
    beside = (
        Beside("one sample: coherence of signs", f"{single:.2f}", "all equal", "founding texts", single == 1),
        Beside("batches: coherence of signs", mixed, "mixed", "founding texts", bool(first.median() < 0.5)),
    )
    if single < 1 or found[1][1] <= 1:
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    everywhere = found[32][1] > 1 and later.min() == 1
    longer = ", though paths are longer with batches too" if found[32][1] > 1 else ""
    when = "" if everywhere else f"a step is of one sample{longer}"
    return Verdict("holds" if everywhere else "holds only when", text, when, numbers, beside)


def paired(paths, size):
    """Of each seed that arrived with both: the logistic network's path over its twin's."""
    table = where(paths, batch_size=size).pivot_table(index="seed", columns="activation", values="path")
    return (table["sigmoid"] / table["centered_sigmoid"]).dropna()


def draw(measured):
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2)
    looks = dict(zip(NAMES, pens(list(NAMES.values())), strict=True))
    for k, (name, pen) in enumerate(looks.items()):
        for step, line in ((0, pen.line()), (LATER, hollow(pen))):
            cell = where(measured["signs"], activation=name, step=step).groupby("batch_size")["coherence"]
            left.plot(cell.median(), **line)
        for place, size in enumerate((1, 32)):
            values = where(measured["paths"], activation=name, batch_size=size)["path"].sort_values()
            x = place + 0.36 * (k - 0.5) + np.linspace(-0.12, 0.12, len(values))
            right.plot(x, values, **(pen.line() | {"linestyle": ""}))
    left.axhline(np.sqrt(2 / (np.pi * WIDTH)), color="#8c8c8c", linewidth=1, zorder=0)
    left.set_xscale("log", base=2)
    left.set_xticks(BATCHES, [str(b) for b in BATCHES])
    left.set_ylim(0, 1.04)
    left.set_xlabel("samples in the step")
    left.set_ylabel("sign coherence of a step")
    right.set_xticks([0, 1], ["one sample a step", "32 samples a step"])
    right.grid(False, axis="x")
    right.set_ylim(bottom=0)
    right.set_ylabel("path to the target")
    note = f"Left: first step, and after {LATER} (dotted); gray: by chance. Right: a point a network, at its best rate."
    title = "All weights of a unit move the same way, one sample at a time"
    return dress(figure, title, [pen.handle() for pen in looks.values()], note)


STUDY = Study(
    name="quadrant",
    order=4,
    title="Do logistic networks zig-zag?",
    claim=(
        "Logistic outputs are positive: for one sample the gradients of all weights into a neuron share a sign, and "
        "paths zig-zag; summed over a batch the signs mix."
    ),
    source="Founding texts, claim 4",
    rule=(
        "The quadrant holds if the first step of one sample has sign coherence 1 in every unit; the zig-zag if the "
        "path to the target of sample-by-sample training is longer than that of the same function less 1/2, paired by "
        "seed, each at its best rate (95% interval of the median above 1). Holds if both hold for batches too, only "
        "when steps are of one sample if not, does not hold if either fails for one sample."
    ),
    varied=(
        "Logistic and logistic less 1/2; 1 to 96 samples a step; rates (chosen on one half of the seeds); iris, two "
        "layers of 24."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

"""Claim 12, first part: scale matters, not only direction."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Beside, Number, Study, Verdict, main, middle, where

from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

START, OPTIMUM = 0.833, 0.437
QUOTED = (0.443, 0.433, 0.423)
EXACT = 1e-12
RULES = ("sgd", "normalized", "sign", "adam", "rmsprop")


def one_weight(bench, name, loss, target, rate, steps):
    """The path of a single weight from START. Samples x = 2 and 0, so that mean slopes are those of abs(w - target)."""
    results = bench.run(
        name,
        dataset=(np.array([[2.0], [0.0]]), np.array([[2 * target], [1.0]])),
        scaling="none",
        test_fraction=0,
        depth=0,
        bias=False,
        initializer=f"constant(value={START})",
        loss=loss,
        learning_rate=rate,
        batch_size="full",
        steps=steps,
        dtype="float64",
    )
    again = results.campaign.replay(results.runs["run_id"].iloc[0], checkpoints=list(range(steps + 1)))
    return [float(weights[0][0][0, 0]) for weights in again.snapshots]


def measure(bench):
    # A slope of 1 wherever the weight is (the text's), one that turns at the optimum, one that shrinks on the way.
    paths = {
        "slope 1, rate 0.01": one_weight(bench, "over", "absolute_error", -100.0, 0.01, 60),
        "slope 1, rate 0.0001": one_weight(bench, "crawl", "absolute_error", -100.0, 0.0001, 6000),
        "abs(w - optimum), rate 0.01": one_weight(bench, "turn", "absolute_error", OPTIMUM, 0.01, 60),
        "(w - optimum)^2, rate 0.1": one_weight(bench, "shrink", "mean_squared_error", OPTIMUM, 0.1, 60),
    }
    rows = [
        [name, step, w] for name, path in paths.items() for step, w in enumerate(path) if step <= 60 or step % 60 == 0
    ]
    return {
        "paths": pd.DataFrame(rows, columns=["case", "step", "weight"]),
        "angles": angles(bench),
        "arrives": arrives(paths),
    }


def arrives(paths):
    """The first step at which a path is at or beyond the optimum."""
    crossed = {name: np.flatnonzero(np.array(path) <= OPTIMUM + EXACT) for name, path in paths.items()}
    return pd.DataFrame([[k, int(v[0]) if len(v) else -1] for k, v in crossed.items()], columns=["case", "step"])


def angles(bench):
    """Degrees between the gradient and the first step of each optimizer, one network a seed."""
    shared = {"dataset": "digits", "width": 16, "steps": 1, "batch_size": 64, "learning_rate": 1e-3, "dtype": "float64"}
    results = bench.run("angles", **shared, grid={"optimizer": list(RULES), "seed": range(bench.pick(32, 8))})
    steps = {}
    for run in results.runs.itertuples():
        before, after = results.campaign.replay(run.run_id, checkpoints=[0, 1]).snapshots
        parts = [
            b.ravel() - a.ravel() for one, two in zip(before, after, strict=True) for a, b in zip(one, two, strict=True)
        ]
        steps[run.optimizer, run.seed] = np.concatenate(parts)
    rows = [[rule, seed, degrees(step, steps["sgd", seed])] for (rule, seed), step in steps.items()]
    return pd.DataFrame(rows, columns=["optimizer", "seed", "degrees"])


def degrees(a, b):
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


def decide(measured):
    paths = {case: cell.set_index("step")["weight"] for case, cell in measured["paths"].groupby("case")}
    over = paths["slope 1, rate 0.01"].loc[39:41]
    error = float(np.abs(over.to_numpy() - QUOTED).max())
    crawl = int(measured["arrives"].set_index("case").loc["slope 1, rate 0.0001", "step"])
    turn, shrink = paths["abs(w - optimum), rate 0.01"].loc[39:], paths["(w - optimum)^2, rate 0.1"]
    textbook = degrees(np.array([10.0, 20, 40]), np.array([1.0, 2, 100]))
    table = measured["angles"].groupby("optimizer")["degrees"]
    sign = table.get_group("sign")
    numbers = (
        Number("largest difference from 0.443, 0.433, 0.423", error),
        Number("steps to the optimum at rate 0.0001", crawl),
        Number("distance left at rate 0.01 where the slope turns", float((turn - OPTIMUM).abs().min())),
        Number("angle of [10, 20, 40] and [1, 2, 100], degrees", textbook),
        Number("angle of gradient and its signs in networks, degrees", *middle(sign)),
        Number("the same of the normalized gradient", float(table.get_group("normalized").max())),
    )
    text = (
        f"At slope 1 and rate 0.01 the weight goes from 0.833 through {', '.join(f'{w:.3f}' for w in over)} at steps "
        f"39 to 41 (off by {error:.0e} at most), over the optimum and on; where the slope turns at the optimum it goes "
        f"back and forth, never closer than {(turn - OPTIMUM).abs().min():.3f}; where it shrinks on the way, it "
        f"arrives ({abs(shrink.iloc[-1] - OPTIMUM):.0e} after 60 steps). At rate 0.0001 it takes {crawl:,} steps. "
        f"Rescaling by element turns [10, 20, 40] by {textbook:.0f} degrees, a network's gradient by "
        f"{words.number(sign.median())} (sign)."
    )
    holds = (
        error < EXACT and crawl == 3960 and textbook > 10 and table.get_group("normalized").max() < 0.01 < sign.min()
    )
    beside = (
        Beside(
            "steps 39 to 41 from 0.833 at rate 0.01",
            ", ".join(f"{w:.3f}" for w in over),
            "0.443, 0.433, 0.423",
            "founding texts",
            error < EXACT,
        ),
    )
    return Verdict("holds" if holds else "does not hold", text, numbers=numbers, beside=beside)


def draw(measured):
    figure = new_figure(3.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    names = list(measured["paths"]["case"].unique())
    looks = dict(zip(names, pens(names), strict=True))
    for name, pen in looks.items():
        cell = where(measured["paths"], case=name).query("step <= 60")
        left.plot(cell["step"], cell["weight"], **(pen.line() | {"markevery": 6}))
    left.axhline(OPTIMUM, color="#8c8c8c", linewidth=1, zorder=0)
    left.annotate("optimum 0.437", (0, OPTIMUM), (2, -11), textcoords="offset points", color="#8c8c8c")
    left.set_xlabel("step")
    left.set_ylabel("weight")
    table = measured["angles"].groupby("optimizer")["degrees"].median().reindex(RULES)
    right.barh(range(len(RULES)), table, color="#0072B2", height=0.55)
    right.set_yticks(range(len(RULES)), RULES)
    right.invert_yaxis()
    right.grid(False, axis="y")
    right.set_xlim(0, 90)
    right.set_title("first steps in networks")
    left.set_title("a single weight")
    right.set_xlabel("degrees from the gradient")
    return dress(figure, "The length of a step decides whether it arrives", [pen.handle() for pen in looks.values()])


STUDY = Study(
    name="step_length",
    order=12.1,
    title="Does the scale of a step matter, or only its direction?",
    claim=(
        "Scale matters: from 0.833 to 0.437 rate 0.0001 crawls and 0.01 steps over; rescaling by element turns a "
        "gradient."
    ),
    source="Founding texts, claim 12",
    rule=(
        "Holds if a weight that starts at 0.833 with slope 1 is at 0.443, 0.433, 0.423 after 39 to 41 steps of 0.01 "
        "(to 1e-12), needs 3960 steps of 0.0001 to the optimum, and rescaling by element turns [10, 20, 40] and "
        "networks' gradients (by over 10 degrees and 0.01) while normalizing does not."
    ),
    varied=(
        "Rate; slope constant, turning or shrinking at the optimum; first steps of five optimizers in networks on "
        "digits."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

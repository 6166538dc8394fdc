"""Claim 13: softplus, tanh and Maxout against ReLU, the logistic function and leaky ReLU."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Number, Study, Verdict, at_own_rate, main, middle, where

import gradsim as gs
from gradsim import activations
from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

EXACT = 1e-15
NAMES = ("relu", "softplus", "leaky_relu", "maxout")


def measure(bench):
    results = bench.run(
        "training",
        depth=2,
        width=16,
        batch_size=32,
        steps=bench.pick(2000, 1000),
        initializer="he_normal",
        grid={
            "dataset": ["moons", "wine", "breast_cancer", "digits"],
            "activation": list(NAMES),
            "learning_rate": gs.geomspace(0.01, 1, bench.pick(7, 4)),
            "seed": range(bench.pick(32, 12)),
        },
    )
    best = at_own_rate(results.runs, ["dataset", "activation"])
    table = best.pivot_table(index=["dataset", "seed"], columns="activation", values="steps")
    ratios = (table["softplus"] / table["relu"]).rename("ratio").reset_index()  # NaN: neither arrives
    speed = best.groupby(["dataset", "activation"]).agg(steps=("steps", "median"), converged=("converged", "mean"))
    return {"identities": identities(), "weights": weights(results), "speed": speed.reset_index(), "ratios": ratios}


def identities():
    """Largest differences in float64 over [-40, 40]."""
    z = np.linspace(-40, 40, 160_001)
    a, zero = activations, np.zeros(160_001)
    relative = np.abs(a.softplus.derivative(z) / a.sigmoid(z) - 1)
    pairs = {
        "softplus - relu, at 0": abs(a.softplus(z) - a.relu(z))[80_000] - np.log(2),
        "softplus - relu, elsewhere": abs(a.softplus(z) - a.relu(z)).max() - np.log(2),
        "softplus' / sigmoid - 1": relative.max(),
        "tanh(z) - (2 sigmoid(2z) - 1)": np.abs(a.tanh(z) - (2 * a.sigmoid(2 * z) - 1)).max(),
        "maxout(0, z) - relu(z)": np.abs(a.maxout(np.concatenate([zero, z])) - a.relu(z)).max(),
        "maxout(0.01 z, z) - leaky_relu(z)": np.abs(a.maxout(np.concatenate([0.01 * z, z])) - a.leaky_relu(z)).max(),
    }
    return pd.DataFrame([[k, float(abs(v))] for k, v in pairs.items()], columns=["identity", "difference"])


def weights(results):
    """Parameters of a run of each activation on each data set: of hidden layers, and all."""
    rows = []
    for run in results.runs.drop_duplicates(["dataset", "activation"]).itertuples():
        sizes = [w.size + b.size for w, b in results.campaign.initial_weights(run.run_id)]
        rows.append([run.dataset, run.activation, sizes[0], sum(sizes[:-1]), sum(sizes)])
    return pd.DataFrame(rows, columns=["dataset", "activation", "first", "hidden", "all"])


def decide(measured):
    worst = measured["identities"].set_index("identity")["difference"]
    table = measured["weights"].set_index(["dataset", "activation"])
    of, plain = table.xs("maxout", level="activation"), table.xs("relu", level="activation")
    hidden, whole = of["hidden"] / plain["hidden"], of["all"] / plain["all"]
    ratio = middle(measured["ratios"]["ratio"])
    text = (
        f"In float64 the identities hold to {worst.max():.0e}; softplus lies at most ln 2 above ReLU. Maxout of two "
        f"pieces has {words.number(hidden.mean())} times the hidden parameters and "
        f"{words.span(whole.min(), whole.max())} times all of them. At its own best rate softplus takes "
        f"{words.number(ratio[0])} times ReLU's steps ({words.span(*ratio[1:])})."
    )
    numbers = (
        *(Number(f"largest difference, {name}", value) for name, value in worst.items()),
        Number("maxout's parameters over ReLU's, hidden layers", float(hidden.mean())),
        Number("maxout's parameters over ReLU's, whole network", float(whole.mean())),
        Number("steps to target, softplus over ReLU", *ratio),
    )
    holds = worst.max() <= EXACT and (hidden == 2).all()
    return Verdict("holds" if holds else "does not hold", text, numbers=numbers)


def draw(measured):
    figure = new_figure(3.2)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.4])
    z = np.linspace(-4, 4, 401)
    looks = dict(zip(NAMES, pens(NAMES), strict=True))
    for name in ("relu", "softplus"):
        pen = looks[name].line() | {"markevery": 50}
        left.plot(z, getattr(activations, name)(z), **pen)
    left.set_xlabel("z")
    left.set_title("at most ln 2 apart")
    sets = list(measured["speed"]["dataset"].unique())
    for k, (name, pen) in enumerate(looks.items()):
        cell = where(measured["speed"], activation=name).set_index("dataset").loc[sets]
        right.plot(
            np.arange(len(sets)) + 0.12 * (k - 1.5), cell["steps"], **(pen.line() | {"linestyle": "", "markersize": 6})
        )
    right.set_xticks(range(len(sets)), sets)
    right.grid(False, axis="x")
    right.set_ylim(bottom=0)
    right.set_ylabel("median steps to target")
    right.set_title("each at its own best rate")
    return dress(figure, "Softplus is a smooth ReLU", [pen.handle() for pen in looks.values()])


STUDY = Study(
    name="softplus",
    order=13,
    title="Is softplus a smooth ReLU, tanh a logistic function, Maxout both ReLUs?",
    claim=(
        "Softplus is close to ReLU and its derivative is the logistic function; tanh(x) = 2 sigmoid(2x) - 1; Maxout "
        "contains ReLU and leaky ReLU and doubles the parameters."
    ),
    source="Founding texts, claim 13",
    rule=(
        "Holds if softplus lies ln 2 above ReLU at 0 and no more elsewhere, all identities hold to 1e-15 in float64 "
        "over [-40, 40], and hidden layers of Maxout with two pieces have exactly twice the parameters. Training is "
        "compared beside it."
    ),
    varied=(
        "z; for training four activations, rates, seeds (rates chosen on one half, counted on the other); four data "
        "sets."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

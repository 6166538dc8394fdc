"""Claim 1: without an activation a deep network is one linear map."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from study import Number, Study, Verdict, main

from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

SETS, DEPTHS = ("xor", "circles", "moons", "spirals"), (1, 3, 6)
ACTIVATIONS = ("identity", "tanh", "relu")
EXACT = 1e-3  # of losses in float32 after thousands of steps


def measure(bench):
    results = bench.run(
        "collapse",
        width=16,
        batch_size=64,
        steps=bench.pick(1500, 800),
        optimizer="adam",
        grid={
            "dataset": list(SETS),
            "activation": list(ACTIVATIONS),
            "depth": list(DEPTHS),
            "learning_rate": [0.001, 0.003, 0.01, 0.03],
            "seed": range(bench.pick(12, 3)),
        },
    )
    runs = results.runs
    linear = runs[runs["activation"].eq("identity")]
    best = linear.loc[linear.groupby(["dataset", "depth"])["final_loss"].idxmin()]
    rows = [one_map(results.campaign, run_id) for run_id in best["run_id"]]
    collapse = best[["dataset", "depth", "final_loss"]].reset_index(drop=True).join(pd.DataFrame(rows))
    cells = runs.groupby(["dataset", "activation", "depth"])
    losses = cells["best_loss"].agg(["min", "median", "size"]).reset_index()
    losses["accuracy"] = cells["train_accuracy"].max().to_numpy()
    return {"losses": losses, "collapse": collapse}


def one_map(campaign, run_id):
    """The loss of the product of a trained network's matrices, and the least that any linear map can have."""
    X, y, *_ = campaign.data(run_id)
    W, b = np.eye(X.shape[1]), np.zeros(X.shape[1])
    for weights, biases in campaign.replay(run_id).weights:
        W, b = W @ weights, b @ weights + biases
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(X, y)
    margin = fitted.decision_function(X) * (2 * y.ravel() - 1)
    return {"product_loss": cross_entropy(X @ W + b, y), "least_loss": float(np.logaddexp(0, -margin).mean())}


def cross_entropy(outputs, labels):
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-logs[np.arange(len(logs)), labels.ravel()].mean())


def decide(measured):
    losses, collapse = measured["losses"], measured["collapse"]
    least = collapse.groupby("dataset")["least_loss"].first()
    share = losses["min"] / losses["dataset"].map(least)
    linear = losses["activation"].eq("identity")
    networks, beyond = int(losses["size"][linear].sum()), float(share[linear].min())
    curved = float(share[~linear].groupby(losses["dataset"]).min().max())
    apart = float((collapse["product_loss"] / collapse["final_loss"] - 1).abs().max())
    holds = beyond > 1 - EXACT and apart < EXACT and curved < 0.5
    text = (
        f"The lowest loss of {networks:,} networks without activations is {beyond:.4f} of the best linear model's, and "
        f"the product of their matrices has their loss to {apart:.0e}. With tanh or ReLU the same networks come to "
        f"{words.percent(curved)} of it or less on every set."
    )
    numbers = (
        Number("lowest loss without activations, share of the best linear model's", beyond),
        Number("largest relative difference of a network's loss from that of the product of its matrices", apart),
        Number("lowest loss with tanh or ReLU, share of the best linear model's, worst set", curved),
    )
    return Verdict("holds" if holds else "does not hold", text, numbers=numbers)


def draw(measured):
    losses, collapse = measured["losses"], measured["collapse"]
    least = collapse.groupby("dataset")["least_loss"].first()
    figure = new_figure(3.0)
    looks = dict(zip(ACTIVATIONS, pens(ACTIVATIONS), strict=True))
    for axes, name in zip(figure.subplots(1, len(SETS), sharey=True), SETS, strict=True):
        for activation, pen in looks.items():
            cell = losses[losses["dataset"].eq(name) & losses["activation"].eq(activation)]
            axes.plot(cell["depth"], cell["min"] / least[name], **pen.line())
        axes.axhline(1, color="#8c8c8c", linewidth=1, zorder=0)
        axes.set_yscale("log")
        axes.set_title(name)
        axes.set_xticks(DEPTHS)
        axes.set_xlabel("hidden layers")
    figure.axes[0].set_ylabel("lowest loss / best linear model's")
    return dress(figure, "Without an activation depth adds nothing", [pen.handle() for pen in looks.values()])


STUDY = Study(
    name="linear_collapse",
    order=1,
    title="Is a deep network without activations one linear map?",
    claim="Without an activation a deep network is one linear map and cannot fit data that no line separates.",
    source="Founding texts, claim 1",
    rule=(
        "Holds if no network without activations, at any depth, rate and seed, has a training loss below that of the "
        "best linear model (by more than 0.1%), the product of its matrices has its loss (to 0.1%), and the same "
        "networks with tanh or ReLU come to less than half that loss on every set."
    ),
    varied="Identity, tanh and ReLU; 1, 3 and 6 layers of 16; xor, circles, moons, spirals; four rates of Adam; seeds.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

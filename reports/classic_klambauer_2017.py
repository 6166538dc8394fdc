"""Klambauer et al. 2017: SELU draws activations to mean 0 and variance 1, whatever the depth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import ndtr
from study import Beside, Number, Study, Verdict, main

from gradsim.analysis import bootstrap_interval, words
from gradsim.plots.style import dress, new_figure, pens

ALPHA, LAMBDA = 1.6732632423543772848, 1.0507009873554804934
# Their theorem 1: means and variances of this domain stay in it.
MEAN, VARIANCE = (-0.1, 0.1), (0.8, 1.5)
PAIRS = {
    "selu": ("lecun_normal", "SELU, LeCun"),
    "relu": ("he_normal", "ReLU, He"),
    "tanh": ("glorot_normal", "tanh, Glorot"),
    "elu": ("lecun_normal", "ELU, LeCun"),
}
SCALES, SETTLED = (0.5, 1.0, 2.0), 16


def measure(bench):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(128, 64)), random.integers(0, 2, 128)
    frames = []
    for scale in SCALES:
        results = bench.run(
            f"inputs{scale:g}",
            dataset=(X * scale, y),
            scaling="none",
            test_fraction=0.0,
            probe_samples=128,
            width=bench.pick(256, 128),
            depth=bench.pick(100, 64),
            steps=1,
            learning_rate=0.0,
            store="layers",
            zip=[{"activation": list(PAIRS), "initializer": [start for start, _ in PAIRS.values()]}],
            grid={"seed": range(8)},
        )
        layers = results.layers.query("step == 0").merge(
            results.runs[["run_id", "activation", "seed", "depth"]], on="run_id"
        )
        hidden = layers[layers["layer"] < layers["depth"]].astype({"activation": str})
        frames.append(hidden.assign(scale=scale, layer=hidden["layer"] + 1, variance=hidden["activation_std"] ** 2))
    table = pd.concat(frames).rename(columns={"activation_mean": "mean"})
    return {"signals": table[["scale", "activation", "seed", "layer", "mean", "variance"]].reset_index(drop=True)}


def moments(mean, variance):
    """Mean and variance of SELU of a normal number: the equations 4 and 5 of their paper.

    E e^(k z), z < 0, is e^(k mean + k^2 variance/2) Phi(-(mean + k variance)/std).
    """
    std = math.sqrt(variance)

    def below(k):
        return math.exp(k * mean + k * k * variance / 2) * ndtr(-(mean + k * variance) / std)

    density = math.exp(-(mean**2) / (2 * variance)) / math.sqrt(2 * math.pi)
    above = ndtr(mean / std)
    first = LAMBDA * (mean * above + std * density + ALPHA * (below(1) - below(0)))
    square = (mean**2 + variance) * above + mean * std * density
    second = LAMBDA**2 * (square + ALPHA**2 * (below(2) - 2 * below(1) + below(0)))
    return float(first), float(second - first**2)


def slopes():
    """What a change of the variance makes of the next layer's mean and variance, at mean 0 and variance 1."""
    h = 1e-5
    up, down = moments(0.0, 1 + h), moments(0.0, 1 - h)
    return tuple((a - b) / (2 * h) for a, b in zip(up, down, strict=True))


def decide(measured):
    table = measured["signals"]
    settled = table[table["layer"] >= SETTLED]
    typical = settled.groupby(["activation", "scale", "layer"])[["mean", "variance"]].mean()
    stays = {name: within(typical.loc[name]) for name in PAIRS}
    mean, variance = typical.loc["selu", "mean"], typical.loc["selu", "variance"]
    last = settled[settled["layer"].eq(settled["layer"].max())].groupby("activation")["variance"]
    end = {name: (float(cell.mean()), *bootstrap_interval(cell, "mean")) for name, cell in last}
    to_mean, to_variance = slopes()
    text = (
        f"From layer {SETTLED} to layer {settled['layer'].max()}, for inputs of "
        f"{words.join(f'{s:g}' for s in SCALES)} times their scale, the mean over networks of SELU's activations is "
        f"{words.span(mean.min(), mean.max())} and their variance {words.span(variance.min(), variance.max())}. At "
        "the last layer the variance is "
        + words.join(
            f"{words.number(end[name][0])} with {label}" for name, (_, label) in PAIRS.items() if name != "selu"
        )
        + "."
    )
    numbers = (
        Number("SELU, mean, farthest from 0", float(mean.abs().max())),
        Number("SELU, least variance", float(variance.min())),
        Number("SELU, largest variance", float(variance.max())),
        *(Number(f"variance at the last layer, {PAIRS[name][1]}", *values) for name, values in end.items()),
    )
    fixed = moments(0.0, 1.0)
    beside = (
        Beside(
            "image of mean 0, variance 1",
            f"{fixed[0]:.1e}, {fixed[1]:.6f}",
            "0, 1",
            "their equations 4 and 5",
            bool(abs(fixed[0]) < 1e-6 and abs(fixed[1] - 1) < 1e-6),
        ),
        Beside(
            "slopes of the map there, of mean and variance by variance",
            f"{to_mean:.6f}, {to_variance:.6f}",
            "0.088834, 0.782648",
            "their Jacobian, of norm 0.7877",
            bool(abs(to_mean - 0.088834) < 2e-6 and abs(to_variance - 0.782648) < 2e-6),
        ),
        Beside(
            "mean and variance in deep layers",
            f"{words.span(mean.min(), mean.max())}; {words.span(variance.min(), variance.max())}",
            "-0.1 to 0.1; 0.8 to 1.5",
            "their theorem 1",
            stays["selu"],
        ),
    )
    others = [PAIRS[name][1] for name in PAIRS if name != "selu" and stays[name]]
    if not stays["selu"]:
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    if others:
        return Verdict(
            "holds only when", text, f"not said of SELU alone: {words.join(others)} as well", numbers, beside
        )
    return Verdict("holds", text, numbers=numbers, beside=beside)


def within(cells):
    """Whether all means and variances lie in their domain."""
    return bool(cells["mean"].between(*MEAN).all() and cells["variance"].between(*VARIANCE).all())


def draw(measured):
    table = measured["signals"].groupby(["activation", "scale", "layer"])[["mean", "variance"]].mean().reset_index()
    figure = new_figure(3.5)
    axes = figure.subplots(1, 2)
    labels = [label for _, label in PAIRS.values()]
    looks = dict(zip(PAIRS, pens(labels), strict=True))
    for place, column, domain in zip(axes, ("mean", "variance"), (MEAN, VARIANCE), strict=True):
        place.axhspan(*domain, color="#8c8c8c", alpha=0.25, linewidth=0)
        for name, pen in looks.items():
            for scale in SCALES:
                cell = table[table["activation"].eq(name) & table["scale"].eq(scale)]
                place.plot(cell["layer"], cell[column], **pen.line() | {"marker": "", "linewidth": 1.3})
        place.set_title(f"{column} of activations")
        place.set_xlabel("hidden layer")
        place.set_xscale("log")
        place.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
        place.set_xlim(1, table["layer"].max())
        place.minorticks_off()
    axes[1].set_yscale("log")
    axes[0].set_ylim(-0.4, 1.2)
    axes[1].set_ylim(5e-3, 10)
    note = (
        "At the start, for inputs of 0.5, 1 and 2 times unit variance; means over networks. Gray: the domain of "
        "their theorem."
    )
    return dress(figure, "SELU's activations go to mean 0 and variance 1", [p.handle() for p in looks.values()], note)


STUDY = Study(
    name="classic_klambauer_2017",
    order=106,
    title="Do SELU networks normalize themselves?",
    claim="With SELU and LeCun's weights activations go to mean 0 and variance 1 and stay there at any depth; other "
    "units' do not.",
    source="Klambauer, Unterthiner, Mayr & Hochreiter 2017",
    rule=(
        "Holds if from layer 16 to the last, for inputs of half, once and twice unit scale, the mean over networks "
        "of the activations' mean stays within -0.1 to 0.1 and that of their variance within 0.8 to 1.5 (the domain "
        "of the paper's theorem), and no other pair does so; only with a reservation if another does."
    ),
    varied="Four pairs of activation and start; inputs of three scales; 100 layers of 256 units, before training; "
    "seeds; 128 normal points of 64 features.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

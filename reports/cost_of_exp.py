"""Claim 5: exp makes logistic, tanh and softplus more expensive than ReLU."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pandas as pd
from study import Beside, Number, Study, Verdict, main, middle, where

import gradsim as gs
from gradsim.activations import get
from gradsim.activations.blocks import call_block
from gradsim.analysis import words
from gradsim.lanes import LANES
from gradsim.plots.style import color, dress, new_figure, pens

NAMES = ("relu", "sigmoid", "tanh", "softplus")
ALL = "geometric mean of the three"
NUMBERS, TURN = 16_384, 1e-3
SHAPES = {"2-8-8-2": ("circles", 2, 8), "64-32-32-10": ("digits", 2, 32), "64-128-128-10": ("digits", 2, 128)}


def measure(bench):
    elements = rounds({name: element(name) for name in NAMES}, bench.pick(101, 31))
    frames = [elements.assign(of="an element", per=NUMBERS)]
    for shape, (dataset, depth, width) in SHAPES.items():
        steps = bench.pick(500, 200) // (1 if width < 64 else 5)
        calls = {name: training(name, dataset, depth, width, steps) for name in NAMES}
        count = bench.pick(41, 15)
        bench.networks += len(NAMES) * count
        frames.append(rounds(calls, count).assign(of=shape, per=steps * LANES[np.dtype(np.float32)]))
    return {"times": pd.concat(frames, ignore_index=True)}


def element(name):
    """Value and slope of as many numbers as fit the cache, as the trainer asks for them."""
    act, lanes = get(name), LANES[np.dtype(np.float32)]
    z = np.random.default_rng(0).standard_normal(NUMBERS).astype(np.float32)
    h, slope = np.empty_like(z), np.empty_like(z)
    parameters, address = np.repeat(act.parameter_vector().astype(np.float32), lanes), act.block(np.float32).address
    count = 64
    while seconds(partial(call_block, address, z, h, slope, parameters, count)) < TURN:
        count *= 2

    def call():
        return seconds(lambda: call_block(address, z, h, slope, parameters, count)) / count

    return call


def training(name, dataset, depth, width, steps):
    """A whole training of one vector of networks: batches, both passes, update, records at the end."""
    fields = {"dataset": dataset, "depth": depth, "width": width, "steps": steps, "learning_rate": 0.01}
    campaign = gs.Campaign(**fields, activation=name, batch_size=32, probe_samples=1, checkpoints=[])
    run_id = campaign.plan.run_ids(np.arange(1))[0]
    return lambda: seconds(lambda: campaign.replay(run_id))


def seconds(call):
    """Of this thread's processor time: other processes do not count."""
    begun = time.thread_time()
    call()
    return time.thread_time() - begun


def rounds(calls, count):
    """Every activation once a round, each round starting with another one, so that slow moments fall on all."""
    names, rows = list(calls), []
    for name in names:
        calls[name]()
    for turn in range(count):
        first = turn % len(names)
        rows += [[turn, name, calls[name]()] for name in names[first:] + names[:first]]
    return pd.DataFrame(rows, columns=["round", "activation", "seconds"])


def ratios(times):
    """Each activation's time over ReLU's of the same round, and the geometric mean of all: median and its interval."""
    rows = []
    for of, cell in times.groupby("of", sort=False):
        table = cell.pivot(index="round", columns="activation", values="seconds")
        pairs = table[list(NAMES[1:])].div(table["relu"], axis=0)
        pairs[ALL] = np.exp(np.log(pairs).mean(axis=1))
        rows += [[of, name, *middle(pairs[name])] for name in pairs]
    return pd.DataFrame(rows, columns=["of", "activation", "ratio", "low", "high"])


def decide(measured):
    times = measured["times"]
    table = ratios(times)
    element_rows = table["of"].eq("an element")
    one, whole = (part[part["activation"].ne(ALL)] for part in (table[element_rows], table[~element_rows]))
    together = table[~element_rows & table["activation"].eq(ALL)].set_index("of")
    ns = times[times["of"].eq("an element")].groupby("activation")["seconds"].median() / NUMBERS * 1e9
    span = {of: words.span(cell["ratio"].min(), cell["ratio"].max()) for of, cell in whole.groupby("of", sort=False)}
    text = (
        f"Value and slope take {', '.join(f'{ns[n]:.2f} ({n})' for n in NAMES)} ns a number: "
        f"{', '.join(f'{r.activation} {words.number(r.ratio)}' for r in one.itertuples())} times ReLU's. A whole "
        f"training takes {', '.join(f'{ratio} times ({shape})' for shape, ratio in span.items())} ReLU's time: most of "
        "it is multiplications."
    )
    numbers = tuple(
        Number(f"time over ReLU's, {r.of}, {r.activation}", r.ratio, r.low, r.high) for r in table.itertuples()
    )
    ours = f"{one['ratio'].min():.1f} to {one['ratio'].max():.1f} times"
    dearer = bool((one["low"] > 1).all())
    beside = (Beside("exp against max, a number", ours, "more expensive", "founding texts", dearer),)
    if not dearer:
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    dear = together["low"] > 1
    if dear.all():
        return Verdict("holds", text, numbers=numbers, beside=beside)
    when = f"the network is {words.join(dear.index[dear], 'or')}" if dear.any() else "activations alone are counted"
    return Verdict("holds only when", text, when, numbers, beside)


def draw(measured):
    table = ratios(measured["times"])
    figure = new_figure(3.0)
    axes = figure.add_subplot()
    places = list(table["of"].unique())
    for k, (name, pen) in enumerate(zip(NAMES[1:], pens(NAMES[1:]), strict=True)):
        cell = where(table, activation=name).set_index("of").loc[places]
        x = np.arange(len(places)) + 0.22 * (k - 1)
        axes.bar(x, cell["ratio"] - 1, width=0.2, bottom=1, color=pen.color, label=name)
        axes.errorbar(
            x,
            cell["ratio"],
            [cell["ratio"] - cell["low"], cell["high"] - cell["ratio"]],
            fmt="none",
            ecolor=color("ink"),
        )
        for at, ratio in zip(x, cell["ratio"], strict=True):
            text = f"{ratio:.2g}" if ratio >= 2 else f"{ratio:.2f}"
            axes.annotate(text, (at, ratio), (0, 5), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xticks(range(len(places)), ["value and slope\nof a number", *(f"training\n{p}" for p in places[1:])])
    axes.axhline(1, color="#8c8c8c", linewidth=1)
    axes.grid(False, axis="x")
    axes.set_yscale("log", base=2)
    axes.set_yticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    axes.set_ylim(0.9, max(8, 1.4 * table["ratio"].max()))
    axes.set_ylabel("time / ReLU's")
    axes.legend()
    return dress(figure, "exp costs, but a network is mostly multiplications")


STUDY = Study(
    name="cost_of_exp",
    order=5,
    title="Does exp make logistic, tanh and softplus expensive?",
    claim="exp makes logistic, tanh and softplus more expensive than ReLU.",
    source="Founding texts, claim 5",
    rule=(
        "Times of one thread over ReLU's in the same round. Does not hold unless each of the three takes longer a "
        "number; holds if whole trainings, too, take longer, in every shape (geometric mean of the three); only for "
        "the shapes in which they do, if not in all (95% intervals of medians above 1)."
    ),
    varied=(
        "Four activations; value and slope of 16,384 numbers; whole trainings of 2-8-8-2, 64-32-32-10 and "
        "64-128-128-10, batches of 32."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

"""Lu et al. 2019: deep narrow networks of rectifiers are born dead, and a remedy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Beside, Number, Study, Verdict, main

from gradsim import theory
from gradsim.analysis import wilson_interval, words
from gradsim.plots.style import dress, new_figure, pens

WIDTHS, STARTS = (2, 3, 4, 6, 8), {"kaiming_normal": "symmetric", "randomized_asymmetric": "randomized asymmetric"}
EXAMPLE = {"depth": 10, "width": 2}
FRESH = 10_000  # seeds that no run saw from which the rule was made
SIMULATED, ERRORS, SURE = 4000, 4, 0.999


def points(count):
    """Their example: |x| between -sqrt 3 and sqrt 3."""
    x = np.linspace(-np.sqrt(3), np.sqrt(3), count)
    return x[:, None], np.abs(x)


def measure(bench):
    shared = {"dataset": points(64), "scaling": "none", "test_fraction": 0.0, "batch_size": 32, "store": "layers"}
    networks = bench.pick(1000, 400)
    depths = bench.pick([2, 5, 10, 20, 40], [5, 10, 20])
    born = bench.run(
        "born",
        **shared,
        steps=1,
        activation="relu",
        learning_rate=0.0,
        grid={
            "initializer": list(STARTS),
            "width": list(WIDTHS),
            "depth": depths,
            "seed": range(FRESH, FRESH + networks),
        },
    )
    trained = bench.run(
        "trained",
        **shared,
        **EXAMPLE,
        steps=bench.pick(2000, 500),
        activation="relu",
        optimizer="adam",
        learning_rate=0.003,
        grid={"initializer": list(STARTS), "seed": range(FRESH, FRESH + networks)},
    )
    return {"born": born_dead(born, points(64)[0], networks), "trained": collapsed(trained)}


def dead_layer(results, step):
    """By network: whether some hidden layer is off for every point."""
    layers = results.layers[results.layers["step"].eq(step)]
    layers = layers.merge(results.runs[["run_id", "depth"]], on="run_id")
    off = layers[layers["layer"] < layers["depth"]].groupby("run_id", observed=True)["dead"].max() == 1
    return results.runs["run_id"].map(off).astype(bool)


def born_dead(results, x, networks):
    """Shares born dead by start, width and depth; the bound, and a simulation that shares nothing with the engine."""
    runs = results.runs.assign(dead=dead_layer(results, 0))
    rows = []
    for (start, width, depth), cell in runs.groupby(["initializer", "width", "depth"], observed=True):
        dead = int(cell["dead"].sum())
        simulated = theory.simulate_born_dead(int(depth), int(width), x, networks=SIMULATED, seed=7)
        ends = *wilson_interval(dead, len(cell)), theory.born_dead(int(depth), int(width)), simulated.share
        rows.append([STARTS[str(start)], width, depth, len(cell), dead / len(cell), *ends])
    return pd.DataFrame(rows, columns=["start", "width", "depth", "n", "share", "low", "high", "bound", "simulated"])


def collapsed(results):
    """By start: how many of the trained networks say the same at every point, which a dead layer makes them."""
    runs = results.runs.assign(start=results.runs["initializer"].astype(str).map(STARTS))
    runs = runs.assign(
        dead=dead_layer(results, results.campaign.steps),
        born=dead_layer(results, 0),
        found=runs["outcome"].eq("converged"),
    )
    rows = []
    for start, cell in runs.groupby("start"):
        n, dead = len(cell), int(cell["dead"].sum())
        rows.append([start, n, dead / n, *wilson_interval(dead, n), cell["born"].mean(), cell["found"].mean()])
    return pd.DataFrame(rows, columns=["start", "n", "collapsed", "low", "high", "born", "converged"])


def decide(measured):
    born = measured["born"]
    symmetric = born[born["start"].eq("symmetric")].set_index(["width", "depth"]).sort_index()
    asymmetric = born[born["start"].ne("symmetric")].set_index(["width", "depth"]).sort_index()
    sure, _ = wilson_interval(symmetric["share"] * symmetric["n"], symmetric["n"], SURE)
    beyond = symmetric[sure > symmetric["bound"]]
    apart = (symmetric["simulated"] - symmetric["share"]).abs()
    differ = symmetric[apart > ERRORS * standard_errors(symmetric)]
    grow = grows(symmetric["share"], 0.03)
    common = symmetric[symmetric["share"] > 0.05].index
    worse = [key for key in common if asymmetric.loc[key, "low"] >= symmetric.loc[key, "low"]]
    held = beyond.empty and differ.empty and grow and len(common) > 0 and not worse
    trained = measured["trained"].set_index("start")
    usual, remedy = trained.loc["symmetric"], trained.loc["randomized asymmetric"]
    deep = symmetric.xs(2, level="width")
    ten, ours = symmetric.loc[(2, 10)], asymmetric.loc[(2, 10)]
    text = (
        f"Born dead are of networks of width 2 {words.span(deep['share'].min(), deep['share'].max(), words.percent)} "
        f"at {deep.index.min()} to {deep.index.max()} layers, never more than the bound says; of width 2 and 10 "
        f"layers {words.percent(ten['share'])} (bound {words.percent(ten['bound'])}), from the asymmetric start "
        f"{words.percent(ours['share'])}. Trained on |x|, {words.percent(usual['collapsed'])} and "
        f"{words.percent(remedy['collapsed'])} of such networks end as a constant."
    )
    ratio = asymmetric.loc[common, "share"] / symmetric.loc[common, "share"]
    numbers = (
        Number("share born dead, width 2, 10 layers", *ten[["share", "low", "high"]]),
        Number("share born dead, width 2, 10 layers, asymmetric", *ours[["share", "low", "high"]]),
        Number("largest share over its bound", float((symmetric["share"] / symmetric["bound"]).max())),
        Number("largest difference from a simulation of its own", float(apart.max())),
        Number("asymmetric over symmetric, largest where over 5% are born dead", float(ratio.max())),
        Number("share that ends constant on |x|", *usual[["collapsed", "low", "high"]]),
        Number("share that ends constant on |x|, asymmetric", *remedy[["collapsed", "low", "high"]]),
    )
    beside = (
        Beside(
            "largest share born dead over 1 - prod(1 - 2^-N)",
            words.number((symmetric["share"] / symmetric["bound"]).max()),
            "at most 1",
            "their upper bound",
            bool(beyond.empty),
        ),
        Beside(
            "share that ends constant, |x|, 10 layers of 2",
            words.percent(usual["collapsed"]),
            "over 90%",
            "their section 1, from memory",
            bool(usual["high"] > 0.9),
        ),
    )
    return Verdict("holds" if held else "does not hold", text, numbers=numbers, beside=beside)


def standard_errors(cells):
    """Of the difference of a share from the simulated one, which rests on SIMULATED networks."""
    p = cells["simulated"].clip(1e-3, 1 - 1e-3)
    return (p * (1 - p) * (1 / cells["n"] + 1 / SIMULATED)) ** 0.5


def grows(share, room):
    """Whether shares [width, depth] rise with depth and fall with width, but for noise."""
    table = share.unstack("depth").sort_index()
    return bool(
        (table.diff(axis=1).iloc[:, 1:] > -room).all(axis=None) and (table.diff().iloc[1:] < room).all(axis=None)
    )


def draw(measured):
    born = measured["born"]
    figure = new_figure(3.5)
    axes = figure.subplots(1, 2, sharey=True)
    looks = dict(zip(WIDTHS, pens(list(WIDTHS)), strict=True))
    for place, start in zip(axes, STARTS.values(), strict=True):
        for width, pen in looks.items():
            cell = born[born["width"].eq(width) & born["start"].eq(start)].sort_values("depth")
            place.fill_between(cell["depth"], cell["low"], cell["high"], color=pen.color, alpha=0.15, linewidth=0)
            place.plot(cell["depth"], cell["share"], **pen.line() | {"linestyle": "-"}, label=f"width {width}")
            if start == "symmetric":
                depths = np.arange(1, born["depth"].max() + 1)
                bound = [theory.born_dead(int(d), int(width)) for d in depths]
                place.plot(depths, bound, color=pen.color, linewidth=1, linestyle=(0, (2, 2)))
        place.set_title(f"{start} start")
        place.set_xlabel("hidden layers")
        place.set_ylim(-0.03, 1.03)
    axes[0].set_ylabel("share born dead")
    axes[1].legend(fontsize=8, loc="upper left")
    note = (
        "A layer is off for all 64 points between -1.73 and 1.73. Dotted: the bound 1 - prod(1 - 2^-N); bands: 95% "
        "intervals."
    )
    return dress(figure, "Deep narrow ReLU networks are born dead", note=note)


STUDY = Study(
    name="classic_lu_2019",
    order=104,
    title="Are deep narrow networks of rectifiers born dead?",
    claim=(
        "A deep ReLU network is born dead with a probability that goes to 1 with depth and is at most 1 - prod(1 - "
        "2^-N); the randomized asymmetric start makes it less."
    ),
    source="Lu, Shin, Su & Karniadakis 2019",
    rule=(
        "Holds if the share born dead rises with depth and falls with width (to 3 points), is nowhere over the "
        "bound (Wilson 99.9% intervals), agrees with a simulation apart from the engine (to 4 standard errors), and "
        "is lower from the asymmetric start wherever it is over 5%."
    ),
    varied="Two starts; 2 to 40 layers of 2 to 8 ReLU units without biases; seeds; 64 points of |x|. Trained: 10 "
    "layers of 2, Adam, 2000 steps.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

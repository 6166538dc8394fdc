"""Claim 6: tanh is preferred over logistic, and ReLU converges about 6 times faster than tanh."""

from __future__ import annotations

import numpy as np
from study import Beside, Number, Study, Verdict, at_own_rate, main, middle, where, with_ends

import gradsim as gs
from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

SETS, DEPTHS = ("digits", "wine", "breast_cancer", "spirals", "circles", "xor(bits=3)"), (1, 3, 6)
STARTS = {"relu": "he_normal", "tanh": "glorot_normal", "sigmoid": "glorot_normal"}
KRIZHEVSKY = 6.0


def measure(bench):
    results = bench.run(
        "tasks",
        width=32,
        batch_size=32,
        steps=bench.pick(2000, 1000),
        optimizer="momentum",
        zip=[{"activation": list(STARTS), "initializer": list(STARTS.values())}],
        grid={
            "dataset": list(SETS) if not bench.quick else list(SETS[:5]),
            "depth": list(DEPTHS) if not bench.quick else [1, 3],
            "learning_rate": gs.geomspace(1e-3, 1, bench.pick(8, 5)),
            "seed": range(bench.pick(12, 8)),
        },
    )
    runs = results.runs.assign(dataset=results.runs["dataset"].str.extract(r"^(\w+)")[0])
    best = at_own_rate(runs, ["dataset", "depth", "activation"])
    shared = ratios(with_ends(runs), ["dataset", "depth", "learning_rate"])
    return {"own": ratios(best, ["dataset", "depth"]), "shared": shared}


def ratios(runs, by):
    """Median steps to the target, and tanh's and logistic's over ReLU's; NaN where neither arrives."""
    table = runs.groupby([*by, "activation"])["steps"].median().unstack()
    with np.errstate(invalid="ignore"):
        table = table.assign(
            tanh_over_relu=table["tanh"] / table["relu"], sigmoid_over_tanh=table["sigmoid"] / table["tanh"]
        )
    return table.reset_index()


def decide(measured):
    own, shared = measured["own"], measured["shared"]
    ratio, other = middle(own["tanh_over_relu"]), middle(own["sigmoid_over_tanh"])
    same = shared["tanh_over_relu"].dropna()
    most = own.replace(np.inf, np.nan).dropna(subset="tanh_over_relu").sort_values("tanh_over_relu").iloc[-1]
    six = float((same >= KRIZHEVSKY / 1.5).mean())
    times = f"takes {words.number(other[0])} times tanh's"
    logistic = times if np.isfinite(other[0]) else "does not arrive in half of the tasks in which tanh does"
    text = (
        f"At each one's own best rate tanh takes {words.number(ratio[0])} times ReLU's steps to the target "
        f"({words.span(*ratio[1:])}, median of {own['tanh_over_relu'].notna().sum()} tasks), from "
        f"{words.number(own['tanh_over_relu'].min())} to {words.number(most['tanh_over_relu'])} ({most['dataset']}, "
        f"{words.plural(most['depth'], 'layer')}); logistic {logistic}. At a rate that both share tanh takes "
        f"{words.number(same.median())} times ReLU's steps, and 4 times or more in {words.percent(six)} of tasks and "
        "rates."
    )
    numbers = (
        Number("steps to target, tanh over ReLU, own best rates", *ratio),
        Number("steps to target, tanh over ReLU, the same rate", *middle(shared["tanh_over_relu"])),
        Number("steps to target, logistic over tanh, own best rates", *other),
        Number(
            "share of tasks in which ReLU is 4 times faster, own best rates", float((own["tanh_over_relu"] >= 4).mean())
        ),
        Number("share of tasks and shared rates in which it is", six),
    )
    source = "Krizhevsky et al. 2012 (convolutions, CIFAR-10, to 25% error)"
    beside = (
        Beside("tanh's steps over ReLU's", words.number(ratio[0]), "about 6", source, bool(ratio[1] <= 6 <= ratio[2])),
    )
    if ratio[1] >= KRIZHEVSKY / 1.5 and other[1] > 1:
        return Verdict("holds", text, numbers=numbers, beside=beside)
    deep = own.groupby("depth")["tanh_over_relu"].apply(lambda r: middle(r)[1] >= KRIZHEVSKY / 1.5)
    if deep.any():
        when = f"networks have {words.join([str(d) for d in deep.index[deep]], 'or')} layers"
        return Verdict("holds only when", text, when, numbers, beside)
    return Verdict("does not hold", text, numbers=numbers, beside=beside)


def draw(measured):
    figure = new_figure(3.3)
    depths = sorted(measured["own"]["depth"].unique())
    looks = dict(zip(depths, pens(["1 layer" if d == 1 else f"{d} layers" for d in depths]), strict=True))
    pairs = (("own", "tanh_over_relu"), ("shared", "tanh_over_relu"), ("own", "sigmoid_over_tanh"))
    titles = ("tanh / ReLU, own best rates", "tanh / ReLU, same rate", "logistic / tanh, own")
    for axes, (name, column), title in zip(figure.subplots(1, 3, sharey=True), pairs, titles, strict=True):
        for depth, pen in looks.items():
            values = np.sort(where(measured[name], depth=depth)[column].dropna().clip(0.05, 100))
            axes.step(
                values, (np.arange(len(values)) + 1) / len(values), where="post", color=pen.color, linestyle=pen.dashes
            )
        axes.axvline(1, color="#8c8c8c", linewidth=1, zorder=0)
        axes.axvline(KRIZHEVSKY, color="#8c8c8c", linewidth=1, linestyle=":", zorder=0)
        axes.set_xscale("log")
        axes.set_xlim(0.1, 100)
        axes.set_xticks([0.1, 1, 6, 100], ["0.1", "1", "6", "never"])
        axes.minorticks_off()
        axes.set_title(title)
        axes.set_xlabel("ratio of steps to the target")
    figure.axes[0].set_ylabel("share of tasks up to it")
    handles = [pen.handle() for pen in looks.values()]
    for handle in handles:
        handle.set(marker="")
    note = "Dotted: Krizhevsky's 6. Right end: tanh (logistic) does not arrive in half of the runs, ReLU (tanh) does."
    return dress(figure, "ReLU is not six times faster than tanh", handles, note)


STUDY = Study(
    name="relu_speed",
    order=6,
    title="Does ReLU converge six times faster than tanh?",
    claim="tanh is preferred over logistic, and ReLU converges much faster than both, about 6 times faster than tanh.",
    source="Founding texts, claim 6; Krizhevsky et al. 2012",
    rule=(
        "Steps to the target, medians over seeds, each activation at its own best rate. Holds if tanh takes at least 4 "
        "times ReLU's (lower end of the 95% interval of the median over tasks) and logistic more than tanh; only at "
        "those depths at which it does; does not hold otherwise."
    ),
    varied=(
        "ReLU with He's, tanh and logistic with Glorot's weights; six sets; 1, 3 and 6 layers of 32; eight rates of "
        "momentum (chosen on one half of the seeds, counted on the other)."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="does not hold",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

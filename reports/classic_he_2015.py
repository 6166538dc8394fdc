"""He et al. 2015: rectifiers of 30 layers train from He's start and stall from Xavier's."""

from __future__ import annotations

import pandas as pd
from study import Beside, Number, Study, Verdict, at_own_rate, main, middle

from gradsim.analysis import convergence_rate, words
from gradsim.plots.style import dress, new_figure, pens

STARTS = {"kaiming_normal": "He", "xavier_normal": "Xavier"}
FRESH = 100  # seeds that no run saw from which the number of seeds was chosen
SHALLOW, DEEP, WIDTH = 22, 30, 32


def measure(bench):
    shared = {"dataset": "iris", "width": WIDTH, "batch_size": 16, "activation": "relu"}
    steps = bench.pick(2000, 1500)
    grid = {"initializer": list(STARTS), "depth": [SHALLOW, DEEP], "seed": range(FRESH, FRESH + bench.pick(48, 8))}
    sgd = bench.run(
        "momentum",
        **shared,
        steps=steps,
        store="curves",
        checkpoints=[0, 3, 10, 30, 60, 100, 150, 200, *range(300, steps + 1, 100)],
        optimizer="momentum",
        grid=grid | {"learning_rate": [3e-4, 1e-3, 3e-3]},
    )
    adam = bench.run(
        "adam",
        **shared,
        steps=bench.pick(2000, 800),
        optimizer="adam",
        grid=grid | {"depth": [DEEP], "learning_rate": [3e-4, 1e-3]},
    )
    start = bench.run("start", **shared, steps=1, store="layers", learning_rate=0.0, grid=grid | {"seed": range(64)})
    by = ["initializer", "depth"]
    runs = pd.concat([f.runs.assign(optimizer=name) for name, f in (("SGD", sgd), ("Adam", adam))])
    best = at_own_rate(runs, ["optimizer", *by])
    table = convergence_rate(best, ["optimizer", *by])
    steps = best.groupby(["optimizer", *by])[["steps", "learning_rate"]].median().reset_index()
    chosen = best[best["optimizer"].eq("SGD")]
    return {
        "starts": table.merge(steps, on=["optimizer", *by]),
        "signals": signals(start),
        "falls": falls(start),
        "curves": curves(sgd, chosen),
    }


def signals(results):
    """Before the first step, by layer: root mean squares of pre-activations and of what comes back to them."""
    runs = results.runs.query("depth == @DEEP").drop_duplicates(["initializer", "seed"])
    layers = results.layers.query("step == 0").merge(runs[["run_id", "initializer", "seed"]], on="run_id")
    layers = layers.assign(
        forward=(layers["preactivation_std"] ** 2 + layers["preactivation_mean"] ** 2) ** 0.5, layer=layers["layer"] + 1
    )
    table = layers.groupby(["initializer", "seed", "layer"], observed=True)[["forward", "delta_rms"]].median()
    return table.reset_index().astype({"initializer": str})


def falls(results):
    """By network: the factor of the root mean square a layer, forward, and of back-propagated gradients."""
    rows = []
    for (name, seed), cell in signals(results).groupby(["initializer", "seed"]):
        cell = cell.set_index("layer")
        forward = (cell.loc[DEEP, "forward"] / cell.loc[1, "forward"]) ** (1 / (DEEP - 1))
        back = (cell.loc[1, "delta_rms"] / cell.loc[DEEP, "delta_rms"]) ** (1 / (DEEP - 1))
        rows.append([name, seed, forward, back])
    return pd.DataFrame(rows, columns=["initializer", "seed", "forward", "back"])


def curves(results, chosen):
    """Training loss over the steps, quartiles over seeds, each at its own best rate."""
    table = results.curves.merge(chosen[["run_id", "initializer", "depth"]].astype({"initializer": str}), on="run_id")
    loss = table.dropna(subset="train_loss").groupby(["initializer", "depth", "step"])["train_loss"]
    return loss.quantile([0.25, 0.5, 0.75]).unstack().set_axis(["low", "loss", "high"], axis=1).reset_index()


def decide(measured):
    table = measured["starts"].set_index(["optimizer", "initializer", "depth"])
    he, xavier = ({d: table.loc[("SGD", n, d)] for d in (SHALLOW, DEEP)} for n in STARTS)
    fall = {n: middle(measured["falls"].loc[measured["falls"]["initializer"].eq(n), "back"]) for n in STARTS}
    adam = table.loc[("Adam", "xavier_normal", DEEP)]
    loss = measured["curves"].query("initializer == 'xavier_normal' and depth == @DEEP").sort_values("step")["loss"]
    begun, ended = float(loss.iloc[0]), float(loss.iloc[-1])
    trains = he[DEEP]["low"] > 0.5
    stalls = xavier[DEEP]["high"] < 0.5
    text = (
        f"Of {DEEP} layers {words.percent(he[DEEP]['rate'])} of the networks reach the target from He's start and "
        f"{words.percent(xavier[DEEP]['rate'])} from Xavier's, each at its best rate of SGD with momentum; of "
        f"{SHALLOW} layers {words.percent(he[SHALLOW]['rate'])} and {words.percent(xavier[SHALLOW]['rate'])}. "
        f"Xavier's median loss of {DEEP} layers goes from {words.number(begun)} to {words.number(ended)}. Gradients "
        f"are multiplied by {words.number(fall['xavier_normal'][0])} a layer under Xavier's start (theory: 0.707) "
        f"and by {words.number(fall['kaiming_normal'][0])} under He's. With Adam, which rescales gradients, "
        f"{words.percent(adam['rate'])} of Xavier's networks of {DEEP} layers arrive too."
    )
    numbers = (
        *(
            Number(f"share converged, {STARTS[n]}, {d} layers, {o}", *table.loc[(o, n, d), ["rate", "low", "high"]])
            for o, n, d in table.index
        ),
        *(Number(f"factor of gradients a layer, {STARTS[n]}", *fall[n]) for n in STARTS),
    )
    both = he[SHALLOW]["rate"] > 0.5 and xavier[SHALLOW]["rate"] > 0.5
    faster = he[SHALLOW]["steps"] < xavier[SHALLOW]["steps"]
    beside = (
        Beside(
            f"{DEEP} layers",
            f"He {words.percent(he[DEEP]['rate'])}, Xavier {words.percent(xavier[DEEP]['rate'])}, its median loss to "
            f"{words.percent(ended / begun)} of the first",
            "He converges, Xavier stalls completely",
            "figure 3",
            bool(trains and stalls and ended > 0.9 * begun),
        ),
        Beside(
            f"{SHALLOW} layers",
            f"He {words.percent(he[SHALLOW]['rate'])}, Xavier {words.percent(xavier[SHALLOW]['rate'])}; median steps "
            f"{words.number(he[SHALLOW]['steps'])} and {words.number(xavier[SHALLOW]['steps'])}",
            "both converge, He earlier",
            "figure 2",
            bool(both and faster),
        ),
        Beside(
            "factor of gradients a layer, Xavier",
            words.number(fall["xavier_normal"][0]),
            "1/sqrt 2 = 0.707",
            "section 2.2",
            bool(abs(fall["xavier_normal"][0] - 0.5**0.5) < 0.05),
        ),
    )
    if not (trains and stalls):
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    if adam["low"] > 0.5:
        return Verdict("holds only when", text, "steps are proportional to gradients, as SGD's are", numbers, beside)
    return Verdict("holds", text, numbers=numbers, beside=beside)


def draw(measured):
    curves, signals = measured["curves"], measured["signals"]
    figure = new_figure(3.4)
    looks = dict(zip(STARTS, pens(list(STARTS.values())), strict=True))
    axes = figure.subplots(1, 3)
    for place, depth in zip(axes, (SHALLOW, DEEP), strict=False):
        for start, pen in looks.items():
            cell = curves[curves["initializer"].eq(start) & curves["depth"].eq(depth)]
            place.fill_between(cell["step"], cell["low"], cell["high"], color=pen.color, alpha=0.15, linewidth=0)
            place.plot(cell["step"], cell["loss"], **pen.line() | {"markersize": 3})
        place.set_title(f"{depth} layers")
        place.set_xlabel("step")
        place.set_ylim(0, 1.5)
    axes[0].set_ylabel("training loss")
    for start, pen in looks.items():
        cell = signals[signals["initializer"].eq(start)].groupby("layer")["delta_rms"].median()
        axes[2].plot(cell.index, cell / cell.iloc[-1], **pen.line() | {"markersize": 3})
    axes[2].set_yscale("log")
    axes[2].set_title("gradients at the start")
    axes[2].set_xlabel("layer; output = 1")
    note = (
        "ReLU, 32 units a layer, iris, each at its own best rate of SGD with momentum; medians and quartiles over "
        "seeds."
    )
    return dress(
        figure,
        "Thirty layers of rectifiers train from He's start, hardly from Xavier's",
        [p.handle() for p in looks.values()],
        note,
    )


STUDY = Study(
    name="classic_he_2015",
    order=103,
    title="Do 30 layers of rectifiers need He's start?",
    claim="Networks of 30 layers of ReLU converge from He's start and stall from Xavier's; of 22 layers both "
    "converge, He's earlier.",
    source="He, Zhang, Ren & Sun 2015",
    rule=(
        "Holds if at 30 layers, each start at its own best rate of SGD with momentum, over half of the networks "
        "reach the target from He's start and under half from Xavier's (Wilson 95% intervals); only under SGD if "
        "with Adam over half of Xavier's do as well. 22 layers are reported."
    ),
    varied=(
        "Two starts; 22 and 30 layers of 32 ReLU units (theirs: 22 and 30 layers, convolutions, ImageNet); rates of "
        "SGD with momentum (theirs) and of Adam, batches of 16, 2000 steps; seeds; iris."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

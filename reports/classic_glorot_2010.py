"""Glorot and Bengio 2010: which layers saturate, and what becomes of gradients on their way down."""

from __future__ import annotations

import pandas as pd
from study import Beside, Number, Study, Verdict, main, middle

from gradsim.analysis import words
from gradsim.plots.style import dress, new_figure, pens

# Their standard start is U(-1/sqrt(fan_in), 1/sqrt(fan_in)), of variance 1/(3 fan_in); the normalized one is Glorot's.
STANDARD, NORMALIZED = (
    "variance_scaling(scale=0.3333333333333333, mode='fan_in', distribution='uniform')",
    "glorot_uniform",
)
NAMES = {STANDARD: "standard", NORMALIZED: "normalized"}
KINDS = {"back": "back-propagated gradients", "weights": "weights' gradients"}
SCALES = {"minmax": "small", "standard": "standardized"}
FRESH = 100  # seeds that no run saw from which the rule was made
DEPTH, WIDTH, TALL = 5, 256, 0.04


def measure(bench):
    steps = bench.pick(3000, 1000)
    early = [*range(0, 200, 20), *range(200, 1000, 100), *range(1000, steps + 1, 200)]
    shared = {"dataset": "digits", "test_fraction": 0.5, "batch_size": 10, "store": "layers"}
    long = shared | {"steps": steps, "checkpoints": early, "width": 64, "initializer": STANDARD}
    start = bench.run(
        "start",
        **shared,
        steps=1,
        activation="tanh",
        depth=DEPTH,
        width=WIDTH,
        grid={
            "initializer": list(NAMES),
            "scaling": ["minmax", "standard"],
            "seed": range(FRESH, FRESH + bench.pick(16, 8)),
        },
    )
    seeds = range(FRESH, FRESH + bench.pick(8, 4))
    tanh = bench.run(
        "tanh",
        **long,
        activation="tanh",
        depth=DEPTH,
        grid={"scaling": ["minmax", "standard"], "learning_rate": [0.1, 0.3], "seed": seeds},
    )
    sigmoid = bench.run(
        "sigmoid",
        **long,
        activation="sigmoid",
        scaling="minmax",
        learning_rate=0.3,
        grid={"depth": [4, DEPTH], "seed": seeds},
    )
    return {
        "gradients": gradients(start),
        "falls": falls(start),
        "tanh": over_time(tanh, ["scaling", "learning_rate"], "saturated"),
        "sigmoid": over_time(sigmoid, ["depth"], "activation_mean"),
        "loss": sigmoid.runs.groupby("depth")["final_loss"].median().reset_index(),
    }


def hidden_layers(results):
    """Rows of the hidden layers, with the settings that vary, counted from 1."""
    runs = results.runs[["run_id", "initializer", "seed", "depth", "scaling", "learning_rate"]]
    layers = results.layers.merge(runs, on="run_id")
    hidden = layers[layers["layer"] < layers["depth"]].astype({"initializer": str, "scaling": str})
    return hidden.assign(
        layer=hidden["layer"] + 1,
        initializer=hidden["initializer"].str.startswith("glorot").map({True: "normalized", False: "standard"}),
        saturated=hidden["saturated_low"] + hidden["saturated_high"],
    )


def gradients(results):
    """Before the first step: variances of what comes back to pre-activations, and of weights' gradients, by layer."""
    start = hidden_layers(results).query("step == 0")
    squares = start.assign(back=start["delta_rms"] ** 2, weights=start["gradient_rms"] ** 2)
    return squares.groupby(["initializer", "scaling", "layer"])[["back", "weights"]].mean().reset_index()


def falls(results):
    """A network's factor of variance a layer on the way down, from the last hidden layer to the first."""
    start = hidden_layers(results).query("step == 0").set_index("layer")
    rows = []
    for (name, scaling, seed), cell in start.groupby(["initializer", "scaling", "seed"]):
        last = cell.index.max()
        back, weights = (
            (cell.loc[1, c] / cell.loc[last, c]) ** (2 / (last - 1)) for c in ("delta_rms", "gradient_rms")
        )
        rows.append([name, scaling, seed, back, weights])
    return pd.DataFrame(rows, columns=["initializer", "scaling", "seed", "back", "weights"])


def over_time(results, by, column):
    """Median over seeds of a column by layer and step."""
    return hidden_layers(results).groupby([*by, "layer", "step"])[column].median().rename("value").reset_index()


def decide(measured):
    falls, tanh = measured["falls"], measured["tanh"]
    factor = {key: middle(cell) for key, cell in melted(falls)}
    standard, normalized = factor["standard", "minmax", "back"], factor["normalized", "minmax", "back"]
    weights, large = factor["standard", "minmax", "weights"], factor["normalized", "standard", "back"]
    deep = (
        measured["sigmoid"][measured["sigmoid"]["depth"].eq(DEPTH)].sort_values("step").groupby("layer")["value"].last()
    )
    top, rest = float(deep.iloc[-1]), float(deep.iloc[:-1].min())
    loss = measured["loss"].set_index("depth")["final_loss"]
    orders = {key: crossings(cell) for key, cell in tanh.groupby(["scaling", "learning_rate"])}
    first = [f"{SCALES[s]} inputs at rate {r:g}" for (s, r), order in orders.items() if order[0] == 1]
    told = [f"{', '.join(map(str, order))} with {SCALES[s]} inputs at rate {r:g}" for (s, r), order in orders.items()]
    everywhere = len(first) == len(orders)
    falling = standard[2] < 0.5 and even(normalized)
    logistic = top < 0.1 and rest > 0.4
    text = (
        f"On the way down the variance of back-propagated gradients is multiplied by {words.number(standard[0])} a "
        f"layer under the standard start and by {words.number(normalized[0])} under the normalized one; that of "
        f"weights' gradients by {words.number(weights[0])} and "
        f"{words.number(factor['normalized', 'minmax', 'weights'][0])}. The mean activation of the top one of "
        f"{DEPTH} logistic layers ends at {words.number(top)}, that of the others over {words.number(rest)}, and "
        f"they do not learn (loss {words.number(loss[DEPTH])}). Tanh layers reach saturation in the order "
        f"{'; '.join(told)}."
    )
    numbers = tuple(
        Number(f"factor of the variance a layer, {KINDS[kind]}, {start} start, {SCALES[scale]} inputs", *values)
        for (start, scale, kind), values in factor.items()
    )
    beside = beside_theirs(standard, normalized, weights, top, logistic, told, everywhere)
    if not (falling and even(weights)):
        return Verdict("does not hold", text, numbers=numbers, beside=beside)
    but = []
    if not even(large):
        but.append(f"inputs are small (standardized: {words.number(large[0])} a layer under the normalized start)")
    if not logistic:
        but.append("it is not said of logistic layers")
    if not everywhere:
        said = f"is said of {words.join(first)}" if first else "is left out"
        but.append(f"the order of tanh layers {said}")
    if but:
        return Verdict("holds only when", text, words.join(but), numbers, beside)
    return Verdict("holds", text, numbers=numbers, beside=beside)


def beside_theirs(standard, normalized, weights, top, logistic, told, everywhere):
    """Rows beside the figures of the paper."""
    return (
        Beside(
            "fall of back-propagated variance a layer, standard start",
            words.number(standard[0]),
            "1/3, for linear units",
            "their equation, n Var(W)",
            bool(0.25 < standard[0] < 0.42),
        ),
        Beside(
            "the same, normalized start", words.number(normalized[0]), "about 1", "their figure 7", even(normalized)
        ),
        Beside(
            "fall of the variance of weights' gradients, standard start",
            words.number(weights[0]),
            "about 1",
            "their figure 8",
            even(weights),
        ),
        Beside(
            f"top one of {DEPTH} logistic layers",
            f"mean activation {words.number(top)}",
            "0, and it stays there",
            "their section 3.1",
            logistic,
        ),
        Beside(
            "order in which tanh layers saturate, standard start",
            "; ".join(told),
            "1, 2, 3, 4, 5",
            "their figure 3",
            everywhere,
        ),
    )


def melted(falls):
    """Columns of factors by start, scaling and kind."""
    for (start, scaling), cell in falls.groupby(["initializer", "scaling"]):
        for kind in KINDS:
            yield (start, scaling, kind), cell[kind]


def even(factor):
    """Whether a factor's interval lies within 0.8 and 1.25."""
    return bool(factor[1] > 0.8 and factor[2] < 1.25)


def crossings(table):
    """Layers in the order in which their saturated share first reaches TALL, those that never do by their largest."""
    reached = table[table["value"] >= TALL].groupby("layer")["step"].min()
    most = table.groupby("layer")["value"].max()
    return sorted(most.index, key=lambda layer: (reached.get(layer, float("inf")), -most[layer]))


def draw(measured):
    figure = new_figure(5.6)
    (a, b), (c, d) = figure.subplots(2, 2)
    gradients = measured["gradients"].query("scaling == 'minmax'")
    looks = dict(zip(NAMES.values(), pens(list(NAMES.values())), strict=True))
    for axes, column, name in ((a, "back", "back-propagated gradients"), (b, "weights", "weights' gradients")):
        for start, pen in looks.items():
            cell = gradients[gradients["initializer"].eq(start)]
            axes.plot(cell["layer"], cell[column], **pen.line(), label=pen.label)
        axes.set_yscale("log")
        axes.set_title(f"variance of {name}")
        axes.set_xlabel("hidden layer")
        axes.set_xticks(range(1, DEPTH + 1))
    low, high = b.get_ylim()
    b.set_ylim(low / 10, high * 10)
    a.legend(fontsize=8)
    layers = dict(zip(range(1, DEPTH + 1), pens(list(range(1, DEPTH + 1))), strict=True))
    chosen = (
        (
            c,
            measured["tanh"].query("scaling == 'standard' and learning_rate == 0.3"),
            "tanh, rate 0.3: saturated share",
        ),
        (d, measured["sigmoid"][measured["sigmoid"]["depth"].eq(DEPTH)], "logistic: mean activation"),
    )
    for axes, table, name in chosen:
        for layer, pen in layers.items():
            cell = table[table["layer"].eq(layer)]
            axes.plot(cell["step"], cell["value"], **pen.line() | {"markersize": 3}, label=f"layer {layer}")
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.set_ylim(bottom=0)
    c.legend(fontsize=7.5)
    d.set_ylim(0, 1)
    note = (
        "Above: before the first step. Digits, 5 hidden layers, inputs of 0 to 1 (tanh below: standardized); means "
        "and medians over seeds. Saturated: slope under a tenth of the largest."
    )
    return dress(figure, "Gradients fall layer by layer, unless the start is normalized", note=note)


STUDY = Study(
    name="classic_glorot_2010",
    order=102,
    title="How do layers saturate, and how do gradients come back?",
    claim=(
        "Under the standard start back-propagated gradients shrink layer by layer, under the normalized start they "
        "do not; the top layer of deep logistic networks soon saturates at 0, tanh layers saturate one after the "
        "other from the first."
    ),
    source="Glorot & Bengio 2010",
    rule=(
        "Factor of variance a layer on the way down before the first step (median, 95% interval): back-propagated "
        "gradients under 0.5 by the standard start and within 0.8 to 1.25 by the normalized one, for small inputs "
        "and for standardized ones; weights' gradients by the standard start within 0.8 to 1.25. Of 5 logistic "
        "layers the top one's mean activation ends under 0.1, the others' over 0.4. Of tanh layers the first is the "
        "first of which 4% are saturated (their 98th percentile), whatever inputs and rate. Where a part fails: "
        "only otherwise."
    ),
    varied=(
        "Two starts and seeds; inputs of 0 to 1 and standardized ones; 5 layers of 256 tanh units at the start, "
        "trained 5 of 64 tanh and 4 and 5 of 64 logistic ones (theirs: 1000); batches of 10, SGD at 0.1 and 0.3, "
        "3000 steps; 898 digits (theirs: Shapeset, MNIST, CIFAR-10, ImageNet)."
    ),
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

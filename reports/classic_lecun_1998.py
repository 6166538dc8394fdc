"""LeCun et al. 1998: scaled tanh, and inputs of mean 0 and variance 1."""

from __future__ import annotations

import math

import pandas as pd
from study import Beside, Number, Study, Verdict, at_own_rate, main, middle

import gradsim as gs
from gradsim.analysis import convergence_rate, wilson_interval, words
from gradsim.plots.style import dress, new_figure, pens

A, B = 1.7159, 2 / 3
NAMES = {"scaled_tanh": "scaled tanh", "tanh": "tanh", "sigmoid": "logistic"}
SCALINGS = {"standard": "mean 0, variance 1", "minmax": "0 to 1", "none": "as measured"}
DATA = ("wine", "breast_cancer", "digits")


def measure(bench):
    frames = []
    for data in DATA if not bench.quick else DATA[::2]:
        results = bench.run(
            data,
            dataset=data,
            test_fraction=0.7 if data == "digits" else 0.2,
            width=32,
            depth=2,
            initializer="lecun_normal",
            batch_size=16,
            steps=bench.pick(2000, 800),
            grid={
                "activation": list(NAMES),
                "scaling": list(SCALINGS),
                "learning_rate": gs.geomspace(0.001, 3, 8) if not bench.quick else gs.geomspace(0.01, 3, 5),
                "seed": range(bench.pick(32, 16)),
            },
        )
        runs = results.runs.drop(columns=["data"], errors="ignore").astype({"activation": str, "scaling": str})
        frames.append(runs.assign(data=data))
    by = ["data", "activation", "scaling"]
    best = at_own_rate(pd.concat(frames), by)
    table = convergence_rate(best, by).drop(columns=["converged"], errors="ignore")
    rows = []
    for key, cell in best.groupby(by):
        rows.append([*key, *middle(cell["steps"]), cell["learning_rate"].median()])
    steps = pd.DataFrame(rows, columns=[*by, "steps", "first", "last", "learning_rate"])
    return {"steps": table.merge(steps, on=by), "pairs": pairs(best)}


def pairs(best):
    """Seeds at which one of two settings takes fewer steps, and the reverse: standardized inputs against the others of
    each activation, scaled tanh against the others at standardized inputs."""
    rows = []
    for data, cell in best.groupby("data"):
        for name, part in cell.groupby("activation"):
            rows += against(part, "scaling", "standard", [data, name, "inputs"])
        rows += against(
            cell[cell["scaling"].eq("standard")], "activation", "scaled_tanh", [data, "scaled_tanh", "activation"]
        )
    return pd.DataFrame(rows, columns=["data", "activation", "of", "other", "wins", "losses", "low", "high"])


def against(cell, key, one, begin):
    steps = cell.pivot_table(index="seed", columns=key, values="steps")
    rows = []
    for other in [k for k in steps.columns if k != one]:
        wins, losses = int((steps[one] < steps[other]).sum()), int((steps[one] > steps[other]).sum())
        rows.append([*begin, other, wins, losses, *wilson_interval(wins, wins + losses)])
    return rows


def scaled(x):
    """1.7159 tanh(2 x/3)."""
    return A * math.tanh(B * x)


def bend():
    """Where the second derivative of 1.7159 tanh(2 x/3) is largest in magnitude: tanh^2 = 1/3."""
    return math.atanh(1 / math.sqrt(3)) / B


def decide(measured):
    pairs, table = measured["pairs"], measured["steps"].set_index(["data", "activation", "scaling"])
    inputs, units = pairs[pairs["of"].eq("inputs")], pairs[pairs["of"].eq("activation")]
    normal = tally(inputs)
    plain, logistic = tally(units[units["other"].eq("tanh")]), tally(units[units["other"].eq("sigmoid")])
    shown = [
        f"{d.replace('_', ' ')} {words.join([words.number(table.loc[(d, n, 'standard'), 'steps']) for n in NAMES])}"
        for d in table.index.unique("data")
    ]
    ratio = [
        float(table.loc[(d, "scaled_tanh", "minmax"), "steps"] / table.loc[(d, "scaled_tanh", "standard"), "steps"])
        for d in table.index.unique("data")
    ]
    text = (
        f"Paired by seed, each at its best rate, standardized inputs take fewer steps to the target in {normal[0]} "
        f"of {sum(normal)} comparisons of activation, data and scaling, more in {normal[1]}; scaled tanh fewer than "
        f"tanh on {plain[0]} of {sum(plain)} data sets, more on {plain[1]}, and fewer than the logistic function on "
        f"{logistic[0]}. Median steps of scaled tanh, tanh and logistic units: {'; '.join(shown)}."
    )
    numbers = (
        *(
            Number(f"steps, {d}, {NAMES[n]}, inputs {SCALINGS[s]}", *row[["steps", "first", "last"]])
            for (d, n, s), row in table.iterrows()
        ),
        Number("steps with inputs of 0 to 1 over standardized ones, scaled tanh, least", min(ratio)),
    )
    beside = (
        Beside("f(1) of 1.7159 tanh(2x/3)", f"{scaled(1):.5f}", "1", "section 4.4", abs(scaled(1) - 1) < 1e-4),
        Beside("where its second derivative is largest", f"{bend():.4f}", "1", "section 4.4", abs(bend() - 1) < 0.02),
        Beside(
            "standardized inputs are faster",
            f"{normal[0]} of {sum(normal)}",
            "always",
            "section 4.3",
            normal[0] == sum(normal),
        ),
        Beside(
            "symmetric units are faster than logistic ones",
            f"{logistic[0]} of {sum(logistic)}",
            "often",
            "section 4.4",
            logistic[0] > logistic[1],
        ),
    )
    good = {
        "inputs": normal[1] == 0 and normal[0] > sum(normal) / 2,
        "scaled tanh against the logistic function": logistic[1] == 0 and logistic[0] > 0,
        "scaled tanh against tanh": plain[1] == 0 and plain[0] > 0,
    }
    if all(good.values()):
        return Verdict("holds", text, numbers=numbers, beside=beside)
    if any(good.values()):
        when = f"it is said of {words.join([name for name, held in good.items() if held])}"
        return Verdict("holds only when", text, when, numbers, beside)
    return Verdict("does not hold", text, numbers=numbers, beside=beside)


def tally(pairs):
    """Comparisons that are surely won, surely lost, and neither."""
    won, lost = int((pairs["low"] > 0.5).sum()), int((pairs["high"] < 0.5).sum())
    return won, lost, len(pairs) - won - lost


def draw(measured):
    table = measured["steps"]
    data = list(table["data"].unique())
    top = table["steps"].replace(math.inf, 0).max() * 1.6
    figure = new_figure(3.3)
    looks = dict(zip(NAMES, pens(list(NAMES.values())), strict=True))
    for axes, name in zip(figure.subplots(1, len(data), sharey=True), data, strict=True):
        for shift, (unit, pen) in zip((-0.12, 0, 0.12), looks.items(), strict=True):
            cell = table[table["data"].eq(name) & table["activation"].eq(unit)].set_index("scaling").loc[list(SCALINGS)]
            axes.plot(range(len(SCALINGS)), cell["steps"].replace(math.inf, math.nan), **pen.line())
            missed = [i for i, steps in enumerate(cell["steps"]) if math.isinf(steps)]
            axes.plot([i + shift for i in missed], [top] * len(missed), "x", color=pen.color, markersize=6)
        axes.set_title(name.replace("_", " "))
        axes.set_xticks(range(len(SCALINGS)), ["standardized", "0 to 1", "measured"])
        axes.set_xlim(-0.3, len(SCALINGS) - 0.7)
        axes.set_yscale("log")
        axes.set_xlabel("inputs")
    figure.axes[0].set_ylabel("steps to the target, median")
    note = "2 layers of 32, each at its own best learning rate, chosen on other seeds. Crosses: most did not arrive."
    return dress(figure, "Normalized inputs, and symmetric units", [p.handle() for p in looks.values()], note)


STUDY = Study(
    name="classic_lecun_1998",
    order=109,
    title="Do scaled tanh and normalized inputs make training faster?",
    claim="Training is faster when inputs have mean 0 and variance 1, and with 1.7159 tanh(2x/3) rather than tanh or "
    "the logistic function.",
    source="LeCun, Bottou, Orr & Müller 1998",
    rule=(
        "A comparison is won by what takes fewer steps to the target on more than half of the seeds (Wilson 95% "
        "interval of the pairs that differ, each at its own best rate). Holds if standardized inputs lose none and "
        "win most, and if scaled tanh loses none and wins some against tanh and against the logistic function; of "
        "only those parts of which that is true, if not of all."
    ),
    varied="Three activations; inputs standardized, of 0 to 1, as measured; wine, breast cancer, 539 digits; 2 "
    "layers of 32; rates of SGD; seeds.",
    measure=measure,
    decide=decide,
    draw=draw,
    expected="holds only when",
)

if __name__ == "__main__":
    raise SystemExit(main(STUDY))

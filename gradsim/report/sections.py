"""What the page shows: sections of exhibits, each a figure with its finding, its caption and its data.

A section whose comparison a campaign does not offer says so in a sentence instead of an empty figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradsim import analysis, plots
from gradsim.analysis import words
from gradsim.analysis.axes import setting_axes
from gradsim.analysis.settings import SCORES, score_column
from gradsim.analysis.verdict import Facts
from gradsim.report.layout import Exhibit, Section
from gradsim.report.tables import Table, hopeless_table, settings_table, table
from gradsim.report.theory import theory_section

CELLS = 24
"""Combinations of the two main axes up to which a chart gives each a row."""


def pooled(facts: Facts, by: Sequence[str]) -> str:
    """ "Pooled over learning rate and seed." for what a comparison by `by` leaves out."""
    rest = [words.axis_name(axis) for axis in facts.axes if axis not in by]
    return f"Pooled over {words.join(rest)}." if rest else ""


def convergence_exhibit(facts: Facts, limit: int | None = None) -> Exhibit:
    """The one picture: convergence by the two most telling axes, learning rates among them where few others vary."""
    by = analysis.comparison_axes(facts.runs, facts.axes, rates=True)[:2]
    frame = analysis.convergence_rate(facts.runs, by)
    best, never = frame.loc[frame["low"].idxmax()], int(frame["converged"].eq(0).sum())
    finding = f"{words.rate(best['converged'], best['n'])} converged"
    if len(frame) > 1:
        finding = f"Best is {words.setting(best, by)}: {finding}"
        if never == len(frame):
            finding = f"None of the {words.plural(never, 'combination')} ever converged"
        elif never:
            finding += f". {words.count(never)} of {words.plural(len(frame), 'combination')} never converged"
    if len(by) == 2:
        read = f"Each cell: share and count of runs that converged with that {words.join(map(words.axis_name, by))}."
    else:
        read = "Points: share of runs that converged; lines: 95% Wilson intervals."
    more = {} if limit is None else {"limit": limit}
    return Exhibit(
        "convergence" if limit is None else "convergence_all",
        f"{finding}.",
        f"{read} {pooled(facts, by)}",
        frame,
        lambda **look: plots.convergence_rate(frame, **more, **look),
        ("rate", "low", "high"),
        by,
        "convergence",
    )


def best_table(facts: Facts, limit: int, brief: bool = False) -> Table:
    """The settings to use; where none converged, those with the lowest finite median loss."""
    best = facts.settings
    if not facts.converged:
        best = best[np.isfinite(best["loss"])].sort_values("loss", kind="stable")
    score = SCORES.get(score_column(facts.runs) or "", "")
    return settings_table(best, setting_axes(facts.axes), score, limit, brief)


def sections(results: Any, facts: Facts) -> list[Section]:
    """All sections after the first screen, in reading order."""
    found = [_convergence(facts), _learning_rate(facts)]
    if "layers" in results.stored:
        found += [_saturation(facts), _dead(facts), _flow(facts), theory_section(results, facts)]
    else:
        found.append(Section("layers", "Layers", absent=_NOT_KEPT.format("statistics of layers", results.stored[-1])))
    if "curves" in results.stored:
        found.append(_curves(facts, results.curves))
        if "sharpness" in results.curves:
            found.append(_sharpness(facts, results.curves))
    else:
        found.append(Section("loss-curves", "Loss curves", absent=_NOT_KEPT.format("curves", results.stored[-1])))
    return [*found, _failures(facts)]


_NOT_KEPT = 'The campaign keeps no {} (store = "{}"); campaign.replay(run_id) shows those of a run.'


def _convergence(facts: Facts) -> Section:
    exhibits = []
    by = analysis.comparison_axes(facts.runs, facts.axes, rates=True)[:2]
    if len(by) == 2 and max(facts.runs[axis].nunique() for axis in by) > plots.ROWS:
        exhibits.append(convergence_exhibit(facts, limit=80))
    frame = facts.effects
    if len(frame):
        spread = frame.groupby("axis", sort=False)["rate"].agg(lambda rate: rate.max() - rate.min())
        axis = spread.idxmax()
        name = words.axis_name(axis)
        finding = f"The {name} makes the widest difference: {words.percent(spread.max())} of the runs lie between "
        finding += "its best and its worst value."
        if spread.max() == 0:
            finding = f"Every value of every axis converged equally often ({words.percent(frame['rate'].iloc[0])})."
        caption = "Every value of every axis, all other axes pooled; lines are 95% Wilson intervals."
        exhibits.append(
            Exhibit(
                "axis_effects",
                finding,
                caption,
                frame.assign(axis=[words.axis_name(a) for a in frame["axis"]]),
                lambda **look: plots.axis_effects(frame, **look),
                ("rate", "low", "high"),
                ("value",),
            )
        )
    intro = "A run converges when its full training loss reaches the target. Rates carry Wilson's 95% interval."
    best = best_table(facts, 10)
    title = (
        f"The best {min(10, best.total)} of {words.plural(best.total, 'setting')}" if best.total > 1 else "The setting"
    )
    tables = [(title, best)] if best.rows else []
    if len(facts.hopeless) and facts.converged:
        lost = hopeless_table(facts.hopeless, 20)
        tables.append(("Without a single run that converged, in as few words as possible", lost))
    return Section("convergence", "Convergence", intro, exhibits, tables)


def _learning_rate(facts: Facts) -> Section:
    if not facts.rate:
        rates = facts.runs["learning_rate"].dropna().unique()
        fixed = f" ({words.value(rates[0])})" if len(rates) == 1 else ""
        absent = f"The learning rate was not an axis of this campaign{fixed}, so there is nothing to compare."
        return Section("learning-rate", "Learning rate", absent=absent)
    rate, by, name = facts.rate, facts.main, words.axis_name(facts.rate)
    losses = analysis.loss_by_learning_rate(facts.runs, by, rate)
    finite = losses[np.isfinite(losses["loss"])]
    if finite.empty:
        found = "More than half of the runs diverged at every learning rate."
    else:
        low = finite.loc[finite["loss"].idxmin()]
        where = words.setting(low, [*by, rate])
        found = f"The lowest median final loss is {words.number(low['loss'])}, with {where}"
        found += f" (95% interval {words.span(low['loss_low'], low['loss_high'])})."
    rates = analysis.convergence_rate(facts.runs, [*by, rate])
    windows = analysis.learning_rate_windows(facts.runs, by, rate)
    trains = windows.dropna(subset=["lowest"])
    choices = words.plural(len(windows), "choice")
    width = f"{len(trains)} of {choices} have a {name} at which at least half of the runs converge"
    if len(windows) == 1:
        width = f"There is {'a' if len(trains) else 'no'} {name} at which at least half of the runs converge"
    exhibits = [
        Exhibit(
            "loss_by_learning_rate",
            found,
            "Median final training loss with bootstrap 95% intervals. All runs count: a diverged one as infinite, "
            f"so where more than half diverged there is a cross in the gray band. {pooled(facts, [*by, rate])}",
            losses,
            lambda **look: plots.loss_by_learning_rate(losses, **look),
            ("diverged_share",),
            [*by, rate],
        ),
        Exhibit(
            "learning_rate_windows",
            f"{width}.",
            "Every rate tried, colored by the share of runs that converged; the bar spans the rates at which at "
            f"least half did. A window that reaches an end of what was tried may go on. {pooled(facts, [*by, rate])}",
            windows,
            lambda **look: plots.learning_rate_windows(rates, windows, **look),
            ("best_rate",),
            by,
        ),
    ]
    return Section("learning-rate", "Learning rate", exhibits=exhibits)


def _hidden(facts: Facts) -> bool:
    return bool(facts.runs["depth"].gt(0).any())


_LINEAR = "The networks have no hidden layer, so there is nothing to measure here."


def _saturation(facts: Facts) -> Section:
    section = Section("saturation", "Saturation", _SATURATION_INTRO)
    if not _hidden(facts):
        return Section("saturation", "Saturation", absent=_LINEAR)
    by = analysis.layer_axes(facts.runs, facts.axes)
    by = by if by[1:] and by[1] in ("depth", "hidden") else by[:1]
    section.exhibits.append(_saturation_exhibit(facts, facts.runs, by, "saturation"))
    runs = facts.runs[facts.runs["activation"].astype(str).isin(facts.two_sided)]
    if facts.main[:2] == ["activation", "initializer"] and len(runs):
        section.exhibits.append(_saturation_exhibit(facts, runs, facts.main, "saturation_by_initializer"))
    return section


_SATURATION_INTRO = (
    "A pre-activation is saturated where the slope is under a tenth of the activation's largest; low and high "
    "are its two sides. Rectifiers are flat for every negative input, so about half of theirs count as low: "
    "that is how they work, not a fault."
)


def _saturation_exhibit(facts: Facts, runs: pd.DataFrame, by: Sequence[str], name: str) -> Exhibit:
    frame = analysis.saturation(facts.layers, runs, by)
    finding = "No hidden layer has a finite record."
    if len(frame):
        row = frame.loc[frame[["low", "high"]].min(axis=1).idxmax()]
        what = f"{words.setting(row, by)}: " if by else ""
        finding = f"Most saturated on both sides is {what}layer {int(row['layer'])} at step "
        finding += f"{words.count(row['step'])}, "
        finding += f"{words.percent(row['low'])} low and {words.percent(row['high'])} high."
    which = " Only activations that flatten on both sides." if name != "saturation" else ""
    caption = f"Mean over runs still finite; layers upward, checkpoints rightward.{which} {pooled(facts, by)}"
    return Exhibit(name, finding, caption, frame, lambda **look: plots.saturation(frame, **look), ("low", "high"), by)


def _dead(facts: Facts) -> Section:
    intro = "A unit is dead when no sample of the probe set gives it a slope: nothing can move its weights."
    if not _hidden(facts):
        return Section("dead-units", "Dead units", absent=_LINEAR)
    rate = facts.rate or "learning_rate"
    by = facts.main
    if not facts.rate and facts.runs["learning_rate"].isna().all():
        return Section("dead-units", "Dead units", intro, absent="Learning rates differ by layer and none is an axis.")
    frame = analysis.dead_units(facts.layers, facts.runs, by, rate)
    finding = "No run has a finite record at its end."
    if len(frame):
        row = frame.loc[frame["mean"].idxmax()]
        finding = f"Most dead units: {words.setting(row, [*by, rate])}, {words.percent(row['mean'])} "
        finding += f"(95% interval {words.span(row['low'], row['high'], words.percent)})."
        if row["mean"] == 0:
            finding = "No hidden unit is dead at the end of any run with a finite record."
    caption = "Mean share of dead hidden units at the last checkpoint, over runs still finite, with bootstrap "
    caption += f"95% intervals. {pooled(facts, [*by, rate])}"
    exhibit = Exhibit(
        "dead_units",
        finding,
        caption,
        frame,
        lambda **look: plots.dead_units(frame, **look),
        ("mean", "low", "high", "median"),
        [*by, rate],
    )
    return Section("dead-units", "Dead units", intro, [exhibit])


def _flow(facts: Facts) -> Section:
    by = analysis.layer_axes(facts.runs, facts.axes)
    frame = analysis.gradient_flow(facts.layers, facts.runs, by)
    ratio = analysis.delta_ratio(facts.layers, facts.runs)
    finding = "The error signal was measured in the output layer alone."
    if ratio.notna().any():
        low, high = ratio.quantile([0.05, 0.95])
        finding = "At step 0 the error signal at the first layer is between "
        finding += f"{words.number(low)} and {words.number(high)} times that at the output layer in 90% of the runs."
        if low == high:
            times = words.number(low)
            finding = f"At step 0 the error signal at the first layer is {times} times that at the output layer."
    caption = "delta_rms is the root mean square of dLoss/dz over probe samples and units; the last layer is the "
    caption += f"linear output. Runs that are no longer finite drop out of the end. {pooled(facts, by)}"
    intro = "How much of the error reaches the early layers. A line that falls toward layer 0 means vanishing, "
    intro += "one that rises means exploding gradients."
    exhibit = Exhibit(
        "gradient_flow", finding, caption, frame, lambda **look: plots.gradient_flow(frame, **look), (), by
    )
    return Section("gradient-flow", "Gradient flow", intro, [exhibit])


def _curves(facts: Facts, curves: pd.DataFrame) -> Section:
    by, rate = facts.main, facts.rate
    runs = analysis.at_best_rate(facts.runs, by, rate) if rate else facts.runs
    frame = analysis.loss_curves(curves, runs, by)
    last = frame[frame["step"].eq(frame["step"].max())] if len(frame) else frame
    finding = "No line keeps a finite median loss to its end."
    if len(last) and np.isfinite(last["median"]).any():
        row = last.loc[last["median"].idxmin()]
        what = words.setting(row, by) if by else "the median run"
        finding = f"At the last step the lowest median batch loss is {words.number(row['median'])}, of {what}."
    caption = "Batch loss, the mean since the record before: median, with quartiles shaded, over all runs; a "
    caption += "diverged run counts as infinite from then on."
    if rate:
        caption += f" Each line at the {words.axis_name(rate)} where it converges most often."
    rest = [axis for axis in facts.axes if axis not in by and axis != rate]
    caption += f" Pooled over {words.join(map(words.axis_name, rest))}." if rest else ""
    exhibit = Exhibit("loss_curves", finding, caption, frame, lambda **look: plots.loss_curves(frame, **look), (), by)
    return Section("loss-curves", "Loss curves", exhibits=[exhibit])


def _sharpness(facts: Facts, curves: pd.DataFrame) -> Section:
    rate, by = facts.rate, facts.main[: 1 if facts.rate else 2]
    frame = analysis.sharpness(curves, facts.runs, by, rate)
    finding = "No run has a finite sharpness at a checkpoint."
    if len(frame):
        last = frame[frame["step"].eq(frame["step"].max())]
        finding = f"At the last step the median sharpness is {words.span(*last['median'].agg(['min', 'max']))}."
        bound = last[last["limit"].notna()]
        if len(bound):
            at = int((bound["median"] / bound["limit"]).between(0.8, 1.2).sum())
            finding += (
                f" {words.count(at)} of {words.plural(len(bound), 'line')} end within 20% of the limit of stability."
            )
    caption = (
        "The largest eigenvalue of the Hessian of the training loss over the probe set, at checkpoints: median over "
    )
    caption += (
        "runs still finite, with quartiles. Beyond the dashed limit, 2/learning rate for gradient descent, steps of "
    )
    caption += f"a full batch would grow. {pooled(facts, [*by, *([rate] if rate else [])])}"
    keys = [*([rate] if rate else []), *by]
    exhibit = Exhibit("sharpness", finding, caption, frame, lambda **look: plots.sharpness(frame, **look), (), keys)
    return Section("sharpness", "Sharpness", exhibits=[exhibit])


def _failures(facts: Facts) -> Section:
    by = facts.main
    if len(facts.runs[by].drop_duplicates() if by else ()) > CELLS:
        # Too many combinations for a row each: the axis with the fewest values tells most in one look.
        by = [min(by, key=lambda axis: facts.runs[axis].nunique())]
    frame = analysis.fate_counts(facts.runs, by)
    diagnoses = facts.diagnoses
    failed = len(facts.runs) - facts.converged
    finding = "Every run converged."
    if failed:
        top = diagnoses.iloc[0]
        finding = f"The most frequent diagnosis is {top['diagnosis']}: {words.percent(top['share'])} of the "
        finding += f"{words.plural(failed, 'run')} that did not converge."
    caption = f"Converged, or the first diagnosis that holds; most often converging on top. {pooled(facts, by)}"
    exhibit = Exhibit(
        "fates",
        finding,
        caption,
        frame,
        lambda **look: plots.fates(frame, limit=CELLS, **look),
        ("share",),
        by,
    )
    tables = []
    if failed:
        shown = diagnoses.assign(meaning=[MEANINGS.get(kind, "") for kind in diagnoses["diagnosis"]])
        tables.append(("Diagnoses, each with a typical run", table(shown, ("share",), "diagnoses.csv")))
    return Section("why-runs-failed", "Why runs failed", "", [exhibit], tables)


MEANINGS = {
    "exploding": "the loss is no longer finite, or the error signal grows a millionfold from last to first layer",
    "dead": "a hidden layer in which every unit is dead",
    "symmetric": "the units of some layer are all alike: nothing ever told them apart",
    "saturated": "over 90% of a hidden layer is saturated",
    "vanishing": "the first layer gets less than a millionth of the last layer's error signal",
    "slow": "the loss was still falling at the end",
    "unexplained": "none of the other signs",
}

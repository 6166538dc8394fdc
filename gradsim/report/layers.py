"""Sections on layers: saturation, dead units, the error signal's flow, the size of steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from gradsim import analysis, plots
from gradsim.analysis import words
from gradsim.analysis.groups import group_codes
from gradsim.analysis.verdict import Facts
from gradsim.plots.flow import RULE
from gradsim.report.layout import Exhibit, Section, pooled, widest


def _hidden(facts: Facts) -> bool:
    return bool(facts.runs["depth"].gt(0).any())


_LINEAR = "The networks have no hidden layer, so there is nothing to measure here."


def saturation_section(facts: Facts) -> Section:
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
        if not min(row["low"], row["high"]):
            finding = "No layer saturates on both sides."
    which = " Only activations that flatten on both sides." if name != "saturation" else ""
    caption = f"Mean over runs still finite; layers upward, checkpoints rightward.{which} {pooled(facts, by)}"
    return Exhibit(name, finding, caption, frame, partial(plots.saturation, frame), ("low", "high"), by)


def dead_section(facts: Facts) -> Section:
    intro = "A unit is dead when no sample of the probe set gives it a slope: nothing can move its weights."
    if not _hidden(facts):
        return Section("dead-units", "Dead units", absent=_LINEAR)
    rate = facts.rate or "learning_rate"
    by = facts.main
    if not facts.rate and facts.runs["learning_rate"].isna().all():
        return Section("dead-units", "Dead units", intro, absent="Learning rates differ by layer and none is an axis.")
    frame = analysis.dead_units(facts.layers, facts.runs, by, rate)
    if frame.empty:
        return Section("dead-units", "Dead units", intro, absent="No run has a finite record at its end.")
    row = frame.loc[frame["mean"].idxmax()]
    axes = [*by, *([rate] if facts.rate else [])]
    finding = f"Most dead units: {words.setting(row, axes)}, {words.percent(row['mean'])}"
    if row["low"] < row["high"]:
        finding += f" (95% interval {words.span(row['low'], row['high'], words.percent)})"
    finding += "."
    if row["mean"] == 0:
        finding = "No hidden unit is dead at the end of any run with a finite record."
    caption = "Mean share of dead hidden units at the last checkpoint, over runs still finite, with bootstrap "
    caption += f"95% intervals. {pooled(facts, [*by, rate])}"
    exhibit = Exhibit(
        "dead_units",
        finding,
        caption,
        frame,
        partial(plots.dead_units, frame),
        ("mean", "low", "high", "median"),
        [*by, rate],
    )
    if row["mean"] == 0:
        return Section("dead-units", "Dead units", intro, [exhibit])
    # Over a single learning rate the figure over time says the same, and more.
    exhibits = [exhibit] if facts.rate else []
    exhibits += [_dead_over_time(facts), *_dead_by_axis(facts)]
    return Section("dead-units", "Dead units", intro, exhibits)


def _dead_over_time(facts: Facts) -> Exhibit:
    by = facts.main
    frame = analysis.dead_over_time(facts.layers, facts.runs, by)
    codes, _ = group_codes(frame, by)
    lines = frame["mean"].groupby(codes)
    grown = lines.transform("last") - lines.transform("first")
    finding = "No line ends above where it began: what is dead at the end was so before the first step."
    if grown.max() > 0:
        line = frame[codes == codes[grown.argmax()]]
        first, last = line.iloc[0], line.iloc[-1]
        finding = (
            f"The share of dead units grows most with {words.setting(first, by)}: "
            if by
            else "The share of dead units grows: "
        )
        finding += f"from {words.percent(first['mean'])} at step {words.count(first['step'])} to "
        finding += f"{words.percent(last['mean'])} at step {words.count(last['step'])}, of the "
        finding += f"{words.plural(last['n'], 'run')} still finite there."
    caption = "Mean over runs still finite, so that a line can fall when a run drops out; quartiles of runs shaded. "
    caption += pooled(facts, by)
    columns = ("mean", "median", "q25", "q75")
    return Exhibit("dead_over_time", finding, caption, frame, partial(plots.dead_over_time, frame), columns, by)


def _dead_by_axis(facts: Facts) -> list[Exhibit]:
    frame = analysis.dead_by_axis(facts.layers, facts.runs, facts.axes)
    if frame["axis"].nunique() < 2:  # of one axis the figure of learning rates, or over time, has shown all
        return []
    finding = widest(frame, "mean", "dead")
    caption = (
        "Every value of every axis, all other axes pooled, over runs with a finite record at their end; bootstrap "
    )
    caption += "95% intervals of the mean."
    shown = frame.assign(axis=[words.axis_name(axis) for axis in frame["axis"]])
    exhibit = Exhibit(
        "dead_by_axis",
        finding,
        caption,
        shown,
        partial(plots.dead_by_axis, frame),
        ("mean", "low", "high"),
        ("value",),
    )
    return [exhibit]


def scale_section(facts: Facts) -> Section:
    """Size of steps by layer and learning rate; the windows of rates that train stand in the section on rates."""
    by = analysis.layer_axes(facts.runs, facts.axes)
    if facts.rate:
        shape = next((axis for axis in by if axis in ("depth", "hidden")), None)
        by = [facts.rate, *([shape] if shape else facts.main[:1])]
    frame = analysis.update_ratios(facts.layers, facts.runs, by)
    if frame.empty:
        return Section("scale", "Scale of steps", absent="No layer has weights other than 0 and a finite record.")
    caption = "Root mean square of the change of a layer's weights in one step over that of the weights: the first "
    caption += f"step, and the last that was recorded of runs still finite. {pooled(facts, by)}"
    intro = "How far a step carries the weights. Far under 1/1000 a layer hardly moves; near 1 a step replaces it. "
    intro += "The rule is a habit: what trains is seen under Learning rate." if facts.rate else "The rule is a habit."
    exhibit = Exhibit(
        "update_ratios",
        _scale_finding(facts, frame[frame["moment"].eq("start")]["median"]),
        caption,
        frame,
        partial(plots.update_ratios, frame),
        (),
        by,
    )
    return Section("scale", "Scale of steps", intro, [exhibit])


def _scale_finding(facts: Facts, medians: pd.Series) -> str:
    if medians.empty:
        return "No layer has weights other than 0 before the first step."
    inside = int(medians.between(*RULE).sum())
    finding = f"At step 0, {words.count(inside)} of {words.plural(len(medians), 'median')} lie within a factor of 3 of "
    finding += f"1/1000; all lie between {words.number(medians.min())} and {words.number(medians.max())}."
    good = analysis.update_ratios(facts.layers, facts.runs[facts.runs["outcome"].eq("converged")])
    if len(good) and good["moment"].eq("start").any():
        first = good.loc[good["moment"].eq("start"), "median"]
        finding += f" In runs that converged, a layer's median was {words.span(first.min(), first.max())}."
    return finding


def flow_section(facts: Facts) -> Section:
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
    intro = "The error signal, the derivative of the loss by a layer's pre-activations, is what moves its weights. "
    intro += "A line that falls toward layer 0 means vanishing, "
    intro += "one that rises means exploding gradients."
    exhibit = Exhibit("gradient_flow", finding, caption, frame, partial(plots.gradient_flow, frame), (), by)
    return Section("gradient-flow", "Gradient flow", intro, [exhibit])

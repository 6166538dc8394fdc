"""What the page shows: sections of exhibits, each a figure with its finding, its caption and its data.

A section whose comparison a campaign does not offer says so in a sentence instead of an empty figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gradsim import analysis, plots
from gradsim.analysis import words
from gradsim.analysis.axes import setting_axes
from gradsim.analysis.settings import SCORES, score_column
from gradsim.analysis.verdict import Facts
from gradsim.report.examples import Examples, activations_section
from gradsim.report.failures import failures_section
from gradsim.report.layers import dead_section, flow_section, saturation_section, scale_section
from gradsim.report.layout import Exhibit, Section, pooled, widest
from gradsim.report.tables import Table, hopeless_table, settings_table
from gradsim.report.theory import theory_section


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
        partial(plots.convergence_rate, frame, **more),
        ("rate", "low", "high"),
        by,
        "convergence",
    )


def best_table(facts: Facts, limit: int, brief: bool = False) -> Table:
    """The settings to use; where none converged, those with the lowest finite median loss."""
    best = facts.settings
    if not facts.converged:
        best = best[np.isfinite(best["loss"])].sort_values("loss", kind="stable")
    elif brief:  # sorted by their intervals: what never converged stands last
        limit = min(limit, int(best["converged"].gt(0).sum()))
    score = SCORES.get(score_column(facts.runs) or "", "")
    return settings_table(best, setting_axes(facts.axes), score, limit, brief)


def sections(results: Any, facts: Facts) -> Iterator[Section]:
    """All sections after the first screen, in reading order.

    What trains or integrates, most of it outside Python, is under way while its caller draws the first ones.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="gradsim-report") as beside:
        replayed = beside.submit(Examples.of, results, facts)
        layers = "layers" in results.stored
        theory = beside.submit(theory_section, results, facts) if layers else None
        yield _convergence(facts)
        yield _time_to_target(facts)
        yield _learning_rate(facts)
        if layers:
            yield saturation_section(facts)
            yield activations_section(replayed.result())
            yield dead_section(facts)
            yield flow_section(facts)
            yield theory.result()
            yield scale_section(facts)
        else:
            yield Section("layers", "Layers", absent=_NOT_KEPT.format("statistics of layers", results.stored[-1]))
            yield activations_section(replayed.result())
        if "curves" in results.stored:
            yield _curves(facts, results.curves)
            if "sharpness" in results.curves:
                yield _sharpness(facts, results.curves)
        else:
            yield Section("loss-curves", "Loss curves", absent=_NOT_KEPT.format("curves", results.stored[-1]))
        yield failures_section(results, facts, replayed.result())


_NOT_KEPT = 'The campaign keeps no {} (store = "{}"); campaign.replay(run_id) shows those of a run.'


def _convergence(facts: Facts) -> Section:
    exhibits = []
    by = analysis.comparison_axes(facts.runs, facts.axes, rates=True)[:2]
    if len(by) == 2 and max(facts.runs[axis].nunique() for axis in by) > plots.ROWS:
        exhibits.append(convergence_exhibit(facts, limit=80))
    exhibits += _convergence_by_third(facts)
    frame = facts.effects
    if len(frame):
        finding = widest(frame, "rate", "converged")
        if frame.groupby("axis")["rate"].nunique().max() == 1:
            finding = f"Every value of every axis converged equally often ({words.percent(frame['rate'].iloc[0])})."
        caption = "Every value of every axis, all other axes pooled; lines are 95% Wilson intervals."
        exhibits.append(
            Exhibit(
                "axis_effects",
                finding,
                caption,
                frame.assign(axis=[words.axis_name(a) for a in frame["axis"]]),
                partial(plots.axis_effects, frame),
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
        tables.append(("Settings without a single run that converged", lost))
    return Section("convergence", "Convergence", intro, exhibits, tables)


def _convergence_by_third(facts: Facts) -> list[Exhibit]:
    """The heat map again, once for each value of the next axis, where three vary."""
    by = analysis.comparison_axes(facts.runs, facts.axes, rates=True)[:3]
    if len(by) < 3:
        return []
    frame = analysis.convergence_rate(facts.runs, by)
    name = words.axis_name(by[2])
    best = frame.loc[frame.groupby(by[2], sort=False, dropna=False, observed=True)["low"].idxmax()]
    trained = best[best["converged"] > 0]
    finding = f"At no {name} did any combination converge."
    if len(trained):
        top, ties = trained.loc[trained["low"].idxmax()], int(frame["low"].eq(trained["low"].max()).sum())
        finding = f"Best of all is {words.setting(top, by)}: {words.rate(top['converged'], top['n'])} converged."
        if ties > 1:
            finding = f"{words.count(ties)} of {words.count(len(frame))} combinations share the highest rate: "
            finding += f"{words.rate(top['converged'], top['n'])} converged."
        if len(trained) < len(best):
            finding += f" In {len(best) - len(trained)} of {len(best)} panels none converged."
    return [
        Exhibit(
            "convergence_panels",
            finding,
            f"A panel for each {name}: share of runs that converged with each "
            f"{words.join(map(words.axis_name, by[:2]))}. {pooled(facts, by)}",
            frame,
            partial(plots.convergence_panels, frame),
            ("rate", "low", "high"),
            by,
        )
    ]


def _time_to_target(facts: Facts) -> Section:
    name, title = "time-to-target", "Time to target"
    if not facts.converged:
        return Section(name, title, absent="No run reached its target, so there is no time to compare.")
    if len(facts.runs) == 1:
        return Section(name, title, absent="There is one run, so there is no time to compare.")
    by, rate = facts.main, facts.rate
    runs = analysis.at_best_rate(facts.runs, by, rate) if rate else facts.runs
    times, shares = analysis.time_to_target(runs, by), analysis.converged_by_step(runs, by)
    where = f"Each at the {words.axis_name(rate)} where it converges most often. " if rate else ""
    where += pooled(facts, [*by, rate])
    often = times[times["rate"].ge(0.5)]
    best = (
        (often if len(often) else times).sort_values(["steps", "rate"], ascending=[True, False], kind="stable").iloc[0]
    )
    found = f"Fastest is {words.setting(best, by)}: " if len(times) > 1 else ""
    found += f"a median of {words.number(best['steps'])} steps"
    if best["converged"] > 1:
        found += f" (95% interval {words.span(best['steps_low'], best['steps_high'])})"
    found += f", {words.count(best['converged'])} of {words.count(best['n'])} converged."
    crossed = (
        f"In {words.count(len(often))} of {words.plural(len(times), 'combination')} at least half of the runs reach it."
    )
    if len(times) == 1:
        crossed = f"{'At least' if len(often) else 'Fewer than'} half of the runs reach it."
    exhibits = [
        Exhibit(
            "time_to_target",
            found[0].upper() + found[1:],
            "Medians are of runs that converged; how many of all did stands beside, for a choice that fails often can "
            f"look fast. {where}",
            times,
            partial(plots.time_to_target, times),
            ("rate",),
            by,
        ),
        Exhibit(
            "converged_by_step",
            crossed,
            "No run is left out: those that never reach the target keep a line from rising, and it ends at their "
            f"convergence rate. Shaded: 95% Wilson intervals where it is neither 0 nor all. {where}",
            shares,
            partial(plots.converged_by_step, shares),
            ("share", "low", "high"),
            by,
        ),
    ]
    intro = "The first step at which the mean loss of the last epoch, or the training loss at a checkpoint, is "
    intro += "at the target or below."
    return Section(name, title, intro, exhibits)


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
            partial(plots.loss_by_learning_rate, losses),
            ("diverged_share",),
            [*by, rate],
        ),
        Exhibit(
            "learning_rate_windows",
            f"{width}.",
            "Every rate tried, colored by the share of runs that converged; the bar spans the rates at which at "
            f"least half did. A window that reaches an end of what was tried may go on. {pooled(facts, [*by, rate])}",
            windows,
            partial(plots.learning_rate_windows, rates, windows),
            ("best_rate",),
            by,
        ),
    ]
    return Section("learning-rate", "Learning rate", exhibits=exhibits)


def _curves(facts: Facts, curves: pd.DataFrame) -> Section:
    by, rate = facts.main, facts.rate
    runs = analysis.at_best_rate(facts.runs, by, rate) if rate else facts.runs
    frame = analysis.loss_curves(curves, runs, by)
    last = frame[frame["step"].eq(frame["step"].max())] if len(frame) else frame
    if not np.isfinite(frame["median"]).any():
        absent = "More than half of the runs of every line had diverged before the first record of their loss."
        return Section("loss-curves", "Loss curves", absent=absent)
    finding = "No line keeps a finite median loss to its end."
    if len(last) and np.isfinite(last["median"]).any():
        row = last.loc[last["median"].idxmin()]
        what = words.setting(row, by) if by else "the median run"
        finding = f"At the last step the lowest median batch loss is {words.number(row['median'])}, of {what}."
    caption = "Batch loss, the mean since the record before: median, with quartiles shaded, over all runs; a "
    caption += "diverged run counts as infinite from then on."
    if rate:
        caption += f" Each line at the {words.axis_name(rate)} where it converges most often."
    caption = f"{caption} {pooled(facts, [*by, rate])}"
    exhibit = Exhibit("loss_curves", finding, caption, frame, partial(plots.loss_curves, frame), (), by)
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
    caption += f"a full batch would grow. {pooled(facts, [*by, rate])}"
    keys = [*([rate] if rate else []), *by]
    exhibit = Exhibit("sharpness", finding, caption, frame, partial(plots.sharpness, frame), (), keys)
    return Section("sharpness", "Sharpness", exhibits=[exhibit])

"""The section on why runs failed: the shares of diagnoses, and a telling run of each."""

from __future__ import annotations

from functools import partial
from typing import Any

from gradsim import analysis, plots
from gradsim.analysis import words
from gradsim.analysis.verdict import Facts
from gradsim.fields import Thresholds
from gradsim.report.examples import Examples, courses_exhibit
from gradsim.report.layout import Exhibit, Section, pooled
from gradsim.report.methods import thresholds
from gradsim.report.tables import table

CELLS = 24
"""Combinations of the two main axes up to which a chart gives each a row."""


def failures_section(results: Any, facts: Facts, examples: Examples) -> Section:
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
        partial(plots.fates, frame, limit=CELLS),
        ("share",),
        by,
    )
    exhibits, tables = [exhibit], []
    if failed:
        courses = courses_exhibit(results, examples)
        exhibits += [courses] if courses else []
        told = meanings(thresholds(results))
        shown = diagnoses.assign(meaning=[told.get(kind, "") for kind in diagnoses["diagnosis"]])
        tables.append(("Diagnoses, each with a typical run", table(shown, ("share",), "diagnoses.csv")))
    return Section("why-runs-failed", "Why runs failed", "", exhibits, tables)


def meanings(begins: Thresholds) -> dict[str, str]:
    """What each diagnosis says, with the thresholds where it begins."""
    grown, left = words.number(begins.exploding), words.number(begins.vanishing)
    return {
        "exploding": f"the loss is no longer finite, or some layer's error signal is {grown} times the last layer's",
        "dead": "a hidden layer in which every unit is dead",
        "symmetric": "the units of some layer are all alike: nothing ever told them apart",
        "saturated": f"over {words.percent(begins.saturated)} of a hidden layer is saturated",
        "vanishing": f"the first layer gets less than {left} of the last layer's error signal",
        "slow": "the loss was still falling at the end",
        "unexplained": "none of the other signs",
    }

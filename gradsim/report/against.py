"""Two campaigns on one page: paired by settings and seed, what changed, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gradsim.analysis import against as analysis
from gradsim.places import Place, place_of
from gradsim.plots.against import convergence_changes
from gradsim.report import page
from gradsim.report.files import check_formats, fill, put, written, written_to
from gradsim.report.layout import Exhibit
from gradsim.report.tables import table

FILE = "against.html"


def pairs_of(before: Any, after: Any) -> analysis.Pairs:
    """The pairs of two campaigns' runs. Raises UsageError where there are none."""
    return analysis.pair_runs(before.runs, after.runs, list(dict.fromkeys([*before.axes, *after.axes])))


def write_comparison(
    before: Any,
    after: Any,
    out: str | Path | None = None,
    pairs: analysis.Pairs | None = None,
    formats: Sequence[str] = (),
) -> Place:
    """Write against.html, by default into the report of `after`; its path.

    before, after: Results; `pairs`: theirs, if they have been made; `formats` as for `gradsim.report.report`. Raises
    UsageError where nothing can be paired or the directory cannot be written.
    """
    check_formats(formats)
    pairs = pairs_of(before, after) if pairs is None else pairs
    changes, moves = analysis.axis_changes(pairs), analysis.outcome_moves(pairs)
    exhibits = []
    if len(changes):
        exhibits.append(
            Exhibit(
                "convergence_changes",
                "Where the share of runs that converged went up or down.",
                "Every value of every axis that both campaigns share, all else pooled; lines are Bonett and Price's "
                "95% intervals of a paired difference. Triangles: the interval leaves zero out.",
                changes,
                partial(convergence_changes, changes),
                ("change", "low", "high"),
                ("value",),
            )
        )
    names = [str(getattr(results.campaign, "name", "") or results.path.name) for results in (before, after)]
    context = {
        "name": " → ".join(names),
        "paths": [str(results.path) for results in (before, after)],
        "findings": analysis.change_verdict(pairs),
        "moves": table(moves, ("share",)),
    }
    place = place_of(out) if out is not None else place_of(after.path) / "report"
    with written_to(place) as folder, written(folder):
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        figures = page.figures(exhibits, folder / "figures", formats)
        put(fill("against.html.j2", **context, figures=list(figures.values())), folder / FILE)
    return place / FILE

"""The explorer: report/explore.html, one file with linked views of all runs that works without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradsim.analysis import words
from gradsim.errors import UsageError
from gradsim.report import explore_data, explore_views
from gradsim.report.files import fill, put, source, written

NAME = "explore.html"
LARGEST = 7_500_000
"""Bytes of the page at most, whatever the campaign."""


def write_explorer(results: Any, out: Path) -> Path:
    """Write the explorer of a campaign to the directory `out` and return its path.

    All runs, or a sample by outcome of more than 20,000; curves and layers of up to 400 runs, so chosen that every
    outcome and diagnosis of every setting is there as long as there is room. `results` as for `gradsim.report.report`.
    Raises GradsimError without the extra "explore", UsageError where the directory cannot be written.
    """
    explore_views.altair()  # before anything else is done: whether it is there
    if results.runs.empty:
        raise UsageError(f"{results.path}: no run has finished yet, so there is nothing to explore")
    page = _page(results)
    with written(out, "explorer"):
        return put(page, out / NAME)


def _page(results: Any) -> str:
    """The page; where it would be too large, with fewer runs and fewer details."""
    libraries = explore_views.libraries()
    pictures = {
        "views": explore_views.views(),
        "looks": {theme: explore_views.look(theme) for theme in ("light", "dark")},
    }
    runs, numbers = explore_data.RUNS, explore_data.DETAIL_NUMBERS
    while True:
        payload = explore_data.payload(results, runs, numbers)
        data = _json(payload | pictures)
        if len(data) + len(libraries) < LARGEST or runs < 100:
            return _rendered(payload, data, libraries)
        runs, numbers = len(payload["ids"]) // 2, numbers // 2


def _json(value: Any) -> str:
    """JSON that may stand in a script element: no "<", in ASCII."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _rendered(payload: dict[str, Any], data: str, libraries: str) -> str:
    return fill(
        "explore.html.j2",
        name=payload["name"],
        total=words.plural(payload["total"], "run"),
        filters=any(axis["filter"] for axis in payload["axes"]),
        curves=any("curve" in detail for detail in payload["details"]),
        layers=bool(payload["statistics"]) and any("profile" in detail for detail in payload["details"]),
        notes=_notes(payload),
        absent=_absent(payload),
        style=source("style.css") + source("explore.css"),
        script=source("explore.js"),
        libraries=libraries,
        data=data,
    )


def _notes(payload: dict[str, Any]) -> list[str]:
    """What the page holds less than all of."""
    total, shown, details = payload["total"], len(payload["ids"]), len(payload["details"])
    found = []
    if shown < total:
        found.append(
            f"A sample: {words.count(shown)} of {words.plural(total, 'run')}, drawn within each outcome. Every run "
            "counts for as many as it stands for, so shares and counts are estimates of the whole campaign."
        )
    if 0 < details < total:
        groups, covered = payload["groups"], payload["detailed_groups"]
        which = (
            f"{words.count(covered)} of the {words.count(groups)}" if covered < groups else f"all {words.count(groups)}"
        )
        where = ", where there is one" if covered < groups else ""
        found.append(
            f"Loss curves and layers are here for {words.plural(details, 'run')}, which cover {which} combinations of "
            f"outcome, diagnosis and setting. Other runs show those of one of the same combination{where}."
        )
    return found


def _absent(payload: dict[str, Any]) -> list[str]:
    """Why there are no curves or no layers."""
    stored = payload["stored"]
    names = {"curves": "curves", "layers": "statistics of layers"}
    missing = [text for name, text in names.items() if name not in stored]
    if not missing:
        return []
    keeps = f'The campaign keeps no {words.join(missing, "or")} (store = "{stored[-1]}")'
    return [f"{keeps}; campaign.replay(run_id) shows those of a run."]

"""Sections -> one HTML file, with figures on disk and smaller copies embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gradsim.analysis.verdict import Facts, verdict
from gradsim.plots.files import PRINT_DPI
from gradsim.report import methods
from gradsim.report.drawing import Crew, Drawing, Pictures
from gradsim.report.explore import NAME as EXPLORER
from gradsim.report.files import fill, put, written
from gradsim.report.layout import Exhibit
from gradsim.report.sections import best_table, convergence_exhibit, sections
from gradsim.report.tables import data_file, hopeless_table, table

SCREEN_DPI, CSS_DPI = 160, 108
HELPED = 500
"""Runs from which on a second process helps to draw: it takes a second to start."""


def write_report(results: Any, out: Path, formats: Sequence[str] = ()) -> Path:
    """See `gradsim.report.report`."""
    with written(out):
        (out / "figures").mkdir(parents=True, exist_ok=True)
        return put(_render(results, out, formats), out / "index.html")


def _render(results: Any, out: Path, formats: Sequence[str]) -> str:
    facts = Facts.of(results)
    context = {"facts": facts, "findings": verdict(facts), "explorer": (out / EXPLORER).is_file(), **_head(results)}
    if facts.runs.empty:
        return fill("empty.html.j2", **context)
    folder, told = out / "figures", []

    def exhibits() -> Iterator[Exhibit]:
        yield convergence_exhibit(facts)
        for section in sections(results, facts):
            told.append(section)
            yield from section.exhibits

    shown = figures(exhibits(), folder, formats, len(facts.runs) >= HELPED)
    context |= _verdict(facts, folder) | {"tiles": methods.tiles(results), "picture": shown["convergence"]}
    context["sections"] = [{"section": one, "figures": [shown[e.name] for e in one.exhibits]} for one in told]
    _save_data(facts.diagnoses, folder, "diagnoses")
    return fill("page.html.j2", **context, **_methods(results))


def _head(results: Any) -> dict[str, Any]:
    empty = results.runs.empty
    return {
        "name": str(getattr(results.campaign, "name", "") or "campaign"),
        "question": "No runs yet" if empty else methods.question(results),
        "setup": "" if empty else methods.setup_line(results),
    }


def _verdict(facts: Facts, folder: Path) -> dict[str, Any]:
    """The first screen but for its picture: the settings to use and those without hope."""
    _save_data(facts.settings, folder, "best_settings")
    _save_data(facts.hopeless.drop(columns="keys"), folder, "hopeless_settings")
    return {
        "best": best_table(facts, 3, brief=facts.converged > 0),
        "hopeless": hopeless_table(facts.hopeless, 4),
    }


def _methods(results: Any) -> dict[str, Any]:
    command = (results.info or {}).get("command")
    to_toml = getattr(results.campaign, "to_toml", None)
    return {
        "definitions": methods.definitions(results),
        "provenance": methods.provenance(results),
        "fixed": methods.fixed_settings(results),
        "varied": methods.varied_settings(results),
        "command": str(command) if command else "gradsim run campaign.toml",
        "toml": to_toml() if to_toml else "",
    }


def figures(
    exhibits: Iterable[Exhibit], folder: Path, formats: Sequence[str] = (), helped: bool = False
) -> dict[str, dict[str, Any]]:
    """Draw exhibits for print and for light and dark screens; by name, what the template needs to show each.

    `helped`: with a second process, see `gradsim.report.drawing`.
    """
    found = {}
    with Crew(helped) as crew:
        for exhibit in exhibits:
            drawing = Drawing(exhibit.draw, folder / exhibit.name, tuple(formats), PRINT_DPI, SCREEN_DPI)
            found[exhibit.name] = crew.draw(drawing), _told(exhibit, folder)
        return {name: told | _placed(pictures()) for name, (pictures, told) in found.items()}


def _placed(pictures: Pictures) -> dict[str, Any]:
    width, height = pictures.pop("inches")
    return pictures | {"width": round(width * CSS_DPI), "height": round(height * CSS_DPI)}


def _told(exhibit: Exhibit, folder: Path) -> dict[str, Any]:
    """Save an exhibit's data; what the page says of it."""
    data = exhibit.data or exhibit.name
    if data == exhibit.name:
        _save_data(exhibit.frame, folder, data)
    return {
        "name": exhibit.name,
        "finding": exhibit.finding,
        "caption": exhibit.caption.strip(),
        "table": table(exhibit.frame, exhibit.percent, data_file(data, len(exhibit.frame)), exhibit.keys),
    }


def _save_data(frame: pd.DataFrame, folder: Path, name: str) -> None:
    target = folder / data_file(name, len(frame))
    for other in folder.glob(f"{name}.*"):  # of an earlier report, when there were fewer runs
        if other.suffix in (".csv", ".parquet"):
            other.unlink()
    if target.suffix == ".csv":
        frame.to_csv(target, index=False)
    else:
        frame.to_parquet(target, index=False)

"""Sections -> one HTML file, with figures on disk and smaller copies embedded."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from gradsim.analysis.verdict import Facts, verdict
from gradsim.errors import UsageError
from gradsim.plots.files import PRINT_DPI, save_figure
from gradsim.report import methods
from gradsim.report.layout import Exhibit
from gradsim.report.sections import best_table, convergence_exhibit, sections
from gradsim.report.tables import data_file, hopeless_table, table

SCREEN_DPI, CSS_DPI = 160, 108


def write_report(results: Any, out: Path, formats: Sequence[str] = ()) -> Path:
    """See `gradsim.report.report`."""
    return write_page(out, "index.html", lambda: _render(results, out, formats))


def write_page(out: Path, name: str, render: Callable[[], str]) -> Path:
    """Render a page, whose figures go into `out`/figures, and put it into `out`; its path. Raises UsageError."""
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        page = render()
        # A reader never sees half a page: written aside, then put in place.
        part = out / f".{name}.part"
        part.write_text(page, encoding="utf-8")
        os.replace(part, out / name)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"out = {str(out)!r}: the report cannot be written there ({reason})") from error
    return out / name


def template(name: str) -> Callable[..., str]:
    """What fills in a template of the package: of `style` and the names that it uses."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gradsim.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    style = environment.loader.get_source(environment, "style.css")[0]
    return partial(environment.get_template(name).render, style=style)


def _render(results: Any, out: Path, formats: Sequence[str]) -> str:
    facts = Facts.of(results)
    context = {"facts": facts, "findings": verdict(facts), **_head(results)}
    if facts.runs.empty:
        return template("empty.html.j2")(context)
    context |= _verdict(facts, out / "figures", formats) | {"sections": [], "tiles": methods.tiles(facts.runs)}
    for section in sections(results, facts):
        figures = [figure(exhibit, out / "figures", formats) for exhibit in section.exhibits]
        context["sections"].append({"section": section, "figures": figures})
    _save_data(facts.diagnoses, out / "figures", "diagnoses")
    return template("page.html.j2")(context | _methods(results))


def _head(results: Any) -> dict[str, Any]:
    empty = results.runs.empty
    return {
        "name": str(getattr(results.campaign, "name", "") or "campaign"),
        "question": "No runs yet" if empty else methods.question(results),
        "setup": "" if empty else methods.setup_line(results),
    }


def _verdict(facts: Facts, folder: Path, formats: Sequence[str]) -> dict[str, Any]:
    """The first screen: the picture, the settings to use and those without hope."""
    _save_data(facts.settings, folder, "best_settings")
    _save_data(facts.hopeless.drop(columns="keys"), folder, "hopeless_settings")
    return {
        "picture": figure(convergence_exhibit(facts), folder, formats),
        "best": best_table(facts, 3, brief=facts.converged > 0),
        "hopeless": hopeless_table(facts.hopeless, 4),
    }


def _methods(results: Any) -> dict[str, Any]:
    command = (results.info or {}).get("command")
    to_toml = getattr(results.campaign, "to_toml", None)
    return {
        "definitions": methods.DEFINITIONS,
        "provenance": methods.provenance(results),
        "fixed": methods.fixed_settings(results),
        "varied": methods.varied_settings(results),
        "command": str(command) if command else "gradsim run campaign.toml",
        "toml": to_toml() if to_toml else "",
    }


def figure(exhibit: Exhibit, folder: Path, formats: Sequence[str] = ()) -> dict[str, Any]:
    """Draw an exhibit for print and for light and dark screens; what the template needs to show it."""
    light = exhibit.draw(theme="light")
    light.set_dpi(PRINT_DPI)
    light.canvas.draw()
    printed = _pixels(light)
    printed.save(folder / f"{exhibit.name}.png", "PNG", dpi=(PRINT_DPI, PRINT_DPI), compress_level=4)
    for kind in formats:
        save_figure(light, folder / f"{exhibit.name}.{kind}")
    light.set_dpi(SCREEN_DPI)
    dark = _pixels(exhibit.draw(theme="dark", like=light))
    data = exhibit.data or exhibit.name
    if data == exhibit.name:
        _save_data(exhibit.frame, folder, data)
    width, height = light.get_size_inches()
    return {
        "name": exhibit.name,
        "finding": exhibit.finding,
        "caption": exhibit.caption.strip(),
        "light": _embedded(printed.resize(dark.size, Image.Resampling.LANCZOS)),
        "dark": _embedded(dark),
        "width": round(width * CSS_DPI),
        "height": round(height * CSS_DPI),
        "table": table(exhibit.frame, exhibit.percent, data_file(data, len(exhibit.frame)), exhibit.keys),
    }


def _pixels(figure: Figure) -> Image.Image:
    """What a drawn figure's canvas holds, without its transparency."""
    return Image.fromarray(np.ascontiguousarray(np.asarray(figure.canvas.buffer_rgba())[..., :3]))


def _embedded(image: Image.Image) -> str:
    """A picture as a data URI: a palette PNG, a third of the size of full color and no worse to look at."""
    stream = io.BytesIO()
    small = image.quantize(192, method=Image.Quantize.FASTOCTREE)
    # The quantizer shifts the paper by a shade, which would show as a box on the page's own paper.
    palette, corner = small.getpalette(), 3 * small.getpixel((0, 0))
    palette[corner : corner + 3] = image.getpixel((0, 0))
    small.putpalette(palette)
    small.save(stream, "PNG", compress_level=7)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _save_data(frame: pd.DataFrame, folder: Path, name: str) -> None:
    target = folder / data_file(name, len(frame))
    for other in folder.glob(f"{name}.*"):  # of an earlier report, when there were fewer runs
        if other.suffix in (".csv", ".parquet"):
            other.unlink()
    if target.suffix == ".csv":
        frame.to_csv(target, index=False)
    else:
        frame.to_parquet(target, index=False)

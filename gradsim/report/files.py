"""The files of a report: templates filled in, and pages put where they belong, whole."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2

from gradsim.errors import UsageError
from gradsim.places import Place

FORMATS = ("svg", "pdf")


def check_formats(formats: Sequence[str]) -> None:
    """Raise UsageError unless each is a format in which figures are written beside PNG."""
    if isinstance(formats, str) or any(kind not in FORMATS for kind in formats):
        raise UsageError(f"formats = {formats!r}: each must be {' or '.join(FORMATS)}")


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("gradsim.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def source(name: str) -> str:
    """The text of a file of the templates, as it stands."""
    return _templates().loader.get_source(_templates(), name)[0]


def fill(template: str, /, **content: Any) -> str:
    """A template with its names filled in; `style` is the house's unless it is given."""
    return _templates().get_template(template).render({"style": source("style.css")} | content)


@contextlib.contextmanager
def written(folder: object, what: str = "report") -> Iterator[None]:
    """Raises UsageError where what is written within fails: that the report, or `what`, cannot be written there."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"out = {str(folder)!r}: the {what} cannot be written there ({error.strerror or error})"
        ) from error


@contextlib.contextmanager
def written_to(place: Place) -> Iterator[Path]:
    """The directory itself, or, for a URL, one on this machine, whose files are put there at the end."""
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield folder
        # Pages last: then all that they link to is there.
        files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.parent == folder)
        with written(place):
            for file in files:
                (place / file.relative_to(folder).as_posix()).write_bytes(file.read_bytes())


def put(page: str, path: Path) -> Path:
    """Write a page to `path`: aside, and then put in place, so that a reader never sees half a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(page, encoding="utf-8")
    os.replace(part, path)
    return path

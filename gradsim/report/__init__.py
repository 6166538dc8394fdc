"""The report of a campaign: one self-contained page and its figures.

Only `report` lives here; what it needs is imported when it is called, so that `import gradsim` stays quick.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gradsim.errors import UsageError
from gradsim.places import Place, place_of

__all__ = ["FORMATS", "report", "written_to"]

FORMATS = ("svg", "pdf")


def report(results: Any, out: str | Path | None = None, explore: bool = False, formats: Sequence[str] = ()) -> Place:
    """Write a campaign's report and return the path of its page, `index.html`.

    `out` is the directory, by default `results.path / "report"`; either may be a URL. Beside the page:
    figures/NAME.png (200 dpi) and figures/NAME.csv, the numbers behind each. The page embeds what it shows: no
    network, under 5 MB, and JavaScript only to sort tables. `results`: path, campaign, runs, curves, layers, axes,
    info, as Results has them.
    `explore` writes explore.html, too: linked views of all runs, for which the extra "explore" is needed; the page
    links to it wherever it lies beside it. `formats`: "svg" and "pdf", in which figures are written beside PNG.
    Raises UsageError where the directory cannot be written, GradsimError where the extra is missing.
    """
    from gradsim.analysis.verdict import looked_at
    from gradsim.report import explore as explorer
    from gradsim.report.page import write_report

    if isinstance(formats, str) or any(kind not in FORMATS for kind in formats):
        raise UsageError(f"formats = {formats!r}: each must be {' or '.join(FORMATS)}")
    place = place_of(out) if out is not None else place_of(results.path) / "report"
    results = looked_at(results)
    with written_to(place) as folder:
        if explore:
            explorer.write_explorer(results, folder)
        page = write_report(results, folder, formats)
    return place / page.name


@contextlib.contextmanager
def written_to(place: Place) -> Iterator[Path]:
    """The directory itself, or, for a URL, one on this machine, whose files are put there at the end."""
    if isinstance(place, Path):
        yield place
        return
    from gradsim.report.files import written

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield folder
        # Pages last: then all that they link to is there.
        files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.parent == folder)
        with written(place):
            for file in files:
                (place / file.relative_to(folder).as_posix()).write_bytes(file.read_bytes())


class _CallablePackage(types.ModuleType):
    """Importing a package binds its name in the parent: `gradsim.report` is this module, and calls the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Place:
        return report(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage

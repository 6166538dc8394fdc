"""The report of a campaign: one self-contained page and its figures.

Only `report` lives here; what it needs is imported when it is called, so that `import gradsim` stays quick.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradsim.places import Place, place_of

__all__ = ["report"]


def report(results: Any, out: str | Path | None = None, explore: bool = False, formats: Sequence[str] = ()) -> Place:
    """Write a campaign's report and return the path of its page, `index.html`.

    `out` is the directory, by default `results.path / "report"`; either may be a URL. Beside the page:
    figures/NAME.png (200 dpi) and figures/NAME.csv, the numbers behind each. The page embeds what it shows: no
    network, under 5 MB, and JavaScript only to sort tables. `results`: path, campaign, runs, curves, layers, axes,
    stored, info, as Results has them.
    `explore` writes explore.html, too: linked views of all runs, for which the extra "explore" is needed; the page
    links to it wherever it lies beside it. `formats`: "svg" and "pdf", in which figures are written beside PNG.
    Raises UsageError for another format and where the directory cannot be written, GradsimError where the extra is
    missing.
    """
    from gradsim.analysis.verdict import looked_at
    from gradsim.report import explore as explorer
    from gradsim.report.files import check_formats, written_to
    from gradsim.report.page import write_report

    check_formats(formats)
    place = place_of(out) if out is not None else place_of(results.path) / "report"
    results = looked_at(results)
    with written_to(place) as folder:
        if explore:
            explorer.write_explorer(results, folder)
        page = write_report(results, folder, formats)
    return place / page.name


class _CallablePackage(types.ModuleType):
    """Importing a package binds its name in the parent: `gradsim.report` is this module, and calls the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Place:
        return report(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage

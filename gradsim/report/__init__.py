"""The report of a campaign: one self-contained page and its figures.

Only `report` lives here; what it needs is imported when it is called, so that `import gradsim` stays quick.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

__all__ = ["report"]


def report(results: Any, out: str | Path | None = None, explore: bool = False) -> Path:
    """Write a campaign's report and return the path of its page, `index.html`.

    `out` is the directory, by default `results.path / "report"`. Beside the page: figures/NAME.png (200 dpi)
    and figures/NAME.csv, the numbers behind each. The page embeds what it shows: no network, no JavaScript,
    under 5 MB. `results`: path, campaign, runs, curves, layers, axes, info, as Results has them.
    `explore` writes explore.html, too: linked views of all runs, for which the extra "explore" is needed; the page
    links to it wherever it lies beside it.
    Raises UsageError where the directory cannot be written, GradsimError where the extra is missing.
    """
    from gradsim.report import explore as explorer
    from gradsim.report.page import write_report

    folder = Path(out) if out is not None else Path(results.path) / "report"
    if explore:
        explorer.write_explorer(results, folder)
    page = write_report(results, folder)
    explorer.link(page)
    return page


class _CallablePackage(types.ModuleType):
    """Importing a package binds its name in the parent: `gradsim.report` is this module, and calls the function."""

    def __call__(self, results: Any, out: str | Path | None = None, explore: bool = False) -> Path:
        return report(results, out, explore)


sys.modules[__name__].__class__ = _CallablePackage

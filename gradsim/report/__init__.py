"""The report of a campaign: one self-contained page and its figures.

Only `report` lives here; what it needs is imported when it is called, so that `import gradsim` stays quick.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

__all__ = ["report"]


def report(results: Any, out: str | Path | None = None) -> Path:
    """Write a campaign's report and return the path of its page, `index.html`.

    `out` is the directory, by default `results.path / "report"`. Beside the page: figures/NAME.png (200 dpi)
    and figures/NAME.csv, the numbers behind each. The page embeds what it shows: no network, no JavaScript,
    under 5 MB. `results`: path, campaign, runs, curves, layers, axes, info, as Results has them.
    Raises UsageError where the directory cannot be written.
    """
    from gradsim.report.page import write_report

    return write_report(results, Path(out) if out is not None else Path(results.path) / "report")


class _CallablePackage(types.ModuleType):
    """Importing a package binds its name in the parent: `gradsim.report` is this module, and calls the function."""

    def __call__(self, results: Any, out: str | Path | None = None) -> Path:
        return report(results, out)


sys.modules[__name__].__class__ = _CallablePackage

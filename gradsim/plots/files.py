"""Figures on disk: PNG, SVG and PDF, the same figure being the same file."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

PRINT_DPI = 200
# Without the day and numbers that are drawn by chance.
_UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the name ends in, for print."""
    with mpl.rc_context({"svg.hashsalt": "gradsim"}):
        figure.savefig(path, dpi=PRINT_DPI, metadata=_UNDATED.get(path.suffix.lower()))

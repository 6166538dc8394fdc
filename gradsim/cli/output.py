"""What commands write: JSON, tables, pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gradsim.errors import UsageError

PICTURES = (".png", ".svg", ".pdf")


def print_json(value: object) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def print_activations(rows: list[dict[str, object]], total: int) -> None:
    from rich.console import Console

    from gradsim.listing import activation_table

    if rows:
        Console(width=None if sys.stdout.isatty() else 100).print(activation_table(rows))
    print(f"{len(rows)} of {total} activations" if len(rows) < total else f"{total} activations")


def print_table(rows: list[dict[str, object]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[Text(", ".join(map(str, v)) if isinstance(v, list) else str(v)) for v in row.values()])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def picture(path: Path) -> Path:
    """The path of a figure that can be written there, by its name."""
    if path.suffix.lower() not in PICTURES:
        raise UsageError(f"out = {str(path)!r}: the name must end in {', '.join(PICTURES)}")
    return path


def save_picture(figure, path: Path) -> None:
    """Write a figure where a user wants it."""
    from gradsim.plots.files import save_figure

    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"out = {str(path)!r}: must be a file in a directory that exists")
    save_figure(figure, path)

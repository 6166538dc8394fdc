"""DataFrame -> table of text for the page: headers in words, numbers as everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.axes import is_numeric
from gradsim.analysis.settings import hopeless_words

ROWS = 120
"""Rows of a table that the page shows; the file beside it holds all."""

CSV_ROWS = 20_000
"""Rows up to which that file is CSV; beyond, Parquet, a fifth of the size."""

HEADERS = {
    "n": "runs",
    "rate": "share converged",
    "low": "low end",
    "high": "high end",
    "q25": "lower quartile",
    "q75": "upper quartile",
    "loss": "median loss",
    "loss_low": "interval from",
    "loss_high": "to",
    "diverged_share": "share diverged",
    "tried": "rates tried",
    "tried_low": "lowest tried",
    "tried_high": "highest tried",
    "lowest": "lowest that trains",
    "highest": "highest that trains",
    "open_low": "window starts at the lowest tried",
    "open_high": "window ends at the highest tried",
    "best": "best rate",
    "best_rate": "share converged there",
    "share": "share",
    "example": "example run",
    "what": "setting",
    "steps": "median steps to target",
    "steps_low": "interval from",
    "steps_high": "to",
    "count": "pairs",
    "score": "median test score",
    "diagnosis": "diagnosis",
}
_COUNTS = {"n", "count", "converged", "diverged", "tried", "gaps", "diagnosed"}


@dataclass(frozen=True)
class Table:
    """Headers, which of them are numbers, and rows of text; `total` rows exist, `file` names the one with all."""

    headers: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    total: int
    file: str = ""


def data_file(name: str, rows: int) -> str:
    """The name of the file that holds so many rows of data."""
    return f"{name}.{'csv' if rows <= CSV_ROWS else 'parquet'}"


def table(frame: pd.DataFrame, percent: Iterable[str] = (), file: str = "", keys: Sequence[str] = ()) -> Table:
    """A frame as text. `percent` names its shares; `keys` its settings columns, written as settings are."""
    percent = set(percent)
    shown = frame.head(ROWS)
    headers = [words.axis_name(name) if name in keys else HEADERS.get(name, words.axis_name(name)) for name in frame]
    numeric = [is_numeric(frame[name]) for name in frame]
    columns = [[_writer(name, percent, keys)(x) for x in shown[name]] for name in frame]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Table(headers, numeric, rows, len(frame), file)


def _writer(name: str, percent: set[str], keys: Sequence[str]) -> Callable[[Any], str]:
    if name in keys:
        return words.value
    if name in percent:
        return words.percent
    if name in _COUNTS:
        return lambda x: words.count(x)
    return _text


def _text(x: Any) -> str:
    if isinstance(x, str):
        return x
    if isinstance(x, bool) or type(x).__name__ == "bool":
        return "yes" if x else "no"
    return words.value(x) if isinstance(x, int) else words.number(x)


def settings_table(settings: pd.DataFrame, axes: Sequence[str], score: str, limit: int, brief: bool = False) -> Table:
    """The first settings of `analysis.best_settings` in reading form, intervals in words; `brief` omits the loss."""
    rows = []
    for row in settings.head(limit).to_dict("records"):
        steps = words.MISSING
        if not pd.isna(row["steps"]):
            steps = words.number(row["steps"])
            if row["converged"] > 1:
                steps += f" ({words.span(row['steps_low'], row['steps_high'])})"
        tally = f"{words.count(row['converged'])} of {words.count(row['n'])}"
        cells = {
            "setting": words.setting(row, axes),
            "converged": f"{tally} ({words.span(row['low'], row['high'], words.percent)})",
            "median steps to target": steps,
        }
        if not brief:
            cells["median final loss"] = words.number(row["loss"])
        if score:
            cells[f"median {score}"] = words.MISSING if pd.isna(row["score"]) else f"{row['score']:.3f}"
        rows.append(cells)
    headers = list(rows[0]) if rows else ["setting"]
    numeric = [header != "setting" for header in headers]
    return Table(
        headers, numeric, [list(row.values()) for row in rows], len(settings), data_file("best_settings", len(settings))
    )


def hopeless_table(hopeless: pd.DataFrame, limit: int) -> Table:
    """The first rows of `analysis.hopeless_settings` in reading form."""
    rows = []
    for row in hopeless.head(limit).to_dict("records"):
        share = "" if row["diagnosed"] == row["n"] else f"{words.percent(row['diagnosed'] / row['n'])} "
        tally = f"0 of {words.count(row['n'])} (at most {words.percent(row['high'])})"
        rows.append([hopeless_words(row), tally, f"{share}{row['diagnosis']}"])
    return Table(
        ["setting", "converged", "diagnosis"],
        [False, True, False],
        rows,
        len(hopeless),
        data_file("hopeless_settings", len(hopeless)),
    )

"""What can be named in a campaign, as rows for people and for programs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gradsim.activations import Activation

KINDS = ("activations", "initializers", "losses", "optimizers", "schedules", "datasets")


def listing(kind: str) -> list[dict[str, object]]:
    """One row an entry of a table: name, aliases, parameters with defaults, and what describes it."""
    return {
        "activations": _activations,
        "initializers": _initializers,
        "losses": _losses,
        "optimizers": _optimizers,
        "schedules": _schedules,
        "datasets": _datasets,
    }[kind]()


def matching(rows: list[dict[str, object]], text: str) -> list[dict[str, object]]:
    """The rows that hold a text, in whatever case."""
    return [row for row in rows if text.casefold() in " ".join(map(str, row.values())).casefold()]


def _numbers(parameters) -> list[str]:
    return [f"{n}={p.default if isinstance(p.default, str) else f'{p.default:g}'}" for n, p in parameters.items()]


def _finite(x: float | None) -> float | str | None:
    """A number as JSON has it: without infinity."""
    if x is None or math.isnan(x):
        return None
    return float(x) if math.isfinite(x) else ("inf" if x > 0 else "-inf")


def _activations() -> list[dict[str, object]]:
    from gradsim.activations import ACTIVATIONS

    return [activation_record(act) for act in ACTIVATIONS.values()]


def activation_record(act: Activation) -> dict[str, object]:
    """All that is known of an activation at its present parameters; nothing is compiled or searched for.

    `family` is the module it is defined in; `max_slope` is null where only a search would tell.
    """
    steepest, at = act.steepest or (None, None)
    return {
        "name": act.name,
        "aliases": list(act.aliases),
        "family": act.function.__module__.rpartition(".")[2],
        "kind": act.kind,
        "description": (act.__doc__ or "").strip().partition("\n")[0],
        "formula": act.formula,
        "parameters": [
            {"name": name, "default": p.default, "low": _finite(p.low), "high": _finite(p.high), "role": p.role}
            for name, p in act.parameters.items()
        ],
        "range": [_finite(x) for x in act.range],
        "zero_centered": bool(act.zero_centered),
        "monotonic": bool(act.monotonic),
        "smoothness": _finite(act.smoothness),
        "saturates": act.saturates,
        "kinks": [_finite(x) for x in act.kinks],
        "max_slope": _finite(steepest),
        "steepest_at": _finite(at),
        "preactivations": act.preactivations,
        "outputs": act.outputs,
        "extended": act.extended,
        "reference": act.reference,
    }


def _formulas(table) -> list[dict[str, object]]:
    """Rows of entries that are a formula with parameters."""
    return [
        {
            "name": entry.name,
            "aliases": list(entry.aliases),
            "parameters": _numbers(entry.parameters),
            "formula": entry.formula,
            "reference": entry.reference,
        }
        for entry in table.values()
    ]


def _initializers() -> list[dict[str, object]]:
    from gradsim.initializers import INITIALIZERS

    return _formulas(INITIALIZERS)


def _losses() -> list[dict[str, object]]:
    from gradsim.losses import LOSSES

    return [row | {"tasks": list(LOSSES[row["name"]].tasks)} for row in _formulas(LOSSES)]


def _optimizers() -> list[dict[str, object]]:
    from gradsim.optimizers import OPTIMIZERS

    return _formulas(OPTIMIZERS)


def _schedules() -> list[dict[str, object]]:
    from gradsim.schedules import SCHEDULES

    return _formulas(SCHEDULES)


def _datasets() -> list[dict[str, object]]:
    from gradsim.datasets import DATASETS

    return [
        {
            "name": d.name,
            "task": d.task,
            "kind": "real" if d.real else "synthetic",
            "parameters": [f"{k}={v}" for k, v in d.parameters.items()],
            "description": d.description,
        }
        for d in DATASETS.values()
    ]


# --- activations as a table -----------------------------------------------------------------------

_COLUMNS = {"activation": 35, "range": 15, "saturates": 9, "kinks": 9, "reference": 24}


def activation_table(rows: Sequence[dict[str, object]]) -> RenderableType:
    """Activations by family, for a terminal of 100 columns; aliases stand below the name."""
    from rich.console import Group
    from rich.text import Text

    families = dict.fromkeys(row["family"] for row in rows)
    parts = []
    for family in families:
        members = [row for row in rows if row["family"] == family]
        parts += [Text(f"{family.replace('_', ' ')} ({len(members)})", "bold underline"), _family(members), Text()]
    return Group(*parts)


def _family(rows: Sequence[dict[str, object]]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column, width in _COLUMNS.items():
        table.add_column(column, width=width, overflow="fold")
    for row in rows:
        name = Text(row["name"], "bold")
        if row["parameters"]:
            name.append(f"({', '.join(map(_written, row['parameters']))})", "not bold")
        if row["aliases"]:
            name.append(f"\nalso {', '.join(row['aliases'])}", "dim not bold")
        low, high = (x if isinstance(x, str) else f"{x:.3g}" for x in row["range"])
        kinks = ", ".join(x if isinstance(x, str) else f"{x:.3g}" for x in row["kinks"])
        table.add_row(name, *map(Text, [f"{low} to {high}", row["saturates"], kinks, _cited(row["reference"])]))
    return table


def _written(parameter: dict[str, object]) -> str:
    """slope=0.01, or with how it lives in a network: slope=0.25 learned."""
    role = "" if parameter["role"] == "fixed" else f" {parameter['role']}"
    return f"{parameter['name']}={parameter['default']:g}{role}"


def _cited(reference: str) -> str:
    """Of three authors and more the first: "Clevert et al. 2016"."""
    short = []
    for one in reference.split("; "):
        found = re.fullmatch(r"(.+) (\d{4}\w?)", one)
        authors = re.split(", | & ", found[1]) if found else []
        short.append(f"{authors[0]} et al. {found[2]}" if len(authors) > 2 else one)
    return "; ".join(short)

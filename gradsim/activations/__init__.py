"""Activation functions by name: the table, `get`, and the decorator that adds one.

`gs.activations.get("leaky_relu", slope=0.2)` or `gs.activations.leaky_relu`; `gradsim list activations` prints all.
"""

from __future__ import annotations

from gradsim.activations.registry import ACTIVATIONS, get, pointwise, taken_by
from gradsim.activations.spec import Activation, Parameter

# Importing the families enters their functions in the table.
from gradsim.activations import families  # isort: skip  # noqa: F401

# After the catalogue, whose names are not a user's to give.
from gradsim.activations.symbolic import FormulaWarning, from_formula  # isort: skip

__all__ = ["ACTIVATIONS", "Activation", "FormulaWarning", "Parameter", "from_formula", "get", "pointwise"]


def __getattr__(name: str) -> Activation:
    found = taken_by(name)
    if found is not None:
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *ACTIVATIONS]

"""Activation functions by name: the table, `get`, and the decorator that adds one.

`gs.activations.get("leaky_relu", slope=0.2)` or `gs.activations.leaky_relu`; `gradsim list activations` prints all.
"""

from __future__ import annotations

from gradsim.activations.registry import ACTIVATIONS, get, pointwise
from gradsim.activations.spec import Activation, Parameter

# Importing a family enters its functions in the table.
from gradsim.activations import rectified, sigmoidal, smooth  # isort: skip  # noqa: F401

__all__ = ["ACTIVATIONS", "Activation", "Parameter", "get", "pointwise"]


def __getattr__(name: str) -> Activation:
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *ACTIVATIONS]

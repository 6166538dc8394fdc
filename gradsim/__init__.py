"""gradsim: thousands of small neural networks side by side, and who converged, saturated, died or diverged, and why."""

from __future__ import annotations

import importlib

# Names are imported when first used: importing gradsim takes milliseconds, and brings in neither Numba nor pandas.
_HOMES = {
    "Campaign": "gradsim.campaign",
    "GradsimError": "gradsim.errors",
    "Results": "gradsim.results",
    "UsageError": "gradsim.errors",
    "geomspace": "gradsim.axes",
    "linspace": "gradsim.axes",
    "recommend": "gradsim.advice",
    "report": "gradsim.report",
}
_MODULES = (
    "activations",
    "analysis",
    "datasets",
    "initializers",
    "losses",
    "optimizers",
    "plots",
    "schedules",
    "theory",
)

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"gradsim.{name}")
    if name == "__version__":
        from gradsim.versions import package_version

        return package_version("gradsim")
    raise AttributeError(f"module 'gradsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

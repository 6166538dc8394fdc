"""What can be named in a campaign, as rows for people and for programs."""

from __future__ import annotations

import math

KINDS = ("activations", "initializers", "losses", "optimizers", "datasets")


def listing(kind: str) -> list[dict[str, object]]:
    """One row an entry of a table: name, aliases, parameters with defaults, and what describes it."""
    return {
        "activations": _activations,
        "initializers": _initializers,
        "losses": _losses,
        "optimizers": _optimizers,
        "datasets": _datasets,
    }[kind]()


def _numbers(parameters) -> list[str]:
    return [f"{name}={p.default:g}" for name, p in parameters.items()]


def _finite(x: float) -> float | str:
    """JSON has no infinity."""
    return x if math.isfinite(x) else ("inf" if x > 0 else "-inf")


def _activations() -> list[dict[str, object]]:
    from gradsim.activations import ACTIVATIONS

    return [
        {
            "name": a.name,
            "aliases": list(a.aliases),
            "parameters": _numbers(a.parameters),
            "formula": a.formula,
            "range": [_finite(x) for x in a.range],
            "saturates": a.saturates,
            "max_slope": round(a.max_slope, 6),
            "kinks": list(a.kinks),
            "reference": a.reference,
        }
        for a in ACTIVATIONS.values()
    ]


def _initializers() -> list[dict[str, object]]:
    from gradsim.initializers import INITIALIZERS

    return [
        {
            "name": i.name,
            "aliases": list(i.aliases),
            "parameters": _numbers(i.parameters),
            "formula": i.formula,
            "reference": i.reference,
        }
        for i in INITIALIZERS.values()
    ]


def _losses() -> list[dict[str, object]]:
    from gradsim.losses import LOSSES

    return [
        {"name": x.name, "aliases": list(x.aliases), "formula": x.formula, "tasks": list(x.tasks)}
        for x in LOSSES.values()
    ]


def _optimizers() -> list[dict[str, object]]:
    from gradsim.optimizers import OPTIMIZERS

    return [
        {
            "name": o.name,
            "aliases": list(o.aliases),
            "parameters": _numbers(o.parameters),
            "formula": o.formula,
            "reference": o.reference,
        }
        for o in OPTIMIZERS.values()
    ]


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

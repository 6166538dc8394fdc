"""How numbers, rates and settings are written: once for the terminal, the page and the figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from gradsim.analysis.axes import REPLICATES, is_rate
from gradsim.analysis.intervals import wilson_interval

MISSING = "–"


def count(n: int) -> str:
    """A whole number with thousands separated: 2,240."""
    return f"{int(n):,}"


def plural(n: int, noun: str) -> str:
    """A count with its noun: "1 run", "2,240 runs"."""
    return f"{count(n)} {noun}" if n == 1 else f"{count(n)} {noun}s"


def number(x: float) -> str:
    """Three significant digits, readable: 0.0123, 1,230, 3.1e-12; "infinite"; a dash for no value."""
    if x is None or pd.isna(x):
        return MISSING
    x = float(x)
    if math.isinf(x):
        return "infinite" if x > 0 else "-infinite"
    if x == 0 or 1e-4 <= abs(x) < 1000:
        return f"{x:.3g}"
    if 1000 <= abs(x) < 1e6:
        return f"{x:,.0f}"
    digits, power = f"{x:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"


def percent(share: float) -> str:
    """A share in percent that says 0% and 100% only where it is exactly so."""
    if share is None or pd.isna(share):
        return MISSING
    if share in (0, 1):
        return f"{share * 100:.0f}%"
    value = 100 * share
    if value < 0.1:
        return "<0.1%"
    if value > 99.9:
        return ">99.9%"
    return (f"{value:.1f}" if value < 1 or value > 99 else f"{value:.0f}").removesuffix(".0") + "%"


def span(low: float, high: float, write=number) -> str:
    """Two ends as "0.2 to 0.3"; the percent sign is written once."""
    first, second = write(low), write(high)
    if first.endswith("%") and second.endswith("%") and not first.startswith("<"):
        first = first[:-1]
    return f"{first} to {second}"


def rate(converged: int, n: int) -> str:
    """A rate with its evidence: "45% (1,012 of 2,240; 95% interval 43 to 47%)"."""
    low, high = wilson_interval(converged, n)
    share = converged / n if n else float("nan")
    return f"{percent(share)} ({count(converged)} of {count(n)}; 95% interval {span(low, high, percent)})"


def join(parts: Iterable[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


def axis_name(axis: str) -> str:
    """An axis in plain words: "learning rate", "learning rate of layer 0", "activation slope"."""
    head, _, tail = axis.partition(".")
    of = " of layer " if tail.isdigit() else " "
    return (head + of + tail if tail else head).replace("_", " ")


def value(x: Any) -> str:
    """A setting's value as text."""
    if x is None or (pd.api.types.is_scalar(x) and pd.isna(x)):
        return "not set"
    if isinstance(x, str):
        return x
    if isinstance(x, bool) or type(x).__name__ == "bool":
        return "on" if x else "off"
    if float(x).is_integer() and abs(float(x)) < 1e6:
        return f"{float(x):.0f}"
    return number(float(x))


def axis_value(axis: str, x: Any) -> str:
    """One coordinate in a sentence: "relu", "learning rate 0.1", "learning rate 0.1 in layer 0", "depth 5"."""
    if axis in ("activation", "initializer", "optimizer", "schedule", "dataset", "dtype"):
        return value(x)
    head, _, tail = axis.partition(".")
    if tail.isdigit():
        return f"{axis_name(head)} {value(x)} in layer {tail}"
    return f"{axis_name(axis)} {value(x)}"


def setting(row: Mapping[str, Any], axes: Sequence[str]) -> str:
    """A setting in a sentence: "relu with he_normal, depth 5 at learning rate 0.1, seed 3"."""
    seeds = [axis_value(axis, row[axis]) for axis in axes if axis in REPLICATES]
    axes = [axis for axis in axes if axis not in REPLICATES]
    rates = [axis_value(axis, row[axis]) for axis in axes if is_rate(axis)]
    named = [axis for axis in ("activation", "initializer") if axis in axes]
    others = [axis_value(axis, row[axis]) for axis in axes if axis not in named and not is_rate(axis)]
    if named:
        others.insert(0, " with ".join(value(row[axis]) for axis in named))
    text = ", ".join(others)
    text = f"{text} at {join(rates)}" if text and rates else text or join(rates)
    return ", ".join(filter(None, [text, *seeds])) or "the one setting"

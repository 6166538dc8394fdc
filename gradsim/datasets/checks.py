"""What every set refuses, in one line each: unfit values, too much data, numbers that cannot be trained on.

`source` is what the message starts with: the file as the user named it, or "arrays".
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from gradsim.errors import UsageError, did_you_mean, short

TASKS = ("auto", "classification", "regression")
MAX_FEATURES = 1_000_000
MAX_BYTES = 4_000_000_000
# Squares and ranges of anything smaller stay finite, so scaling a training split cannot overflow.
MAX_MAGNITUDE = 1e100


def one_line(message: object) -> str:
    """The text of a message or an error without its line breaks."""
    return " ".join(str(message).split())


def bounded(label: str, value: Any, kind: type, low: float, high: float) -> Any:
    """`value` as an int or a float where it is one within [low, high]; no booleans, no text."""
    number = Integral if kind is int else Real
    if isinstance(value, number) and not isinstance(value, bool) and low <= value <= high:
        return kind(value)
    wanted = "an integer" if kind is int else "a number"
    raise UsageError(f"{label} = {short(value)}: must be {wanted} from {low} to {high}")


def check_path(label: str, path: object) -> None:
    """Refuse what names no file."""
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"{label} = {short(path)}: must be text")


def check_task(source: str, task: object) -> None:
    """Refuse a task not in `TASKS`."""
    if task not in TASKS:
        raise UsageError(f"{source}: task = {short(task)}{did_you_mean(str(task), TASKS)}")


def check_size(source: str, samples: int, features: int, text_bytes: int = 0) -> None:
    """Refuse what would need more than `MAX_BYTES`, before it is read."""
    if features > MAX_FEATURES:
        raise UsageError(f"{source}: {features:,} features; at most {MAX_FEATURES:,} are allowed")
    estimate = 16 * samples * features + text_bytes  # raw and scaled float64, both alive in `prepare`
    if estimate > MAX_BYTES:
        raise UsageError(
            f"{source}: about {samples:,} x {features:,} numbers would need {estimate / 1e9:.1f} GB of "
            f"memory; at most {MAX_BYTES / 1e9:.0f} GB are allowed"
        )


def check_finite(source: str, values: np.ndarray, names: Sequence[str], role: str) -> None:
    """Refuse NaN, infinities and magnitudes over `MAX_MAGNITUDE` in values [n, columns]."""
    bad = ~(np.abs(values) <= MAX_MAGNITUDE)  # written so that NaN fails
    if bad.any():
        row, column = np.argwhere(bad)[0]
        value = float(values[row, column])
        why = f"at most {MAX_MAGNITUDE:g} in magnitude" if math.isfinite(value) else "finite"
        raise UsageError(f"{cell(source, names[column], row)}: {value:g}; every {role} must be {why}")


def cell(source: str, column: str, row: int) -> str:
    """Where a value is, counting data rows from 1."""
    return f"{source}: column {short(column)}, data row {row + 1}"


def check_samples(source: str, samples: int) -> None:
    """Refuse fewer samples than can be split."""
    if samples < 2:
        what = "no data below the header" if samples == 0 else "one sample only"
        raise UsageError(f"{source}: {what}; at least 2 samples are needed")

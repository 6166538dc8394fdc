"""The errors a user can meet: one clear line, no traceback on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Names that a message lists at most.
MOST_NAMES = 20


class GradsimError(Exception):
    """Something failed that is not the user's input: exit status 1."""


class UsageError(GradsimError, ValueError):
    """Bad input, in one line that names the key, the value and what is allowed: exit status 2."""


def did_you_mean(name: str, allowed: Iterable[str], count: int = 1) -> str:
    """`"; did you mean 'relu'?"`, or the allowed names where nothing is near."""
    allowed = list(allowed)
    near = difflib.get_close_matches(str(name), allowed, n=count, cutoff=0.5)
    if near:
        return "; did you mean " + " or ".join(repr(n) for n in near) + "?"
    shown = allowed[:MOST_NAMES]
    rest = f", ... ({len(allowed)} in all)" if len(allowed) > MOST_NAMES else ""
    return "; allowed: " + ", ".join(shown) + rest


def short(value: object, length: int = 80) -> str:
    """`repr(value)` on one line, cut at a length, for messages."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an integer of over 4300 digits, lists within lists without end
        text = f"a value of type {type(value).__name__}, too large to show"
    return text if len(text) <= length else text[: length - 3] + "..."

"""The errors a user can meet: one clear line, no traceback on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    return "; allowed: " + ", ".join(allowed)

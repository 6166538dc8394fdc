"""Docstrings say `name: what it is` in plain lines; here they become the list of parameters that Napoleon reads, and
"Raises ..." a paragraph of its own.
"""

from __future__ import annotations

import inspect
import re
from itertools import pairwise

from sphinx.application import Sphinx

# Stands for one where Napoleon looks.
COLON = "\ue000"


def setup(app: Sphinx) -> dict[str, object]:
    """What Sphinx calls: before Napoleon, whose priority is 500, and after it."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-process-docstring", _colons_back, priority=600)
    return {"parallel_read_safe": True, "version": "1"}


def _process(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    # Stars stand for themselves: `**parameters` is no bold text.
    lines[:] = [re.sub(r"(?<![`*\w])\*\*(?=\w)", r"\*\*", line) for line in lines]
    if what == "property":  # what stands before a colon is no type, as Napoleon would have it
        lines[:] = [line.replace(":", COLON) for line in lines]
    elif what in ("function", "method"):
        lines[:] = with_arguments(lines, _parameters(obj))
    else:
        lines[:] = [_attributes(line) for line in lines]


def _colons_back(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def _attributes(line: str) -> str:
    """A line of a class's docstring: one heading of attributes, and names that share a description as one name."""
    line = re.sub(r"^Attributes [^:]+:$", "Attributes:", line)
    shared = re.match(r"    (\w+(?:, \w+)+)(?=: )", line)
    return line.replace(shared[1], shared[1].replace(", ", ",\u200b")) if shared else line


def _parameters(function: object) -> set[str]:
    try:
        return set(inspect.signature(function).parameters) - {"self", "cls"}
    except (TypeError, ValueError):
        return set()


def with_arguments(lines: list[str], parameters: set[str]) -> list[str]:
    """The docstring with its parameters in Args sections, an item each, wherever in a paragraph they begin."""
    if not parameters:
        return lines
    one = rf"`?(?:{'|'.join(sorted(map(re.escape, parameters)))})`?"
    item = re.compile(rf"({one}(?:, {one})*): ")
    starts = re.compile(rf"(?<=\.) (?={item.pattern}|Raises [A-Z])|; (?={item.pattern})")
    text, inside = [], False
    for line in (part for whole in lines for part in _split(starts, whole)):
        if found := item.match(line):
            line = found[1].replace("`", "") + line[found.end(1) :]
            text += [f"    {line}"] if inside else ["", "Args:", f"    {line}"]
            inside = True
        elif inside and line and not line.startswith("Raises "):
            text.append(f"        {line.strip()}")
        else:
            text += ["", line] if inside and line else [line]
            inside = False
    return text


def _split(starts: re.Pattern[str], line: str) -> list[str]:
    """A line in the parts that begin at `starts`."""
    ends = [0, *(found.end() for found in starts.finditer(line)), len(line)]
    return [line[a:b].rstrip(" ") for a, b in pairwise(ends)] if line else [line]

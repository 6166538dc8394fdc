"""Campaigns as TOML text: reading with one-line errors, and writing that keeps the order of the grid's axes.

The order is part of a campaign: it numbers the runs, and so decides which of them share a shard. General TOML writers
move tables such as `{range = 16}` behind lists, so campaigns are written here, every axis on a line of its own.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping

from gradsim import choices
from gradsim.errors import UsageError
from gradsim.fields import is_data_file
from gradsim.places import Place

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LINE = 100


# --- reading --------------------------------------------------------------------------------------


def read(path: Place) -> dict[str, object]:
    """The content of a TOML file; UsageError, naming the file, where there is none to be had."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not UTF-8 text") from None
    except RecursionError:
        raise UsageError(f"{path}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, and integers of over 4300 digits
        raise UsageError(f"{path}: not valid TOML: {' '.join(str(error).split())}") from None


def with_absolute_paths(fields: Mapping[str, object], folder: Place) -> dict[str, object]:
    """Data files' paths, as a TOML file means them: from its own directory."""

    def absolute(path: str) -> str:
        return str((folder / os.path.expanduser(path)).absolute())

    def each_dataset(where: object, change: Callable[[object], object]) -> object:
        if not isinstance(where, Mapping) or "dataset" not in where:
            return where
        given = where["dataset"]
        return {**where, "dataset": [change(v) for v in given] if isinstance(given, list) else change(given)}

    def placed(value: object) -> object:
        if is_data_file(value):
            return absolute(value)
        if not isinstance(value, str | Mapping):
            return value
        choice = choices.parse(value, "dataset")
        paths = {k: absolute(v) for k, v in choice.params if k in ("path", "stored") and isinstance(v, str)}
        return choice.having(**paths) if paths else value

    out = each_dataset(dict(fields), placed)
    if "grid" in out:
        out["grid"] = each_dataset(out["grid"], placed)
    for key in ("zip", "exclude"):
        if isinstance(out.get(key), list):
            out[key] = [each_dataset(group, placed) for group in out[key]]
        elif key in out:
            out[key] = each_dataset(out[key], placed)
    return out


# --- writing --------------------------------------------------------------------------------------


def dumps(fields: Mapping[str, object]) -> str:
    """TOML text: plain values first, then `[tables]` and `[[lists of tables]]`, all in the order given."""
    lines, tables = [], []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            tables += ["", f"[{_key(key)}]", *_pairs(value)]
        elif isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            for table in value:
                tables += ["", f"[[{_key(key)}]]", *_pairs(table)]
        else:
            lines += _pairs({key: value})
    return "\n".join([*lines, *tables]) + "\n"


def _pairs(table: Mapping[str, object]) -> list[str]:
    return [f"{_key(k)} = {_wrapped(v) if isinstance(v, list) else _inline(v)}" for k, v in table.items()]


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for one control character that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    raise TypeError(f"no TOML form for {type(value).__name__}")


def _wrapped(values: list) -> str:
    """A list on one line, or filled lines where it is long."""
    items = [_inline(v) for v in values]
    if sum(map(len, items)) + 2 * len(items) < _LINE:
        return "[" + ", ".join(items) + "]"
    lines, width = [""], 0
    for item in items:
        if width and width + len(item) > _LINE:
            lines.append("")
            width = 0
        lines[-1] += f"{' ' if width else '    '}{item},"
        width = len(lines[-1])
    return "[\n" + "\n".join(lines) + "\n]"

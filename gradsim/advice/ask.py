"""What the command line's options say, put as `gradsim.recommend` takes it."""

from __future__ import annotations

from collections.abc import Mapping

from gradsim.advice.formulas import FRAMEWORKS
from gradsim.advice.shapes import SHAPE
from gradsim.errors import UsageError, did_you_mean
from gradsim.fields import is_data_file

DEFAULT = "digits"


def chosen_data(data: str | None, target: str | None, shape: Mapping[str, int | None]) -> object:
    """A set's name, a file with its target, or a shape. Raises UsageError where options exclude each other."""
    given = {key: value for key, value in shape.items() if value is not None}
    if given and data is not None:
        raise UsageError(f"--{next(iter(given))}: is for data that are not given; leave it or --data out")
    if target is not None:
        if data is None or not is_data_file(data):
            raise UsageError(f"--target {target}: names a column of a CSV or Parquet file; give --data FILE")
        return {"name": "file", "path": data, "target": target}
    if given:
        _check_shape(given)
    return given or data or DEFAULT


def _check_shape(given: Mapping[str, int]) -> None:
    """Raises UsageError, in the words of the command line, where a shape is incomplete."""
    key, value = next(iter(given.items()))
    if "features" not in given:
        raise UsageError(f"--{key} {value}: a shape needs --features too; allowed: {_bounds('features')}")
    if "classes" in given and "outputs" in given:
        raise UsageError(
            f"--classes {given['classes']}: is not for --outputs {given['outputs']}; leave one of them out"
        )
    if "classes" not in given and "outputs" not in given:
        either = f"--classes or --outputs; allowed: classes {_bounds('classes')}, outputs {_bounds('outputs')}"
        raise UsageError(f"--{key} {value}: a shape needs one more option, {either}")


def _bounds(key: str) -> str:
    _, least, most = SHAPE[key]
    return f"{least} to {most}"


def chosen_framework(code: str | None, as_json: bool) -> str | None:
    """The framework to write code for. Raises UsageError."""
    if code is None:
        return None
    if code not in FRAMEWORKS:
        raise UsageError(f"--code {code}{did_you_mean(code, FRAMEWORKS)}")
    if as_json:
        raise UsageError("--code: --json holds the code of all frameworks; leave one of them out")
    return code

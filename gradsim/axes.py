"""Axes of a grid: from what a user wrote to names and validated values, and which runs `exclude` leaves out.

An axis is a run's field, or a parameter by its dotted name: `"activation.slope"`, `"optimizer.beta"`,
`"learning_rate.0"`. Its values are a list, or one of `{geomspace = [low, high, count]}`,
`{linspace = [low, high, count]}`, `{range = count}`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradsim.choices import Choice
from gradsim.errors import UsageError, did_you_mean, short
from gradsim.fields import LOSS_AUTO, MAX_LAYERS, RunFields, kind_of, read_value

if TYPE_CHECKING:
    from gradsim.campaign import Campaign

# Of all runs, and of those that rules of `exclude` choose from, which are marked one by one.
MAX_RUNS, MAX_RUNS_CHOSEN = 10**12, 50_000_000
MAX_AXES = 32
MAX_SPACED = 1_000_000
GENERATORS = ("geomspace", "linspace", "range")
# Fields whose parameters may be axes by their dotted names.
CHOICE_FIELDS = ("dataset", "activation", "initializer", "bias_initializer", "loss", "optimizer", "schedule")
_WHERE_DATA_COME_FROM = ("path", "X", "y", "stored")
_OF_THE_CAMPAIGN = ("name", "campaign_seed", "grid", "zip", "exclude", "checkpoints", "store", "probe_samples")
_OF_THE_CAMPAIGN += ("sharpness", "target", "thresholds")


@dataclasses.dataclass(frozen=True)
class Axis:
    """One factor of the product: names that vary together, and the values of each."""

    names: tuple[str, ...]
    values: tuple[Sequence, ...]

    def __len__(self) -> int:
        return len(self.values[0])


def read_axes(campaign: Campaign) -> list[Axis]:
    """The axes of a campaign's grid and zip, validated. Raises UsageError."""
    axes = [Axis((name,), (axis_values(name, given, f"grid.{name}"),)) for name, given in campaign.grid.items()]
    axes += [_zipped(group) for group in campaign.zip]
    names = [n for axis in axes for n in axis.names]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"grid: axis {name!r} is given twice")
    if len(axes) > MAX_AXES:
        raise UsageError(f"grid: {len(axes)} axes; at most {MAX_AXES} are allowed")
    shaped = {"depth", "width"} & set(names)
    if shaped and ("hidden" in names or campaign.hidden is not None):
        raise UsageError(f"grid.{min(shaped)}: give either hidden, or depth and width, not both")
    runs = math.prod(len(axis) for axis in axes)
    if runs > MAX_RUNS:
        raise UsageError(f"grid: {runs:,} runs; at most {MAX_RUNS:,} are allowed")
    return axes


def _zipped(group: Mapping[str, object]) -> Axis:
    columns = {name: axis_values(name, given, f"zip.{name}", distinct=False) for name, given in group.items()}
    if not columns:
        raise UsageError("zip: a group is empty; give axes that vary together")
    if len({len(v) for v in columns.values()}) > 1:
        sizes = ", ".join(f"{n}: {len(v)}" for n, v in columns.items())
        raise UsageError(f"zip: the axes of a group need equally many values; here are {sizes}")
    axis = Axis(tuple(columns), tuple(columns.values()))
    refuse_duplicates(list(zip(*axis.values, strict=True)), f"zip of {', '.join(columns)}")
    return axis


def axis_values(name: str, given: object, key: str, distinct: bool = True) -> Sequence:
    """The validated values of the axis `name`; messages begin with `key`."""
    _check_name(name, key)
    values = _listed(name, given, key)
    if len(values) == 0:
        raise UsageError(f"{key} = {short(given)}: is empty; give at least one value")
    if len(values) > MAX_RUNS:
        raise UsageError(f"{key}: {len(values):,} values; at most {MAX_RUNS:,} are allowed")
    if isinstance(values, range) and name in ("seed", "data_seed"):
        for end in (values[0], values[-1]):
            read_value(name, end, key)
        return values
    out = [_dotted_value(name, v, key) if "." in name else read_value(name, v, key) for v in values]
    _refuse_as_axis(name, out, key)
    if distinct:
        refuse_duplicates(out, key)
    return out


def _refuse_as_axis(name: str, values: Sequence, key: str) -> None:
    """What is good for all runs but not for some."""
    if name == "hidden" and None in values:
        raise UsageError(f"{key}: None is no list of widths")
    if name == "loss" and LOSS_AUTO in values and len(values) > 1:
        raise UsageError(f"{key}: {LOSS_AUTO!r} is one of the other losses; name the losses to compare")
    if name == "dataset" and any(c.name == "arrays" and c.values["stored"] is None for c in values):
        raise UsageError(f"{key}: arrays can only be the data of all runs; save them as files to compare several")


def _listed(name: str, given: object, key: str) -> Sequence:
    """The values as a sequence, not yet validated."""
    if isinstance(given, Mapping):
        return _generated(name, given, key)
    if isinstance(given, list | tuple | range):
        return given
    allowed = ", ".join(GENERATORS)
    raise UsageError(f"{key} = {short(given)}: must be a list of values, or a table with one of {allowed}")


def refuse_duplicates(values: Sequence, key: str) -> None:
    """UsageError naming the first value that comes twice."""
    seen = set()
    for value in values:
        identity = value_key(value)
        if identity in seen:
            raise UsageError(f"{key}: {_shown(value)} is given twice")
        seen.add(identity)


def value_key(value: object) -> object:
    """Hashable, equal for equal values of an axis."""
    if isinstance(value, Choice):
        return value.key
    return tuple(map(value_key, value)) if isinstance(value, tuple) else value


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value))
    return short(value.label if isinstance(value, Choice) else value)


# --- names and generators -------------------------------------------------------------------------


def _check_name(name: str, key: str) -> None:
    where = key.partition(".")[0]
    field, dot, rest = name.partition(".")
    if field not in RunFields.model_fields:
        if field in _OF_THE_CAMPAIGN:
            raise UsageError(f"{where}: {short(name)} is of the whole campaign and cannot be an axis")
        raise UsageError(f"{where}: unknown axis {short(name)}{did_you_mean(field[:100], RunFields.model_fields)}")
    if not dot:
        return
    if field == "dataset" and rest in _WHERE_DATA_COME_FROM:
        raise UsageError(f"{where}: {name!r} cannot be an axis; list the data sets under 'dataset'")
    if field == "learning_rate":
        number = rest.isascii() and rest.isdigit() and len(rest) <= 4 and str(int(rest)) == rest
        if not number or int(rest) > MAX_LAYERS:
            raise UsageError(f"{where}: {short(name)} names no layer; they count from 0, as in 'learning_rate.0'")
    elif field not in CHOICE_FIELDS or not rest:
        raise UsageError(f"{where}: {short(name)} cannot be an axis; {field!r} has no parameter of that name")


def _generated(name: str, given: Mapping, key: str) -> Sequence:
    """The values of {geomspace = [low, high, count]} and the like."""
    if len(given) != 1 or next(iter(given)) not in GENERATORS:
        quoted = ""
        if name in (*CHOICE_FIELDS, "learning_rate") and given:
            quoted = f'; the axis of a parameter is named in quotation marks, as in "{name}.{next(iter(given))}"'
        if name == "activation" and "formula" in given:
            quoted = "; a formula stands in a list"
        raise UsageError(
            f"{key} = {short(dict(given))}: must be a list, or a table with one of {', '.join(GENERATORS)}{quoted}"
        )
    kind, arguments = next(iter(given.items()))
    try:
        if kind == "range":
            bounds = arguments if isinstance(arguments, list | tuple) else [arguments]
            if not 1 <= len(bounds) <= 3 or any(type(b) is not int or abs(b) > 2**62 for b in bounds):
                raise ValueError("it takes a count or [start, stop, step], whole numbers")
            return range(*bounds)
        if not isinstance(arguments, list | tuple) or len(arguments) != 3:
            raise ValueError("it takes [low, high, count]")
        return _spaced(kind, *arguments)
    except ValueError as error:
        raise UsageError(f"{key}: {kind} = {short(arguments)}: {error}") from None


def _spaced(kind: str, low: float, high: float, count: int) -> list[float]:
    for value in (low, high):
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e30:
            raise ValueError(f"{short(value)} must be a number up to 1e30 in magnitude")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_SPACED:
        raise ValueError(f"the count {short(count)} must be a whole number from 1 to {MAX_SPACED:,}")
    if kind == "geomspace" and not (low > 0 and high > 0):
        raise ValueError("both ends must be above 0")
    return (np.geomspace if kind == "geomspace" else np.linspace)(low, high, count).tolist()


def geomspace(low: float, high: float, count: int) -> list[float]:
    """`count` numbers from low to high, equal ratios between them, both ends exact."""
    return _from_python("geomspace", low, high, count)


def linspace(low: float, high: float, count: int) -> list[float]:
    """`count` numbers from low to high, equal distances between them, both ends exact."""
    return _from_python("linspace", low, high, count)


def _from_python(kind: str, *arguments: object) -> list[float]:
    plain = [a.item() if isinstance(a, np.generic) else a for a in arguments]
    try:
        return _spaced(kind, *plain)
    except ValueError as error:
        raise UsageError(f"{kind}: {error}") from None


def _dotted_value(name: str, value: object, key: str) -> object:
    """A value of a dotted axis. Whether an activation and the like has that parameter is seen with the run's choice."""
    field = name.partition(".")[0]
    if field == "dataset":
        if isinstance(value, str | int | float):
            return value
        raise UsageError(f"{key} = {short(value)}: must be a number, text or a boolean")
    if kind_of(field) == "initializer" and isinstance(value, str):  # gain = "auto", mode = "fan_out"
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e30:
        raise UsageError(f"{key} = {short(value)}: must be a number up to 1e30 in magnitude")
    return read_value(field, value, key)[0] if field == "learning_rate" else float(value)


# --- runs left out --------------------------------------------------------------------------------


def kept_runs(campaign: Campaign, axes: list[Axis]) -> np.ndarray | None:
    """Flat indices of the runs that `exclude` leaves, or None where it is not given."""
    if not campaign.exclude:
        return None
    shape = [len(axis) for axis in axes]
    if math.prod(shape) > MAX_RUNS_CHOSEN:
        raise UsageError(f"exclude: chooses from {math.prod(shape):,} runs; at most {MAX_RUNS_CHOSEN:,} are allowed")
    dropped = np.zeros(shape, bool)
    for rule in campaign.exclude:
        if not rule:
            raise UsageError("exclude: a rule is empty; name the settings of the runs to leave out")
        match = np.ones(shape, bool)
        for name, wanted in rule.items():
            place, hit = _matches(axes, name, wanted)
            match &= hit.reshape([-1 if i == place else 1 for i in range(len(shape))])
        dropped |= match
    kept = np.flatnonzero(~dropped.reshape(-1))
    if not len(kept):
        raise UsageError("exclude: leaves no run")
    return kept


def _matches(axes: list[Axis], name: str, wanted: object) -> tuple[int, np.ndarray]:
    """The axis of that name, and which of its values a rule means."""
    place = next((i for i, axis in enumerate(axes) if name in axis.names), None)
    if place is None:
        names = [n for axis in axes for n in axis.names]
        hint = did_you_mean(str(name)[:100], names) if names else "; there are none"
        raise UsageError(f"exclude: {short(name)} is no axis of the grid{hint}")
    values = axes[place].values[axes[place].names.index(name)]
    chosen = wanted if isinstance(wanted, list | tuple | range) else [wanted]
    hit = np.zeros(len(values), bool)
    for value, allowed in zip(chosen, axis_values(name, chosen, f"exclude.{name}", distinct=False), strict=True):
        same = _equal(values, allowed)
        if not same.any():
            raise UsageError(f"exclude: {name} = {short(value)} is no value of that axis")
        hit |= same
    return place, hit


def _equal(values: Sequence, wanted: object) -> np.ndarray:
    """Which values are the wanted one; numbers to 12 digits, for equal ratios need not meet 0.1 to the last bit."""
    if isinstance(wanted, tuple) and len(wanted) == 1:
        return _equal([v[0] if isinstance(v, tuple) and len(v) == 1 else None for v in values], wanted[0])
    if isinstance(wanted, float):
        return np.array([isinstance(v, float) and math.isclose(v, wanted, rel_tol=1e-12) for v in values])
    wanted = value_key(wanted)
    return np.array([value_key(v) == wanted for v in values])


def taken(values: Sequence, codes: np.ndarray) -> np.ndarray:
    """The values of an axis at some places, as numbers or text."""
    if isinstance(values, range):
        return values.start + values.step * codes
    places, inverse = np.unique(codes, return_inverse=True)
    found = [values[code] for code in places]
    return np.array([v[0] if isinstance(v, tuple) else v for v in found])[inverse]

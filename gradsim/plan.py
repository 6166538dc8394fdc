"""From a campaign to its runs: axes, cohorts that can share groups, and shards of about a second or two of work.

Runs are numbered by the product of the axes and never held as objects: a run is its codes, one value index an axis.
Axes that are plain numbers of a lane (seeds, learning rates, parameters) are looked up by array; the others span
*cells*, combinations that are resolved one by one. Cells whose networks can sit side by side in a group (same shape,
data, activations, optimizer, batch, steps, precision) form a *cohort*, and a *shard* is some groups of a cohort: the
unit of threads, of files and of resuming.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import pydantic

from gradsim import choices
from gradsim.campaign import Campaign, RunFields, explain, field_adapter
from gradsim.choices import Choice
from gradsim.cohort import cohort_cost, cohort_key, data_key, dataset_of, layer_activations
from gradsim.errors import UsageError, did_you_mean

# Work of a shard in nominal seconds of one thread; nominal, so that a directory can be resumed on any machine.
SHARD_SECONDS = 1.0
MAX_RUNS = 2**40
# Fields whose parameters may be axes by their dotted names.
CHOICE_FIELDS = ("dataset", "activation", "initializer", "bias_initializer", "optimizer")
GENERATORS = ("geomspace", "linspace", "range")


@dataclasses.dataclass(frozen=True)
class Axis:
    """One factor of the product: names that vary together, and the values of each."""

    names: tuple[str, ...]
    values: tuple[Sequence, ...]

    def __len__(self) -> int:
        return len(self.values[0])


@dataclasses.dataclass(frozen=True)
class Shard:
    """Some runs of a cohort, by their positions in the plan."""

    cohort: int
    index: int
    positions: np.ndarray

    @property
    def name(self) -> str:
        return f"c{self.cohort:04d}-s{self.index:06d}"


class Plan:
    """The runs of a campaign; see the module's text. Raises UsageError for a grid that cannot be run."""

    def __init__(self, campaign: Campaign):
        self.campaign = campaign
        self.axes = _axes(campaign)
        sizes = [len(axis) for axis in self.axes]
        total = int(np.prod(sizes, dtype=object)) if sizes else 1
        if total > MAX_RUNS:
            raise UsageError(f"grid: {total:,} runs; at most {MAX_RUNS:,} are allowed")
        self.shape = tuple(sizes)
        self._kept = _after_exclusion(campaign, self.axes, self.shape, total)
        self.size = total if self._kept is None else len(self._kept)
        if self.size == 0:
            raise UsageError("exclude: leaves no run")
        self.lane_axes = [i for i, axis in enumerate(self.axes) if self._is_lane_axis(axis)]
        self.cell_axes = [i for i in range(len(self.axes)) if i not in self.lane_axes]
        for cell in self.cells:
            _check_networks(cell)
        self._check_lane_parameters()

    def _is_lane_axis(self, axis: Axis) -> bool:
        """Whether an axis only changes numbers of a lane: then its runs share one cell."""

        def is_lane(name: str, values: Sequence) -> bool:
            if name == "seed" or name.startswith("optimizer."):
                return True
            if name == "learning_rate":
                return all(len(v) == 1 for v in values)
            if name.startswith("activation."):
                return not self._mixed_activations
            return name.startswith("learning_rate.")

        return all(is_lane(n, v) for n, v in zip(axis.names, axis.values, strict=True))

    def _check_lane_parameters(self) -> None:
        """Bounds of dotted axes that cells show at their first value only."""
        for axis in (self.axes[i] for i in self.lane_axes):
            for name, values in zip(axis.names, axis.values, strict=True):
                field, _, parameter = name.partition(".")
                if parameter and field != "learning_rate":
                    for cell in {getattr(c, field): c for c in self.cells}.values():
                        for value in (min(values), max(values)):
                            _with_dotted(cell, {name: value})

    @cached_property
    def _mixed_activations(self) -> bool:
        lists = [self.campaign.activation]
        lists += [
            v
            for axis in self.axes
            for n, vs in zip(axis.names, axis.values, strict=True)
            if n == "activation"
            for v in vs
        ]
        return any(len(v) > 1 for v in lists)

    # --- runs -------------------------------------------------------------------------------------

    @property
    def axis_names(self) -> list[str]:
        """Every name that varies, in the order of the grid."""
        return [name for axis in self.axes for name in axis.names]

    def codes(self, positions: np.ndarray) -> np.ndarray:
        """int64 [n, axes]: the value index on each axis."""
        flat = positions if self._kept is None else self._kept[positions]
        if not self.axes:
            return np.zeros((len(positions), 0), np.int64)
        return np.stack(np.unravel_index(flat, self.shape), axis=1)

    def cell_numbers(self, codes: np.ndarray) -> np.ndarray:
        """Which cell each run belongs to."""
        if not self.cell_axes:
            return np.zeros(len(codes), np.int64)
        shape = [self.shape[i] for i in self.cell_axes]
        return np.ravel_multi_index([codes[:, i] for i in self.cell_axes], shape)

    @cached_property
    def cells(self) -> list[RunFields]:
        """The settings of each cell; lane axes stand at their first value."""
        shape = [self.shape[i] for i in self.cell_axes]
        first = [0] * len(self.axes)
        out = []
        for number in range(int(np.prod(shape, dtype=np.int64))):
            codes = list(first)
            for axis, code in zip(self.cell_axes, np.unravel_index(number, shape) if shape else (), strict=True):
                codes[axis] = int(code)
            out.append(self._resolve(codes))
        return out

    def _resolve(self, codes: Sequence[int]) -> RunFields:
        values = {
            name: values[code]
            for axis, code in zip(self.axes, codes, strict=True)
            for name, values in zip(axis.names, axis.values, strict=True)
        }
        return _with_values(self.campaign, values)

    def settings(self, position: int) -> RunFields:
        """The resolved settings of one run."""
        return self._resolve([int(c) for c in self.codes(np.array([position]))[0]])

    def settings_for(self, run_id: str | None, what: str) -> RunFields:
        """The settings of a run, or of any where all runs have the same data and batches."""
        if run_id is not None:
            return self.settings(self.position(run_id))
        keys = {data_key(cell, what) for cell in self.cells}
        if len(keys) > 1:
            raise UsageError(f"{what} differ between the runs of this campaign; give a run_id")
        return self.cells[0]

    # --- names of runs ----------------------------------------------------------------------------

    def run_ids(self, positions: np.ndarray) -> np.ndarray:
        """str [n]: 16 hexadecimal digits from the resolved settings and the campaign seed alone."""
        codes = self.codes(positions)
        cells = self.cell_numbers(codes)
        lanes = [
            [_lane_fragments(axis, code) for code in range(len(axis))] if len(axis) <= 4 * len(positions) else None
            for axis in (self.axes[i] for i in self.lane_axes)
        ]
        prefix = f"campaign_seed={self.campaign.campaign_seed}"
        bases = {int(c): _fragments(self.cells[c]) for c in np.unique(cells)}
        out = np.empty(len(positions), "U16")
        for row in range(len(positions)):
            parts = dict(bases[int(cells[row])])
            for table, axis in zip(lanes, self.lane_axes, strict=True):
                code = int(codes[row, axis])
                parts |= table[code] if table is not None else _lane_fragments(self.axes[axis], code)
            text = ";".join([prefix, *(f"{k}={parts[k]}" for k in sorted(parts))])
            out[row] = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return out

    @cached_property
    def _positions_by_id(self) -> dict[str, int]:
        return {str(r): i for i, r in enumerate(self.run_ids(np.arange(self.size)))}

    def position(self, run_id: str) -> int:
        """The position of a run; UsageError where the campaign has none of that id."""
        found = self._positions_by_id.get(str(run_id))
        if found is None:
            raise UsageError(f"run_id {run_id!r} is not of this campaign; results.runs lists them")
        return found

    # --- cohorts and shards -----------------------------------------------------------------------

    @cached_property
    def cohort_of_cell(self) -> np.ndarray:
        """int [cells]: cohorts numbered in order of appearance."""
        numbers: dict[tuple, int] = {}
        return np.array([numbers.setdefault(cohort_key(cell), len(numbers)) for cell in self.cells])

    @cached_property
    def shards(self) -> list[Shard]:
        """All shards; their number and content depend on the campaign alone."""
        positions = np.arange(self.size)
        cohorts = self.cohort_of_cell[self.cell_numbers(self.codes(positions))]
        out = []
        for cohort in range(int(self.cohort_of_cell.max()) + 1):
            mine = positions[cohorts == cohort]
            if not len(mine):
                continue
            cost = cohort_cost(self.campaign, self.cells[int(np.argmax(self.cohort_of_cell == cohort))])
            groups = max(1, min(2048, round(SHARD_SECONDS / cost.group_seconds)))
            size = groups * cost.lanes
            out += [Shard(cohort, k, mine[i : i + size]) for k, i in enumerate(range(0, len(mine), size))]
        return out

    def nominal_seconds(self) -> float:
        """Work of all shards for one thread at the nominal speed."""
        costs = {}
        total = 0.0
        for shard in self.shards:
            if shard.cohort not in costs:
                cell = self.cells[int(np.argmax(self.cohort_of_cell == shard.cohort))]
                costs[shard.cohort] = cohort_cost(self.campaign, cell)
            cost = costs[shard.cohort]
            total += -(-len(shard.positions) // cost.lanes) * cost.group_seconds
        return total

    def fingerprints(self) -> list[str]:
        """Digests of the content of every data set that runs use."""
        return sorted({dataset_of(cell).fingerprint for cell in self.cells})

    def describe_networks(self) -> str:
        """`64-[32]x5-10`, or several where they differ."""
        shapes = {}
        for cell in self.cells[:1000]:
            data = dataset_of(cell)
            shapes[describe(data.features, cell.widths, data.outputs)] = None
        names = list(shapes)
        return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def describe(features: int, widths: Sequence[int], outputs: int) -> str:
    """A network's shape in short: `64-[32]x5-10`."""
    same = len(set(widths)) == 1 and len(widths) > 2
    middle = [f"[{widths[0]}]x{len(widths)}"] if same else [str(w) for w in widths]
    return "-".join([str(features), *middle, str(outputs)])


# --- axes -----------------------------------------------------------------------------------------


def _axes(campaign: Campaign) -> list[Axis]:
    axes = [Axis((name,), (_axis_values(campaign, name, given),)) for name, given in campaign.grid.items()]
    for group in campaign.zip:
        columns = {name: _axis_values(campaign, name, given) for name, given in group.items()}
        lengths = {len(v) for v in columns.values()}
        if len(lengths) != 1:
            sizes = ", ".join(f"{n}: {len(v)}" for n, v in columns.items())
            raise UsageError(f"zip: all axes of a group need as many values ({sizes})")
        axes.append(Axis(tuple(columns), tuple(columns.values())))
    names = [n for axis in axes for n in axis.names]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"grid: axis {name!r} is given twice")
    if "hidden" in names and {"depth", "width"} & set(names):
        raise UsageError("grid: give either hidden, or depth and width, not both")
    return axes


def _axis_values(campaign: Campaign, name: str, given: object) -> Sequence:
    """The validated values of an axis."""
    _check_axis_name(name)
    key = f"grid.{name}"
    values = _generated(key, given) if isinstance(given, Mapping) else given
    if isinstance(values, str | int | float | bool) or not hasattr(values, "__len__"):
        raise UsageError(f"{key} = {given!r}: must be a list of values, or one of {', '.join(GENERATORS)}")
    if len(values) == 0:
        raise UsageError(f"{key}: the list is empty; give at least one value")
    if "." in name:
        out = [_check_dotted(campaign, name, v) for v in values]
    elif name == "seed" and all(type(v) is int for v in values):
        adapter = field_adapter(name)
        for end in (min(values), max(values)):
            _validated(adapter, end, key)
        out = values
    else:
        adapter = field_adapter(name)
        out = [_validated(adapter, v, key) for v in values]
    seen: list = []
    if len(out) <= 5000:
        for v in out:
            if any(v is s or v == s for s in seen):
                raise UsageError(f"{key}: {getattr(v, 'label', v)!r} is given twice")
            seen.append(v)
    elif len(set(out)) < len(out):
        raise UsageError(f"{key}: a value is given twice")
    return out


def _check_axis_name(name: str) -> None:
    field, _, rest = name.partition(".")
    if field in RunFields.model_fields and (not rest or field in (*CHOICE_FIELDS, "learning_rate")):
        return
    if field in Campaign.model_fields and field not in RunFields.model_fields:
        raise UsageError(f"grid: {name!r} is of the whole campaign and cannot be an axis")
    raise UsageError(f"grid: unknown axis {name!r}{did_you_mean(name, RunFields.model_fields)}")


def _generated(key: str, given: Mapping) -> list:
    """{geomspace = [low, high, count]} and the like."""
    if len(given) != 1 or next(iter(given)) not in GENERATORS:
        raise UsageError(f"{key} = {dict(given)!r}: must be a list, or a table with one of {', '.join(GENERATORS)}")
    kind, arguments = next(iter(given.items()))
    try:
        if kind == "range":
            bounds = arguments if isinstance(arguments, list | tuple) else [arguments]
            if any(type(b) is not int for b in bounds):
                raise ValueError
            return list(range(*bounds))
        low, high, count = arguments
        if type(count) is not int or count < 0:
            raise ValueError
        return list((geomspace if kind == "geomspace" else linspace)(low, high, count))
    except (TypeError, ValueError):
        form = "a count or [start, stop, step]" if kind == "range" else "[low, high, count]"
        raise UsageError(f"{key}: {kind} = {arguments!r} cannot be read; it takes {form}") from None


def geomspace(low: float, high: float, count: int) -> list[float]:
    """`count` numbers from low to high, equal ratios between them, both ends exact."""
    return [float(v) for v in np.geomspace(low, high, count)]


def linspace(low: float, high: float, count: int) -> list[float]:
    """`count` numbers from low to high, equal distances between them, both ends exact."""
    return [float(v) for v in np.linspace(low, high, count)]


def _validated(adapter: pydantic.TypeAdapter, value: object, key: str) -> object:
    try:
        return adapter.validate_python(value)
    except pydantic.ValidationError as error:
        raise UsageError(explain(error, key)) from None
    except UsageError as error:
        raise UsageError(f"{key}: {error}") from None


def _check_dotted(campaign: Campaign, name: str, value: object) -> object:
    """A value of a dotted axis: a number, except for data sets' parameters, which are checked in their place."""
    field, _, rest = name.partition(".")
    if field == "learning_rate":
        if not rest.isdigit():
            raise UsageError(f"grid: {name!r} is no layer; layers are counted from 0, as in 'learning_rate.0'")
        return _validated(field_adapter("learning_rate"), value, f"grid.{name}")[0]
    if field != "dataset" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise UsageError(f"grid.{name} = {value!r}: must be a number")
    return value if field == "dataset" else float(value)


def _after_exclusion(campaign: Campaign, axes: list[Axis], shape: tuple[int, ...], total: int) -> np.ndarray | None:
    """Flat indices of the runs that stay, or None where all do."""
    if not campaign.exclude:
        return None
    dropped = np.zeros(shape, bool)
    for rule in campaign.exclude:
        match = np.ones(shape, bool)
        for name, wanted in rule.items():
            place = next(((i, axis.names.index(name)) for i, axis in enumerate(axes) if name in axis.names), None)
            if place is None:
                raise UsageError(
                    f"exclude: {name!r} is no axis of the grid{did_you_mean(name, [n for a in axes for n in a.names])}"
                )
            axis, column = place
            allowed = wanted if isinstance(wanted, list) else [wanted]
            allowed = _axis_values(campaign, name, allowed)
            hit = np.array([v in allowed for v in axes[axis].values[column]])
            if not hit.any():
                raise UsageError(f"exclude: {name} = {wanted!r} is no value of that axis")
            match &= hit.reshape([-1 if i == axis else 1 for i in range(len(shape))])
        dropped |= match
    return np.flatnonzero(~dropped.reshape(-1))


# --- settings -------------------------------------------------------------------------------------


def _with_values(campaign: Campaign, values: Mapping[str, object]) -> RunFields:
    """The campaign's own fields with the values of one run over them."""
    plain = {k: v for k, v in values.items() if "." not in k}
    fields = {name: getattr(campaign, name) for name in RunFields.model_fields} | plain
    if {"depth", "width"} & plain.keys():
        fields["hidden"] = None
    settings = RunFields.model_construct(**fields)
    dotted = {k: v for k, v in values.items() if "." in k}
    return _with_dotted(settings, dotted) if dotted else settings


def _with_dotted(settings: RunFields, dotted: Mapping[str, object]) -> RunFields:
    from gradsim import datasets
    from gradsim.campaign import table_of

    changed: dict[str, object] = {}
    for name, value in dotted.items():
        field, _, parameter = name.partition(".")
        current = changed.get(field, getattr(settings, field))
        if field == "learning_rate":
            layers = len(settings.widths) + 1
            rates = list(current) * layers if len(current) == 1 else list(current)
            if int(parameter) >= layers:
                raise UsageError(f"grid.{name}: the networks have layers 0 to {layers - 1}")
            rates[int(parameter)] = value
            changed[field] = tuple(rates)
        elif field == "activation":
            having = [c for c in current if parameter in c.values]
            if not having:
                labels = ", ".join(dict.fromkeys(c.name for c in current))
                raise UsageError(f"grid.{name}: activation {labels!r} has no parameter {parameter!r}")
            table = table_of("activations")
            changed[field] = tuple(
                choices.complete(c.having(**{parameter: value}), table[c.name], f"grid.{name}", "activation")
                if parameter in c.values
                else c
                for c in current
            )
        elif field == "dataset":
            given = datasets.check_parameters(current.name, current.values | {parameter: value})
            changed[field] = Choice(current.name, tuple(given.items()))
        else:
            kind = "optimizers" if field == "optimizer" else "initializers"
            entry = table_of(kind)[current.name]
            changed[field] = choices.complete(current.having(**{parameter: value}), entry, f"grid.{name}", kind[:-1])
    return settings.model_copy(update=changed)


def _check_networks(cell: RunFields) -> None:
    """What can only be seen once depth and activations stand together."""
    hidden = len(cell.widths)
    if len(cell.activation) not in (1, hidden):
        raise UsageError(
            f"activation: {len(cell.activation)} are listed for {hidden} hidden layers; give one, or one for each"
        )
    if len(cell.learning_rate) not in (1, hidden + 1):
        raise UsageError(
            f"learning_rate: {len(cell.learning_rate)} are listed for {hidden + 1} layers of weights; "
            "give one, or one for each"
        )


# --- the text that a run's id is made from --------------------------------------------------------


def _fragments(cell: RunFields) -> dict[str, str]:
    """Every setting of a run as text, choices by name and parameters."""
    out = {
        "scaling": cell.scaling,
        "test_fraction": repr(float(cell.test_fraction)),
        "data_seed": str(cell.data_seed),
        "hidden": "-".join(map(str, cell.widths)),
        "bias": str(cell.bias),
        "loss": cell.loss,
        "batch_size": str(cell.batch_size),
        "steps": str(cell.steps),
        "dtype": cell.dtype,
        "seed": str(cell.seed),
    }
    for field in ("dataset", "initializer", "bias_initializer", "optimizer"):
        choice = getattr(cell, field)
        out[field] = choice.name
        if choice.name in ("file", "arrays") and field == "dataset":
            out["dataset.fingerprint"] = dataset_of(cell).fingerprint
            continue
        out |= {f"{field}.{k}": _text(v) for k, v in choice.params}
    activations = layer_activations(cell)
    if len(set(activations)) <= 1:
        activations = cell.activation[:1]
    out["activation"] = "-".join(c.name for c in activations)
    for i, choice in enumerate(activations):
        owner = "activation" if len(activations) == 1 else f"activation.{i}"
        out |= {f"{owner}.{k}": _text(v) for k, v in choice.params}
    rates = cell.learning_rate
    if len(rates) == 1:
        out["learning_rate"] = repr(rates[0])
    else:
        out |= {f"learning_rate.{i}": repr(r) for i, r in enumerate(rates)}
    return out


def _lane_fragments(axis: Axis, code: int) -> dict[str, str]:
    out = {}
    for name, values in zip(axis.names, axis.values, strict=True):
        value = values[code]
        out[name] = _text(value[0] if isinstance(value, tuple) else value)
    return out


def _text(value: object) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)

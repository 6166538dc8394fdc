"""A campaign: what to run. Fields of a run, the grid over them, and everything that can be asked before or after.

A run's settings are the fields of `RunFields`; a `Campaign` adds the grid and what concerns all runs. Everything is
validated here, once, with errors of one line; `gradsim.plan` turns the result into runs, cohorts and shards.
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pydantic
from pydantic import BeforeValidator, ConfigDict, Field

from gradsim import choices
from gradsim.choices import Choice
from gradsim.errors import GradsimError, UsageError, did_you_mean

if TYPE_CHECKING:
    from gradsim.plan import Plan
    from gradsim.replay import Replay
    from gradsim.results import Results

LOSS_AUTO = "auto"


# --- how the fields are read ----------------------------------------------------------------------


def _from_table(table_name: str, key: str, noun: str):
    """Validator: anything that names an entry of a table -> a complete Choice."""

    def read(value: object) -> Choice:
        table = table_of(table_name)
        choice = choices.parse(value, key)
        return choices.complete(choice, choices.look_up(choice, table, key, noun), key, noun)

    return BeforeValidator(read)


def table_of(name: str) -> Mapping[str, object]:
    """The tables are imported late: they bring in Numba."""
    if name == "activations":
        from gradsim.activations import ACTIVATIONS as table
    elif name == "initializers":
        from gradsim.initializers import INITIALIZERS as table
    elif name == "optimizers":
        from gradsim.optimizers import OPTIMIZERS as table
    else:
        from gradsim.losses import LOSSES as table
    return table


def entry_of(field: str, choice: Choice) -> object:
    """The table's entry behind a field's choice."""
    if field == "dataset":
        from gradsim.datasets import DATASETS

        return DATASETS[choice.name]
    plural = {"activation": "activations", "optimizer": "optimizers"}.get(field, "initializers")
    return table_of(plural)[choice.name]


def _read_activation(value: object) -> tuple[Choice, ...]:
    """One choice, or one for each hidden layer."""
    from gradsim.activations import Activation
    from gradsim.activations.registry import ensure_registered

    layers = value if isinstance(value, list | tuple) else [value]
    if not layers:
        raise UsageError("activation: the list is empty; give one name, or one for each hidden layer")
    out = []
    for item in layers:
        if isinstance(item, Activation):
            ensure_registered(item)
            item = Choice(item.name, tuple(item.values.items()))
        choice = choices.parse(item, "activation")
        entry = choices.look_up(choice, table_of("activations"), "activation", "activation")
        out.append(choices.complete(choice, entry, "activation", "activation"))
    return tuple(out)


def _read_dataset(value: object) -> Choice:
    from gradsim import datasets

    if isinstance(value, tuple | list) and len(value) == 2 and not isinstance(value[0], str):
        value = Choice("arrays", (("X", value[0]), ("y", value[1])))
    elif isinstance(value, str | Path) and str(value).lower().endswith((".csv", ".parquet")):
        value = Choice("file", (("path", str(value)),))
    choice = choices.parse(value, "dataset")
    given = datasets.check_parameters(choice.name, choice.values)
    return Choice(choice.name, tuple(given.items()))


def _read_loss(value: object) -> str:
    if value == LOSS_AUTO:
        return LOSS_AUTO
    return choices.look_up(choices.parse(value, "loss"), table_of("losses"), "loss", "loss").name


def _read_rates(value: object) -> tuple[float, ...]:
    """One learning rate, or one for each layer of weights."""
    rates = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not rates:
        raise UsageError("learning_rate: the list is empty; give one number, or one for each layer of weights")
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < np.inf:
            raise UsageError(f"learning_rate = {rate!r}: must be a finite number of at least 0")
    return tuple(float(r) for r in rates)


def _read_batch(value: object) -> int | str:
    if value == "full":
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f'batch_size = {value!r}: must be a whole number of at least 1, or "full"')
    return value


def _read_hidden(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        if all(isinstance(w, int) and not isinstance(w, bool) and 1 <= w <= 100_000 for w in value):
            return tuple(value)
    raise UsageError(f"hidden = {value!r}: must be a list of widths, whole numbers from 1 to 100000")


def _whole(low: int, high: int):
    return Annotated[int, Field(strict=True, ge=low, le=high)]


_Seed = _whole(0, 2**32 - 1)
Activations = Annotated[tuple[Choice, ...], BeforeValidator(_read_activation)]
Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class _Model(pydantic.BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True)


class RunFields(_Model):
    """The settings of one run; each may be an axis of a campaign's grid.

    `depth` hidden layers of `width` units, or `hidden` widths where they differ; depth 0 is a linear model.
    `batch_size` is a number or "full"; `learning_rate` one number or one for each layer of weights; `data_seed` draws
    the split, the batches and synthetic data, `seed` the initial weights.
    """

    dataset: Annotated[Any, BeforeValidator(_read_dataset)] = "digits"
    scaling: Literal["standard", "minmax", "none"] = "standard"
    test_fraction: Fraction = 0.2
    data_seed: _Seed = 0
    depth: _whole(0, 1000) = 2
    width: _whole(1, 100_000) = 32
    hidden: Annotated[Any, BeforeValidator(_read_hidden)] = None
    activation: Activations = "relu"
    initializer: Annotated[Any, _from_table("initializers", "initializer", "initializer")] = "glorot_uniform"
    bias: Annotated[bool, Field(strict=True)] = True
    bias_initializer: Annotated[Any, _from_table("initializers", "bias_initializer", "initializer")] = "zeros"
    loss: Annotated[str, BeforeValidator(_read_loss)] = LOSS_AUTO
    optimizer: Annotated[Any, _from_table("optimizers", "optimizer", "optimizer")] = "sgd"
    learning_rate: Annotated[Any, BeforeValidator(_read_rates)] = 0.1
    batch_size: Annotated[Any, BeforeValidator(_read_batch)] = 32
    steps: _whole(1, 10_000_000) = 1000
    dtype: Literal["float32", "float64"] = "float32"
    seed: _Seed = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return self.hidden if self.hidden is not None else (self.width,) * self.depth


class Thresholds(_Model):
    """Where outcomes and diagnoses begin; see `gradsim.outcomes`."""

    diverged: Annotated[float, Field(gt=1)] = 1000.0
    stalled: Annotated[float, Field(gt=0, lt=1)] = 0.01
    exploding: Annotated[float, Field(gt=1)] = 1e6
    saturated: Annotated[float, Field(gt=0, lt=1)] = 0.9
    vanishing: Annotated[float, Field(gt=0, lt=1)] = 1e-6


def _read_checkpoints(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and all(isinstance(s, int) and not isinstance(s, bool) for s in value):
        if all(s >= 0 for s in value):
            return tuple(sorted(set(value)))
    raise UsageError(f"checkpoints = {value!r}: must be a list of steps, whole numbers of at least 0")


def _read_groups(value: object) -> list:
    return [value] if isinstance(value, Mapping) else value


class Campaign(RunFields):
    """What to run: the settings that all runs share, and the grid of those that vary.

    Attributes beside the run's fields:
        name: of the campaign.
        grid: axis -> values; the product of all axes is run. An axis is a field, a parameter by its dotted name
            (`"activation.slope"`, `"learning_rate.0"`), its values a list, `{geomspace = [low, high, count]}`,
            `{linspace = [low, high, count]}` or `{range = count}`.
        zip: groups of axes that vary together, each group one factor of the product.
        exclude: partial settings; runs that match any are left out.
        campaign_seed: keys all random numbers.
        checkpoints: steps at which layers are recorded; by default a 1-3-10 ladder. 0, the step after two thirds,
            and the last are always among them.
        probe_samples: training samples that layers are recorded over, at most.
        target: a run converged when its full training loss reached this share of the best constant predictor's.
        thresholds: where outcomes and diagnoses begin.

    Raises UsageError, in one line, for anything that cannot be run.
    """

    name: Annotated[str, Field(strict=True, min_length=1, max_length=200)] = "campaign"
    campaign_seed: _Seed = 0
    grid: dict[str, Any] = Field(default_factory=dict)
    zip: Annotated[list[dict[str, Any]], BeforeValidator(_read_groups)] = Field(default_factory=list)
    exclude: Annotated[list[dict[str, Any]], BeforeValidator(_read_groups)] = Field(default_factory=list)
    checkpoints: Annotated[Any, BeforeValidator(_read_checkpoints)] = None
    probe_samples: _whole(1, 1_000_000) = 256
    target: Annotated[float, Field(gt=0, lt=1)] = 0.1
    thresholds: Thresholds = Field(default_factory=Thresholds)

    def __init__(self, **fields: object):
        _refuse_unknown(fields, type(self).model_fields)
        try:
            super().__init__(**{k: _plain(v) for k, v in fields.items()})
        except pydantic.ValidationError as error:
            raise UsageError(explain(error)) from None
        if self.hidden is not None and self.model_fields_set & {"depth", "width"}:
            raise UsageError("hidden: give either hidden, or depth and width, not both")
        _ = self.plan  # everything about the grid is checked at once

    # --- what it will do --------------------------------------------------------------------------

    @cached_property
    def plan(self) -> Plan:
        """The runs: axes, cohorts and shards."""
        from gradsim.plan import Plan

        return Plan(self)

    @property
    def runs(self) -> int:
        """How many runs the grid has."""
        return self.plan.size

    def run(self, path: str | Path, *, threads: int | None = None, progress: bool = True) -> Results:
        """Run what is not yet in the directory `path`; the results, complete.

        threads: worker threads, by default as many as there are cores. Raises UsageError where the directory holds
        another campaign or cannot be written. Ctrl-C keeps every finished shard; calling again resumes.
        """
        from gradsim.runner import run

        return run(self, Path(path), threads=threads, progress=progress)

    # --- runs in detail, for anyone who wants to check them ---------------------------------------

    def data(self, run_id: str | None = None):
        """`X_train, y_train, X_test, y_test` as the networks see them, in the run's precision.

        run_id: needed only where data differ between runs.
        """
        from gradsim.cohort import data_arrays

        return data_arrays(self, self.plan.settings_for(run_id, "data"))

    def batch_indices(self, run_id: str | None = None) -> np.ndarray:
        """int [steps, batch]: the rows of `X_train` that each step takes. run_id: where they differ."""
        from gradsim.cohort import batch_indices

        return batch_indices(self, self.plan.settings_for(run_id, "batches"))

    def initial_weights(self, run_id: str) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """`[(W [fan_in, fan_out], b [fan_out]), ...]` of a run before its first step; b is None without biases."""
        from gradsim.replay import initial_weights

        return initial_weights(self, run_id)

    def replay(self, run_id: str, checkpoints: list[int] | None = None) -> Replay:
        """Train one run again, bit for bit, and keep its whole history; see `gradsim.replay.Replay`."""
        from gradsim.replay import replay

        return replay(self, run_id, checkpoints)

    # --- in and out -------------------------------------------------------------------------------

    @classmethod
    def from_toml(cls, path: str | Path) -> Campaign:
        """Read a campaign from a TOML file; a data file's path is relative to the TOML's directory."""
        path = Path(path)
        try:
            fields = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
            raise UsageError(f"{path}: {reason}") from None
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path}: not valid TOML: {error}") from None
        fields.setdefault("name", path.stem)
        try:
            return cls(**_relative_to(fields, path.parent))
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None

    def to_toml(self) -> str:
        """The resolved campaign as TOML, which `from_toml` reads back to the same runs."""
        import tomli_w

        return tomli_w.dumps(self.resolved())

    def resolved(self) -> dict[str, object]:
        """Every field, defaults included, as plain values that TOML can hold."""
        fields = {name: _toml(getattr(self, name)) for name in type(self).model_fields}
        varied = {name for names in [self.grid, *self.zip] for name in names}
        if self.hidden is not None:
            varied |= {"depth", "width"}
        return {k: v for k, v in fields.items() if v is not None and k not in varied}

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that change with any setting that changes a number; the data's content is part."""
        kept = {k: v for k, v in self.resolved().items() if k != "name"}
        kept.pop("dataset", None)
        kept["data"] = self.plan.fingerprints()
        text = json.dumps(kept, sort_keys=True, default=repr)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __repr__(self) -> str:
        axes = ", ".join(f"{name} x{len(axis)}" for axis in self.plan.axes for name in axis.names[:1])
        return f"<Campaign {self.name!r}: {self.runs} runs of {self.plan.describe_networks()}; {axes or 'no grid'}>"

    __str__ = __repr__


def field_adapter(name: str) -> pydantic.TypeAdapter:
    """Validates one value of a run's field, as an axis needs."""
    field = RunFields.model_fields[name]
    kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return pydantic.TypeAdapter(kind, config=None if field.annotation is not Any else {"arbitrary_types_allowed": True})


def explain(error: pydantic.ValidationError, key: str | None = None) -> str:
    """The first problem of a validation in one line: key, value, what is allowed."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, GradsimError):
        return str(cause)
    place = ".".join(str(p) for p in first["loc"])
    name = ".".join(p for p in (key, place) if p) or "campaign"
    if first["type"] == "extra_forbidden":
        return f"unknown key {name!r}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{name} = {_short(first['input'])}: {message}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def _refuse_unknown(fields: Mapping[str, object], known: Mapping[str, object]) -> None:
    for key in fields:
        if key not in known:
            raise UsageError(f"unknown key {key!r}{did_you_mean(key, known)}")


def _plain(value: object) -> object:
    """NumPy numbers as Python's, ranges as lists, so that what is stored can be written."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, range):
        return list(value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return value.tolist()
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _toml(value: object) -> object:
    if isinstance(value, Choice):
        params = {k: _toml(v) for k, v in value.params if v is not None and not hasattr(v, "shape")}
        return {"name": value.name, **params} if params else value.name
    if isinstance(value, pydantic.BaseModel):
        return {name: _toml(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple | list):
        items = [_toml(v) for v in value]
        return items[0] if isinstance(value, tuple) and len(items) == 1 else items
    if isinstance(value, Mapping):
        return {k: _toml(v) for k, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value if isinstance(value, str | int | float | bool | None) else getattr(value, "label", repr(value))


def _relative_to(fields: dict, folder: Path) -> dict:
    """Data files' paths, as a TOML file means them: from its own directory."""

    def absolute(value: object) -> object:
        if isinstance(value, str) and value.lower().endswith((".csv", ".parquet")):
            return str((folder / Path(value).expanduser()).absolute())
        if isinstance(value, Mapping):
            return {k: absolute(v) if k in ("path", "stored") else v for k, v in value.items()}
        return value

    if "dataset" in fields:
        fields["dataset"] = absolute(fields["dataset"])
    grid = fields.get("grid")
    if isinstance(grid, dict) and isinstance(grid.get("dataset"), list):
        grid["dataset"] = [absolute(v) for v in grid["dataset"]]
    return fields


__all__ = ["Campaign", "RunFields", "Thresholds"]

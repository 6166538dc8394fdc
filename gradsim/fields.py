"""The settings of one run: their names, defaults and bounds, and how each is read from what a user wrote.

Everything is validated here, with errors of one line that name the key, the value and what is allowed. The tables of
activations, initializers, optimizers and losses are imported when a field is first read: they bring in Numba.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field

from gradsim import choices
from gradsim.choices import Choice
from gradsim.errors import GradsimError, UsageError, did_you_mean, short

LOSS_AUTO = "auto"
# Data sets whose content is the user's: it, and not where it lies, tells them apart.
OWN_DATA = ("file", "arrays")
MAX_LAYERS, MAX_WIDTH, MAX_STEPS, MAX_BATCH = 1000, 100_000, 1_000_000, 1_000_000_000
_MAX_SEED = 2**32 - 1


# --- tables ---------------------------------------------------------------------------------------


def table_of(kind: str) -> Mapping[str, object]:
    """The table of "activation", "initializer", "optimizer", "schedule", "loss" or "dataset"."""
    if kind == "activation":
        from gradsim.activations import ACTIVATIONS as table
    elif kind == "optimizer":
        from gradsim.optimizers import OPTIMIZERS as table
    elif kind == "schedule":
        from gradsim.schedules import SCHEDULES as table
    elif kind == "loss":
        from gradsim.losses import LOSSES as table
    elif kind == "dataset":
        from gradsim.datasets import DATASETS as table
    else:
        from gradsim.initializers import INITIALIZERS as table
    return table


def label_of(field: str, choice: Choice, shown: Mapping[str, object] | None = None) -> str:
    """The choice of a field without the parameters that are at their defaults, or at the values `shown` elsewhere."""
    entry = table_of(kind_of(field))[choice.name]
    defaults = {k: getattr(p, "default", p) for k, p in entry.parameters.items()}
    return choices.short_label(choice, defaults | dict(shown or {}))


def kind_of(field: str) -> str:
    """Which table a field's choices are from: its own name, and initializers for biases too."""
    return "initializer" if field == "bias_initializer" else field


def completed(field: str, choice: Choice, key: str | None = None) -> Choice:
    """The choice under its entry's own name, with all parameters, checked. key: what messages begin with."""
    key, noun = key or field, kind_of(field)
    if field == "dataset":
        return _completed_dataset(choice, key)
    return choices.complete(choice, choices.look_up(choice, table_of(noun), key, noun), key, noun)


def _completed_dataset(choice: Choice, key: str) -> Choice:
    from gradsim import datasets

    for name, value in choice.params:
        if isinstance(value, str) and "\0" in value:
            raise UsageError(f"{key}: parameter {name!r} is {short(value)}; a NUL is not allowed")
        if isinstance(value, int) and abs(value) > choices.LARGEST:
            raise UsageError(f"{key}: parameter {name!r} is {short(value)}; allowed: numbers up to 1e30 in magnitude")
    try:
        given = datasets.check_parameters(choice.name, choice.values)
    except UsageError as error:
        raise UsageError(f"{key}: {error}") from None
    if choice.name == "file":  # as it is meant here and now, wherever results and their campaign.toml will be
        given["path"] = os.path.abspath(os.path.expanduser(given["path"]))
    return Choice(choice.name, tuple(given.items()))


# --- how the fields are read ----------------------------------------------------------------------


def _from_table(field: str) -> BeforeValidator:
    """Validator: anything that names an entry of the field's table -> a complete Choice."""
    return BeforeValidator(lambda value: completed(field, choices.parse(value, field)))


def _read_activation(value: object) -> tuple[Choice, ...]:
    """One choice, or one for each hidden layer."""
    layers = value if isinstance(value, list | tuple) else [value]
    if not layers:
        raise UsageError("activation: the list is empty; give one name, or one for each hidden layer")
    return tuple(completed("activation", _activation_choice(item)) for item in layers)


def _activation_choice(value: object) -> Choice:
    from gradsim.activations import Activation
    from gradsim.activations.registry import ensure_registered

    if isinstance(value, Mapping) and "formula" in value:
        return _formula_choice(value)
    if not isinstance(value, Activation):
        if isinstance(value, str) and "formula" not in value and re.search(r"\bz\b", value):
            raise UsageError(
                f'activation = {short(value)}: a formula is a table, as in {{name = "mine", formula = "z*sin(z)"}}'
            )
        choice = choices.parse(value, "activation")
        return _formula_choice({"name": choice.name} | choice.values) if "formula" in choice.values else choice
    ensure_registered(value)
    if table_of("activation")[value.name].function is not value.function:
        raise UsageError(f"activation: the name {value.name!r} is taken by another function; give yours another name")
    return Choice(value.name, tuple(value.values.items()))


def _formula_choice(given: Mapping[str, object]) -> Choice:
    """The activation of {formula = "z*sigmoid(b*z)", name = "mine", parameters = {b = 1.0}, b = 2.0}."""
    from gradsim.activations.symbolic import KEYS, from_formula

    definition = {("text" if key == "formula" else key): given[key] for key in KEYS if key in given}
    try:
        made = from_formula(**definition)
    except UsageError as error:
        raise UsageError(f"activation: {error}") from None
    return Choice(made.name, tuple((k, v) for k, v in given.items() if k not in KEYS))


def _read_dataset(value: object) -> Choice:
    """A set's name, a data file's path, a DataFrame whose last column is the target, a pair (X, y), or a pair of a
    DataFrame and the name of its target."""
    if isinstance(value, tuple | list) and len(value) == 2 and not isinstance(value[0], str):
        named = _is_frame(value[0]) and isinstance(value[1], str)
        value = Choice("arrays", (("X", value[0]), ("target" if named else "y", value[1])))
    elif _is_frame(value):
        value = Choice("arrays", (("X", value),))
    elif is_data_file(value):
        value = Choice("file", (("path", os.fspath(value)),))
    return completed("dataset", choices.parse(value, "dataset"))


def _is_frame(value: object) -> bool:
    return hasattr(value, "iloc") and hasattr(value, "columns")


def is_data_file(value: object) -> bool:
    """Whether a value is the path of a CSV, Parquet or .npz file."""
    from gradsim.datasets.files import SUFFIXES

    return isinstance(value, str | os.PathLike) and str(value).lower().endswith(SUFFIXES)


def _read_loss(value: object) -> Choice | str:
    """A loss with its parameters, or "auto"."""
    if isinstance(value, str) and value.strip() == LOSS_AUTO:
        return LOSS_AUTO
    return completed("loss", choices.parse(value, "loss"))


def _read_rates(value: object) -> tuple[float, ...]:
    """One learning rate, or one for each layer of weights."""
    rates = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not rates:
        raise UsageError("learning_rate: the list is empty; give one number, or one for each layer of weights")
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1e30:
            raise UsageError(f"learning_rate = {short(rate)}: must be a number from 0 to 1e30")
    return tuple(float(r) + 0.0 for r in rates)  # + 0.0: no negative zero, which would be another run


def _read_batch(value: object) -> int | str:
    if isinstance(value, str) and value == "full":
        return value
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_BATCH:
        raise UsageError(f'batch_size = {short(value)}: must be a whole number from 1 to {MAX_BATCH}, or "full"')
    return value


def _read_hidden(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) <= MAX_LAYERS:
        if all(isinstance(w, int) and not isinstance(w, bool) and 1 <= w <= MAX_WIDTH for w in value):
            return tuple(value)
    raise UsageError(
        f"hidden = {short(value)}: must be a list of at most {MAX_LAYERS} widths, whole numbers from 1 to {MAX_WIDTH}"
    )


# --- fields ---------------------------------------------------------------------------------------


def whole(low: int, high: int) -> object:
    """The type of whole numbers within bounds; no booleans, no text."""
    return Annotated[int, Field(strict=True, ge=low, le=high)]


def number(**bounds: float) -> object:
    """The type of finite numbers within bounds; no booleans, no text."""
    return Annotated[float, Field(strict=True, allow_inf_nan=False, **bounds)]


Seed = whole(0, _MAX_SEED)
Activations = Annotated[tuple[Choice, ...], BeforeValidator(_read_activation)]
Flag = Annotated[bool, Field(strict=True)]


class Model(pydantic.BaseModel):
    """What all records of fields have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=True)


class RunFields(Model):
    """The settings of one run; each may be an axis of a campaign's grid.

    `depth` hidden layers of `width` units, or `hidden` widths where they differ; depth 0 is a linear model.
    `batch_size` is a number or "full"; batches are drawn by `batch_order`, epoch by epoch or with replacement.
    `loss` is "auto", which the data decide, or a loss with its parameters; `learning_rate` one number or one for each
    layer of weights; `label_noise` the share of training labels that are replaced by another class. `data_seed` draws
    the split, the replaced labels, the batches and synthetic data, `seed` the initial weights.
    """

    dataset: Annotated[Any, BeforeValidator(_read_dataset)] = "digits"
    scaling: Literal["standard", "minmax", "maxabs", "none"] = "standard"
    test_fraction: number(ge=0, lt=1) = 0.2
    label_noise: number(ge=0, le=1) = 0.0
    data_seed: Seed = 0
    depth: whole(0, MAX_LAYERS) = 2
    width: whole(1, MAX_WIDTH) = 32
    hidden: Annotated[Any, BeforeValidator(_read_hidden)] = None
    activation: Activations = "relu"
    initializer: Annotated[Any, _from_table("initializer")] = "glorot_uniform"
    bias: Flag = True
    bias_initializer: Annotated[Any, _from_table("bias_initializer")] = "zeros"
    loss: Annotated[Any, BeforeValidator(_read_loss)] = LOSS_AUTO
    optimizer: Annotated[Any, _from_table("optimizer")] = "sgd"
    learning_rate: Annotated[Any, BeforeValidator(_read_rates)] = 0.1
    schedule: Annotated[Any, _from_table("schedule")] = "constant"
    batch_size: Annotated[Any, BeforeValidator(_read_batch)] = 32
    batch_order: Literal["epoch", "replacement"] = "epoch"
    steps: whole(1, MAX_STEPS) = 1000
    dtype: Literal["float32", "float64"] = "float32"
    seed: Seed = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        return self.hidden if self.hidden is not None else (self.width,) * self.depth


class Thresholds(Model):
    """Where outcomes and diagnoses begin; see `gradsim.outcomes`."""

    diverged: number(gt=1) = 1000.0
    stalled: number(gt=0, lt=1) = 0.01
    exploding: number(gt=1) = 1e6
    saturated: number(gt=0, lt=1) = 0.9
    vanishing: number(gt=0, lt=1) = 1e-6


# --- one value at a time, and messages ------------------------------------------------------------


def read_value(field: str, value: object, key: str) -> object:
    """One value of a run's field, validated; UsageError under the name `key`."""
    try:
        return _adapter(field).validate_python(value)
    except pydantic.ValidationError as error:
        raise UsageError(explain(error, key)) from None


@functools.cache
def _adapter(field: str) -> pydantic.TypeAdapter:
    info = RunFields.model_fields[field]
    kind = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return pydantic.TypeAdapter(kind)


def explain(error: pydantic.ValidationError, key: str | None = None) -> str:
    """The first problem of a validation in one line: key, value, what is allowed."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, GradsimError):
        return str(cause)
    place = ".".join(str(p) for p in first["loc"])
    name = ".".join(p for p in (key, place) if p) or "campaign"
    if first["type"] == "extra_forbidden":
        return f"unknown key {short(name)}{did_you_mean(str(first['loc'][-1])[:100], Thresholds.model_fields)}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{name} = {short(first['input'])}: {message}"

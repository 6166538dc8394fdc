"""From a campaign and one value an axis to the settings of a run, and the text that its id is made from.

Two runs of the same resolved settings are the same run, however they were written: `depth = 2, width = 32` is
`hidden = [32, 32]`, a list of equal activations is one, `loss = "auto"` is the loss that the data call for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gradsim.choices import Choice
from gradsim.cohort import batch_order, checkpoints_of, dataset_of, layer_activations, layer_rates, loss_for
from gradsim.datasets import check_label_noise
from gradsim.errors import UsageError
from gradsim.fields import LOSS_AUTO, OWN_DATA, RunFields, completed, kind_of, table_of
from gradsim.starts import check_initializers

if TYPE_CHECKING:
    from gradsim.campaign import Campaign

# What is not in the text of an id: what is switched off does not make another run.
SWITCHED_OFF_BY_0 = ("optimizer.weight_decay", "optimizer.clip_norm", "optimizer.clip_value", "loss.label_smoothing")
SWITCHES = (*SWITCHED_OFF_BY_0, "schedule.warmup")  # all that `switched_off` looks at, but for names of choices
ZERO = ("0.0", "-0.0")
_CHOICES = ("dataset", "initializer", "bias_initializer", "optimizer", "schedule")


def with_values(campaign: Campaign, values: Mapping[str, object]) -> RunFields:
    """The campaign's own fields with the values of one run over them; UsageError for a parameter out of place."""
    plain = {k: v for k, v in values.items() if "." not in k}
    settings = RunFields.model_construct(
        **({name: getattr(campaign, name) for name in RunFields.model_fields} | plain),
    )
    dotted = {k: v for k, v in values.items() if "." in k}
    return with_parameters(settings, dotted) if dotted else settings


def with_parameters(settings: RunFields, dotted: Mapping[str, object]) -> RunFields:
    """The settings with parameters by their dotted names set."""
    changed: dict[str, object] = {}
    for name, value in dotted.items():
        field, _, parameter = name.partition(".")
        current = changed.get(field, getattr(settings, field))
        if field == "learning_rate":
            changed[field] = _with_rate(settings, current, int(parameter), value)
        elif field == "activation":
            changed[field] = _with_activation_parameter(current, parameter, value)
        else:
            if current == LOSS_AUTO:
                raise UsageError(f"grid.{name}: loss = {LOSS_AUTO!r} has no parameters; name the loss")
            changed[field] = completed(field, current.having(**{parameter: value}), f"grid.{name}")
    return settings.model_copy(update=changed)


def _with_rate(settings: RunFields, current: Sequence[float], layer: int, value: float) -> tuple[float, ...]:
    layers = len(settings.widths) + 1
    if layer >= layers:
        raise UsageError(f"grid.learning_rate.{layer}: networks here have layers 0 to {layers - 1}")
    rates = list(current) * layers if len(current) == 1 else list(current)
    if len(rates) == layers:  # otherwise check_settings says what is wrong
        rates[layer] = value
    return tuple(rates)


def _with_activation_parameter(current: Sequence[Choice], parameter: str, value: float) -> tuple[Choice, ...]:
    """Set in every layer whose activation has that parameter; one at least must."""
    if not any(parameter in c.values for c in current):
        labels = ", ".join(dict.fromkeys(repr(c.name) for c in current))
        raise UsageError(f"grid.activation.{parameter}: activation {labels} has no parameter {parameter!r}")
    key = f"grid.activation.{parameter}"
    return tuple(
        completed("activation", c.having(**{parameter: value}), key) if parameter in c.values else c for c in current
    )


def check_settings(campaign: Campaign, settings: RunFields) -> None:
    """What can only be seen once all settings of a run stand together; looks at no data."""
    hidden = len(settings.widths)
    if len(settings.activation) not in (1, hidden):
        raise UsageError(
            f"activation: {len(settings.activation)} are listed for {hidden} hidden layers; give one, or one for each; "
            "activations to compare are listed in the grid"
        )
    if len(settings.learning_rate) not in (1, hidden + 1):
        raise UsageError(
            f"learning_rate: {len(settings.learning_rate)} are listed for {hidden + 1} layers of weights; give one, or "
            "one for each; rates to compare are listed in the grid"
        )
    check_initializers(settings)
    warmup = settings.schedule.values["warmup"]
    if warmup > settings.steps:
        raise UsageError(
            f"schedule: warmup = {warmup:g}, of {settings.steps} steps in all; allowed: 0 to {settings.steps}"
        )
    checkpoints_of(settings.steps, campaign.checkpoints)
    task = table_of("dataset")[settings.dataset.name].task
    check_label_noise(settings.label_noise, settings.dataset.name, task)
    if settings.loss != LOSS_AUTO and task != "auto":
        loss_for(settings, task)


# --- what a run's id is made from -----------------------------------------------------------------


def identity(settings: RunFields) -> dict[str, str]:
    """Every setting as text, choices by name and parameters, data from files by their content."""
    loss = _resolved_loss(settings)
    out = {
        "scaling": settings.scaling,
        "test_fraction": value_text(float(settings.test_fraction)),
        "data_seed": str(settings.data_seed),
        "hidden": "-".join(map(str, settings.widths)),
        "bias": str(settings.bias),
        "loss": loss.name,
        **{f"loss.{k}": value_text(v) for k, v in loss.params},
        "batch_size": str(settings.batch_size),
        "steps": str(settings.steps),
        "dtype": settings.dtype,
        "seed": str(settings.seed),
        "learning_rate": rates_text([*map(repr, layer_rates(settings))]),
    }
    if settings.label_noise:
        out["label_noise"] = value_text(float(settings.label_noise))
    if batch_order(settings) != "epoch":
        out["batch_order"] = batch_order(settings)
    for field in _CHOICES:
        choice = getattr(settings, field)
        if choice.name in OWN_DATA:
            out[field] = dataset_of(settings).fingerprint
        else:
            given = _marked(field, choice)
            out |= {field: choice.name} | {f"{field}.{k}": value_text(v) for k, v in given.items()}
    activations = distinct_activations(settings)
    out["activation"] = "-".join(map(activation_text, activations))
    for i, choice in enumerate(activations):
        owner = "activation" if len(activations) == 1 else f"activation.{i}"
        out |= {f"{owner}.{k}": value_text(v) for k, v in choice.params}
    return out


def _marked(field: str, choice: Choice) -> dict[str, object]:
    """The parameters that tell the choice from others: without those at a default that was there before they were."""
    given = choice.values
    entry = table_of(kind_of(field))[choice.name]
    for name in getattr(entry, "unmarked", ()):
        if name in given and given[name] == entry.parameters[name].default:
            del given[name]
    return given


def switched_off(parts: Mapping[str, str]) -> set[str]:
    """What is no part of an id: that which is switched off by 0, and a constant schedule without warm-up."""
    off = {name for name in SWITCHED_OFF_BY_0 if parts.get(name) in ZERO}
    if parts["schedule"] == "constant" and parts["schedule.warmup"] in ZERO:
        off |= {"schedule", "schedule.warmup"}
    return off


def _resolved_loss(settings: RunFields) -> Choice:
    """Looks at data only where the user's own decide."""
    if settings.loss != LOSS_AUTO:
        return settings.loss
    task = table_of("dataset")[settings.dataset.name].task
    return loss_for(settings, dataset_of(settings).task if task == "auto" else task)


def distinct_activations(settings: RunFields) -> tuple[Choice, ...]:
    """One choice where all hidden layers have the same, or there are none; else one for each."""
    layers = layer_activations(settings)
    return layers if len(set(map(_activation_key, layers))) > 1 else settings.activation[:1]


def activation_text(choice: Choice) -> str:
    """What tells an activation from others: its name, or its formula where it came from text, whatever it is called."""
    function = getattr(table_of("activation")[choice.name], "function", None)
    formula = getattr(function, "formula", None)
    return choice.name if formula is None else formula.identity


def _activation_key(choice: Choice) -> tuple:
    """Equal for activations that compute the same."""
    return activation_text(choice), tuple(sorted(choice.params))


def rate_text(rates: Sequence[float]) -> str:
    """A rate that is the same in all layers."""
    return repr(rates[0])


def rates_text(rates: Sequence[str]) -> str:
    """One rate where all layers have the same."""
    return ",".join(rates if len(set(rates)) > 1 else rates[:1])


def value_text(value: object) -> str:
    """A parameter's value, exact."""
    return repr(value) if isinstance(value, float) else str(value)


def same_run(settings: RunFields) -> tuple:
    """Equal for settings that are the same run; looks at no data."""
    return (
        settings.dataset.key,
        *(getattr(settings, f) for f in ("scaling", "test_fraction", "label_noise", "data_seed", "widths", "bias")),
        *(getattr(settings, f) for f in ("loss", "batch_size", "steps", "dtype", "seed")),
        batch_order(settings),
        *(getattr(settings, f).key for f in ("initializer", "bias_initializer", "optimizer", "schedule")),
        tuple(map(_activation_key, distinct_activations(settings))),
        rates_text([*map(repr, layer_rates(settings))]),
    )

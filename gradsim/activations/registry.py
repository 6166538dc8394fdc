"""The table of activations, and the decorator that enters a formula in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gradsim.activations.spec import Activation, Parameter
from gradsim.errors import UsageError, did_you_mean

ACTIVATIONS: dict[str, Activation] = {}
_ALIASES: dict[str, str] = {}


def pointwise(
    formula: str = "",
    *,
    name: str | None = None,
    aliases: tuple[str, ...] = (),
    parameters: Mapping[str, float | Parameter] | None = None,
    **properties: object,
) -> Callable[[Callable], Activation]:
    """Decorator: a function `f(z, *parameters) -> (value, slope, d/dparameter...)` becomes an Activation, by its name.

    The function is written in operators and the functions of `gradsim.lanes` (`where`, `exp`, `log1p`, ...), without
    `if`: it runs on whole vectors of networks. `parameters` maps each further argument to its default or a Parameter;
    `properties` are the fields of Activation (range, kinks, steepest, ...). What is not given of `steepest` is searched
    for numerically.

    Raises UsageError where the name is taken by another function.
    """

    def enter(function: Callable) -> Activation:
        own = {k: p if isinstance(p, Parameter) else Parameter(float(p)) for k, p in (parameters or {}).items()}
        act = Activation(
            name=name or function.__name__,
            function=function,
            formula=formula,
            aliases=aliases,
            parameters=own,
            **properties,
        )
        register(act)
        return act

    return enter


def register(act: Activation) -> None:
    """Enter an activation in the table; the same function may be entered again (a notebook cell run twice)."""
    for key in (act.name, *act.aliases):
        holder = ACTIVATIONS.get(_ALIASES.get(key, key))
        if holder is not None and _place(holder) != _place(act):
            raise UsageError(f"activation name {key!r} is taken by {holder.name!r}")
    ACTIVATIONS[act.name] = act
    _ALIASES.update(dict.fromkeys(act.aliases, act.name))


def _place(act: Activation) -> tuple[str, str]:
    """Where a formula is defined."""
    return act.function.__module__, act.function.__qualname__


def ensure_registered(act: Activation) -> None:
    """Enter an activation made by hand, so that campaigns find it by name; known functions stay as they are."""
    if act.name not in ACTIVATIONS:
        register(act)


def get(name: str | Activation, **values: object) -> Activation:
    """The activation of that name (or alias), with parameter values where given.

    Raises UsageError for an unknown name, with the nearest ones, and for values out of bounds.
    """
    if isinstance(name, Activation):
        act = name
    elif not isinstance(name, str):
        raise UsageError(f"activation {name!r}: must be a name or an Activation")
    else:
        act = ACTIVATIONS.get(_ALIASES.get(name, name))
    if act is None:
        raise UsageError(f"unknown activation {name!r}{did_you_mean(name, [*ACTIVATIONS, *_ALIASES], count=3)}")
    return act.with_values(**values) if values else act

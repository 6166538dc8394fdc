"""The table of activations, and the decorator that enters a formula in it."""

from __future__ import annotations

import copyreg
import pickle
import re
import warnings
from collections.abc import Callable, Mapping

import numpy as np

from gradsim.activations.spec import Activation, Parameter
from gradsim.errors import UsageError, did_you_mean, short
from gradsim.parameters import Parameter as BaseParameter

ACTIVATIONS: dict[str, Activation] = {}
_ALIASES: dict[str, str] = {}


def pointwise(
    formula: str = "",
    *,
    name: str | None = None,
    aliases: tuple[str, ...] = (),
    parameters: Mapping[str, float | Parameter] | None = None,
    extended: bool = False,
    reference: str = "",
    **properties: object,
) -> Callable[[Callable], Activation]:
    """Decorator: a function `f(z, *parameters) -> (value, slope, d/dparameter...)` becomes an Activation, by its name.

    The function is written in operators and the functions of `gradsim.lanes` (`where`, `exp`, `log1p`, ...), without
    `if`: it runs on whole vectors of networks. `parameters` maps each further argument to its default or a Parameter;
    `properties` are those of Activation (range, kinks, steepest, ...), each a value or a function of the parameters.
    `extended` evaluates the formula with more digits than its inputs have: slower, and a few bits of cancellation do
    no harm.

    Raises UsageError where the name is taken by another function.
    """

    if not isinstance(formula, str):
        raise UsageError("pointwise: is a decorator with arguments; write @pointwise(...), the formula in LaTeX first")

    def enter(function: Callable) -> Activation:
        owner = name or function.__name__
        own = {k: _parameter(owner, k, p) for k, p in (parameters or {}).items()}
        if not function.__module__.startswith("gradsim."):
            _check_results(owner, function, own)
        act = Activation(
            name=owner,
            function=function,
            formula=formula,
            aliases=aliases,
            parameters=own,
            properties=properties,
            extended=extended,
            reference=reference,
        )
        register(act)
        return act

    return enter


def _parameter(owner: str, name: str, given: object) -> Parameter:
    """A Parameter as it is, a number as the default of one."""
    if not isinstance(given, Parameter):
        return Parameter(BaseParameter(0.0).check(f"activation {owner!r}", name, given))
    if given.role == "shape":
        raise UsageError(f"activation {owner!r}: parameter {name!r} has role 'shape', which only whole layers have")
    return given


def _check_results(owner: str, function: Callable, parameters: Mapping[str, Parameter]) -> None:
    """Whether a user's formula gives value, slope and a derivative for each parameter, tried on a NumPy array."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = function(np.array([0.5, -0.5]), *(np.float64(p.default) for p in parameters.values()))
    except Exception as error:  # whatever a user's function raises
        raise UsageError(
            f"activation {owner!r}: its function fails on an array: {short(f'{type(error).__name__}: {error}')}; "
            "it takes z and the parameters, and is written without `if`"
        ) from None
    wanted = 2 + len(parameters)
    if not isinstance(found, tuple) or len(found) != wanted:
        got = f"{len(found)} results" if isinstance(found, tuple) else type(found).__name__
        raise UsageError(
            f"activation {owner!r}: its function returns {got}; needed: {wanted}, the value, the slope"
            + ("" if wanted == 2 else " and the derivative in each parameter")
        )


def _check_names(act: Activation) -> None:
    """Names are read back from text: letters, digits and _."""
    if not isinstance(act.aliases, tuple | list):
        raise UsageError(f"activation {act.name!r}: aliases is {short(act.aliases)}; it is a tuple of names")
    for key in (act.name, *act.aliases):
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", key):
            raise UsageError(f"activation name {short(key)}: allowed: letters, digits and _, a letter first")


def register(act: Activation) -> None:
    """Enter an activation in the table; the same function may be entered again (a notebook cell run twice)."""
    _check_names(act)
    for key in (act.name, *act.aliases):
        holder = taken_by(key)
        if holder is not None and _place(holder) != _place(act):
            raise UsageError(f"activation name {key!r} is taken by {holder.name!r}")
    ACTIVATIONS[act.name] = act
    _ALIASES.update(dict.fromkeys(act.aliases, act.name))


def taken_by(name: str) -> Activation | None:
    """The activation of that name or alias, if there is one."""
    return ACTIVATIONS.get(_ALIASES.get(name, name))


def _place(act: Activation) -> tuple[str, str]:
    """Where a formula is defined."""
    return act.function.__module__, act.function.__qualname__


def ensure_registered(act: Activation) -> None:
    """Enter an activation made by hand, so that campaigns find it by name; known functions stay as they are."""
    if act.name not in ACTIVATIONS:
        register(act)


def get(name: str | Activation, /, **values: object) -> Activation:
    """The activation of that name (or alias), with parameter values where given.

    Raises UsageError for an unknown name, with the nearest ones, and for values out of bounds.
    """
    if isinstance(name, Activation):
        act = name
    elif not isinstance(name, str):
        raise UsageError(f"activation {short(name)}: must be a name or an Activation")
    else:
        act = taken_by(name)
    if act is None:
        hint = did_you_mean(name[:100], [*ACTIVATIONS, *_ALIASES], count=3)
        raise UsageError(f"unknown activation {short(name)}{hint}")
    return act.with_values(**values) if values else act


# --- on the way to another process ----------------------------------------------------------------


def recipe(act: Activation) -> tuple[Callable, tuple]:
    """What makes an activation again: its name, its text where it came from one, and its own parameter values.

    Raises pickle.PicklingError for one that is not in the table.
    """
    holder = taken_by(act.name)
    if holder is None or holder.function is not act.function:
        raise pickle.PicklingError(f"activation {act.name!r} is not in the table of activations")
    text = getattr(act.function, "formula", None)
    own = {name: value for name, value in act.values.items() if value != act.parameters[name].default}
    return _made_again, (act.name, text.written if text else {}, own, act.reference)


def _made_again(name: str, written: Mapping[str, object], values: Mapping[str, float], reference: str) -> Activation:
    if written and name not in ACTIVATIONS:
        from gradsim.activations.symbolic import from_formula

        others = {key: value for key, value in written.items() if key != "formula"}
        from_formula(written["formula"], name=name, reference=reference, **others)
    return get(name, **values)


copyreg.pickle(Activation, recipe)

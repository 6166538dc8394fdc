"""What theory is asked about: an activation however it is named, and numbers within bounds."""

from __future__ import annotations

import math
import re

import numpy as np

from gradsim.activations import Activation, from_formula, get
from gradsim.activations.symbolic import formula_of
from gradsim.choices import parse
from gradsim.errors import GradsimError, UsageError, short

_NAMED = re.compile(r"\s*[^\W\d]\w*\s*(\(\s*([^\W\d]\w*\s*=.*)?\))?\s*", re.DOTALL)
# Standard deviations of weights and biases may be as large.
MOST_SIGMA = 1e30
_OWN = re.compile(r"(\s*[^\W\d]\w*\s*(?:\([^()]*\)\s*)?)=(?!=)(.*)", re.DOTALL)


class NoExpectation(GradsimError):
    """A mean that theory needs is infinite, or the function is not defined everywhere."""


def subject(act: str | Activation) -> Activation:
    """The pointwise activation meant: an Activation, a name, "leaky_relu(slope=0.2)", a formula in z, or a formula with
    a name, "mine=z*sin(z)" or "mine(a=2)=sin(a*z)". Raises UsageError for anything else."""
    if isinstance(act, str):
        found = read(act)
    elif isinstance(act, Activation):
        found = act
    else:
        raise UsageError(f"activation {short(act)}: must be a name, a formula or an Activation")
    if found.kind != "pointwise":
        raise UsageError(f"activation {found.name!r}: theory is of functions of one number, not of whole layers")
    return found


def read(text: str) -> Activation:
    """The activation that a text stands for: a name, "leaky_relu(slope=0.2)", a formula in z, or one with a name."""
    own = _OWN.fullmatch(text)
    if own:
        choice = parse(own[1], "activation")
        return from_formula(own[2], name=choice.name, parameters=choice.values)
    if _NAMED.fullmatch(text):
        choice = parse(text, "activation")
        return get(choice.name, **choice.values)
    return from_formula(text)


def called(act: Activation) -> str:
    """What messages and figures call it: the label, or the text of a formula without a name."""
    formula = formula_of(act)
    return formula.text if formula is not None and act.name.startswith("formula_") else act.label


def number(name: str, value: object, least: float = 0.0, most: float = math.inf) -> float:
    """A finite number within bounds; UsageError naming it otherwise."""
    good = isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)
    try:
        as_float = float(value) if good else math.nan
    except OverflowError:  # a whole number of more than 308 digits
        as_float = math.inf
    if not least <= as_float <= most or not math.isfinite(as_float):
        bounds = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
        raise UsageError(f"{name} = {short(value)}: must be a finite number {bounds}")
    return as_float


def sigma(name: str, value: object, most: float = MOST_SIGMA) -> float:
    """A standard deviation of weights or biases; UsageError naming it otherwise."""
    return number(name, value, 0.0, most)


def sigmas(name: str, values: object) -> list[float]:
    """A list of them, of any iterable of numbers; UsageError naming it otherwise."""
    try:
        listed = None if isinstance(values, str | bytes | dict) else list(values)
    except TypeError:
        listed = None
    if listed is None:
        raise UsageError(f"{name} = {short(values)}: must be a list of numbers from 0 to {MOST_SIGMA:g}")
    return [sigma(name, value) for value in listed]


def whole(name: str, value: object, least: int = 1, most: int | None = None) -> int:
    """A whole number within bounds; UsageError naming it otherwise."""
    good = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not good or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UsageError(f"{name} = {short(value)}: must be a whole number {bounds}")
    return int(value)


def finite(value: float, what: str, act: Activation, q: float) -> float:
    """The value of an expectation at variance q; NoExpectation where it is not finite."""
    if math.isfinite(value):
        return value
    why = "infinite, or too large to compute" if value == math.inf else "not defined for all pre-activations"
    raise NoExpectation(f"{called(act)}: {what} at variance {q:.6g} is {why}")

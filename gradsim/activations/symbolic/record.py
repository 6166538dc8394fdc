"""What a text formula is made of: its text in one spelling, its parameters, and the names that may stand in it.

Light on purpose: SymPy is imported where a formula is made, not where one is named.
"""

from __future__ import annotations

import dataclasses
import keyword
import re
from collections.abc import Mapping

import numpy as np

from gradsim.activations.blocks import OUTPUTS
from gradsim.activations.spec import Parameter
from gradsim.choices import LARGEST
from gradsim.errors import UsageError, did_you_mean, short
from gradsim.parameters import Parameter as Bounded

MAX_LENGTH = 1000
MAX_NAME = 40
CONSTANTS = {"pi": "3.14159...", "e": "2.71828..."}
_PLAIN = (
    *("exp", "expm1", "log", "log1p", "sqrt", "cbrt", "abs", "sign", "sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "sech", "asinh", "sigmoid", "logsigmoid", "softplus", "softsign", "erf", "erfc"),
    *("gaussian", "relu", "silu", "gelu"),
)
# Every name that can be called -> how it is written.
FUNCTIONS = {name: f"{name}(z)" for name in _PLAIN} | {
    "max": "max(a, b, ...)",
    "min": "min(a, b, ...)",
    "where": "where(condition, a, b)",
    "piecewise": "piecewise(condition, a, condition, b, ..., otherwise)",
    "logistic": "sigmoid(z)",
    "ln": "log(z)",
    "arctan": "atan(z)",
    "arcsinh": "asinh(z)",
    "swish": "silu(z)",
}
PRECISIONS = ("extended", "working")
# Keys of {formula = ..., name = ...} in a campaign, beside the parameters' own names.
KEYS = ("formula", "name", "parameters", "precision", "reference")
_ROLES = ("fixed", "learned", "random")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TOKEN = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[A-Za-z_]\w*|\*\*|//|<<|>>|->|[<>=!]=|\S", re.ASCII)
# float32, in which campaigns train unless told otherwise, holds no larger ones.
_LARGEST_DEFAULT = 3e38


def plain_name(name: str) -> str:
    """The name that a function goes by: an alias is listed under the one that it stands for."""
    return FUNCTIONS[name].partition("(")[0]


def normalized(text: str) -> str:
    """One spelling: no spaces but between words, powers as `**`. Refused where a space divides a number or operator."""
    spaced = " ".join(text.replace("^", "**").split())
    joined = re.sub(r"(?<!\w) | (?!\w)", "", spaced)
    if _TOKEN.findall(spaced) != _TOKEN.findall(joined):
        raise Refused("cannot be read: a space stands within a number or an operator")
    return joined


class FormulaWarning(UserWarning):
    """A formula is not finite somewhere, or loses accuracy when it is computed as it is written."""


class Refused(Exception):
    """What is wrong with a formula, in words that follow its text."""


@dataclasses.dataclass(frozen=True)
class Formula:
    """The definition of a text formula; equal for formulas that are the same."""

    text: str
    parameters: tuple[tuple[str, Parameter], ...] = ()
    precision: str = "extended"

    @property
    def identity(self) -> str:
        """What tells its runs apart from those of other activations."""
        roles = "".join(f";{name}:{p.role}" for name, p in self.parameters if p.role != "fixed")
        return "{" + self.text + roles + (";working" if self.precision == "working" else "") + "}"

    @property
    def written(self) -> dict[str, object]:
        """As keys and values of a campaign's table, without the name."""
        out: dict[str, object] = {"formula": self.text}
        if self.parameters:
            out["parameters"] = {name: _written(p) for name, p in self.parameters}
        if self.precision != PRECISIONS[0]:
            out["precision"] = self.precision
        return out

    @property
    def definition(self) -> str:
        """The same as it stands in a choice's label: `formula='z*sigmoid(b*z)', parameters={'b': 1.0}`."""
        return ", ".join(f"{key}={value!r}" for key, value in self.written.items())


def _written(parameter: Parameter) -> object:
    """A parameter as its default, or as a table where there is more to say."""
    plain = Parameter(parameter.default)
    more = {
        key: getattr(parameter, key)
        for key in ("low", "high", "role")
        if getattr(parameter, key) != getattr(plain, key)
    }
    return {"default": parameter.default} | more if more else parameter.default


# --- from what a user gives -----------------------------------------------------------------------


def define(text: object, parameters: object, precision: object) -> Formula:
    """A formula's definition, checked but for the expression itself. Raises UsageError."""
    checked = _text(text)
    if precision not in PRECISIONS:
        raise UsageError(f"formula {short(checked)}: precision is {short(precision)}; allowed: {', '.join(PRECISIONS)}")
    given = {} if parameters is None else parameters
    if not isinstance(given, Mapping):
        raise UsageError(f"formula {short(checked)}: parameters is {short(given)}; it maps names to numbers")
    own = {name: _parameter(checked, name, value) for name, value in given.items()}
    words = [token for token in _TOKEN.findall(checked) if _NAME.fullmatch(token)]
    for name in own:
        if name not in words:
            raise UsageError(f"formula {short(checked)}: parameter {name!r} does not occur in it")
    ordered = [name for name in dict.fromkeys(words) if name in own]
    ordered.sort(key=lambda name: own[name].role == "random")
    return Formula(checked, tuple((name, own[name]) for name in ordered), precision)


def _text(text: object) -> str:
    """The text in one spelling, of allowed characters and length."""
    if not isinstance(text, str):
        raise UsageError(f"formula {short(text)}: must be text")
    if not text.strip():
        raise UsageError(f"formula {short(text)}: is empty")
    if len(text) > MAX_LENGTH:
        raise UsageError(f"formula {short(text)}: has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    strange = re.search(r"[^A-Za-z0-9_.,()+\-*/^<>=!\s]", text, re.ASCII)
    if strange:
        raise UsageError(
            f"formula {short(text)}: the character {strange[0]!a} is not allowed; a formula has letters, digits "
            "and . , ( ) + - * / ^ < > = !"
        )
    try:
        return normalized(text)
    except Refused as error:
        raise UsageError(f"formula {short(text)}: {error}") from None


def _parameter(text: str, name: object, value: object) -> Parameter:
    owner = f"formula {short(text)}"
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > MAX_NAME or keyword.iskeyword(name):
        raise UsageError(f"{owner}: the parameter {short(name)} cannot have that name; allowed: letters, digits and _")
    if name in ("z", "self", *OUTPUTS, *CONSTANTS, *FUNCTIONS, *KEYS):
        raise UsageError(f"{owner}: the name of parameter {name!r} has a meaning already; give it another")
    if isinstance(value, Mapping):
        value = _from_table(owner, name, value)
    if not isinstance(value, Parameter):
        value = Parameter(_number(owner, name, value))
    _check_role(owner, name, value.role)
    value = _plain(owner, name, value)
    value.check(owner, name, value.default)
    if abs(value.default) > _LARGEST_DEFAULT:
        raise UsageError(f"{owner}: parameter {name!r} is {value.default:g}; allowed: up to 3e38, as float32 holds")
    return value


def _plain(owner: str, name: str, parameter: Parameter) -> Parameter:
    """The parameter with floats of Python's own, which a campaign's file keeps as they are."""
    bounds = {}
    for key in ("low", "high"):
        bound = getattr(parameter, key)
        infinite = isinstance(bound, float | np.floating) and np.isinf(bound)
        bounds[key] = float(bound) if infinite else Parameter(0.0).check(owner, f"{name}.{key}", bound)
    default = Parameter(0.0).check(owner, name, parameter.default)
    return dataclasses.replace(parameter, default=default, **bounds)


def _number(owner: str, name: str, value: object) -> float:
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UsageError(f"{owner}: parameter {name!r} is {short(value)}; allowed: numbers up to 1e30 in magnitude")
    return Parameter(0.0).check(owner, name, value)


def _from_table(owner: str, name: str, given: Mapping) -> Parameter:
    fields = ("default", "low", "high", "role")
    for key in given:
        if key not in fields:
            raise UsageError(f"{owner}: parameter {name!r} has no {short(key)}{did_you_mean(str(key)[:40], fields)}")
    if "default" not in given:
        raise UsageError(f"{owner}: parameter {name!r} needs a default, as in {{default = 1.0, role = 'learned'}}")
    role = given.get("role", _ROLES[0])
    _check_role(owner, name, role)
    numbers = {key: _number(owner, f"{name}.{key}", v) for key, v in given.items() if key != "role"}
    Bounded(**numbers).check(owner, name, numbers["default"])
    return Parameter(**numbers, role=role)


def _check_role(owner: str, name: str, role: object) -> None:
    if role not in _ROLES:
        raise UsageError(f"{owner}: parameter {name!r} has role {short(role)}; allowed: {', '.join(_ROLES)}")


def check_name(name: object) -> str:
    """A name that an activation may have."""
    if isinstance(name, str) and _NAME.fullmatch(name) and len(name) <= MAX_NAME and not keyword.iskeyword(name):
        return name
    raise UsageError(f"formula name {short(name)}: must be a letter and then letters, digits or _, at most {MAX_NAME}")

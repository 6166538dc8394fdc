"""A choice from a table, with parameters: `"normal(std=1)"`, `{name = "normal", std = 1}`, or an object.

One spelling for activations, initializers, losses, optimizers, schedules and data sets, in Python and in TOML.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
from collections.abc import Mapping

from gradsim.errors import UsageError, did_you_mean, short

# Where floating-point numbers of both precisions are far from their end: Python's own integers have none.
LARGEST = 10**30


@dataclasses.dataclass(frozen=True)
class Choice:
    """A name from a table and the parameters given for it, in the order given.

    definition: for an entry that a user made from text, what makes it again: `formula='z*sigmoid(b*z)', ...`.
    """

    name: str
    params: tuple[tuple[str, object], ...] = ()
    definition: str = ""

    @property
    def values(self) -> dict[str, object]:
        return dict(self.params)

    @property
    def label(self) -> str:
        """`name(key=value, ...)`, the form that is read back."""
        parts = [self.definition] * bool(self.definition) + [f"{k}={_written(v)}" for k, v in self.params]
        return f"{self.name}({', '.join(parts)})" if parts else self.name

    @property
    def key(self) -> tuple:
        """Hashable, and equal for equal choices; what has no plain value, such as an array, stands by its identity."""
        plain = str | int | float | None
        name = f"{self.name}({self.definition})" if self.definition else self.name
        return name, tuple((k, v if isinstance(v, plain) else ("id", id(v))) for k, v in self.params)

    def having(self, /, **values: object) -> Choice:
        """With these parameters set, others kept."""
        return dataclasses.replace(self, params=tuple((self.values | values).items()))


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return repr(value)


_CALL = re.compile(r"\s*([A-Za-z_][\w.]*)\s*\((.*)\)\s*", re.DOTALL)


def parse(value: object, key: str) -> Choice:
    """A Choice from a string, a table with `name`, or a Choice; UsageError naming the key otherwise."""
    if isinstance(value, Choice):
        return value
    if isinstance(value, str):
        call = _CALL.fullmatch(value)
        if call is None:
            return Choice(value.strip())
        return Choice(call[1], tuple(_arguments(call[2], value, key).items()))
    if isinstance(value, Mapping):
        if not isinstance(value.get("name"), str):
            raise UsageError(f'{key} = {short(dict(value))}: needs a name, as in {{name = "normal", std = 1}}')
        return Choice(value["name"], tuple((k, v) for k, v in value.items() if k != "name"))
    raise UsageError(f'{key} = {short(value)}: must be a name, "name(parameter=value)" or a table with a name')


def _arguments(text: str, value: str, key: str) -> dict[str, object]:
    """The keyword arguments between the parentheses: literals only, nothing is evaluated."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, about text that is then refused
            call = ast.parse(f"f({text})", mode="eval").body
            names = [k.arg for k in call.keywords]
            if not isinstance(call, ast.Call) or call.args or None in names or len(set(names)) < len(names):
                raise ValueError
            return {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError, TypeError, AttributeError, RecursionError, MemoryError):
        raise UsageError(
            f'{key} = {short(value)}: cannot be read; the form is "name(parameter=number, ...)", '
            "with words in quotation marks of their own, as in \"he_normal(gain='auto')\""
        ) from None


def look_up(choice: Choice, table: Mapping[str, object], key: str, noun: str) -> object:
    """The table's entry of that name or alias; UsageError with the nearest names otherwise."""
    if choice.name in table:
        return table[choice.name]
    aliases = {alias: entry for entry in table.values() for alias in getattr(entry, "aliases", ())}
    if choice.name in aliases:
        return aliases[choice.name]
    names = [*table, *aliases]
    near = next((n for n in names if n.lower() == choice.name.lower()), choice.name[:100])
    raise UsageError(f"{key}: unknown {noun} {short(choice.name)}{did_you_mean(near, names, count=3)}")


def complete(choice: Choice, entry: object, key: str, noun: str) -> Choice:
    """The choice under the entry's own name with every parameter of it, checked, defaults filled in."""
    owner = f"{key} = {entry.name!r}" if key == noun else f"{key}: {noun} {entry.name!r}"
    given = choice.values
    for name, value in given.items():
        if name not in entry.parameters:
            hint = did_you_mean(str(name)[:100], entry.parameters) if entry.parameters else "; it takes none"
            raise UsageError(f"{owner} has no parameter {short(name)}{hint}")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise UsageError(f"{owner}: parameter {name!r} is {short(value)}; allowed: numbers up to 1e30 in magnitude")
    filled = {n: p.check(owner, n, given.get(n, p.default)) for n, p in entry.parameters.items()}
    definition = getattr(getattr(entry, "function", None), "definition", "")
    return Choice(entry.name, tuple(filled.items()), definition)


def short_label(choice: Choice, defaults: Mapping[str, object]) -> str:
    """The name with the parameters that are not at their defaults."""
    return Choice(choice.name, tuple((k, v) for k, v in choice.params if defaults.get(k) != v)).label

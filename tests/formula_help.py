"""What the tests of text formulas share: a table of activations that is put back, and the exact results of a text."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from mpmath import mp
from oracles import dual
from oracles.dual import Dual

from gradsim.activations import ACTIVATIONS, registry

# Digits that leave some of what cancels, down to the smallest normal number.
_DIGITS = 340


@contextlib.contextmanager
def table_put_back() -> Iterator[None]:
    """Afterwards the table of activations is what it was before."""
    kept = [(table, dict(table)) for table in (ACTIVATIONS, registry._ALIASES)]
    try:
        yield
    finally:
        for table, before in kept:
            table.clear()
            table.update(before)


def _choose(condition, a, b):
    return a if condition else b


def _pieces(*given):
    for i in range(0, len(given) - 1, 2):
        if given[i]:
            return given[i + 1]
    return given[-1]


_NAMES = {name: getattr(dual, name) for name in dir(dual) if not name.startswith("_")}
_NAMES |= {"where": _choose, "piecewise": _pieces, "abs": dual.absolute, "logistic": dual.sigmoid, "ln": dual.log}
_NAMES |= {"arctan": dual.atan, "logsigmoid": dual.log_sigmoid, "arcsinh": dual.asinh}
_NAMES |= {
    "relu": lambda u: u if u > 0 else 0 * u,
    "silu": lambda u: u * dual.sigmoid(u),
    "gelu": lambda u: u * dual.erfc(-u / dual.sqrt(2)) / 2,
    "gaussian": lambda u: dual.exp(-u * u),
    "softsign": lambda u: u / (1 + dual.absolute(u)),
}


def exact(text: str, z: float, **parameters: float) -> tuple:
    """(value, slope, derivative in each parameter) of the text as Python reads it, over dual numbers of 340 digits."""
    code = re.sub(r"(?<![\w.])(\d+\.?\d*(e[-+]?\d+)?)", r"mpf('\1')", text.replace("^", "**"))
    inputs = {"z": z, **parameters}
    with mp.workdps(_DIGITS):
        unit = {n: tuple(mp.mpf(int(n == m)) for m in inputs) for n in inputs}
        values = {n: Dual(mp.mpf(v), unit[n]) for n, v in inputs.items()}
        constants = {"pi": +mp.pi, "e": +mp.e, "mpf": mp.mpf}
        found = eval(code, {"__builtins__": {}}, _NAMES | constants | values)
        if not isinstance(found, Dual):
            found = Dual(mp.mpf(found), (0,) * len(inputs))
        return found.value, *(mp.mpf(t) for t in found.tangents)

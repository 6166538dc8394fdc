"""Activations from text: `from_formula("z * tanh(log(1 + exp(z)))")` is an activation like any of the catalogue's.

The text is parsed (`parse.py`), never evaluated; put together in forms that keep their digits (`build.py`) from
functions that know their derivatives (`nodes.py`); differentiated by SymPy, with shared subexpressions (`program.py`);
written as a function over lanes (`source.py`); and judged against many digits (`check.py`, `properties.py`).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from typing import Literal

from gradsim.activations.registry import register, taken_by
from gradsim.activations.spec import Activation, Parameter
from gradsim.activations.symbolic.record import KEYS, Formula, FormulaWarning, Refused, check_name, define
from gradsim.errors import UsageError, short


def from_formula(
    text: str,
    name: str | None = None,
    parameters: Mapping[str, float | Parameter | Mapping] | None = None,
    reference: str = "",
    precision: Literal["extended", "working"] = "extended",
) -> Activation:
    """An activation from the text of its formula, such as `"z * sigmoid(b * z)"` with `parameters={"b": 1.0}`.

    text: in z, the parameters, numbers, `pi`, `e`, `+ - * / **` (or `^`), and the functions exp, expm1, log (ln),
        log1p, sqrt, cbrt, abs, sign, sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, sech, asinh, sigmoid (or
        logistic), logsigmoid, softplus, softsign, erf, erfc, gaussian (exp(-z^2)), relu, silu (or swish), gelu,
        max(a, b, ...), min(a, b, ...), where(condition, a, b), piecewise(condition, a, condition, b, ..., otherwise).
        A condition is a comparison, or several joined by `and`, `or`, `not`.
    name: a letter, then letters, digits or _; not that of another activation. By default `formula_` and a digest.
    parameters: name -> default, or a `Parameter` with bounds and role, or a mapping of its fields.
    precision: "extended" computes with more bits than the network's numbers have (53 for float32, about 100 for
        float64, 60 in its functions) and rounds once; "working", faster, in the network's own.

    Slopes are exact derivatives: of abs and sign 0 at 0, of max and min with a constant 0 where they meet (as PyTorch),
    of two that both vary that of the left; of where and piecewise those of the branch taken. The same formula again is
    the same activation.

    At +-inf results are those of the formula's own evaluation; where that is NaN (inf * 0), the limit, if it is the
    same at other values of the parameters, for parameters of their defaults' signs; NaN otherwise.

    Warns (FormulaWarning) where the formula is not finite, or loses more than 64 units in the last place in float64,
    with "working" precision in float32 too.
    Raises UsageError for text that is no such formula, and for a name that another activation has.
    """
    formula = define(text, parameters, precision)
    if not isinstance(reference, str):
        raise UsageError(f"formula {short(formula.text)}: reference is {short(reference)}; must be text")
    digest = hashlib.blake2b(repr(formula.written).encode(), digest_size=8).hexdigest()
    name = f"formula_{digest[:6]}" if name is None else check_name(name)
    holder = taken_by(name)
    if holder is not None:
        _check_same(holder, formula, name)
        return holder
    if name in vars(sys.modules["gradsim.activations"]):
        raise UsageError(
            f"formula {short(formula.text)}: gradsim.activations.{name} is something else; give another name"
        )
    try:
        act = _made(formula, name, f"formula_{digest}", reference)
    except Refused as error:
        raise UsageError(f"formula {short(formula.text)}: {error}") from None
    register(act)
    return act


def _check_same(holder: Activation, formula: Formula, name: str) -> None:
    other = formula_of(holder)
    if other is None:
        raise UsageError(f"formula {short(formula.text)}: the name {name!r} is taken by an activation; give another")
    if other != formula:
        raise UsageError(
            f"formula {short(formula.text)}: the name {name!r} is taken by the formula {_called(other, formula)}"
            "; give another"
        )


def _called(other: Formula, formula: Formula) -> str:
    """The other formula's text, with what is different where this is not."""
    more = []
    if other.text == formula.text and other.parameters != formula.parameters:
        more.append(f"parameters {short(other.written.get('parameters', {}))}")
    if other.text == formula.text and other.precision != formula.precision:
        more.append(f"precision {other.precision!r}")
    return short(other.text) + (f" with {' and '.join(more)}" if more else "")


def formula_of(act: Activation) -> Formula | None:
    """The definition of an activation that came from text."""
    return getattr(act.function, "formula", None)


def _made(formula: Formula, name: str, function_name: str, reference: str) -> Activation:
    # SymPy takes a quarter of a second to import: only those who write formulas wait for it.
    import sympy

    from gradsim.activations.symbolic import check, latex, limits, parse, program, properties, source

    names = [n for n, _ in formula.parameters]
    expression = parse.parse(formula.text, names)
    inputs = [parse.nodes.Z, *map(sympy.Symbol, names)]
    steps = program.program_of(program.derivatives(expression, inputs), inputs)
    extended = formula.precision == "extended"
    function = source.function_of(steps, function_name, formula.text, extended)
    ends = limits.limits_of(steps, function, [p for _, p in formula.parameters])
    if ends:
        function = source.function_of(steps, function_name, formula.text, extended, ends)
    function.formula, function.definition = formula, formula.definition
    check.check(steps, function, formula)
    return Activation(
        name=name,
        function=function,
        formula=latex.latex(formula.text),
        parameters=dict(formula.parameters),
        properties=properties.Properties(expression, steps, function).known(),
        extended=extended,
        reference=reference,
    )


__all__ = ["KEYS", "Formula", "FormulaWarning", "formula_of", "from_formula"]

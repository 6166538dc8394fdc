"""A formula ready to evaluate: value, slope and parameter derivatives over shared subexpressions.

The same steps are evaluated in mpmath, to judge the formula, and written as source over lanes (`source.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import sympy

from gradsim.activations.symbolic.nodes import CONSTANTS, Sign, Where, Z, bounded, constant_value, is_constant, value_of
from gradsim.activations.symbolic.record import Refused

# Operations after sharing; the largest of some 150 published activations needs 60.
MAX_STEPS = 1500


@dataclasses.dataclass(frozen=True)
class Program:
    """Steps, each a symbol and its expression in earlier ones, and the results in terms of them.

    Attributes:
        inputs: z and the parameters, in order.
        constants: symbols that stand for irrational numbers -> the expressions of those.
        results: value, slope and the derivative in each parameter.
        guarded: for each result, whether a NaN input would not come out as NaN by itself.
    """

    inputs: tuple[sympy.Symbol, ...]
    constants: Mapping[sympy.Symbol, sympy.Expr]
    steps: tuple[tuple[sympy.Symbol, sympy.Expr], ...]
    results: tuple[sympy.Expr, ...]
    guarded: tuple[bool, ...]

    def evaluate(self, values: Sequence[object], rounded: Callable = lambda x: x) -> list:
        """Each result at a point, in mpmath at its present precision; see `nodes.value_of`."""
        known = {symbol: constant_value(exact) for symbol, exact in self.constants.items()}
        known |= dict(zip(self.inputs, values, strict=True))
        for symbol, expression in self.steps:
            known[symbol] = value_of(expression, known, rounded)
        return [value_of(result, known, rounded) for result in self.results]


def program_of(expressions: Sequence[sympy.Expr], inputs: Sequence[sympy.Symbol]) -> Program:
    """Share what the expressions have in common. Raises Refused where too much is left."""
    constants: dict[sympy.Symbol, sympy.Expr] = {}
    folded = [_with_folded_constants(e, constants) for e in expressions]
    steps, results = sympy.cse(folded, symbols=sympy.numbered_symbols("_t"), list=True)
    size = sum(1 for _, e in [*steps, *enumerate(results)] for _ in sympy.preorder_traversal(e))
    if size > MAX_STEPS:
        raise Refused("is too complicated, with its derivatives")
    if not all(1e-300 < abs(constant_value(exact)) < 1e300 for exact in constants.values()):
        raise Refused("holds a constant that is not finite, or too large or too small")
    guarded = tuple(_loses_nan(e) for e in expressions)
    return Program(tuple(inputs), constants, tuple(steps), tuple(results), guarded)


def derivatives(expression: sympy.Expr, inputs: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
    """The expression, and its derivative in each input."""
    return [expression, *(bounded(expression.diff(symbol)) for symbol in inputs)]


def _loses_nan(expression: sympy.Expr) -> bool:
    return Z not in expression.free_symbols or expression.has(Where, Sign)


def _with_folded_constants(expression: sympy.Expr, constants: dict) -> sympy.Expr:
    """The expression with a symbol for each irrational number, as large as it can be taken."""
    if expression.is_Atom and expression not in CONSTANTS:
        return expression
    if is_constant(expression):
        return _symbol_of(expression, constants)
    fixed = [a for a in expression.args if is_constant(a)] if expression.is_Add or expression.is_Mul else []
    if all(a.is_Rational for a in fixed):
        fixed = []
    others = [_with_folded_constants(a, constants) for a in expression.args if a not in fixed]
    if fixed:
        others.append(_symbol_of(expression.func(*fixed), constants))
    return expression.func(*others)


def _symbol_of(exact: sympy.Expr, constants: dict) -> sympy.Symbol:
    found = next((s for s, e in constants.items() if e == exact), None)
    if found is None:
        found = sympy.Symbol(f"_c{len(constants)}")
        constants[found] = exact
    return found

"""From a program to a Python function over `gradsim.lanes`, with its source where tracebacks and Numba look for it."""

from __future__ import annotations

import linecache
import math
import re
from collections.abc import Callable, Sequence

import sympy
from mpmath import mp

from gradsim import lanes
from gradsim.activations.symbolic.limits import Limits
from gradsim.activations.symbolic.nodes import Abs, Condition, Power, Sign, Z, constant_value
from gradsim.activations.symbolic.program import Program

# Where a piece of source stands in the order of operations, loosest first.
_SUM, _PRODUCT, _ATOM = range(3)
_CONSTANT_DIGITS = 60
_RELATIONS = {1: ">", 0: "==", -1: "<"}
_EXACT_INTEGERS = 2**53
# What is lost of a pair of float64.
_NOTHING = 2.0**-107


def function_of(program: Program, name: str, text: str, extended: bool, limits: Limits | None = None) -> Callable:
    """The function `name(z, *parameters) -> (value, slope, derivatives...)`.

    The constants of an extended formula keep the digits that a float64 has not. `limits`: what results are at -inf and
    inf that come out as NaN there.
    """
    code = source_of(program, name, text, extended, limits)
    place = f"<{name}>"
    # The functions that the source names are all there is. As if typed by the user: in a module that is none of the
    # package's, and that the next process, which finds the compiled function on disk, has too.
    words = set(re.findall(r"\w+", code))
    namespace = {word: getattr(lanes, word) for word in lanes.__all__ if word in words}
    namespace |= {"abs": abs, "__builtins__": {}, "__name__": "__main__"}
    exec(compile(code, place, "exec"), namespace)  # source written below, from a tree of known nodes
    linecache.cache[place] = (len(code), None, code.splitlines(keepends=True), place)
    return namespace[name]


def source_of(program: Program, name: str, text: str, extended: bool, limits: Limits | None = None) -> str:
    """Python source of the function."""
    writer = _Writer(program, extended)
    ends = limits.results if limits else ((None, None),) * len(program.results)
    signs = limits.signs if limits else (0,) * (len(program.inputs) - 1)
    known = "".join(f" & ({_name(s)} {_RELATIONS[sign]} 0)" for s, sign in zip(program.inputs[1:], signs, strict=True))
    results = [writer.result(*of, known) for of in zip(program.results, program.guarded, ends, strict=True)]
    inputs = ", ".join(_name(s) for s in program.inputs)
    lines = [f"def {name}({inputs}):", f'    """{text}"""', *(f"    {line}" for line in writer.lines)]
    return "\n".join([*lines, f"    return {', '.join(results)}"]) + "\n"


class _Writer:
    """Expressions as source: assignments in `lines`, the rest in the text that is returned."""

    def __init__(self, program: Program, extended: bool):
        self.extended = extended
        self.lines: list[str] = []
        self.names: dict[str, str] = {}
        with mp.workdps(_CONSTANT_DIGITS):
            self.numbers = {symbol: constant_value(exact) for symbol, exact in program.constants.items()}
            for symbol, expression in program.steps:
                number = self._number(expression)
                if number is not None:
                    self.numbers[symbol] = number
                else:
                    self.lines.append(f"{symbol} = {self._text(expression, _SUM)}")

    def result(self, expression: sympy.Expr, guard: bool, limits: Sequence[object | None], known: str) -> str:
        """A result, NaN where z is and it would not be so by itself; its limits where it is NaN at +-inf.

        known: source of what else the limits depend on, after an `&`.
        """
        with mp.workdps(_CONSTANT_DIGITS):
            text = self._text(expression, _SUM)
            for end, limit in zip(("-1e999", "1e999"), limits, strict=True):
                if limit is not None:
                    name = self._named(text)
                    text = f"where(({Z} == {end}) & ({name} != {name}){known}, {self._constant(limit)}, {name})"
        return f"where({Z} == {Z}, {text}, {Z})" if guard else text

    # --- numbers ----------------------------------------------------------------------------------

    def _number(self, expression: sympy.Expr) -> object | None:
        """The value of what is constant."""
        if expression.is_Rational:
            return mp.mpf(expression.p) / expression.q
        if expression in self.numbers:
            return self.numbers[expression]
        if (expression.is_Mul or expression.is_Add) and all(self._number(a) is not None for a in expression.args):
            return (mp.fprod if expression.is_Mul else mp.fsum)([self._number(a) for a in expression.args])
        return None

    def _low(self, number: object) -> float:
        """What the nearest float64 to a number leaves, where that is used."""
        low = float(number - float(number)) if self.extended and mp.isfinite(number) else 0.0
        return low if abs(low) > _NOTHING * abs(number) else 0.0

    def _scaled(self, text: str, strength: int, number: object) -> tuple[str, int]:
        """number * text."""
        inner = text if strength >= _PRODUCT else f"({text})"
        if number == 1:
            return text, strength
        return (f"-{inner}", _SUM) if number == -1 else (f"{self._constant(number)} * {inner}", _PRODUCT)

    def _constant(self, number: object) -> str:
        """Source of a number, with all the digits that are used."""
        low = self._low(number)
        return f"constant({_literal(number)}, {_literal(low)}, {Z})" if low else _literal(number)

    def _named(self, text: str) -> str:
        """A variable that holds the text's value."""
        if text not in self.names:
            self.names[text] = f"_s{len(self.names)}"
            self.lines.append(f"{self.names[text]} = {text}")
        return self.names[text]

    # --- expressions ------------------------------------------------------------------------------

    def _text(self, expression: sympy.Expr, least: int) -> str:
        """Source of an expression, in parentheses where it binds less than `least`."""
        text, strength = self._written(expression)
        return text if strength >= least else f"({text})"

    def _written(self, expression: sympy.Expr) -> tuple[str, int]:
        number = self._number(expression)
        if number is not None:
            return _literal(number), _ATOM if number >= 0 else _SUM
        if expression.is_Symbol:
            return _name(expression), _ATOM
        if expression.is_Add:
            return self._sum(expression)
        if expression.is_Mul or expression.is_Pow:
            return self._product(expression)
        return self._call(expression)

    def _sum(self, expression: sympy.Expr) -> tuple[str, int]:
        fixed, others = self._split(expression.args)
        constant = mp.fsum(fixed)
        pieces = [self._text(a, _SUM) for a in others]
        # What is subtracted comes last, after a sign of its own.
        pieces.sort(key=lambda piece: piece.startswith("-"))
        low = self._low(constant)
        if low:
            pieces.append(_literal(low))
        if constant:
            pieces.insert(len(pieces) if low else 0, _literal(constant))
        text = pieces[0]
        for piece in pieces[1:]:
            text += f" - {piece[1:]}" if piece.startswith("-") else f" + {piece}"
        return text, _SUM

    def _product(self, expression: sympy.Expr) -> tuple[str, int]:
        fixed, others = self._split(expression.args if expression.is_Mul else [expression])
        above, below = [], []
        for factor in others:
            if factor.is_Pow and factor.exp < 0:
                below.append(self._power(factor.base, -factor.exp))
            else:
                above.append(self._power(factor.base, factor.exp) if factor.is_Pow else self._text(factor, _PRODUCT))
        constant = mp.fprod(fixed)
        if not above and below and not self._low(constant):
            above, constant = [_literal(constant)], mp.mpf(1)
        text = " * ".join(above) or "1"
        if below:
            alone = len(below) == 1 and (" * " not in below[0] or below[0].endswith(")"))
            text += " / " + (below[0] if alone else f"({' * '.join(below)})")
        several = len(above) + len(below) > 1
        return self._scaled(text, _PRODUCT if several else _strength(text), constant)

    def _split(self, parts: object) -> tuple[list, list]:
        """Numbers, and the rest."""
        numbers = [(self._number(a), a) for a in parts]
        return [n for n, _ in numbers if n is not None], [a for n, a in numbers if n is None]

    def _power(self, base: sympy.Expr, exponent: sympy.Integer) -> str:
        """base^exponent, exponent > 0, by repeated squaring."""
        text = self._text(base, _ATOM)
        if exponent == 1:
            return text
        return self._chain(text if text.isidentifier() else self._named(text), exponent)

    def _chain(self, text: str, exponent: sympy.Integer) -> str:
        factors, n = [], int(exponent)
        while n:
            if n & 1:
                factors.append(text)
            n >>= 1
            if n == 1 and not factors:
                return f"{text} * {text}"
            if n:
                text = self._named(f"{text} * {text}")
        return " * ".join(factors)

    def _half_power(self, base: sympy.Expr, exponent: sympy.Rational) -> tuple[str, int]:
        """base^(n + 1/2)."""
        name = self._text(base, _ATOM)
        name = name if name.isidentifier() else self._named(name)
        whole = exponent - sympy.Rational(1, 2)
        chain = self._chain(name, abs(whole)) if whole else "1"
        return f"sqrt({name}) {'*' if whole >= 0 else '/'} ({chain})", _PRODUCT

    def _call(self, expression: sympy.Expr) -> tuple[str, int]:
        if isinstance(expression, Condition):
            a, b = (self._text(side, _SUM) for side in expression.args)
            return f"({a} {expression.symbol} {b})", _ATOM
        if isinstance(expression, Power) and (2 * expression.args[1]).is_Integer:
            return self._half_power(*expression.args)
        arguments = [self._text(a, _SUM) for a in expression.args]
        if isinstance(expression, Sign):
            (x,) = arguments
            return f"where({x} > 0, 1, where({x} < 0, -1, 0))", _ATOM
        if "{}" in expression.lanes:
            return expression.lanes.format(*arguments), _ATOM
        name = "abs" if isinstance(expression, Abs) else expression.lanes
        return f"{name}({', '.join(arguments)})", _ATOM


def _name(symbol: sympy.Symbol) -> str:
    """The name of an input in the source: a function keeps its own from a parameter that is called the same."""
    return f"_{symbol}" if str(symbol) in lanes.__all__ else str(symbol)


def _strength(text: str) -> int:
    """How tightly the text of a single factor binds."""
    return _ATOM if text.isidentifier() or text.endswith(")") else _PRODUCT


def _literal(number: object) -> str:
    """The nearest float64, as an integer where it is one."""
    nearest = float(number)
    if math.isinf(nearest):
        return "1e999" if nearest > 0 else "-1e999"
    return str(int(nearest)) if nearest.is_integer() and abs(nearest) <= _EXACT_INTEGERS else repr(nearest)

"""From the text of a formula to an expression: read by Python's parser, translated node by node, never evaluated.

What is not listed here does not exist: no names but z, the parameters, the constants and the functions; no attributes,
subscripts, calls of anything else, strings or keywords. Sizes are bounded before anything is computed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Sequence

import sympy

from gradsim.activations.symbolic import build, nodes
from gradsim.activations.symbolic.record import CONSTANTS, FUNCTIONS, Refused, plain_name
from gradsim.errors import did_you_mean, short

MAX_DEPTH, MAX_NODES, MAX_EXPONENT = 50, 400, 64
LARGEST, SMALLEST = 1e30, 1e-30
# What intermediate results may reach, such as the coefficient of (100 z)^64.
_MOST_DIGITS = 300

_TWO = sympy.Integer(2)
_COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


def _gelu(u):
    return u * nodes.Erfc(-u / nodes.Sqrt(_TWO)) / 2


def _relu(u):
    return build.extremum(nodes.Max, u, sympy.Integer(0))


_OF_ONE: dict[str, Callable[[sympy.Expr], sympy.Expr]] = {
    "exp": build.exponential,
    "expm1": nodes.Expm1,
    "log": build.logarithm,
    "log1p": build.log_of_one_plus,
    "sqrt": nodes.Sqrt,
    "cbrt": nodes.Cbrt,
    "abs": nodes.Abs,
    "sign": nodes.Sign,
    "sin": nodes.Sin,
    "cos": nodes.Cos,
    "tan": nodes.Tan,
    "asin": nodes.Asin,
    "acos": nodes.Acos,
    "atan": nodes.Atan,
    "sinh": nodes.Sinh,
    "cosh": nodes.Cosh,
    "tanh": nodes.Tanh,
    "sech": nodes.Sech,
    "asinh": nodes.Asinh,
    "sigmoid": nodes.Sigmoid,
    "logsigmoid": lambda u: -nodes.Softplus(-u),
    "softplus": nodes.Softplus,
    "softsign": lambda u: u / (1 + nodes.Abs(u)),
    "erf": nodes.Erf,
    "erfc": nodes.Erfc,
    "gaussian": lambda u: nodes.Exp(-(u**2)),
    "relu": _relu,
    "silu": lambda u: u * nodes.Sigmoid(u),
    "gelu": _gelu,
}
_NAMES = {"z": nodes.Z, "pi": nodes.PI, "e": nodes.E}


def parse(text: str, parameters: Sequence[str]) -> sympy.Expr:
    """The expression of a formula in z and the parameters. Raises Refused."""
    expression = _Translator(parameters).value(_tree(text), 0)
    if nodes.Z not in expression.free_symbols:
        raise Refused("does not depend on z")
    return expression


def _tree(text: str) -> ast.expr:
    """Python's syntax tree of the text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, about text that is then refused
            tree = ast.parse(" ".join(text.replace("^", "**").split()), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" at character {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise Refused(f'cannot be read{where}; write it as in "z * tanh(log(1 + exp(z)))"') from None
    if sum(1 for _ in ast.walk(tree)) > 3 * MAX_NODES:
        raise Refused(f"has too many terms; at most {MAX_NODES} numbers, names and operations are allowed")
    return tree


class _Translator:
    """Syntax tree -> expression; a bound method a kind of node."""

    def __init__(self, parameters: Sequence[str]):
        self.names = _NAMES | {name: sympy.Symbol(name) for name in parameters}
        self.parameters = list(parameters)

    def value(self, node: ast.expr, depth: int) -> sympy.Expr:
        """The expression of a node that stands for a number."""
        translate = {
            ast.Constant: self._number,
            ast.Name: self._name,
            ast.UnaryOp: self._signed,
            ast.BinOp: self._operation,
            ast.Call: self._call,
        }.get(type(node))
        if translate is None:
            if isinstance(node, ast.Compare | ast.BoolOp):
                raise Refused("a comparison may only be the condition of where(condition, a, b) or piecewise")
            raise Refused(f"{_shown(node)} is not allowed; {_ALLOWED}")
        if depth > MAX_DEPTH:
            raise Refused(f"is too deep; at most {MAX_DEPTH} functions and operations one within another are allowed")
        return _bounded(translate(node, depth + 1))

    # --- numbers, names, operators ----------------------------------------------------------------

    def _number(self, node: ast.Constant, depth: int) -> sympy.Expr:
        if type(node.value) not in (int, float):
            raise Refused(f"{short(node.value, 30)} is not allowed; {_ALLOWED}")
        if node.value != 0 and not SMALLEST <= node.value <= LARGEST:
            raise Refused(f"the number {short(node.value, 30)} is too large or too small; allowed: 1e-30 to 1e30")
        # As it is written: 0.1 is a tenth, so that sums and powers of what users type come out as they mean them.
        return sympy.Rational(str(node.value))

    def _name(self, node: ast.Name, depth: int) -> sympy.Expr:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in FUNCTIONS:
            raise Refused(f"{node.id} is a function; write {node.id}(z)")
        near = did_you_mean(node.id[:40], ["z", *self.parameters, *CONSTANTS, *FUNCTIONS])
        hint = near if "did you mean" in near else ""
        name = short(node.id, 40)
        raise Refused(f"unknown name {name}: a parameter needs a value, as in parameters={{{name}: 1.0}}{hint}")

    def _signed(self, node: ast.UnaryOp, depth: int) -> sympy.Expr:
        if not isinstance(node.op, ast.USub | ast.UAdd):
            raise Refused(f"{_shown(node)} is not allowed; {_ALLOWED}")
        inner = self.value(node.operand, depth)
        return -inner if isinstance(node.op, ast.USub) else inner

    def _operation(self, node: ast.BinOp, depth: int) -> sympy.Expr:
        if not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow):
            raise Refused(f"{_shown(node)} is not allowed; {_ALLOWED}")
        left, right = self.value(node.left, depth), self.value(node.right, depth)
        if isinstance(node.op, ast.Add | ast.Sub):
            return build.add(left, right if isinstance(node.op, ast.Add) else -right)
        if isinstance(node.op, ast.Mult):
            return build.multiply(left, right)
        if isinstance(node.op, ast.Div):
            if right == 0:
                raise Refused("divides by 0")
            return build.multiply(left, build.power(right, sympy.Integer(-1)))
        return _power(left, right)

    # --- calls ------------------------------------------------------------------------------------

    def _call(self, node: ast.Call, depth: int) -> sympy.Expr:
        if not isinstance(node.func, ast.Name):
            raise Refused(f"{_shown(node.func)} cannot be called; {_ALLOWED}")
        name = node.func.id
        if name not in FUNCTIONS:
            if name in self.names:
                raise Refused(f"{name} is no function; write a product with *")
            raise Refused(f"unknown function {short(name, 40)}{did_you_mean(name[:40], FUNCTIONS, count=1)}")
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise Refused(f"{name} takes plain arguments only, as in {FUNCTIONS[name]}")
        name = plain_name(name)
        given = node.args
        if name in ("max", "min") and len(given) >= 2:
            return self._extremum(nodes.Max if name == "max" else nodes.Min, given, depth)
        if (name == "where" and len(given) == 3) or (name == "piecewise" and len(given) >= 3 and len(given) % 2):
            return self._choice(given, depth)
        if name in _OF_ONE and len(given) == 1:
            return _OF_ONE[name](self.value(given[0], depth))
        raise Refused(f"{name} is written {FUNCTIONS[name]}, not with {len(given)} arguments")

    def _extremum(self, kind: type, given: Sequence[ast.expr], depth: int) -> sympy.Expr:
        first, *others = (self.value(a, depth) for a in given)
        for other in others:
            first = build.extremum(kind, first, other)
        return first

    def _choice(self, given: Sequence[ast.expr], depth: int) -> sympy.Expr:
        """where(condition, a, b), and piecewise(condition, a, condition, b, ..., otherwise)."""
        out = self.value(given[-1], depth)
        for i in reversed(range(0, len(given) - 1, 2)):
            out = nodes.where(self._condition(given[i], depth), self.value(given[i + 1], depth), out)
        return out

    def _condition(self, node: ast.expr, depth: int) -> object:
        if depth > MAX_DEPTH:
            raise Refused(f"is too deep; at most {MAX_DEPTH} functions and operations one within another are allowed")
        if isinstance(node, ast.BoolOp):
            join = nodes.both if isinstance(node.op, ast.And) else nodes.either
            first, *others = (self._condition(v, depth + 1) for v in node.values)
            for other in others:
                first = join(first, other)
            return first
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return nodes.opposite(self._condition(node.operand, depth + 1))
        if not isinstance(node, ast.Compare) or any(type(op) not in _COMPARISONS for op in node.ops):
            raise Refused(f"{_shown(node)} is no condition; write a comparison, as in where(z > 0, z, 0)")
        sides = [self.value(side, depth + 1) for side in (node.left, *node.comparators)]
        out: object = True
        for a, b, op in zip(sides, sides[1:], node.ops, strict=False):
            out = nodes.both(out, nodes.compare(_COMPARISONS[type(op)], a, b))
        return out


_ALLOWED = "allowed: z, parameters, numbers, + - * / ** and the listed functions"


def _power(base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
    if base == nodes.E:
        return build.exponential(exponent)
    if exponent.is_Rational:
        if abs(exponent) > MAX_EXPONENT:
            raise Refused(f"the exponent {short(float(exponent), 30)} is too large; at most {MAX_EXPONENT} is allowed")
        if base == 0 and exponent <= 0:
            raise Refused("divides by 0")
    return build.power(base, exponent)


def _bounded(expression: sympy.Expr) -> sympy.Expr:
    """The expression, if none of its outer numbers grew beyond use: SymPy multiplies them out of its own accord."""
    if expression.is_finite is False or expression.has(sympy.nan, sympy.zoo, sympy.oo):
        raise Refused("divides by 0")
    terms = expression.args if expression.is_Add else (expression,)
    for term in terms:
        factor, rest = term.as_coeff_Mul()
        if max(factor.p.bit_length(), factor.q.bit_length()) > _MOST_DIGITS * 3.3:
            raise Refused("holds a number that is too large; allowed: up to 1e30")
        for part in rest.args if rest.is_Mul else (rest,):
            if part.is_Pow and abs(part.exp) > MAX_EXPONENT:
                raise Refused(f"the exponent {part.exp} is too large; at most {MAX_EXPONENT} is allowed")
    return nodes.bounded(expression)


def _shown(node: ast.AST) -> str:
    """A piece of the formula, as it might have been written."""
    try:
        return short(re.sub(r"\s+", " ", ast.unparse(node)), 40)
    except (RecursionError, ValueError):
        return "this"

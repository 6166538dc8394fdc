"""The text of a formula as LaTeX, in the order that it was written in; what matplotlib's mathtext can set, too."""

from __future__ import annotations

import ast

_SUM, _PRODUCT, _POWER, _ATOM = range(4)
_BINARY = {ast.Add: (" + ", _SUM), ast.Sub: (" - ", _SUM), ast.Mult: (r" \, ", _PRODUCT)}
_COMPARISONS = {ast.Lt: "<", ast.LtE: r"\leq", ast.Gt: ">", ast.GtE: r"\geq", ast.Eq: "=", ast.NotEq: r"\neq"}
_COMMANDS = {name: rf"\{name}" for name in ("log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min")}
_COMMANDS |= {"ln": r"\log", "sigmoid": r"\sigma", "logistic": r"\sigma", "atan": r"\arctan", "arctan": r"\arctan"}
_COMMANDS |= {"asin": r"\arcsin", "acos": r"\arccos"}
_GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "mu", "nu", "xi", "rho"}
_GREEK |= {"sigma", "tau", "phi", "chi", "psi", "omega", "pi"}


def latex(text: str) -> str:
    """LaTeX of a formula that has been parsed without complaint."""
    return _latex(ast.parse(text, mode="eval").body)[0]


def _latex(node: ast.expr) -> tuple[str, int]:
    """LaTeX of a node, and how tightly it binds."""
    if isinstance(node, ast.Constant):
        return _number(node.value), _ATOM
    if isinstance(node, ast.Name):
        return _name(node.id), _ATOM
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            return rf"\text{{not }} {_bound(node.operand, _ATOM)}", _SUM
        return ("-" if isinstance(node.op, ast.USub) else "") + _bound(node.operand, _PRODUCT), _SUM
    if isinstance(node, ast.BinOp):
        return _operation(node)
    if isinstance(node, ast.Compare):
        pieces = [_bound(node.left, _SUM)]
        for op, side in zip(node.ops, node.comparators, strict=True):
            pieces += [_COMPARISONS[type(op)], _bound(side, _SUM)]
        return " ".join(pieces), _SUM
    if isinstance(node, ast.BoolOp):
        word = "and" if isinstance(node.op, ast.And) else "or"
        sides = [_bound(v, _ATOM if isinstance(v, ast.BoolOp) else _SUM) for v in node.values]
        return rf" \text{{ {word} }} ".join(sides), _SUM
    return _call(node)


def _bound(node: ast.expr, least: int) -> str:
    """LaTeX of a node, in parentheses where it binds less than `least`."""
    text, strength = _latex(node)
    return text if strength >= least else rf"\left({text}\right)"


def _number(value: float) -> str:
    text = repr(value)
    digits, e, exponent = text.partition("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if e else text.removesuffix(".0")


def _name(name: str) -> str:
    if name in _GREEK:
        return f"\\{name}"
    stem, underscore, index = name.partition("_")
    if underscore and stem and index:
        return f"{_name(stem)}_{{{index}}}".replace("_{_", "_{")
    return name if len(name) == 1 else rf"\mathrm{{{name.replace('_', '')}}}"


def _operation(node: ast.BinOp) -> tuple[str, int]:
    if isinstance(node.op, ast.Div):
        return rf"\frac{{{_bound(node.left, _SUM)}}}{{{_bound(node.right, _SUM)}}}", _PRODUCT
    if isinstance(node.op, ast.Pow):
        return f"{_bound(node.left, _ATOM)}^{{{_bound(node.right, _SUM)}}}", _POWER
    sign, strength = _BINARY[type(node.op)]
    if isinstance(node.op, ast.Mult) and isinstance(node.right, ast.Constant):
        sign = r" \cdot "
    signed = isinstance(node.left, ast.UnaryOp)
    # What is subtracted must not fall apart, nor may two signs meet; a sum after a plus may.
    least = strength + (isinstance(node.op, ast.Sub) or isinstance(node.right, ast.UnaryOp))
    return _bound(node.left, _SUM if signed else strength) + sign + _bound(node.right, least), strength


def _call(node: ast.Call) -> tuple[str, int]:
    name, given = node.func.id, node.args
    if name == "exp":
        return f"e^{{{_bound(given[0], _SUM)}}}", _POWER
    if name == "sqrt":
        return rf"\sqrt{{{_bound(given[0], _SUM)}}}", _ATOM
    if name == "abs":
        return rf"\left|{_bound(given[0], _SUM)}\right|", _ATOM
    if name in ("where", "piecewise"):
        text = _bound(given[-1], _SUM)
        for i in reversed(range(0, len(given) - 1, 2)):
            text = rf"{_bound(given[i + 1], _SUM)} \text{{ if }} {_bound(given[i], _SUM)} \text{{ else }} {text}"
        return text, -1
    command = _COMMANDS.get(name, rf"\mathrm{{{name}}}")
    return rf"{command}\left({', '.join(_bound(a, _SUM) for a in given)}\right)", _ATOM

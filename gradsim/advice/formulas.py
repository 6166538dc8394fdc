"""Activations as source for PyTorch, Keras and JAX.

A formula that a user typed is Python but for what its functions are called: the tree of it is rewritten, name by name.
Activations of the catalogue that frameworks have are called by their name there; others that people use are formulas in
`TEXTS`. Everything is written for `z`, a tensor.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping

from gradsim.activations import Activation
from gradsim.activations.symbolic import formula_of
from gradsim.activations.symbolic.record import plain_name
from gradsim.errors import UsageError

FRAMEWORKS = ("pytorch", "keras", "jax")
TITLES = {"pytorch": "PyTorch", "keras": "Keras", "jax": "JAX"}

# --- of the catalogue -----------------------------------------------------------------------------

# Activation -> source; {name} is a parameter. Where a framework has no entry, TEXTS has the formula.
NATIVE: Mapping[str, Mapping[str, str]] = {
    "pytorch": {
        "identity": "z",
        "relu": "torch.relu(z)",
        "leaky_relu": "F.leaky_relu(z, {slope})",
        "elu": "F.elu(z, {alpha})",
        "selu": "F.selu(z)",
        "celu": "F.celu(z, {alpha})",
        "gelu": "F.gelu(z)",
        "gelu_tanh": 'F.gelu(z, approximate="tanh")',
        "silu": "F.silu(z)",
        "mish": "F.mish(z)",
        "softplus": "F.softplus(z)",
        "logsigmoid": "F.logsigmoid(z)",
        "softsign": "F.softsign(z)",
        "tanh": "torch.tanh(z)",
        "sigmoid": "torch.sigmoid(z)",
        "relu6": "F.relu6(z)",
        "hardswish": "F.hardswish(z)",
        "hardsigmoid": "F.hardsigmoid(z)",
        "tanhshrink": "F.tanhshrink(z)",
        "hardtanh": "F.hardtanh(z, {min_val}, {max_val})",
        "hardshrink": "F.hardshrink(z, {lambd})",
        "softshrink": "F.softshrink(z, {lambd})",
    },
    "jax": {
        "identity": "z",
        "relu": "jax.nn.relu(z)",
        "leaky_relu": "jax.nn.leaky_relu(z, {slope})",
        "elu": "jax.nn.elu(z, {alpha})",
        "selu": "jax.nn.selu(z)",
        "celu": "jax.nn.celu(z, {alpha})",
        "gelu": "jax.nn.gelu(z, approximate=False)",
        "gelu_tanh": "jax.nn.gelu(z, approximate=True)",
        "silu": "jax.nn.silu(z)",
        "mish": "jax.nn.mish(z)",
        "softplus": "jax.nn.softplus(z)",
        "logsigmoid": "jax.nn.log_sigmoid(z)",
        "softsign": "jax.nn.soft_sign(z)",
        "tanh": "jnp.tanh(z)",
        "sigmoid": "jax.nn.sigmoid(z)",
        "relu6": "jax.nn.relu6(z)",
        "hardswish": "jax.nn.hard_swish(z)",
        "hardsigmoid": "jax.nn.hard_sigmoid(z)",
        "squareplus": "jax.nn.squareplus(z, {b})",
    },
    "keras": {
        "identity": "z",
        "relu": "keras.activations.relu(z)",
        "leaky_relu": "keras.activations.leaky_relu(z, negative_slope={slope})",
        "elu": "keras.activations.elu(z, alpha={alpha})",
        "selu": "keras.activations.selu(z)",
        "celu": "keras.activations.celu(z, alpha={alpha})",
        "gelu": "keras.activations.gelu(z, approximate=False)",
        "gelu_tanh": "keras.activations.gelu(z, approximate=True)",
        "silu": "keras.activations.silu(z)",
        "mish": "keras.activations.mish(z)",
        "softplus": "keras.activations.softplus(z)",
        "logsigmoid": "keras.activations.log_sigmoid(z)",
        "softsign": "keras.activations.softsign(z)",
        "tanh": "keras.activations.tanh(z)",
        "sigmoid": "keras.activations.sigmoid(z)",
        "relu6": "keras.activations.relu6(z)",
    },
}
# Activation -> its formula, as a user would type it.
TEXTS: Mapping[str, str] = {
    "hardtanh": "min(max(z, min_val), max_val)",
    "hardswish": "z*min(max(z+3, 0), 6)/6",
    "hardsigmoid": "min(max(z+3, 0), 6)/6",
    "hardshrink": "where(abs(z) > lambd, z, 0)",
    "softshrink": "where(z > lambd, z - lambd, where(z < -lambd, z + lambd, 0))",
    "tanhshrink": "z - tanh(z)",
    "squareplus": "(z + sqrt(z**2 + b))/2",
    "binary_step": "where(z > 0, 1, 0)",
    "thresholded_relu": "where(z > theta, z, 0)",
    "relu_squared": "relu(z)**2",
    "logistic": "L*sigmoid(k*(z - x0))",
    "scaled_tanh": "a*tanh(b*z)",
    "atan": "atan(z)",
    "erf": "erf(z)",
    "swish_beta": "z*sigmoid(beta*z)",
    "quick_gelu": "z*sigmoid(1.702*z)",
    "lisht": "z*tanh(z)",
    "bent_identity": "(sqrt(z**2 + 1) - 1)/2 + z",
    "exponential": "exp(z)",
    "sinusoid": "sin(z)",
    "cosine": "1 - cos(z)",
    "snake": "z + sin(frequency*z)**2/frequency",
    "gaussian": "gaussian(z)",
    "e_swish": "beta*z*sigmoid(z)",
    "tanhexp": "z*tanh(exp(z))",
    "serf": "z*erf(softplus(z))",
    "gcu": "z*cos(z)",
    "penalized_tanh": "where(z > 0, tanh(z), a*tanh(z))",
    "square": "z**2",
    "cube": "z**3",
    "siren": "sin(omega*z)",
    "isru": "z/sqrt(1 + alpha*z**2)",
    "symlog": "sign(z)*log1p(abs(z))",
}


def activation_source(act: Activation, framework: str) -> str:
    """The value of an activation at `z`, as an expression. Raises UsageError where it cannot be written."""
    if act.learned or act.random:
        how = "learned" if act.learned else "random"
        raise UsageError(f"code: {act.name!r} has {how} parameters, which plain {TITLES[framework]} code has not")
    native = NATIVE[framework].get(act.name)
    if native is not None:
        return native.format(**{name: f"{value!r}" for name, value in act.values.items()})
    formula = formula_of(act)
    text = formula.text if formula is not None else TEXTS.get(act.name)
    if text is None:
        raise UsageError(
            f"code: {act.name!r} is no function of {TITLES[framework]}; to have code give its formula, mine=..."
        )
    return rewritten(text, act.values, framework)


# --- formulas -------------------------------------------------------------------------------------

_SAME = ("exp", "expm1", "log", "log1p", "sqrt", "abs", "sign", "sin", "cos", "tan", "sinh", "cosh", "tanh")
_ARC = ("asin", "acos", "atan", "asinh")
# Formula's name -> source with {0} for the argument.
WORDS: Mapping[str, Mapping[str, str]] = {
    "pytorch": {name: f"torch.{name}({{0}})" for name in (*_SAME, *_ARC, "erf", "erfc", "sigmoid", "relu")}
    | {
        "logsigmoid": "F.logsigmoid({0})",
        "softplus": "F.softplus({0})",
        "softsign": "F.softsign({0})",
        "silu": "F.silu({0})",
        "gelu": "F.gelu({0})",
        "cbrt": "torch.sign({0}) * torch.abs({0}) ** (1 / 3)",
        "where": "torch.where({0}, {1}, {2})",
    },
    "jax": {name: f"jnp.{name}({{0}})" for name in (*_SAME, "cbrt")}
    | {name: f"jnp.arc{name[1:]}({{0}})" for name in _ARC}
    | {name: f"jax.nn.{name}({{0}})" for name in ("sigmoid", "relu", "softplus", "silu")}
    | {
        "erf": "jax.scipy.special.erf({0})",
        "erfc": "jax.scipy.special.erfc({0})",
        "logsigmoid": "jax.nn.log_sigmoid({0})",
        "softsign": "jax.nn.soft_sign({0})",
        "gelu": "jax.nn.gelu({0}, approximate=False)",
        "where": "jnp.where({0}, {1}, {2})",
    },
    "keras": {name: f"ops.{name}({{0}})" for name in (*_SAME, "erf", "sigmoid", "relu", "softplus", "silu")}
    | {name: f"ops.arc{name[1:]}({{0}})" for name in _ARC}
    | {
        "erfc": "1 - ops.erf({0})",
        "logsigmoid": "ops.log_sigmoid({0})",
        "softsign": "ops.softsign({0})",
        "gelu": "ops.gelu({0}, approximate=False)",
        "cbrt": "ops.sign({0}) * ops.abs({0}) ** (1 / 3)",
        "where": "ops.where({0}, {1}, {2})",
    },
}
# What becomes of functions that frameworks have not.
_INSTEAD = {"sech": "1 / cosh({0})", "gaussian": "exp(-({0}) ** 2)"}


def rewritten(text: str, values: Mapping[str, float], framework: str) -> str:
    """A formula's text, as it was checked before, in a framework's names; parameters as numbers."""
    tree = ast.parse(text.strip(), mode="eval").body
    return ast.unparse(_Rewriter(values, framework).visit(tree))


class _Rewriter(ast.NodeTransformer):
    """Names, conditions and calls of a formula as those of a framework."""

    def __init__(self, values: Mapping[str, float], framework: str):
        self.values, self.words, self.torch = values, WORDS[framework], framework == "pytorch"

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.values:
            return _number(self.values[node.id])
        return {"pi": _number(math.pi), "e": _number(math.e)}.get(node.id, node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """a < b < c as (a < b) & (b < c): tensors have no truth of their own."""
        sides = [self.visit(side) for side in (node.left, *node.comparators)]
        parts = [ast.Compare(a, [op], [b]) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
        return _joined(parts, ast.BitAnd())

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        return _joined(
            [self.visit(v) for v in node.values], ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
        )

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        inner = self.visit(node.operand)
        return ast.UnaryOp(ast.Invert() if isinstance(node.op, ast.Not) else node.op, inner)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = plain_name(node.func.id)
        if name == "piecewise":
            return self.visit(_nested(node.args))
        if name in ("max", "min"):
            return self._extremum(ast.GtE() if name == "max" else ast.LtE(), [self.visit(a) for a in node.args])
        if name in _INSTEAD:
            return self.visit(_filled(_INSTEAD[name], node.args))
        arguments = [self.visit(a) for a in node.args]
        if name == "where":
            return self._where(*arguments)
        if self.torch and _constant(node):
            arguments = [_filled("torch.as_tensor({0})", [a]) for a in arguments]  # PyTorch's functions take no numbers
        return _filled(self.words[name], arguments)

    def _where(self, condition: ast.expr, *values: ast.expr) -> ast.expr:
        """A choice; whole numbers as floats, or there would be a tensor of integers."""
        numbers = [isinstance(v, ast.Constant) or isinstance(getattr(v, "operand", None), ast.Constant) for v in values]
        floats = [_number(float(ast.literal_eval(v))) if n else v for v, n in zip(values, numbers, strict=True)]
        return _filled(self.words["where"], [condition, *floats])

    def _extremum(self, relation: ast.cmpop, arguments: list[ast.expr]) -> ast.expr:
        """The larger or smaller, with the slope 0 where a constant is met, as formulas have it."""
        best = arguments[0]
        for other in arguments[1:]:
            flat, varying = (best, other) if _constant(best) else (other, best)
            best = self._where(ast.Compare(flat, [relation], [varying]), flat, varying)
        return best


def _constant(node: ast.expr) -> bool:
    return not any(isinstance(n, ast.Name) and n.id == "z" for n in ast.walk(node))


def _number(value: float) -> ast.expr:
    return ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(float(value))


def _joined(parts: list[ast.expr], operator: ast.operator) -> ast.expr:
    whole = parts[0]
    for part in parts[1:]:
        whole = ast.BinOp(whole, operator, part)
    return whole


def _nested(arguments: list[ast.expr]) -> ast.expr:
    """piecewise(c, a, d, b, ..., otherwise) as where(c, a, where(d, b, ...))."""
    if len(arguments) == 1:
        return arguments[0]
    condition, value, *rest = arguments
    return ast.Call(ast.Name("where"), [condition, value, _nested(rest)], [])


def _filled(template: str, arguments: list[ast.expr]) -> ast.expr:
    """The expression of a template, in which arguments stand in parentheses."""
    sources = [ast.unparse(ast.fix_missing_locations(a)) for a in arguments]
    return ast.parse(template.format(*sources), mode="eval").body

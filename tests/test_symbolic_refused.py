"""Text that is no formula: refused in one line, at once, without being evaluated; and text that might be one."""

from __future__ import annotations

import math
import re
import time
import warnings

import numpy as np
import pytest
from campaign_help import refusal
from formula_help import exact, table_put_back
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gradsim import UsageError
from gradsim.activations import ACTIVATIONS, Parameter, from_formula


@pytest.fixture(autouse=True)
def table():
    """The table of activations, put back afterwards."""
    with table_put_back():
        yield ACTIVATIONS


# --- what is refused --------------------------------------------------------------------

HOSTILE = [
    "__import__('os').system('ls')",
    "z.__class__",
    "z.real",
    "().__class__.__bases__",
    "exp.__globals__",
    "exp.__class__(z)",
    "lambda: z",
    "(lambda x: x)(z)",
    "[z for z in z]",
    "[z][0]",
    "{z}",
    "f'{z}'",
    "'z'",
    "b'z'",
    "z if z else 1",
    "z or 1",
    "not z",
    "(z := 3)",
    "z; import os",
    "import os",
    "yield z",
    "await z",
    "eval(z)",
    "exec(z)",
    "open(z)",
    "getattr(z, z)",
    "globals()",
    "__builtins__",
    "exp(z=z)",
    "exp(*z)",
    "exp(**z)",
    "z[0]",
    "9**9**9",
    "9**9**9*z",
    "z**9**9",
    "z**(9**9)",
    "z**65",
    "z**-65",
    "z**64.5",
    "((z**64)**64)**64",
    "((1e30*z)**64)**64",
    "(((1e-30*z)**60)**60)**60",
    "1e999*z",
    "1e31*z",
    "1e-31*z",
    "0x" + "f" * 40 + "*z",
    "1" * 900 + "*z",
    "exp(1e30)*z",
    "e**e**e**e**e*z",
    "0**z",
    "z\0",
    "z\x00*2",
    "\x00",
    "\uff5a",
    "z\uff0a2",
    "z\u200b",
    "\u2066z\u2069",
    "\U0001d433",
    "z\u00b2",
    "\u221az",
    "z" * 2000,
    "z + " * 300,
    "z+" * 399 + "z",
    "(" * 300 + "z" + ")" * 300,
    "-" * 900 + "z",
    "+" * 500 + "z",
    "exp(" * 190 + "z" + ")" * 190,
    "z**" * 100 + "z",
    "max(" * 30 + "z" + ",sin(z))" * 30,
    "max(0,min(1," * 15 + "z" + "))" * 15,
    "silu(" * 20 + "z" + ")" * 20,
    "*".join(f"sin({i}*z)" for i in range(1, 49)),
    "",
    "   ",
    "\n",
    "None",
    "True*z",
    "...",
    "1j*z",
    "z@z",
    "z//2",
    "z%2",
    "z<<2",
    "z&1",
    "~z",
    "z == 1",
    "z > 0",
    "z is z",
    "where(z, 1, 0)",
    "where(True, z, 0)",
    "where(z > 0, 1)",
    "where(z in z, 1, 0)",
    "piecewise(z > 0, 1)",
    "piecewise(z > 0, 1, z < 0, 2)",
    "max(z)",
    "max()",
    "exp()",
    "exp(z, z)",
    "z(2)",
    "2(z)",
    "2z",
    "z z",
    "z,",
    "exp*z",
    "#z",
    "z\\\n",
    "z/0",
    "1/(z - z)",
    "z*(1/0)",
    "0**-1*z",
]


@pytest.mark.parametrize("text", HOSTILE, ids=[ascii(t[:30]) for t in HOSTILE])
def test_hostile_text_is_refused_in_one_line_and_at_once(text, table):
    before, started = set(table), time.perf_counter()
    message = refusal(lambda: from_formula(text))
    assert message.startswith("formula ")
    assert time.perf_counter() - started < 5
    assert set(table) == before


@pytest.mark.parametrize("text", [None, 5, 0.5, True, ["z"], {"z": 1}, b"z", object()])
def test_what_is_no_text_is_refused(text):
    refusal(lambda: from_formula(text), "must be text")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("z*sigmod(z)", ("unknown function 'sigmod'", "did you mean 'sigmoid'")),
        ("z*beta", ("unknown name 'beta'", "parameters={'beta': 1.0}")),
        ("Z", ("unknown name 'Z'",)),
        ("exp + z", ("exp is a function", "exp(z)")),
        ("z z", ("cannot be read", "z * tanh")),
        ("z.real", ("'z.real' is not allowed", "+ - * / **")),
        ("z**100", ("exponent 100", "at most 64")),
        ("z > 1", ("comparison", "where(condition, a, b)")),
        ("tanh(z, 2)", ("tanh is written tanh(z)", "2 arguments")),
        ("2*3", ("does not depend on z",)),
        ("z - z", ("does not depend on z",)),
        ("sin(pi)", ("does not depend on z",)),
        ("sin(z)**2 + cos(z)**2", ("does not depend on z",)),
        ("tanh(z) - sinh(z)/cosh(z)", ("does not depend on z",)),
        ("where(z > 0, 1, 1)", ("does not depend on z",)),
        ("where(2 > 1, 3, z)", ("does not depend on z",)),
        ("log(-1 - abs(z))", ("is not a number anywhere",)),
        ("z/0", ("divides by 0",)),
        ("z$", ("'$' is not allowed",)),
    ],
)
def test_what_a_message_says(text, fragments):
    refusal(lambda: from_formula(text), *fragments)


@pytest.mark.parametrize(
    ("parameters", "fragments"),
    [
        ({"b": "one"}, ("'b'", "'one'", "number")),
        ({"b": True}, ("'b'", "True")),
        ({"b": math.nan}, ("'b'", "nan")),
        ({"b": math.inf}, ("'b'", "inf")),
        ({"b": 1.0, "c": 2.0}, ("'c' does not occur",)),
        ({}, ("unknown name 'b'",)),
        ([("b", 1.0)], ("parameters", "maps names to numbers")),
        ({"b": 1.0, "exp": 1.0}, ("'exp' has a meaning already",)),
        ({"b": 1.0, "z": 1.0}, ("'z' has a meaning already",)),
        ({"b": 1.0, "name": 1.0}, ("'name' has a meaning already",)),
        ({"b": 1.0, "value": 1.0}, ("'value' has a meaning already",)),  # what a block gives goes by these names
        ({"b": 1.0, "backward": 1.0}, ("'backward' has a meaning already",)),
        ({"b": 1.0, "lambda": 1.0}, ("'lambda' cannot have that name",)),
        ({"b": 1.0, "__class__": 1.0}, ("cannot have that name",)),
        ({"b": 1.0, 5: 1.0}, ("5 cannot have that name",)),
        ({"b": {"low": 1.0}}, ("'b' needs a default",)),
        ({"b": {"default": 1.0, "lwo": 1.0}}, ("no 'lwo'", "did you mean 'low'")),
        ({"b": {"default": 1.0, "role": "trained"}}, ("role 'trained'", "fixed, learned, random")),
        ({"b": {"default": 2.0, "high": 1.0}}, ("'b' is 2",)),
        ({"b": Parameter(2, role="shape")}, ("role 'shape'",)),
    ],
)
def test_parameters_that_are_refused(parameters, fragments):
    refusal(lambda: from_formula("b*z", parameters=parameters), "formula 'b*z'", *fragments)


def test_an_option_that_there_is_not():
    refusal(lambda: from_formula("z", precision="double"), "precision is 'double'", "extended, working")


# --- anything at all --------------------------------------------------------------------


def attempt(text, **more):
    """The activation of a text, or the message of its refusal; what it warns of is left alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return from_formula(text, **more)
        except UsageError as error:
            return str(error)


@given(st.text(max_size=30) | st.text("z0123456789.eE+-*/^()<>=!, expsintahlogmawr", max_size=30))
@settings(max_examples=300, deadline=None)
def test_any_text_is_an_activation_or_refused_in_one_line(text):
    found = attempt(text)
    if isinstance(found, str):
        assert "\n" not in found
        assert len(found) < 500


ONE = ["exp", "log1p", "sqrt", "abs", "sin", "cos", "atan", "tanh", "sigmoid", "softplus", "asinh", "erf", "relu"]
LEAVES = st.sampled_from(["z", "a", "2", "0.3", "pi", "z*z", "-z", "abs(z)", "exp(z)", "exp(-z)"])
WHY_NOT = ("does not depend on z", "divides by 0", "is not a number", "holds a constant")


def _joined(inner):
    return st.one_of(
        st.tuples(st.sampled_from(ONE), inner).map("{0[0]}({0[1]})".format),
        st.tuples(inner, st.sampled_from("+-*/"), inner).map("({0[0]} {0[1]} {0[2]})".format),
        st.tuples(inner, st.sampled_from(["2", "3", "-1", "-2"])).map("({0[0]})**{0[1]}".format),
        st.tuples(inner, inner, inner).map("where({0[0]} > {0[1]}, {0[2]}, {0[0]})".format),
    )


@given(st.recursive(LEAVES, _joined, max_leaves=6))
@settings(max_examples=150, deadline=None)
def test_random_formulas_are_what_they_say(text):
    """Value, slope and derivative on NumPy arrays against dual numbers, wherever both are finite."""
    words = re.findall(r"\w+", text)
    assume("z" in words)
    act = attempt(text, parameters={"a": 1.25} if "a" in words else {})
    if isinstance(act, str):
        assert any(reason in act for reason in WHY_NOT), act
        return
    z = np.array([-3.7, -0.6, 0.37, 1.9])
    with np.errstate(all="ignore"):
        got = [np.broadcast_to(r, z.shape) for r in act.function(z, *act.values.values())]
    for i, x in enumerate(z):
        wanted = exact(text, float(x), **act.values)
        assert len(wanted) == len(got)
        for mine, result in zip(wanted, got, strict=True):
            if math.isfinite(float(mine)) and abs(mine) > 1e-6 and np.isfinite(result[i]):
                assert result[i] == pytest.approx(float(mine), rel=1e-6), (text, x)

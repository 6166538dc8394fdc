"""Activations from text: what is computed, what is known and said of it, its name, and what is kept on disk."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
import traceback
import warnings

import numpy as np
import pytest
from campaign_help import ROOT, environment, refusal
from exactly import excess
from formula_help import exact, table_put_back

import gradsim as gs
from gradsim import UsageError
from gradsim.activations import ACTIVATIONS, FormulaWarning, Parameter, from_formula

DTYPES = {"float32": np.float32, "float64": np.float64}
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)


@pytest.fixture(autouse=True)
def table():
    """The table of activations, put back afterwards."""
    with table_put_back():
        yield ACTIVATIONS


# --- what is computed -------------------------------------------------------------------

# Parameters are numbers that float32 holds.
FORMULAS = {
    "z * tanh(log(1 + exp(z)))": {},
    "z*sigmoid(b*z)": {"b": 1.25},
    "1/(1 + exp(-z))": {},
    "(exp(z) - exp(-z))/(exp(z) + exp(-z))": {},
    "z*exp(z)/(1 + exp(z))": {},
    "0.5*z*(1 + tanh(sqrt(2/pi)*(z + 0.044715*z^3)))": {},
    "gelu(z)": {},
    "where(z > 0, z, a*(exp(z) - 1))": {"a": 1.5},
    "piecewise(z < -1, -1 + c*(z + 1), z < 1, z, 1 + c*(z - 1))": {"c": 0.25},
    "z*sin(w*z)^2 + cos(z)*log1p(abs(z))": {"w": 0.75},
    "atan(a*z) + asinh(z)*erf(b*z)": {"a": 2.0, "b": 0.5},
    "(sqrt(z^2 + 1) - 1)/2 + z": {},
    "1 - tanh(z)**2": {},
    "log(2 + exp(-3*z))/3 + exp(-k*z**2)": {"k": 3.0},
    "z*2**(-z**2) + z/(3 + exp(z))": {},
    "softsign(z) - logsigmoid(z)*sech(z) + e**-abs(z)": {},
    "abs(z)**p*sign(z) + cbrt(1 + z^2)": {"p": 1.5},
    "silu(z)*relu(z) + z**2.5*where(z > 0, 1, 0)/(1 + z**4)": {},
}


def points(dtype, count=60):
    """Both signs: small and large numbers, whole ones, kinks of the formulas left out."""
    random = np.random.default_rng(7)
    spread = [random.uniform(-r, r, count // 3) for r in (2, 8, 30)]
    sizes = np.exp2(random.uniform(-20, 10, count // 3)) * random.choice([-1, 1], count // 3)
    return np.unique(np.concatenate([*spread, sizes])).astype(dtype)


def found(act, x, output):
    """Output number `output` of the compiled activation: value, slope, or a parameter's derivative."""
    if output < 2:
        return act.value_and_derivative(x)[output]
    return act.parameter_derivative(x, list(act.parameters)[output - 2])


@every_dtype
@pytest.mark.parametrize("text", FORMULAS)
def test_value_slope_and_derivatives_are_right_to_two_units(text, dtype):
    values = FORMULAS[text]
    with warnings.catch_warnings():
        if "2.5" in text:  # sqrt of a negative number in the branch that is not taken
            warnings.simplefilter("ignore", FormulaWarning)
        act = from_formula(text, parameters=values)
    values = act.values
    x = points(dtype)
    if "2.5" in text:
        x = x[x > 0]
    wanted = [exact(text, float(z), **values) for z in x]
    for output in range(2 + len(values)):
        mine = [w[output] for w in wanted]
        got = found(act, x, output)
        assert got.dtype == dtype
        error = excess(got, x, mine, lambda z, k=output: exact(text, z, **values)[k], 2)
        worst = int(np.argmax(error))
        assert error[worst] <= 2, (output, x[worst], got[worst], mine[worst])


@every_dtype
def test_working_precision_is_for_speed(dtype):
    act = from_formula("z*sigmoid(b*z)", parameters={"b": 1.25}, precision="working")
    assert not act.extended
    assert from_formula("z*sigmoid(b*z)", parameters={"b": 1.25}).extended
    x = points(dtype)
    wanted = [exact("z*sigmoid(b*z)", float(z), b=1.25) for z in x]
    for output in range(3):
        error = excess(found(act, x, output), x, [w[output] for w in wanted], lambda z: exact("z", z)[0] * 0, 16)
        assert np.quantile(error, 0.9) < 16


@pytest.mark.parametrize(
    ("text", "at", "slope"),
    [
        ("max(0, z)", 0.0, 0.0),
        ("max(z, 0)", 0.0, 0.0),
        ("relu(z)", 0.0, 0.0),
        ("min(6, max(0, z))", 0.0, 0.0),
        ("min(6, max(0, z))", 6.0, 0.0),
        ("max(-1, min(1, z))", -1.0, 0.0),
        ("max(-1, min(1, z))", 1.0, 0.0),
        ("abs(z)", 0.0, 0.0),
        ("z*sign(z)", 0.0, 0.0),
        ("where(z > 0, z, 0.25*z)", 0.0, 0.25),
        ("where(z >= 0, z, 0.25*z)", 0.0, 1.0),
        ("max(z, 0.25*z)", 0.0, 0.25),
        ("max(0.25*z, z)", 0.0, 0.25),
        ("min(z, 0.25*z)", 0.0, 1.0),
        ("piecewise(z < -3, 0, z > 3, z, z*(z + 3)/6)", 3.0, 1.5),
    ],
)
def test_slopes_at_kinks(text, at, slope):
    act = from_formula(text)
    for dtype in DTYPES.values():
        z = np.array([at, -0.0 if at == 0 else at], dtype)
        np.testing.assert_array_equal(act.derivative(z), slope)


@pytest.mark.parametrize("text", ["max(0, z)", "sign(z)", "where(z > 0, 1, 0)", "z", "z**2", "min(z, 2*z)", "tanh(z)"])
def test_nan_goes_through(text):
    act = from_formula(text)
    for dtype in DTYPES.values():
        value, slope = act.value_and_derivative(np.array([np.nan], dtype))
        assert np.isnan([value, slope]).all()


def test_tails_are_not_lost():
    """What is typed in its plainest form is computed in the form that keeps its digits."""
    z = np.array([-700.0, -40.0, 40.0, 700.0])
    sigmoid = from_formula("1/(1 + exp(-z))")
    np.testing.assert_allclose(sigmoid(z)[:2], np.exp(z[:2]), rtol=1e-15)
    np.testing.assert_allclose(sigmoid.derivative(z), np.exp(-abs(z)), rtol=1e-15)
    softplus = from_formula("log(1 + exp(z))")
    assert softplus(np.array([1e6]))[0] == 1e6
    np.testing.assert_allclose(softplus(z)[:2], np.exp(z[:2]), rtol=1e-15)
    squared = from_formula("1 - tanh(z)**2")
    np.testing.assert_allclose(squared(np.array([-300.0, 300.0])), 4 * np.exp(-600.0), rtol=1e-13)


def test_one_activation_like_any_other(table):
    act = from_formula("z*sigmoid(b*z)", name="my_swish", parameters={"b": 1.0}, reference="me")
    assert gs.activations.my_swish is act is gs.activations.get("my_swish")
    assert act.reference == "me"
    assert act.formula == r"z \, \sigma\left(b \, z\right)"
    assert "sigmoid" in act.__doc__
    np.testing.assert_allclose(act.with_values(b=2.0)([1.0]), 1 / (1 + math.exp(-2)), rtol=1e-15)
    assert repr(gs.activations.get("my_swish", b=2.0)) == "<activation my_swish(b=2)>"
    scalar = act.scalar
    assert scalar(0.5, 1.0)[0] == pytest.approx(0.5 / (1 + math.exp(-0.5)), rel=1e-15)


def test_conditions_read_as_they_were_joined():
    texts = ("(z > 1 or z < -1) and z < 5", "z > 1 or z < -1 and z < 5")
    first, second = (from_formula(f"where({text}, z, 0)").formula for text in texts)
    assert first != second
    assert r"\left(z > 1 \text{ or } z < -1\right) \text{ and } z < 5" in first


def test_parameters_with_roles_and_bounds():
    act = from_formula(
        "a*z + b*abs(z)",
        parameters={"b": {"default": 0.5, "low": 0.0, "high": 1.0}, "a": Parameter(1.0, role="learned")},
    )
    assert list(act.parameters) == ["a", "b"], "in the order of the text"
    assert act.learned == ("a",)
    refusal(lambda: act.with_values(b=2.0), "'b' is 2", "0 to 1")
    np.testing.assert_array_equal(act.parameter_derivative([-2.0, 3.0], "a"), [-2, 3])
    np.testing.assert_array_equal(act.parameter_derivative([-2.0, 3.0], "b"), [2, 3])


def test_a_learned_exponent_has_a_finite_derivative_at_zero():
    act = from_formula("abs(z)**p", parameters={"p": Parameter(1.5, 1.0, 10.0, role="learned")})
    np.testing.assert_array_equal(act.parameter_derivative([0.0, 1.0], "p"), [0, 0])


# --- what is known of it ----------------------------------------------------------------

INF = math.inf


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("tanh(z)", {"range": (-1, 1), "zero_centered": True, "monotonic": True, "saturates": "both"}),
        ("tanh(z)", {"steepest": (1, 0), "smoothness": INF, "kinks": ()}),
        ("log(1+exp(z))", {"range": (0, INF), "zero_centered": False, "monotonic": True, "saturates": "low"}),
        ("max(0, z)", {"range": (0, INF), "kinks": (0,), "smoothness": 0, "saturates": "low", "monotonic": True}),
        ("min(6, max(0, z))", {"range": (0, 6), "kinks": (0, 6), "smoothness": 0, "saturates": "both"}),
        ("where(z > 0, z, exp(z) - 1)", {"range": (-1, INF), "kinks": (), "smoothness": 1, "saturates": "low"}),
        ("sign(z)", {"range": (-1, 1), "kinks": (0,), "smoothness": -1, "monotonic": True, "zero_centered": True}),
        ("where(z*z > 4, z, 0)", {"kinks": (-2, 2), "smoothness": -1, "range": (-INF, INF), "zero_centered": True}),
        ("z**2", {"range": (0, INF), "steepest": (INF, -INF), "monotonic": False, "saturates": "none"}),
        ("exp(z)", {"range": (0, INF), "steepest": (INF, INF), "monotonic": True, "saturates": "low"}),
        ("-z", {"range": (-INF, INF), "steepest": (1, 0), "monotonic": False, "zero_centered": True}),
        ("z*sin(z)", {"range": (-INF, INF), "saturates": "none"}),
        ("sqrt(1 + z**2) - 1", {"range": (0, INF), "steepest": (1, -INF)}),
        ("abs(abs(z) - 1)", {"kinks": (-1, 0, 1), "smoothness": 0}),
    ],
)
def test_properties(text, known):
    act = from_formula(text)
    for name, wanted in known.items():
        value = getattr(act, "_steepest" if name == "steepest" else name)
        assert value == (pytest.approx(wanted, rel=1e-14) if name == "range" else wanted), name


def test_properties_follow_the_parameters():
    act = from_formula("where(abs(z) < k, a*z, a*k*sign(z))", parameters={"k": 1.0, "a": 1.0})
    assert act.kinks == (-1, 1)
    assert act.max_slope == 1
    other = act.with_values(k=3.0, a=2.0)
    assert other.kinks == (-3, 3)
    assert other.max_slope == 2
    assert other.range == (-6, 6)


@pytest.mark.parametrize(
    ("text", "steep", "at"),
    [("z*sigmoid(z)", 1.099839320128867, 2.399357280515468), ("gelu(z)", 1.128904145185155, math.sqrt(2))],
)
def test_the_steepest_slope_is_that_of_the_catalogue(text, steep, at):
    act = from_formula(text)
    assert act.max_slope == pytest.approx(steep, rel=1e-12)
    assert act.steepest_at == pytest.approx(at, abs=1e-5)


# --- warnings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("log(z)", ("'log(z)'", "value is not finite at 108 of 215 inputs from z = -1e+06 to 0")),
        ("sqrt(abs(z))", ("slope is not finite at z = 0",)),
        ("z/sin(z)", ("value is not finite at z = 0",)),
        ("exp(z)/(a + exp(z))", ("value is finite but overflows on the way", "to 1e+06")),
        ("1 - tanh(z)**4", ("value loses all digits", "from z = -")),
        ("(z - sin(z))/10", ("value loses up to", "units in the last place at")),
        ("z + b*exp(50*z)*(1-erf(3*z)-erfc(3*z))", ("does not",)),
    ],
)
def test_formulas_that_are_not_computed_well_are_told_of(text, fragments):
    parameters = {name: 2.0 for name in "ab" if f"{name}*" in text or f"{name} +" in text}
    if fragments == ("does not",):  # nothing to tell: 1 - erf is erfc, and the rest is 0
        from_formula(text, parameters=parameters)
        return
    with pytest.warns(FormulaWarning) as caught:
        from_formula(text, parameters=parameters)
    (message,) = [str(w.message) for w in caught]
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message, message
    assert caught[0].filename == __file__, "it points to the line that asked"


def test_a_formula_is_judged_once():
    with pytest.warns(FormulaWarning):
        from_formula("log(z)", name="a_log")
    from_formula("log(z)", name="a_log")


def test_working_precision_is_judged_as_it_computes():
    """x - x/(1 + x^2): 60 bits carry it, 53 do not."""
    text = "z - z/(1 + z**2)"
    from_formula(text)
    with pytest.warns(FormulaWarning, match="loses"):
        from_formula(text, precision="working")


# --- names ------------------------------------------------------------------------------


def test_the_same_formula_is_the_same_activation():
    act = from_formula("z*tanh(z)")
    assert act is from_formula(" z * tanh( z )\n")
    assert act.name == from_formula("z*tanh(z)").name
    assert act.name.startswith("formula_")
    assert from_formula("z^2") is from_formula("z**2")
    assert from_formula("z*tanh(z)", name="tz") is from_formula("z*tanh(z)", name="tz")
    assert from_formula("z*tanh(z)", precision="working").name != act.name
    assert from_formula("a*z", parameters={"a": 1.0}).name != from_formula("a*z", parameters={"a": 2.0}).name


def test_the_name_of_a_formula_does_not_change():
    """It stands in tables and file names: the digest of a text must be the same tomorrow."""
    assert from_formula("z*tanh(softplus(z))").name == "formula_0ec7c1"


@pytest.mark.parametrize("name", ["relu", "swish", "linear"])
def test_names_of_the_catalogue_are_taken(name):
    refusal(lambda: from_formula("z*tanh(z)", name=name), "formula 'z*tanh(z)'", repr(name), "taken")


def test_a_name_means_one_formula():
    from_formula("z*tanh(z)", name="mine")
    refusal(lambda: from_formula("z*sin(z)", name="mine"), "'z*sin(z)'", "'mine'", "'z*tanh(z)'")
    from_formula("a*z", name="other", parameters={"a": 1.0})
    refusal(lambda: from_formula("a*z", name="other", parameters={"a": 2.0}), "'a*z'", "{'a': 1.0}")


@pytest.mark.parametrize("name", ["", "a b", "1z", "a-b", "lambda", "é", "a" * 41, 5, ["a"], "_x", "a.b", "a(b=1)"])
def test_names_that_are_none(name):
    refusal(lambda: from_formula("z*tanh(z)", name=name), "formula name", "letter")


def test_a_decorated_function_cannot_take_a_formulas_name():
    from_formula("z*tanh(z)", name="mine")
    with pytest.raises(UsageError, match="'mine' is taken"):
        gs.activations.pointwise("z", name="mine")(lambda z: (z, 1 + 0 * z))


# --- source -----------------------------------------------------------------------------


def test_the_source_can_be_read():
    act = from_formula("z*tanh(softplus(z))")
    text = inspect.getsource(act.function)
    assert text.count("softplus(z)") == 2, "once in the docstring, once computed and shared"
    assert "sech_squared" in text


def test_a_traceback_shows_the_source():
    act = from_formula("z*tanh(z)")
    try:
        act.function("text")
    except TypeError:
        assert "tanh(z)" in traceback.format_exc().splitlines()[-2] + traceback.format_exc()


def test_nothing_but_functions_of_lanes_can_be_reached():
    reach = from_formula("z*tanh(z)*exp(-abs(z))").function.__globals__
    assert set(reach) <= {"abs", "exp", "tanh", "where", "sech_squared", "__builtins__", "__name__"} | {
        name for name in reach if name.startswith("formula_")
    }
    assert reach["__builtins__"] == {}


# --- other processes --------------------------------------------------------------------


def python(code, cache=None, seed="1"):
    """What `code` prints in a process of its own."""
    more = {"PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"} | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {})
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_sympy_is_imported_by_those_who_write_formulas():
    code = "import sys, gradsim; gradsim.activations.relu; print('sympy' in sys.modules)"
    assert python(code) == ["False"]


ASK = """
from gradsim.activations import from_formula
act = from_formula(TEXT, name="mine", parameters={"b": 2.0})
blocks = [act.block("float64"), act.block("float32", "b")]
print(act([0.5])[0], act.derivative([0.5])[0], *[b._callback.cache_hits for b in blocks])
"""


def test_the_next_process_compiles_nothing_and_an_edit_is_never_served_stale(tmp_path):
    text = "z*sigmoid(b*z) + log(1 + z**2)*exp(-z)"
    first = python(ASK.replace("TEXT", repr(text)), tmp_path, seed="1")
    assert first[2:] == ["0", "0"]
    again = python(ASK.replace("TEXT", repr(f" {text} ")), tmp_path, seed="2")
    assert again == [*first[:2], "1", "1"]
    other_name = python(ASK.replace("TEXT", repr(text)).replace("mine", "other"), tmp_path)
    assert other_name == again, "it is the formula that is compiled, not its name"
    edited = python(ASK.replace("TEXT", repr(text.replace("exp(-z)", "exp(-2*z)"))), tmp_path)
    assert edited[2:] == ["0", "0"]
    assert edited[0] != first[0]
    wanted = exact(text.replace("exp(-z)", "exp(-2*z)"), 0.5, b=2.0)
    assert float(edited[0]) == float(wanted[0])
    assert float(edited[1]) == float(wanted[1])

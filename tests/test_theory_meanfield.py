"""Maps of variances and correlations: known truths, their own definitions, what is asked and refused."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from campaign_help import refusal
from scipy.optimize import brentq

import gradsim as gs
from gradsim import theory
from gradsim.activations import ACTIVATIONS, FormulaWarning, get, pointwise
from gradsim.lanes import expm1, where
from gradsim.theory.meanfield import correlation_at
from gradsim.theory.quadrature import normal_means

# --- known truths -----------------------------------------------------------------------


def test_tanh_at_its_published_point():
    assert theory.fixed_point("tanh", 1.3, 0.3) == pytest.approx(0.607047, abs=5e-7)
    assert theory.chi1("tanh", 1.3, 0.3) == pytest.approx(0.939807, abs=5e-7)
    scales = theory.depth_scales("tanh", 1.3, 0.3)
    assert scales.xi_c == pytest.approx(16.108, abs=5e-4)
    assert scales.c == 1
    assert theory.critical_sigma_w("tanh", 0.3) == pytest.approx(1.39558, abs=5e-6)
    assert theory.critical("tanh", 0.3).q == pytest.approx(0.7635, abs=5e-5)


@pytest.fixture(scope="module")
def selu():
    """Self-normalizing: from the catalogue where it is there."""
    if "selu" in ACTIVATIONS:
        return get("selu")
    scale, alpha = 1.0507009873554804934, 1.6732632423543772848

    @pointwise("selu", name="theory_selu", kinks=(0.0,), smoothness=0)
    def theory_selu(z):
        below = z <= 0
        e = expm1(where(below, z, 0))
        return where(below, scale * alpha * e, scale * z), where(below, scale * alpha * (e + 1), scale)

    return theory_selu


def test_mean_0_and_variance_1_is_a_fixed_point_of_selu(selu):
    assert theory.variance_map(selu, 1.0, 1.0) == pytest.approx(1, abs=1e-9)
    (mean,) = normal_means(lambda u, z: (selu(u),), 0.0, 1.0, selu.kinks, 1)
    assert mean == pytest.approx(0, abs=1e-9)
    assert theory.fixed_point(selu, 1.0, 0.0) == pytest.approx(1, abs=1e-8)
    (stays,) = [p for p in theory.fixed_points(selu, 1.0, 0.0) if p.q > 0]
    assert stays.stable
    assert 0.5 < stays.slope < 0.9
    assert theory.gain(selu) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "gain"),
    [
        ("tanh", 1.5925),
        ("elu", 1.2452),
        ("gelu", 1.5335),
        ("silu", 1.6765),
        ("softplus", 1.0419),
        ("sigmoid", 1.8462),
        ("softsign", 2.3375),
        ("hardtanh", 1.392),
        ("relu", math.sqrt(2)),
        ("z*tanh(log(1+exp(z)))", 1.4868),
    ],
)
def test_variance_preserving_gains(name, gain):
    assert theory.gain(name) == pytest.approx(gain, abs=6e-5)
    assert theory.variance_map(name, 1.0, theory.gain(name)) == pytest.approx(1, rel=1e-12)


# --- definitions, for functions without closed forms ------------------------------------

CASES = [("tanh", 1.8, 0.3), ("hardtanh", 1.4, 0.2), ("gelu", 1.3, 0.3), ("sin(z)", 1.5, 0.4), ("sigmoid", 12.0, 0.5)]


@pytest.mark.parametrize(("name", "sigma_w", "sigma_b"), CASES)
def test_iterating_the_maps_leads_to_the_fixed_points_at_the_rates_of_the_depth_scales(name, sigma_w, sigma_b):
    scales = theory.depth_scales(name, sigma_w, sigma_b)
    end = theory.fixed_point(name, sigma_w, sigma_b)
    q, away = 1.0, []
    for _ in range(400):
        q = theory.variance_map(name, q, sigma_w, sigma_b)
        away.append(abs(q - end))
    assert q == pytest.approx(end, rel=1e-9)
    late = [a for a in away if a < 1e-3 * end][:2]
    assert -1 / math.log(late[1] / late[0]) == pytest.approx(scales.xi_q, rel=0.02)
    c = scales.c
    assert theory.correlation_map(name, c, end, sigma_w, sigma_b) == pytest.approx(c, abs=1e-9)
    assert (c < 1) == (scales.chi1 > 1)
    step = -1e-3 if c == 1 else 1e-3
    moved = theory.correlation_map(name, c + step, end, sigma_w, sigma_b) - c
    assert -1 / math.log(moved / step) == pytest.approx(scales.xi_c, rel=0.03)


@pytest.mark.parametrize("name", ["tanh", "gelu", "thresholded_relu", "binary_step", "hardtanh"])
def test_slopes_of_the_variance_map_are_its_differences(name):
    """Also of functions with steps, whose slopes know nothing of them."""
    for q in (0.5, 3.0):
        step = 1e-5 * q
        above, below = (theory.variance_map(name, q + s, 1.4) for s in (step, -step))
        assert theory.variance_slope(name, q, 1.4) == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.0, 0.3), (2.0, 1.0), (1.0, 3.0)])
def test_steps_part_any_two_inputs(sigma_w, sigma_b):
    """sign: C(c) = (sigma_w^2 (2/pi) asin c + sigma_b^2)/q, infinitely steep at 1, so that c = 1 never attracts."""
    act = gs.activations.from_formula("where(z > 0, 1, -1)")
    q = sigma_w**2 + sigma_b**2
    wanted = brentq(lambda c: (sigma_w**2 * 2 / math.pi * math.asin(c) + sigma_b**2) / q - c, 0, 0.999999)
    assert theory.correlation_fixed_point(act, sigma_w, sigma_b) == pytest.approx(wanted, abs=1e-9)
    assert theory.chi1(act, sigma_w, sigma_b) == 0
    slope = sigma_w**2 / q * 2 / math.pi / math.sqrt(1 - wanted**2)
    assert theory.depth_scales(act, sigma_w, sigma_b).xi_c == pytest.approx(-1 / math.log(slope), rel=1e-6)
    assert theory.correlation_slope(act, 1.0, q, sigma_w) == math.inf


def test_a_correlation_near_1_is_found_by_the_map_itself():
    """Just beyond the edge, where the series of a function with kinks converges slowly."""
    act = get("hardtanh")
    sigma_w = 1.02 * theory.critical_sigma_w(act, 0.3)
    q = theory.fixed_point(act, sigma_w, 0.3)
    c = correlation_at(act, q, sigma_w, 0.3)
    assert 0.9 < c < 0.999
    assert theory.correlation_map(act, c, q, sigma_w, 0.3) == pytest.approx(c, abs=1e-10)
    assert theory.correlation_map(act, 0.5 * (1 + c), q, sigma_w, 0.3) < 0.5 * (1 + c)


def test_fixed_points_stable_and_not():
    """f = z^2: V = 3 s^2 q^2 + b^2 has two fixed points, the larger of which repels."""
    s, b = 1.0, 0.1
    roots = sorted(np.roots([3 * s**2, -1, b**2]).real)
    got = theory.fixed_points("z**2", s, b)
    np.testing.assert_allclose([p.q for p in got], roots, rtol=1e-9)
    np.testing.assert_allclose([p.slope for p in got], [6 * s**2 * q for q in roots], rtol=1e-8)
    assert [p.stable for p in got] == [True, False]
    refusal(lambda: theory.fixed_point("z**2", s, b), "grows without end", error=theory.NoFixedPoint)
    # From below the repelling one, variances fall to the other.
    assert theory.fixed_point("0.5*z**2", s, b) == pytest.approx(min(np.roots([0.75, -1, b**2]).real), rel=1e-9)


def test_without_biases_a_function_through_0_may_die_out():
    assert theory.fixed_point("tanh", 0.9, 0.0) == 0
    assert theory.chi1("tanh", 0.9, 0.0) == pytest.approx(0.81, rel=1e-9)
    assert theory.critical_sigma_w("tanh", 0.0) == pytest.approx(1, rel=1e-9)
    assert theory.critical_sigma_w("elu", 0.0) == pytest.approx(1, rel=1e-9)
    assert theory.correlation_fixed_point("tanh", 1.5, 0.0) == 0
    assert theory.fixed_point("thresholded_relu", 1.4, 0.0) == 0
    assert theory.correlation_fixed_point("thresholded_relu", 1.4, 0.0) == 1


# --- what is asked ----------------------------------------------------------------------


def test_names_formulas_and_activations_are_alike():
    wanted = theory.chi1(get("leaky_relu", slope=0.2), 1.1, 0.2)
    assert theory.chi1("leaky_relu(slope=0.2)", 1.1, 0.2) == wanted
    assert theory.chi1("where(z > 0, z, 0.2*z)", 1.1, 0.2) == pytest.approx(wanted, rel=1e-9)
    assert theory.chi1("theory_own(a=0.2)=where(z > 0, z, a*z)", 1.1, 0.2) == pytest.approx(wanted, rel=1e-9)
    assert theory.chi1("theory_own", 1.1, 0.2) == pytest.approx(wanted, rel=1e-9)


def test_formula_warnings_are_the_users():
    with pytest.warns(FormulaWarning):
        theory.gain("log(abs(z)) + z")


def test_it_is_fast():
    """The best of five, on a machine that others use too."""

    def best(call):
        taken = []
        for _ in range(5):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
        return min(taken)

    for name in ("tanh", "gelu", "hardtanh"):
        assert best(lambda n=name: theory.chi1(n, 1.2, 0.3)) < 0.05
        assert best(lambda n=name: theory.critical_sigma_w(n, 0.5)) < 0.5
        assert best(lambda n=name: theory.correlation_fixed_point(n, 1.4, 0.5)) < 2


@pytest.mark.parametrize(
    ("call", "fragments"),
    [
        (lambda: theory.chi1("tanhh", 1.0), ("tanhh", "did you mean 'tanh'")),
        (lambda: theory.chi1("softmax", 1.0), ("softmax", "whole layers")),
        (lambda: theory.chi1("maxout", 1.0), ("maxout", "whole layers")),
        (lambda: theory.chi1(3, 1.0), ("activation 3", "a name, a formula or an Activation")),
        (lambda: theory.chi1("z +", 1.0), ("z+", "cannot be read")),
        (lambda: theory.chi1("leaky_relu(slope=9e9)", 1.0), ("slope",)),
        (lambda: theory.chi1("tanh", -1.0), ("sigma_w = -1.0", "from 0 to 1e+30")),
        (lambda: theory.chi1("tanh", "1"), ("sigma_w = '1'", "finite number")),
        (lambda: theory.chi1("tanh", True), ("sigma_w = True",)),
        (lambda: theory.chi1("tanh", 1.0, math.nan), ("sigma_b = nan",)),
        (lambda: theory.critical_sigma_w("tanh", math.inf), ("sigma_b = inf",)),
        (lambda: theory.variance_map("tanh", -1, 1.0), ("q = -1",)),
        (lambda: theory.variance_map("tanh", [1.0], 1.0), ("q = [1.0]",)),
        (lambda: theory.correlation_map("tanh", 1.5, 1.0, 1.0), ("c = 1.5", "from -1 to 1")),
        (lambda: theory.phase_diagram("tanh", [1.0, -1.0], [0.0]), ("sigma_w = -1.0",)),
        (lambda: theory.born_dead(0, 4), ("depth = 0", "from 1 to 1000")),
        (lambda: theory.born_dead(2, 1.5), ("width = 1.5", "whole number")),
        (lambda: theory.born_dead(2, [3, 4, 5]), ("3 widths", "depth = 2")),
        (lambda: theory.simulate_born_dead(2, 3, np.array([1.0])), ("X", "[samples, features]")),
        (lambda: theory.theory_table("tanh"), ("names = 'tanh'", "list")),
        (lambda: theory.profile([3], "tanh"), ("widths = [3]",)),
        (lambda: theory.profile([3, 0, 1], "tanh"), ("widths = 0",)),
        (lambda: theory.profile([3, 4, 1], ["tanh", "relu"]), ("activations: 2",)),
        (lambda: theory.profile([3, 4, 1], "tanh", "he_norml"), ("weights", "he_normal")),
        (lambda: theory.profile([3, 4, 1], "tanh", inputs=-1.0), ("inputs = -1.0",)),
        (lambda: theory.profile([3, 4, 1], "tanh", inputs=np.zeros((5, 2))), ("inputs", "(5, 2)")),
        (lambda: theory.profile([3, 4, 1], "tanh", inputs=[[1.0, 2.0], [3.0]]), ("inputs = [[1.0, 2.0], [3.0]]",)),
        (lambda: theory.profile([10**400, 3, 2], "tanh"), ("widths = 1000", "from 1 to 100000")),
        (lambda: theory.profile([3] * 100_002, "tanh"), ("widths: 100000 hidden layers", "at most 1000")),
        (lambda: theory.fixed_point("tanh", 1e200), ("sigma_w = 1e+200", "from 0 to 1e+30")),
        (lambda: theory.chi1("relu", 1.0, 10**400), ("sigma_b = 1000", "from 0 to 1e+30")),
        (lambda: theory.variance_map("tanh", 10**400, 1.0), ("q = 1000", "finite number")),
        (lambda: theory.variance_map("tanh", 10**5000, 1.0), ("q = ", "too large to show")),
        (lambda: theory.variance_slope("tanh", 1.0, 1e200), ("sigma_w = 1e+200",)),
        (lambda: theory.correlation_slope("tanh", 0.5, 1.0, 1e200), ("sigma_w = 1e+200",)),
        (lambda: theory.theory_table(["tanh"], 1e200), ("sigma_b = 1e+200", "from 0 to 300")),
    ],
)
def test_bad_input_is_refused_in_one_line(call, fragments):
    refusal(call, *fragments)


@pytest.mark.parametrize(
    ("name", "sigma_w", "sigma_b"),
    [("relu", 1, 1e4), ("tanh", 1, 1e4), ("tanh", 1e5, 0), ("relu", math.sqrt(2) * (1 - 1e-10), 1)],
)
def test_a_fixed_point_beyond_what_is_computed_is_not_denied(name, sigma_w, sigma_b):
    """tanh tends to sigma_w^2 + sigma_b^2 nearly, relu to sigma_b^2/(1 - sigma_w^2/2)."""
    said = refusal(
        lambda: theory.fixed_point(name, sigma_w, sigma_b),
        f"sigma_w = {sigma_w:g}, sigma_b = {sigma_b:g}",
        "beyond q = 1e8",
        error=theory.NoFixedPoint,
    )
    assert "without end" not in said
    assert theory.fixed_point("tanh", 1, 9e3) == pytest.approx(81e6, rel=1e-6)
    # Functions that wind too often to be followed: 5e9 is where it would end.
    refusal(lambda: theory.fixed_point("1e5*sin(z)", 1, 0.5), "grows beyond q = 1e+07", error=theory.NoFixedPoint)
    for b in (0.1, 3.0):  # where nothing stays, however far one looks
        refusal(lambda b=b: theory.fixed_point("relu", math.sqrt(2), b), "without end", error=theory.NoFixedPoint)


def test_variances_too_large_to_compute_are_said_to_be():
    error = theory.NoExpectation
    refusal(lambda: theory.variance_map("relu", 1e300, 1e30), "relu", "too large to compute", error=error)
    refusal(lambda: theory.correlation_map("relu", 0.5, 1e300, 1e30), "too large to compute", error=error)
    assert theory.variance_map("relu", 1.0, 1e30) == pytest.approx(5e59)


def test_answers_are_plain_numbers():
    w, b = np.float64(1.3), np.float64(0.3)
    scales = theory.depth_scales("tanh", w, b)
    found = [theory.chi1("tanh", w, b), theory.fixed_point("tanh", w, b), theory.variance_slope("tanh", 1.0, w)]
    found += [theory.correlation_slope("tanh", c, 1.0, w) for c in (0.5, 1.0)]
    found += [theory.correlation_fixed_point("tanh", w, b), theory.correlation_map("tanh", 0.5, 1.0, w, b)]
    assert {type(x) for x in [*found, scales.xi_q, scales.xi_c, scales.c, scales.chi1]} == {float}


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("q", [0.0, 1e-300, 0.6, 3.0])
def test_the_correlation_map_can_be_iterated(name, q):
    for start in (0.2, 1.0):
        c = start
        for _ in range(5):
            c = theory.correlation_map(name, c, q, 1.3)
        assert 0 < c <= 1
        assert start < 1 or c == pytest.approx(1, abs=1e-12)

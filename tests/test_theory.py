"""Theory against closed forms, many digits, published points and its own definitions."""

from __future__ import annotations

import math
import time
from itertools import pairwise

import mpmath
import numpy as np
import pandas as pd
import pytest
from campaign_help import refusal
from scipy.optimize import brentq
from scipy.special import erf, erfc

import gradsim as gs
from gradsim import theory
from gradsim.activations import ACTIVATIONS, FormulaWarning, get, pointwise
from gradsim.initializers import Scales
from gradsim.lanes import expm1, where
from gradsim.plots import theory as figures
from gradsim.theory.layers import Incoming, Layer, layer_statistics
from gradsim.theory.meanfield import chi_at, correlation_at, hermite_squares, mean_square, mean_square_slope
from gradsim.theory.quadrature import normal_means, product_mean

RANDOM = np.random.default_rng(0)
VARIANCES = np.sort(10 ** RANDOM.uniform(-6, 4, 12))


# --- expectations of one pre-activation -------------------------------------------------


def clipped_square(q):
    """E min(1, q z^2)."""
    a = 1 / np.sqrt(q)
    return q * (erf(a / math.sqrt(2)) - a * math.sqrt(2 / math.pi) * np.exp(-a * a / 2)) + erfc(a / math.sqrt(2))


# E f(sqrt(q) z)^2 and E f'(sqrt(q) z)^2.
CLOSED = {
    "identity": (lambda q: q, lambda q: 1 + 0 * q),
    "relu": (lambda q: q / 2, lambda q: 0.5 + 0 * q),
    "leaky_relu(slope=0.3)": (lambda q: 1.09 * q / 2, lambda q: 1.09 / 2 + 0 * q),
    "binary_step": (lambda q: 0.5 + 0 * q, lambda q: 0 * q),
    "relu_squared": (lambda q: 1.5 * q**2, lambda q: 2 * q),
    "z**3": (lambda q: 15 * q**3, lambda q: 27 * q**2),
    "erf(z)": (lambda q: 2 / np.pi * np.arcsin(2 * q / (1 + 2 * q)), lambda q: 4 / np.pi / np.sqrt(1 + 4 * q)),
    "sin(z)": (lambda q: -np.expm1(-2 * q) / 2, lambda q: (1 + np.exp(-2 * q)) / 2),
    "gaussian(z)": (lambda q: (1 + 4 * q) ** -0.5, lambda q: 4 * q * (1 + 4 * q) ** -1.5),
    "hardtanh": (clipped_square, lambda q: erf(1 / np.sqrt(2 * q))),
}


@pytest.mark.parametrize("name", CLOSED)
def test_expectations_equal_their_closed_forms(name):
    act = theory.subject.subject(name)
    square, slope = CLOSED[name]
    np.testing.assert_allclose(mean_square(act, VARIANCES), square(VARIANCES), rtol=1e-10)
    np.testing.assert_allclose(mean_square_slope(act, VARIANCES), slope(VARIANCES), rtol=1e-10)
    for q in VARIANCES[::4]:
        assert theory.variance_map(name, q, 1.3, 0.2) == pytest.approx(1.69 * square(q) + 0.04, rel=1e-10)


MANY_DIGITS = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)),
    "softplus": lambda u: mpmath.log1p(mpmath.exp(u)),
    "gelu": lambda u: u * mpmath.ncdf(u),
    "silu": lambda u: u / (1 + mpmath.exp(-u)),
    "elu": lambda u: u if u > 0 else mpmath.expm1(u),
    "softsign": lambda u: u / (1 + abs(u)),
}


def many_digits(g, q):
    """E g(sqrt(q) z) by mpmath."""
    std = mpmath.sqrt(q)
    ends = [-9 * std, *(p for p in (-30, -6, -1, 0, 1, 6, 30) if abs(p) < 9 * std), 9 * std]
    return mpmath.quad(lambda u: g(u) * mpmath.npdf(u, 0, std), ends)


@pytest.mark.parametrize("name", MANY_DIGITS)
def test_expectations_equal_those_in_many_digits(name):
    """At variances from where functions are linear to where all their bend is a flank at 0."""
    f = MANY_DIGITS[name]
    act = get(name)
    for q in (1e-6, 0.37, 1e4):
        square = many_digits(lambda u: f(u) ** 2, q)
        assert theory.variance_map(act, q, 1.0) == pytest.approx(float(square), rel=1e-9)
        if q > 1e-3:  # where the many digits are not lost to cancellation
            slanted = many_digits(lambda u, q=q: f(u) ** 2 * (u * u / q - 1), q) / (2 * q)
            assert theory.variance_slope(act, q, 1.0) == pytest.approx(float(slanted), rel=1e-8)


@pytest.mark.parametrize("q", [1e-3, 1.0, 10.0, 100.0, 200.0])
def test_a_heavy_tail_is_followed_to_its_end(q):
    """E exp(2 sqrt(q) z) = e^{2q}: at q = 200 its mass lies at z = 28."""
    assert theory.variance_map("exp(z)", q, 1.0) == pytest.approx(math.exp(2 * q), rel=1e-10)


@pytest.mark.parametrize(
    ("formula", "q", "why"),
    [
        ("exp(z)", 400.0, "infinite"),
        ("exp(z**2)", 0.3, "infinite"),
        ("exp(z**2 / 4)", 1.0, "infinite"),
        ("log(z)", 1.0, "not defined"),
        ("1/z", 1.0, "infinite"),
    ],
)
@pytest.mark.filterwarnings("ignore::gradsim.activations.FormulaWarning")
def test_an_infinite_or_undefined_expectation_is_said_to_be_so(formula, q, why):
    refusal(
        lambda: theory.variance_map(formula, q, 1.0), formula[:3], f"variance {q:g}", why, error=theory.NoExpectation
    )


def test_just_before_an_expectation_is_infinite_it_is_right():
    """E exp(2 a q z^2) = (1 - 4 a q)^(-1/2)."""
    for q in (0.1, 0.4, 0.45):
        assert theory.variance_map("exp(z**2 / 2)", q, 1.0) == pytest.approx((1 - 2 * q) ** -0.5, rel=1e-9)


@pytest.mark.filterwarnings("ignore::gradsim.activations.FormulaWarning")
def test_a_slope_without_finite_square_has_no_chi1():
    act = gs.activations.from_formula("sign(z)*sqrt(abs(z))")
    assert theory.fixed_point(act, 1.0, 0.0) == pytest.approx(2 / math.pi, rel=1e-9)
    refusal(lambda: theory.chi1(act, 1.0), "E[f'(z)^2]", "infinite", error=theory.NoExpectation)
    refusal(lambda: theory.critical_sigma_w(act), "no edge of chaos", error=theory.NoFixedPoint)


def test_undeclared_steps_and_many_rows():
    """A step where no break was given; each row by itself; one factor or two."""
    step = 0.3217
    means, stds = np.array([0.0, 1.0, -2.0, step]), np.array([1.0, 0.01, 30.0, 0.0])
    got = normal_means(lambda u, z: ((u > step) * 1.0,), means, stds, number=1)
    wanted = [erfc((step - m) / s / math.sqrt(2)) / 2 if s else 0.0 for m, s in zip(means, stds, strict=True)]
    np.testing.assert_allclose(got, wanted, rtol=1e-10)
    got = normal_means(lambda u, z: (u, u * z), means, stds)
    np.testing.assert_allclose(got, 2 * means * stds * 1.0, rtol=1e-10, atol=1e-12)


# --- expectations of two pre-activations ------------------------------------------------


def arccosine(order, c):
    """E of products of step (order 0) and relu (order 1) at variance 1 (Cho & Saul 2009)."""
    angle = np.arccos(c)
    return (math.pi - angle) / (2 * math.pi) if order == 0 else (np.sin(angle) + (math.pi - angle) * c) / (2 * math.pi)


# E f(u) f(v), and E f'(u) f'(v).
PRODUCTS = {
    "identity": (lambda q, c: q * c, lambda q, c: 1.0),
    "relu": (lambda q, c: q * arccosine(1, c), lambda q, c: arccosine(0, c)),
    "binary_step": (lambda q, c: arccosine(0, c), lambda q, c: 1 / (2 * math.pi * q * math.sqrt(1 - c * c))),
    "erf(z)": (
        lambda q, c: 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q)),
        lambda q, c: 4 / math.pi / math.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2),
    ),
    "sin(z)": (lambda q, c: math.exp(-q) * math.sinh(q * c), lambda q, c: math.exp(-q) * math.cosh(q * c)),
    "exp(z)": (lambda q, c: math.exp(q * (1 + c)), lambda q, c: math.exp(q * (1 + c))),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("c", [-0.9, 0.0, 0.4, 0.99, 0.99999])
def test_products_equal_their_closed_forms(name, c):
    act = theory.subject.subject(name)
    product, slopes = PRODUCTS[name]
    for q in (0.03, 4.0):
        scale = product(q, 0.9)
        assert product_mean(act, math.sqrt(q), c, act.kinks) == pytest.approx(product(q, c), rel=1e-9, abs=1e-9 * scale)
        got = theory.correlation_slope(act, c, q, 1.0)
        assert got == pytest.approx(slopes(q, c), rel=1e-8)


@pytest.mark.parametrize("name", ["relu", "erf(z)", "sin(z)"])
def test_products_of_equal_and_opposite_pre_activations(name):
    act = theory.subject.subject(name)
    for c in (1.0, -1.0):
        assert theory.correlation_map(act, c, 2.0, 1.0) == pytest.approx(
            PRODUCTS[name][0](2.0, c) / CLOSED[name][0](2.0), abs=1e-10
        )


def test_the_hermite_series_and_the_quadrature_agree():
    for name in ("gelu", "tanh", "hardtanh", "relu", "binary_step"):
        act = get(name)
        squares, rest = hermite_squares(act, 1.7)
        assert squares.sum() + rest == pytest.approx(theory.variance_map(act, 1.7, 1.0), rel=1e-10)
        for c in (0.2, 0.8):
            series = float((squares * c ** np.arange(len(squares))).sum())
            assert series == pytest.approx(product_mean(act, math.sqrt(1.7), c, act.kinks), abs=1e-9)
    squares, rest = hermite_squares(theory.subject.subject("sin(z)"), 1e7)
    assert len(squares) == 1
    assert rest == pytest.approx(0.5, rel=1e-9)


# --- known truths -----------------------------------------------------------------------


def test_tanh_at_its_published_point():
    assert theory.fixed_point("tanh", 1.3, 0.3) == pytest.approx(0.607047, abs=5e-7)
    assert theory.chi1("tanh", 1.3, 0.3) == pytest.approx(0.939807, abs=5e-7)
    scales = theory.depth_scales("tanh", 1.3, 0.3)
    assert scales.xi_c == pytest.approx(16.108, abs=5e-4)
    assert scales.c == 1
    assert theory.critical_sigma_w("tanh", 0.3) == pytest.approx(1.39558, abs=5e-6)
    assert theory.critical("tanh", 0.3).q == pytest.approx(0.7635, abs=5e-5)


def test_relu_is_critical_at_sigma_w_squared_2_without_biases_and_nowhere_else():
    assert theory.critical_sigma_w("relu", 0.0) ** 2 == pytest.approx(2, rel=1e-12)
    assert theory.critical_sigma_w("leaky_relu(slope=0.3)", 0.0) ** 2 == pytest.approx(2 / 1.09, rel=1e-12)
    for sigma_b in (1e-3, 0.3, 5.0):
        refusal(
            lambda s=sigma_b: theory.critical_sigma_w("relu", s),
            "relu has no edge of chaos",
            "sigma_b = 0 only",
            error=theory.NoFixedPoint,
        )
    assert theory.fixed_points("relu", math.sqrt(2), 0.0) == [theory.FixedPoint(1.0, pytest.approx(1.0))]
    assert theory.fixed_points("relu", math.sqrt(2), 0.1) == []
    assert theory.fixed_point("relu", 1.0, 0.1) == pytest.approx(0.02, rel=1e-10)
    refusal(lambda: theory.chi1("relu", 1.5, 0.1), "grows without end", "1.5", "0.1", error=theory.NoFixedPoint)
    assert theory.chi1("relu", 1.0, 0.0) == pytest.approx(0.5, rel=1e-12)


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
    ("name", "bias", "weight", "kernel"),
    [("gelu", 0.17292239, 1.98305826, 3.56155281), ("silu", 0.55514317, 1.98800468, 14.32017362)],
)
def test_published_half_stable_points(name, bias, weight, kernel):
    """Where the edge begins to last: V'(K) = 1 and chi1 = 1 (Roberts, Yaida & Hanin 2022, section 5.3.4)."""
    act = get(name)
    sigma_w, sigma_b = math.sqrt(weight), math.sqrt(bias)
    assert theory.variance_map(act, kernel, sigma_w, sigma_b) == pytest.approx(kernel, rel=3e-8)
    assert chi_at(act, kernel, sigma_w) == pytest.approx(1, abs=1e-8)
    assert theory.variance_slope(act, kernel, sigma_w) == pytest.approx(1, abs=1e-8)
    edge = theory.edge_of_chaos(act)
    assert edge[edge["stable"]]["sigma_b"].min() == pytest.approx(sigma_b, rel=2e-3)
    assert theory.critical_sigma_w(act, sigma_b + 0.05) < sigma_w
    refusal(lambda: theory.critical_sigma_w(act, 0.9 * sigma_b), "repels", error=theory.NoFixedPoint)


def test_the_gaussian_bump_has_an_edge_in_closed_form():
    """E f^2 = (1+4q)^(-1/2), E f'^2 = 4q (1+4q)^(-3/2): without biases q = (1 + 4q)/(4q)."""
    q = (1 + math.sqrt(2)) / 2
    found = theory.critical("gaussian(z)", 0.0)
    assert found.q == pytest.approx(q, rel=1e-9)
    assert found.sigma_w**2 == pytest.approx((1 + 4 * q) ** 1.5 / (4 * q), rel=1e-9)


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


# --- definitions, for functions without closed forms --------------------------------------


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


def test_names_formulas_and_activations_are_alike():
    wanted = theory.chi1(get("leaky_relu", slope=0.2), 1.1, 0.2)
    assert theory.chi1("leaky_relu(slope=0.2)", 1.1, 0.2) == wanted
    assert theory.chi1("where(z > 0, z, 0.2*z)", 1.1, 0.2) == pytest.approx(wanted, rel=1e-9)
    assert theory.chi1("theory_own(a=0.2)=where(z > 0, z, a*z)", 1.1, 0.2) == pytest.approx(wanted, rel=1e-9)
    assert theory.chi1("theory_own", 1.1, 0.2) == pytest.approx(wanted, rel=1e-9)


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
        (lambda: theory.chi1("tanh", -1.0), ("sigma_w = -1.0", "at least 0")),
        (lambda: theory.chi1("tanh", "1"), ("sigma_w = '1'", "finite number")),
        (lambda: theory.chi1("tanh", True), ("sigma_w = True",)),
        (lambda: theory.chi1("tanh", 1.0, math.nan), ("sigma_b = nan",)),
        (lambda: theory.critical_sigma_w("tanh", math.inf), ("sigma_b = inf",)),
        (lambda: theory.variance_map("tanh", -1, 1.0), ("q = -1",)),
        (lambda: theory.variance_map("tanh", [1.0], 1.0), ("q = [1.0]",)),
        (lambda: theory.correlation_map("tanh", 1.5, 1.0, 1.0), ("c = 1.5", "from -1 to 1")),
        (lambda: theory.phase_diagram("tanh", [1.0, -1.0], [0.0]), ("sigma_w = -1.0",)),
        (lambda: theory.born_dead(0, 4), ("depth = 0", "at least 1")),
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
    ],
)
def test_bad_input_is_refused_in_one_line(call, fragments):
    refusal(call, *fragments)


# --- born dead --------------------------------------------------------------------------


def test_born_dead_is_one_minus_the_product_of_living_layers():
    assert theory.born_dead(1, 1) == 0.5
    assert theory.born_dead(3, 2) == pytest.approx(1 - 0.75**3, rel=1e-14)
    assert theory.born_dead(3, [1, 2, 3]) == pytest.approx(1 - 0.5 * 0.75 * 0.875, rel=1e-14)
    assert theory.born_dead(100, 60) == pytest.approx(100 * 2.0**-60, rel=1e-12)


@pytest.mark.parametrize(("depth", "width"), [(1, 3), (4, 2), (3, [3, 2, 4])])
def test_at_a_single_input_the_probability_is_exact(depth, width):
    found = theory.simulate_born_dead(depth, width, np.array([[0.3, -1.2, 0.5]]), networks=20_000)
    wanted = theory.born_dead(depth, width)
    assert abs(found.share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / found.networks)
    assert found.low < found.share < found.high


def test_for_several_inputs_it_is_a_bound_and_simulation_is_right():
    """One feature, inputs of both signs, two layers of N: layer 1 lives; the rays are independent unless all its
    weights have one sign, so that P = 2^(1-N) 2^-N + (1 - 2^(1-N)) 4^-N."""
    for width in (1, 2, 3):
        found = theory.simulate_born_dead(2, width, np.array([[1.0], [-2.0]]), networks=40_000, seed=1)
        wanted = 3 * 4.0**-width - 2 * 8.0**-width
        assert abs(found.share - wanted) < 4 * math.sqrt(wanted / found.networks)
        assert wanted < theory.born_dead(2, width)
    none = theory.simulate_born_dead(1, 2, np.array([[1.0], [-2.0]]), networks=1000)
    assert none.dead == 0
    assert none.low == 0


# --- pictures' data ---------------------------------------------------------------------


def test_the_phase_diagram_is_what_the_functions_say():
    for name in ("tanh", "gelu", "relu"):
        frame = theory.phase_diagram(name, np.linspace(0.4, 2.4, 6), [0.0, 0.2, 1.0])
        assert len(frame) == 18
        for row in frame.itertuples():
            if row.phase == "unbounded":
                assert row.q == math.inf
                refusal(lambda r=row, n=name: theory.fixed_point(n, r.sigma_w, r.sigma_b), error=theory.NoFixedPoint)
            else:
                assert row.q == pytest.approx(theory.fixed_point(name, row.sigma_w, row.sigma_b), rel=1e-4, abs=1e-8)
                assert row.chi1 == pytest.approx(theory.chi1(name, row.sigma_w, row.sigma_b), rel=1e-4)
                assert row.phase == ("ordered" if row.chi1 < 1 else "chaotic")
    critical = theory.phase_diagram("relu", [math.sqrt(2)], [0.0, 0.1])
    assert critical["phase"].tolist() == ["critical", "unbounded"]


def test_points_of_the_edge_are_critical():
    edge = theory.edge_of_chaos("tanh")
    assert edge["stable"].all()
    for sigma_b in (0.05, 0.3, 1.5):
        got = np.interp(sigma_b, edge["sigma_b"], edge["sigma_w"])
        assert got == pytest.approx(theory.critical_sigma_w("tanh", sigma_b), rel=1e-5)
    assert theory.edge_of_chaos("softplus").empty
    point = theory.edge_of_chaos("relu")
    assert (point["sigma_b"] == 0).all()
    np.testing.assert_allclose(point["sigma_w"], math.sqrt(2), rtol=1e-9)
    first = theory.edge_of_chaos("sigmoid").iloc[0]
    assert first["sigma_b"] == 0
    assert first["sigma_w"] == pytest.approx(theory.critical_sigma_w("sigmoid", 0.0), rel=1e-5)


def test_curves_pass_through_what_stays():
    stays = theory.what_stays("tanh", [0.8, 2.0], 0.3)
    assert stays[stays["quantity"].eq("c")]["stable"].tolist() == [True, False, True]
    variances = theory.variance_curves("tanh", [0.8, 2.0], 0.3)
    correlations = theory.correlation_curves("tanh", [0.8, 2.0], 0.3)
    for frame, quantity in ((variances, "q"), (correlations, "c")):
        for point in stays[stays["quantity"].eq(quantity)].itertuples():
            curve = frame[frame["sigma_w"].eq(point.sigma_w)]
            assert np.interp(point.at, curve[quantity], curve["next"]) == pytest.approx(point.at, abs=2e-3)
    kinked = theory.correlation_curves("relu", [1.0], 0.3)
    wanted = [theory.correlation_map("relu", c, 0.18, 1.0, 0.3) for c in kinked["c"][::20]]
    np.testing.assert_allclose(kinked["next"][::20], wanted, atol=1e-5)
    assert theory.correlation_curves("relu", [2.0], 0.3).empty


def test_the_table_has_numbers_or_says_why_not():
    table = theory.theory_table(["tanh", "relu", "gelu", "softplus"], sigma_b=0.3).set_index("activation")
    row = table.loc["tanh"]
    assert row["critical_sigma_w"] == pytest.approx(1.39558, abs=5e-6)
    assert row["chi1_lecun"] == pytest.approx(theory.chi1("tanh", 1.0, 0.3))
    assert row["xi_c_he"] == pytest.approx(theory.depth_scales("tanh", math.sqrt(2), 0.3).xi_c)
    assert row["note"] == ""
    assert table["critical_sigma_w"].isna().tolist() == [False, True, True, True]
    assert "no edge of chaos" in table.loc["relu", "note"]
    assert "grows without end" in table.loc["relu", "note"]
    assert table.loc["relu", "gain"] == pytest.approx(math.sqrt(2))
    assert theory.theory_table([get("relu")]).loc[0, "critical_sigma_w"] == pytest.approx(math.sqrt(2))


def test_named_initializers_lie_where_their_formulas_say():
    assert theory.named_sigma_w() == {"LeCun, Glorot": 1.0, "He": pytest.approx(math.sqrt(2), rel=1e-9)}
    assert theory.named_sigma_w({"he_uniform": "He", "lecun_uniform": "LeCun"}) == {
        "LeCun": pytest.approx(1.0),
        "He": pytest.approx(math.sqrt(2)),
    }


# --- by layer ---------------------------------------------------------------------------


def test_a_profile_follows_the_variance_map_and_chi():
    widths = [50, 80, 60, 40, 10]
    frame = theory.profile(widths, ["tanh", "gelu", "hardtanh"], "glorot_normal", "normal(std=0.2)", inputs=1.3)
    assert frame["layer"].tolist() == [0, 1, 2, 3]
    q, square, deltas = [], 1.3, [1.0]
    acts = [get(name) for name in ("tanh", "gelu", "hardtanh")]
    for i, (m, n) in enumerate(pairwise(widths)):
        q.append(m * 2 / (m + n) * square + 0.04)
        square = float(mean_square(acts[i], q[-1])[0]) if i < 3 else math.nan
        assert frame["weight_rms"][i] == pytest.approx(math.sqrt(2 / (m + n)))
    for i in (2, 1, 0):
        m, n = widths[i + 1], widths[i + 2]
        deltas.insert(0, deltas[0] * n * 2 / (m + n) * float(mean_square_slope(acts[i], q[i])[0]))
    np.testing.assert_allclose(frame["preactivation_std"] ** 2, q, rtol=1e-9)
    np.testing.assert_allclose(frame["delta_rms"] ** 2, deltas, rtol=1e-9)
    assert frame["gradient_rms"].isna().all()
    np.testing.assert_allclose(frame["preactivation_mean"], 0)


def test_shares_are_probabilities():
    """relu is off at z <= 0; tanh is saturated where its slope is under 0.1; a mean shifts them."""
    frame = theory.profile([30, 30, 30], "relu", "he_normal")
    assert frame["zero"].tolist() == [0.5, 0.0]
    assert frame["saturated_low"].tolist() == [0.5, 0.0]
    assert frame["saturated_high"].tolist() == [0.0, 0.0]
    frame = theory.profile([30, 30, 30], "tanh", Scales(normal=2 / math.sqrt(30)), Scales(shift=0.7))
    at = math.atanh(math.sqrt(0.9))
    assert frame["saturated_high"][0] == pytest.approx(erfc((at - 0.7) / 2 / math.sqrt(2)) / 2, rel=1e-9)
    assert frame["saturated_low"][0] == pytest.approx(erfc((at + 0.7) / 2 / math.sqrt(2)) / 2, rel=1e-9)
    assert frame["preactivation_mean"][0] == pytest.approx(0.7)
    assert theory.profile([3, 3, 3], "exp(z)")["saturated_low"].isna()[0]


def test_equal_weights_make_equal_units_exactly():
    """Without randomness theory is arithmetic: every unit of a layer is f(fan_in c mean(h))."""
    X = RANDOM.normal(size=(7, 5))
    frame = theory.profile([5, 6, 4, 2], "gelu", Scales(shift=0.3), inputs=X)
    h = X
    for i, n in enumerate((6, 4, 2)):
        z = 0.3 * h.sum(axis=1, keepdims=True) + np.zeros((1, n))
        h = get("gelu")(z) if i < 2 else z
        assert frame["preactivation_mean"][i] == pytest.approx(z.mean(), rel=1e-9)
        assert frame["preactivation_std"][i] == pytest.approx(z.std(), rel=1e-7)
        assert frame["activation_std"][i] == pytest.approx(h.std(), rel=1e-7)
    zeros = theory.profile([5, 6, 4, 2], "relu", "zeros", inputs=X)
    assert (zeros[["preactivation_std", "activation_std", "weight_rms"]] == 0).all(axis=None)
    assert zeros["zero"].tolist() == [1, 1, 0]


def test_covariances_of_samples_are_those_of_the_kernel():
    """Of two inputs, through layers of relu: the arc-cosine kernel (Cho & Saul 2009), and its slopes."""
    X = np.array([[1.0, 0.5, -0.2, 0.3], [0.8, -0.4, 0.1, 1.5]])
    seen = []

    def deltas(mean, covariance):
        seen.append(covariance)
        return np.array([[1.0, 0.25], [0.25, 4.0]])

    shape = (4, 4)
    layers = [Layer(*shape, get("relu"), (0.0, 0.5)), Layer(*shape, None, (0.0, 0.5))]
    frame = layer_statistics(layers, Incoming.from_data(X), deltas)
    first = 0.5 * X @ X.T
    size = math.sqrt(first[0, 0] * first[1, 1])
    c = first[0, 1] / size
    wanted = 4 * 0.5 * np.array([[first[0, 0] / 2, size * arccosine(1, c)], [0, first[1, 1] / 2]])
    np.testing.assert_allclose(seen[0][np.triu_indices(2)], wanted[np.triu_indices(2)], rtol=1e-4)
    assert frame["delta_rms"][1] == pytest.approx(math.sqrt(2.5))
    assert frame["delta_rms"][0] == pytest.approx(math.sqrt(4 * 0.5 * 0.5 * 2.5))
    back = 4 * 0.5 * np.array([[0.5, 0.25 * arccosine(0, c)], [0.25 * arccosine(0, c), 2.0]])
    assert frame["gradient_rms"][0] == pytest.approx(math.sqrt((back * (X @ X.T) / 4).sum()), rel=1e-3)


def test_layers_that_look_at_whole_layers_have_no_theory():
    campaign = gs.Campaign(dataset="iris", hidden=[6, 6, 6], activation=["tanh", "softmax", "tanh"], steps=1)
    frame = campaign.theory()
    assert frame["preactivation_std"].notna().tolist() == [True, False, False, False]
    assert frame["delta_rms"].isna().all()
    assert frame["weight_rms"].notna().all()


# --- figures ----------------------------------------------------------------------------


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_phase_figure_names_phases_and_initializers(theme):
    sigma_w, sigma_b = np.linspace(0.1, 3, 40), np.linspace(0, 2, 30)
    for name, said in (("tanh", "gradients explode"), ("gelu", "grows without end")):
        phases = theory.phase_diagram(name, sigma_w, sigma_b)
        figure = figures.phase_diagram(phases, theory.edge_of_chaos(name), theory.named_sigma_w(), theme=theme)
        found = " ".join(texts(figure))
        assert said in found
        assert "gradients vanish" in found
        assert "LeCun, Glorot" in found
        legend = [t.get_text() for t in figure.legends[0].get_texts()]
        assert any("edge of chaos" in t for t in legend)
        line = next(line for line in figure.axes[0].lines if "edge" in str(line.get_label()))
        assert len(line.get_xdata()) > 10
    assert "no grid" in " ".join(texts(figures.phase_diagram(phases.iloc[:0])))
    refusal(lambda: figures.phase_diagram(phases.iloc[:7]), "phases", "every pair")


def test_the_edge_of_relu_is_a_point():
    phases = theory.phase_diagram("relu", np.linspace(0.1, 3, 20), np.linspace(0, 2, 20))
    figure = figures.phase_diagram(phases, theory.edge_of_chaos("relu"))
    (line,) = [line for line in figure.axes[0].lines if "edge" in str(line.get_label())]
    assert line.get_xdata() == pytest.approx([math.sqrt(2)])
    assert line.get_ydata() == pytest.approx([0])


def test_the_map_figure_marks_what_attracts_and_what_repels():
    arguments = ("tanh", [0.8, 2.0], 0.3)
    frames = [of(*arguments) for of in (theory.variance_curves, theory.correlation_curves, theory.what_stays)]
    figure = figures.signal_maps(*frames)
    faces = [line.get_markerfacecolor() for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert faces.count("#ffffff") == 1
    assert len(faces) == 3
    empty = figures.signal_maps(*[frame.iloc[:0] for frame in frames])
    assert "no curves" in " ".join(texts(empty))
    grown = [
        of("relu", [1.0, 2.0], 0.3) for of in (theory.variance_curves, theory.correlation_curves, theory.what_stays)
    ]
    assert any("grows without end" in t.get_text() for t in figures.signal_maps(*grown).texts)


def test_the_figure_of_theory_over_measurement_draws_what_it_is_given():
    rows = [
        ("tanh", layer, name, 0.9**layer, 0.88**layer, 0.8**layer, 0.95**layer, 8)
        for layer in range(4)
        for name in ("preactivation_std", "delta_rms")
    ]
    columns = ["activation", "layer", "statistic", "expected", "measured", "low", "high", "n"]
    frame = pd.DataFrame(rows, columns=columns)
    figure = figures.theory_over_measurement(frame, ["delta_rms"])
    line, points = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), 0.9 ** np.arange(4))
    np.testing.assert_allclose(points.get_ydata(), 0.88 ** np.arange(4))
    refusal(lambda: figures.theory_over_measurement(frame, ["dead"]), "'dead'", "delta_rms")
    assert "No run" in " ".join(texts(figures.theory_over_measurement(frame.iloc[:0])))


def test_formula_warnings_are_the_users():
    with pytest.warns(FormulaWarning):
        theory.gain("log(abs(z)) + z")

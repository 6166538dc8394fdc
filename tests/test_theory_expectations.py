"""Expectations over one and over two normal pre-activations: closed forms, many digits, heavy tails, steps."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from campaign_help import refusal
from scipy.special import erf, erfc
from theory_help import arccosine

import gradsim as gs
from gradsim import theory
from gradsim.activations import get
from gradsim.theory.meanfield import hermite_squares, mean_square, mean_square_slope
from gradsim.theory.quadrature import normal_means, product_mean

VARIANCES = np.sort(10 ** np.random.default_rng(0).uniform(-6, 4, 12))


# --- one pre-activation -----------------------------------------------------------------


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


# --- two pre-activations ----------------------------------------------------------------

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

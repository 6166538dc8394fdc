"""erf and erfc on lane vectors against 50 digits, the tail down to underflow."""

from __future__ import annotations

import numpy as np
import pytest
from exactly import around, exact, normal_results, ulp_errors
from lane_kernels import on_lanes, on_singles
from mpmath import mp
from scipy import special

from gradsim.lanes import erf, erfc

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
every_width = pytest.mark.parametrize("run", [on_lanes, on_singles], ids=["full width", "lanes of one"])

# What 100,000 inputs showed, rounded up.
ERF_ULP, ERFC_ULP = 1.0, 1.6


def both(x):
    return erf(x), erfc(x)


def both_widths(x):
    return np.concatenate([on_lanes(both, 2, x), on_singles(both, 2, x)], axis=1)


@every_dtype
def test_erf_and_erfc_against_50_digits(dtype):
    limits = np.finfo(dtype)
    random = np.random.default_rng(41)
    underflow = 10.1 if dtype == np.float32 else 27.3
    tiny = np.geomspace(float(limits.smallest_subnormal), 0.5, 300)
    x = np.concatenate(
        [
            random.uniform(-1.5, 1.5, 600),
            random.uniform(-6.5, 6.5, 600),
            np.linspace(0, underflow, 600),
            tiny,
            -tiny,
            around([0.93, -0.93, 4, 6, 3.92, 5.93, 1], dtype),
        ]
    ).astype(dtype)
    got, wanted, complement = both_widths(x), exact(mp.erf, x) * 2, exact(mp.erfc, x) * 2
    assert ulp_errors(got[0], wanted).max() <= ERF_ULP
    errors, normal = ulp_errors(got[1], complement), normal_results(complement, dtype)
    assert errors[normal].max() <= ERFC_ULP
    assert errors[~normal].max() <= 1
    assert (~normal & (got[1] > 0)).sum() > 5
    assert (got[0] == 1).any()
    assert (got[1] == 2).any()


@every_dtype
def test_erfc_has_digits_next_to_its_underflow(dtype):
    x = np.linspace(8.5, 9.15, 300) if dtype == np.float32 else np.linspace(24, 26.5, 300)
    x = x.astype(dtype)
    got, wanted = both_widths(x)[1], exact(mp.erfc, x) * 2
    assert normal_results(wanted, dtype).all()
    assert ulp_errors(got, wanted).max() <= ERFC_ULP
    assert np.unique(got).size > 295


INF, NAN = np.inf, np.nan
SPECIAL = [
    (0.0, (0.0, 1)),
    (-0.0, (-0.0, 1)),
    (INF, (1, 0)),
    (-INF, (-1, 2)),
    (NAN, (NAN, NAN)),
    (1e30, (1, 0)),
    (-1e30, (-1, 2)),
    (0.5, (special.erf(0.5), special.erfc(0.5))),
]


@every_dtype
@every_width
@pytest.mark.parametrize(("x", "wanted"), SPECIAL, ids=[str(x) for x, _ in SPECIAL])
def test_error_functions_at_special_values(run, x, wanted, dtype):
    got = run(both, 2, np.full(1, x, dtype))[:, 0]
    np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(dtype).eps, atol=0)
    np.testing.assert_array_equal(np.signbit(got[:1]), np.signbit(np.array(wanted[:1])))


@every_dtype
def test_erf_is_odd_and_the_two_add_up(dtype):
    x = np.random.default_rng(42).uniform(-5, 5, 1000).astype(dtype)
    got, mirrored = on_lanes(both, 2, x), on_lanes(both, 2, -x)
    np.testing.assert_array_equal(mirrored[0], -got[0])
    np.testing.assert_allclose(got[0] + got[1], 1, rtol=0, atol=3 * np.finfo(dtype).eps)


@every_dtype
def test_outside_compiled_code_the_names_are_scipys(dtype):
    x = np.linspace(-5, 5, 101, dtype=dtype)
    np.testing.assert_array_equal(erf(x), special.erf(x))
    np.testing.assert_array_equal(erfc(x), special.erfc(x))
    # SciPy's tail is several ulp off.
    np.testing.assert_allclose(np.array(both(x)), on_lanes(both, 2, x), rtol=16 * np.finfo(dtype).eps)

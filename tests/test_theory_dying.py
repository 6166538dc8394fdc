"""Networks that are dead at birth: closed forms, and the simulation of data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from campaign_help import refusal

from gradsim import theory


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


def test_wide_layers_never_die_and_zero_has_no_sign():
    assert math.copysign(1, theory.born_dead(5, 2000)) == 1
    assert theory.born_dead(1000, 100_000) == 0


@pytest.mark.parametrize(
    ("call", "fragments"),
    [
        (lambda X: theory.born_dead(10**9, 1), ("depth = 1000000000", "from 1 to 1000")),
        (lambda X: theory.born_dead(1, 10**400), ("width = 1000", "from 1 to 100000")),
        (lambda X: theory.born_dead(2, [3, 100_001]), ("width = 100001", "from 1 to 100000")),
        (lambda X: theory.simulate_born_dead(1001, 1, X), ("depth = 1001", "from 1 to 1000")),
        (lambda X: theory.simulate_born_dead(1, 50_000, X), ("width = 50000", "2,500,000,000 numbers", "25,000,000")),
        (lambda X: theory.simulate_born_dead(1, 2, X, 10**12), ("networks = 1000000000000", "10000000")),
    ],
)
def test_what_would_never_end_is_refused(call, fragments):
    refusal(lambda: call(np.ones((3, 2))), *fragments)

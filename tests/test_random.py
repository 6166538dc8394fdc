"""Counter-based random numbers: known answers, the twin, moments, and what a number may depend on."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest

from gradsim import jit
from gradsim.engine import random as engine_random
from gradsim.engine.random import STREAM_BATCHES, STREAM_BIASES, STREAM_WEIGHTS, permutation, philox, random_words
from gradsim.lanes import bits, from_bits, load, store


@jit.kernel
def _philox(words, out):
    """words [6, 8]: counter and key; out [4, 8]."""
    results = philox(
        bits(load(words, 0)),
        bits(load(words, 8)),
        bits(load(words, 16)),
        bits(load(words, 24)),
        bits(load(words, 32)),
        bits(load(words, 40)),
    )
    for k in range(4):
        store(out, 8 * k, from_bits(results[k]))


def on_lanes(counters_and_keys):
    """Philox of 8 rows of (c0, c1, c2, c3, k0, k1)."""
    words = np.array(counters_and_keys, np.uint64).T.copy()
    out = np.empty(32)
    _philox(words.view(np.float64).ravel(), out)
    return out.view(np.uint64).reshape(4, 8).T.tolist()


KNOWN = [  # counter, key, output: the test vectors of Random123
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def hexadecimal(text):
    return [int(word, 16) for word in text.split()]


def test_philox_gives_the_known_answers_in_every_lane():
    for shift in range(8):
        rows = [KNOWN[(i + shift) % 3] for i in range(8)]
        got = on_lanes([hexadecimal(counter) + hexadecimal(key) for counter, key, _ in rows])
        assert got == [hexadecimal(answer) for _, _, answer in rows]


def test_philox_equals_the_twin_at_random_counters():
    words = np.random.default_rng(0).integers(0, 2**32, (8, 6)).tolist()
    assert on_lanes(words) == [list(naive.philox4x32(tuple(w[4:]), tuple(w[:4]))) for w in words]


@pytest.mark.parametrize(
    ("campaign_seed", "seed", "stream", "part"),
    [(0, 0, 0, 0), (5, 7, 2, 3), (2**32 - 1, 2**32 - 1, 1, 999), (1, 2**31, STREAM_BATCHES, 10**6)],
)
def test_random_words_are_those_of_the_twin(campaign_seed, seed, stream, part):
    got = random_words(campaign_seed, seed, stream, part, 6)
    for index, word in enumerate(got.tolist()):
        a, b, _, _ = naive.philox4x32((campaign_seed, seed), (index, part, stream, 0))
        assert word == (a << 32) | b


def drawn(campaign_seed, seeds, part, stream, count, normal):
    """[count, 8 networks]."""
    out = np.empty((count + 1) * 8)
    keys = np.array(seeds, np.uint64).view(np.float64)
    engine_random.fill(campaign_seed, keys, part, stream, count, normal, out)
    return out.reshape(-1, 8)[:count]


def test_numbers_follow_from_the_words_as_documented():
    """52 bits a number, the first of a pair in (0, 1], the second in [0, 1); Box and Muller for normal ones."""
    uniform = drawn(3, range(8), 4, STREAM_WEIGHTS, 20, False)
    normal = drawn(3, range(8), 4, STREAM_WEIGHTS, 20, True)
    for seed in range(8):
        for pair in range(10):
            a, b, c, d = naive.philox4x32((3, seed), (pair, 4, STREAM_WEIGHTS, 0))
            u = 1 - (((a << 32) | b) >> 12) / 2**52
            v = (((c << 32) | d) >> 12) / 2**52
            assert uniform[2 * pair, seed] == 2 * u - 1
            assert uniform[2 * pair + 1, seed] == 2 * v - 1
            radius = math.sqrt(-2 * math.log(u))
            wanted = radius * math.cos(2 * math.pi * v), radius * math.sin(2 * math.pi * v)
            assert normal[2 * pair : 2 * pair + 2, seed] == pytest.approx(wanted, rel=1e-13, abs=1e-14)


def within(sample_mean, mean, variance, count):
    """Whether a mean of `count` numbers lies within 5 standard errors."""
    return abs(sample_mean - mean) < 5 * math.sqrt(variance / count)


def test_moments_of_normal_numbers():
    x = drawn(1, range(8), 0, STREAM_WEIGHTS, 125_000, True).ravel()
    n = x.size
    assert n == 1_000_000
    assert within(x.mean(), 0, 1, n)
    assert within((x**2).mean(), 1, 2, n)
    assert within((x**3).mean(), 0, 15, n)
    assert within((x**4).mean(), 3, 96, n)
    for limit in (0.5, 1, 2, 3, 4):
        share = math.erfc(limit / math.sqrt(2))
        assert within((np.abs(x) > limit).mean(), share, share * (1 - share), n)
    assert len(np.unique(x)) > 0.999 * n
    assert np.isfinite(x).all()


def test_moments_of_uniform_numbers():
    x = drawn(1, range(8), 0, STREAM_WEIGHTS, 125_000, False).ravel()
    n = x.size
    assert within(x.mean(), 0, 1 / 3, n)
    assert within((x**2).mean(), 1 / 3, 4 / 45, n)
    assert within((x**4).mean(), 1 / 5, 1 / 9 - 1 / 25, n)
    assert x.min() >= -1
    assert x.max() <= 1
    counts, _ = np.histogram(x, 100, (-1, 1))
    # Chi-squared with 99 degrees of freedom has mean 99 and standard deviation 14.
    assert abs(((counts - n / 100) ** 2 / (n / 100)).sum() - 99) < 5 * math.sqrt(2 * 99)


def test_the_two_numbers_of_a_pair_and_neighbors_are_uncorrelated():
    for normal, variance in ((True, 1), (False, 1 / 3)):
        x = drawn(2, range(8), 0, STREAM_WEIGHTS, 50_000, normal)
        n = x.size // 2
        assert within((x[::2] * x[1::2]).mean(), 0, variance**2, n)
        assert within((x[1:-1:2] * x[2::2]).mean(), 0, variance**2, n - 8)
        assert within((x[:, :4] * x[:, 4:]).mean(), 0, variance**2, n)
        # Box and Muller's pair shares its radius: only if angles are even are the squares uncorrelated as well.
        if normal:
            assert within(((x[::2] ** 2 - 1) * (x[1::2] ** 2 - 1)).mean(), 0, 4, n)


@pytest.mark.parametrize("normal", [True, False])
def test_a_number_does_not_depend_on_its_lane_or_its_neighbors(normal):
    seeds = [11, 5, 8, 2, 99, 0, 3, 7]
    together = drawn(1, seeds, 2, STREAM_BIASES, 9, normal)
    for lane, seed in enumerate(seeds):
        alone = drawn(1, [seed] * 8, 2, STREAM_BIASES, 9, normal)
        np.testing.assert_array_equal(alone, np.repeat(together[:, lane : lane + 1], 8, axis=1))
    np.testing.assert_array_equal(drawn(1, seeds, 2, STREAM_BIASES, 5, normal), together[:5])


def test_everything_in_the_key_and_the_counter_matters():
    base = {"campaign_seed": 1, "seeds": [2] * 8, "part": 3, "stream": 0, "count": 50, "normal": True}
    first = drawn(**base)
    changes = (("campaign_seed", 2), ("seeds", [3] * 8), ("part", 4), ("stream", 1), ("seeds", [1] * 8))
    others = [drawn(**base | {key: value}) for key, value in changes]
    for a in others:
        assert not np.isin(a, first).any()
    # The campaign's seed and the run's are not interchangeable.
    assert not np.isin(drawn(**base | {"campaign_seed": 2, "seeds": [1] * 8}), first).any()


def test_a_permutation_holds_every_index_once():
    for size in (1, 2, 10, 1437):
        order = permutation(1, 2, STREAM_BATCHES, 0, size)
        assert order.dtype == np.int64
        np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_permutations_differ_by_epoch_seed_and_campaign():
    orders = {
        tuple(permutation(campaign, seed, STREAM_BATCHES, epoch, 20))
        for campaign in range(3)
        for seed in range(3)
        for epoch in range(10)
    }
    assert len(orders) == 90
    np.testing.assert_array_equal(permutation(1, 2, STREAM_BATCHES, 3, 50), permutation(1, 2, STREAM_BATCHES, 3, 50))


def test_permutations_are_even():
    """Over 3000 epochs every index stands at every place equally often."""
    size, epochs = 6, 3000
    counts = np.zeros((size, size))
    for epoch in range(epochs):
        counts[np.arange(size), permutation(0, 0, STREAM_BATCHES, epoch, size)] += 1
    expected = epochs / size
    # Each count is binomial; rows and columns sum to `epochs`, so 25 of the 36 are free.
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_squared - 25) < 5 * math.sqrt(2 * 25)

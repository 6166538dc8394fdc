"""Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011).

A number depends on (campaign seed, seed, stream, index) and on nothing else: not on which lane, group, shard or machine
draws it, nor on what was drawn before. The key is (campaign seed, seed); the counter is (index, part, stream), where
the part is a layer or an epoch. Eight networks are drawn at once, 32-bit words in 64-bit lanes, and everything is done
in float64, so that a float32 network starts from the rounded weights of its float64 twin.
"""

from __future__ import annotations

import numpy as np

from gradsim import jit
from gradsim.lanes import bits, cos_sin_turns, from_bits, lane_count, load, log, narrow, spread, sqrt, store

# What a stream is drawn for: two uses never share numbers.
STREAM_WEIGHTS, STREAM_BIASES, STREAM_BATCHES, STREAM_NOISE = 0, 1, 2, 3
STREAM_PLACES, STREAM_DRAWS, STREAM_DIRECTIONS = 16, 32, 64
# Words of a part of a stream when many are drawn: few enough that their eightfold copies need little memory.
_DRAWS_A_PART = 1 << 16

_M0, _M1 = 0xD2511F53, 0xCD9E8D57
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = 0xFFFFFFFF


@jit.formula
def philox(c0, c1, c2, c3, k0, k1):
    """The four output words of Philox4x32-10; words in the low halves of 64-bit integer lanes."""
    for _ in range(10):
        p0, p1 = c0 * _M0, c2 * _M1
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _LOW, (p0 >> 32) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@jit.formula
def words(campaign_seed, seeds, index, part, stream):
    """The output words for lanes of seeds (integer lanes) at one counter."""
    none = seeds & 0
    return philox(none + index, none + part, none + stream, none, none + campaign_seed, seeds)


@jit.formula
def uniform_pair(campaign_seed, seeds, index, part, stream):
    """Two numbers of 52 bits: the first in (0, 1], the second in [0, 1)."""
    a, b, c, d = words(campaign_seed, seeds, index, part, stream)
    one = 0x3FF0000000000000
    u = from_bits((((a << 32) | b) >> 12) | one)
    v = from_bits((((c << 32) | d) >> 12) | one)
    return 2 - u, v - 1


@jit.formula
def normal_pair(campaign_seed, seeds, index, part, stream):
    """Two independent standard normal numbers, by Box and Muller."""
    u, v = uniform_pair(campaign_seed, seeds, index, part, stream)
    radius = sqrt(-2 * log(u))
    cosine, sine = cos_sin_turns(v)
    return radius * cosine, radius * sine


@jit.kernel
def fill(campaign_seed, seeds, part, stream, count, normal, out):
    """out[count, 8 networks] = standard normal numbers, or uniform ones in [-1, 1].

    seeds: the float64 view of 8 uint64 seeds; out: flat float64 of at least (count + 1) * 8.
    Pair i of a stream gives the numbers 2 i and 2 i + 1.
    """
    lanes = bits(load(seeds, 0))
    for pair in range((count + 1) // 2):
        if normal:
            x, y = normal_pair(campaign_seed, lanes, pair, part, stream)
        else:
            u, v = uniform_pair(campaign_seed, lanes, pair, part, stream)
            x, y = 2 * u - 1, 2 * v - 1
        store(out, pair * 16, x)
        store(out, pair * 16 + 8, y)


@jit.kernel
def _fill_words(campaign_seed, seeds, part, stream, count, out):
    """out[count, 8] = 64 random bits as the bit pattern of float64."""
    lanes = bits(load(seeds, 0))
    for i in range(count):
        a, b, _, _ = words(campaign_seed, lanes, i, part, stream)
        store(out, i * 8, from_bits((a << 32) | b))


@jit.formula
def _store_uniform(word, out, at):
    """A 32-bit word a lane as a number in [0, 1), in the precision of `out`."""
    u = from_bits((word << 20) | 0x3FF0000000000000) - 1
    store(out, at, narrow(u, spread(0, out)))


@jit.device
def draw_noise(campaign_seed, seeds, step, layer, row, count, out, first, stride):
    """`count` uniform numbers a network, at first + i * stride; seeds: bits of uint64 [lanes].

    Four numbers come from one counter, which is (four of them, row of the batch, stream of the layer, step).
    """
    for half in range(lane_count(out) // 8):
        lanes = bits(load(seeds, half * 8))
        none = lanes & 0
        at = first + half * 8
        for i in range(0, count, 4):
            stream = STREAM_NOISE + (layer << 8)
            a, b, c, d = philox(none + i // 4, none + row, none + stream, none + step, none + campaign_seed, lanes)
            _store_uniform(a, out, at + i * stride)
            if i + 1 < count:
                _store_uniform(b, out, at + (i + 1) * stride)
            if i + 2 < count:
                _store_uniform(c, out, at + (i + 2) * stride)
            if i + 3 < count:
                _store_uniform(d, out, at + (i + 3) * stride)


def random_words(campaign_seed: int, seed: int, stream: int, part: int, count: int) -> np.ndarray:
    """uint64 [count]: the 64 random bits at each index of a stream."""
    seeds = np.full(8, seed, np.uint64)
    out = np.empty((count, 8))
    _fill_words(campaign_seed, seeds.view(np.float64), part, stream, count, out.reshape(-1))
    return out.view(np.uint64)[:, 0].copy()


def permutation(campaign_seed: int, seed: int, stream: int, part: int, size: int) -> np.ndarray:
    """A random order of range(size), int64: the indices sorted by their random words."""
    return np.argsort(random_words(campaign_seed, seed, stream, part, size), kind="stable")


def draws(campaign_seed: int, seed: int, stream: int, count: int, size: int) -> np.ndarray:
    """int64 [count]: numbers of range(size), drawn with replacement; the first ones do not depend on the count."""
    parts = range(-(-count // _DRAWS_A_PART))
    words = [random_words(campaign_seed, seed, stream, part, _DRAWS_A_PART) for part in parts]
    return (np.concatenate(words)[:count] % np.uint64(size)).astype(np.int64)

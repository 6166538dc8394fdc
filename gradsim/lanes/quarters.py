"""Numbers of quarter turns: x = n pi/2 + r for every finite x, with r to more than working precision.

Moderate arguments take pi/2 in three parts; beyond, the digits of 2/pi that matter to the exponent are multiplied in
integers (Payne & Hanek 1983), which vectors without such a lane skip. r - s is kept as two numbers, so that sine and
cosine near their zeros have all their digits.
"""

from __future__ import annotations

import itertools

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gradsim.jit import formula
from gradsim.lanes.elementary import MAGIC_32, MAGIC_64
from gradsim.lanes.pairs import Plain, Words, fast_two_sum, two_product
from gradsim.lanes.pairs import fma as plain_fma
from gradsim.lanes.vector import Lanes, bits, count_true, fma, narrow, splat, where, widen

TWO_OVER_PI = 0.6366197723675814
HALF_PI_32 = (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15)
HALF_PI_64 = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
# Up to here pi/2 in three parts is exact enough, and the rounded quotient is at most 1/128 off.
MODERATE_32, MODERATE_64 = 100000.0, 1000000.0
# 2/pi = sum of word[k] 2^(-64 k); the first word is its integer part.
TWO_OVER_PI_WORDS = (
    0x0000000000000000,
    0xA2F9836E4E441529,
    0xFC2757D1F534DDC0,
    0xDB6295993C439041,
    0xFE5163ABDEBBC561,
    0xB7246E3A424DD2E0,
    0x06492EEA09D1921C,
    0xFE1DEB1CB129A73E,
    0xE88235F52EBB4484,
    0xE99C7026B45F7E41,
    0x3991D639835339F4,
    0x9C845F8BBDF9283B,
    0x1FF897FFDE05980F,
    0xEF2F118B5A0A6D1F,
    0x6D367ECF27CB09B7,
    0x4F463F669E5FEA2D,
    0x7527BAC7EBE5F17B,
    0x3D0739F78A5292EA,
    0x6BFB5FB11F8D5D08,
    0x56033046FC7B6BAB,
)


@formula
def _moderate_quarters_32(x):
    """n, r, s with x = n pi/2 + r - s, s below r's last digit; n as the low bits of an integer."""
    t = fma(x, TWO_OVER_PI, MAGIC_32)
    n = t - MAGIC_32
    first = fma(n, -HALF_PI_32[0], x)
    # Spelled as a fused operation, the product is rounded and cannot be fused into the difference.
    p = fma(n, HALF_PI_32[1], 0)
    r = first - p
    return bits(t), r, fma(n, HALF_PI_32[2], fma(n, HALF_PI_32[1], -p)) + (p - (first - r))


@formula
def _moderate_quarters_64(x):
    t = fma(x, TWO_OVER_PI, MAGIC_64)
    n = t - MAGIC_64
    first = fma(n, -HALF_PI_64[0], x)
    p = fma(n, HALF_PI_64[1], 0)
    r = first - p
    return bits(t), r, fma(n, HALF_PI_64[2], fma(n, HALF_PI_64[1], -p)) + (p - (first - r))


def _look_up(table: ir.Value, index: Words) -> Words:
    """table[index], lane by lane."""
    builder, vector = index.builder, index.value.type
    start = splat(builder, builder.ptrtoint(table, vector.element), vector)
    places = builder.inttoptr((index * 8 + Words(builder, start)).value, ir.VectorType(ir.PointerType(), vector.count))
    always = ir.Constant(ir.VectorType(ir.IntType(1), vector.count), [1] * vector.count)
    arguments = [places, ir.Constant(ir.IntType(32), 8), always, ir.Constant(vector, ir.Undefined)]
    kind = ir.FunctionType(vector, [a.type for a in arguments])
    name = f"llvm.masked.gather.v{vector.count}i64.v{vector.count}p0"
    return Words(builder, builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments))


def _digits_of_quarters(pattern: Words) -> list[Words]:
    """|x| 2/pi modulo 4 of the float64 with these bits, at least 2^16: 32-bit digits, two bits before the point."""
    kind = ir.ArrayType(ir.IntType(64), len(TWO_OVER_PI_WORDS))
    table = ir.Constant(kind, list(TWO_OVER_PI_WORDS))
    table = cgutils.global_constant(pattern.builder, "two_over_pi", table)
    # |x| = m 2^(exponent - 1075): the bits of 2/pi before this position contribute multiples of 4.
    position = ((pattern >> 52) & 0x7FF) + (2**64 - (1075 + 2 - 64))
    first, shift = position >> 6, position & 63
    words = [_look_up(table, first + k) for k in range(4)]
    aligned = [(a << shift) | ((b >> 1) >> (shift ^ 63)) for a, b in itertools.pairwise(words)]
    factor = [half for word in aligned for half in (word >> 32, word & 0xFFFFFFFF)]

    m = (pattern & 0x000FFFFFFFFFFFFF) | 0x0010000000000000
    m_low, m_high = m & 0xFFFFFFFF, m >> 32
    digits, low, high, before = [], m.of(0), m.of(0), m.of(0)
    for digit in reversed(factor):
        low = m_low * digit + (low >> 32)
        high = m_high * before + (low & 0xFFFFFFFF) + (high >> 32)
        digits.append(high & 0xFFFFFFFF)
        before = digit
    return digits[::-1]


def _with_sign(y: Plain, sign: Words) -> Plain:
    """y with its sign changed where the bit is set."""
    return (Words.of_bits(y) ^ sign).floats()


def _reduced(x: Plain) -> tuple[Plain, Plain, Plain]:
    """n, r, s of `_large_quarters`."""
    pattern = Words.of_bits(x)
    first, *others = _digits_of_quarters(pattern)
    # A fraction above one half is taken as what is missing to 1, so that all digits have one sign.
    above = (first >> 29) & 1
    flip = above * 0xFFFFFFFF
    d = [((first ^ flip) & 0x3FFFFFFF).number() * 2.0**-30]
    d += [(digit ^ flip).number() * 2.0 ** (-62 - 32 * k) for k, digit in enumerate(others[:3])]
    high, low = fast_two_sum(d[0], d[1])
    high, low = fast_two_sum(high, low + (d[2] + d[3]))
    r, error = two_product(high, HALF_PI_64[0])
    s = -plain_fma(high, HALF_PI_64[1], plain_fma(low, HALF_PI_64[0], error))

    sign = pattern & 2**63
    n = ((first >> 30) + above).number()
    by = sign ^ (above << 63)
    return _with_sign(n, sign), _with_sign(r, by), _with_sign(s, by)


@intrinsic
def _large_quarters(typingctx, x):
    """n, r, s as in `_moderate_quarters_32` for float64 lanes with 2^16 <= abs(x) < inf."""
    if not isinstance(x, Lanes) or x.dtype != types.float64:
        return None

    def codegen(context, builder, sig, args):
        return context.make_tuple(builder, sig.return_type, [y.value for y in _reduced(Plain(builder, args[0]))])

    return types.UniTuple(x, 3)(x), codegen


@formula
def quarters_32(x):
    quarter, r, s = _moderate_quarters_32(x)
    large = (abs(x) > MODERATE_32) & (abs(x) < np.inf)
    if count_true(large) > 0:
        n, wide, _ = _large_quarters(widen(where(large, x, 1e6)))
        high = narrow(wide, x)
        quarter = where(large, bits(narrow(n, x) + MAGIC_32), quarter)
        r, s = where(large, high, r), where(large, narrow(widen(high) - wide, x), s)
    return quarter, r, s


@formula
def quarters_64(x):
    quarter, r, s = _moderate_quarters_64(x)
    large = (abs(x) > MODERATE_64) & (abs(x) < np.inf)
    if count_true(large) > 0:
        n, high, low = _large_quarters(where(large, x, 1e6))
        quarter = where(large, bits(n + MAGIC_64), quarter)
        r, s = where(large, high, r), where(large, low, s)
    return quarter, r, s

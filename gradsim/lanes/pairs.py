"""Double-double arithmetic on float64 vectors, written as ordinary Python that emits LLVM instructions.

`Plain` is a vector whose operators emit one instruction each, `Pair` the unevaluated sum high + low of two, low at most
half a unit in the last place of high. While Numba lowers a formula, functions over them write its code: nothing is
compiled separately, and none of it may be fused or reordered. The algorithms are the classical ones (Dekker 1971;
Joldes, Muller & Popescu 2017): +, -, *, / and sqrt lose about 2^-103 of their operands. Where high is not finite low is
0, so that infinities and NaN go through a formula as they do in ordinary arithmetic.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir

from gradsim.lanes.vector import llvm_call

# Numba gives its own flags, `contract` among them, to arithmetic that has none: this one, of no effect, keeps it off.
_EXACT = ("afn",)


# --- instructions ---------------------------------------------------------------------------------


@functools.cache
def _constant(kind: ir.VectorType, number: float) -> ir.Constant:
    return ir.Constant(kind, [float(number)] * kind.count)


class Plain:
    """A float64 vector in a function being emitted: each operator is one instruction, rounded as IEEE 754 has it."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def of(self, number: float | Plain) -> Plain:
        """A number in every lane."""
        if isinstance(number, Plain):
            return number
        return Plain(self.builder, _constant(self.value.type, number))

    def _arithmetic(self, emit: Callable, other: float | Plain) -> Plain:
        return Plain(self.builder, emit(self.builder, self.value, self.of(other).value, flags=_EXACT))

    def __add__(self, other):
        return self._arithmetic(ir.IRBuilder.fadd, other)

    def __sub__(self, other):
        return self._arithmetic(ir.IRBuilder.fsub, other)

    def __mul__(self, other):
        return self._arithmetic(ir.IRBuilder.fmul, other)

    def __truediv__(self, other):
        return self._arithmetic(ir.IRBuilder.fdiv, other)

    def __radd__(self, other):
        return self.of(other) + self

    def __rsub__(self, other):
        return self.of(other) - self

    def __rmul__(self, other):
        return self.of(other) * self

    def __rtruediv__(self, other):
        return self.of(other) / self

    def __neg__(self):
        return Plain(self.builder, self.builder.fneg(self.value))

    def __abs__(self):
        return self.call("fabs")

    def compare(self, relation: str, other: float | Plain) -> ir.Value:
        """A mask; every comparison with NaN is false, but for `!=`."""
        emit = self.builder.fcmp_unordered if relation == "!=" else self.builder.fcmp_ordered
        return emit(relation, self.value, self.of(other).value)

    def call(self, name: str, *others: float | Plain) -> Plain:
        """LLVM's vector intrinsic of this name."""
        return Plain(self.builder, llvm_call(self.builder, name, self.value, *(self.of(o).value for o in others)))


def fma(a: Plain, b: float | Plain, c: float | Plain) -> Plain:
    """a * b + c, rounded once."""
    return a.call("fma", b, c)


def select(mask: ir.Value, a: float | Plain, b: float | Plain) -> Plain:
    """`a` where the mask holds, else `b`; at least one of them is a vector."""
    one = a if isinstance(a, Plain) else b
    return Plain(one.builder, one.builder.select(mask, one.of(a).value, one.of(b).value))


def two_sum(a: Plain, b: Plain) -> tuple[Plain, Plain]:
    """a + b as sum and error, exactly."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def fast_two_sum(a: Plain, b: Plain) -> tuple[Plain, Plain]:
    """The same where abs(a) >= abs(b) or a = 0."""
    s = a + b
    return s, b - (s - a)


def two_product(a: Plain, b: float | Plain) -> tuple[Plain, Plain]:
    """a * b as product and error, exactly where nothing underflows."""
    p = a * b
    return p, fma(a, b, -p)


# --- arithmetic -----------------------------------------------------------------------------------


class Pair:
    """high + low while being emitted; `low` is None where it is known to be 0."""

    __slots__ = ("high", "low")

    def __init__(self, high: Plain, low: Plain | None = None):
        self.high, self.low = high, low

    def normalized(self) -> Pair:
        """The same number with low as small as can be; low is dropped where it or high is not finite."""
        s = self.high + self.low
        rest = self.low - (s - self.high)
        # Adding a low of 0 would cost -0 its sign.
        usual = s.builder.and_(abs(rest).compare("<", np.inf), self.low.compare("!=", 0))
        return Pair(select(usual, s, self.high), select(usual, rest, 0))

    def tidied(self) -> Pair:
        """`normalized` of what is finite."""
        return Pair(*fast_two_sum(self.high, self.low))

    def finite(self) -> Pair:
        """A normalized pair that may have overflowed: low is dropped where high is not finite."""
        return Pair(self.high, select(abs(self.high).compare("<", np.inf), self.low, 0))

    def of(self, number: float | tuple[float, float] | Pair) -> Pair:
        """A number, or one given as (high, low), in every lane."""
        if isinstance(number, Pair):
            return number
        if isinstance(number, tuple):
            return Pair(*map(self.high.of, number))
        return Pair(self.high.of(number))

    def lower(self, other: Pair) -> Plain | None:
        """The sum of the low parts."""
        if self.low is None or other.low is None:
            return self.low or other.low
        return self.low + other.low

    def __add__(self, other: float | Pair) -> Pair:
        other = self.of(other)
        s, e = two_sum(self.high, other.high)
        low = self.lower(other)
        return Pair(s, e if low is None else e + low).normalized()

    def __radd__(self, other: float) -> Pair:
        return self + other

    def __neg__(self) -> Pair:
        return Pair(-self.high, None if self.low is None else -self.low)

    def __sub__(self, other: float | Pair) -> Pair:
        return self + -self.of(other)

    def __rsub__(self, other: float) -> Pair:
        return self.of(other) - self

    def product(self, other: Pair) -> Pair:
        """The product, not normalized."""
        p, e = two_product(self.high, other.high)
        if other.low is not None:
            e = fma(self.high, other.low, e)
        if self.low is not None:
            e = fma(self.low, other.high, e)
        return Pair(p, e)

    def __mul__(self, other: float | Pair) -> Pair:
        return self.product(self.of(other)).normalized()

    def __rmul__(self, other: float) -> Pair:
        return self * other

    def quotient(self, other: Pair) -> Pair:
        """The quotient, not normalized: the remainder of high/high is exact, and divided once more."""
        q = self.high / other.high
        r = fma(-q, other.high, self.high)
        if other.low is not None:
            r = fma(-q, other.low, r)
        if self.low is not None:
            r = r + self.low
        return Pair(q, r / other.high)

    def __truediv__(self, other: float | Pair) -> Pair:
        return self.quotient(self.of(other)).normalized()

    def __rtruediv__(self, other: float) -> Pair:
        return self.of(other) / self

    def __abs__(self) -> Pair:
        return self.with_high(abs(self.high))

    def with_high(self, high: Plain) -> Pair:
        """The number or its opposite, whichever has this high part."""
        if self.low is None:
            return Pair(high)
        return Pair(high, select(high.compare("==", self.high), self.low, -self.low))

    def zero_filled(self) -> Pair:
        return self if self.low is not None else Pair(self.high, self.high.of(0))

    def compare(self, relation: str, other: float | Pair) -> ir.Value:
        """By the high parts, and where these are equal by the low ones."""
        a, b, builder = self.zero_filled(), self.of(other).zero_filled(), self.high.builder
        if relation == "!=":
            return builder.or_(a.high.compare("!=", b.high), a.low.compare("!=", b.low))
        lower = builder.and_(a.high.compare("==", b.high), a.low.compare(relation, b.low))
        return lower if relation == "==" else builder.or_(a.high.compare(relation[0], b.high), lower)


def choose(mask: ir.Value, a: float | Pair, b: float | Pair) -> Pair:
    """`select` of pairs."""
    one = a if isinstance(a, Pair) else b
    a, b = one.of(a), one.of(b)
    high = select(mask, a.high, b.high)
    if a.low is None and b.low is None:
        return Pair(high)
    return Pair(high, select(mask, a.zero_filled().low, b.zero_filled().low))


def with_sign(x: Pair, sign: Pair) -> Pair:
    """abs(x) with the sign of another number."""
    return x.with_high(x.high.call("copysign", sign.high))


def pair_fma(a: Pair, b: Pair, c: Pair) -> Pair:
    """a * b + c."""
    p = a.product(b)
    s, t = two_sum(p.high, c.high)
    return Pair(s, t + p.lower(c)).normalized()


def square_root(x: Pair) -> Pair:
    """One step of Newton's method from the root of the high part."""
    s = x.high.call("sqrt")
    r = fma(-s, s, x.high)
    return Pair(s, (r if x.low is None else r + x.low) / (s + s)).normalized()


def extremum(relation: str) -> Callable[[Pair, Pair], Pair]:
    """Minimum ("<") or maximum (">"); NaN if either is."""

    def choice(a: Pair, b: Pair) -> Pair:
        first = a.high.builder.or_(a.compare(relation, b), a.high.compare("!=", a.high))
        return choose(first, a, b)

    return choice


def floor_of(x: Pair) -> Pair:
    whole = x.high.call("floor")
    return Pair(whole, select(whole.compare("==", x.high), x.zero_filled().low.call("floor"), 0)).normalized()


def nearest_integer(x: Pair) -> Pair:
    """Ties to even; where high is a tie, low decides."""
    whole, low = x.high.call("rint"), x.zero_filled().low
    left = x.high - whole
    tie = x.high.builder.and_(abs(left).compare("==", 0.5), (left * 4 * low).compare(">", 0))
    return Pair(whole, select(left.compare("==", 0), low.call("rint"), select(tie, left + left, 0))).normalized()


# --- within elementary functions ------------------------------------------------------------------


def polynomial(x: Pair, leading: Sequence[tuple[float, float]], tail: Sequence[float]) -> Pair:
    """Coefficients from the lowest on: the leading ones are pairs, the tail's are plain and so is their sum."""
    q = x.high.of(tail[-1])
    for c in tail[-2::-1]:
        q = fma(q, x.high, c)
    total = Pair(q)
    for high, low in leading[::-1]:
        p = x.product(total)
        s, e = two_sum(q.of(high), p.high)
        total = Pair(s, e + p.low + low)
    return total


class Words:
    """A vector of unsigned 64-bit integers in a function being emitted: each operator is one instruction."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    @classmethod
    def of_bits(cls, x: Plain) -> Words:
        """The bits of a float64 vector."""
        kind = ir.VectorType(ir.IntType(64), x.value.type.count)
        return cls(x.builder, x.builder.bitcast(x.value, kind))

    def of(self, number: int | Words) -> Words:
        """A number in every lane."""
        if isinstance(number, Words):
            return number
        return Words(self.builder, ir.Constant(self.value.type, [number] * self.value.type.count))

    def _apply(self, emit: Callable, other: int | Words) -> Words:
        return Words(self.builder, emit(self.value, self.of(other).value))

    def __add__(self, other):
        return self._apply(self.builder.add, other)

    def __sub__(self, other):
        return self._apply(self.builder.sub, other)

    def __mul__(self, other):
        return self._apply(self.builder.mul, other)

    def __and__(self, other):
        return self._apply(self.builder.and_, other)

    def __or__(self, other):
        return self._apply(self.builder.or_, other)

    def __xor__(self, other):
        return self._apply(self.builder.xor, other)

    def __lshift__(self, other):
        return self._apply(self.builder.shl, other)

    def __rshift__(self, other):
        return self._apply(self.builder.lshr, other)

    def floats(self) -> Plain:
        """The float64 numbers that have these bits."""
        kind = ir.VectorType(ir.DoubleType(), self.value.type.count)
        return Plain(self.builder, self.builder.bitcast(self.value, kind))

    def number(self) -> Plain:
        """As float64, of words below 2^52."""
        return (self | 0x4330000000000000).floats() - 2.0**52


def two_powers(n: Words) -> tuple[Plain, Plain]:
    """Two powers of two whose product is 2^n: a single one would overflow or flush what is representable."""
    half = ((n + 0x1000) >> 1) - (0x1000 // 2)
    return ((half + 1023) << 52).floats(), ((n - half + 1023) << 52).floats()

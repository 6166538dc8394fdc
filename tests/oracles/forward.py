"""Forward-mode derivatives: `Dual`, a number with its derivatives in as many variables as are asked for.

Comparisons look at the value alone, so `if z > 0` decides, at a kink too, which branch gives the slope. The functions
of Duals are in `oracles.dual`, which two of the operators need: they import it when they run.
"""

from __future__ import annotations

from collections.abc import Callable

from mpmath import mp

mpf = mp.mpf


class Dual:
    """A number and its derivatives: `value` an mpf, `tangents` a tuple of mpf (the integer 0 where there is none)."""

    __slots__ = ("tangents", "value")

    def __init__(self, value: mpf, tangents: tuple):
        self.value = value
        self.tangents = tangents

    def __repr__(self) -> str:
        # No decimal digits: mpmath asks for this in every `mpf * Dual`, and digits of 1e-(10^300) take seconds.
        return f"<Dual of {len(self.tangents)}>"

    def __float__(self) -> float:
        return float(self.value)

    # --- arithmetic ---------------------------------------------------------------------

    def __neg__(self) -> Dual:
        return Dual(-self.value, tuple([-t for t in self.tangents]))

    def __pos__(self) -> Dual:
        return self

    def __abs__(self) -> Dual:
        from oracles.dual import absolute

        return absolute(self)

    def __add__(self, other: object) -> Dual:
        if type(other) is Dual:
            return Dual(self.value + other.value, add(self.tangents, other.tangents))
        return Dual(self.value + other, self.tangents)

    __radd__ = __add__

    def __sub__(self, other: object) -> Dual:
        if type(other) is Dual:
            return Dual(self.value - other.value, add(self.tangents, [-t for t in other.tangents]))
        return Dual(self.value - other, self.tangents)

    def __rsub__(self, other: object) -> Dual:
        return Dual(other - self.value, tuple([-t for t in self.tangents]))

    def __mul__(self, other: object) -> Dual:
        a = self.value
        if type(other) is Dual:
            b = other.value
            return Dual(a * b, add([t and t * b for t in self.tangents], [t and t * a for t in other.tangents]))
        return Dual(a * other, tuple([t and t * other for t in self.tangents]))

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Dual:
        if type(other) is Dual:
            b = other.value
            quotient = divide(self.value, b)
            above, below = self.tangents, other.tangents
            return Dual(quotient, tuple([_of_quotient(t, s, quotient, b) for t, s in zip(above, below, strict=True)]))
        return Dual(divide(self.value, other), tuple([t and divide(t, other) for t in self.tangents]))

    def __rtruediv__(self, other: object) -> Dual:
        quotient = divide(other, self.value)
        return Dual(quotient, tuple([t and divide(-t * quotient, self.value) for t in self.tangents]))

    def __pow__(self, other: object) -> Dual:
        from oracles.dual import power

        return power(self, other)

    def __rpow__(self, other: object) -> Dual:
        from oracles.dual import power

        return power(other, self)

    # --- comparisons, by value ----------------------------------------------------------

    def __lt__(self, other: object) -> bool:
        return self.value < value_of(other)

    def __le__(self, other: object) -> bool:
        return self.value <= value_of(other)

    def __gt__(self, other: object) -> bool:
        return self.value > value_of(other)

    def __ge__(self, other: object) -> bool:
        return self.value >= value_of(other)

    def __eq__(self, other: object) -> bool:
        return self.value == value_of(other)

    def __ne__(self, other: object) -> bool:
        return self.value != value_of(other)

    __hash__ = None


def add(left: object, right: object) -> tuple:
    return tuple([a + b if a and b else a or b for a, b in zip(left, right, strict=True)])


def _of_quotient(above: object, below: object, quotient: mpf, divisor: mpf) -> object:
    """The tangent (above - quotient * below) / divisor."""
    if below:
        above = above - quotient * below
    return above and divide(above, divisor)


def divide(a: object, b: object) -> mpf:
    """a / b, where b may be 0: then inf by the sign of a, NaN for 0 / 0."""
    if b:
        return mpf(a) / b
    return mp.nan if not a or a != a else (mp.inf if a > 0 else mp.ninf)


def value_of(x: object) -> object:
    """The number behind a Dual; a plain number as it is."""
    return x.value if type(x) is Dual else x


def chain(x: object, value: mpf, slope: Callable[[], mpf]) -> object:
    """g(x) from g's value and slope at x's value: a rule for any function of one number. `slope` is called on Duals."""
    if type(x) is not Dual:
        return value
    by = slope()
    return Dual(value, tuple([t and t * by for t in x.tangents]))


def piecewise_constant(x: object, value: mpf) -> object:
    """g(x) of a function that is flat wherever it is smooth: slope 0, at its jumps, too."""
    return chain(x, value, lambda: 0)


def number(x: object) -> mpf:
    """The value as an mpf."""
    x = value_of(x)
    return x if type(x) is mpf else mpf(x)

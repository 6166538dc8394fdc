"""Pairs of float64 lanes: a number as high + low, about 100 bits, with the operators of plain lanes.

`Extended(count)` is the type of `gradsim.lanes.pairs` in compiled code. A formula on it survives the cancellation of
many bits as it stands in the literature, and is rounded once, at its end.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core.datamodel import PrimitiveModel
from numba.core.typeconv import Conversion
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, lower_cast, register_model

from gradsim.lanes import pairs, vector
from gradsim.lanes.pairs import Pair, Plain
from gradsim.lanes.vector import Lanes, Mask, splat


class Extended(types.Type):
    """`count` numbers, each the sum of two float64."""

    def __init__(self, count: int):
        self.count = count
        super().__init__(f"extended(x{count})")

    @property
    def lanes(self) -> Lanes:
        """The type of each part."""
        return Lanes(types.float64, self.count)

    def can_convert_from(self, typingctx: object, other: types.Type) -> Conversion | None:
        return Conversion.promote if _operand(other, self.count) else None


@register_model(Extended)
class _PairModel(PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.LiteralStructType([fe_type.lanes.llvm] * 2))


def _operand(kind: types.Type, count: int) -> types.Type | None:
    """What an operand counts as beside `Extended(count)`; numbers are lanes, which are pairs without a low part."""
    plain = Lanes(types.float64, count)
    if kind in (Extended(count), plain):
        return kind
    return plain if isinstance(kind, types.Number | types.Boolean) else None


def unpack(builder: ir.IRBuilder, kind: types.Type, value: ir.Value) -> Pair:
    """A value of a formula, pair or lanes, as a `Pair`."""
    if isinstance(kind, Lanes):
        return Pair(Plain(builder, value))
    return Pair(*(Plain(builder, builder.extract_value(value, i)) for i in (0, 1)))


def pack(context: object, builder: ir.IRBuilder, kind: types.Type, result: object) -> ir.Value:
    """The value, of Numba's type `kind`, of a pair, of a mask, or of a tuple of them."""
    if isinstance(kind, types.BaseTuple):
        items = [pack(context, builder, k, r) for k, r in zip(kind, result, strict=True)]
        return context.make_tuple(builder, kind, items)
    if not isinstance(kind, Extended):
        return result
    empty = ir.Constant(context.get_value_type(kind), ir.Undefined)
    full = result.zero_filled()
    return builder.insert_value(builder.insert_value(empty, full.high.value, 0), full.low.value, 1)


def _same(kind: Extended) -> Extended:
    return kind


def declare(function: Callable, emit: Callable, arity: int, result: Callable = _same) -> None:
    """Give a Python callable a meaning on `Extended`: `emit(*Pairs)` writes its code, `result(Extended)` is its type.

    Operands may be pairs, lanes and numbers, with at least one pair among them.
    """

    def typer(args: tuple) -> object:
        kind = next((a for a in args if isinstance(a, Extended)), None)
        if kind is None or len(args) != arity:
            return None
        operands = [_operand(a, kind.count) for a in args]
        return signature(result(kind), *operands) if all(operands) else None

    def lower(context, builder, sig, args):
        operands = (unpack(builder, kind, value) for kind, value in zip(sig.args, args, strict=True))
        return pack(context, builder, sig.return_type, emit(*operands))

    template = type("ExtendedTemplate", (AbstractTemplate,), {"generic": lambda self, args, kws: typer(args)})
    infer_global(function)(template)
    for kinds in itertools.product((Extended, Lanes), repeat=arity):
        if Extended in kinds:
            lower_builtin(function, *kinds)(lower)


for _function, _emit, _arity in (
    (operator.add, operator.add, 2),
    (operator.sub, operator.sub, 2),
    (operator.mul, operator.mul, 2),
    (operator.truediv, operator.truediv, 2),
    (operator.neg, operator.neg, 1),
    (abs, abs, 1),
    (vector.fma, pairs.pair_fma, 3),
    (vector.sqrt, pairs.square_root, 1),
    (vector.floor, pairs.floor_of, 1),
    (vector.rint, pairs.nearest_integer, 1),
    (vector.minimum, pairs.extremum("<"), 2),
    (vector.maximum, pairs.extremum(">"), 2),
    (vector.copysign, pairs.with_sign, 2),
):
    declare(_function, _emit, _arity)


def _declare_comparison(function: Callable, relation: str) -> None:
    declare(function, lambda a, b: a.compare(relation, b), 2, lambda kind: Mask(kind.lanes))


for _name, _relation in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    _declare_comparison(getattr(operator, _name), _relation)


@infer_global(vector.where)
class _Where(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) != 3 or not isinstance(args[0], Mask):
            return None
        kind = Extended(args[0].count)
        operands = [_operand(a, kind.count) for a in args[1:]]
        if kind not in operands or None in operands:
            return None
        return signature(kind, args[0], *operands)


@lower_builtin(vector.where, Mask, Extended, Extended)
@lower_builtin(vector.where, Mask, Extended, Lanes)
@lower_builtin(vector.where, Mask, Lanes, Extended)
def _lower_where(context, builder, sig, args):
    a, b = (unpack(builder, kind, value) for kind, value in zip(sig.args[1:], args[1:], strict=True))
    return pack(context, builder, sig.return_type, pairs.choose(args[0], a, b))


@lower_cast(types.Number, Extended)
@lower_cast(types.Boolean, Extended)
@lower_cast(Lanes, Extended)
def _to_extended(context, builder, fromty, toty, value):
    high = Plain(builder, context.cast(builder, value, fromty, toty.lanes))
    return pack(context, builder, toty, Pair(high))


def emitted(result: Callable = _same) -> Callable:
    """Decorator: `emit(*Pairs)` as a compiled function of one pair, `result(Extended)` its type."""

    def decorate(emit: Callable) -> Callable:
        @intrinsic
        def function(typingctx, x):
            if not isinstance(x, Extended):
                return None

            def codegen(context, builder, sig, args):
                return pack(context, builder, sig.return_type, emit(unpack(builder, x, args[0])))

            return result(x)(x), codegen

        return function

    return decorate


def extend(x):
    """Float64 lanes as a pair; outside compiled code, where numbers stay what they are, `x` itself."""
    return x


def rounded(x):
    """The nearest float64 lanes to a pair; lanes and numbers, and anything outside compiled code, as they are."""
    return x


@infer_global(extend)
class _Extend(AbstractTemplate):
    def generic(self, args, kws):
        (x,) = args
        if isinstance(x, Extended):
            return signature(x, x)
        if isinstance(x, Lanes) and x.dtype == types.float64:
            return signature(Extended(x.count), x)
        return None


@infer_global(rounded)
class _Rounded(AbstractTemplate):
    def generic(self, args, kws):
        (x,) = args
        if isinstance(x, Extended):
            return signature(x.lanes, x)
        return signature(x, x) if isinstance(x, Lanes | types.Number) else None


@lower_builtin(extend, types.Any)
def _lower_extend(context, builder, sig, args):
    return pack(context, builder, sig.return_type, unpack(builder, sig.args[0], args[0]))


@lower_builtin(rounded, types.Any)
def _lower_rounded(context, builder, sig, args):
    # A pair is normalized: high is high + low, rounded.
    return builder.extract_value(args[0], 0) if isinstance(sig.args[0], Extended) else args[0]


@intrinsic
def low_part(typingctx, x):
    """What `rounded` leaves of a pair."""
    if isinstance(x, Extended):
        return x.lanes(x), lambda context, builder, sig, args: builder.extract_value(args[0], 1)


def constant(high, low, like):
    """high + low, a number to more than float64's digits, of the type of `like`: low counts for pairs only."""
    return high + low


@infer_global(constant)
class _Constant(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) != 3 or not isinstance(args[2], Extended | Lanes):
            return None
        return signature(args[2], types.float64, types.float64, args[2])


@lower_builtin(constant, types.Float, types.Float, types.Any)
def _lower_constant(context, builder, sig, args):
    kind = sig.return_type
    if isinstance(kind, Lanes):
        return context.cast(builder, args[0], types.float64, kind)
    high, low = (Plain(builder, splat(builder, a, kind.lanes.llvm)) for a in args[:2])
    return pack(context, builder, kind, Pair(high, low))

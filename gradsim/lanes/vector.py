"""Lane vectors as Numba types: one SIMD register of numbers, one number a network, with operators.

`Lanes(dtype, count)` behaves in compiled code as a number does: `a * b + 1`, `-a`, `a < b`, `where(m, a, b)`. Every
operator becomes one LLVM vector instruction, and a literal is cast to the lanes' own precision, so float32 formulas
stay float32 and nothing is left to an auto-vectorizer. `count` is 16 in float32 and 8 in float64, one AVX-512 register;
where registers are narrower it is 8 in both, and what is wider than a register is split. 1 serves calls on single
numbers. Operators are registered as typing templates with builtin lowering rather than with `@overload`: each use costs
microseconds of compile time instead of a nested compilation.
"""

from __future__ import annotations

import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import PrimitiveModel
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, lower_builtin, lower_cast, register_model

from gradsim import jit

# Where registers are of 64 bytes; what must not depend on the machine goes by these.
WIDEST = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}
# Numbers of networks in a group, one a lane; they divide the widest. AVX2 has half as many registers too: vectors of
# 16 float32 would take two of its 16. Random numbers and Hessians are made by eights.
LANES = WIDEST if jit.vector_registers().size == 64 else dict.fromkeys(WIDEST, 8)
# The same precisions as Numba names them.
FLOATS = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
ALIGNMENT = 64

_SCALAR = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}
_FLAGS = ("contract",)
_I32 = ir.IntType(32)


class Lanes(types.Type):
    """`count` numbers of type `dtype`, one a lane."""

    def __init__(self, dtype: types.Float, count: int):
        self.dtype, self.count = dtype, count
        super().__init__(f"lanes({dtype}x{count})")

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(_SCALAR[self.dtype], self.count)

    @property
    def integers(self) -> IntegerLanes:
        return IntegerLanes(self.dtype.bitwidth, self.count)


class IntegerLanes(types.Type):
    """The bit patterns of `Lanes`: unsigned integers of the same width."""

    def __init__(self, bits: int, count: int):
        self.bits, self.count = bits, count
        super().__init__(f"lanes(uint{bits}x{count})")

    @property
    def floats(self) -> Lanes:
        return Lanes(types.float32 if self.bits == 32 else types.float64, self.count)

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(ir.IntType(self.bits), self.count)


class Mask(types.Type):
    """One truth value a lane; remembers what was compared, so that `where(z > 0, 1, 0)` is of z's type."""

    def __init__(self, lanes: Lanes):
        self.lanes, self.count = lanes, lanes.count
        super().__init__(f"mask({lanes})")

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(ir.IntType(1), self.count)


class _VectorModel(PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, fe_type.llvm)


for _type in (Lanes, IntegerLanes, Mask):
    register_model(_type)(_VectorModel)


def lanes_of(dtype: types.Type) -> Lanes:
    """The full-width lane type of an array's element type."""
    return Lanes(dtype, LANES[np.dtype(np.float32 if dtype == types.float32 else np.float64)])


def splat(builder: ir.IRBuilder, scalar: ir.Value, vector: ir.VectorType) -> ir.Value:
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    zeros = ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(one, undefined, zeros)


@lower_cast(types.Number, Lanes)
@lower_cast(types.Boolean, Lanes)
def _number_to_lanes(context, builder, fromty, toty, value):
    return splat(builder, context.cast(builder, value, fromty, toty.dtype), toty.llvm)


@lower_cast(Lanes, Lanes)
def _lanes_to_wider_lanes(context, builder, fromty, toty, value):
    return value if fromty == toty else builder.fpext(value, toty.llvm)


@lower_cast(types.Integer, IntegerLanes)
def _integer_to_lanes(context, builder, fromty, toty, value):
    wide = context.cast(builder, value, fromty, types.uint64 if toty.bits == 64 else types.uint32)
    return splat(builder, wide, toty.llvm)


def _first(kinds, args):
    return next((a for a in args if isinstance(a, kinds)), None)


def _declare(function, typer, lowering, arity):
    """Give a Python callable a meaning on lanes: `typer(args) -> signature or None`, `lowering` emits the code.

    Types are checked by `typer`; the signatures of the lowering only route to it.
    """
    template = type("LaneTemplate", (AbstractTemplate,), {"generic": lambda self, args, kws: typer(args)})
    infer_global(function)(template)
    for kind in (Lanes, IntegerLanes, Mask):
        lower_builtin(function, *[kind] * arity)(lowering)


def _same_kind(args):
    """Arithmetic: all lanes of one type, numbers cast to it."""
    kind = _first((Lanes, IntegerLanes), args)
    if kind is None or not all(a == kind or isinstance(a, types.Number | types.Boolean) for a in args):
        return None
    return signature(kind, *[kind] * len(args))


_FLOAT_OPERATORS = {
    operator.add: "fadd",
    operator.sub: "fsub",
    operator.mul: "fmul",
    operator.truediv: "fdiv",
}
_INTEGER_OPERATORS = {
    operator.add: "add",
    operator.sub: "sub",
    operator.mul: "mul",
    operator.lshift: "shl",
    operator.rshift: "lshr",
    operator.and_: "and_",
    operator.or_: "or_",
    operator.xor: "xor",
}


def _lower_binary(function):
    def lower(context, builder, sig, args):
        kind = sig.args[0]
        if isinstance(kind, Lanes):
            return getattr(builder, _FLOAT_OPERATORS[function])(*args, flags=_FLAGS)
        return getattr(builder, _INTEGER_OPERATORS[function])(*args)

    return lower


def _type_binary(function):
    def typer(args):
        sig = _same_kind(args)
        if sig is None:
            masks = [a for a in args if isinstance(a, Mask)]
            return signature(masks[0], *args) if len(masks) == 2 and masks[0] == masks[1] else None
        table = _FLOAT_OPERATORS if isinstance(sig.return_type, Lanes) else _INTEGER_OPERATORS
        return sig if function in table else None

    return typer


for _op in {*_FLOAT_OPERATORS, *_INTEGER_OPERATORS}:
    _declare(_op, _type_binary(_op), _lower_binary(_op), 2)

_COMPARISONS = {
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
}


def _type_comparison(args):
    sig = _same_kind(args)
    if sig is None:
        return None
    kind = sig.return_type
    return signature(Mask(kind if isinstance(kind, Lanes) else kind.floats), *sig.args)


def _lower_comparison(function):
    def lower(context, builder, sig, args):
        if isinstance(sig.args[0], IntegerLanes):
            return builder.icmp_unsigned(_COMPARISONS[function], *args)
        # As in IEEE 754: every comparison with NaN is false, but for !=.
        compare = builder.fcmp_unordered if function is operator.ne else builder.fcmp_ordered
        return compare(_COMPARISONS[function], *args)

    return lower


for _op in _COMPARISONS:
    _declare(_op, _type_comparison, _lower_comparison(_op), 2)


def _type_unary(args):
    return signature(args[0], args[0]) if isinstance(args[0], Lanes) else None


def llvm_call(builder, name, *args):
    """Call LLVM's vector intrinsic `name`, overloaded on the type of the first argument."""
    vector = args[0].type
    suffix = f"v{vector.count}f{32 if vector.element == ir.FloatType() else 64}"
    kind = ir.FunctionType(vector, [vector] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{suffix}"), args)


_declare(operator.neg, _type_unary, lambda context, builder, sig, args: builder.fneg(args[0]), 1)
_declare(abs, _type_unary, lambda context, builder, sig, args: llvm_call(builder, "fabs", args[0]), 1)


def _type_invert(args):
    return signature(args[0], args[0]) if isinstance(args[0], Mask | IntegerLanes) else None


_declare(operator.invert, _type_invert, lambda context, builder, sig, args: builder.not_(args[0]), 1)


# Functions beside the operators. From Python each is NumPy's, so that a formula can be read and tried anywhere.


def where(condition, x, y):
    """`x` in the lanes where `condition` holds, else `y`; NumPy's `where` outside compiled code."""
    return np.where(condition, x, y)


def fma(x, y, z):
    """`x * y + z` with one rounding in compiled code."""
    return x * y + z


def sqrt(x):
    """Square root, correctly rounded; NaN below 0."""
    return np.sqrt(x)


def floor(x):
    """The largest integer not above x."""
    return np.floor(x)


def rint(x):
    """The nearest integer, ties to even."""
    return np.rint(x)


def minimum(x, y):
    """The smaller of two; NaN if either is NaN."""
    return np.minimum(x, y)


def maximum(x, y):
    """The larger of two; NaN if either is NaN."""
    return np.maximum(x, y)


def copysign(x, y):
    """`x` with the sign of `y`."""
    return np.copysign(x, y)


def _type_function(arity):
    def typer(args):
        sig = _same_kind(args)
        return sig if sig is not None and len(args) == arity and isinstance(sig.return_type, Lanes) else None

    return typer


def _lower_function(name):
    return lambda context, builder, sig, args: llvm_call(builder, name, *args)


for _function, _arity, _name in (
    (fma, 3, "fma"),
    (sqrt, 1, "sqrt"),
    (floor, 1, "floor"),
    (rint, 1, "rint"),
    (minimum, 2, "minimum"),
    (maximum, 2, "maximum"),
    (copysign, 2, "copysign"),
):
    _declare(_function, _type_function(_arity), _lower_function(_name), _arity)


@infer_global(where)
class _Where(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) != 3 or not isinstance(args[0], Mask):
            return None
        sig = _same_kind((args[0].lanes, *args[1:])) or _same_kind(args[1:])
        return None if sig is None else signature(sig.return_type, args[0], *[sig.return_type] * 2)


@lower_builtin(where, Mask, Lanes, Lanes)
@lower_builtin(where, Mask, IntegerLanes, IntegerLanes)
def _lower_where(context, builder, sig, args):
    return builder.select(*args)


@intrinsic
def bits(typingctx, x):
    """The bit pattern of lanes, as unsigned integers of the same width."""
    if isinstance(x, Lanes):
        return x.integers(x), lambda context, builder, sig, args: builder.bitcast(args[0], x.integers.llvm)


@intrinsic
def from_bits(typingctx, pattern):
    """Lanes from their bit pattern."""
    if isinstance(pattern, IntegerLanes):
        kind = pattern.floats
        return kind(pattern), lambda context, builder, sig, args: builder.bitcast(args[0], kind.llvm)


@intrinsic
def widen(typingctx, x):
    """The same lanes in float64, for sums that must not lose digits."""
    if not isinstance(x, Lanes):
        return None
    wide = Lanes(types.float64, x.count)

    def codegen(context, builder, sig, args):
        return args[0] if x == wide else builder.fpext(args[0], wide.llvm)

    return wide(x), codegen


@intrinsic
def narrow(typingctx, x, like):
    """Float64 lanes, as many as they are, rounded to the precision of `like`."""
    if not (isinstance(x, Lanes) and isinstance(like, Lanes)):
        return None
    kind = Lanes(like.dtype, x.count)

    def codegen(context, builder, sig, args):
        return args[0] if x == kind else builder.fptrunc(args[0], kind.llvm)

    return kind(x, like), codegen


@intrinsic
def count_true(typingctx, mask):
    """How many lanes of a mask hold."""
    if not isinstance(mask, Mask):
        return None

    def codegen(context, builder, sig, args):
        word = ir.IntType(64)
        packed = builder.zext(builder.bitcast(args[0], ir.IntType(mask.count)), word)
        return builder.call(builder.module.declare_intrinsic("llvm.ctpop", [word]), [packed])

    return types.intp(mask), codegen


@intrinsic
def lane(typingctx, x, index):
    """The number in one lane."""
    if isinstance(x, Lanes):
        return x.dtype(x, types.intp), lambda context, builder, sig, args: builder.extract_element(*args)


@intrinsic
def single(typingctx, number):
    """A number as lanes of one."""
    if isinstance(number, types.Float):
        kind = Lanes(number, 1)
        return kind(number), lambda context, builder, sig, args: splat(builder, args[0], kind.llvm)

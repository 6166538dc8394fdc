"""Lane vectors in memory: load and store at element offsets of contiguous arrays and plain pointers.

An array of lanes has the network last, so element offset `i * LANES` is the `i`-th quantity of all networks of a group.
Blocks are called with plain pointers (`types.CPointer`), everything else has arrays; both are accepted.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gradsim.lanes.extended import Extended
from gradsim.lanes.vector import ALIGNMENT, LANES, Lanes, lanes_of, splat


def aligned_empty(shape: int | tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """Like `np.empty`, on a boundary of 64 bytes: a lane vector that straddles cache lines loads at half speed."""
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    offset = -raw.ctypes.data % ALIGNMENT
    return raw[offset : offset + size].view(dtype).reshape(shape)


def group_count(networks: int, dtype: np.dtype | type) -> int:
    """How many groups hold so many networks."""
    return -(-networks // LANES[np.dtype(dtype)])


def element_pointer(context, builder, kind, value, index):
    """Pointer to element `index` of a one-dimensional contiguous array or of a pointer."""
    base = value if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, value).data
    return builder.gep(base, [index])


def vector_load(builder, pointer, vector):
    """Load with the alignment of one element: offsets are the caller's, and unaligned loads cost nothing extra."""
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = _element_bytes(vector)
    return value


def vector_store(builder, value, pointer):
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer())).align = _element_bytes(value.type)


def _element_bytes(vector):
    return 4 if vector.element == ir.FloatType() else 8


def _element_type(kind):
    """The float type that an array or pointer type holds, or None."""
    held = kind.dtype if isinstance(kind, types.Array | types.CPointer) else None
    if isinstance(kind, types.Array) and (kind.ndim != 1 or kind.layout != "C"):
        return None
    return held if held in (types.float32, types.float64) else None


def call_address(builder, address, arguments):
    """Emit a call of the compiled block at an address: a C function of these arguments that returns nothing."""
    kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
    builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)


@intrinsic
def load(typingctx, memory, index):
    """The full-width lanes at an element offset."""
    held = _element_type(memory)
    if held is None:
        return None
    kind = lanes_of(held)

    def codegen(context, builder, sig, args):
        return vector_load(builder, element_pointer(context, builder, memory, *args), kind.llvm)

    return kind(memory, types.intp), codegen


@intrinsic
def load_wide(typingctx, memory, index, like):
    """Float64 lanes, as many as `like` has, at an element offset."""
    if _element_type(memory) != types.float64 or not isinstance(like, Lanes):
        return None
    kind = Lanes(types.float64, like.count)

    def codegen(context, builder, sig, args):
        return vector_load(builder, element_pointer(context, builder, memory, *args[:2]), kind.llvm)

    return kind(memory, types.intp, like), codegen


@intrinsic
def store(typingctx, memory, index, value):
    """Write lanes at an element offset."""
    if _element_type(memory) is None or not isinstance(value, Lanes) or value.dtype != _element_type(memory):
        return None

    def codegen(context, builder, sig, args):
        vector_store(builder, args[2], element_pointer(context, builder, memory, *args[:2]))
        return context.get_dummy_value()

    return types.void(memory, types.intp, value), codegen


@intrinsic
def spread(typingctx, number, memory):
    """A number in every lane, of the type that `memory` holds."""
    held = _element_type(memory)
    if held is None or not isinstance(number, types.Number | types.Boolean):
        return None
    kind = lanes_of(held)

    def codegen(context, builder, sig, args):
        return splat(builder, context.cast(builder, args[0], number, held), kind.llvm)

    return kind(number, memory), codegen


@intrinsic
def lane_count(typingctx, memory):
    """How many lanes a full-width vector of this memory has: a constant at compile time."""
    held = _element_type(memory)
    if held is None:
        return None
    count = lanes_of(held).count
    return types.intp(memory), lambda context, builder, sig, args: ir.Constant(ir.IntType(64), count)


@intrinsic
def pointer(typingctx, memory, index):
    """The address of an element, for callbacks and contractions."""
    held = _element_type(memory)
    if held is None:
        return None
    sig = types.CPointer(held)(memory, types.intp)
    return sig, lambda context, builder, sig, args: element_pointer(context, builder, memory, *args)


@intrinsic
def pointers(typingctx, fields):
    """A named tuple with a pointer in the place of every array of lanes; what else it holds stays.

    An array is passed on as seven numbers, a pointer as one: with scratch of twenty arrays that is a second of the
    trainer's compile time.
    """
    if not isinstance(fields, types.BaseNamedTuple):
        return None
    kinds = [k if _element_type(k) is None else types.CPointer(_element_type(k)) for k in fields]
    result = types.BaseTuple.from_types(kinds, fields.instance_class)

    def codegen(context, builder, sig, args):
        zero = ir.Constant(ir.IntType(64), 0)
        values = cgutils.unpack_tuple(builder, args[0], len(kinds))
        made = [
            value if kind == held else element_pointer(context, builder, held, value, zero)
            for value, held, kind in zip(values, fields, kinds, strict=True)
        ]
        return context.make_tuple(builder, result, made)

    return result(fields), codegen


@intrinsic
def as_lanes(typingctx, x, like):
    """A number, or lanes of fewer digits, in the type of `like`: lanes or pairs of them."""
    if not isinstance(like, Lanes | Extended) or not isinstance(x, Lanes | Extended | types.Number | types.Boolean):
        return None

    def codegen(context, builder, sig, args):
        return context.cast(builder, args[0], x, like)

    return like(x, like), codegen


@intrinsic
def tuple_as_lanes(typingctx, values, like):
    """A tuple of numbers, or of lanes of fewer digits, as a tuple of the type of `like`: lanes or pairs of them."""
    if not isinstance(like, Lanes | Extended) or not isinstance(values, types.BaseTuple):
        return None
    result = types.UniTuple(like, len(values))

    def codegen(context, builder, sig, args):
        items = cgutils.unpack_tuple(builder, args[0], len(values))
        cast = [context.cast(builder, v, kind, like) for v, kind in zip(items, values, strict=True)]
        return context.make_tuple(builder, result, cast)

    return result(values, like), codegen


def tuple_loader(count: int):
    """A compiled function (memory, index) -> tuple of the `count` lane vectors that follow each other from index."""

    @intrinsic
    def load_tuple(typingctx, memory, index):
        held = _element_type(memory)
        if held is None:
            return None
        kind = lanes_of(held)

        def codegen(context, builder, sig, args):
            first = element_pointer(context, builder, memory, *args)
            offsets = [ir.Constant(ir.IntType(64), j * kind.count) for j in range(count)]
            values = [vector_load(builder, builder.gep(first, [o]), kind.llvm) for o in offsets]
            return context.make_tuple(builder, sig.return_type, values)

        return types.UniTuple(kind, count)(memory, types.intp), codegen

    return load_tuple

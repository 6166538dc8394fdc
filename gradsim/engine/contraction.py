"""One contraction does all the flops: C[m, n] = I[m, n] + sum_k A[m, k] B[k, n] over lane vectors, free strides.

Forward, backward-data and weight gradient are this with different strides. The start I is nothing, a bias (stride 0 in
m), or C itself (to add up). In the first layer A is the data, scalars common to all lanes.

A register tile of TM x TN accumulators lives in registers over the whole sum; with 4 x 4 every 8 loads feed 16 fused
multiply-adds. The tile is emitted as LLVM IR by an intrinsic that unrolls in Python, one non-inlined function a tile
shape, so that the caller stays small and compiles fast. Ragged edges use narrower tiles, taller where columns are few.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gradsim import jit
from gradsim.lanes.memory import vector_load, vector_store
from gradsim.lanes.vector import lanes_of, llvm_call, splat

_I64 = ir.IntType(64)
# The arguments of a tile: pointers and strides in elements. `start` is null for zeros.
_POINTERS, _INTEGERS = "a b c start".split(), "a_m a_k b_k b_n c_m c_n start_m start_n length".split()


def make_tile(tm: int, tn: int, shared: bool):
    """An intrinsic for one tile of tm x tn accumulators; `shared`: A is scalars common to all lanes."""

    @intrinsic
    def tile(typingctx, a, b, c, start, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, length):
        kind = lanes_of(c.dtype)
        sig = types.void(*[types.CPointer(c.dtype)] * len(_POINTERS), *[types.intp] * len(_INTEGERS))

        def codegen(context, builder, sig, args):
            name, module = f"tile_{tm}x{tn}_{'shared' if shared else 'lanes'}_{kind.dtype}", builder.module
            if name not in module.globals:
                scalar = kind.llvm.element.as_pointer()
                arguments = [scalar] * len(_POINTERS) + [_I64] * len(_INTEGERS)
                function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
                function.linkage = "internal"
                function.attributes.add("noinline")
                _emit_tile(function, kind.llvm, tm, tn, shared)
            builder.call(module.globals[name], args)
            return context.get_dummy_value()

        return sig, codegen

    return tile


def _emit_tile(function, vector, tm, tn, shared):
    arg = dict(zip(_POINTERS + _INTEGERS, function.args, strict=True))
    b = ir.IRBuilder(function.append_basic_block("entry"))

    def at(base, *steps):
        """base + sum of stride * index, an index being a constant or a value."""
        for stride, index in steps:
            index = ir.Constant(_I64, index) if isinstance(index, int) else index
            base = b.gep(base, [b.mul(stride, index)])
        return base

    cells = [(m, n) for m in range(tm) for n in range(tn)]
    entry = b.block
    with b.if_then(b.icmp_unsigned("!=", b.ptrtoint(arg["start"], _I64), ir.Constant(_I64, 0))):
        given = [vector_load(b, at(arg["start"], (arg["start_m"], m), (arg["start_n"], n)), vector) for m, n in cells]
        from_start = b.block
    initial = []
    for value in given:
        phi = b.phi(vector)
        phi.add_incoming(ir.Constant(vector, [0.0] * vector.count), entry)
        phi.add_incoming(value, from_start)
        initial.append(phi)
    rows = [at(arg["a"], (arg["a_m"], m)) for m in range(tm)]
    columns = [at(arg["b"], (arg["b_n"], n)) for n in range(tn)]

    before, loop, done = b.block, b.append_basic_block("sum"), b.append_basic_block("done")
    b.branch(loop)
    b.position_at_end(loop)
    k = b.phi(_I64)
    sums = [b.phi(vector) for _ in cells]
    right = [vector_load(b, at(p, (arg["b_k"], k)), vector) for p in columns]
    updated = []
    for m in range(tm):
        p = at(rows[m], (arg["a_k"], k))
        left = splat(b, b.load(p), vector) if shared else vector_load(b, p, vector)
        updated += [llvm_call(b, "fma", left, right[n], sums[m * tn + n]) for n in range(tn)]
    following = b.add(k, ir.Constant(_I64, 1))
    k.add_incoming(ir.Constant(_I64, 0), before)
    k.add_incoming(following, loop)
    for phi, first, last in zip(sums, initial, updated, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(last, loop)
    b.cbranch(b.icmp_signed("<", following, arg["length"]), loop, done)
    b.position_at_end(done)
    for (m, n), value in zip(cells, updated, strict=True):
        vector_store(b, value, at(arg["c"], (arg["c_m"], m), (arg["c_n"], n)))
    b.ret_void()


@intrinsic
def shift(typingctx, p, elements):
    """A pointer moved on by a number of elements; null stays null."""

    def codegen(context, builder, sig, args):
        moved = builder.gep(args[0], [args[1]])
        is_null = builder.icmp_unsigned("==", builder.ptrtoint(args[0], _I64), ir.Constant(_I64, 0))
        return builder.select(is_null, args[0], moved)

    return (p(p, types.intp), codegen) if isinstance(p, types.CPointer) else None


@intrinsic
def null(typingctx, like):
    """The null pointer of the type of `like`."""
    return like(like), lambda context, builder, sig, args: cgutils.get_null_value(args[0].type)


def _make_contract(shared: bool):
    t44, t14 = make_tile(4, 4, shared), make_tile(1, 4, shared)
    t82, t12 = make_tile(8, 2, shared), make_tile(1, 2, shared)
    t81, t11 = make_tile(8, 1, shared), make_tile(1, 1, shared)

    @jit.device
    def columns(tall, flat, height, n, a, b, c, start, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, length):
        """All rows of one panel of columns that starts at n."""
        bn, cn, sn = shift(b, n * b_n), shift(c, n * c_n), shift(start, n * start_n)
        m = 0
        while m + height <= rows:
            am, cm, sm = shift(a, m * a_m), shift(cn, m * c_m), shift(sn, m * start_m)
            tall(am, bn, cm, sm, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, length)
            m += height
        while m < rows:
            am, cm, sm = shift(a, m * a_m), shift(cn, m * c_m), shift(sn, m * start_m)
            flat(am, bn, cm, sm, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, length)
            m += 1

    @jit.device
    def contract(a, b, c, start, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, cols, length):
        n = 0
        while n + 4 <= cols:
            columns(t44, t14, 4, n, a, b, c, start, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, length)
            n += 4
        if n + 2 <= cols:
            columns(t82, t12, 8, n, a, b, c, start, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, length)
            n += 2
        if n < cols:
            columns(t81, t11, 8, n, a, b, c, start, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, length)

    return contract


# C[rows, cols] = start + sum over length; pointers and strides in elements.
contract = _make_contract(shared=False)
contract_shared = _make_contract(shared=True)

"""One contraction does all the flops: C[m, n] = (I[m, n] + sum_k A[m, k] B[k, n]) F[m, n], lane vectors, free strides.

Forward, backward-data and weight gradient are this with different strides. The start I is nothing, a bias (stride 0 in
m), or C itself (to add up). In the first layer A is the data, scalars common to all lanes. The factor F is nothing, or
the slopes that deltas are multiplied by while they are still in registers.

A register tile of TM x TN accumulators lives in registers over the whole sum; with 4 x 4 every 8 loads feed 16 fused
multiply-adds. A panel of tiles is emitted as LLVM IR by an intrinsic that unrolls in Python, one non-inlined function a
tile shape, so that the caller stays small and compiles fast. Ragged edges use narrower tiles, taller where columns are
few.
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
# The arguments of a panel: pointers and strides in elements. `start` and `factor` may be null: zeros, and nothing.
_POINTERS, _INTEGERS = "a b c start factor".split(), "a_m a_k b_k b_n c_m c_n start_m start_n length tiles".split()


def make_panel(tm: int, tn: int, shared: bool):
    """An intrinsic for `tiles` tiles of tm x tn accumulators below each other; `shared`: A is common to all lanes."""

    @intrinsic
    def panel(typingctx, a, b, c, start, factor, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, length, tiles):
        kind = lanes_of(c.dtype)
        sig = types.void(*[types.CPointer(c.dtype)] * len(_POINTERS), *[types.intp] * len(_INTEGERS))

        def codegen(context, builder, sig, args):
            name, module = f"panel_{tm}x{tn}_{'shared' if shared else 'lanes'}_{kind.dtype}", builder.module
            if name not in module.globals:
                scalar = kind.llvm.element.as_pointer()
                arguments = [scalar] * len(_POINTERS) + [_I64] * len(_INTEGERS)
                function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
                function.linkage = "internal"
                function.attributes.add("noinline")
                _Panel(function, kind.llvm, tm, tn, shared).emit()
            builder.call(module.globals[name], args)
            return context.get_dummy_value()

        return sig, codegen

    return panel


class _Panel:
    """The body of a panel: a loop over tiles, in each a loop over the sum."""

    def __init__(self, function, vector, tm, tn, shared):
        self.arg = dict(zip(_POINTERS + _INTEGERS, function.args, strict=True))
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.vector, self.tm, self.tn, self.shared = vector, tm, tn, shared
        self.cells = [(m, n) for m in range(tm) for n in range(tn)]

    def moved(self, base, *steps):
        """base + sum of stride * index, strides being arguments by name and indices constants."""
        for stride, index in steps:
            if index:
                base = self.b.gep(base, [self.b.mul(self.arg[stride], ir.Constant(_I64, index))])
        return base

    def given(self, name):
        """Whether an optional pointer is not null."""
        return self.b.icmp_unsigned("!=", self.b.ptrtoint(self.arg[name], _I64), ir.Constant(_I64, 0))

    def chosen(self, name, otherwise, make):
        """The vectors that `make` gives where an optional pointer is given, else others."""
        b, before = self.b, self.b.block
        with b.if_then(self.given(name)):
            made, inside = make(), b.block
        result = []
        for value, other in zip(made, otherwise, strict=True):
            phi = b.phi(self.vector)
            phi.add_incoming(other, before)
            phi.add_incoming(value, inside)
            result.append(phi)
        return result

    def loop(self, name, count, carried, body):
        """Repeat `body(values)`, which gives the next values, `count` times, at least once; the last values."""
        b = self.b
        before, inside, done = b.block, b.append_basic_block(name), b.append_basic_block(f"{name}_done")
        b.branch(inside)
        b.position_at_end(inside)
        left, values = b.phi(_I64), [b.phi(v.type) for v in carried]
        following = body(values)
        still = b.sub(left, ir.Constant(_I64, 1))
        for phi, first, last in zip([left, *values], [count, *carried], [still, *following], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(last, b.block)
        again = b.cbranch(b.icmp_signed(">", still, ir.Constant(_I64, 0)), inside, done)
        # Unrolled, the loop over the sum would need more addresses than there are registers.
        again.set_metadata("llvm.loop", _never_unrolled(b.module))
        b.position_at_end(done)
        return following

    def emit(self):
        moving = [self.arg[name] for name in ("a", "c", "start", "factor")]
        self.loop("tile", self.arg["tiles"], moving, self.tile)
        self.b.ret_void()

    def tile(self, begins):
        """One tile; where the next one's operands begin."""
        b, arg = self.b, self.arg
        a, c, start, factor = begins

        def loaded(base, stride):
            places = [self.moved(base, (f"{stride}_m", m), (f"{stride}_n", n)) for m, n in self.cells]
            return [vector_load(b, p, self.vector) for p in places]

        def summand(values):
            at_a, at_b, *sums = values
            right = [vector_load(b, self.moved(at_b, ("b_n", n)), self.vector) for n in range(self.tn)]
            updated = []
            for m in range(self.tm):
                p = self.moved(at_a, ("a_m", m))
                left = splat(b, b.load(p), self.vector) if self.shared else vector_load(b, p, self.vector)
                updated += [llvm_call(b, "fma", left, x, sums[m * self.tn + n]) for n, x in enumerate(right)]
            return [self.moved(at_a, ("a_k", 1)), self.moved(at_b, ("b_k", 1)), *updated]

        zeros = [ir.Constant(self.vector, [0.0] * self.vector.count)] * len(self.cells)
        begun = self.chosen("start", zeros, lambda: loaded(start, "start"))
        sums = self.loop("sum", arg["length"], [a, arg["b"], *begun], summand)[2:]

        def scaled():
            return [b.fmul(x, f) for x, f in zip(sums, loaded(factor, "c"), strict=True)]

        for value, (m, n) in zip(self.chosen("factor", sums, scaled), self.cells, strict=True):
            vector_store(b, value, self.moved(c, ("c_m", m), ("c_n", n)))
        strides = ("a_m", "c_m", "start_m", "c_m")
        return [self.moved(p, (stride, self.tm)) for p, stride in zip(begins, strides, strict=True)]


def _never_unrolled(module):
    """Metadata of a loop that is to stay as it is written."""
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    return module.add_metadata([disable])


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
    p44, p14 = make_panel(4, 4, shared), make_panel(1, 4, shared)
    p82, p12 = make_panel(8, 2, shared), make_panel(1, 2, shared)
    p81, p11 = make_panel(8, 1, shared), make_panel(1, 1, shared)

    @jit.device
    def columns(tall, flat, height, n, a, b, c, start, factor, strides, rows, length):
        """All rows of one panel of columns that starts at n."""
        a_m, a_k, b_k, b_n, c_m, c_n, s_m, s_n = strides
        b, c, start, factor = shift(b, n * b_n), shift(c, n * c_n), shift(start, n * s_n), shift(factor, n * c_n)
        tiles = rows // height
        m, left = tiles * height, rows - tiles * height
        if tiles > 0:
            tall(a, b, c, start, factor, a_m, a_k, b_k, b_n, c_m, c_n, s_m, s_n, length, tiles)
        if left > 0:
            a, c, start, factor = shift(a, m * a_m), shift(c, m * c_m), shift(start, m * s_m), shift(factor, m * c_m)
            flat(a, b, c, start, factor, a_m, a_k, b_k, b_n, c_m, c_n, s_m, s_n, length, left)

    @jit.device
    def scaled(a, b, c, start, factor, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, cols, length):
        strides = a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n
        n = 0
        while n + 4 <= cols:
            columns(p44, p14, 4, n, a, b, c, start, factor, strides, rows, length)
            n += 4
        if n + 2 <= cols:
            columns(p82, p12, 8, n, a, b, c, start, factor, strides, rows, length)
            n += 2
        if n < cols:
            columns(p81, p11, 8, n, a, b, c, start, factor, strides, rows, length)

    @jit.device
    def contract(a, b, c, start, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, cols, length):
        scaled(a, b, c, start, null(c), a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, cols, length)

    return contract, scaled


# C[rows, cols] = start + sum over length; pointers and strides in elements. The second of each takes a `factor` after
# the start, of C's strides, that the sum is multiplied by.
contract, contract_times = _make_contract(shared=False)
contract_shared, _ = _make_contract(shared=True)

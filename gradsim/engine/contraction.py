"""One contraction does all the flops: C[m, n] = I[m, n] + sum_k A[m, k] B[k, n] over lane vectors, free strides.

Forward, backward-data and weight gradient are this with different strides. The start I is nothing, a bias (stride 0 in
m), or C itself (to add up). In the first layer A is the data, scalars common to all lanes. A sum need not be stored as
it is: deltas are multiplied by slopes, and a weight gradient may go into the weights at once, as a step of descent.

A register tile of TM x TN accumulators lives in registers over the whole sum; with 4 x 4 every 8 loads feed 16 fused
multiply-adds. A panel of tiles is emitted as LLVM IR by an intrinsic that unrolls in Python, one non-inlined function a
tile shape and ending, so that the caller stays small and compiles fast. Ragged edges use narrower tiles, taller where
columns are few.
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
# What becomes of a sum, and what `with_it` points to: it is added to a start, or to nothing where that is null; or
# multiplied by a factor of C's strides; or a step of descent on C, by the lanes of a learning rate, then of a decay.
START, FACTOR, RATES = "start", "factor", "rates"
PAGE = 4096
# The arguments of a panel: pointers, and strides in elements.
_POINTERS = "a b c with_it".split()
_INTEGERS = "a_m a_k b_k b_n c_m c_n start_m start_n length tiles".split()


def make_panel(tm: int, tn: int, shared: bool, ending: str):
    """An intrinsic for `tiles` tiles of tm x tn accumulators below each other; `shared`: A is common to all lanes."""

    @intrinsic
    def panel(typingctx, a, b, c, with_it, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, length, tiles):
        kind = lanes_of(c.dtype)
        sig = types.void(*[types.CPointer(c.dtype)] * len(_POINTERS), *[types.intp] * len(_INTEGERS))

        def codegen(context, builder, sig, args):
            name, module = f"panel_{tm}x{tn}_{'shared' if shared else 'lanes'}_{ending}_{kind.dtype}", builder.module
            if name not in module.globals:
                scalar = kind.llvm.element.as_pointer()
                arguments = [scalar] * len(_POINTERS) + [_I64] * len(_INTEGERS)
                function = ir.Function(module, ir.FunctionType(ir.VoidType(), arguments), name)
                function.linkage = "internal"
                function.attributes.add("noinline")
                _Panel(function, kind.llvm, (tm, tn), shared, ending).emit()
            builder.call(module.globals[name], args)
            return context.get_dummy_value()

        return sig, codegen

    return panel


class _Panel:
    """The body of a panel: a loop over tiles, in each a loop over the sum."""

    def __init__(self, function, vector, shape, shared, ending):
        self.arg = dict(zip(_POINTERS + _INTEGERS, function.args, strict=True))
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.vector, (self.tm, self.tn), self.shared, self.ending = vector, shape, shared, ending
        self.cells = [(m, n) for m in range(self.tm) for n in range(self.tn)]

    def moved(self, base, *steps):
        """base + sum of stride * index, strides being arguments by name and indices constants."""
        for stride, index in steps:
            if index:
                base = self.b.gep(base, [self.b.mul(self.arg[stride], ir.Constant(_I64, index))])
        return base

    def loaded(self, base, stride):
        """The vectors of a tile."""
        places = [self.moved(base, (f"{stride}_m", m), (f"{stride}_n", n)) for m, n in self.cells]
        return [vector_load(self.b, p, self.vector) for p in places]

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
        self.loop("tile", self.arg["tiles"], [self.arg[name] for name in ("a", "c", "with_it")], self.tile)
        self.b.ret_void()

    def tile(self, begins):
        """One tile; where the next one's operands begin."""
        a, c, with_it = begins
        if self.ending != START:
            self.fetch(c)
        sums = self.loop("sum", self.arg["length"], [a, self.arg["b"], *self.begun(with_it)], self.summand)[2:]
        for value, (m, n) in zip(self.ended(sums, c, with_it), self.cells, strict=True):
            vector_store(self.b, value, self.moved(c, ("c_m", m), ("c_n", n)))
        stride = {START: "start_m", FACTOR: "c_m"}.get(self.ending)
        following = self.moved(with_it, (stride, self.tm)) if stride else with_it
        return [self.moved(a, ("a_m", self.tm)), self.moved(c, ("c_m", self.tm)), following]

    def fetch(self, c):
        """Ask for what the tile will change where its rows are pages apart: there the processor does not by itself."""
        b, byte, word = self.b, ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        # To be written, to stay in the cache, data.
        options = [ir.Constant(word, x) for x in (1, 3, 1)]
        page = ir.Constant(_I64, PAGE // (4 if self.vector.element == ir.FloatType() else 8))
        with b.if_then(b.icmp_signed(">=", self.arg["c_m"], page)):
            for m, n in self.cells:
                b.call(function, [b.bitcast(self.moved(c, ("c_m", m), ("c_n", n)), byte), *options])

    def begun(self, start):
        """What the sums begin with."""
        b, zeros = self.b, [ir.Constant(self.vector, [0.0] * self.vector.count)] * len(self.cells)
        if self.ending != START:
            return zeros
        before = b.block
        with b.if_then(b.icmp_unsigned("!=", b.ptrtoint(self.arg["with_it"], _I64), ir.Constant(_I64, 0))):
            made, inside = self.loaded(start, "start"), b.block
        result = []
        for zero, value in zip(zeros, made, strict=True):
            phi = b.phi(self.vector)
            phi.add_incoming(zero, before)
            phi.add_incoming(value, inside)
            result.append(phi)
        return result

    def summand(self, values):
        """One more summand of every sum."""
        b, (at_a, at_b, *sums) = self.b, values
        right = [vector_load(b, self.moved(at_b, ("b_n", n)), self.vector) for n in range(self.tn)]
        updated = []
        for m in range(self.tm):
            p = self.moved(at_a, ("a_m", m))
            left = splat(b, b.load(p), self.vector) if self.shared else vector_load(b, p, self.vector)
            updated += [llvm_call(b, "fma", left, x, sums[m * self.tn + n]) for n, x in enumerate(right)]
        return [self.moved(at_a, ("a_k", 1)), self.moved(at_b, ("b_k", 1)), *updated]

    def ended(self, sums, c, with_it):
        """What is stored in the place of the sums."""
        b = self.b
        if self.ending == FACTOR:
            return [b.fmul(x, f) for x, f in zip(sums, self.loaded(with_it, "c"), strict=True)]
        if self.ending == RATES:
            decay = vector_load(b, b.gep(with_it, [ir.Constant(_I64, self.vector.count)]), self.vector)
            down = b.fneg(vector_load(b, with_it, self.vector))
            pairs = zip(sums, self.loaded(c, "c"), strict=True)
            return [llvm_call(b, "fma", down, llvm_call(b, "fma", decay, w, g), w) for g, w in pairs]
        return sums


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


def _make_contract(shared: bool, ending: str):
    p44, p14 = make_panel(4, 4, shared, ending), make_panel(1, 4, shared, ending)
    p82, p12 = make_panel(8, 2, shared, ending), make_panel(1, 2, shared, ending)
    p81, p11 = make_panel(8, 1, shared, ending), make_panel(1, 1, shared, ending)
    starts, scales = ending == START, ending == FACTOR

    @jit.device
    def columns(tall, flat, height, n, a, b, c, with_it, strides, rows, length):
        """All rows of one panel of columns that starts at n."""
        a_m, a_k, b_k, b_n, c_m, c_n, s_m, s_n = strides
        w_m, w_n = (s_m, s_n) if starts else ((c_m, c_n) if scales else (0, 0))
        b, c, with_it = shift(b, n * b_n), shift(c, n * c_n), shift(with_it, n * w_n)
        tiles = rows // height
        m, left = tiles * height, rows - tiles * height
        if tiles > 0:
            tall(a, b, c, with_it, a_m, a_k, b_k, b_n, c_m, c_n, s_m, s_n, length, tiles)
        if left > 0:
            a, c, with_it = shift(a, m * a_m), shift(c, m * c_m), shift(with_it, m * w_m)
            flat(a, b, c, with_it, a_m, a_k, b_k, b_n, c_m, c_n, s_m, s_n, length, left)

    @jit.device
    def contract(a, b, c, with_it, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, cols, length):
        strides = a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n
        n = 0
        while n + 4 <= cols:
            columns(p44, p14, 4, n, a, b, c, with_it, strides, rows, length)
            n += 4
        if n + 2 <= cols:
            columns(p82, p12, 8, n, a, b, c, with_it, strides, rows, length)
            n += 2
        if n < cols:
            columns(p81, p11, 8, n, a, b, c, with_it, strides, rows, length)

    return contract


# C[rows, cols] from the sums over length; pointers and strides in elements. A start alone has strides of its own.
contract, contract_shared = _make_contract(False, START), _make_contract(True, START)
contract_times = _make_contract(False, FACTOR)
descend, descend_shared = _make_contract(False, RATES), _make_contract(True, RATES)

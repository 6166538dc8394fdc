"""One contraction does all the flops: C[m, n] = I[m, n] + sum_k A[m, k] B[k, n] over lane vectors, free strides.

Forward, backward-data and weight gradient are this with different strides. The start I is nothing, a bias (stride 0 in
m), or C itself (to add up). In the first layer A is the data, scalars common to all lanes. A sum need not be stored as
it is: deltas are multiplied by slopes, and a weight gradient may go into the weights at once, as a step of descent.

A register tile of TM x TN accumulators lives in registers over the whole sum; with 4 x 4 every 8 loads feed 16 fused
multiply-adds. Where there are only 16 registers it is 4 x 3 or 4 x 2, and where lanes are wider than a register, a tile
is summed in parts. All is emitted as LLVM IR that Python unrolls, one non-inlined function a tile shape and ending, so
that the caller stays small and compiles fast. Ragged edges use narrower tiles, taller where columns are few.
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
# The arguments of a contraction: pointers, and strides in elements.
_POINTERS = "a b c with_it".split()
_STRIDES = "a_m a_k b_k b_n c_m c_n start_m start_n".split()
_REGISTERS = jit.vector_registers()
# Columns of a tile, and its rows where there are enough of them; below, one row at a time. In registers are the sums, a
# row of B and a number of A, and a product where multiply-adds are not fused: then 4 x 3 would take one too many.
_SHAPES = ((4, 4), (2, 8), (1, 8)) if _REGISTERS.number == 32 else ((3, 4), (2, 4), (1, 8))[not _REGISTERS.fused :]


def _function(module, name, vector, integers):
    """A function of the module to fill in, and its arguments by name."""
    scalar = vector.element.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [scalar] * len(_POINTERS) + [_I64] * len(integers))
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    return function, dict(zip(_POINTERS + integers, function.args, strict=True))


def _panel(module, vector, shape, shared, ending):
    """The function for `tiles` tiles of tm x tn accumulators below each other; `shared`: A is common to all lanes."""
    name = f"panel_{shape[0]}x{shape[1]}_{'shared' if shared else 'lanes'}_{ending}_{vector.element.intrinsic_name}"
    if name not in module.globals:
        function, arguments = _function(module, name, vector, [*_STRIDES, "length", "tiles"])
        _Panel(function, arguments, vector, shape, shared, ending).emit()
    return module.globals[name]


class _Panel:
    """The body of a panel: a loop over tiles, in each a loop over the sum."""

    def __init__(self, function, arguments, vector, shape, shared, ending):
        self.arg = arguments
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        (self.tm, self.tn), self.shared, self.ending = shape, shared, ending
        self.lanes, self.number = vector.count, 4 if vector.element == ir.FloatType() else 8
        self.vector = ir.VectorType(vector.element, min(self.lanes, _REGISTERS.size // self.number))
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
        # Lanes that are wider than a register are done in parts, while the tile's operands are in the cache.
        for lane in range(0, self.lanes, self.vector.count):
            at_a, *others = (self.b.gep(p, [ir.Constant(_I64, lane)]) for p in (a, self.arg["b"], c, with_it))
            self.part(a if self.shared else at_a, *others)
        stride = {START: "start_m", FACTOR: "c_m"}.get(self.ending)
        following = self.moved(with_it, (stride, self.tm)) if stride else with_it
        return [self.moved(a, ("a_m", self.tm)), self.moved(c, ("c_m", self.tm)), following]

    def part(self, a, b, c, with_it):
        """As many lanes of a tile as a register has."""
        sums = self.loop("sum", self.arg["length"], [a, b, *self.begun(with_it)], self.summand)[2:]
        for value, (m, n) in zip(self.ended(sums, c, with_it), self.cells, strict=True):
            vector_store(self.b, value, self.moved(c, ("c_m", m), ("c_n", n)))

    def fetch(self, c):
        """Ask for what the tile will change where its rows are pages apart: there the processor does not by itself."""
        b, byte, word = self.b, ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
        # To be written, to stay in the cache, data.
        options = [ir.Constant(word, x) for x in (1, 3, 1)]
        page = ir.Constant(_I64, PAGE // self.number)
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
            updated += [llvm_call(b, "fmuladd", left, x, sums[m * self.tn + n]) for n, x in enumerate(right)]
        return [self.moved(at_a, ("a_k", 1)), self.moved(at_b, ("b_k", 1)), *updated]

    def ended(self, sums, c, with_it):
        """What is stored in the place of the sums."""
        b = self.b
        if self.ending == FACTOR:
            return [b.fmul(x, f) for x, f in zip(sums, self.loaded(with_it, "c"), strict=True)]
        if self.ending == RATES:
            decay = vector_load(b, b.gep(with_it, [ir.Constant(_I64, self.lanes)]), self.vector)
            down = b.fneg(vector_load(b, with_it, self.vector))
            pairs = zip(sums, self.loaded(c, "c"), strict=True)
            return [llvm_call(b, "fmuladd", down, llvm_call(b, "fmuladd", decay, w, g), w) for g, w in pairs]
        return sums


def _never_unrolled(module):
    """Metadata of a loop that is to stay as it is written; such a node names itself first."""
    node = module.add_metadata([module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])])
    if len(node.operands) == 1:
        node.operands = (node, *node.operands)
    return node


@intrinsic
def null(typingctx, like):
    """The null pointer of the type of `like`."""
    return like(like), lambda context, builder, sig, args: cgutils.get_null_value(args[0].type)


class _Contraction:
    """The body of a contraction: panels of columns, in each tall tiles, then the rows that are left."""

    def __init__(self, function, arguments, vector, shared, ending):
        self.b, self.arg = ir.IRBuilder(function.append_basic_block("entry")), arguments
        self.vector, self.shared, self.ending = vector, shared, ending

    def emit(self):
        b, arg = self.b, self.arg
        at = b.alloca(_I64)
        b.store(ir.Constant(_I64, 0), at)
        for columns, height in _SHAPES:
            test, body, done = (b.append_basic_block(f"{x}_{columns}") for x in ("test", "columns", "done"))
            b.branch(test)
            b.position_at_end(test)
            n = b.load(at)
            following = b.add(n, ir.Constant(_I64, columns))
            b.cbranch(b.icmp_signed("<=", following, arg["cols"]), body, done)
            b.position_at_end(body)
            b_n, c_n = b.mul(n, arg["b_n"]), b.mul(n, arg["c_n"])
            here = [arg["a"], b.gep(arg["b"], [b_n]), b.gep(arg["c"], [c_n]), self.beside(arg["with_it"], n, "n")]
            self.rows(here, columns, height)
            b.store(following, at)
            b.branch(test)
            b.position_at_end(done)
        b.ret_void()

    def beside(self, pointer, index, axis):
        """`with_it` moved along with C; null stays null."""
        b = self.b
        if self.ending == RATES:
            return pointer
        moved = b.gep(pointer, [b.mul(index, self.arg[("start_" if self.ending == START else "c_") + axis])])
        none = b.icmp_unsigned("==", b.ptrtoint(pointer, _I64), ir.Constant(_I64, 0))
        return b.select(none, pointer, moved)

    def rows(self, pointers, columns, height):
        """All rows of some columns."""
        b, arg = self.b, self.arg
        tiles = b.sdiv(arg["rows"], ir.Constant(_I64, height))
        m = b.mul(tiles, ir.Constant(_I64, height))
        left = b.sub(arg["rows"], m)
        self.call((height, columns), pointers, tiles)
        at_a, at_b, at_c, with_it = pointers
        at_a, at_c = b.gep(at_a, [b.mul(m, arg["a_m"])]), b.gep(at_c, [b.mul(m, arg["c_m"])])
        self.call((1, columns), [at_a, at_b, at_c, self.beside(with_it, m, "m")], left)

    def call(self, shape, pointers, tiles):
        """A panel, where it has tiles."""
        b, arg = self.b, self.arg
        with b.if_then(b.icmp_signed(">", tiles, ir.Constant(_I64, 0))):
            panel = _panel(b.module, self.vector, shape, self.shared, self.ending)
            b.call(panel, [*pointers, *(arg[name] for name in _STRIDES), arg["length"], tiles])


def _make_contract(shared: bool, ending: str):
    """An intrinsic. Emitted as a whole: compiling as much Python for each of them would take a second and more."""

    @intrinsic
    def contract(typingctx, a, b, c, with_it, a_m, a_k, b_k, b_n, c_m, c_n, start_m, start_n, rows, cols, length):
        vector, integers = lanes_of(c.dtype).llvm, [*_STRIDES, "rows", "cols", "length"]
        sig = types.void(*[types.CPointer(c.dtype)] * len(_POINTERS), *[types.intp] * len(integers))

        def codegen(context, builder, sig, args):
            name = f"contract_{'shared' if shared else 'lanes'}_{ending}_{c.dtype}"
            if name not in builder.module.globals:
                _Contraction(*_function(builder.module, name, vector, integers), vector, shared, ending).emit()
            builder.call(builder.module.globals[name], args)
            return context.get_dummy_value()

        return sig, codegen

    return contract


# C[rows, cols] from the sums over length; pointers and strides in elements. A start alone has strides of its own.
contract, contract_shared = _make_contract(False, START), _make_contract(True, START)
contract_times = _make_contract(False, FACTOR)
descend, descend_shared = _make_contract(False, RATES), _make_contract(True, RATES)

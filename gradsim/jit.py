"""The one place that knows Numba's options, flags and the disk cache.

Compiled code is kept on disk, one file a function, named by a digest of everything it depends on: the package's
kernel sources, the function and whatever it refers to, types, options, Python, Numba and the processor. An edited
formula therefore never meets a stale kernel, and two processes that write at once write the same bytes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import tempfile
import types as pytypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import compiler
from numba.core.caching import _Cache
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import register_pass
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes
from numba.extending import intrinsic, overload, register_jitable

# Never nnan or ninf: a NaN is a finding, and the compiler must not assume it away.
FASTMATH = frozenset({"contract", "reassoc", "arcp", "nsz"})
# Lane formulas keep the order of operations that their accuracy rests on; only a * b + c may fuse.
FORMULA_FASTMATH = frozenset({"contract"})


@functools.cache
def cache_root() -> Path | None:
    """The directory for compiled code and parsed data, or None where nothing can be written.

    `NUMBA_CACHE_DIR` wins where the user has set it, then `XDG_CACHE_HOME`, then `~/.cache`.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    try:
        if chosen:
            root = Path(chosen) / "gradsim"
        elif os.name == "nt" and os.environ.get("LOCALAPPDATA"):
            root = Path(os.environ["LOCALAPPDATA"]) / "gradsim" / "cache"
        else:
            root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gradsim"
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None
    return root


# What compiled code can depend on, in this package; a test holds that nothing else compiles anything.
KERNEL_SOURCES = ("jit.py", "lanes", "activations", "engine", "losses", "optimizers.py")


@functools.cache
def package_digest() -> bytes:
    """Digest of the package's sources that compiled code comes from."""
    here = Path(__file__).parent
    h = hashlib.sha256()
    for name in KERNEL_SOURCES:
        place = here / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            h.update(str(path.relative_to(here)).encode() + b"\0" + path.read_bytes() + b"\0")
    return h.digest()


def function_digest(func: Callable) -> bytes:
    """Digest of a function's code and of whatever it reaches: closures, defaults, globals, also through modules.

    The package's own functions stand by name, code and closure (`package_digest` covers what they call), a user's by
    everything that their byte code names.
    """
    h = hashlib.sha256()
    seen: set[int] = set()

    def visit(value: object) -> None:
        if isinstance(value, pytypes.FunctionType):
            if id(value) not in seen:
                seen.add(id(value))
                visit_function(value)
        elif isinstance(value, pytypes.CodeType):
            h.update(value.co_code + repr(value.co_names).encode())
            for constant in value.co_consts:
                visit(constant)
        elif isinstance(value, tuple):
            for item in value:
                visit(item)
        elif isinstance(value, np.ndarray | np.generic):
            h.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        elif isinstance(value, int | float | complex | str | bytes | bool | None):
            h.update(repr(value).encode())
        elif (inner := getattr(value, "py_func", None) or getattr(value, "_defn", None)) is not None:
            visit(inner)  # a dispatcher's function, an intrinsic's definition
        else:
            h.update(f"{type(value).__module__}.{getattr(value, '__name__', type(value).__qualname__)}".encode())

    def visit_function(function: pytypes.FunctionType) -> None:
        h.update(f"{function.__module__}.{function.__qualname__}".encode())
        visit(function.__code__)
        visit(function.__defaults__ or ())
        visit(tuple((function.__kwdefaults__ or {}).items()))
        for cell in function.__closure__ or ():
            visit(cell.cell_contents)
        if not (function.__module__ or "").startswith("gradsim."):
            names = sorted(_names(function.__code__))
            visit_names(function.__globals__, names)

    def visit_names(namespace: Mapping[str, object], names: list[str]) -> None:
        for name in names:
            if name in namespace:
                h.update(name.encode())
                value = namespace[name]
                visit(value)
                if isinstance(value, pytypes.ModuleType) and id(value) not in seen:
                    seen.add(id(value))
                    visit_names(vars(value), names)

    visit(func)
    return h.digest()


def _names(code: pytypes.CodeType) -> set[str]:
    """Globals and attributes that byte code refers to."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, pytypes.CodeType):
            names |= _names(constant)
    return names


class DiskCache(_Cache):
    """One file a compiled function; any trouble with the disk means compiling, never an error."""

    def __init__(self, py_func: Callable, options: dict):
        chosen = sorted((k, sorted(v) if isinstance(v, set) else v) for k, v in options.items())
        self._identity = package_digest() + function_digest(py_func) + repr(chosen).encode()
        self._name = py_func.__name__

    @property
    def cache_path(self) -> str | None:
        root = cache_root()
        return None if root is None else str(root / "kernels")

    def _file(self, sig: object, target_context: object) -> Path | None:
        if self.cache_path is None:
            return None
        key = (numba.__version__, sys.version, str(sig), target_context.codegen().magic_tuple())
        digest = hashlib.sha256(self._identity + repr(key).encode()).hexdigest()[:32]
        return Path(self.cache_path) / f"{self._name}-{digest}"

    def load_overload(self, sig: object, target_context: object) -> object | None:
        target_context.refresh()
        path = self._file(sig, target_context)
        try:
            data = path.read_bytes() if path else b""
            # A torn or foreign file fails its checksum and is compiled anew.
            if len(data) > 32 and hashlib.sha256(data[32:]).digest() == data[:32]:
                return compiler.CompileResult._rebuild(target_context, *pickle.loads(data[32:]))
        except (OSError, ImportError):  # or of a module that is not there now, such as one made by exec
            pass
        return None

    def save_overload(self, sig: object, data: object) -> None:
        path = self._file(sig, data.target_context)
        if path is None or data.library.has_dynamic_globals or any(not x.can_cache for x in data.lifted):
            return
        payload = dumps(data._reduce())
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(hashlib.sha256(payload).digest() + payload)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def enable(self) -> None:
        """Always enabled."""

    def disable(self) -> None:
        """Always enabled."""

    def flush(self) -> None:
        """Files of older sources are never read again; `gradsim doctor` says where they are."""


# --- the processor --------------------------------------------------------------------------------

_MULTIPLY_ADD = """
declare <16 x float> @llvm.fmuladd.v16f32(<16 x float>, <16 x float>, <16 x float>)
define <16 x float> @multiply_add(<16 x float> %x, <16 x float> %y, <16 x float> %z) {
  %sum = call <16 x float> @llvm.fmuladd.v16f32(<16 x float> %x, <16 x float> %y, <16 x float> %z)
  ret <16 x float> %sum
}
"""


class VectorRegisters(NamedTuple):
    """SIMD registers: bytes of each, how many there are, and whether a multiply-add on them is one instruction."""

    size: int
    number: int
    fused: bool


@functools.cache
def vector_registers() -> VectorRegisters:
    """Those of the processor that is compiled for.

    LLVM tells no one; what it makes of sixteen multiply-adds does, whatever the processor was chosen by.
    """
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    assembly = machine.emit_assembly(binding.parse_assembly(_MULTIPLY_ADD))
    fused = "mulps" not in assembly
    if "zmm" in assembly:
        return VectorRegisters(64, 32, fused)
    if "ymm" in assembly:
        return VectorRegisters(32, 16, fused)
    return VectorRegisters(16, 16 if "xmm" in assembly else 32, fused)


# --- how functions are compiled -------------------------------------------------------------------
#
# Numba optimizes every function that it compiles in full, with all that it calls, and turns it into machine code, also
# one that exists only to be inlined elsewhere; for the trainer, with its 70 small functions, that is most of the time.
# Here a function that only kernels call stops at LLVM IR, and all is optimized together, in the kernel that links it.
# Passes over Numba's own IR that have nothing to do in a kernel are left out.


class _KernelLibrary(JITCodeLibrary):
    """Machine code of what can be called from without, optimized after linking only, not also before."""

    def _optimize_functions(self, ll_module: object) -> None:
        ll_module.data_layout = self._codegen._data_layout


class _DeviceLibrary(JITCodeLibrary):
    """IR to be linked into kernels, each function simplified alone: nothing else is done to it here."""

    def finalize(self) -> None:
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            if hasattr(library, "_reload_init"):  # newer Numba only
                self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(NativeLowering):
    """Lowering into a `_KernelLibrary`."""

    _name = "gradsim_kernel_lowering"
    _library = _KernelLibrary

    def run_pass(self, state: object) -> bool:
        state.library = self._library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return super().run_pass(state)


@register_pass(mutates_CFG=True, analysis_only=False)
class _DeviceLowering(_KernelLowering):
    """Lowering into a `_DeviceLibrary`, with a stand-in for the Python entry point that such a function has not."""

    _name = "gradsim_device_lowering"
    _library = _DeviceLibrary

    def run_pass(self, state: object) -> bool:
        state.flags.no_compile = True
        super().run_pass(state)

        # Numba wants a builtin as entry point and uses it as a key; Python never gets hold of it.
        entry = [].append
        lowered = state["cr"]
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        state["cr"] = lowered._replace(cfunc=entry)
        return True


class _KernelPipeline(compiler.CompilerBase):
    """Numba's passes less those for array expressions and, where there are none, for functions within functions."""

    _lowering = _KernelLowering

    def define_pipelines(self) -> list:
        manager = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        idle = {NopythonRewrites}
        if not any(isinstance(constant, pytypes.CodeType) for constant in self.state.func_id.code.co_consts):
            idle.add(InlineClosureLikes)
        manager.passes = [
            (self._lowering if p is NativeLowering else p, text) for p, text in manager.passes if p not in idle
        ]
        manager._finalized = False
        manager.finalize()
        return [manager]


class _DevicePipeline(_KernelPipeline):
    _lowering = _DeviceLowering


# Kernels allocate nothing, so that nothing counts references to arrays: in a step of small networks that was a quarter
# of the time.
_NO_ALLOCATION = {"_nrt": False}

_DEVICE = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "error_model": "numpy",
    "pipeline_class": _DevicePipeline,
    **_NO_ALLOCATION,
}


def device_overload(function: Callable) -> Callable:
    """Decorator of what picks, by types, the body that a function has in compiled code; a body calls, no more."""
    return overload(function, strict=False, jit_options=_DEVICE)


def device(func: Callable) -> Callable:
    """A function that kernels call; compiled with them."""
    return register_jitable(fastmath=set(FASTMATH), **_DEVICE)(func)


def formula(func: Callable) -> Callable:
    """A function over lane vectors, inlined where it is used, arithmetic in the order written."""
    return register_jitable(fastmath=set(FORMULA_FASTMATH), forceinline=True, **_DEVICE)(func)


@intrinsic
def address_of_this_process(typingctx):
    """A number that is never 0. Numba keeps no function on disk that this one is part of."""

    def codegen(context, builder, sig, args):
        return builder.ptrtoint(context.add_dynamic_addr(builder, id(typingctx), info="gradsim"), ir.IntType(64))

    return types.int64(), codegen


# --- entry points ---------------------------------------------------------------------------------


def kernel(func: Callable) -> Callable:
    """A compiled entry point: releases the GIL, raises and allocates nothing, is kept on disk."""
    options = {"nogil": True, "no_cfunc_wrapper": True, "error_model": "numpy", "fastmath": set(FASTMATH)}
    options |= _NO_ALLOCATION
    dispatcher = numba.njit(pipeline_class=_KernelPipeline, **options)(func)
    dispatcher._cache = DiskCache(func, options)
    return dispatcher


def callback(func: Callable, signature: object) -> CFunc:
    """A compiled function with a plain C address, so that kernels can call it without being compiled for it."""
    options = {"nopython": True, "fastmath": set(FORMULA_FASTMATH), "error_model": "numpy"}
    compiled = CFunc(
        func, (signature.args, signature.return_type), locals={}, options=options, pipeline_class=_KernelPipeline
    )
    compiled._cache = DiskCache(func, options)
    compiled.compile()
    return compiled

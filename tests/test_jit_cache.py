"""The disk cache of compiled code: hit by the next process, never stale, never in the way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gradsim
from gradsim import jit
from gradsim.activations import blocks
from gradsim.engine.contraction import contract, contract_shared

PACKAGE = Path(gradsim.__file__).parent


def environment(cache, **more):
    """Where modules, home and cache lie for a process of its own; no byte code, whose time stamps are too coarse."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    given = {"PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "error"}
    return kept | given | ({"NUMBA_CACHE_DIR": str(cache)} if cache else {}) | more


def python(code, folder, cache, **more):
    """What `code` prints in a process of its own that runs in `folder`; standard error must be empty."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(cache, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


def snapshot(cache):
    """Every file below a directory, with its time of change."""
    return {p.relative_to(cache): p.stat().st_mtime_ns for p in Path(cache).rglob("*") if p.is_file()}


# --- the next process -------------------------------------------------------------------

# A block, a kernel, and a formula that lives nowhere but in the command, as in a notebook.
USE_BOTH = """
from gradsim.activations import get, pointwise
from gradsim.engine import random
from gradsim.lanes import exp

@pointwise("own")
def own(z):
    return exp(z) + 1, exp(z)

blocks = [get("elu").block("float64", "value"), own.block("float32")]
print(get("elu")([-1.0])[0], own.derivative([0.0])[0], random.random_words(1, 2, 3, 4, 5)[4])
print(*[b._callback.cache_hits for b in blocks], sum(random._fill_words.stats.cache_hits.values()))
"""


def test_the_next_process_compiles_nothing(tmp_path):
    cache = tmp_path / "cache"
    *cold, first, second, third = python(USE_BOTH, tmp_path, cache, PYTHONHASHSEED="1")
    assert (first, second, third) == ("0", "0", "0")
    files = snapshot(cache)
    assert len(files) >= 3
    *warm, first, second, third = python(USE_BOTH, tmp_path, cache, PYTHONHASHSEED="2")
    assert (first, second, third) == ("1", "1", "1")
    assert warm == cold
    assert float(cold[0]) == np.expm1(-1.0)
    assert snapshot(cache) == files


def test_a_formula_of_a_module_that_is_nowhere_is_compiled_anew(tmp_path):
    formula = """
from gradsim.activations import get, pointwise
@pointwise("own")
def own(z):
    return 3 * z, 3 + 0 * z
print(get("own")(2.0))
"""
    code = f"""
import types
module = types.ModuleType("<dynamic>")
exec(compile({formula!r}, "<dynamic>", "exec"), vars(module))
"""
    for _ in range(2):
        assert python(code, tmp_path, tmp_path / "cache") == ["6.0"]


def test_processes_that_start_together_on_an_empty_cache_agree(tmp_path):
    cache = tmp_path / "cache"
    together = [
        subprocess.Popen(
            [sys.executable, "-c", USE_BOTH],
            cwd=tmp_path,
            env=environment(cache),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [p.communicate(timeout=120) for p in together]
    assert [p.returncode for p in together] == [0, 0]
    assert {error for _, error in answers} == {""}
    assert len({out.splitlines()[0] for out, _ in answers}) == 1
    assert not [p for p in snapshot(cache) if p.suffix == ".tmp"]
    assert python(USE_BOTH, tmp_path, cache)[-3:] == ["1", "1", "1"]


# --- what is edited ---------------------------------------------------------------------

# Formulas of the form K z, whose K comes from everywhere that it can come from; __K__ is edited.
MINE = """
import numba
import numpy as np
from numba.extending import register_jitable

import elsewhere
from elsewhere import IMPORTED, by_name, compiled, chain, with_default
from gradsim.activations import pointwise

OWN, PAIR, TABLE, SINGLE = __K__, (1.0, __K__), np.array([1.0, __K__]), np.float32(__K__)

def enter(name, function):
    pointwise("k z", name=name)(function)

def make(k):
    def closed(z):
        return k * z, k + 0 * z
    return closed

@register_jitable
def beside(z):
    return __K__ * z

def literal(z): return __K__ * z, __K__ + 0 * z
def own_global(z): return OWN * z, OWN + 0 * z
def own_tuple(z): return PAIR[1] * z, PAIR[1] + 0 * z
def own_array(z): return TABLE[1] * z, TABLE[1] + 0 * z
def own_numpy_number(z): return SINGLE * z, SINGLE + 0 * z
def own_helper(z): return beside(z), beside(1 + 0 * z)
def imported_number(z): return IMPORTED * z, IMPORTED + 0 * z
def module_number(z): return elsewhere.NUMBER * z, elsewhere.NUMBER + 0 * z
def imported_helper(z): return by_name(z), by_name(1 + 0 * z)
def module_helper(z): return elsewhere.helper(z), elsewhere.helper(1 + 0 * z)
def njit_helper(z): return compiled(z), compiled(1 + 0 * z)
def helper_of_helper(z): return chain(z), chain(1 + 0 * z)
def default_argument(z): return with_default(z), with_default(1 + 0 * z)

KINDS = (literal, own_global, own_tuple, own_array, own_numpy_number, own_helper, imported_number, module_number,
         imported_helper, module_helper, njit_helper, helper_of_helper, default_argument)
for function in KINDS:
    enter(function.__name__, function)
enter("closed_over", make(__K__))
"""

ELSEWHERE = """
import numba
from numba.extending import register_jitable

IMPORTED = NUMBER = __K__

@register_jitable
def helper(z):
    return __K__ * z

@register_jitable
def by_name(z):
    return __K__ * z

@numba.njit
def compiled(z):
    return __K__ * z

@register_jitable
def chain(z):
    return by_name(z)

@register_jitable
def with_default(z, k=__K__):
    return k * z
"""

ASK = """
import mine
from gradsim.activations import ACTIVATIONS

for name in NAMES:
    block = ACTIVATIONS[name].block("float64")
    print(name, ACTIVATIONS[name].derivative([5.0])[0], block._callback.cache_hits)
"""

KINDS = [
    "literal",
    "own_global",
    "own_tuple",
    "own_array",
    "own_numpy_number",
    "own_helper",
    "imported_number",
    "module_number",
    "imported_helper",
    "module_helper",
    "njit_helper",
    "helper_of_helper",
    "default_argument",
    "closed_over",
]


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """name -> (slope, cache hits) of three processes: new, unchanged, and with every constant edited."""
    folder = tmp_path_factory.mktemp("edited")
    answers = []
    for constant in ("2.0", "2.0", "3.0"):
        for name, text in (("mine", MINE), ("elsewhere", ELSEWHERE)):
            (folder / f"{name}.py").write_text(text.replace("__K__", constant))
        printed = python(ASK.replace("NAMES", repr(KINDS)), folder, folder / "cache")
        answers.append({n: (float(v), int(h)) for n, v, h in zip(*[iter(printed)] * 3, strict=True)})
    return answers


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_is_never_answered_with_an_old_kernel(edited, kind):
    new, unchanged, changed = (answers[kind] for answers in edited)
    assert new == (2.0, 0)
    assert unchanged[0] == 2.0
    assert changed[0] == 3.0


@pytest.mark.parametrize("kind", ["literal", "own_global", "own_helper", "imported_helper", "closed_over"])
def test_a_users_formula_is_found_in_the_cache(edited, kind):
    assert [answers[kind][1] for answers in edited] == [0, 1, 0]


def test_functions_that_differ_in_an_intrinsic_alone_are_told_apart():
    """One kernel's file must not be another's: here a file for lanes would read shared data out of bounds."""
    assert jit.function_digest(contract) != jit.function_digest(contract_shared)


def test_only_the_listed_sources_compile_anything():
    """The cache is keyed by `jit.KERNEL_SOURCES`: a kernel elsewhere would be served stale after an edit."""
    compilers = {"kernel", "callback", "formula", "device", "njit", "jit", "cfunc", "intrinsic", "overload"}
    compilers |= {"register_jitable", "vectorize", "guvectorize"}
    found = {}
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE)
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in ("jit", "numba"):
                    names.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                if node.module == "gradsim.jit" or (node.module or "").startswith("numba"):
                    names |= {a.name for a in node.names}
        names &= compilers
        if names:
            found[str(place)] = place.parts[0] in jit.KERNEL_SOURCES
    assert len(found) > 8
    assert all(found.values()), [name for name, listed in found.items() if not listed]


# --- what goes wrong --------------------------------------------------------------------


def formula(z):
    return 2.5 * z + 1, 2.5


def compiled_block():
    """The block of `formula`, through the disk cache, past the one in memory."""
    block = blocks.pointwise_block.__wrapped__(formula, (), np.dtype(np.float64), "value", False)
    z, h = np.arange(8.0), np.empty(8)
    block(z, h, np.empty(8), np.zeros(8), rows=1, units=1)
    np.testing.assert_array_equal(h, 2.5 * z + 1)
    return block._callback.cache_hits


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "cache_root", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: bytes(32) + data[32:],
        lambda data: b"not a kernel" * 100,
        lambda data: data + b"\0",
    ],
    ids=["empty", "a few bytes", "half", "one byte short", "one bit", "checksum", "foreign", "one byte more"],
)
def test_a_corrupted_file_is_compiled_anew_and_repaired(root, corrupt):
    assert compiled_block() == 0
    (path,) = (root / "kernels").iterdir()
    whole = path.read_bytes()
    assert compiled_block() == 1
    path.write_bytes(corrupt(whole))
    assert compiled_block() == 0
    assert compiled_block() == 1
    assert list((root / "kernels").iterdir()) == [path]


def test_a_directory_in_the_place_of_a_file_is_no_error(root):
    compiled_block()
    (path,) = (root / "kernels").iterdir()
    path.unlink()
    path.mkdir()
    assert compiled_block() == 0


def test_a_file_in_the_place_of_the_directory_is_no_error(root):
    (root / "kernels").write_text("in the way")
    assert compiled_block() == 0
    assert (root / "kernels").read_text() == "in the way"


def test_a_disk_that_fills_up_is_no_error(root, monkeypatch):
    def full(self, data):
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert compiled_block() == 0
    assert not list((root / "kernels").iterdir())


def test_no_cache_at_all_is_no_error(monkeypatch):
    monkeypatch.setattr(jit, "cache_root", lambda: None)
    assert compiled_block() == compiled_block() == 0


JUST_ONE = """
from gradsim import jit
from gradsim.activations import get

print(get("relu")([-1.0, 2.0])[1], jit.cache_root())
"""


@pytest.mark.parametrize("place", ["a file", "/proc/nothing", "a home that is none"])
def test_an_unwritable_cache_directory_means_uncached(tmp_path, place):
    (tmp_path / "a file").write_text("no directory")
    home = place == "a home that is none"
    cache = None if home else tmp_path / place
    more = {"HOME": "/proc/nobody", "LOCALAPPDATA": ""} if home else {}
    assert python(JUST_ONE, tmp_path, cache, **more) == ["2.0", "None"]


def test_the_users_choice_of_directory_wins(tmp_path):
    chosen, base, home = (tmp_path / name for name in ("chosen", "base", "home"))
    elsewhere = {"XDG_CACHE_HOME": str(base), "HOME": str(home)}
    home.mkdir()
    assert python(JUST_ONE, tmp_path, chosen, **elsewhere) == ["2.0", str(chosen / "gradsim")]
    assert list((chosen / "gradsim" / "kernels").iterdir())
    assert not base.exists()
    assert not list(home.iterdir())
    if sys.platform != "win32":
        assert python(JUST_ONE, tmp_path, None, **elsewhere) == ["2.0", str(base / "gradsim")]
        assert list((base / "gradsim" / "kernels").iterdir())
        assert not list(home.iterdir())

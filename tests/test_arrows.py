"""The arrows of docs/architecture.md: imports point one way, and what reads results needs no compiler.

Modules are read, not imported. What only a type checker sees is no import; what stands in a function is one of its own
kind: a public method may begin something large that way.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "gradsim"
# Each may import those before it.
CHAINS = (
    ("results", "analysis", "plots", "report", "cli"),
    ("jit", "lanes", "activations", "initializers", "engine", "cohort", "campaign", "shard", "runner", "cluster"),
    ("jit", "lanes", "losses", "engine", "starts", "resolve", "campaign", "storage", "runner", "estimate", "cli"),
    ("jit", "optimizers", "engine", "campaign", "replay", "report", "cli"),
    ("errors", "choices", "fields", "axes", "plan", "campaign", "theory", "advice", "cli"),
    ("errors", "places", "datasets", "cohort", "campaign", "directory", "runner", "cli"),
)
READERS = ("outcomes", "results", "analysis", "plots", "report", "notebook", "cli")
KERNELS = ("jit", "lanes", "engine", "losses", "optimizers")


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in PACKAGE.rglob("*.py")}


def imported(node: ast.AST, in_functions: bool) -> Iterator[str]:
    """Names of the modules that code imports when it runs, or those too that its functions import when called."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            inside = (f"{child.module}.{alias.name}" for alias in child.names)
            yield from (name if name in SOURCES else child.module for name in inside)
        if in_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from imported(child, in_functions)


@functools.cache
def arrows() -> dict[str, tuple[set[str], set[str]]]:
    """Of each module what it imports, without and with what its functions import."""
    found = {}
    for name, path in SOURCES.items():  # a tree at a time: all at once, the garbage collector looks through them
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[name] = set(imported(tree, False)), set(imported(tree, True))
    return found


def members(name: str) -> set[str]:
    """A module of the package, or a package in it with all of its modules."""
    found = {one for one in SOURCES if f"{one}.".startswith(f"gradsim.{name}.")}
    assert found, name
    return found


@functools.cache
def needed(name: str) -> set[str]:
    """What is imported, by others too, when a member is, its packages' own modules among it."""
    seen, left = set(), [*members(name)]
    while left:
        one = left.pop()
        if one not in seen:
            seen.add(one)
            left += arrows().get(one, ((),))[0]
            left += [one.rpartition(".")[0]] if one.startswith("gradsim.") else []
    return seen


def test_no_module_needs_itself():
    graph = {name: imports for name, (imports, _) in arrows().items()}
    ordered = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the modules
    assert set(SOURCES) <= set(ordered)


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
def test_arrows_point_one_way(chain):
    for k, name in enumerate(chain):
        for later in chain[k + 1 :]:
            assert not needed(name) & members(later), f"{name} imports {later}"


@pytest.mark.parametrize("name", READERS)
def test_what_reads_results_imports_no_compiler(name):
    assert "numba" not in needed(name)


def test_kernels_know_neither_campaigns_nor_results():
    assert all("numba" in needed(name) for name in KERNELS)
    above = {"gradsim.campaign", "gradsim.plan", "gradsim.cohort", "gradsim.fields", "gradsim.results"}
    above |= set().union(*map(members, ("analysis", "plots", "report", "cli", "theory", "advice", "datasets")))
    for name in set().union(*map(members, KERNELS)):
        assert not arrows()[name][1] & above, name


CODE = """
import a.b
if TYPE_CHECKING:
    import c
def f():
    from d import e
try:
    import g
finally:
    pass
"""


def test_imports_are_seen():
    assert set(imported(ast.parse(CODE), False)) == {"a.b", "g"}
    assert set(imported(ast.parse(CODE), True)) == {"a.b", "g", "d"}

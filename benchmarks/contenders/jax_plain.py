"""JAX as it is usually used for this: one `jit(vmap(scan))` with donated weights, all cores left to XLA."""

from __future__ import annotations

from . import jax_vmap
from .jax_vmap import JaxVmap, Layout, versions
from .tasks import Problem, Task

__all__ = ["build", "versions"]


def build(task: Task, problem: Problem) -> JaxVmap:
    jax_vmap.start_jax(devices=1)
    return JaxVmap(task, problem, [Layout()])

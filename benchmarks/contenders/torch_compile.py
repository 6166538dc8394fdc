"""PyTorch's compiler on the step of `torch_func`; it needs a C++ compiler, and says so where there is none."""

from __future__ import annotations

from .tasks import Problem, Task
from .torch_func import TorchFunc, versions

__all__ = ["build", "versions"]


def build(task: Task, problem: Problem) -> TorchFunc:
    return TorchFunc(task, problem, compiled=True)

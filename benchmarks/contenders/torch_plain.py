"""PyTorch as it is usually used for this: one `baddbmm` a layer over all networks, in place, all cores left to it."""

from __future__ import annotations

from . import torch_bmm
from .tasks import Problem, Task
from .torch_bmm import Layout, TorchBmm, versions

__all__ = ["build", "versions"]


def build(task: Task, problem: Problem) -> TorchBmm:
    torch_bmm.start_torch()
    return TorchBmm(task, problem, [Layout(wide=False, chunk=0)])

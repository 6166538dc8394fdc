"""Losses: value and gradient at the network's outputs, and what the best constant prediction costs.

`LOSSES` lists them; blocks run on lane vectors, and every number of a loss may differ by lane.
"""

from __future__ import annotations

from gradsim.losses.registry import LOSSES
from gradsim.losses.spec import Loss, call_loss

__all__ = ["LOSSES", "Loss", "call_loss"]

"""What the tests of theory share: closed forms."""

from __future__ import annotations

import math

import numpy as np


def arccosine(order, c):
    """E of products of step (order 0) and relu (order 1) at variance 1 (Cho & Saul 2009)."""
    angle = np.arccos(c)
    return (math.pi - angle) / (2 * math.pi) if order == 0 else (np.sin(angle) + (math.pi - angle) * c) / (2 * math.pi)

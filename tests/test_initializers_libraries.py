"""Initializers against those of PyTorch and JAX, where they are installed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from initializer_help import networks

TORCH = {
    "uniform(limit=0.5, offset=0.5)": lambda init, t: init.uniform_(t),
    "normal(std=1)": lambda init, t: init.normal_(t),
    "truncated_normal(std=1)": lambda init, t: init.trunc_normal_(t),
    "xavier_uniform(gain=1.5)": lambda init, t: init.xavier_uniform_(t, gain=1.5),
    "xavier_normal": lambda init, t: init.xavier_normal_(t),
    "kaiming_uniform": lambda init, t: init.kaiming_uniform_(t),
    "kaiming_uniform(a=0.3, mode='fan_out')": lambda init, t: init.kaiming_uniform_(t, a=0.3, mode="fan_out"),
    "kaiming_normal": lambda init, t: init.kaiming_normal_(t),
    "kaiming_normal(a=0.3)": lambda init, t: init.kaiming_normal_(t, a=0.3),
    "orthogonal(gain=2)": lambda init, t: init.orthogonal_(t, gain=2),
    "sparse(sparsity=0.3, std=1)": lambda init, t: init.sparse_(t, 0.3, std=1),
    "eye": lambda init, t: init.eye_(t),
    "ones": lambda init, t: init.ones_(t),
}


def same_moments(ours, theirs):
    """Two samples of matrices [networks, ...] agree in the mean of w, w^2 and w^4, and in the largest abs(w)."""
    for power in (1, 2, 4):
        a, b = ((x.astype(np.float64) ** power).reshape(len(x), -1).mean(axis=1) for x in (ours, theirs))
        error = math.hypot(a.std(ddof=1), b.std(ddof=1)) / math.sqrt(len(a))
        assert abs(a.mean() - b.mean()) <= 5 * error + 1e-6 * abs(b.mean())
    assert math.isclose(np.abs(ours).max(), np.abs(theirs).max(), rel_tol=0.2)


@pytest.mark.parametrize("initializer", TORCH)
def test_moments_are_those_of_torch(initializer):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    theirs = np.stack([TORCH[initializer](torch.nn.init, torch.empty(20, 32)).numpy().T for _ in range(100)])
    ((W, _),) = networks((32, 20), initializer, seeds=range(100))
    same_moments(np.moveaxis(W, -1, 0), theirs)
    if initializer.startswith("sparse"):
        assert ((theirs == 0).sum(axis=2) == (np.moveaxis(W, -1, 0) == 0).sum(axis=2)).all()


def test_moments_of_a_linear_layer_are_those_of_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    theirs = [torch.nn.Linear(32, 20) for _ in range(100)]
    ((W, b),) = networks((32, 20), "torch_linear", seeds=range(100))
    same_moments(np.moveaxis(W, -1, 0), np.stack([t.weight.detach().numpy() for t in theirs]))
    same_moments(b.T, np.stack([t.bias.detach().numpy() for t in theirs]))


JAX = {
    "normal": lambda init: init.normal(),
    "truncated_normal": lambda init: init.truncated_normal(),
    "uniform(limit=0.005, offset=0.005)": lambda init: init.uniform(),
    "he_normal": lambda init: init.he_normal(),
    "he_uniform": lambda init: init.he_uniform(),
    "glorot_normal": lambda init: init.glorot_normal(),
    "glorot_uniform": lambda init: init.glorot_uniform(),
    "lecun_normal": lambda init: init.lecun_normal(),
    "orthogonal(gain=2)": lambda init: init.orthogonal(2.0),
    "variance_scaling(scale=3, mode='fan_geo_avg', distribution='normal')": lambda init: init.variance_scaling(
        3.0, "fan_geo_avg", "normal"
    ),
}


@pytest.mark.parametrize("initializer", JAX)
def test_moments_are_those_of_jax(initializer):
    jax = pytest.importorskip("jax")
    draw = JAX[initializer](jax.nn.initializers)
    theirs = np.stack([np.asarray(draw(jax.random.key(i), (32, 20))) for i in range(60)])
    ((W, _),) = networks((32, 20), initializer, seeds=range(60))
    same_moments(np.moveaxis(W, -1, 0), theirs)

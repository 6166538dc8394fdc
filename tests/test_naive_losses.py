"""The twin's losses prove themselves: central differences, PyTorch, scikit-learn, known values; all without gradsim."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from naive_losses import LOSSES

# name, parameters
SETTINGS = [(name, {}) for name in LOSSES] + [
    ("softmax_cross_entropy", {"label_smoothing": 0.1}),
    ("softmax_cross_entropy", {"label_smoothing": 1.0}),
    ("huber", {"delta": 0.3}),
    ("hinge", {"margin": 0.4}),
    ("crammer_singer", {"margin": 2.5}),
]
every_loss = pytest.mark.parametrize(("name", "params"), SETTINGS, ids=lambda v: str(v or "default"))
BY_LABEL = ("softmax_cross_entropy", "hinge", "crammer_singer")


def drawn(name, seed=0, samples=9, classes=4):
    """Outputs, and labels or targets."""
    random = np.random.default_rng(seed)
    out, targets = random.normal(size=(samples, classes)), random.normal(size=(samples, classes))
    if name in BY_LABEL:
        return out, np.arange(samples) % classes
    return out, random.uniform(size=targets.shape) if name == "logistic" else targets


@every_loss
def test_the_gradient_is_the_losss(name, params):
    out, y = drawn(name)
    gradient, h = LOSSES[name](out, y, **params)[1], 1e-6
    numeric = np.empty_like(out)
    for index in np.ndindex(out.shape):
        moved = [out.copy(), out.copy()]
        moved[0][index] -= h
        moved[1][index] += h
        low, high = (LOSSES[name](m, y, **params)[0] for m in moved)
        numeric[index] = (high - low) / (2 * h)
    assert np.abs(gradient).max() > 1e-3
    np.testing.assert_allclose(gradient, numeric, atol=1e-9)


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in BY_LABEL])
def test_labels_are_one_hot_rows(name):
    out, _ = drawn(name)
    y = np.arange(9) % 4
    value, slope = LOSSES[name](out, y)
    other, others = LOSSES[name](out, np.eye(4)[y])
    assert value == other
    np.testing.assert_array_equal(slope, others)


def torch_loss(torch, name, params):
    """PyTorch's function of (outputs, labels or targets), or None."""
    f = torch.nn.functional
    return {
        "softmax_cross_entropy": lambda o, y: f.cross_entropy(o, y, **params),
        "mean_squared_error": f.mse_loss,
        "half_squared_error": lambda o, y: f.huber_loss(o, y, delta=1e9),
        "absolute_error": f.l1_loss,
        "huber": lambda o, y: f.huber_loss(o, y, **params),
        "logistic": f.binary_cross_entropy_with_logits,
        "hinge": lambda o, y: f.multi_margin_loss(o, y, **params),
    }.get(name)


@every_loss
def test_equals_pytorch(name, params):
    torch = pytest.importorskip("torch")
    function = torch_loss(torch, name, params)
    if function is None:
        pytest.skip("PyTorch has none")
    for scale in (1.0, 30.0, 1e4):
        out, y = drawn(name)
        tensor = torch.tensor(out * scale, requires_grad=True)
        theirs = function(tensor, torch.tensor(y))
        theirs.backward()
        value, slope = LOSSES[name](out * scale, y, **params)
        assert value == pytest.approx(theirs.item(), rel=1e-12)
        np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "out", "y", "params"),
    [
        ("absolute_error", [[0.5, -1.0]], [[0.5, 0.0]], {}),
        ("huber", [[1.0, -1.0, 0.0]], [[0.0, 0.0, 0.0]], {"delta": 1.0}),
        ("logistic", [[0.0, 0.0]], [[0.0, 1.0]], {}),
        ("hinge", [[0.0, 1.0, 0.0]], [1], {"margin": 1.0}),
        ("hinge", [[2.0, 2.0, 2.0]], [0], {}),
        ("softmax_cross_entropy", [[2.0, 2.0, 2.0]], [0], {"label_smoothing": 0.3}),
    ],
)
def test_kinks_and_ties_are_pytorchs(name, out, y, params):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(out, dtype=torch.float64, requires_grad=True)
    target = torch.tensor(y) if name in BY_LABEL else torch.tensor(y, dtype=torch.float64)
    torch_loss(torch, name, params)(tensor, target).backward()
    slope = LOSSES[name](np.array(out), np.array(y), **params)[1]
    np.testing.assert_allclose(slope, tensor.grad.numpy(), rtol=1e-12, atol=1e-16)


def test_crammer_and_singers_equals_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    out, y = drawn("crammer_singer", samples=50)
    wanted = metrics.hinge_loss(y, out, labels=range(4))
    assert naive.loss_of("crammer_singer", out, y)[0] == pytest.approx(wanted, rel=1e-12)


def test_of_two_classes_hinges_are_the_binary_one_of_the_difference():
    out, y = drawn("hinge", classes=2)
    binary = np.maximum(0, 1 - (2 * y - 1) * (out[:, 1] - out[:, 0])).mean()
    assert naive.loss_of("crammer_singer", out, y)[0] == pytest.approx(binary, rel=1e-14)
    assert naive.loss_of("hinge", out, y)[0] == pytest.approx(binary / 2, rel=1e-14)


def test_known_values():
    zeros, y = np.zeros((3, 5)), np.array([0, 2, 1])
    assert naive.loss_of(("softmax_cross_entropy", {"label_smoothing": 0.4}), zeros, y)[0] == pytest.approx(math.log(5))
    assert naive.loss_of("logistic", zeros, y)[0] == pytest.approx(math.log(2))
    assert naive.loss_of("hinge", zeros, y)[0] == pytest.approx(4 / 5)
    assert naive.loss_of("crammer_singer", zeros, y)[0] == 1
    assert naive.loss_of("absolute_error", zeros, y)[0] == pytest.approx(1 / 5)
    assert naive.loss_of("half_squared_error", zeros, y)[0] == pytest.approx(1 / 10)
    assert naive.loss_of("huber", np.array([[3.0]]), np.array([[0.0]]))[0] == 2.5

"""Optimizers, clipping, weight decay and schedules: the engine against the twin, and the twin against PyTorch."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from engine_help import DTYPES, Setup, Trained, relative_error

from gradsim.optimizers import COMMON, OPTIMIZERS
from gradsim.schedules import SCHEDULES

every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
# Steps of a length of their own need smaller rates.
RATES = {"adam": 0.01, "adamw": 0.01, "rmsprop": 0.003, "rprop": 0.003, "sign": 0.003, "normalized": 0.03}


def trained(optimizer, dtype="float64", **changed):
    base = {"widths": (5, 6, 4, 3), "activations": ("tanh", "silu"), "steps": 100, "networks": 11}
    return Trained(
        Setup(**base | {"optimizer": optimizer, "dtype": dtype, "rate": RATES.get(optimizer, 0.05)} | changed)
    )


def assert_equals_twin(run, networks, tolerance):
    for i in networks:
        weights, losses = run.twin(i)
        np.testing.assert_allclose(run.losses[i], losses, rtol=tolerance)
        assert relative_error(run.weights(i), weights) < tolerance
        assert relative_error(run.weights(i), run._layers(run.start[i])) > 1e-3


@every_optimizer
def test_a_hundred_steps_equal_the_twin(optimizer):
    assert_equals_twin(trained(optimizer), [0, 6, 10], 1e-10)


@every_optimizer
def test_decay_clipping_and_schedule_together_equal_the_twin(optimizer):
    run = trained(optimizer, weight_decay=0.05, clip_norm=0.2, clip_value=0.03, schedule="cosine")
    assert_equals_twin(run, [0, 9], 1e-10)


@every_optimizer
def test_float32_follows_float64(optimizer):
    run = trained(optimizer, "float32", steps=20, weight_decay=0.02, clip_norm=0.5)
    # The sign of a tiny gradient may differ between the precisions.
    tolerance = 2e-2 if optimizer in ("sign", "rprop") else 1e-3
    for i in (0, 7):
        np.testing.assert_allclose(run.losses[i], run.twin(i)[1], rtol=tolerance)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_scale_the_rate(schedule):
    run = trained("sgd", schedule=schedule)
    assert_equals_twin(run, [0, 4], 1e-10)


@every_optimizer
@pytest.mark.parametrize("decay", [0.0, 0.03])
def test_the_twin_equals_pytorch(optimizer, decay):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    made = {
        "sgd": lambda p: torch.optim.SGD(p, weight_decay=decay),
        "momentum": lambda p: torch.optim.SGD(p, momentum=0.8, weight_decay=decay),
        "nesterov": lambda p: torch.optim.SGD(p, momentum=0.8, nesterov=True, weight_decay=decay),
        "rmsprop": lambda p: torch.optim.RMSprop(p, alpha=0.95, eps=1e-7, weight_decay=decay),
        "adam": lambda p: torch.optim.Adam(p, betas=(0.85, 0.99), eps=1e-7, weight_decay=decay),
        "adamw": lambda p: torch.optim.AdamW(p, betas=(0.85, 0.99), eps=1e-7, weight_decay=decay),
        "rprop": lambda p: torch.optim.Rprop(p, etas=(0.6, 1.3), step_sizes=(1e-5, 0.5)),
    }
    own = {
        "momentum": {"beta": 0.8},
        "nesterov": {"beta": 0.8},
        "rmsprop": {"alpha": 0.95, "eps": 1e-7},
        "adam": {"beta1": 0.85, "beta2": 0.99, "eps": 1e-7},
        "adamw": {"beta1": 0.85, "beta2": 0.99, "eps": 1e-7},
        "rprop": {"eta_minus": 0.6, "eta_plus": 1.3, "least_step": 1e-5, "most_step": 0.5},
    }
    if optimizer not in made or (optimizer == "rprop" and decay):
        pytest.skip("PyTorch has none")
    random = np.random.default_rng(4)
    X, y = random.normal(size=(12, 3)), random.normal(size=(12, 2))
    start = [(random.normal(size=(3, 4)), random.normal(size=4)), (random.normal(size=(4, 2)), random.normal(size=2))]
    params = own.get(optimizer, {}) | ({} if optimizer == "rprop" else {"weight_decay": decay})
    rate = RATES.get(optimizer, 0.05)
    rows = np.tile(np.arange(12), (60, 1))
    final, _ = naive.train(start, X, y, rows, [("tanh", {})], "mean_squared_error", (optimizer, params), rate)

    layers = [tuple(torch.tensor(a, requires_grad=True) for a in layer) for layer in start]
    stepper = made[optimizer]([{"params": [a for layer in layers for a in layer], "lr": rate}])
    for _ in range(60):
        h = torch.tanh(torch.tensor(X) @ layers[0][0] + layers[0][1])
        value = torch.nn.MSELoss()(h @ layers[1][0] + layers[1][1], torch.tensor(y))
        stepper.zero_grad()
        value.backward()
        stepper.step()
    for ours, theirs in zip(final, layers, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_clipping_equals_pytorch():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    gradients = [random.normal(size=(3, 4)), random.normal(size=4)]
    tensors = [torch.tensor(g, requires_grad=True) for g in gradients]
    for t, g in zip(tensors, gradients, strict=True):
        t.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_value_(tensors, 0.7)
    torch.nn.utils.clip_grad_norm_(tensors, 1.5)
    for got, t in zip(naive.clipped(gradients, clip_norm=1.5, clip_value=0.7), tensors, strict=True):
        np.testing.assert_allclose(got, t.grad.numpy(), rtol=1e-12)


def test_direction_alone_and_every_element_rescaled():
    """FACTS: [10, 20, 40] against [1, 2, 100]: normalized steps keep the direction, signs do not."""
    g = [np.array([10.0, 20, 40]), np.array([1.0, 2, 100])]
    for gradient in g:
        w = [np.zeros(3)]
        naive.OPTIMIZERS["normalized"](w, [gradient], {}, [1.0], 0)
        np.testing.assert_allclose(w[0], -gradient / np.linalg.norm(gradient), rtol=1e-15)
        w = [np.zeros(3)]
        naive.OPTIMIZERS["sign"](w, [gradient], {}, [1.0], 0)
        np.testing.assert_array_equal(w[0], [-1, -1, -1])


def test_warm_up_rises_and_hands_over():
    factors = SCHEDULES["cosine"].factors(100, warmup=np.array([0.0, 20.0]), final=np.array([0.0, 0.1]))
    np.testing.assert_allclose(factors[1, :20], np.arange(1, 21) / 21)
    assert factors[1, 20] == 1
    assert factors[0, 0] == 1
    assert (np.diff(factors[1, 20:]) < 0).all()
    assert 0.1 < factors[1, -1] < 0.11


def test_every_optimizer_can_decay_and_clip():
    for optimizer in OPTIMIZERS.values():
        assert list(optimizer.parameters)[:3] == list(COMMON)

"""Theory against wide networks in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradsim import theory
from gradsim.theory.subject import subject

WIDTH, LAYERS, NETWORKS = 1000, 5, 400
SETTINGS = {
    "tanh": (1.5, 0.3),
    "erf(z)": (1.3, 0.2),
    "relu": (math.sqrt(2), 0.0),
    "gelu": (1.3, 0.3),
    "silu": (1.4, 0.3),
    "elu": (1.2, 0.2),
}


@pytest.fixture(scope="module")
def normals():
    """Weights of width 1000 and biases, float32. Every network takes them with random signs of its layers' inputs,
    which changes no distribution and makes 400 networks of five matrices."""
    random = np.random.default_rng(5)
    weights = random.standard_normal((LAYERS, WIDTH, WIDTH), np.float32) / np.float32(math.sqrt(WIDTH))
    signs = random.choice(np.array([-1, 1], np.int8), (LAYERS, WIDTH, NETWORKS))
    biases = random.standard_normal((LAYERS, WIDTH, NETWORKS), np.float32)
    errors = random.standard_normal((WIDTH, NETWORKS), np.float32)
    return weights, signs, biases, errors


def simulate(normals, act, sigma_w, sigma_b, start):
    """Mean squares over units and networks of pre-activations and of deltas by layer; inputs of mean square `start`."""
    weights, signs, biases, delta = normals
    h = np.full((WIDTH, NETWORKS), math.sqrt(start), np.float32)
    z, slopes = [], []
    for W, D, b in zip(weights, signs, biases, strict=True):
        z.append(np.float32(sigma_w) * (W @ (D * h)) + np.float32(sigma_b) * b)
        h, slope = act.value_and_derivative(z[-1])
        slopes.append(slope)
    deltas = [delta * slopes[-1]]
    for layer in range(LAYERS - 2, -1, -1):
        back = np.float32(sigma_w) * (weights[layer + 1].T @ deltas[0])
        deltas.insert(0, signs[layer + 1] * back * slopes[layer])
    return [float(np.mean(np.square(a, dtype=np.float64))) for a in z], [float(np.mean(np.square(d))) for d in deltas]


@pytest.mark.parametrize("name", SETTINGS)
def test_width_1000_agrees_within_2_percent(normals, name):
    """q by layer, from far off the fixed point and on it, and the ratio of squared deltas of successive layers."""
    act = subject(name)
    sigma_w, sigma_b = SETTINGS[name]
    start = 3.0 if name != "relu" else 1.0
    q, _ = simulate(normals, act, sigma_w, sigma_b, start)
    wanted = [sigma_w**2 * start + sigma_b**2]
    for _ in range(LAYERS - 1):
        wanted.append(theory.variance_map(name, wanted[-1], sigma_w, sigma_b))
    np.testing.assert_allclose(q, wanted, rtol=0.02)
    if name != "relu":
        assert max(wanted) > 1.3 * min(wanted)  # far from the fixed point: there is something to predict
    fixed = theory.fixed_point(name, sigma_w, sigma_b)
    q, deltas = simulate(normals, act, sigma_w, sigma_b, (fixed - sigma_b**2) / sigma_w**2)
    np.testing.assert_allclose(q, fixed, rtol=0.02)
    ratios = np.array(deltas[:-1]) / np.array(deltas[1:])
    np.testing.assert_allclose(ratios, theory.chi1(name, sigma_w, sigma_b), rtol=0.02)


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu"])
def test_correlations_of_two_inputs_follow_the_map(normals, name):
    weights, signs, biases, _ = normals
    act = subject(name)
    sigma_w, sigma_b = SETTINGS[name]
    q = theory.fixed_point(name, sigma_w, sigma_b)
    c, some = 0.3, slice(0, 200)
    random = np.random.default_rng(1)
    g = random.standard_normal((2, WIDTH, 200), np.float32)
    pair = [
        np.float32(math.sqrt(q)) * z for z in (g[0], np.float32(c) * g[0] + np.float32(math.sqrt(1 - c * c)) * g[1])
    ]
    for W, D, b in list(zip(weights, signs, biases, strict=True))[:3]:
        shift = np.float32(sigma_b) * b[:, some]
        pair = [np.float32(sigma_w) * (W @ (D[:, some] * act(z))) + shift for z in pair]
        c = theory.correlation_map(name, c, q, sigma_w, sigma_b)
        first, second = (z.astype(float) for z in pair)
        got = (first * second).mean() / math.sqrt((first**2).mean() * (second**2).mean())
        assert got == pytest.approx(c, abs=0.02)

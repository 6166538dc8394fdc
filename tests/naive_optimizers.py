"""The twin's optimizers: one function a step on a whole network, arrays in plain NumPy, definitions as PyTorch's.

Each takes the weights and gradients as flat lists of arrays, a dict that it keeps its state in, the rate of each array,
the step counted from 0, and its parameters; it changes the weights in place.
"""

from __future__ import annotations

import numpy as np


def _decayed(weights, gradients, decay):
    return [g + decay * w for w, g in zip(weights, gradients, strict=True)]


def _state(state, name, weights):
    return state.setdefault(name, [np.zeros_like(w) for w in weights])


def sgd(weights, gradients, state, rates, step, weight_decay=0.0):
    for w, g, rate in zip(weights, _decayed(weights, gradients, weight_decay), rates, strict=True):
        w -= rate * g


def momentum(weights, gradients, state, rates, step, beta=0.9, weight_decay=0.0):
    velocities = _state(state, "v", weights)
    for w, g, v, rate in zip(weights, _decayed(weights, gradients, weight_decay), velocities, rates, strict=True):
        v[...] = beta * v + g
        w -= rate * v


def nesterov(weights, gradients, state, rates, step, beta=0.9, weight_decay=0.0):
    velocities = _state(state, "v", weights)
    for w, g, v, rate in zip(weights, _decayed(weights, gradients, weight_decay), velocities, rates, strict=True):
        v[...] = beta * v + g
        w -= rate * (g + beta * v)


def rmsprop(weights, gradients, state, rates, step, alpha=0.99, eps=1e-8, weight_decay=0.0):
    squares = _state(state, "s", weights)
    for w, g, s, rate in zip(weights, _decayed(weights, gradients, weight_decay), squares, rates, strict=True):
        s[...] = alpha * s + (1 - alpha) * g**2
        w -= rate * g / (np.sqrt(s) + eps)


def adam(weights, gradients, state, rates, step, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    first, second = _state(state, "m", weights), _state(state, "v", weights)
    t = step + 1
    for w, g, m, v, rate in zip(weights, _decayed(weights, gradients, weight_decay), first, second, rates, strict=True):
        m[...] = beta1 * m + (1 - beta1) * g
        v[...] = beta2 * v + (1 - beta2) * g**2
        w -= rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)


def adamw(weights, gradients, state, rates, step, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    for w, rate in zip(weights, rates, strict=True):
        w *= 1 - rate * weight_decay
    adam(weights, gradients, state, rates, step, beta1, beta2, eps)


def rprop(
    weights, gradients, state, rates, step, eta_minus=0.5, eta_plus=1.2, least_step=1e-6, most_step=50.0,
    weight_decay=0.0,
):  # fmt: skip
    before = _state(state, "g", weights)
    lengths = state.setdefault("d", [np.full_like(w, rate) for w, rate in zip(weights, rates, strict=True)])
    for w, g, last, d in zip(weights, _decayed(weights, gradients, weight_decay), before, lengths, strict=True):
        agreement = np.sign(g) * np.sign(last)  # their product can underflow
        d *= np.where(agreement > 0, eta_plus, np.where(agreement < 0, eta_minus, 1))
        np.clip(d, least_step, most_step, out=d)
        g = np.where(agreement < 0, 0, g)
        w -= np.sign(g) * d
        last[...] = g


def normalized(weights, gradients, state, rates, step, weight_decay=0.0):
    length = np.sqrt(sum((g**2).sum() for g in gradients))
    for w, g, rate in zip(weights, gradients, rates, strict=True):
        w -= rate * ((g / length if length > 0 else g) + weight_decay * w)


def sign(weights, gradients, state, rates, step, weight_decay=0.0):
    for w, g, rate in zip(weights, _decayed(weights, gradients, weight_decay), rates, strict=True):
        w -= rate * np.sign(g)


OPTIMIZERS = {f.__name__: f for f in (sgd, momentum, nesterov, rmsprop, adam, adamw, rprop, normalized, sign)}


def clipped(gradients, clip_norm=0.0, clip_value=0.0):
    """First every element to +-clip_value, then all together to the length clip_norm; 0 is no clipping."""
    if clip_value:
        gradients = [np.clip(g, -clip_value, clip_value) for g in gradients]
    if clip_norm:
        length = np.sqrt(sum((g**2).sum() for g in gradients))
        gradients = [g * min(1.0, clip_norm / (length + 1e-6)) for g in gradients]
    return gradients

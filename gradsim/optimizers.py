"""Optimizers: one step for one layer, on lane vectors; every number of theirs may differ by lane.

An optimizer is a compiled block that the trainer calls by address once a layer and step:
`(weights, gradient, state, stride, count, decayed, numbers, norm, step)` updates `count` lane vectors in place, of
which the first `decayed` are subject to weight decay. `numbers` holds the lanes of the learning rate, then of each
parameter in order; `norm` those of the whole network's gradient's length; state array j begins at `state + j * stride`,
zeroed before the first step; `step` counts from 0.

Definitions are PyTorch's. Before the block is called the trainer clips the gradient: first every element to
+-`clip_value`, then all layers together to the length `clip_norm`; 0 is no clipping.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
from numba import types
from numba.extending import intrinsic

from gradsim import jit
from gradsim.errors import UsageError
from gradsim.lanes import FLOATS, call_address, exp, expm1, lane_count, load, log, maximum, minimum, sqrt, store, where
from gradsim.parameters import Parameter

# Of every optimizer, first among its numbers, after the learning rate.
WEIGHT_DECAY, CLIP_NORM, CLIP_VALUE, OWN = 1, 2, 3, 4


class Switch(Parameter):
    """A number that 0 switches off; others are far enough from 0 that float32 tells them from it."""

    def check(self, owner: str, name: str, value: object) -> float:
        checked = super().check(owner, name, value)
        if 0 < checked < LEAST:
            raise UsageError(f"{owner}: parameter {name!r} is {checked:g}; allowed: 0 (off), or at least {LEAST:g}")
        return checked


LEAST = 1e-30
COMMON = {
    "weight_decay": Parameter(0.0, 0.0, 1e6),
    "clip_norm": Switch(0.0, 0.0, 1e30),
    "clip_value": Switch(0.0, 0.0, 1e30),
}


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """An optimizer: its update, its parameters beside the learning rate, how many state arrays it keeps.

    Attributes:
        own_parameters: those beside weight decay and clipping, which all optimizers have.
        by_length: whether it divides by the length of the whole gradient.
    """

    name: str
    formula: str
    block_function: Callable
    states: int
    own_parameters: Mapping[str, Parameter] = dataclasses.field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    reference: str = ""
    by_length: bool = False

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """All parameters, in the order of the numbers."""
        return COMMON | dict(self.own_parameters)

    def block(self, dtype: np.dtype | type) -> object:
        """The compiled block for a precision; `.address` is what the trainer takes."""
        return _block(self.block_function, np.dtype(dtype))


@functools.cache
def _block(function: Callable, dtype: np.dtype) -> object:
    held, word = types.CPointer(FLOATS[dtype]), types.int64
    return jit.callback(function, types.void(held, held, held, word, word, word, held, held, word))


@jit.formula
def _number(numbers, place):
    return load(numbers, place * lane_count(numbers))


@jit.formula
def _decayed_gradient(weights, gradient, i, decayed, decay):
    """The gradient with weight decay as a penalty."""
    g = load(gradient, i)
    return g + decay * load(weights, i) if i < decayed * lane_count(weights) else g


@jit.formula
def _power(base, exponent):
    """base^exponent for a base of 0 to 1 and a positive exponent, and what it lacks to 1."""
    scaled = exponent * log(base)
    return exp(scaled), -expm1(scaled)


def _sgd(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay = _number(numbers, 0), _number(numbers, WEIGHT_DECAY)
    for i in range(0, count * size, size):
        store(weights, i, load(weights, i) - rate * _decayed_gradient(weights, gradient, i, decayed, decay))


def _momentum(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay, beta = _number(numbers, 0), _number(numbers, WEIGHT_DECAY), _number(numbers, OWN)
    for i in range(0, count * size, size):
        velocity = beta * load(state, i) + _decayed_gradient(weights, gradient, i, decayed, decay)
        store(state, i, velocity)
        store(weights, i, load(weights, i) - rate * velocity)


def _nesterov(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay, beta = _number(numbers, 0), _number(numbers, WEIGHT_DECAY), _number(numbers, OWN)
    for i in range(0, count * size, size):
        g = _decayed_gradient(weights, gradient, i, decayed, decay)
        velocity = beta * load(state, i) + g
        store(state, i, velocity)
        store(weights, i, load(weights, i) - rate * (g + beta * velocity))


def _rmsprop(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay = _number(numbers, 0), _number(numbers, WEIGHT_DECAY)
    alpha, eps = _number(numbers, OWN), _number(numbers, OWN + 1)
    for i in range(0, count * size, size):
        g = _decayed_gradient(weights, gradient, i, decayed, decay)
        square = alpha * load(state, i) + (1 - alpha) * (g * g)
        store(state, i, square)
        store(weights, i, load(weights, i) - rate * (g / (sqrt(square) + eps)))


@jit.formula
def _adam_step(weights, i, g, state, stride, rate, beta1, beta2, eps, correction1, root_correction2):
    m = beta1 * load(state, i) + (1 - beta1) * g
    v = beta2 * load(state, stride + i) + (1 - beta2) * (g * g)
    store(state, i, m)
    store(state, stride + i, v)
    return (rate / correction1) * (m / (sqrt(v) / root_correction2 + eps))


def _adam(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay = _number(numbers, 0), _number(numbers, WEIGHT_DECAY)
    beta1, beta2, eps = _number(numbers, OWN), _number(numbers, OWN + 1), _number(numbers, OWN + 2)
    _, correction1 = _power(beta1, step + 1)
    _, correction2 = _power(beta2, step + 1)
    root = sqrt(correction2)
    for i in range(0, count * size, size):
        g = _decayed_gradient(weights, gradient, i, decayed, decay)
        change = _adam_step(weights, i, g, state, stride, rate, beta1, beta2, eps, correction1, root)
        store(weights, i, load(weights, i) - change)


def _adamw(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay = _number(numbers, 0), _number(numbers, WEIGHT_DECAY)
    beta1, beta2, eps = _number(numbers, OWN), _number(numbers, OWN + 1), _number(numbers, OWN + 2)
    _, correction1 = _power(beta1, step + 1)
    _, correction2 = _power(beta2, step + 1)
    root = sqrt(correction2)
    for i in range(0, count * size, size):
        w, g = load(weights, i), load(gradient, i)
        if i < decayed * size:
            w = w - (rate * decay) * w
        store(weights, i, w - _adam_step(weights, i, g, state, stride, rate, beta1, beta2, eps, correction1, root))


def _rprop(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    """State: the last gradient, and the step size, which starts at the learning rate."""
    size = lane_count(weights)
    rate, decay = _number(numbers, 0), _number(numbers, WEIGHT_DECAY)
    shrink, grow = _number(numbers, OWN), _number(numbers, OWN + 1)
    least, most = _number(numbers, OWN + 2), _number(numbers, OWN + 3)
    for i in range(0, count * size, size):
        g, before = _decayed_gradient(weights, gradient, i, decayed, decay), load(state, i)
        length = rate if step == 0 else load(state, stride + i)
        turned = ((g > 0) & (before < 0)) | ((g < 0) & (before > 0))
        kept = ((g > 0) & (before > 0)) | ((g < 0) & (before < 0))
        length = minimum(maximum(where(turned, length * shrink, where(kept, length * grow, length)), least), most)
        g = where(turned, 0, g)
        store(state, i, g)
        store(state, stride + i, length)
        store(weights, i, load(weights, i) - where(g > 0, length, where(g < 0, -length, g)))


def _normalized(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay, length = _number(numbers, 0), _number(numbers, WEIGHT_DECAY), load(norm, 0)
    for i in range(0, count * size, size):
        w = load(weights, i)
        direction = where(length > 0, load(gradient, i) / length, load(gradient, i))
        store(weights, i, w - rate * (direction + decay * w if i < decayed * size else direction))


def _sign(weights, gradient, state, stride, count, decayed, numbers, norm, step):
    size = lane_count(weights)
    rate, decay = _number(numbers, 0), _number(numbers, WEIGHT_DECAY)
    for i in range(0, count * size, size):
        g = _decayed_gradient(weights, gradient, i, decayed, decay)
        store(weights, i, load(weights, i) - where(g > 0, rate, where(g < 0, -rate, g)))


@intrinsic
def call_optimizer(typingctx, address, weights, gradient, state, stride, count, decayed, numbers, norm, step):
    """Call an optimizer's block by its address."""
    if not isinstance(weights, types.CPointer):
        return None
    word = types.int64
    sig = types.void(word, weights, weights, weights, word, word, word, weights, weights, word)

    def codegen(context, builder, sig, args):
        call_address(builder, args[0], args[1:])
        return context.get_dummy_value()

    return sig, codegen


_SHARE = Parameter(0.9, 0.0, 1.0)
# Of means that are divided by 1 - share^t, or that would never move; float32 tells it from 1.
_MOST = 1 - 1e-6
_ADAM = {
    "beta1": Parameter(0.9, 0.0, _MOST),
    "beta2": Parameter(0.999, 0.0, _MOST),
    "eps": Parameter(1e-8, 0.0, 1e6),
}
_MOMENTS = r"m \leftarrow \beta_1 m + (1 - \beta_1) g,\; v \leftarrow \beta_2 v + (1 - \beta_2) g^2,\; "
_ADAM_UPDATE = r"W - \eta \frac{m/(1 - \beta_1^{t+1})}{\sqrt{v/(1 - \beta_2^{t+1})} + \epsilon}"

OPTIMIZERS = {
    optimizer.name: optimizer
    for optimizer in (
        Optimizer("sgd", r"W \leftarrow W - \eta g", _sgd, states=0, reference="Robbins & Monro 1951"),
        Optimizer(
            "momentum",
            r"v \leftarrow \beta v + g,\; W \leftarrow W - \eta v",
            _momentum,
            states=1,
            own_parameters={"beta": _SHARE},
            aliases=("heavy_ball", "sgd_momentum"),
            reference="Polyak 1964; PyTorch's form, without dampening",
        ),
        Optimizer(
            "nesterov",
            r"v \leftarrow \beta v + g,\; W \leftarrow W - \eta (g + \beta v)",
            _nesterov,
            states=1,
            own_parameters={"beta": _SHARE},
            aliases=("nag",),
            reference="Nesterov 1983; Sutskever, Martens, Dahl & Hinton 2013; PyTorch's form",
        ),
        Optimizer(
            "rmsprop",
            r"v \leftarrow \alpha v + (1 - \alpha) g^2,\; W \leftarrow W - \eta g / (\sqrt{v} + \epsilon)",
            _rmsprop,
            states=1,
            own_parameters={"alpha": Parameter(0.99, 0.0, _MOST), "eps": Parameter(1e-8, 0.0, 1e6)},
            reference="Tieleman & Hinton 2012",
        ),
        Optimizer(
            "adam",
            _MOMENTS + r"W \leftarrow " + _ADAM_UPDATE,
            _adam,
            states=2,
            own_parameters=_ADAM,
            reference="Kingma & Ba 2015",
        ),
        Optimizer(
            "adamw",
            _MOMENTS + r"W \leftarrow (1 - \eta\lambda) " + _ADAM_UPDATE,
            _adamw,
            states=2,
            own_parameters=_ADAM,
            reference="Loshchilov & Hutter 2019",
        ),
        Optimizer(
            "rprop",
            r"\Delta \leftarrow \eta_\pm \Delta,\; W \leftarrow W - \Delta\,\mathrm{sign}(g)",
            _rprop,
            states=2,
            own_parameters={
                "eta_minus": Parameter(0.5, 0.0, 1.0),
                "eta_plus": Parameter(1.2, 1.0, 1e6),
                "least_step": Parameter(1e-6, 0.0, 1e6),
                "most_step": Parameter(50.0, 0.0, 1e30),
            },
            reference="Riedmiller & Braun 1993; PyTorch's form",
        ),
        Optimizer(
            "normalized",
            r"W \leftarrow W - \eta g / \|g\|_2",
            _normalized,
            states=0,
            aliases=("normalized_sgd", "normalized_gradient_descent"),
            reference="Nesterov 1984; the length is that of all layers' gradients together",
            by_length=True,
        ),
        Optimizer(
            "sign",
            r"W \leftarrow W - \eta\,\mathrm{sign}(g)",
            _sign,
            states=0,
            aliases=("sign_sgd", "signsgd"),
            reference="Bernstein, Wang, Azizzadenesheli & Anandkumar 2018",
        ),
    )
}

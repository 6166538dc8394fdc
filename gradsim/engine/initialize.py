"""Initial weights of whole groups, from base numbers that depend on seed, layer and place alone.

Most initializers only scale the base numbers: one kernel draws and scales a whole group, whichever of them its lanes
have. Networks whose initializer does more (`gradsim.engine.matrices`, `gradsim.engine.rescale`) are drawn again,
together, in float64, treated, and put in their lanes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradsim import jit
from gradsim.engine import matrices, rescale
from gradsim.engine.network import Architecture, lanes_array
from gradsim.engine.random import STREAM_BIASES, STREAM_WEIGHTS, normal_pair, uniform_pair
from gradsim.initializers import METHODS
from gradsim.lanes import (
    LANES,
    aligned_empty,
    bits,
    count_true,
    erf,
    fma,
    lane_count,
    load,
    log,
    maximum,
    minimum,
    store,
)

SCALES = 4  # shift, normal, uniform, truncated
# Networks that are treated in float64 beside those that train: so much memory at a time, or one group.
TREATED_BYTES = 64_000_000
# erf(sqrt(2)): the share of a normal distribution within two standard deviations.
_WITHIN_2 = 0.9544997361036415856
_SQRT_HALF = 0.70710678118654752440


class Starts(NamedTuple):
    """How networks begin, network first: `scales` [n, layers, 2 (weights, biases), SCALES], `methods` int [n] (places
    in METHODS), and what the methods take, `numbers` [n, layers, MOST_NUMBERS]."""

    scales: np.ndarray
    methods: np.ndarray
    numbers: np.ndarray


@jit.formula
def truncated(x):
    """A standard normal number as one that is cut off at two, by their distribution functions: increasing and odd.

    With w = erf(sqrt 2) erf(x / sqrt 2) it is sqrt(2) erfinv(w), which is w times a polynomial in -log(1 - w^2): the
    interpolant at the Chebyshev nodes of [0, 2.4199], relative error 9e-18 (docs/coefficients.py).
    """
    w = _WITHIN_2 * erf(_SQRT_HALF * x)
    t = -log(fma(-w, w, 1))
    p = fma(t, 2.496921391310760841e-13, -5.590716272084282079e-12)
    p = fma(p, t, 4.661060683501493028e-11)
    p = fma(p, t, -1.152477101228965224e-10)
    p = fma(p, t, -5.347453383387781157e-10)
    p = fma(p, t, 7.275000553141585464e-10)
    p = fma(p, t, 3.264865059127930604e-8)
    p = fma(p, t, -5.311780363109491335e-8)
    p = fma(p, t, -1.431719187185014903e-6)
    p = fma(p, t, 2.856576446565337492e-6)
    p = fma(p, t, 0.00006591857090025674503)
    p = fma(p, t, -0.0001810805720660600087)
    p = fma(p, t, -0.003302332409911030457)
    p = fma(p, t, 0.01633323614692509718)
    p = fma(p, t, 0.3281168738692194235)
    p = fma(p, t, 1.25331413731550024)
    return maximum(minimum(w * p, 2), -2)


@jit.device
def _fill(campaign_seed, seeds, part, stream, count, scales, out, first, offset, stride, pair):
    """out[first + i * stride + offset + (0..7)] = the scaled base numbers i < count; scales [SCALES * 8], pair [16]."""
    lanes = bits(load(seeds, 0))
    shift, normal, uniform, bent = load(scales, 0), load(scales, 8), load(scales, 16), load(scales, 24)
    any_normal, any_uniform = count_true(normal != 0) > 0, count_true(uniform != 0) > 0
    any_bent = count_true(bent != 0) > 0
    for i in range(0, count, 2):
        x, y = shift, shift
        if any_normal or any_bent:
            a, b = normal_pair(campaign_seed, lanes, i // 2, part, stream)
            x, y = x + normal * a, y + normal * b
            if any_bent:
                x, y = x + bent * truncated(a), y + bent * truncated(b)
        if any_uniform:
            a, b = uniform_pair(campaign_seed, lanes, i // 2, part, stream)
            x, y = x + uniform * (2 * a - 1), y + uniform * (2 * b - 1)
        store(pair, 0, x)
        store(pair, 8, y)
        for half in range(min(2, count - i)):
            at = first + (i + half) * stride + offset
            for lane in range(8):
                out[at + lane] = pair[half * 8 + lane]


@jit.kernel
def _initialize(layers, campaign_seed, seeds, scales, out, pair):
    """seeds [groups, halves, 8] (bits of uint64), scales [groups, layers, 2, halves, SCALES * 8], out [groups, P L]."""
    for g in range(seeds.shape[0]):
        flat = out[g]
        size = lane_count(flat)
        for i in range(layers.size):
            layer = layers[i]
            count = layer.fan_in * layer.fan_out
            for half in range(seeds.shape[1]):
                key, offset = seeds[g, half], half * 8
                own = scales[g, i, 0, half]
                _fill(campaign_seed, key, i, STREAM_WEIGHTS, count, own, flat, layer.weights * size, offset, size, pair)
                if layer.biases >= 0:
                    n, own = layer.fan_out, scales[g, i, 1, half]
                    _fill(campaign_seed, key, i, STREAM_BIASES, n, own, flat, layer.biases * size, offset, size, pair)


def _drawn(
    layers: np.ndarray, dtype: np.dtype, campaign_seed: int, seeds: np.ndarray, scales: np.ndarray
) -> np.ndarray:
    """Scaled base numbers [groups, P * L] of networks with seeds uint64 [n] and scales [n, layers, 2, SCALES]."""
    grouped = lanes_array(seeds, dtype)
    groups, size = grouped.shape
    halves = size // 8
    keys = np.ascontiguousarray(grouped.reshape(groups, halves, 8), np.uint64).view(np.float64)
    split = lanes_array(scales, dtype).reshape(groups, *scales.shape[1:], halves, 8)
    ordered = np.ascontiguousarray(np.moveaxis(split, -2, 3)).reshape(*split.shape[:3], halves, SCALES * 8)
    out = aligned_empty((groups, int(layers["trained"].sum()) * size), dtype)
    _initialize(layers, campaign_seed, keys, ordered, out, aligned_empty(16, np.float64))
    return out


def _set_learned(layers: np.ndarray, parameters: np.ndarray, out: np.ndarray) -> None:
    """Learned parameters of every unit begin at the network's own, [groups, A, L]."""
    by_number = out.reshape(len(out), -1, parameters.shape[-1])
    for layer in layers[layers["learned"] >= 0]:
        first, count = layer["learned"], layer["units"] * layer["parameter_count"]
        mine = parameters[:, layer["parameters"] : layer["parameters"] + layer["parameter_count"]]
        by_number[:, first : first + count] = np.tile(mine, (1, layer["units"], 1))


def initial_parameters(
    architecture: Architecture,
    dtype: np.dtype,
    campaign_seed: int,
    seeds: np.ndarray,
    starts: Starts,
    parameters: np.ndarray,
    samples: np.ndarray | None = None,
) -> np.ndarray:
    """What is trained in all groups, [groups, P * L], for n networks; the last one fills the last group.

    seeds: uint64 [n]; parameters: of the activations [n, A], where learned ones start from; samples: float64
    [rows, features], which methods that look at data see.
    """
    layers = architecture.layers(dtype)
    out = _drawn(layers, dtype, campaign_seed, seeds, starts.scales)
    padded = np.minimum(np.arange(len(out) * LANES[dtype]), len(seeds) - 1)
    for method in np.unique(starts.methods[starts.methods > 0]):
        places = np.flatnonzero(starts.methods[padded] == method)
        once = max(1, TREATED_BYTES // (64 * architecture.parameter_count)) * 8
        for some in np.array_split(places, range(once, len(places), once)):
            runs = padded[some]
            mine = Starts(*(a[runs] for a in starts))
            treated = _treated(architecture, campaign_seed, seeds[runs], mine, parameters[runs], samples)
            by_number = out.reshape(len(out), -1, LANES[dtype])
            with np.errstate(over="ignore"):  # beyond float32 is infinite
                by_number[some // LANES[dtype], :, some % LANES[dtype]] = treated
    _set_learned(layers, lanes_array(parameters, dtype), out)
    return out


def _treated(
    architecture: Architecture,
    campaign_seed: int,
    seeds: np.ndarray,
    starts: Starts,
    parameters: np.ndarray,
    samples: np.ndarray | None,
) -> np.ndarray:
    """Numbers [n, P], float64, of networks that all have the same method."""
    method, double = METHODS[starts.methods[0]], np.dtype(np.float64)
    layers = architecture.layers(double)
    out = _drawn(layers, double, campaign_seed, seeds, starts.scales)
    numbers, mine = lanes_array(starts.numbers, double), lanes_array(parameters, double)
    if method in rescale.METHODS:
        _set_learned(layers, mine, out)
        if method == "lsuv":
            matrices.orthogonal(layers, np.broadcast_to([[[1.0], [0.0]]], numbers.shape), out)
        rescale.rescale(layers, method == "data_dependent", numbers, mine, samples, out)
    elif method == "orthogonal":
        matrices.orthogonal(layers, numbers, out)
    elif method == "identity":
        matrices.identity(architecture, numbers, out)
    else:
        keys = lanes_array(seeds, double).view(np.float64)
        own = matrices.sparse if method == "sparse" else matrices.asymmetric
        own(architecture, campaign_seed, keys, numbers, out)
    return np.moveaxis(out.reshape(len(out), -1, 8), -1, 1).reshape(-1, architecture.parameter_count)[: len(seeds)]

"""Initial weights of whole groups, from base numbers that depend on seed, layer and place alone."""

from __future__ import annotations

import numpy as np

from gradsim import jit
from gradsim.engine.network import Architecture
from gradsim.engine.random import STREAM_BIASES, STREAM_WEIGHTS, normal_pair, uniform_pair
from gradsim.lanes import LANES, aligned_empty, bits, count_true, lane_count, load, store


@jit.device
def _fill(campaign_seed, seeds, part, stream, count, scales, out, first, offset, stride):
    """out[first + i * stride + offset + (0..7)] = shift + normal N + uniform U for i < count; scales [3 * 8]."""
    lanes = bits(load(seeds, 0))
    shift, normal, uniform = load(scales, 0), load(scales, 8), load(scales, 16)
    any_normal, any_uniform = count_true(normal != 0) > 0, count_true(uniform != 0) > 0
    pair = np.empty(16)
    for i in range(0, count, 2):
        x, y = shift, shift
        if any_normal:
            a, b = normal_pair(campaign_seed, lanes, i // 2, part, stream)
            x, y = x + normal * a, y + normal * b
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
def _initialize(layers, campaign_seed, seeds, scales, out):
    """seeds [groups, halves, 8] (bits of uint64), scales [groups, layers, 2, halves, 3 * 8], out [groups, P * L]."""
    for g in range(seeds.shape[0]):
        flat = out[g]
        size = lane_count(flat)
        for i in range(layers.size):
            layer = layers[i]
            count = layer.fan_in * layer.fan_out
            for half in range(seeds.shape[1]):
                key, offset = seeds[g, half], half * 8
                _fill(
                    campaign_seed,
                    key,
                    i,
                    STREAM_WEIGHTS,
                    count,
                    scales[g, i, 0, half],
                    flat,
                    layer.weights * size,
                    offset,
                    size,
                )
                if layer.biases >= 0:
                    _fill(
                        campaign_seed,
                        key,
                        i,
                        STREAM_BIASES,
                        layer.fan_out,
                        scales[g, i, 1, half],
                        flat,
                        layer.biases * size,
                        offset,
                        size,
                    )


def initial_parameters(
    architecture: Architecture,
    dtype: np.dtype,
    campaign_seed: int,
    seeds: np.ndarray,
    scales: np.ndarray,
    parameters: np.ndarray,
) -> np.ndarray:
    """What is trained in all groups, [groups, P * L].

    seeds: uint64 [groups, L]; scales: float64 [groups, layers, 2, 3, L], weights then biases, each
    (shift, normal, uniform); parameters: of the activations [groups, A, L], where learned ones start from.
    """
    groups, size = seeds.shape
    halves = size // 8
    keys = np.ascontiguousarray(seeds.reshape(groups, halves, 8), np.uint64).view(np.float64)
    split = scales.reshape(*scales.shape[:-1], halves, 8)
    ordered = np.ascontiguousarray(np.moveaxis(split, -2, 3)).reshape(*scales.shape[:3], halves, 24)
    out = aligned_empty((groups, architecture.parameter_count * LANES[dtype]), dtype)
    layers = architecture.layers(dtype)
    _initialize(layers, campaign_seed, keys, ordered, out)
    by_number = out.reshape(groups, -1, size)
    for layer in layers[layers["learned"] >= 0]:
        first, count = layer["learned"], layer["units"] * layer["parameter_count"]
        mine = parameters[:, layer["parameters"] : layer["parameters"] + layer["parameter_count"]]
        by_number[:, first : first + count] = np.tile(mine, (1, layer["units"], 1))
    return out

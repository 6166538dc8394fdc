"""Initial weights that are made of a whole matrix: orthogonal, identity, sparse, randomized asymmetric.

All work on groups of eight networks in float64, drawn before; each lane's numbers depend on its own alone.
"""

from __future__ import annotations

import numpy as np

from gradsim import jit
from gradsim.engine.network import Architecture
from gradsim.engine.random import STREAM_PLACES, fill
from gradsim.lanes import aligned_empty, load, spread, sqrt, store, where

_BLOCK = 4


# --- orthogonal -----------------------------------------------------------------------------------


@jit.device
def _remove_from_four(a, along, first, length):
    """Take their parts along the unit vector at `along` off the four vectors from `first` on."""
    n = length * 8
    b, c, d = first + n, first + 2 * n, first + 3 * n
    s = spread(0, a)
    t, u, v = s, s, s
    for i in range(0, n, 8):
        x = load(a, along + i)
        s, t = s + x * load(a, first + i), t + x * load(a, b + i)
        u, v = u + x * load(a, c + i), v + x * load(a, d + i)
    for i in range(0, n, 8):
        x = load(a, along + i)
        store(a, first + i, load(a, first + i) - s * x)
        store(a, b + i, load(a, b + i) - t * x)
        store(a, c + i, load(a, c + i) - u * x)
        store(a, d + i, load(a, d + i) - v * x)


@jit.device
def _remove_from_one(a, along, first, length):
    n = length * 8
    s = spread(0, a)
    for i in range(0, n, 8):
        s = s + load(a, along + i) * load(a, first + i)
    for i in range(0, n, 8):
        store(a, first + i, load(a, first + i) - s * load(a, along + i))


@jit.device
def _normalize(a, first, length):
    n = length * 8
    s = spread(0, a)
    for i in range(0, n, 8):
        x = load(a, first + i)
        s = s + x * x
    factor = where(s > 0, 1 / sqrt(s), 0)
    for i in range(0, n, 8):
        store(a, first + i, factor * load(a, first + i))


@jit.device
def _orthonormalize(a, first, vectors, length):
    """Gram and Schmidt's Q of `vectors` vectors of `length` lane vectors each, in place.

    It is the Q of a QR decomposition whose R has a positive diagonal, which makes Q uniform (Mezzadri 2007). It is done
    twice, after which orthogonality is that of the precision; four vectors at a time meet each earlier one once.
    """
    step = length * 8
    for k in range(0, vectors, _BLOCK):
        block = min(_BLOCK, vectors - k)
        for _ in range(2):
            for j in range(k):
                if block == _BLOCK:
                    _remove_from_four(a, first + j * step, first + k * step, length)
                else:
                    for c in range(block):
                        _remove_from_one(a, first + j * step, first + (k + c) * step, length)
            for c in range(block):
                for j in range(k, k + c):
                    _remove_from_one(a, first + j * step, first + (k + c) * step, length)
                _normalize(a, first + (k + c) * step, length)


@jit.kernel
def _orthogonal(layers, numbers, out, scratch):
    """W = gain Q + offset in every layer: orthonormal columns, or rows where there are fewer of them."""
    for g in range(out.shape[0]):
        flat = out[g]
        for i in range(layers.size):
            m, n, at = layers[i].fan_in, layers[i].fan_out, layers[i].weights * 8
            gain, offset = load(numbers[g, i], 0), load(numbers[g, i], 8)
            columns = m >= n
            if columns:
                for row in range(m):
                    for col in range(n):
                        store(scratch, (col * m + row) * 8, load(flat, at + (row * n + col) * 8))
                _orthonormalize(scratch, 0, n, m)
            else:
                _orthonormalize(flat, at, m, n)
            for row in range(m):
                for col in range(n):
                    place = at + (row * n + col) * 8
                    q = load(scratch, (col * m + row) * 8) if columns else load(flat, place)
                    store(flat, place, gain * q + offset)


def orthogonal(layers: np.ndarray, numbers: np.ndarray, out: np.ndarray) -> None:
    """Orthogonal weights from standard normal ones; numbers [groups, layers, (gain, offset), 8], out [groups, P 8]."""
    most = max(m * n if m >= n else 1 for m, n in zip(layers["fan_in"], layers["fan_out"], strict=True))
    lanes = np.ascontiguousarray(numbers).reshape(*numbers.shape[:2], -1)
    _orthogonal(layers, lanes, out, aligned_empty(int(most) * 8, np.float64))


# --- identity, sparse, asymmetric -----------------------------------------------------------------


def _by_layer(architecture: Architecture, out: np.ndarray) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Views (W [fan_in, fan_out, groups, 8], b [fan_out, groups, 8] or None)."""
    return architecture.split(np.moveaxis(out.reshape(len(out), -1, 8), 0, 1))


def _uniform(campaign_seed: int, keys: np.ndarray, part: int, count: int) -> np.ndarray:
    """[count, groups, 8] in [-1, 1] of the stream of places; keys: bits of the seeds [groups, 8]."""
    drawn = aligned_empty((len(keys), count + 1, 8), np.float64)
    for key, own in zip(keys, drawn, strict=True):
        fill(campaign_seed, key, part, STREAM_PLACES, count, False, own.reshape(-1))
    return np.moveaxis(drawn[:, :count], 0, 1)


def identity(architecture: Architecture, numbers: np.ndarray, out: np.ndarray) -> None:
    """W = gain where input and output have the same number, else 0."""
    for i, (W, _) in enumerate(_by_layer(architecture, out)):
        for k in range(min(W.shape[:2])):
            W[k, k] = numbers[:, i, 0]


def sparse(
    architecture: Architecture, campaign_seed: int, keys: np.ndarray, numbers: np.ndarray, out: np.ndarray
) -> None:
    """As many of each input's weights as numbers[:, layer, 0] says become 0: those of the lowest draws."""
    for i, (W, _) in enumerate(_by_layer(architecture, out)):
        draws = _uniform(campaign_seed, keys, i, W.shape[0] * W.shape[1]).reshape(W.shape)
        zeros = numbers[:, i, 0].astype(np.int64)
        last = np.broadcast_to(np.maximum(zeros - 1, 0), (W.shape[0], 1, *zeros.shape))
        limit = np.take_along_axis(np.sort(draws, axis=1), last, axis=1)
        W[(draws <= limit) & (zeros > 0)] = 0


def asymmetric(
    architecture: Architecture, campaign_seed: int, keys: np.ndarray, numbers: np.ndarray, out: np.ndarray
) -> None:
    """One entry of each unit's weights and bias, all equally likely, becomes a number of Beta(2, 1), the root of a
    uniform one."""
    for i, (W, b) in enumerate(_by_layer(architecture, out)):
        m, n = W.shape[:2]
        draws = (_uniform(campaign_seed, keys, i, 2 * n) + 1) / 2
        value, place = np.sqrt(draws[0::2]), draws[1::2]
        which = np.minimum((place * (m + (b is not None))).astype(np.int64), m - (b is None))
        unit, group, lane = np.nonzero(which < m)
        W[which[unit, group, lane], unit, group, lane] = value[unit, group, lane]
        if b is not None:
            b[which == m] = value[which == m]

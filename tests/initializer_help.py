"""What the tests of initializers share: networks as arrays, without a campaign, and intervals for what is drawn."""

from __future__ import annotations

import functools
import math

import numpy as np

import gradsim as gs
from gradsim.activations import get
from gradsim.cohort import layer_activations
from gradsim.engine.initialize import initial_parameters
from gradsim.engine.network import Architecture
from gradsim.fields import RunFields
from gradsim.initializers import INITIALIZERS, Layer
from gradsim.starts import network_starts

FANS = [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 64),
    (64, 1),
    (2, 3),
    (3, 2),
    (3, 64),
    (64, 3),
    (64, 64),
    (1, 1000),
    (1000, 1),
    (2, 1000),
    (1000, 3),
    (64, 1000),
    (1000, 64),
]
SIGMAS = 5
# What initializers that look at data are shown: 300 samples of 7 features.
DATA = np.random.default_rng(3).normal(size=(300, 7)) + 0.3


def defaults(name):
    """Every parameter of an initializer at its default."""
    return {k: p.default for k, p in INITIALIZERS[name].parameters.items()}


def cell_of(widths, initializer, **fields):
    """The settings of a network with these widths."""
    return RunFields.model_validate({"hidden": list(widths[1:-1]), "initializer": initializer} | fields)


def networks(widths, initializer, *, seeds=range(8), campaign_seed=0, samples=None, **fields):
    """[(W [fan_in, fan_out, networks], b [fan_out, networks] or None), ...] of one initializer over many seeds."""
    return mixed(
        widths, [cell_of(widths, initializer, **fields)], np.zeros(len(seeds), int), seeds, campaign_seed, samples
    )


def mixed(widths, cells, which, seeds, campaign_seed=0, samples=None):
    """The same where network i has the settings cells[which[i]]; activations must be alike but for their parameters."""
    acts = tuple(get(c.name).with_values(**c.values) for c in layer_activations(cells[0]))
    architecture = Architecture(tuple(widths), acts, cells[0].bias)
    parameters = [[v for c in layer_activations(cell) for _, v in c.params] or [0.0] for cell in cells]
    flat = initial_parameters(
        architecture,
        np.dtype(cells[0].dtype),
        campaign_seed,
        np.array(seeds, np.uint64),
        network_starts(cells, np.asarray(which), {}, architecture.shapes),
        np.array(parameters)[which],
        samples,
    )
    lanes = flat.shape[1] // architecture.parameter_count
    by_network = np.moveaxis(flat.reshape(len(flat), -1, lanes), 1, 0).reshape(-1, len(flat) * lanes)
    return architecture.split(by_network[:, : len(seeds)])


@functools.cache
def layer(m, n, activation=None, bias=True):
    """What an initializer is told of a layer."""
    return Layer(m, n, None if activation is None else get(activation), bias)


def campaign(**fields):
    """A campaign of one step on 30 random samples of 6 features and two classes, 6-5-4-2."""
    random = np.random.default_rng(0)
    data = random.normal(size=(30, 6)), random.integers(0, 2, 30)
    return gs.Campaign(dataset=data, hidden=[5, 4], steps=1, batch_size="full", **fields)


def weights_of(campaign):
    """Initial weights of every run."""
    return [campaign.initial_weights(run_id) for run_id in campaign.plan.run_ids(np.arange(campaign.runs))]


def signals(layers, activations, X, k):
    """Pre-activations of each layer of network k, by NumPy."""
    h, out = X, []
    for i, (W, b) in enumerate(layers):
        z = h @ W[..., k].astype(np.float64) + (0 if b is None else b[..., k].astype(np.float64))
        out.append(z)
        h = get(activations[i])(z) if i < len(activations) else z
    return out


def within(mean, expected, variance, count):
    """Within 5 standard errors of a mean of `count` independent numbers; rounding apart."""
    return abs(mean - expected) <= SIGMAS * math.sqrt(variance / count) + 1e-6 * abs(expected)


def mean_within(values, expected):
    """Within 5 standard errors of the mean of independent values, by their own spread; rounding apart."""
    error = values.std(ddof=1) / math.sqrt(len(values))
    return abs(values.mean() - expected) <= SIGMAS * error + 1e-6 * max(abs(expected), np.abs(values).max())

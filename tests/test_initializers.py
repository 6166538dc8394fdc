"""Initial weights: the moments of every initializer over many shapes, pairing, precision, biases, names."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import gradsim as gs
from gradsim.activations import get
from gradsim.engine.initialize import initial_parameters
from gradsim.engine.network import Architecture
from gradsim.errors import UsageError
from gradsim.initializers import INITIALIZERS
from gradsim.lanes import LANES

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

# name -> (kind, what the numbers are spread by): the standard deviation for normal, the limit for uniform.
EXPECTED = {
    "zeros": ("constant", lambda m, n: 0.0),
    "constant": ("constant", lambda m, n, value: value),
    "normal": ("normal", lambda m, n, std: std),
    "uniform": ("uniform", lambda m, n, limit: limit),
    "glorot_uniform": ("uniform", lambda m, n: math.sqrt(6 / (m + n))),
    "glorot_normal": ("normal", lambda m, n: math.sqrt(2 / (m + n))),
    "he_uniform": ("uniform", lambda m, n: math.sqrt(6 / m)),
    "he_normal": ("normal", lambda m, n: math.sqrt(2 / m)),
    "lecun_uniform": ("uniform", lambda m, n: math.sqrt(3 / m)),
    "lecun_normal": ("normal", lambda m, n: math.sqrt(1 / m)),
}
NUMBERS = 20_000

every_name = pytest.mark.parametrize("name", INITIALIZERS)


def defaults(name):
    return {k: p.default for k, p in INITIALIZERS[name].parameters.items()}


def networks(widths, weights, biases=(0.0, 0.0, 0.0), *, dtype=np.float64, seeds=range(8), campaign_seed=0):
    """[(W [fan_in, fan_out, networks], b [fan_out, networks]), ...]; scales: (shift, normal, uniform) of each layer."""
    size, architecture = LANES[np.dtype(dtype)], Architecture(tuple(widths), (get("identity"),) * (len(widths) - 2))
    count = -(-len(seeds) // size) * size
    keys = np.resize(np.array(seeds, np.uint64), count).reshape(-1, size)
    scales = np.empty((len(keys), len(widths) - 1, 2, 3, size))
    scales[:, :, 0] = np.reshape(weights, (1, -1, 3, 1))
    scales[:, :, 1] = np.reshape(biases, (1, -1, 3, 1))
    flat = initial_parameters(
        architecture, np.dtype(dtype), campaign_seed, keys, scales, np.zeros((len(keys), 0, size))
    )
    by_network = np.moveaxis(flat.reshape(len(keys), -1, size), 1, 0).reshape(-1, count)[:, : len(seeds)]
    return architecture.split(by_network)


def scales_of(name, m, n, **parameters):
    scales = INITIALIZERS[name].scales(m, n, **(parameters or defaults(name)))
    return scales.shift, scales.normal, scales.uniform


def within(mean, expected, variance, count):
    """Within 5 standard errors of a mean of `count` independent numbers."""
    return abs(mean - expected) <= 5 * math.sqrt(variance / count)


def test_every_initializer_has_its_expectation():
    assert set(EXPECTED) == set(INITIALIZERS), "state what each initializer draws in EXPECTED"


@every_name
@pytest.mark.parametrize(("m", "n"), FANS)
def test_moments(name, m, n):
    kind, spread = EXPECTED[name]
    s = spread(m, n, **defaults(name))
    seeds = range(max(16, -(-NUMBERS // (m * n))))
    ((W, b),) = networks((m, n), scales_of(name, m, n), dtype=np.float32, seeds=seeds)
    assert W.shape == (m, n, len(seeds))
    assert not b.any()
    x = W.astype(np.float64).ravel()
    if kind == "constant":
        assert (x == np.float32(s)).all()
        return
    variance, fourth = (s**2, 3 * s**4) if kind == "normal" else (s**2 / 3, s**4 / 5)
    assert within(x.mean(), 0, variance, x.size)
    assert within((x**2).mean(), variance, fourth - variance**2, x.size)
    # The fourth moment tells normal from uniform; its own variance needs the eighth.
    eighth = 105 * s**8 if kind == "normal" else s**8 / 9
    assert within((x**4).mean(), fourth, eighth - fourth**2, x.size)
    if kind == "uniform":
        assert 0.99 * s < np.abs(x).max() <= s * (1 + 2**-24)
    # Every place of the tensor is drawn for itself; float32 has room for few chance repetitions.
    assert len(np.unique(W[..., 0])) >= 0.99 * m * n


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("normal", {"std": 1.0}), ("normal", {"std": 0.0}), ("uniform", {"limit": 3.0}), ("constant", {"value": -2.5})],
    ids=str,
)
def test_parameters_set_the_scale(name, parameters):
    kind, spread = EXPECTED[name]
    s = spread(64, 64, **parameters)
    ((W, _),) = networks((64, 64), scales_of(name, 64, 64, **parameters))
    variance, fourth = {"normal": (s**2, 3 * s**4), "uniform": (s**2 / 3, s**4 / 5), "constant": (0, 0)}[kind]
    shift = s if kind == "constant" else 0
    assert within(((W - shift) ** 2).mean(), variance, fourth - variance**2, W.size)


# --- pairing ----------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_base_numbers_under_every_initializer():
    for kind in ("normal", "uniform"):
        names = [name for name, (drawn, _) in EXPECTED.items() if drawn == kind]
        base = []
        for name in names:
            ((W, _),) = networks((5, 7), scales_of(name, 5, 7), seeds=range(40))
            base.append(W / EXPECTED[name][1](5, 7, **defaults(name)))
        assert len(base) >= 4
        for other in base[1:]:
            np.testing.assert_allclose(other, base[0], rtol=4e-16)


def test_a_single_normal_weight_has_the_number_of_its_counter():
    """The stream itself, scaled: row by row, pair by pair."""
    from gradsim.engine.random import STREAM_BIASES, STREAM_WEIGHTS, fill

    (_, _), (W, b) = networks((3, 4, 5), [(0, 1, 0), (0.5, 2, 0)], [(0, 0, 0), (0, 0, 3)], campaign_seed=9)
    keys = np.arange(8, dtype=np.uint64).view(np.float64)
    drawn = np.empty(8 * 24)
    fill(9, keys, 1, STREAM_WEIGHTS, 20, True, drawn)
    np.testing.assert_array_equal(W.reshape(20, 8), 0.5 + 2 * drawn[:160].reshape(20, 8))
    fill(9, keys, 1, STREAM_BIASES, 5, False, drawn)
    np.testing.assert_array_equal(b, 3 * drawn[:40].reshape(5, 8))


@pytest.mark.parametrize(
    "scales", [(0.0, 0.3, 0.0), (0.0, 0.0, 0.7), (0.1, 0.2, 0.3)], ids=["normal", "uniform", "both"]
)
@pytest.mark.parametrize("widths", [(1, 1), (3, 5, 2), (64, 33)], ids=str)
def test_float32_weights_are_the_rounded_float64_ones(widths, scales):
    layers = len(widths) - 1
    seeds = [7, 1, 0, 2**32 - 1, *range(50, 80)]
    single, double = (
        networks(widths, [scales] * layers, [scales] * layers, dtype=dtype, seeds=seeds)
        for dtype in (np.float32, np.float64)
    )
    for (W, b), (W64, b64) in zip(single, double, strict=True):
        assert W.dtype == np.float32
        np.testing.assert_array_equal(W, W64.astype(np.float32))
        np.testing.assert_array_equal(b, b64.astype(np.float32))


def test_weights_do_not_depend_on_who_shares_the_group():
    seeds = [3, 1, 4, 15, 92, 6, 5, 35, 8, 97, 9]
    ((together, _),) = networks((4, 3), (0, 1, 0), dtype=np.float32, seeds=seeds)
    for i, seed in enumerate(seeds):
        ((alone, _),) = networks((4, 3), (0, 1, 0), dtype=np.float32, seeds=[seed])
        np.testing.assert_array_equal(alone[..., 0], together[..., i])


def test_layers_biases_seeds_and_campaigns_draw_apart():
    unit = [(0, 1, 0)] * 3
    layers = networks((8, 8, 8, 8), unit, unit, seeds=range(300))
    tensors = [W.reshape(64, -1) for W, _ in layers] + [b for _, b in layers]
    tensors += [W.reshape(64, -1) for W, _ in networks((8, 8, 8, 8), unit, unit, seeds=range(300), campaign_seed=1)]
    tensors += [W.reshape(64, -1) for W, _ in networks((8, 8, 8, 8), unit, unit, seeds=range(300, 600))]
    everything = np.concatenate([t.ravel() for t in tensors])
    assert len(np.unique(everything)) == everything.size
    for i, a in enumerate(tensors):
        for b in tensors[:i]:
            rows = min(len(a), len(b))
            assert within((a[:rows] * b[:rows]).mean(), 0, 1, a[:rows].size)


# --- through a campaign -----------------------------------------------------------------


def campaign(**fields):
    random = np.random.default_rng(0)
    data = random.normal(size=(30, 6)), random.integers(0, 2, 30)
    return gs.Campaign(dataset=data, hidden=[5, 4], steps=1, batch_size="full", **fields)


def weights_of(campaign):
    return [campaign.initial_weights(run_id) for run_id in campaign.plan.run_ids(np.arange(campaign.runs))]


@every_name
def test_a_campaign_draws_what_the_table_says(name):
    made = campaign(initializer=name, dtype="float64", seed=5, campaign_seed=3)
    widths = (6, 5, 4, 2)
    scales = [scales_of(name, m, n) for m, n in itertools.pairwise(widths)]
    wanted = networks(widths, scales, [(0, 0, 0)] * 3, seeds=[5], campaign_seed=3)
    (got,) = weights_of(made)
    for (W, b), (W_wanted, _) in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(W, W_wanted[..., 0])
        assert not b.any()


def test_runs_of_one_seed_are_paired():
    made = campaign(grid={"initializer": ["he_normal", "lecun_normal", "normal(std=3)"], "seed": [0, 1]})
    weights = weights_of(made)
    runs = {(made.plan.settings(i).initializer.label, made.plan.settings(i).seed): weights[i] for i in range(made.runs)}
    he, lecun, normal = (runs[key] for key in runs if key[1] == 0)
    for (a, _), (b, _), (c, _) in zip(he, lecun, normal, strict=True):
        np.testing.assert_allclose(a, b * math.sqrt(2), rtol=3e-7)
        np.testing.assert_allclose(c, b * 3 * math.sqrt(len(a)), rtol=3e-7)
        assert np.abs(a).max() > 0.1
    assert not np.isin(runs[next(k for k in runs if k[1] == 1)][0][0], he[0][0]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bias_initializer(dtype):
    (constant,) = weights_of(campaign(bias_initializer="constant(value=0.3)", dtype=dtype))
    (normal,) = weights_of(campaign(bias_initializer="normal(std=2)", dtype=dtype))
    (plain,) = weights_of(campaign(dtype=dtype))
    (absent,) = weights_of(campaign(bias=False, dtype=dtype))
    for (W, b), (W1, b1), (W2, b2), (W3, b3) in zip(constant, normal, plain, absent, strict=True):
        assert (b == np.dtype(dtype).type(0.3)).all()
        assert b.dtype == W.dtype == dtype
        assert len(np.unique(b1)) == len(b1)
        assert not b2.any()
        assert b3 is None
        for other in (W1, W2, W3):
            np.testing.assert_array_equal(other, W)
    drawn = np.concatenate([b for _, b in normal])
    assert 0.5 < drawn.std() < 4


def test_biases_of_a_fan_based_initializer_use_the_layers_fans():
    made = campaign(bias_initializer="he_normal", dtype="float64", grid={"seed": range(2000)})
    biases = zip(*([b for _, b in weights] for weights in weights_of_first(made, 400)), strict=True)
    for fan_in, b in zip((6, 5, 4), biases, strict=True):
        x = np.concatenate(b)
        assert within((x**2).mean(), 2 / fan_in, 2 * (2 / fan_in) ** 2, x.size)


def weights_of_first(campaign, count):
    return [campaign.initial_weights(run_id) for run_id in campaign.plan.run_ids(np.arange(count))]


# --- names ------------------------------------------------------------------------------


def test_aliases():
    aliases = {alias: name for name, entry in INITIALIZERS.items() for alias in entry.aliases}
    assert aliases == {
        "xavier_uniform": "glorot_uniform",
        "xavier_normal": "glorot_normal",
        "kaiming_uniform": "he_uniform",
        "kaiming_normal": "he_normal",
    }
    for alias, name in aliases.items():
        made = campaign(initializer=alias)
        assert made.initializer.name == name
        for (a, _), (b, _) in zip(weights_of(made)[0], weights_of(campaign(initializer=name))[0], strict=True):
            np.testing.assert_array_equal(a, b)


@every_name
def test_the_record_says_what_is_needed(name):
    entry = INITIALIZERS[name]
    assert entry.name == name
    assert entry.formula
    for parameter in entry.parameters.values():
        assert parameter.low <= parameter.default <= parameter.high


@pytest.mark.parametrize(
    ("initializer", "message"),
    [
        ("he_norml", "unknown initializer 'he_norml'.*'he_normal'"),
        ("normal(std=-1)", "'std' is -1; allowed: 0 to"),
        ("normal(sd=1)", "no parameter 'sd'; did you mean 'std'"),
        ("zeros(value=1)", "no parameter 'value'; it takes none"),
        ("normal(std='1')", "a number is needed"),
        ("normal(std=nan)", "initializer"),
    ],
)
def test_bad_input_is_refused_in_one_line(initializer, message):
    with pytest.raises(UsageError, match=message) as refused:
        campaign(initializer=initializer)
    assert "\n" not in str(refused.value)

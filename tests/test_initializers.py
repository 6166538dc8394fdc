"""Initializers that scale base numbers: moments over many shapes, pairing, precision, biases."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from initializer_help import FANS, campaign, cell_of, defaults, layer, mean_within, mixed, networks, weights_of, within

from gradsim.initializers import INITIALIZERS, METHODS, TRUNCATED_STD
from gradsim.lanes import LANES

# name -> (kind, what the numbers are spread by): the standard deviation for normal, the limit for uniform, the
# standard deviation before the cut for truncated, the number itself for constant.
EXPECTED = {
    "zeros": ("constant", lambda m, n: 0.0),
    "ones": ("constant", lambda m, n: 1.0),
    "constant": ("constant", lambda m, n, value: value),
    "normal": ("normal", lambda m, n, std, offset: std),
    "random_normal": ("normal", lambda m, n, std, offset: std),
    "truncated_normal": ("truncated", lambda m, n, std, offset: std),
    "uniform": ("uniform", lambda m, n, limit, offset: limit),
    "glorot_uniform": ("uniform", lambda m, n, **_: math.sqrt(6 / (m + n))),
    "glorot_normal": ("truncated", lambda m, n, **_: math.sqrt(2 / (m + n)) / 0.87962566103423978),
    "xavier_normal": ("normal", lambda m, n, **_: math.sqrt(2 / (m + n))),
    "he_uniform": ("uniform", lambda m, n, **_: math.sqrt(6 / m)),
    "he_normal": ("truncated", lambda m, n, **_: math.sqrt(2 / m) / 0.87962566103423978),
    "kaiming_uniform": ("uniform", lambda m, n, **_: math.sqrt(6 / m)),
    "kaiming_normal": ("normal", lambda m, n, **_: math.sqrt(2 / m)),
    "lecun_uniform": ("uniform", lambda m, n, **_: math.sqrt(3 / m)),
    "lecun_normal": ("truncated", lambda m, n, **_: math.sqrt(1 / m) / 0.87962566103423978),
    "variance_scaling": ("truncated", lambda m, n, **_: math.sqrt(1 / m) / 0.87962566103423978),
    "torch_linear": ("uniform", lambda m, n, **_: math.sqrt(1 / m)),
    "ntk": ("normal", lambda m, n, gain: gain / math.sqrt(m)),
    "critical": ("normal", lambda m, n, sigma_b: math.sqrt(1 / m)),  # the one layer here is the linear output
}
NUMBERS = 20_000


def truncated_moment(k):
    """E x^k of a standard normal number cut off at two, exact."""
    density = lambda x: mpmath.exp(-x * x / 2)  # noqa: E731
    return float(mpmath.quad(lambda x: x**k * density(x), [-2, 0, 2]) / mpmath.quad(density, [-2, 0, 2]))


# E x^k of the distributions about 0 at spread 1.
MOMENTS = {
    "normal": {2: 1, 4: 3, 8: 105},
    "uniform": {2: 1 / 3, 4: 1 / 5, 8: 1 / 9},
    "truncated": {k: truncated_moment(k) for k in (2, 4, 8)},
}
WITHIN = {"normal": math.inf, "uniform": 1.0, "truncated": 2.0}

every_name = pytest.mark.parametrize("name", EXPECTED)


def test_every_initializer_has_its_expectation():
    plain = {name for name, entry in INITIALIZERS.items() if not entry.method}
    assert set(EXPECTED) == plain, "state what each initializer draws in EXPECTED"
    assert {entry.method for entry in INITIALIZERS.values()} == set(METHODS)
    assert math.isclose(MOMENTS["truncated"][2], TRUNCATED_STD**2, rel_tol=1e-15)


def check_moments(x, kind, s, offset=0.0):
    """Mean, second and fourth central moment of independent numbers, and their bounds."""
    if kind == "constant":
        assert (x == np.float32(s)).all()
        return
    second, fourth, eighth = (MOMENTS[kind][k] * s**k for k in (2, 4, 8))
    about = x - offset
    assert within(about.mean(), 0, second, x.size)
    assert within((about**2).mean(), second, fourth - second**2, x.size)
    # The fourth moment tells the shapes apart; its own variance needs the eighth.
    assert within((about**4).mean(), fourth, eighth - fourth**2, x.size)
    bound = WITHIN[kind] * s
    assert np.abs(about).max() <= bound * (1 + 2**-23)
    if kind != "normal":
        assert np.abs(about).max() > 0.98 * bound


@every_name
@pytest.mark.parametrize(("m", "n"), FANS)
def test_moments(name, m, n):
    kind, spread = EXPECTED[name]
    s = spread(m, n, **defaults(name))
    seeds = range(max(16, -(-NUMBERS // (m * n))))
    ((W, b),) = networks((m, n), name, seeds=seeds)
    assert W.shape == (m, n, len(seeds))
    assert b.any() == (name == "torch_linear")
    check_moments(W.astype(np.float64).ravel(), kind, s)
    # Every place of the tensor is drawn for itself; float32 has room for few chance repetitions.
    assert kind == "constant" or len(np.unique(W[..., 0])) >= 0.99 * m * n
    mean, variance = INITIALIZERS[name].moments(layer(m, n), **defaults(name))
    second = 0 if kind == "constant" else MOMENTS[kind][2] * s**2
    np.testing.assert_allclose([mean, variance], [s if kind == "constant" else 0, second], rtol=1e-14)


@pytest.mark.parametrize(
    ("initializer", "kind", "spread", "offset"),
    [
        ("normal(std=1.0)", "normal", 1, 0),
        ("normal(std=0.0)", "normal", 0, 0),
        ("normal(std=0.5, offset=-3)", "normal", 0.5, -3),
        ("uniform(limit=3.0)", "uniform", 3, 0),
        ("uniform(limit=0.5, offset=0.5)", "uniform", 0.5, 0.5),
        ("truncated_normal(std=2, offset=1)", "truncated", 2, 1),
        ("constant(value=-2.5)", "constant", -2.5, 0),
        ("he_normal(gain=3)", "truncated", 3 / 8 / TRUNCATED_STD, 0),
        ("glorot_uniform(gain=2, offset=0.1)", "uniform", 2 * math.sqrt(6 / (64 + 16)), 0.1),
        ("lecun_normal(gain=0)", "truncated", 0, 0),
        ("kaiming_uniform(a=2.23606797749979)", "uniform", 1 / 8, 0),  # PyTorch's Linear, as it is written there
        ("kaiming_normal(a=0.25, mode='fan_out')", "normal", math.sqrt(2 / (1 + 0.25**2) / 16), 0),
        ("variance_scaling(scale=3, mode='fan_out', distribution='normal')", "normal", math.sqrt(3 / 16), 0),
        ("variance_scaling(scale=3, mode='fan_avg', distribution='uniform')", "uniform", math.sqrt(9 / 40), 0),
        ("variance_scaling(mode='geo_avg', distribution='normal', gain=2)", "normal", 2 / math.sqrt(32), 0),
        ("variance_scaling(mode='fan_geo_avg', distribution='untruncated_normal')", "normal", 1 / math.sqrt(32), 0),
        ("ntk(gain=3)", "normal", 3 / 8, 0),
    ],
)
def test_parameters_set_the_scale(initializer, kind, spread, offset):
    ((W, _),) = networks((64, 16), initializer, seeds=range(24), dtype="float64")
    if spread == 0:
        assert not W.any()
    else:
        check_moments(W.ravel(), kind, spread, offset)


@pytest.mark.parametrize("name", ["normal", "he_normal", "uniform"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_lane_has_the_moments(name, dtype):
    kind, spread = EXPECTED[name]
    s = spread(3, 4, **defaults(name))
    ((W, _),) = networks((3, 4), name, seeds=range(16 * 200), dtype=dtype)
    lanes = LANES[np.dtype(dtype)]
    for lane in range(lanes):
        x = W[..., lane::lanes].astype(np.float64)
        second, fourth = (MOMENTS[kind][k] * s**k for k in (2, 4))
        assert within(x.mean(), 0, second, x.size)
        assert within((x**2).mean(), second, fourth - second**2, x.size)


def test_truncated_numbers_are_the_normal_ones_bent():
    """T with Phi(T) = Phi(-2) + (Phi(2) - Phi(-2)) Phi(N), to the last digits, from the middle to the bounds."""
    base, bent = (
        networks((40, 50), f"{name}(std=1)", seeds=range(40), dtype="float64")[0][0].ravel()
        for name in ("normal", "truncated_normal")
    )
    order = np.argsort(base)
    assert (np.diff(bent[order]) >= 0).all()
    assert base.max() > 4
    assert np.abs(bent).max() <= 2
    some = order[[*range(0, 40), *range(40, base.size - 40, base.size // 60), *range(base.size - 40, base.size)]]
    some = np.concatenate([some, np.argsort(np.abs(base))[:20]])
    with mpmath.workdps(40):
        inner = mpmath.erf(mpmath.sqrt(2))
        exact = [mpmath.sqrt(2) * mpmath.erfinv(inner * mpmath.erf(mpmath.mpf(x) / mpmath.sqrt(2))) for x in base[some]]
        errors = [abs((mpmath.mpf(t) - e) / e) for t, e in zip(bent[some], exact, strict=True)]
    assert max(errors) < 2e-15


# --- pairing ----------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_base_numbers_under_every_initializer():
    for kind in ("normal", "uniform", "truncated"):
        names = [name for name, (drawn, _) in EXPECTED.items() if drawn == kind]
        base = []
        for name in names:
            ((W, _),) = networks((5, 7), name, seeds=range(40), dtype="float64")
            base.append(W / EXPECTED[name][1](5, 7, **defaults(name)))
        assert len(base) >= 4
        for other in base[1:]:
            np.testing.assert_allclose(other, base[0], rtol=1e-15)


def test_a_single_normal_weight_has_the_number_of_its_counter():
    """The stream itself, scaled: row by row, pair by pair."""
    from gradsim.engine.random import STREAM_BIASES, STREAM_WEIGHTS, fill

    made = networks(
        (3, 4, 5),
        "normal(std=2, offset=0.5)",
        bias_initializer="uniform(limit=3)",
        activation="identity",
        dtype="float64",
        campaign_seed=9,
    )
    _, (W, b) = made
    keys = np.arange(8, dtype=np.uint64).view(np.float64)
    drawn = np.empty(8 * 24)
    fill(9, keys, 1, STREAM_WEIGHTS, 20, True, drawn)
    np.testing.assert_array_equal(W.reshape(20, 8), 0.5 + 2 * drawn[:160].reshape(20, 8))
    fill(9, keys, 1, STREAM_BIASES, 5, False, drawn)
    np.testing.assert_array_equal(b, 3 * drawn[:40].reshape(5, 8))


@pytest.mark.parametrize("name", ["normal", "uniform", "he_normal", "torch_linear"])
@pytest.mark.parametrize("widths", [(1, 1), (3, 5, 2), (64, 33)], ids=str)
def test_float32_weights_are_the_rounded_float64_ones(widths, name):
    seeds = [7, 1, 0, 2**32 - 1, *range(50, 80)]
    bias = "zeros" if name == "torch_linear" else name
    single, double = (
        networks(widths, name, bias_initializer=bias, dtype=dtype, seeds=seeds) for dtype in ("float32", "float64")
    )
    for (W, b), (W64, b64) in zip(single, double, strict=True):
        assert W.dtype == np.float32
        assert b.any()
        np.testing.assert_array_equal(W, W64.astype(np.float32))
        np.testing.assert_array_equal(b, b64.astype(np.float32))


def test_weights_do_not_depend_on_who_shares_the_group():
    """Neither on other seeds nor on other initializers."""
    names = ["normal(std=1)", "uniform(limit=2, offset=1)", "he_normal", "constant(value=3)"]
    seeds = [3, 1, 4, 15, 92, 6, 5, 35, 8, 97, 9, 32, 38, 46, 26, 43, 83, 27, 95]
    which = [i % 4 for i in range(len(seeds))]
    ((together, _),) = mixed((4, 3), [cell_of((4, 3), name) for name in names], which, seeds)
    for i, seed in enumerate(seeds):
        ((alone, _),) = networks((4, 3), names[which[i]], seeds=[seed])
        np.testing.assert_array_equal(alone[..., 0], together[..., i])


def test_layers_biases_seeds_and_campaigns_draw_apart():
    unit = {"initializer": "normal(std=1)", "bias_initializer": "normal(std=1)", "activation": "identity"}
    widths = (8, 8, 8, 8)
    tensors = []
    for seeds, campaign_seed in ((range(300), 0), (range(300), 1), (range(300, 600), 0)):
        for W, b in networks(widths, seeds=seeds, campaign_seed=campaign_seed, dtype="float64", **unit):
            tensors += [W.reshape(64, -1), b]
    everything = np.concatenate([t.ravel() for t in tensors])
    assert len(np.unique(everything)) == everything.size
    for i, a in enumerate(tensors):
        for b in tensors[:i]:
            rows = min(len(a), len(b))
            assert within((a[:rows] * b[:rows]).mean(), 0, 1, a[:rows].size)


# --- through a campaign -----------------------------------------------------------------


@pytest.mark.parametrize("name", INITIALIZERS)
def test_a_campaign_draws_what_the_table_says(name):
    made = campaign(initializer=name, dtype="float64", seed=5, campaign_seed=3, activation="tanh")
    data = made.data()[0]
    wanted = networks((6, 5, 4, 2), name, seeds=[5], campaign_seed=3, samples=data, activation="tanh", dtype="float64")
    (got,) = weights_of(made)
    for (W, b), (W_wanted, b_wanted) in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(W, W_wanted[..., 0])
        np.testing.assert_array_equal(b, b_wanted[..., 0])


def test_runs_of_one_seed_are_paired():
    made = campaign(grid={"initializer": ["kaiming_normal", "ntk", "normal(std=3)"], "seed": [0, 1]})
    weights = weights_of(made)
    runs = {(made.plan.settings(i).initializer.name, made.plan.settings(i).seed): weights[i] for i in range(made.runs)}
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


@pytest.mark.parametrize(("name", "second"), [("kaiming_normal", 2.0), ("torch_linear", 1 / 3)])
def test_biases_of_a_fan_based_initializer_use_the_layers_fans(name, second):
    made = networks((6, 5, 4, 2), "zeros", bias_initializer=name, seeds=range(2000))
    for fan_in, (W, b) in zip((6, 5, 4), made, strict=True):
        assert not W.any()
        assert mean_within(b.ravel().astype(np.float64) ** 2, second / fan_in)


def test_torch_linear_draws_weights_and_biases():
    for m, (W, b) in zip((6, 5), networks((6, 5, 200), "torch_linear", seeds=range(100)), strict=True):
        limit = 1 / math.sqrt(m)
        check_moments(W.ravel().astype(np.float64), "uniform", limit)
        check_moments(b.ravel().astype(np.float64), "uniform", limit)
    assert networks((6, 5), "torch_linear", bias=False)[0][1] is None

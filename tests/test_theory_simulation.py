"""Theory against networks: wide ones in NumPy, and gradsim's own campaigns before their first step."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradsim as gs
from gradsim import theory
from gradsim.activations import get
from gradsim.plots import theory as figures
from gradsim.theory import campaigns
from gradsim.theory.subject import subject

# --- wide networks in NumPy -------------------------------------------------------------

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


# --- campaigns --------------------------------------------------------------------------

UNITS, DEPTH, SEEDS = 128, 4, 160
SIGMAS = 4.5


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """160 networks of four layers of 128 for each of twelve settings, on 64 digits, before the first step."""
    X, y, _, _ = gs.Campaign(dataset="digits").data()
    campaign = gs.Campaign(
        name="theory",
        dataset=(X[:64], y[:64]),
        scaling="none",
        test_fraction=0,
        depth=DEPTH,
        width=UNITS,
        steps=1,
        learning_rate=0.0,
        grid={
            "activation": ["tanh", "relu", "gelu", "sigmoid"],
            "initializer": ["glorot_normal", "lecun_normal", "he_uniform"],
            "seed": range(SEEDS),
        },
    )
    results = campaign.run(tmp_path_factory.mktemp("theory") / "results", progress=False)
    return campaign, results, theory.compare(results)


def table(beside, statistic, column):
    """[settings, layers] of one statistic."""
    rows = beside[beside["statistic"].eq(statistic)]
    return rows.pivot(index=["activation", "initializer"], columns="layer", values=column)


def deviation(results, statistic, power):
    """Standard errors of the mean of a power over runs, [settings, layers]."""
    layers = results.layers[results.layers["step"].eq(0)].merge(
        results.runs[["run_id", "activation", "initializer"]], on="run_id"
    )
    values = layers.assign(value=layers[statistic] ** power)
    return values.pivot_table(
        index=["activation", "initializer"], columns="layer", values="value", aggfunc="std"
    ) / math.sqrt(SEEDS)


def off(measured, statistic, power):
    """Relative distance of expected from measured powers, beyond 4.5 standard errors, [settings, layers]."""
    _, results, beside = measured
    expected, got = (table(beside, statistic, column) ** power for column in ("expected", "measured"))
    beyond = ((expected - got).abs() - SIGMAS * deviation(results, statistic, power)).clip(lower=0)
    return (beyond / got.abs()).to_numpy()


def test_the_first_layer_is_exact(measured):
    """Given the data, pre-activations are sums of independent weights: there is no limit to take. With normal weights
    they are normal, so that shares are exact too."""
    assert off(measured, "preactivation_std", 2)[:, 0].max() == 0
    beside = measured[2]
    normal = beside[beside["layer"].eq(0) & beside["initializer"].ne("he_uniform") & beside["activation"].eq("relu")]
    shares = normal[normal["statistic"].eq("zero")]
    assert (shares["expected"] == 0.5).all()
    assert ((shares["measured"] - 0.5).abs() < 0.01).all()


@pytest.mark.parametrize("statistic", ["preactivation_std", "activation_std", "delta_rms"])
def test_signals_and_deltas_agree_up_to_depth_over_width(measured, statistic):
    """Fluctuations of a layer's kernel are of relative size 1/width a layer; deltas know of the outputs too."""
    _, _, beside = measured
    assert off(measured, statistic, 2).max() < DEPTH / UNITS
    got = table(beside, statistic, "measured")
    assert got.shape == (12, DEPTH + 1)
    if statistic == "delta_rms":
        assert (got.max(axis=None) / got.min(axis=None)) > 100  # what is predicted spans decades


def test_weights_and_means_agree(measured):
    assert off(measured, "weight_rms", 2).max() < 1e-3
    assert off(measured, "activation_mean", 1)[:, :DEPTH].max() < 2 / UNITS


def test_gradients_agree_where_their_fluctuations_are_small(measured):
    """Of rectifiers at He's scale the sum over samples is larger than the theory of wide layers says: by a share of
    order depth/width, with a factor of some ten."""
    beyond = off(measured, "gradient_rms", 2)
    names = table(measured[2], "gradient_rms", "measured").index
    small = [name for name in names if name[1] != "he_uniform"]
    assert beyond[names.isin(small)].max() < 2 * (DEPTH + 10) / UNITS


def test_saturated_shares_agree(measured):
    beside = measured[2]
    rows = beside[beside["statistic"].isin(["saturated_low", "saturated_high"]) & beside["expected"].gt(0.01)]
    assert len(rows) > 30
    np.testing.assert_allclose(rows["measured"], rows["expected"], rtol=0.1)


def test_intervals_hold_the_measurement_and_count_the_runs(measured):
    beside = measured[2]
    assert (beside["n"] == SEEDS).all()
    assert (beside["low"] <= beside["measured"] + 1e-12).all()
    assert (beside["measured"] <= beside["high"] + 1e-12).all()


def test_the_wrong_theory_would_be_noticed(measured):
    """He's weights against the expectation of LeCun's, and tanh against that of sigmoid."""
    beside = measured[2]
    expected, got = (table(beside, "preactivation_std", column) for column in ("expected", "measured"))
    assert (got.loc[("tanh", "he_uniform")] / expected.loc[("tanh", "lecun_normal")] > 1.1).all()
    # Deltas at the output know nothing of the activation; one layer back they do.
    expected, got = (table(beside, "delta_rms", column) for column in ("expected", "measured"))
    assert (
        got.loc[("tanh", "lecun_normal"), : DEPTH - 1] > 2 * expected.loc[("sigmoid", "lecun_normal"), : DEPTH - 1]
    ).all()


def test_the_figure_lays_them_over_each_other(measured):
    figure = figures.theory_over_measurement(measured[2])
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "std of pre-activations",
        "std of activations",
        "rms of delta",
        "rms of gradients",
    ]
    assert all(len(axes.lines) == 16 for axes in panels)
    assert any("8 of 12 settings shown" in text.get_text() for text in figure.texts)


# --- what campaign.theory() says ----------------------------------------------------------


def test_settings_that_theory_tells_apart_have_rows_of_their_own():
    grid = {
        "activation": ["leaky_relu", "tanh"],
        "initializer": ["normal(std=0.1)", "he_normal"],
        "bias": [True, False],
        "learning_rate": [0.1, 1.0],
        "seed": range(3),
    }
    fields = {"dataset": "iris", "depth": 2, "width": 5, "steps": 3, "bias_initializer": "normal(std=0.5)"}
    campaign = gs.Campaign(**fields, grid=grid)
    frame = campaign.theory()
    assert list(frame.columns[:4]) == ["activation", "initializer", "bias", "layer"]
    assert len(frame) == 2 * 2 * 2 * 3
    assert frame["initializer"].unique().tolist() == ["normal(std=0.1)", "he_normal"]
    with_biases, without = (frame[frame["bias"].eq(b)]["preactivation_std"].to_numpy() for b in (True, False))
    assert (with_biases > without).all()
    slopes = gs.Campaign(**fields, activation="leaky_relu", grid={"activation.slope": [0.1, 0.9], "seed": range(2)})
    frame = slopes.theory()
    assert frame["activation.slope"].tolist() == [0.1] * 3 + [0.9] * 3
    assert frame["delta_rms"][0] < frame["delta_rms"][3]


def test_a_single_run_and_a_campaign_without_axes():
    campaign = gs.Campaign(dataset="iris", depth=1, width=4, steps=1, grid={"activation": ["tanh", "relu"]})
    ids = campaign.plan.run_ids(np.arange(2))
    both = campaign.theory()
    for k, name in enumerate(("tanh", "relu")):
        one = campaign.theory(str(ids[k]))
        assert "activation" not in one
        rows = both[both["activation"].eq(name)].drop(columns="activation").reset_index(drop=True)
        np.testing.assert_allclose(one.to_numpy(), rows.to_numpy())
    assert list(gs.Campaign(dataset="iris", depth=0, steps=1).theory()["layer"]) == [0]


def test_regression_deltas_are_in_closed_form():
    """Mean squared error: delta = 2 (output - target)/(samples outputs), E delta^2 from E output^2 and the targets."""
    campaign = gs.Campaign(dataset="diabetes", depth=0, steps=1, initializer="normal(std=0.3)", dtype="float64")
    X, y, _, _ = campaign.data()
    X, y = X[:256], y[:256]
    (row,) = campaign.theory().to_dict("records")
    wanted = 4 * (0.09 * (X**2).sum(axis=1) + y[:, 0] ** 2) / len(X) ** 2
    assert row["delta_rms"] == pytest.approx(math.sqrt(wanted.mean()), rel=0.04)
    linear = 2 * X.T / len(X)
    spread = 0.09 * ((linear @ X) ** 2).sum() + ((linear @ y) ** 2).sum()
    assert row["gradient_rms"] == pytest.approx(math.sqrt(spread / X.shape[1]), rel=0.04)


def test_random_and_learned_parameters_count_at_their_mean_and_start():
    for name in ("rrelu", "prelu"):
        if name not in gs.activations.ACTIVATIONS:
            continue
        act = get(name)
        slope = float(-act(-1.0))
        wanted = theory.gain(f"leaky_relu(slope={slope})")
        assert theory.gain(act) == pytest.approx(wanted, rel=1e-9)


def test_many_runs_are_told_apart_by_their_settings_alone():
    campaign = gs.Campaign(
        dataset="iris", depth=1, width=3, steps=1, grid={"learning_rate": gs.geomspace(1e-3, 1, 50), "seed": range(400)}
    )
    assert len(campaigns.of_campaign(campaign)) == 2

"""Initializers by name: aliases, records, labels, ids, axes, and one line for what is wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from campaign_help import one_id, refusal
from initializer_help import campaign, weights_of

import gradsim as gs
from gradsim.initializers import INITIALIZERS

# --- names ------------------------------------------------------------------------------


def test_aliases():
    aliases = {alias: name for name, entry in INITIALIZERS.items() for alias in entry.aliases}
    assert aliases == {
        "trunc_normal": "truncated_normal",
        "random_uniform": "uniform",
        "xavier_uniform": "glorot_uniform",
        "delta_orthogonal": "orthogonal",
        "eye": "identity",
        "dirac": "identity",
        "edge_of_chaos": "critical",
        "layer_sequential_unit_variance": "lsuv",
        "randomised_asymmetric": "randomized_asymmetric",
        "rai": "randomized_asymmetric",
    }
    for alias, name in aliases.items():
        assert campaign(initializer=alias).initializer == campaign(initializer=name).initializer
        assert campaign(initializer=alias).initializer.name == name


def test_the_names_of_the_libraries_are_all_there():
    """torch.nn.init, jax.nn.initializers and keras.initializers, without those of convolutions alone."""
    torch_names = "uniform normal trunc_normal constant ones zeros eye dirac xavier_uniform xavier_normal orthogonal"
    torch_names += " kaiming_uniform kaiming_normal sparse"
    jax_names = "constant delta_orthogonal glorot_normal glorot_uniform he_normal he_uniform lecun_normal lecun_uniform"
    jax_names += " normal ones orthogonal truncated_normal uniform variance_scaling zeros"
    keras_names = "constant identity ones zeros glorot_normal glorot_uniform he_normal he_uniform lecun_normal"
    keras_names += " lecun_uniform orthogonal random_normal random_uniform truncated_normal variance_scaling"
    for name in itertools.chain(*(names.split() for names in (torch_names, jax_names, keras_names))):
        assert campaign(initializer=name).initializer.name in INITIALIZERS


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_record_says_what_is_needed(name):
    from gradsim.listing import listing

    entry = INITIALIZERS[name]
    assert entry.name == name
    for key, parameter in entry.parameters.items():
        assert parameter.check("it", key, parameter.default) == parameter.default
    (row,) = (r for r in listing("initializers") if r["name"] == name)
    assert row["formula"]
    assert row["reference"]
    assert [text.partition("=")[0] for text in row["parameters"]] == list(entry.parameters)
    assert all(text.partition("=")[2] for text in row["parameters"])


def test_a_label_reads_back_to_the_same_run():
    for name in INITIALIZERS:
        label = campaign(initializer=name).initializer.label
        assert campaign(initializer=label).initializer == campaign(initializer=name).initializer
    given = "variance_scaling(scale=0.3, mode='geo_avg', distribution='uniform', gain='auto', offset=0.1)"
    assert one_id(initializer=campaign(initializer=given).initializer.label) == one_id(initializer=given)


@pytest.mark.parametrize(
    ("fields", "run_id"),
    [
        ({}, "5960a51a6430957a"),
        ({"initializer": "zeros"}, "e4f2e3a92b1813fe"),
        ({"initializer": "constant(value=0.3)"}, "961a70b5cf915eeb"),
        ({"initializer": "normal(std=1)"}, "52e583d532e632a9"),
        ({"initializer": "uniform"}, "0c56ad65e41ac37c"),
        ({"initializer": "he_uniform"}, "6b58a7d9d67a42d9"),
        ({"initializer": "lecun_uniform", "bias_initializer": "normal(std=2)"}, "d087770c13eaa159"),
        ({"initializer": "glorot_uniform", "bias": False}, "1f308570a086f430"),
    ],
    ids=str,
)
def test_runs_kept_their_ids_when_initializers_got_more_parameters(fields, run_id):
    """Those whose weights are what they were; another value is another run."""
    assert one_id(**fields) == run_id
    name = fields.get("initializer", "glorot_uniform").partition("(")[0]
    if "offset" in INITIALIZERS[name].parameters:
        assert one_id(**fields | {"initializer": {"name": name, "offset": 0.5}}) != run_id


def test_parameters_are_axes():
    made = campaign(
        initializer="he_uniform", grid={"initializer.gain": [1.0, 3.0], "initializer.offset": [0.0, 0.25]}, seed=4
    )
    assert len(set(made.plan.run_ids(np.arange(4)))) == 4
    base = weights_of(campaign(initializer="lecun_uniform", seed=4))[0][0][0]
    for position, (W, _) in enumerate(first for first, *_ in weights_of(made)):
        values = made.plan.settings(position).initializer.values
        np.testing.assert_allclose(W, values["gain"] * base + values["offset"], rtol=1e-6, atol=1e-7)


# --- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "fragments"),
    [
        ({"initializer": "he_norml"}, ["unknown initializer 'he_norml'", "'he_normal'"]),
        ({"initializer": "normal(std=-1)"}, ["initializer = 'normal'", "'std' is -1; allowed: 0 to"]),
        ({"initializer": "normal(sd=1)"}, ["no parameter 'sd'; did you mean 'std'"]),
        ({"initializer": "zeros(value=1)"}, ["no parameter 'value'; it takes none"]),
        ({"initializer": "normal(std='1')"}, ["a number is needed"]),
        ({"initializer": "normal(std=nan)"}, ["initializer"]),
        ({"initializer": "normal(offset='auto')"}, ["'offset' is 'auto'; a number is needed"]),
        ({"initializer": "variance_scaling(mode='fan_im')"}, ["'mode' is 'fan_im'; did you mean 'fan_in'"]),
        ({"initializer": "variance_scaling(mode=1)"}, ["'mode' is 1; allowed: fan_in, fan_out, fan_avg, geo_avg"]),
        (
            {"initializer": "variance_scaling(distribution='cauchy')"},
            ["'distribution' is 'cauchy'", "normal, truncated_normal, uniform"],
        ),
        ({"initializer": "variance_scaling(scale=-1)"}, ["'scale' is -1"]),
        ({"initializer": "sparse(sparsity=1.5)"}, ["'sparsity' is 1.5; allowed: 0 to 1"]),
        ({"initializer": "he_normal(gain='automatic')"}, ["'gain' is 'automatic'", '"auto"', "0 to 1e+06"]),
        ({"initializer": "he_normal(gain=-1)"}, ["'gain' is -1; allowed: 0 to"]),
        ({"initializer": "he_normal(gain=True)"}, ["'gain' is True; a number is needed"]),
        ({"initializer": "he_normal(gain=[1])"}, ["'gain' is [1]; a number is needed"]),
        ({"initializer": "lsuv(rounds=2.5)"}, ["'rounds' is 2.5; allowed: whole numbers"]),
        ({"initializer": "critical(sigma_b=-1)"}, ["'sigma_b' is -1"]),
        ({"initializer": "critical(sigma_b=0.3)", "activation": "relu"}, ["initializer = 'critical'", "relu", "edge"]),
        ({"initializer": "critical(sigma_b=0.3)", "bias": False}, ["'critical'", "sigma_b = 0.3 needs biases"]),
        ({"initializer": "critical", "activation": "softmax"}, ["initializer = 'critical'", "'softmax'"]),
        (
            {"initializer": "he_normal(gain='auto')", "activation": "softmax"},
            ["initializer = 'he_normal'", "'softmax'"],
        ),
        ({"bias_initializer": "orthogonal"}, ["bias_initializer = 'orthogonal'", "weights only"]),
        (
            {"initializer": "torch_linear", "bias_initializer": "constant"},
            ["bias_initializer = 'constant'", "'torch_linear' draws the biases itself", "'zeros'"],
        ),
        ({"grid": {"initializer.gain": ["atuo"]}}, ["'gain'", "'atuo'", '"auto"']),
        ({"initializer": "zeros", "grid": {"initializer.gain": [1]}}, ["grid.initializer.gain", "no parameter 'gain'"]),
    ],
    ids=str,
)
def test_bad_input_is_refused_in_one_line(fields, fragments):
    refusal(lambda: campaign(**fields), *fragments)


def test_a_function_without_a_finite_gain_is_refused():
    activation = {"formula": "exp(z*z)", "name": "grown"}
    refusal(
        lambda: campaign(initializer="he_normal(gain='auto')", activation=activation),
        "initializer = 'he_normal'",
        "grown",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, [3]), "learning_rate = -1"),
        ((0.1, []), "fans_in"),
        ((0.1, [0]), "fans_in"),
        ((0.1, [1.5]), "fans_in"),
        ((0.1, 3), "fans_in"),
        ((0.1, [3], "auto"), "gain = 'auto'"),
    ],
)
def test_rates_of_the_tangent_kernel_refuse_what_they_cannot_use(arguments, message):
    refusal(lambda: gs.initializers.ntk_learning_rates(*arguments), message)


def test_words_are_values_of_an_axis(tmp_path):
    grid = {"initializer.gain": ["auto", 1.0], "initializer.mode": ["fan_in", "fan_out"]}
    made = gs.Campaign(
        dataset="iris", depth=2, width=5, steps=2, initializer="variance_scaling", activation="tanh", grid=grid
    )
    runs = made.run(tmp_path, progress=False).runs
    assert sorted(set(zip(runs["initializer.gain"], runs["initializer.mode"], strict=True))) == [
        ("1.0", "fan_in"),
        ("1.0", "fan_out"),
        ("auto", "fan_in"),
        ("auto", "fan_out"),
    ]
    assert runs["run_id"].nunique() == 4

"""Campaigns: fields and defaults, choices in every spelling, axes, lists for layers, a user's own activation."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from campaign_help import environment, ids_of, one_id, refusal, settings_by_id, small

import gradsim as gs
from gradsim import Campaign
from gradsim.choices import Choice
from gradsim.fields import completed
from gradsim.lanes import exp


@pytest.fixture(scope="module")
def bump():
    """The name of an activation of a user's own, there while this module is tested."""

    @gs.activations.pointwise(r"z e^{-s z^2}", name="bump_of_the_tests", parameters={"s": 1.0})
    def bump(z, s):
        e = exp(-s * z * z)
        return z * e, e * (1 - 2 * s * z * z), -z * z * z * e

    return bump.name


# --- fields ---------------------------------------------------------------------------------------


def test_defaults_make_a_campaign_of_one_run():
    campaign = Campaign()
    assert campaign.runs == 1
    assert campaign.name == "campaign"
    assert campaign.dataset.name == "digits"
    assert campaign.widths == (32, 32)
    assert campaign.optimizer == completed("optimizer", Choice("sgd"))
    assert campaign.activation == (Choice("relu"),)
    assert campaign.learning_rate == (0.1,)
    assert campaign.thresholds.diverged == 1000


def test_a_campaign_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Campaign().steps = 5


def test_model_copy_is_checked_and_plans_anew():
    campaign = small(grid={"seed": range(3)})
    copied = campaign.model_copy(update={"steps": 7})
    assert copied.plan.settings(0).steps == 7
    assert copied.digest != campaign.digest
    assert ids_of(campaign.model_copy()) == ids_of(campaign)
    refusal(lambda: campaign.model_copy(update={"steps": -7}), "steps = -7")


def test_numbers_of_numpy_and_pandas_are_numbers():
    plain = small(steps=10, grid={"seed": [0, 1], "learning_rate": [0.5, 0.25]})
    for seeds, rates in (
        (np.arange(2), np.array([0.5, 0.25])),
        ((np.int64(0), np.int8(1)), (np.float32(0.5), np.float64(0.25))),
        (range(2), pd.Series([0.5, 0.25])),
        (pd.Index([0, 1]), [0.5, 0.25]),
    ):
        campaign = small(steps=np.int32(10), grid={"seed": seeds, "learning_rate": rates})
        assert ids_of(campaign) == ids_of(plain)
        assert campaign.digest == plain.digest


def test_depth_and_width_are_the_same_as_hidden():
    assert one_id(depth=2, width=5) == one_id(hidden=[5, 5])
    assert one_id(hidden=[5, 4]) != one_id(hidden=[4, 5])
    assert one_id(hidden=[]) == one_id(depth=0)
    refusal(lambda: small(hidden=[5, 5], depth=2), "hidden", "depth")
    refusal(lambda: small(depth=2, grid={"hidden": [[5], [6]]}), "hidden", "depth")
    refusal(lambda: small(hidden=[5], grid={"width": [3, 4]}), "hidden", "width")


def test_depth_0_is_a_linear_model():
    campaign = small(depth=0, grid={"seed": [0, 1]})
    assert campaign.plan.settings(0).widths == ()
    ((W, b),) = campaign.initial_weights(ids_of(campaign)[0])
    assert W.shape == (4, 3)
    assert b.shape == (3,)


def test_hidden_may_be_an_axis():
    campaign = Campaign(dataset="iris", grid={"hidden": [[3], [4, 2], []], "seed": [0, 1]})
    assert [s.widths for s in settings_by_id(campaign).values()] == [(3,), (3,), (4, 2), (4, 2), (), ()]


# --- choices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spellings",
    [
        ("normal", "normal()", " normal ( std = 0.01 ) ", "normal(std=1e-2)", {"name": "normal", "std": 0.01}),
        ("glorot_uniform", "xavier_uniform", {"name": "xavier_uniform"}, Choice("glorot_uniform", (("gain", 1),))),
        (
            "constant(value=2)",
            "constant(value=2.0)",
            {"name": "constant", "value": 2},
            Choice("constant", (("value", 2),)),
        ),
    ],
)
def test_an_initializer_in_any_spelling_is_the_same_run(spellings):
    assert len({one_id(initializer=s) for s in spellings}) == 1
    assert len({small(initializer=s).digest for s in spellings}) == 1
    assert one_id(initializer=spellings[0]) != one_id(initializer="zeros")


def test_an_activation_in_any_spelling_is_the_same_run():
    leaky = gs.activations.get("leaky_relu", slope=0.123456789)
    spellings = ["leaky_relu(slope=0.123456789)", {"name": "leaky_relu", "slope": 0.123456789}, leaky, [leaky, leaky]]
    assert len({one_id(activation=s) for s in spellings}) == 1
    assert one_id(activation="leaky_relu(slope=0.12345679)") != one_id(activation=leaky)


def test_optimizers_and_losses_by_alias():
    assert one_id(optimizer="heavy_ball") == one_id(optimizer={"name": "momentum", "beta": 0.9})
    assert one_id(loss="mse") == one_id(loss="mean_squared_error")
    assert one_id(loss="auto") == one_id(loss="cross_entropy")
    assert one_id(loss="auto") != one_id(loss="mse")


def test_a_choice_s_label_is_read_back():
    for text in ("normal(std=1)", "uniform(limit=0.1)", "constant(value=0.30000000000000004)", "normal(std=1e-30)"):
        label = small(initializer=text).initializer.label
        assert one_id(initializer=label) == one_id(initializer=text)


def test_nothing_is_evaluated_in_a_choice(tmp_path):
    marker = tmp_path / "marker"
    for attempt in (
        f"normal(std=open({str(marker)!r}, 'w'))",
        f"normal(std=__import__('pathlib').Path({str(marker)!r}).touch())",
        "normal(std=1) + exit()",
        "normal(*[1])",
        "normal(**{'std': 1})",
        "normal(std=1, std=2)",
        "normal(" + "(" * 3000 + ")" * 3000 + ")",
    ):
        refusal(lambda attempt=attempt: small(initializer=attempt), "initializer", "cannot be read")
    assert not marker.exists()


# --- axes -----------------------------------------------------------------------------------------


def test_generators():
    campaign = small(
        grid={
            "learning_rate": {"geomspace": [1e-3, 1, 7]},
            "test_fraction": {"linspace": [0, 0.5, 3]},
            "seed": {"range": 4},
            "data_seed": {"range": [3, 10, 3]},
        }
    )
    rates, fractions, seeds, data_seeds = (axis.values[0] for axis in campaign.plan.axes)
    assert campaign.runs == 7 * 3 * 4 * 3
    assert [r for (r,) in rates] == np.geomspace(1e-3, 1, 7).tolist()
    assert fractions == [0, 0.25, 0.5]
    assert list(seeds) == [0, 1, 2, 3]
    assert list(data_seeds) == [3, 6, 9]


def test_generators_in_python_are_those_of_toml():
    assert gs.geomspace(1e-3, 1, 7) == np.geomspace(1e-3, 1, 7).tolist()
    assert gs.linspace(np.float32(0), 1, np.int64(5)) == [0, 0.25, 0.5, 0.75, 1]
    by_list = small(grid={"learning_rate": gs.geomspace(1e-3, 1, 5)})
    assert by_list.digest == small(grid={"learning_rate": {"geomspace": [1e-3, 1, 5]}}).digest
    refusal(lambda: gs.geomspace(0, 1, 3), "geomspace", "above 0")
    refusal(lambda: gs.linspace(0, float("inf"), 3), "linspace", "inf")
    refusal(lambda: gs.linspace(0, 1, 2.5), "linspace", "2.5")


def test_seeds_may_be_written_as_a_list_or_a_range():
    digests = {small(grid={"seed": s}).digest for s in (range(5), [0, 1, 2, 3, 4], (0, 1, 2, 3, 4), {"range": 5})}
    assert len(digests) == 1
    assert small(grid={"seed": [0, 1, 2, 4]}).digest not in digests


def test_dotted_axes_set_parameters():
    campaign = small(
        activation="leaky_relu",
        initializer="normal",
        optimizer="momentum",
        dataset="moons",
        grid={
            "activation.slope": [0.1, 0.3],
            "initializer.std": [1, 2.0],
            "optimizer.beta": [0.5],
            "dataset.noise": [0.1, 0.2],
            "learning_rate.0": [0.01, 0.02],
        },
    )
    found = settings_by_id(campaign)
    assert len(found) == campaign.runs == 16
    last = list(found.values())[-1]
    assert last.activation == (Choice("leaky_relu", (("slope", 0.3),)),)
    assert last.initializer == Choice("normal", (("std", 2.0), ("offset", 0.0)))
    assert last.optimizer == completed("optimizer", Choice("momentum", (("beta", 0.5),)))
    assert last.dataset.values["noise"] == 0.2
    assert last.learning_rate == (0.02, 0.1, 0.1)


def test_a_dotted_axis_is_the_same_run_as_the_parameter():
    for fields, dotted, value, direct in (
        ({"activation": "leaky_relu"}, "activation.slope", 0.3, {"activation": "leaky_relu(slope=0.3)"}),
        ({"initializer": "normal"}, "initializer.std", 0.5, {"initializer": "normal(std=0.5)"}),
        ({"bias_initializer": "normal"}, "bias_initializer.std", 0.5, {"bias_initializer": "normal(std=0.5)"}),
        ({"optimizer": "momentum"}, "optimizer.beta", 0.5, {"optimizer": "momentum(beta=0.5)"}),
        ({"dataset": "moons"}, "dataset.noise", 0.5, {"dataset": "moons(noise=0.5)"}),
        ({}, "learning_rate.1", 0.5, {"learning_rate": [0.1, 0.5, 0.1]}),
    ):
        assert one_id(**fields, grid={dotted: [value]}) == one_id(**fields | direct), dotted


def test_a_rate_for_all_layers_and_one_of_its_own():
    campaign = small(grid={"learning_rate.2": [0.5, 0.6], "learning_rate": [0.1, 0.2]})
    rates = [s.learning_rate for s in settings_by_id(campaign).values()]
    assert rates == [(0.1, 0.1, 0.5), (0.2, 0.2, 0.5), (0.1, 0.1, 0.6), (0.2, 0.2, 0.6)]
    assert ids_of(campaign)[1] == one_id(learning_rate=[0.2, 0.2, 0.5])


def test_rates_by_layer():
    campaign = small(grid={"learning_rate": [[0.1, 0.2, 0.3], 0.1, [0.1, 0.1, 0.2]]})
    assert len(set(ids_of(campaign))) == 3
    assert one_id(learning_rate=[0.1, 0.1, 0.1]) == one_id(learning_rate=0.1)
    refusal(lambda: small(learning_rate=[0.1, 0.2]), "learning_rate", "2", "3 layers")


def test_activations_by_layer():
    campaign = small(grid={"activation": [["tanh", "relu"], "gelu", ["gelu", "tanh"]]})
    assert [tuple(c.name for c in s.activation) for s in settings_by_id(campaign).values()] == [
        ("tanh", "relu"),
        ("gelu",),
        ("gelu", "tanh"),
    ]
    assert one_id(activation=["relu", "relu"]) == one_id(activation="relu")
    refusal(lambda: small(activation=["relu"] * 3), "activation", "3", "2 hidden layers", "grid")
    refusal(lambda: small(depth=0, activation=["relu", "relu"]), "activation", "0 hidden layers")


def test_a_parameter_of_some_layers_only():
    campaign = small(activation=["tanh", "leaky_relu"], grid={"activation.slope": [0.1, 0.2]})
    slopes = [s.activation[1].values["slope"] for s in settings_by_id(campaign).values()]
    assert slopes == [0.1, 0.2]
    refusal(lambda: small(activation=["tanh", "relu"], grid={"activation.slope": [0.1]}), "tanh", "slope")


def test_zip_varies_axes_together():
    campaign = small(
        zip=[{"activation": ["tanh", "relu"], "initializer": ["glorot_normal", "he_normal"]}], grid={"seed": [0, 1]}
    )
    pairs = {(s.activation[0].name, s.initializer.name, s.seed) for s in settings_by_id(campaign).values()}
    assert pairs == {(a, i, s) for a, i in (("tanh", "glorot_normal"), ("relu", "he_normal")) for s in (0, 1)}
    repeated = small(zip={"learning_rate": [0.1, 0.1, 0.2], "seed": [0, 1, 1]})
    assert repeated.runs == 3


def test_exclude_leaves_runs_out():
    grid = {"activation": ["tanh", "relu"], "learning_rate": {"geomspace": [1e-3, 1, 7]}, "seed": range(3)}
    campaign = small(grid=grid, exclude=[{"activation": "relu", "learning_rate": [1, 0.1]}, {"seed": 2}])
    kept = {(s.activation[0].name, s.learning_rate[0], s.seed) for s in settings_by_id(campaign).values()}
    rates = np.geomspace(1e-3, 1, 7)
    expected = {
        (a, r, s)
        for a in ("tanh", "relu")
        for r in rates.tolist()
        for s in (0, 1)
        if a == "tanh" or not (np.isclose(r, 1) or np.isclose(r, 0.1))
    }
    assert kept == expected
    assert len(ids_of(campaign)) == campaign.runs == len(expected)


def test_exclude_understands_values_as_the_grid_does():
    for value in ("normal(std=1)", {"name": "normal", "std": 1.0}, [{"name": "normal", "std": 1}]):
        campaign = small(grid={"initializer": ["zeros", "normal(std=1)"]}, exclude={"initializer": value})
        assert [s.initializer.name for s in settings_by_id(campaign).values()] == ["zeros"]
    layered = small(grid={"activation": ["relu", ["relu", "tanh"]]}, exclude={"activation": [["relu", "tanh"]]})
    assert layered.runs == 1


def test_what_exclude_leaves_out_need_not_fit(tmp_path):
    sets = small(grid={"dataset": ["missing.csv", "iris"], "seed": [0, 1]}, exclude={"dataset": "missing.csv"})
    assert set(sets.run(tmp_path, progress=False).runs["dataset"]) == {"iris"}
    campaign = Campaign(
        dataset="iris",
        grid={"depth": [1, 2], "activation": ["relu", ["relu", "tanh"]]},
        exclude={"depth": 1, "activation": [["relu", "tanh"]]},
    )
    assert campaign.runs == 3
    linear = small(grid={"depth": [0, 1], "width": [3, 4]}, exclude={"depth": 0, "width": 4})
    assert len(set(ids_of(linear))) == linear.runs == 3


# --- a user's own activation ----------------------------------------------------------------------


def test_a_user_s_activation_by_name_object_and_parameter(bump):
    by_name = small(activation=f"{bump}(s=2)")
    assert ids_of(by_name) == ids_of(small(activation=gs.activations.get(bump, s=2)))
    assert ids_of(by_name) == ids_of(small(activation=bump, grid={"activation.s": [2.0]}))
    assert small(activation="relu").digest != by_name.digest


def test_an_activation_defined_anew_is_not_the_one_before():
    def define(factor):
        def twice_defined(z):
            return factor * z, factor + 0 * z

        twice_defined.__qualname__ = "twice_defined"
        return gs.activations.pointwise(name="twice_defined_in_tests")(twice_defined)

    def run():
        campaign = small(activation="twice_defined_in_tests")
        return campaign.digest, campaign.replay(ids_of(campaign)[0]).loss

    define(1.0)
    digest, loss = run()
    define(1.5)
    other_digest, other_loss = run()
    assert digest != other_digest
    assert not np.array_equal(loss, other_loss)


def test_an_activation_must_not_take_another_s_name():
    def mine(z):
        return z, 1 + 0 * z

    impostor = gs.activations.Activation(name="relu", function=mine)
    refusal(lambda: small(activation=impostor), "'relu'", "taken")


def test_importing_gradsim_is_light():
    code = "import sys, json, gradsim, gradsim.results; print(json.dumps([m for m in sys.modules]))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    loaded = set(json.loads(out.stdout))
    assert not loaded & {"numba", "pandas", "matplotlib", "pyarrow", "sklearn"}

"""Text formulas in campaigns: in TOML and in Python, in grids and layers, kept in results, told apart by their text."""

from __future__ import annotations

import json
import shutil
import tomllib

import numpy as np
import pytest
from campaign_help import assert_same, gradsim, ids_of, one_id, refusal, shard_names, small, tables
from cli_help import complaint
from formula_help import table_put_back

from gradsim import Campaign, Results
from gradsim.activations import ACTIVATIONS, Parameter, from_formula

MISH = {"formula": "z * tanh(softplus(z))", "name": "my_mish"}
SWISH = {"formula": "z*sigmoid(b*z)", "name": "swishb", "parameters": {"b": 1.0}}


@pytest.fixture(autouse=True)
def table():
    """The table of activations, put back afterwards."""
    with table_put_back():
        yield ACTIVATIONS


@pytest.fixture
def forgotten():
    """Forget every formula, as a new process has."""

    def forget():
        for name, act in list(ACTIVATIONS.items()):
            if hasattr(act.function, "formula"):
                del ACTIVATIONS[name]

    return forget


def from_toml(tmp_path, text):
    """The campaign of a TOML text over a small base."""
    base = 'dataset = "iris"\ndepth = 2\nwidth = 5\nsteps = 20\nbatch_size = 8\n'
    (tmp_path / "c.toml").write_text(base + text)
    return Campaign.from_toml(tmp_path / "c.toml")


def labels(campaign):
    """The activations of each cell as tables show them."""
    return [c.activation for c in (campaign.plan.cells[n] for n in campaign.plan.used_cells)]


# --- reading ----------------------------------------------------------------------------


def test_in_toml_one_formula_a_layer(tmp_path):
    campaign = from_toml(tmp_path, 'activation = ["relu", {formula = "z*tanh(softplus(z))", name = "mine"}]\n')
    assert [c.name for c in campaign.activation] == ["relu", "mine"]


def test_in_toml_as_an_axis(tmp_path):
    campaign = from_toml(
        tmp_path,
        '[grid]\nactivation = ["relu", {formula = "z*tanh(softplus(z))"}, ["tanh", {formula = "z*sin(z)"}],\n'
        '  {formula = "z*sigmoid(b*z)", name = "swishb", parameters = {b = 1.0}, b = 2.0}, "swishb(b=3)"]\n',
    )
    names = [tuple(c.name for c in a) for a in labels(campaign)]
    assert names[0] == ("relu",)
    assert names[1] == ("formula_0ec7c1",)
    assert names[2] == ("tanh", from_formula("z*sin(z)").name)
    assert names[3:] == [("swishb",), ("swishb",)]
    assert [a[0].values for a in labels(campaign)[3:]] == [{"b": 2.0}, {"b": 3.0}]


def test_python_and_toml_are_the_same_campaign(tmp_path):
    grid = {"activation": ["relu", MISH, SWISH | {"b": 2.0}], "seed": range(3)}
    python = small(grid=grid, learning_rate=0.1)
    toml = from_toml(
        tmp_path,
        'learning_rate = 0.1\n[grid]\nactivation = ["relu", {formula = "z*tanh(softplus(z))", name = "my_mish"},\n'
        '{name = "swishb", b = 2.0, parameters = {b = 1.0}, formula = "z * sigmoid(b*z)"}]\nseed = {range = 3}\n',
    )
    assert ids_of(python) == ids_of(toml)
    assert python.digest == toml.digest
    objects = small(
        grid={"activation": ["relu", from_formula(**_as_call(MISH)), ACTIVATIONS["swishb"].with_values(b=2.0)]}
        | {"seed": range(3)},
        learning_rate=0.1,
    )
    assert ids_of(objects) == ids_of(python)


def _as_call(table):
    return {("text" if key == "formula" else key): value for key, value in table.items()}


def test_a_parameter_is_an_axis():
    campaign = small(activation=SWISH, grid={"activation.b": [0.5, 1.0, 2.0], "seed": range(2)})
    assert len(set(ids_of(campaign))) == 6
    assert ids_of(campaign)[2:4] == ids_of(small(activation=SWISH, grid={"seed": range(2)}))
    refusal(lambda: small(activation=SWISH, grid={"activation.beta": [1.0]}), "no parameter 'beta'")


def test_bounds_and_roles_are_kept(forgotten, tmp_path):
    formula = "a*z*sigmoid(b*z)"
    parameters = {"a": Parameter(1.0, role="learned"), "b": {"default": 1.0, "low": 0.0, "high": 4.0}}
    campaign = small(activation={"formula": formula, "name": "both", "parameters": parameters, "b": 2.0})
    (tmp_path / "c.toml").write_text(campaign.to_toml())
    ids = ids_of(campaign)
    forgotten()
    again = Campaign.from_toml(tmp_path / "c.toml")
    assert ids_of(again) == ids
    act = ACTIVATIONS["both"]
    assert act.parameters == {"a": Parameter(1.0, role="learned"), "b": Parameter(1.0, 0.0, 4.0)}
    refusal(lambda: small(activation="both(b=5)"), "'b' is 5", "0 to 4")


def test_a_learned_parameter_is_trained():
    formula = {"formula": "a*tanh(z)", "name": "scaled", "parameters": {"a": {"default": 1.0, "role": "learned"}}}
    campaign = small(activation=formula, steps=30, dtype="float64")
    history = campaign.replay(ids_of(campaign)[0])
    assert [set(layer) for layer in history.learned] == [{"a"}, {"a"}]
    assert len(np.unique(np.concatenate([layer["a"] for layer in history.learned]))) == 10, "each unit by itself"
    fixed = small(activation={"formula": "a*tanh(z)", "name": "fixed", "parameters": {"a": 1.0}}, steps=30)
    assert ids_of(fixed) != ids_of(campaign)


@pytest.mark.parametrize(
    ("activation", "fragments"),
    [
        ({"formula": "z*"}, ("activation: formula 'z*'", "cannot be read")),
        ({"formula": "2*pi"}, ("activation: formula '2*pi'", "does not depend on z")),
        ({"formula": "beta*z"}, ("unknown name 'beta'", "parameters=")),
        ({"formula": "__import__('os')"}, ("is not allowed",)),
        ({"formula": 5}, ("activation: formula 5", "must be text")),
        ({"formula": "z*tanh(z)", "name": "relu"}, ("'relu'", "taken")),
        ({"formula": "z*tanh(z)", "name": "a b"}, ("formula name 'a b'",)),
        ({"formula": "z*tanh(z)", "name": 5}, ("formula name 5",)),
        ({"formula": "z*tanh(z)", "nmae": "mine"}, ("no parameter 'nmae'",)),
        ({"formula": "z*sigmoid(b*z)", "parameters": {"b": 1.0}, "c": 2.0}, ("no parameter 'c'", "b")),
        ({"formula": "z*sigmoid(b*z)", "parameters": {"b": 1.0}, "b": "x"}, ("parameter 'b' is 'x'",)),
        ({"formula": "z*sigmoid(b*z)", "parameters": 1.0}, ("parameters is 1.0",)),
        ({"formula": "z*sigmoid(b*z)", "parameters": {"b": 10**400}}, ("'b'",)),
        ({"formula": "z*tanh(z)", "precision": "half"}, ("precision is 'half'",)),
        ("mine(formula='z*', b=1)", ("formula 'z*'",)),
        ("my_mish", ("unknown activation 'my_mish'",)),
        ("z*sin(z)", ("'z*sin(z)': a formula is a table",)),
        ("mine=z*sin(z)", ("'mine=z*sin(z)': a formula is a table",)),
        ("sin(z)", ("'sin(z)': a formula is a table",)),
    ],
)
def test_one_line_for_what_cannot_be_run(activation, fragments):
    refusal(lambda: small(activation=activation), "activation", *fragments)
    refusal(lambda: small(grid={"activation": ["relu", activation]}), *fragments)


def test_a_formula_that_is_no_list_in_the_grid():
    refusal(lambda: small(grid={"activation": MISH}), "grid.activation", "must be a list", "a formula stands in a list")


def test_the_command_line_says_it_in_one_line(cli, tmp_path):
    (tmp_path / "c.toml").write_text('activation = {formula = "z.real"}\n')
    complaint(cli("run", tmp_path / "c.toml"), "c.toml", "formula 'z.real'", "'z.real' is not allowed")


# --- which run is which -----------------------------------------------------------------


def test_the_run_is_its_formula_not_its_name():
    plain = one_id(activation={"formula": "z*tanh(softplus(z))"})
    assert plain == one_id(activation=MISH)
    assert plain == one_id(activation=[MISH, {"formula": "z*tanh(softplus( z ))"}])
    assert plain != one_id(activation={"formula": "z*tanh(softplus(2*z))"})
    assert plain != one_id(activation=MISH | {"name": "faster", "precision": "working"})
    assert len({plain, one_id(activation="mish"), one_id(activation=["my_mish", "relu"])}) == 3


def test_two_formulas_of_one_name_share_no_id(forgotten):
    first = one_id(activation={"formula": "z*tanh(z)", "name": "mine"})
    forgotten()
    assert one_id(activation={"formula": "z*sin(z)", "name": "mine"}) != first
    refusal(lambda: one_id(activation={"formula": "z*tanh(z)", "name": "mine"}), "'z*tanh(z)'", "'z*sin(z)'", "'mine'")


def test_a_value_and_a_default_are_the_same_run():
    by_value = one_id(activation=SWISH | {"b": 2.0})
    by_default = one_id(activation={"formula": "z*sigmoid(b*z)", "name": "two", "parameters": {"b": 2.0}})
    assert by_value == by_default != one_id(activation=SWISH)


def test_one_formula_under_two_names_is_one_value():
    other = MISH | {"name": "the_same"}
    refusal(lambda: small(grid={"activation": [MISH, other]}), "activation", "same runs")


def test_ids_of_the_catalogue_are_what_they_were():
    """Recorded before there were formulas."""
    assert one_id(activation="relu") == "5960a51a6430957a"
    assert one_id(activation=["tanh", "leaky_relu(slope=0.2)"]) == "156ff27eeca02a5f"


# --- results ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished campaign with formulas, of several shards; for reading only."""
    path = tmp_path_factory.mktemp("formulas")
    grid = {"activation": ["relu", MISH, SWISH | {"b": 2.0}, ["tanh", MISH]], "seed": range(3)}
    with pytest.MonkeyPatch.context() as patch, table_put_back():
        patch.setattr("gradsim.plan.SHARD_SECONDS", 1e-9)
        campaign = small(grid=grid, name="formulas")
        results = campaign.run(path, progress=False)
        return path, ids_of(campaign), tables(results)


def test_tables_show_names(finished):
    path, _, frames = finished
    assert frames["runs"]["activation"].value_counts().to_dict() == {
        "relu": 3,
        "my_mish": 3,
        "swishb(b=2)": 3,
        "tanh-my_mish": 3,
    }
    assert np.isfinite(frames["runs"]["final_loss"]).all()
    assert Results(path).axes == ["activation", "seed"]


def test_the_directory_keeps_the_formulas(finished):
    path, ids, _ = finished
    text = (path / "campaign.toml").read_text()
    assert "z*tanh(softplus(z))" in text
    assert "z*sigmoid(b*z)" in text
    assert tomllib.loads(text)["grid"]["activation"][0] == "relu"
    assert "my_mish" not in ACTIVATIONS
    campaign = Results(path).campaign
    assert ids_of(campaign) == ids
    assert "my_mish" in ACTIVATIONS
    assert campaign.digest == json.loads((path / "info.json").read_text())["digest"]
    again = Campaign(**tomllib.loads(campaign.to_toml()))
    assert again.digest == campaign.digest


def test_a_run_is_replayed_bit_for_bit(finished):
    path, ids, frames = finished
    campaign = Results(path).campaign
    for run_id in ids[3::3]:
        history = campaign.replay(run_id)
        mine = frames["layers"][frames["layers"]["run_id"] == run_id].sort_values(["step", "layer"])
        np.testing.assert_array_equal(history.layers["gradient_rms"], mine["gradient_rms"][: len(history.layers)])


def test_another_process_resumes_what_is_missing(finished, tmp_path):
    path, _, frames = finished
    copy = tmp_path / "copy"
    shutil.copytree(path, copy)
    for name in shard_names(copy)[1:3]:
        (copy / "runs" / name).unlink()
    done = gradsim("resume", copy, "-q", "--no-report")
    assert (done.returncode, done.stderr) == (0, "")
    assert shard_names(copy) == shard_names(path)
    assert_same(tables(Results(copy)), frames)
    status = gradsim("status", copy, "--json")
    assert status.returncode == 0
    assert json.loads(status.stdout)["runs_done"] == 12


def test_a_directory_of_another_formula_is_not_taken_over(finished, forgotten):
    path, _, _ = finished
    grid = {"activation": ["relu", MISH | {"formula": "z*tanh(2*softplus(z))"}], "seed": range(3)}
    campaign = small(grid=grid, name="formulas")
    # Both definitions of `my_mish` meet when the directory's own campaign is read.
    refusal(lambda: campaign.run(path, progress=False), "my_mish", "taken by the formula")
    forgotten()
    renamed = {"activation": ["relu", MISH | {"name": "otherwise"}], "seed": range(3)}
    refusal(lambda: small(grid=renamed).run(path, progress=False), "holds another campaign", "activation")


def test_working_precision_trains_too():
    fast = small(activation=MISH | {"name": "fast", "precision": "working"}, steps=20)
    good = small(activation=MISH, steps=20)
    losses = [c.replay(ids_of(c)[0]).loss for c in (fast, good)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_a_formula_trains_like_the_catalogues_own():
    for dtype, rtol in (("float32", 1e-5), ("float64", 1e-13)):
        mine = small(activation={"formula": "z/(1 + exp(-z))"}, steps=20, dtype=dtype)
        own = small(activation="silu", steps=20, dtype=dtype)
        losses = [c.replay(ids_of(c)[0]).loss for c in (mine, own)]
        np.testing.assert_allclose(*losses, rtol=rtol)

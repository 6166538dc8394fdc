"""What users get wrong, and what nobody would type: one line that names key, value and what is allowed; status 2."""

from __future__ import annotations

import datetime
import math
import os
import shutil
import tomllib

import numpy as np
import pandas as pd
import pytest
from campaign_help import gradsim, refusal, small
from cli_help import complaint

from gradsim import Campaign
from gradsim.fields import RunFields

BASE = 'dataset = "iris"\ndepth = 1\nwidth = 3\nsteps = 5\nbatch_size = 8\n'
HUGE = 16**5000  # more digits than Python is willing to print


@pytest.fixture
def run(cli, tmp_path, monkeypatch):
    """`run(text)`: the campaign of that TOML text over a small base, on the command line."""
    monkeypatch.chdir(tmp_path)

    def call(text: str | bytes, base: str = BASE, arguments: tuple = ()):
        content = text if isinstance(text, bytes) else (without(base, text) + text).encode()
        (tmp_path / "c.toml").write_bytes(content)
        return cli("run", "c.toml", "-q", "--no-report", *arguments)

    return call


def without(base: str, text: str) -> str:
    """The base without the keys that the text gives."""
    keys = {line.partition("=")[0].strip() for line in text.partition("[")[0].splitlines()}
    return "".join(line + "\n" for line in base.splitlines() if line.partition("=")[0].strip() not in keys)


# --- the list -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("stepps = 5", ("unknown key 'stepps'", "did you mean 'steps'")),
        ("[grid]\nlearningrate = [1]", ("unknown axis 'learningrate'", "did you mean 'learning_rate'")),
        ("[thresholds]\ndivergd = 5", ("thresholds.divergd", "did you mean 'diverged'")),
        ('activation = "reluu"', ("activation", "'reluu'", "did you mean 'relu'")),
        ('[grid]\nactivation = ["relu", "tnah"]', ("activation", "'tnah'", "did you mean 'tanh'")),
        ('activation = "leaky_relu(slop=1)"', ("'leaky_relu'", "'slop'", "did you mean 'slope'")),
        ('steps = "many"', ("steps = 'many'", "integer")),
        ("steps = true", ("steps = True", "integer")),
        ("bias = 1", ("bias = 1", "boolean")),
        ('test_fraction = "0.2"', ("test_fraction = '0.2'", "number")),
        ("dataset = 5", ("dataset = 5", "must be a name")),
        ("[grid]\nseed = []", ("grid.seed = []", "empty")),
        ("[grid]\nseed = {range = 0}", ("grid.seed", "empty")),
        ("learning_rate = -0.1", ("learning_rate = -0.1", "from 0")),
        ("[grid]\nlearning_rate = [0.1, -0.1]", ("learning_rate = -0.1", "from 0")),
        ('dataset = "missing.csv"', ("missing.csv", "no such file")),
        ("batch_size = 121", ("batch_size = 121", "iris has 120 training samples", '"full"')),
    ],
)
def test_the_list_of_mistakes(run, tmp_path, text, fragments):
    complaint(run(text), "c.toml" if "batch" not in text and "csv" not in text else "", *fragments)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("", ("the file is empty",)),
        ("a,b,y\n", ("no data",)),
        ("a,b,y\n1,2,x\n", ("one sample",)),
        ("a,b,y\n1,2,x\n1,zwei,y\n3,4,x\n", ("column 'b'", "data row 2", "'zwei' is text")),
        ("a,b,y\n1,2,x\n1,nan,y\n3,4,x\n", ("column 'b'", "data row 2")),
        ("a,b,y\n1,2,x\n1,,y\n3,4,x\n", ("column 'b'", "data row 2", "empty")),
        ("a,b,y\n1,2,x\n1,inf,y\n3,4,x\n", ("column 'b'", "data row 2")),
        ("a,b,y\n1,2,x\n1,2,x\n3,4,x\n", ("one class only", "'x'")),
        ("a,b,y\n1,2,3\n", ("one sample",)),
        ("a,b,y\n" + "1,2,x\n3,4,y\n" * 5, ("batch_size = 9", "d.csv has 8 training samples")),
        (b"\xff\xfe\x00", ("UTF-8",)),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ("d.csv",)),
    ],
)
def test_bad_data_files(run, tmp_path, content, fragments):
    (tmp_path / "d.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    complaint(run('dataset = "d.csv"\nbatch_size = 9'), "d.csv", *fragments)
    assert not (tmp_path / "results").exists()


def test_data_paths_that_are_no_files(run, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    complaint(run('dataset = "folder.csv"'), "folder.csv", "is a directory")
    complaint(run('dataset = "~nobody-of-that-name/x.csv"'), "no such file")
    complaint(run('dataset = "a\\u0000.csv"'), "NUL")
    complaint(run('dataset = {name = "file", path = 5}'), "path = 5", "text")
    complaint(run('dataset = {name = "file"}'), "dataset", "'path' is required")
    complaint(run('dataset = {name = "arrays", stored = "no.npz"}'), "no.npz", "no such file")
    (tmp_path / "text.parquet").write_text("hello")
    complaint(run('dataset = "text.parquet"'), "text.parquet")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        complaint(run('dataset = "pipe.csv"'), "pipe.csv", "not a regular file")


def test_a_data_file_that_is_nearly_named(run, tmp_path):
    (tmp_path / "flowers.csv").write_text("a,b\n1,2\n")
    complaint(run('dataset = "flower.csv"'), "flower.csv", "did you mean 'flowers.csv'")


def test_the_directory_of_another_campaign(run):
    assert run("", arguments=("-o", "r")).status == 0
    complaint(run("steps = 6", arguments=("-o", "r")), "r: holds another campaign", "steps was 5, is 6")


def test_directories_that_cannot_be_written(run, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    complaint(run("", arguments=("-o", "file")), "file: is a file")
    complaint(run("", arguments=("-o", "file/deeper")), "file/deeper: cannot be written", "Not a directory")
    complaint(run("", arguments=("-o", "x" * 300)), "cannot be written", "name too long")
    (tmp_path / "results").write_text("")
    complaint(run(""), "results/c: cannot be written")

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refused)
    complaint(run("", arguments=("-o", "locked")), "locked: cannot be written: Permission denied")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions that bind")
def test_a_finished_directory_that_may_no_longer_be_written(run, tmp_path):
    assert run("", arguments=("-o", "r")).status == 0
    (tmp_path / "r" / "lock").chmod(0o400)
    complaint(run("", arguments=("-o", "r")), "r: cannot be written: Permission denied")


# --- the file of the campaign ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"width = 5\nsteps = \n", ("not valid TOML", "line 2")),
        (b"steps = 5\nsteps = 6\n", ("not valid TOML", "line 2")),
        (b'name = "a\nb"', ("not valid TOML",)),
        (b"\xff\xfe\x00\x01", ("not UTF-8",)),
        (bytes(range(256)), ("c.toml",)),
        (b"x = " + b"[" * 5000, ("not valid TOML", "deep")),
        (b"grid = " + b"[" * 300 + b"]" * 300, ("c.toml",)),
        (b"steps = " + b"9" * 5000, ("not valid TOML", "digits")),
        (b"steps = 0x" + b"f" * 5000, ("steps", "less than or equal to")),
        (b"day = 2020-13-45", ("not valid TOML",)),
        (b"steps = 2020-01-01", ("steps = datetime.date", "integer")),
        (b"learning_rate = nan", ("learning_rate = nan",)),
        (b"learning_rate = inf", ("learning_rate = inf",)),
        (b"learning_rate = 1e999", ("learning_rate = inf",)),
        (b"[[grid]]\nseed = [1]", ("grid", "dictionary")),
        (b"grid = 5", ("grid = 5", "dictionary")),
        (b"[zip]\nseed = [1, 2]\nwidth = [3]", ("zip", "seed: 2, width: 1")),
        (b"[grid]\nactivation.slope = [0.1]", ("grid.activation", '"activation.slope"', "quotation marks")),
        (b"[activation]\nslope = 1", ("activation", "needs a name")),
        (b'"a\\nb" = 1', ("unknown key 'a\\nb'",)),
        (b'"' + b"k" * 100_000 + b'" = 1', ("unknown key 'kkk",)),
        (b'name = "' + b"n" * 100_000 + b'"', ("name = 'nnn", "1 to 100")),
    ],
    ids=lambda v: str(v[:20]) if isinstance(v, bytes) else "",
)
def test_files_that_are_no_campaign(run, content, fragments):
    complaint(run(content), "c.toml", *fragments)


def test_an_empty_file_is_a_campaign_of_defaults(tmp_path):
    (tmp_path / "c.toml").write_text("")
    assert Campaign.from_toml(tmp_path / "c.toml").runs == 1


def test_a_file_name_on_two_lines(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two\nlines.toml").write_text("steps = 5")
    complaint(cli("run", "two\nlines.toml"), "two lines.toml", "name")


@pytest.mark.parametrize(
    "name", ["..", "../up", "/etc", "a/b", "a\\\\b", "C:x", ".", "", " ", " x", "a\\nb", "\\u001b[31m", "\\u2028"]
)
def test_a_name_leads_nowhere_else(run, tmp_path, name):
    complaint(run(f'name = "{name}"'), "name = ", "names a directory")
    assert [p.name for p in tmp_path.iterdir()] == ["c.toml"]


@pytest.mark.parametrize(
    "name", ["[bold]x[", "<script>alert(1)<", "müßig 学", "it's; drop table runs", "..x", "-o", "%s{0}", "'\"`$(x)"]
)
def test_strange_names_are_names(run, tmp_path, name):
    quoted = name.replace('"', '\\"')
    assert run(f'name = "{quoted}"').status == 0
    (found,) = (tmp_path / "results").iterdir()
    assert found.name == name
    assert tomllib.loads((found / "campaign.toml").read_text(encoding="utf-8"))["name"] == name


def test_a_hostile_name_does_nothing_in_the_report(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text(BASE + 'name = "<img src=x onerror=alert(1)>"')
    assert cli("run", "c.toml", "-q", "-o", "r").status == 0
    page = (tmp_path / "r" / "report" / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


# --- values that nobody would type ----------------------------------------------------------------

NESTED: list = []
for _ in range(3000):
    NESTED = [NESTED]
LOOP: list = []
LOOP.append(LOOP)
WHOLE = ("depth", "width", "steps", "seed", "data_seed", "campaign_seed", "probe_samples")
NOT_WHOLE = [
    True,
    None,
    "5",
    5.0,
    -1,
    math.nan,
    math.inf,
    HUGE,
    -HUGE,
    [],
    {},
    b"5",
    1j,
    np.bool_(True),
    np.float64(5),
    NESTED,
]


@pytest.mark.parametrize("field", WHOLE)
def test_whole_numbers(field):
    for value in NOT_WHOLE:
        refusal(lambda value=value: small(**{field: value}))
        if field in RunFields.model_fields:
            refusal(lambda value=value: small(grid={field: [value]}))


@pytest.mark.parametrize("field", sorted(set(Campaign.model_fields) - set(RunFields.model_fields)))
def test_what_is_of_the_whole_campaign_is_no_axis(field):
    refusal(lambda: small(grid={field: [1, 2]}), f"grid: {field!r} is of the whole campaign")


@pytest.mark.parametrize("field", sorted(set(Campaign.model_fields) - {"name", "hidden", "checkpoints"}))
def test_no_field_takes_just_anything(field):
    """Whatever stands in a field, it is taken or refused in one line."""
    for value in (
        None,
        object(),
        LOOP,
        NESTED,
        {"a": LOOP},
        HUGE,
        b"x",
        1j,
        lambda: 0,
        int,
        datetime.date(2020, 1, 1),
        "\ud800",
    ):
        refusal(lambda value=value: small(**{field: value}))


@pytest.mark.parametrize(
    ("fields", "fragments"),
    [
        ({"learning_rate": True}, ("learning_rate = True",)),
        ({"learning_rate": "0.1"}, ("learning_rate = '0.1'",)),
        ({"learning_rate": []}, ("learning_rate", "empty")),
        ({"learning_rate": [0.1] * 4}, ("learning_rate", "4", "3 layers")),
        ({"batch_size": 0}, ("batch_size = 0", "full")),
        ({"batch_size": "half"}, ("batch_size = 'half'", "full")),
        ({"batch_size": 2.5}, ("batch_size = 2.5",)),
        ({"test_fraction": 1}, ("test_fraction = 1", "less than 1")),
        ({"test_fraction": -0.1}, ("test_fraction = -0.1",)),
        ({"test_fraction": math.nan}, ("test_fraction = nan",)),
        ({"steps": 10**9}, ("steps = 1000000000", "1000000")),
        ({"width": 10**9}, ("width", "100000")),
        ({"hidden": [3, 0]}, ("hidden", "1 to 100000")),
        ({"hidden": [3] * 1001}, ("hidden", "at most 1000")),
        ({"hidden": 5}, ("hidden = 5", "list")),
        ({"checkpoints": [21]}, ("checkpoints", "21", "20")),
        ({"checkpoints": [-1]}, ("checkpoints = [-1]",)),
        ({"checkpoints": 5}, ("checkpoints = 5", "list")),
        ({"checkpoints": [1.5]}, ("checkpoints = [1.5]",)),
        ({"grid": {"steps": [10, 20]}, "checkpoints": [15]}, ("checkpoints", "15", "10")),
        ({"target": 0}, ("target = 0",)),
        ({"thresholds": {"stalled": 2}}, ("thresholds.stalled = 2", "less than 1")),
        ({"loss": "cross_entropy", "dataset": "diabetes"}, ("loss", "diabetes is regression", "mean_squared_error")),
        ({"loss": "mse(x=1)"}, ("loss = 'mean_squared_error'", "no parameter 'x'", "takes none")),
        ({"loss": "huber(delta=0)"}, ("loss = 'huber'", "'delta' is 0", "1e-06 to 1e+06")),
        ({"loss": "cross_entropy(label_smoothing=1.5)"}, ("loss", "'label_smoothing' is 1.5", "0 to 1")),
        ({"loss": "huber(dleta=1)"}, ("loss = 'huber'", "'dleta'", "did you mean 'delta'")),
        ({"loss": "hubert"}, ("loss", "'hubert'", "did you mean 'huber'")),
        ({"loss": ["mse", "huber"]}, ("loss", "must be a name")),
        ({"loss": "hinge", "dataset": "diabetes"}, ("loss = 'hinge'", "diabetes is regression", "huber")),
        ({"label_noise": 1.5}, ("label_noise = 1.5", "less than or equal to 1")),
        ({"label_noise": -0.1}, ("label_noise = -0.1", "greater than or equal to 0")),
        ({"label_noise": "0.1"}, ("label_noise = '0.1'",)),
        ({"label_noise": 0.1, "dataset": "diabetes"}, ("label_noise = 0.1", "diabetes is regression", "allowed: 0")),
        ({"batch_order": "random"}, ("batch_order = 'random'", "'epoch' or 'replacement'")),
        ({"optimizer": "adm"}, ("optimizer", "'adm'", "adam")),
        ({"optimizer": "adam(beta2=1)"}, ("optimizer", "'beta2' is 1", "0 to 0.999999")),
        ({"optimizer": "sgd(clip_norm=1e-300)"}, ("optimizer", "'clip_norm' is 1e-300", "0 (off), or at least 1e-30")),
        ({"schedule": "cosine(warmup=4000)", "steps": 400}, ("schedule", "warmup = 4000", "0 to 400")),
        ({"grid": {"schedule.warmup": [0, 4000]}, "steps": 400}, ("schedule", "warmup = 4000", "0 to 400")),
        ({"initializer": "he_normal(gain=auto)"}, ("initializer", "quotation marks", "gain='auto'")),
        ({"optimizer": "momentum(beta=1.5)"}, ("optimizer", "'beta' is 1.5", "0 to 1")),
        ({"initializer": "normal(std=-1)"}, ("initializer", "'std' is -1", "0 to 1e+06")),
        ({"initializer": "normal(std=1e400)"}, ("initializer", "'std' is inf")),
        ({"initializer": {"name": "normal", "std": math.nan}}, ("initializer", "'std' is nan")),
        ({"initializer": {"name": "normal", "std": True}}, ("initializer", "'std' is True")),
        ({"initializer": {"name": "normal", "std": HUGE}}, ("initializer", "'std'", "1e30")),
        ({"initializer": {"std": 1}}, ("initializer", "needs a name")),
        ({"initializer": "normal(0.1)"}, ("initializer", "cannot be read", "name(parameter=number")),
        ({"activation": "ReLU"}, ("activation", "'ReLU'", "did you mean 'relu'")),
        ({"activation": ["relu", 5]}, ("activation = 5",)),
        ({"dataset": "digit"}, ("dataset", "'digit'", "did you mean 'digits'")),
        ({"dataset": "moons(noise=-1)"}, ("dataset", "noise = -1")),
        ({"dataset": {"name": "moons", "samples": HUGE}}, ("dataset", "'samples'")),
        ({"dataset": {"name": "iris", "rows": 5}}, ("dataset", "'rows'")),
        ({"dataset": ["iris", "wine"]}, ("dataset", "must be a name")),
        ({"scaling": "std"}, ("scaling = 'std'", "'standard', 'minmax', 'maxabs' or 'none'")),
        ({"dtype": "float16"}, ("dtype = 'float16'", "'float32' or 'float64'")),
    ],
)
def test_values_out_of_bounds(fields, fragments):
    refusal(lambda: small(**fields), *fragments)


@pytest.mark.parametrize(
    ("fields", "fragments"),
    [
        ({"grid": {"seed": 5}}, ("grid.seed = 5", "geomspace, linspace, range")),
        ({"grid": {"seed": "123"}}, ("grid.seed = '123'", "list")),
        ({"grid": {"seed": b"123"}}, ("grid.seed",)),
        ({"grid": {"seed": {1, 2}}}, ("grid.seed = {1, 2}", "list")),
        ({"grid": {"seed": (i for i in range(3))}}, ("grid.seed", "generator")),
        ({"grid": {"seed": np.zeros((2, 2), int)}}, ("grid.seed",)),
        ({"grid": {"seed": pd.DataFrame({"a": [1]})}}, ("grid.seed",)),
        ({"grid": {"seed": [1, 2, 1]}}, ("grid.seed", "1 is given twice")),
        ({"grid": {"learning_rate": [0.1, 0.1]}}, ("grid.learning_rate", "0.1 is given twice")),
        ({"grid": {"learning_rate": [0.0, -0.0]}}, ("grid.learning_rate", "given twice")),
        ({"grid": {"activation": ["relu", {"name": "relu"}]}}, ("grid.activation", "'relu' is given twice")),
        ({"grid": {"initializer": ["normal", "normal(std=0.01)"]}}, ("grid.initializer", "given twice")),
        ({"grid": {"loss": ["mse", "mean_squared_error"]}}, ("grid.loss", "given twice")),
        ({"grid": {"loss": ["auto", "mse"]}}, ("grid.loss", "auto")),
        ({"grid": {"loss": ["huber", "huber(delta=1)"]}}, ("grid.loss", "given twice")),
        ({"grid": {"loss.delta": [1.0, 2.0]}}, ("grid.loss.delta", "'auto'", "name the loss")),
        (
            {"grid": {"loss.delta": [1.0]}, "loss": "mse"},
            ("loss.delta", "'mean_squared_error' has no parameter 'delta'"),
        ),
        ({"grid": {"loss.delta": [1.0, 0.0]}, "loss": "huber"}, ("loss.delta", "'delta' is 0")),
        ({"grid": {"loss.delta": ["1"]}, "loss": "huber"}, ("grid.loss.delta = '1'",)),
        ({"grid": {"label_noise": [0, 2]}}, ("grid.label_noise = 2",)),
        ({"grid": {"label_noise": [0, 0.0]}}, ("grid.label_noise", "given twice")),
        ({"grid": {"batch_order": ["epoch", "epochs"]}}, ("grid.batch_order = 'epochs'", "'replacement'")),
        (
            {"grid": {"batch_order": ["epoch", "replacement"]}, "batch_size": "full"},
            ("two values of batch_order give the same runs",),
        ),
        ({"grid": {"hidden": [None, [3]]}}, ("grid.hidden", "None")),
        ({"grid": {"seed": [0], "name": ["a"]}}, ("'name'", "whole campaign")),
        ({"grid": {"steps.x": [0]}}, ("'steps.x'", "no parameter")),
        ({"grid": {"activation.": [0]}}, ("'activation.'",)),
        ({"grid": {"": [0]}}, ("unknown axis ''",)),
        ({"grid": {1: [0]}}, ("grid", "string")),
        ({"grid": {"activation.slope": [0.1]}}, ("activation.slope", "'relu' has no parameter 'slope'")),
        ({"grid": {"optimizer.beta": [0.1]}}, ("optimizer.beta", "'sgd' has no parameter 'beta'")),
        ({"grid": {"activation.slope": [0.1, math.nan]}, "activation": "leaky_relu"}, ("activation.slope = nan",)),
        ({"grid": {"activation.slope": [0.1, 1e7, 0.2]}, "activation": "leaky_relu"}, ("activation.slope", "1e+07")),
        ({"grid": {"activation.slope": [HUGE]}, "activation": "leaky_relu"}, ("activation.slope",)),
        ({"grid": {"activation.slope": [True]}, "activation": "leaky_relu"}, ("activation.slope = True",)),
        (
            {"grid": {"activation": ["leaky_relu", "elu"], "activation.slope": [0.1]}},
            ("activation.slope", "'elu' has no parameter"),
        ),
        ({"grid": {"learning_rate.3": [0.1]}}, ("learning_rate.3", "layers 0 to 2")),
        ({"grid": {"learning_rate.-1": [0.1]}}, ("learning_rate.-1", "names no layer")),
        ({"grid": {"learning_rate.²": [0.1]}}, ("learning_rate.²", "names no layer")),
        ({"grid": {"learning_rate.01": [0.1]}}, ("learning_rate.01", "names no layer")),
        ({"grid": {"learning_rate." + "9" * 5000: [0.1]}}, ("names no layer",)),
        ({"grid": {"learning_rate.0": [[0.1, 0.2]]}}, ("learning_rate.0 = [0.1, 0.2]",)),
        ({"grid": {"dataset.path": ["a.csv"]}}, ("'dataset.path'", "'dataset'")),
        ({"grid": {"dataset.noise": [HUGE]}, "dataset": "moons"}, ("dataset.noise", "1e30")),
        ({"grid": {"dataset.noise": [[1]]}, "dataset": "moons"}, ("dataset.noise = [1]",)),
        ({"grid": {"dataset": [(np.zeros((4, 2)), [0, 1, 0, 1]), "iris"]}}, ("grid.dataset", "arrays")),
        ({"grid": {"seed": {"range": HUGE}}}, ("grid.seed", "range")),
        ({"grid": {"seed": {"range": [0, 5, 0]}}}, ("grid.seed", "range")),
        ({"grid": {"seed": {"range": 2.5}}}, ("range = 2.5", "whole numbers")),
        ({"grid": {"seed": {"range": [1, 2, 3, 4]}}}, ("[start, stop, step]",)),
        ({"grid": {"seed": {"rage": 5}}}, ("rage", "geomspace, linspace, range")),
        ({"grid": {"learning_rate": {"geomspace": [0, 1, 5]}}}, ("geomspace = [0, 1, 5]", "above 0")),
        ({"grid": {"learning_rate": {"geomspace": [1e-3, 1]}}}, ("[low, high, count]",)),
        ({"grid": {"learning_rate": {"geomspace": 5}}}, ("geomspace = 5", "[low, high, count]")),
        ({"grid": {"learning_rate": {"geomspace": [1, 2, 10**9]}}}, ("count 1000000000", "1,000,000")),
        ({"grid": {"learning_rate": {"linspace": [0, math.inf, 2]}}}, ("inf",)),
        ({"grid": {"learning_rate": {"linspace": ["a", 1, 2]}}}, ("'a' must be a number",)),
        ({"grid": {"learning_rate": {"linspace": [1, 1, 2]}}}, ("1.0 is given twice",)),
        ({"zip": [{"seed": [1, 2], "width": [3]}]}, ("zip", "seed: 2, width: 1")),
        ({"zip": [{}]}, ("zip", "empty")),
        ({"zip": [{"seed": [1, 2]}], "grid": {"seed": [3]}}, ("'seed' is given twice",)),
        ({"zip": [{"seed": [1, 1], "width": [3, 3]}]}, ("zip", "given twice")),
        ({"exclude": {"seed": 1}}, ("exclude", "'seed' is no axis", "there are none")),
        ({"exclude": {"sed": 1}, "grid": {"seed": [0, 1]}}, ("'sed' is no axis", "did you mean 'seed'")),
        ({"exclude": {"seed": 5}, "grid": {"seed": [0, 1]}}, ("seed = 5 is no value of that axis",)),
        ({"exclude": {"seed": "x"}, "grid": {"seed": [0, 1]}}, ("exclude.seed = 'x'",)),
        ({"exclude": [{"seed": 0}, {"seed": 1}], "grid": {"seed": [0, 1]}}, ("exclude", "leaves no run")),
        ({"exclude": [{}], "grid": {"seed": [0, 1]}}, ("exclude", "empty")),
        ({"exclude": [5]}, ("exclude.0 = 5",)),
        ({"grid": {f"learning_rate.{i}": [0.1] for i in range(40)}, "depth": 50}, ("40 axes", "32")),
    ],
)
def test_grids_that_cannot_be(fields, fragments):
    refusal(lambda: small(**fields), *fragments)


def test_long_values_make_no_long_lines():
    for fields in (
        {"activation": "x" * 10**6},
        {"x" * 10**6: 5},
        {"grid": {"x" * 10**6: [5]}},
        {"name": "x" * 10**6},
        {"initializer": "normal(std=" + "1" * 10**5 + ")"},
        {"scaling": list(range(10**5))},
        {"hidden": ["x" * 10**6]},
        {"optimizer": {"name": "sgd", "x" * 10**6: 1}},
        {"exclude": {"x" * 10**6: 1}, "grid": {"seed": [0, 1]}},
    ):
        refusal(lambda fields=fields: small(**fields))


def test_arrays_that_are_no_data(tmp_path):
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    for data, fragments in (
        ((X, y[:-1]), ("arrays", "(19,)")),
        ((X, np.zeros(20)), ("arrays", "y")),
        ((X * np.nan, y), ("arrays", "nan")),
        ((X.astype(str), y), ("arrays", "real numbers")),
        ((X, None), ("arrays", "y is missing")),
        ((X[:, :0], y), ("arrays", "shape")),
        (pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [1, 2, 3]}), ("arrays", "column 'b'", "text")),
        ({"name": "arrays", "X": pd.DataFrame(X), "target": "label"}, ("arrays", "'label'")),
    ):
        refusal(lambda data=data: small(dataset=data).run(tmp_path / "r", progress=False), *fragments)
    refusal(lambda: small(dataset={"name": "arrays"}), "'X' is required")
    refusal(lambda: small(dataset=X), "dataset", "must be a name")
    refusal(lambda: small(dataset=(X, y)).to_toml(), "arrays cannot be written as TOML")
    assert not (tmp_path / "r").exists()


def test_results_directories_that_were_tampered_with(cli, run, tmp_path):
    assert run("", arguments=("-o", "r")).status == 0
    toml = (tmp_path / "r" / "campaign.toml").read_text()
    for content, fragments in (
        ("steps = ", ("campaign.toml", "not valid TOML")),
        ("stepps = 5", ("campaign.toml", "stepps")),
        ("grid = 5", ("campaign.toml", "grid")),
        (toml.replace("steps = 5", "steps = 7"), ("another campaign",)),
    ):
        (tmp_path / "r" / "campaign.toml").write_text(content)
        complaint(cli("resume", "r", "-q", "--no-report"), *fragments)
    (tmp_path / "r" / "campaign.toml").write_text(toml)
    shard = next((tmp_path / "r" / "runs").iterdir())
    shard.write_bytes(b"garbage")
    complaint(cli("report", "r"), shard.name, "gradsim resume r")
    assert cli("resume", "r", "-q", "--no-report").status == 0
    shutil.rmtree(tmp_path / "r" / "curves")
    assert cli("resume", "r", "-q", "--no-report").status == 0


def test_in_a_process_of_its_own(tmp_path):
    (tmp_path / "c.toml").write_text('activation = "reluu"\n')
    done = gradsim("run", "c.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("gradsim: c.toml: activation: unknown activation 'reluu'; did you mean 'relu'")
    (tmp_path / "c.toml").write_text('dataset = "d.csv"\n')
    (tmp_path / "d.csv").write_text("a,b\n1,2\n3,x\n")
    done = gradsim("run", "c.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "Traceback" not in done.stderr

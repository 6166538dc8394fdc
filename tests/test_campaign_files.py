"""Campaigns and files: TOML there and back, digests, data from arrays, frames and files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from campaign_help import ids_of, refusal, small

import gradsim as gs
from gradsim import Campaign


def there_and_back(campaign: Campaign, tmp_path) -> Campaign:
    """Written as TOML and read again."""
    path = tmp_path / "campaign.toml"
    path.write_text(campaign.to_toml(), encoding="utf-8")
    return Campaign.from_toml(path)


# --- TOML -----------------------------------------------------------------------------------------

CAMPAIGNS = {
    "plain": {},
    "all axes": {
        "grid": {
            "learning_rate": {"geomspace": [1e-3, 1, 3]},
            "activation": ["relu", "leaky_relu(slope=0.2)", {"name": "elu"}, ["tanh", "relu"]],
            "initializer": [{"name": "normal", "std": 0.3}, "zeros"],
            "seed": {"range": [2, 6, 2]},
            "bias": [True, False],
            "dtype": ["float32", "float64"],
        }
    },
    "dotted": {
        "activation": "leaky_relu",
        "optimizer": "momentum",
        "grid": {"optimizer.beta": [0.1, 0.9], "activation.slope": [1e-17, 0.1 + 0.2], "learning_rate.0": [1, 2]},
    },
    "tuples": {"hidden": (32,), "checkpoints": (10,), "grid": {"seed": (5,)}},
    "shapes": {"grid": {"hidden": [(32,), (4, 3)], "batch_size": ["full", 16]}},
    "layers": {"activation": ["tanh", "gelu"], "learning_rate": [0.1, 0.2, 0.3]},
    "zip, exclude": {
        "zip": [{"seed": [0, 1], "learning_rate": [0.1, 0.2]}, {"width": [3, 4], "scaling": ["none", "minmax"]}],
        "exclude": [{"seed": 0, "width": 3}, {"scaling": ["none"], "learning_rate": 0.2}],
    },
    "objects": {"grid": {"activation": [gs.activations.get("leaky_relu", slope=0.123456789), gs.activations.gelu]}},
    "data": {
        "dataset": "moons(noise=0.3)",
        "thresholds": {"stalled": 0.5},
        "target": 0.25,
        "name": 'a "b" ü',
    },
    "sets": {"grid": {"dataset": ["iris", {"name": "spirals", "noise": 0.2}], "data_seed": [0, 1]}},
}


@pytest.mark.parametrize("fields", CAMPAIGNS.values(), ids=CAMPAIGNS)
def test_toml_there_and_back(fields, tmp_path):
    campaign = small(**fields)
    again = there_and_back(campaign, tmp_path)
    assert ids_of(again) == ids_of(campaign)
    assert again.digest == campaign.digest
    assert again.plan.axis_names == campaign.plan.axis_names
    assert again.to_toml() == campaign.to_toml()
    assert again.name == campaign.name


def test_toml_keeps_the_order_of_axes_of_any_kind(tmp_path):
    long_tables = [{"name": "leaky_relu", "slope": i / 7} for i in range(20)]
    grid = {
        "seed": {"range": 3},
        "activation": long_tables,
        "learning_rate": {"linspace": [0.1, 0.2, 2]},
        "width": [3, 4],
    }
    campaign = small(grid=grid)
    assert there_and_back(campaign, tmp_path).plan.axis_names == list(grid)
    assert max(map(len, campaign.to_toml().splitlines())) <= 130


def test_toml_as_people_write_it(tmp_path):
    path = tmp_path / "my study.toml"
    path.write_bytes(
        b"\xef\xbb\xbf# a comment\r\n"
        b'dataset = "iris"\r\ndepth = 1\r\nactivation = {name = "leaky_relu"}\r\n'
        b'[grid]\r\n"activation.slope" = [0.1, 0.2]\r\nseed = {range = 4}\r\n'
        b"learning_rate = {geomspace = [0.1, 1, 2]}\r\n"
        b"[[exclude]]\r\nseed = 3\r\n[thresholds]\r\nstalled = 0.02\r\n"
    )
    campaign = Campaign.from_toml(str(path))
    assert campaign.name == "my study"
    assert campaign.runs == 2 * 3 * 2
    assert campaign.thresholds.stalled == 0.02


def test_digest_changes_with_what_changes_numbers_and_places():
    base = {"grid": {"activation": ["relu", "tanh"], "seed": [0, 1, 2]}}
    changed = [
        {"steps": 21},
        {"campaign_seed": 1},
        {"target": 0.2},
        {"thresholds": {"stalled": 0.02}},
        {"checkpoints": [5]},
        {"probe_samples": 10},
        {"dataset": "wine"},
        {"exclude": {"seed": 1}},
        {"grid": {"seed": [0, 1, 2], "activation": ["relu", "tanh"]}},
        {"grid": {"activation": ["tanh", "relu"], "seed": [0, 1, 2]}},
    ]
    digests = {small(**base | change).digest for change in [{}, *changed]}
    assert len(digests) == 1 + len(changed)
    assert small(**base, name="other").digest == small(**base).digest


def test_repr_needs_no_data():
    campaign = small(dataset="nowhere.csv", grid={"seed": range(3)}, name="mine")
    assert "mine" in repr(campaign)
    assert "3 runs" in str(campaign)


# --- data -----------------------------------------------------------------------------------------


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return pd.DataFrame(X, columns=["a", "b", "c"]).assign(kind=np.where(X[:, 0] + X[:, 1] > 0, "left", "right"))


def test_data_from_arrays_frames_and_files_are_the_same(frame, tmp_path):
    frame.to_csv(tmp_path / "flowers.csv", index=False)
    frame.to_parquet(tmp_path / "flowers.parquet")
    (tmp_path / "c.toml").write_text('dataset = "flowers.csv"\nbatch_size = 8\nsteps = 10\ndepth = 1\nwidth = 3')
    X, y = frame[["a", "b", "c"]].to_numpy(), frame["kind"].to_numpy()
    fields = {"batch_size": 8, "steps": 10, "depth": 1, "width": 3}
    campaigns = [
        Campaign.from_toml(tmp_path / "c.toml"),
        *(
            Campaign(dataset=d, **fields)
            for d in (
                frame,
                (X, y),
                {"name": "arrays", "X": frame, "target": "kind"},
                tmp_path / "flowers.csv",
                str(tmp_path / "flowers.parquet"),
                {"name": "file", "path": str(tmp_path / "flowers.csv"), "target": "kind"},
                f"file(path={str(tmp_path / 'flowers.csv')!r})",
            )
        ),
    ]
    arrays = [c.data() for c in campaigns]
    for X_train, y_train, X_test, y_test in arrays:
        assert X_train.dtype == np.float32
        np.testing.assert_array_equal(X_train, arrays[0][0])
        np.testing.assert_array_equal(y_train, arrays[0][1])
        assert (X_train.shape, X_test.shape, y_test.shape) == ((48, 3), (12, 3), (12,))
    # Column names are part of the content; arrays have none.
    assert len({ids_of(c)[0] for c in campaigns}) == 2
    assert len({c.digest for c in campaigns}) == 2


def test_paths_in_toml_are_relative_to_it(frame, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    for name in ("one.csv", "two.csv"):
        frame.assign(a=frame["a"] * len(name)).iloc[: 50 if name == "one.csv" else 60].to_csv(
            tmp_path / "data" / name, index=False
        )
    monkeypatch.chdir(tmp_path / "data")
    path = tmp_path / "c.toml"
    path.write_text(
        "batch_size = 8\nsteps = 5\n[grid]\n"
        'dataset = ["data/one.csv", {name = "file", path = "data/two.csv"}, "iris"]\n'
        '[[exclude]]\ndataset = "iris"'
    )
    campaign = Campaign.from_toml(path)
    assert campaign.runs == 2
    found = [campaign.data(run_id)[0].shape[0] for run_id in ids_of(campaign)]
    assert found == [40, 48]
    path.write_text("dataset = \"file(path='data/one.csv')\"\nbatch_size = 8\n[[zip]]\nseed = [0, 1]\nwidth = [3, 4]")
    assert Campaign.from_toml(path).data()[0].shape == (40, 3)


def test_a_data_file_that_was_saved_anew_is_read_anew(frame, tmp_path):
    path = tmp_path / "d.csv"
    frame.to_csv(path, index=False)
    before = small(dataset=path)
    first = before.data()[0]
    digest, ids = before.digest, ids_of(before)
    frame.iloc[:50].to_csv(path, index=False)
    after = small(dataset=path)
    assert (len(first), len(after.data()[0])) == (48, 40)
    assert after.digest != digest
    assert ids_of(after) != ids


def test_data_and_batches_that_differ_between_runs_need_a_run_id():
    campaign = small(grid={"data_seed": [0, 1], "loss": ["mse", "cross_entropy"]})
    refusal(campaign.data, "data", "run_id")
    refusal(campaign.batch_indices, "batches", "run_id")
    one = small(grid={"loss": ["mse", "cross_entropy"], "seed": [0, 1], "batch_size": [8, 4]})
    assert one.data()[0].shape == (120, 4)
    refusal(one.batch_indices, "batches", "run_id")
    refusal(lambda: one.data("0123456789abcdef"), "0123456789abcdef", "not of this campaign")


def test_batches_are_epochs_of_distinct_rows():
    campaign = small(steps=40, batch_size=50)  # 120 rows: two batches an epoch, 20 rows left
    batches = campaign.batch_indices()
    assert batches.shape == (40, 50)
    for epoch in batches.reshape(20, 100):
        assert len(set(epoch.tolist())) == 100
        assert epoch.min() >= 0
        assert epoch.max() < 120
    assert not np.array_equal(batches[0], batches[2])
    full = small(batch_size="full", steps=3).batch_indices()
    np.testing.assert_array_equal(full, np.tile(np.arange(120), (3, 1)))

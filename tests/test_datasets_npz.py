"""Arrays of an .npz file by name: what is read, and one line for everything that can be wrong."""

from __future__ import annotations

import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
from datasets_help import refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from gradsim import Campaign
from gradsim.datasets import fingerprint, load, prepare, save_raw
from gradsim.errors import UsageError

X = np.arange(12.0).reshape(6, 2) ** 1.5
Y = np.array([0, 1, 0, 1, 1, 0])


def saved(tmp_path, name="data.npz", compressed=False, **arrays):
    with open(tmp_path / name, "wb") as handle:  # given a name, NumPy would add a suffix of its own
        (np.savez_compressed if compressed else np.savez)(handle, **arrays)
    return tmp_path / name


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("y", [Y, Y.astype(bool), np.array(["u", "v"])[Y], Y / 7, np.eye(6)[:, :3]], ids=str)
def test_an_npz_file_is_the_same_as_its_arrays(tmp_path, y, compressed):
    path = saved(tmp_path, compressed=compressed, X=X, y=y)
    assert fingerprint(load("file", {"path": path})) == fingerprint(load("arrays", {"X": X, "y": y}))
    assert load("file", {"path": str(path)}).description.startswith("data.npz: 6 samples, 2 features, ")


def test_arrays_of_any_name_and_kind(tmp_path):
    path = saved(tmp_path, "D.NPZ", x_train=X.astype(np.float16), y_train=Y.astype(np.uint8), x_test=X[:1], other=3)
    raw = load("file", {"path": path, "features": "x_train", "target": "y_train"})
    np.testing.assert_array_equal(raw.X, X.astype(np.float16).astype(float))
    assert (raw.task, raw.class_names) == ("classification", ("0", "1"))
    forced = load("file", {"path": path, "features": "x_train", "target": "y_train", "task": "regression"})
    assert forced.y.tolist() == [[v] for v in Y.tolist()]


def test_what_the_package_stores_can_be_read_as_a_file(tmp_path):
    raw = load("moons", {"samples": 20})
    save_raw(raw, tmp_path / "moons.npz")
    again = load("file", {"path": tmp_path / "moons.npz"})
    np.testing.assert_array_equal(again.X, raw.X)
    np.testing.assert_array_equal(again.y, raw.y)


@pytest.mark.parametrize(
    ("arrays", "params", "fragments"),
    [
        ({"X": X}, {}, ["target = 'y' is not an array of the file", "X"]),
        ({"a": X, "b": Y}, {}, ["features = 'X'", "a, b"]),
        ({"data": X, "labels": Y}, {"features": "date", "target": "labels"}, ["'date'", "did you mean 'data'"]),
        ({"X": X, "y": Y}, {"target": 3}, ["target = 3"]),
        ({"X": X, "y": Y}, {"features": ["X"]}, ["features = ['X']"]),
        ({}, {}, ["features = 'X'", "it holds none"]),
        ({"X": X[:, 0], "y": Y}, {}, ["X has shape (6,)"]),
        ({"X": X, "y": Y[:5]}, {}, ["y has shape (5,)"]),
        ({"X": X * np.nan, "y": Y}, {}, ["column 'x0', data row 1", "nan"]),
        ({"X": X + 1j, "y": Y}, {}, ["X has dtype complex128"]),
        ({"X": X, "y": np.ones((6, 2))}, {}, ["the same in every row"]),
        ({"X": X.astype(object), "y": Y}, {}, ["'X' holds Python objects"]),
        ({"X": X, "y": np.array(5)}, {}, ["y has shape ()"]),
        ({"X": np.zeros(6, [("a", float)]), "y": Y}, {}, ["data.npz: X has shape (6,)"]),
    ],
)
def test_bad_arrays_are_refused_in_one_line(tmp_path, arrays, params, fragments):
    path = saved(tmp_path, **arrays)
    refuses("data.npz", *fragments, call=lambda: load("file", {"path": path, **params}))


def test_files_that_are_no_npz(tmp_path):
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").rename(tmp_path / "renamed.npz")
    (tmp_path / "text.npz").write_text("a,b\n1,2\n")
    (tmp_path / "empty.npz").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("X.npy", "no array")
        archive.writestr("y.npy", "no array")
    for name in ("renamed", "text", "other"):
        path = tmp_path / f"{name}.npz"
        refuses(f"{name}.npz", "not a readable .npz file", call=lambda path=path: load("file", {"path": path}))
    refuses("the file is empty", call=lambda: load("file", {"path": tmp_path / "empty.npz"}))
    saved(tmp_path, "flowers.npz", X=X, y=Y)
    refuses("'flowers.npz'", call=lambda: load("file", {"path": tmp_path / "flower.npz"}))


def test_an_array_that_would_not_fit_is_refused_unread(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 100000), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        archive.writestr("y.npy", b"")
    refuses("bomb.npz", "at most 4 GB", call=lambda: load("file", {"path": tmp_path / "bomb.npz"}))


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), cut=st.booleans())
def test_damage_brings_nothing_but_a_usage_error(tmp_path_factory, place, bits, cut):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    np.savez_compressed(path, X=X, y=Y)
    content = bytearray(path.read_bytes())
    position = int(place * len(content))
    if cut:
        del content[position:]
    else:
        content[position] ^= bits
    path.write_bytes(content)
    try:
        assert np.isfinite(load("file", {"path": path}).X).all()
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_campaign_on_an_npz_file(tmp_path):
    path = saved(tmp_path, X=np.tile(X, (4, 1)), y=np.tile(Y, 4), other=Y)
    toml = tmp_path / "c.toml"
    toml.write_text('dataset = {name = "file", path = "data.npz", target = "y"}\nsteps = 3\nbatch_size = 4\n')
    campaign = Campaign.from_toml(toml)
    direct = Campaign(dataset=str(path), steps=3, batch_size=4)
    assert campaign.data()[0].shape == (19, 2)
    np.testing.assert_array_equal(campaign.data()[0], direct.data()[0])
    runs = campaign.run(tmp_path / "r", progress=False).runs
    assert runs["dataset"].tolist() == ["data.npz(target='y')"]
    assert runs["run_id"].tolist() == direct.plan.run_ids(np.arange(1)).tolist()


def test_a_frame_and_the_name_of_its_target():
    frame = pd.DataFrame({"kind": ["u", "v", "u", "v", "u"], "a": [1.0, 2, 3, 4, 5], "b": [5, 3, 1, 2, 8]})
    campaign = Campaign(dataset=(frame, "kind"), test_fraction=0, batch_size="full")
    other = prepare("arrays", {"X": frame[["a", "b"]], "y": frame["kind"]}, test_fraction=0)
    np.testing.assert_array_equal(campaign.data()[1], other.y_train)
    np.testing.assert_allclose(campaign.data()[0], other.X_train, rtol=1e-6)
    refuses("'knd' is not a column", "kind", call=lambda: Campaign(dataset=(frame, "knd")).data())

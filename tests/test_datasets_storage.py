"""Raw data kept in a file: every bit comes back, and a damaged file is refused in one line."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pytest
from datasets_help import refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from gradsim.datasets import RawData, fingerprint, load, load_raw, save_raw
from gradsim.errors import GradsimError, UsageError

CLASSES = load("moons", {"samples": 12})
TARGETS = RawData(
    X=np.array([[0.0, -0.0], [5e-324, 1e100], [-1e100, 0.1]]),
    y=np.array([[0.1], [-0.0], [2.5]]),
    task="regression",
    feature_names=("ends in NUL\0", 'Größe, "quoted"\\'),
    class_names=(),
    description="two lines\nand a lone surrogate \ud800",
)


def assert_same(one: RawData, other: RawData) -> None:
    for a, b in ((one.X, other.X), (one.y, other.y)):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    for name in ("task", "feature_names", "class_names", "description"):
        assert getattr(one, name) == getattr(other, name)
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize("raw", [CLASSES, TARGETS, replace(TARGETS, X=np.asfortranarray(TARGETS.X))])
def test_every_bit_comes_back(tmp_path, raw):
    path = tmp_path / "new" / "folder" / "data.kept"  # any suffix
    save_raw(raw, path)
    assert_same(load_raw(path), raw)
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_pickled(tmp_path):
    save_raw(CLASSES, tmp_path / "data.npz")
    with np.load(tmp_path / "data.npz", allow_pickle=False) as stored:
        members = {key: stored[key] for key in stored.files}
    assert set(members) == {"X", "y", "task", "feature_names", "class_names", "description", "fingerprint"}
    assert not any(array.dtype.hasobject for array in members.values())


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, trouble):
    path = tmp_path / "data.npz"
    save_raw(CLASSES, path)

    def fails(handle, **arrays):
        handle.write(b"half a file")
        raise trouble

    monkeypatch.setattr(np, "savez", fails)
    expected = GradsimError if isinstance(trouble, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        save_raw(TARGETS, path)
    assert list(tmp_path.iterdir()) == [path]
    assert_same(load_raw(path), CLASSES)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no directory")
    path = tmp_path / "file" / "data.npz"
    refuses("data.npz: cannot be written", call=lambda: save_raw(CLASSES, path), error=GradsimError)


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        save_raw(CLASSES, tmp_path / "data.npz")
    finally:
        os.umask(before)
    assert (tmp_path / "data.npz").stat().st_mode & 0o777 == 0o644


def test_paths_without_stored_data(tmp_path):
    refuses("x.npz: no such file", call=lambda: load_raw(tmp_path / "x.npz"))
    refuses("cannot be read", call=lambda: load_raw(tmp_path))
    for name, content in (("a", b""), ("b", b"no archive"), ("c", b"PK\x05\x06" + bytes(18))):
        (tmp_path / name).write_bytes(content)
        refuses(f"{name}: is damaged", call=lambda name=name: load_raw(tmp_path / name))
    np.save(tmp_path / "d.npy", np.eye(3))
    refuses("d.npy: is damaged", call=lambda: load_raw(tmp_path / "d.npy"))


@pytest.mark.parametrize("missing", ["X", "y", "task", "feature_names", "description", "fingerprint"])
def test_a_part_that_is_missing(tmp_path, missing):
    path = tmp_path / "data.npz"
    save_raw(CLASSES, path)
    with np.load(path) as stored:
        members = {key: stored[key] for key in stored.files if key != missing}
    np.savez(path, **members)
    refuses("is damaged", missing, call=lambda: load_raw(path))


def test_a_value_that_was_changed(tmp_path):
    path = tmp_path / "data.npz"
    save_raw(CLASSES, path)
    with np.load(path) as stored:
        members = dict(stored)
    members["X"][3, 1] = np.nextafter(members["X"][3, 1], 9)
    np.savez(path, **members)
    refuses("is damaged", "not those that were written", call=lambda: load_raw(path))


@pytest.mark.parametrize(
    "raw",
    [
        replace(CLASSES, task="regression"),
        replace(TARGETS, task="classification"),
        replace(CLASSES, task="auto"),
        replace(CLASSES, X=CLASSES.X.astype(np.float32)),
        replace(CLASSES, X=CLASSES.X[:, 0]),
        replace(CLASSES, X=CLASSES.X[:5]),
        replace(CLASSES, X=CLASSES.X[:1], y=CLASSES.y[:1]),
        replace(CLASSES, feature_names=("x",)),
        replace(CLASSES, class_names=("upper",)),
        replace(CLASSES, y=CLASSES.y - 1),
        replace(CLASSES, y=CLASSES.y.astype(np.int32)),
        replace(TARGETS, y=TARGETS.y[:, 0]),
        replace(TARGETS, y=TARGETS.y[:, :0]),
        replace(TARGETS, y=TARGETS.y[:2]),
        replace(TARGETS, class_names=("upper",)),
    ],
)
def test_parts_that_do_not_fit_together(tmp_path, raw):
    save_raw(raw, tmp_path / "data.npz")
    refuses("is damaged", call=lambda: load_raw(tmp_path / "data.npz"))


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), cut=st.booleans())
def test_damage_anywhere_is_noticed_or_harmless(tmp_path_factory, place, bits, cut):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    save_raw(TARGETS, path)
    content = bytearray(path.read_bytes())
    position = int(place * len(content))
    if cut:
        del content[position:]
    else:
        content[position] ^= bits
    path.write_bytes(content)
    try:
        raw = load_raw(path)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    assert not cut
    assert_same(raw, TARGETS)  # a date in the archive, say

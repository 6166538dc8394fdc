"""Data sets: the split into training and test rows, and scaling."""

from __future__ import annotations

import math

import numpy as np
import pytest
from datasets_help import own_cache, refuses  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st

from gradsim.datasets import prepare, split_indices
from gradsim.datasets.split import with_label_noise

# --- Split ----------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    fraction=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 2**64 - 1),
    shuffle=st.randoms(use_true_random=False),
)
def test_split_is_complete_disjoint_and_stratified(counts, fraction, seed, shuffle):
    labels = [c for c, count in enumerate(counts) for _ in range(count)]
    shuffle.shuffle(labels)
    labels = np.array(labels)
    train, test = split_indices(len(labels), labels, fraction, seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for c, count in enumerate(counts):
        tested = int((labels[test] == c).sum())
        assert tested <= count - 1  # something of every class is left to train on
        assert min(math.floor(count * fraction), count - 1) <= tested <= math.ceil(count * fraction)
    wanted = math.floor(len(labels) * fraction + 0.5)
    possible = sum(min(math.ceil(c * fraction), c - 1) for c in counts)
    assert len(test) == min(wanted, possible)
    again = split_indices(len(labels), labels, fraction, seed)
    assert np.array_equal(train, again[0])
    assert np.array_equal(test, again[1])


def test_split_by_largest_remainder():
    labels = np.repeat([0, 1, 2], [7, 5, 4])  # quotas at 0.25: 1.75, 1.25, 1.0; four test rows
    _, test = split_indices(16, labels, 0.25, 0)
    assert np.bincount(labels[test]).tolist() == [2, 1, 1]


def test_a_class_of_one_sample_is_trained_on():
    train, test = split_indices(5, np.array([0, 1, 1, 1, 1]), 0.5, 0)  # 2.5 rounds to 3, but 0 has none to give
    assert 0 in train
    assert len(test) == 2


def test_split_without_labels_and_without_test_rows():
    train, test = split_indices(10, None, 0.3, 5)
    assert (len(train), len(test)) == (7, 3)
    assert set(train) | set(test) == set(range(10))
    for labels in (None, np.arange(10) % 2):
        train, test = split_indices(10, labels, 0, 5)
        assert sorted(train) == list(range(10))
        assert len(test) == 0


def test_no_test_fraction_gives_empty_test_arrays():
    data = prepare("diabetes", test_fraction=0)
    assert data.X_test.shape == (0, 10)
    assert data.y_test.shape == (0, 1)
    assert prepare("iris", test_fraction=0).y_test.shape == (0,)


def test_training_order_is_shuffled_by_the_seed():
    first, second = prepare("iris", data_seed=0), prepare("iris", data_seed=1)
    assert not np.array_equal(first.X_train, second.X_train)
    assert np.array_equal(first.X_train, prepare("iris", data_seed=0).X_train)
    # The file is sorted by class; of the first 60 shuffled rows, 20 a class are expected, and 8 is -5 sigma.
    assert np.bincount(first.y_train[:60], minlength=3).min() >= 8


def test_split_is_pinned():
    """Saved campaigns replay only as long as a seed keeps its meaning; this changes if the recipe does."""
    words = np.random.Philox(key=(1 << 64) | 42).random_raw(8)
    train, test = split_indices(8, None, 0.25, 42)
    order = sorted(range(8), key=lambda i: int(words[i]))
    assert [*test, *train] == order


# --- Scaling --------------------------------------------------------------------------------------


def _some_rows(task: str = "regression"):
    rng = np.random.default_rng(7)
    X = rng.normal(3, 5, (50, 4)) * [1, 1e-6, 1e6, 0] + [0, 1, 0, 0.1]
    return {"X": X, "y": rng.normal(-2, 9, (50, 2)), "task": task}


def test_standard_scaling_has_mean_0_and_deviation_1_in_training():
    data = prepare("arrays", _some_rows())
    np.testing.assert_allclose(data.X_train.mean(axis=0), 0, atol=1e-8)
    np.testing.assert_allclose(data.X_train[:, :3].std(axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(data.y_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.y_train.std(axis=0), 1, rtol=1e-12)
    assert np.abs(data.X_test[:, :3].mean(axis=0)).min() > 1e-6  # not fitted on the test rows


def test_minmax_scaling_spans_0_to_1_in_training():
    data = prepare("arrays", _some_rows(), scaling="minmax")
    assert data.X_train[:, :3].min(axis=0).tolist() == [0, 0, 0]
    assert data.X_train[:, :3].max(axis=0).tolist() == [1, 1, 1]
    np.testing.assert_allclose(data.y_train.std(axis=0), 1, rtol=1e-12)


def test_maxabs_scaling_reaches_1_and_moves_no_zero():
    rows = _some_rows()
    rows["X"][:, 2] = 0
    data = prepare("arrays", rows, scaling="maxabs")
    largest = np.abs(data.X_train).max(axis=0)
    np.testing.assert_allclose(largest[[0, 1, 3]], 1, rtol=1e-15)
    assert largest[2] == 0
    assert (data.X_train[:, 3] == 1).all()  # a constant 0.1
    train, test = split_indices(50, None, 0.2, 0)
    np.testing.assert_allclose(data.X_test[:, 0], rows["X"][test, 0] / np.abs(rows["X"][train, 0]).max(), rtol=1e-15)
    np.testing.assert_allclose(data.y_train.std(axis=0), 1, rtol=1e-12)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "maxabs"])
def test_scaling_ignores_the_test_rows(scaling):
    rows = _some_rows()
    before = prepare("arrays", rows, scaling=scaling)
    _, test = split_indices(50, None, 0.2, 0)
    rows["X"][test] *= 100
    rows["y"][test] -= 1e4
    after = prepare("arrays", rows, scaling=scaling)
    assert np.array_equal(before.X_train, after.X_train)
    assert np.array_equal(before.y_train, after.y_train)
    assert not np.array_equal(before.X_test, after.X_test)


def test_no_scaling_leaves_everything():
    rows = _some_rows()
    data = prepare("arrays", rows, scaling="none")
    train, test = split_indices(50, None, 0.2, 0)
    assert np.array_equal(data.X_train, rows["X"][train])
    assert np.array_equal(data.y_test, rows["y"][test])


@pytest.mark.parametrize("scaling", ["standard", "minmax"])
def test_constant_features_become_exactly_0(scaling):
    # The mean over rows of 0.1 is some ulps off 0.1: a deviation of 1e-17 must not be divided by.
    assert 0 < np.full((40, 4), 0.1).std(axis=0)[3] < 1e-15
    data = prepare("arrays", _some_rows(), scaling=scaling)
    assert (data.X_train[:, 3] == 0).all()
    assert (data.X_test[:, 3] == 0).all()


def test_extreme_but_allowed_values_scale_without_overflow():
    X = np.array([[1e100, 5e-324], [-1e100, 0], [3.0, 1e-170], [0, 2e-170], [1, 3e-170]])
    for scaling in ("standard", "minmax", "maxabs"):
        data = prepare("arrays", {"X": X, "y": [1.5, 2, 3, 4, 5]}, scaling=scaling)
        assert np.isfinite(data.X_train).all()
        assert np.isfinite(data.X_test).all()


# --- Label noise ----------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=60),
    fractions=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    seed=st.integers(0, 2**64 - 1),
)
def test_label_noise_replaces_exactly_its_share_and_grows(labels, fractions, seed):
    labels = np.array(labels)
    less, more = (with_label_noise(labels, 5, f, seed) for f in sorted(fractions))
    for noisy, fraction in ((less, min(fractions)), (more, max(fractions))):
        assert (noisy != labels).sum() == math.floor(len(labels) * fraction + 0.5)
        assert noisy.min() >= 0
        assert noisy.max() < 5
    changed = less != labels
    np.testing.assert_array_equal(more[changed], less[changed])


def test_every_other_class_is_equally_likely():
    labels = np.repeat(np.arange(4), 6000)
    noisy = with_label_noise(labels, 4, 1.0, 0)
    for c in range(4):
        counts = np.bincount(noisy[labels == c], minlength=4)
        assert counts[c] == 0
        assert np.abs(np.delete(counts, c) - 2000).max() < 5 * math.sqrt(2000 * 2 / 3)
    chosen = with_label_noise(labels, 4, 0.5, 0) != labels
    assert np.abs(chosen.reshape(4, 6000).sum(axis=1) - 3000).max() < 5 * math.sqrt(1500)


def test_label_noise_leaves_points_and_test_labels_alone():
    clean, noisy, other = (prepare("digits", label_noise=f, data_seed=s) for f, s in ((0, 0), (0.3, 0), (0.3, 1)))
    np.testing.assert_array_equal(clean.X_train, noisy.X_train)
    np.testing.assert_array_equal(clean.y_test, noisy.y_test)
    assert (clean.y_train != noisy.y_train).sum() == round(0.3 * 1438)
    assert noisy.fingerprint == clean.fingerprint
    again = prepare("digits", data_seed=1)
    assert not np.array_equal(noisy.y_train != clean.y_train, other.y_train != again.y_train)


def test_two_classes_swap():
    swapped = prepare("moons", label_noise=1.0)
    np.testing.assert_array_equal(swapped.y_train, 1 - prepare("moons").y_train)


def test_targets_have_no_label_noise():
    refuses("label_noise = 0.1", "diabetes is regression", call=lambda: prepare("diabetes", label_noise=0.1))
    assert prepare("diabetes", label_noise=0).train_samples == 354

"""The largest eigenvalue of the Hessian, lane by lane, against whole Hessians that are made without the engine's."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from engine_help import Setup, Trained

from gradsim.engine import hessian
from gradsim.engine.sharpness import measure_sharpness

# Lanczos stops at a residual of 1e-4; what that leaves of the eigenvalue is about its square.
EXACT = 2e-6
STEP = 1e-5
WEIGHTS = np.array([1, -8, 8, -1]) / (12 * STEP)
PLACES = (-2, -1, 1, 2)


def measured(trained: Trained) -> np.ndarray:
    """[networks, checkpoints]."""
    snapshots = trained.records.snapshots
    out = np.full((*snapshots.shape[:2], trained.lanes), -1.0)
    assert measure_sharpness(trained.task, trained._networks(), snapshots, np.zeros(1, np.int64), out)
    return trained._each(out)


def eigenvalues(gradient, flat: np.ndarray) -> np.ndarray:
    """Of the Hessian at `flat`, from central differences of fourth order of the gradient."""
    rows = []
    for i in range(flat.size):
        shift = np.zeros(flat.size)
        shift[i] = STEP
        rows.append(sum(w * gradient(flat + k * shift) for w, k in zip(WEIGHTS, PLACES, strict=True)))
    rows = np.array(rows)
    np.testing.assert_allclose(rows, rows.T, rtol=0, atol=1e-6 * np.abs(rows).max())
    return np.linalg.eigvalsh((rows + rows.T) / 2)


def twin_eigenvalues(trained: Trained, network: int, checkpoint: int) -> np.ndarray:
    """Of the twin's loss over the probe set."""
    X, y = (a[: trained.task.probe_samples] for a in trained.data)
    weights = trained.snapshot(network, checkpoint)

    def gradient(flat):
        layers = trained.architecture.split(flat)
        _, found, _ = naive.loss_and_gradients(layers, X, y, trained.activations(network), trained.loss(network))
        return np.concatenate([a.ravel() for layer in found for a in layer if a is not None])

    return eigenvalues(gradient, np.concatenate([a.ravel() for layer in weights for a in layer if a is not None]))


# --- against whole Hessians -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "loss", "changes"),
    [
        ("tanh", "mean_squared_error", {}),
        ("tanh", "softmax_cross_entropy", {"dtype": "float32"}),
        ("sigmoid", "half_squared_error", {"bias": False}),
        ("relu", "softmax_cross_entropy", {"bias": False, "dtype": "float32"}),
        ("relu", "mean_squared_error", {}),
        ("leaky_relu", "logistic", {"dtype": "float32"}),
        ("elu", "huber", {"loss_ranges": (("delta", 0.2, 0.8),)}),
        ("gelu", "hinge", {}),
        ("softplus", "absolute_error", {}),
        ("silu", "crammer_singer", {"bias": False}),
        ("gelu", "softmax_cross_entropy", {"loss_ranges": (("label_smoothing", 0.1, 0.3),)}),
    ],
)
def test_is_the_largest_eigenvalue_of_the_hessian(activation, loss, changes):
    setup = Setup(
        (3, 4, 3, 2), (activation, activation), loss=loss, samples=25, probe=20, checkpoints=(0, 50), **changes
    )
    trained = Trained(setup)
    found = measured(trained)
    for network, checkpoint in ((0, 0), (3, 1), (trained.count - 1, 1)):
        wanted = twin_eigenvalues(trained, network, checkpoint)
        assert found[network, checkpoint] == pytest.approx(wanted[-1], rel=EXACT), (network, checkpoint)
    assert len(np.unique(found)) == found.size


def test_the_largest_number_counts_not_the_largest_magnitude():
    """Under the absolute error the outputs lie far below the targets: softplus bends the loss downwards."""
    setup = Setup((3, 4, 1), ("softplus",), loss="absolute_error", samples=20, steps=1, checkpoints=(0,))
    plain = Trained(setup)
    trained = Trained(setup, targets=np.full((20, 1), 50.0), start=np.abs(plain.start))
    found = measured(trained)[:, 0]
    for network in range(4):
        wanted = twin_eigenvalues(trained, network, 0)
        assert -wanted[0] > 1.01 * wanted[-1] > 0
        assert found[network] == pytest.approx(wanted[-1], rel=EXACT)


LEARNED = ["prelu", "srelu", "apl", "soft_exponential", "trainable_swish", "pserf", "ptelu"]
LAYERWISE = ["softmax", "log_softmax", "sparsemax", "maxout", "glu", "reglu", "crelu"]


@pytest.mark.parametrize("activation", [*LEARNED, *LAYERWISE, "softsign", "binary_step"])
def test_learned_parameters_and_whole_layers(activation):
    """Against differences of the engine's own gradients: what a step at rate 1 takes from the weights.

    Parameters that stand beside learned ones and are not trained are no part of the Hessian.
    """
    setup = Setup(
        (3, 3, 2), (activation,), loss="mean_squared_error", samples=12, batch=None, steps=1, networks=1, vary=False
    )
    plain = Trained(setup, rates=np.ones((1, 2)))
    start = plain.start[0].copy()
    for layer in plain.architecture.split_learned(start):
        for values in layer.values():
            values += np.linspace(0.02, 0.05, 3)
    one = Trained(setup, start=start[None], rates=np.ones((1, 2)))
    starts = np.concatenate([start + k * STEP * np.eye(start.size) for k in PLACES])
    many = Setup(**{**setup.__dict__, "networks": len(starts), "statistics": False})
    gradients = starts - Trained(many, start=starts, rates=np.ones((len(starts), 2))).flat
    rows = np.tensordot(WEIGHTS, gradients.reshape(4, start.size, start.size), 1)
    trained = trained_numbers(one.architecture)
    rows = rows[np.ix_(trained, trained)]
    np.testing.assert_allclose(rows, rows.T, rtol=0, atol=1e-6 * np.abs(rows).max())
    wanted = np.linalg.eigvalsh((rows + rows.T) / 2)
    assert measured(one)[0, 0] == pytest.approx(wanted[-1], rel=EXACT)


def trained_numbers(architecture) -> np.ndarray:
    """Places of what is trained, in a network of one hidden layer."""
    (m, n), act = architecture.shapes[0], architecture.activations[0]
    out = np.ones(architecture.parameter_count, bool)
    first = (m + 1) * n
    own = np.tile([name in act.learned for name in act.parameters], 3) if act.learned else np.ones(0, bool)
    out[first : first + own.size] = own
    return np.flatnonzero(out)


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_models_have_closed_forms(dtype, bias):
    setup = Setup((5, 3), (), dtype, "mean_squared_error", bias=bias, samples=30, steps=3, probe=30)
    trained = Trained(setup)
    X = trained.X.astype(np.float64)
    design = np.hstack([X, np.ones((30, 1))]) if bias else X
    largest = np.linalg.eigvalsh(design.T @ design / 30)[-1]
    np.testing.assert_allclose(measured(trained), 2 / 3 * largest, rtol=1e-9)

    halved = Trained(Setup(**{**setup.__dict__, "loss": "half_squared_error"}))
    np.testing.assert_allclose(measured(halved), largest / 3, rtol=1e-9)

    # At weights of 0 all classes have the probability 1/3, whose matrix diag(p) - p p' has the eigenvalue 1/3.
    entropy = Setup(**{**setup.__dict__, "loss": "softmax_cross_entropy"})
    zeros = np.zeros_like(trained.start)
    np.testing.assert_allclose(measured(Trained(entropy, start=zeros))[:, 0], largest / 3, rtol=1e-7)


def test_a_loss_without_curvature_has_none():
    setup = Setup((4, 2), (), loss="absolute_error", steps=1)
    assert np.all(measured(Trained(setup)) == 0)


def test_units_at_their_kink_bend_nothing():
    """Zero weights: every pre-activation lies on the kink. Only the biases of the output have a second derivative."""
    setup = Setup((4, 3, 2), ("relu",), loss="mean_squared_error", steps=1)
    found = measured(Trained(setup, start=np.zeros_like(Trained(setup).start)))
    np.testing.assert_allclose(found[:, 0], 1.0, rtol=1e-9)


# --- what must not matter -------------------------------------------------------------------------

SMALL = Setup((5, 6, 4), ("tanh",), samples=40, steps=4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30, 0.0])
def test_neighbors_change_nothing(dtype, poison):
    setup = Setup(**{**SMALL.__dict__, "dtype": dtype})
    calm = Trained(setup)
    start = calm.start.copy()
    start[2] = poison
    before, after = measured(calm), measured(Trained(setup, start=start))
    assert np.isfinite(before).all()
    others = [i for i in range(calm.count) if i != 2]
    np.testing.assert_array_equal(before[others], after[others])
    assert np.isnan(after[2]).all() == (not np.isfinite(poison))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lane_and_group_do_not_matter(dtype):
    setup = Setup(**{**SMALL.__dict__, "dtype": dtype, "networks": 21})
    one = Trained(setup)
    order = np.random.default_rng(1).permutation(21)
    changed = {name: getattr(one, name)[order] for name in ("start", "rates", "seeds")}
    np.testing.assert_array_equal(measured(Trained(setup, **changed)), measured(one)[order])


def test_groups_that_ended_early_are_lost():
    setup = Setup(**{**SMALL.__dict__, "steps": 30, "loss": "mean_squared_error", "rate": 1e150})
    found = measured(Trained(setup))
    assert np.isfinite(found[:, 0]).all()
    assert np.isnan(found[:, 1]).all()


@pytest.mark.parametrize("activation", ["tanh", "prelu", "softmax"])
def test_pieces_of_the_probe_set_do_not_matter(activation, monkeypatch):
    trained = Trained(Setup(**{**SMALL.__dict__, "activations": (activation,)}))
    whole = measured(trained)
    assert hessian.rows_at_once(trained.architecture, 40) == 40
    monkeypatch.setattr(hessian, "PIECE_BYTES", 60_000)
    assert 1 < hessian.rows_at_once(trained.architecture, 40) < 20
    np.testing.assert_allclose(measured(trained), whole, rtol=1e-7)


def test_stops_when_told_to():
    trained = Trained(SMALL)
    snapshots = trained.records.snapshots
    out = np.zeros((*snapshots.shape[:2], trained.lanes))
    assert not measure_sharpness(trained.task, trained._networks(), snapshots, np.ones(1, np.int64), out)
    assert not out.any()

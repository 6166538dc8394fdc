"""Networks that share a group are strangers: divergence, order and stopping change nothing in the others."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from engine_help import CHECKPOINTS, TOLERANCE, Setup, Trained, relative_error

import gradsim as gs
from gradsim.lanes import LANES
from gradsim.losses import LOSSES
from gradsim.optimizers import OPTIMIZERS

every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)
# Of which a learning rate alone makes an overflow; the steps of the others do not grow with the gradient.
PROPORTIONAL = ("sgd", "momentum", "nesterov")


def assert_same_bits(one, other, networks):
    for a, b in ((one.flat, other.flat), (one.losses, other.losses), (one.train_loss, other.train_loss)):
        np.testing.assert_array_equal(a[networks], b[networks])
    for records in ("statistics", "final"):
        for name, values in getattr(one, records).items():
            np.testing.assert_array_equal(values[networks], getattr(other, records)[name][networks], err_msg=name)


@every_dtype
@every_loss
@every_optimizer
def test_a_diverging_lane_changes_nothing_in_its_neighbors(optimizer, loss, dtype):
    setup = Setup((5, 6, 4), ("relu",), dtype, loss, optimizer, checkpoints=CHECKPOINTS, test_samples=9, rate=0.02)
    calm = Trained(setup)
    rates, start = calm.rates.copy(), calm.start.copy()
    rates[3] = 1e30
    if optimizer not in PROPORTIONAL:
        start[3] *= 1e30 if dtype == "float32" else 1e200
    wild = Trained(setup, rates=rates, start=start)
    assert optimizer not in PROPORTIONAL or not np.isfinite(wild.losses[3, -1])
    assert not np.abs(wild.flat[3]).max() < 1e25
    others = [i for i in range(calm.count) if i != 3]
    assert np.isfinite(calm.losses).all()
    assert_same_bits(calm, wild, others)


@every_dtype
def test_a_lane_that_starts_as_nan_changes_nothing_in_its_neighbors(dtype):
    setup = Setup((5, 6, 4), ("sigmoid",), dtype, checkpoints=CHECKPOINTS, rate=0.1)
    calm = Trained(setup)
    for poison in (np.nan, np.inf):
        start = calm.start.copy()
        start[2] = poison
        others = [i for i in range(calm.count) if i != 2]
        assert_same_bits(calm, Trained(setup, start=start), others)


@every_dtype
def test_lane_and_group_do_not_matter(dtype):
    """The same networks in another order, in other groups, come out the same bit for bit."""
    setup = Setup(
        (5, 6, 4), ("leaky_relu",), dtype, optimizer="momentum", networks=20, checkpoints=CHECKPOINTS, rate=0.03
    )
    first = Trained(setup)
    order = np.random.default_rng(0).permutation(first.count)

    class Reordered(Trained):
        def _draw_networks(self):
            super()._draw_networks()
            self.start, self.rates = self.start[order], self.rates[order]
            self.steering = {k: v[order] for k, v in self.steering.items()}
            self.values = [{k: v[order] for k, v in layer.items()} for layer in self.values]

    second = Reordered(setup)
    np.testing.assert_array_equal(second.flat, first.flat[order])
    np.testing.assert_array_equal(second.losses, first.losses[order])
    for name, values in first.statistics.items():
        np.testing.assert_array_equal(second.statistics[name], values[order])


@every_dtype
@pytest.mark.parametrize("widths", [(5, 6, 4), (17, 9, 7, 2), (3, 1)], ids=str)
def test_a_step_of_descent_is_the_same_in_one_pass_and_in_two(widths, dtype):
    """Where nobody clips, gradients go into the weights at once; a threshold that is never reached keeps them apart."""
    activations = ("tanh",) * (len(widths) - 2)
    loss = "mean_squared_error" if widths[-1] == 1 else "softmax_cross_entropy"
    setup = Setup(widths, activations, dtype, loss, "sgd", checkpoints=CHECKPOINTS, weight_decay=0.1)
    once = Trained(setup)
    for never in ({"clip_norm": 1e20}, {"clip_value": 1e20}):
        assert_same_bits(once, Trained(dataclasses.replace(setup, **never)), range(once.count))


@every_dtype
def test_a_group_stops_when_all_of_its_lanes_are_lost(dtype):
    setup = Setup((5, 6, 4), ("relu",), dtype, steps=40, checkpoints=(0, 20, 40), batch=None, test_samples=5)
    lost = Trained(setup, rates=np.full((LANES[np.dtype(dtype)], 2), 1e25))
    stop = int((~np.isfinite(lost.losses)).all(axis=0).argmax())
    assert 0 < stop < 19
    # Nothing is recorded after, and the weights are those of the step where it stopped.
    assert np.isnan(lost.losses[:, stop + 1 :]).all()
    assert np.isnan(lost.train_loss[:, 1:]).all()
    assert np.isfinite(lost.train_loss[:, 0]).all()
    assert all(np.isnan(values).all() for values in lost.final.values())
    shorter = Setup(**{**vars(setup), "steps": stop, "checkpoints": (0, stop)})
    np.testing.assert_array_equal(lost.flat, Trained(shorter, rates=lost.rates).flat)
    assert lost.finished

    # One that is still alive keeps its group going.
    rates = lost.rates.copy()
    rates[1] = 0.01
    alive = Trained(setup, rates=rates)
    assert np.isfinite(alive.losses[1]).all()
    assert np.isfinite(alive.final["test_loss"][1])
    weights, _ = alive.twin(1)
    assert relative_error(alive.weights(1), weights) < TOLERANCE[dtype]


@every_dtype
def test_a_lost_group_leaves_nothing_to_the_next(dtype):
    setup = Setup((5, 6, 4), ("relu",), dtype, optimizer="momentum", networks=32, checkpoints=CHECKPOINTS, rate=0.03)
    calm = Trained(setup)
    rates = calm.rates.copy()
    rates[: calm.lanes] = 1e25
    wild = Trained(setup, rates=rates)
    assert np.isnan(wild.losses[: calm.lanes, -1]).all()
    assert_same_bits(calm, wild, range(calm.lanes, calm.count))


def test_a_stop_that_is_asked_for_is_answered():
    trained = Trained(Setup((3, 4, 2), ("tanh",), steps=5))
    networks = trained._networks()
    records = trained.task.records(1)
    assert not trained.task.run(networks, records, trained.task.workspace(), np.ones(1, np.int64))
    assert np.isnan(records.losses).all()


# --- from the first non-finite loss on --------------------------------------------------


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_records_are_nan_from_the_first_non_finite_loss_on(dtype, tmp_path):
    random = np.random.default_rng(0)
    campaign = gs.Campaign(
        name="lost",
        dataset=(random.normal(size=(40, 3)), random.normal(size=40)),
        hidden=[5],
        activation="relu",
        steps=60,
        batch_size="full",
        dtype=dtype,
        checkpoints=[0, 1, 2, 5, 50],
        grid={"learning_rate": [0.01, 30.0 if dtype == "float32" else 1e6]},
    )
    results = campaign.run(tmp_path / "results", threads=1, progress=False)
    runs = results.runs.set_index("learning_rate").sort_index()
    calm, lost = runs.iloc[0], runs.iloc[1]
    first = int(lost.first_nonfinite_step)
    assert 0 < first < 50
    assert np.isnan(calm.first_nonfinite_step)
    assert (calm.outcome, lost.outcome, lost.diagnosis) == (
        "stalled",
        "diverged",
        "exploding",
    ) or calm.outcome != "diverged"
    assert lost.outcome == "diverged"
    assert lost.diagnosis == "exploding"
    assert np.isfinite(calm[["final_loss", "tail_mean_loss", "test_loss", "train_r2"]].astype(float)).all()
    assert np.isnan(lost[["final_loss", "tail_mean_loss", "test_loss", "train_r2"]].astype(float)).all()
    assert np.isfinite(lost.initial_loss)

    again = campaign.replay(lost.run_id)
    assert np.isfinite(again.loss[:first]).all()
    assert np.isnan(again.loss[first:]).all()
    for layers in (again.layers, results.layers[results.layers.run_id == lost.run_id]):
        numbers = layers.drop(columns=["run_id", "step", "layer"], errors="ignore")
        before = (layers.step < first).to_numpy()
        assert before.any()
        assert not before.all()
        assert numbers[~before].isna().all(axis=None)
        assert numbers[before].drop(columns="update_ratio").notna().all(axis=None)
    curves = results.curves[results.curves.run_id == lost.run_id]
    assert curves.train_loss[curves.step >= first].isna().all()
    assert curves.batch_loss[curves.step > first].isna().all()
    kept = results.layers[results.layers.run_id == calm.run_id].drop(columns=["run_id"])
    assert kept.notna().all(axis=None)

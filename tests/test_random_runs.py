"""Runs of random settings, by the whole way from a campaign to its tables, against the naive twin in float64.

GRADSIM_FUZZ=100 pytest tests/test_random_runs.py tests/test_fuzz.py tries a hundred times as many.
"""

from __future__ import annotations

import tempfile

import naive
import numpy as np
from campaign_help import cases, ids_of
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from gradsim import Campaign
from gradsim.cohort import layer_activations, loss_for, two_thirds

NUMERIC = ["mean_squared_error", "half_squared_error", "absolute_error", "huber(delta=0.3)"]
LABELED = ["softmax_cross_entropy", "softmax_cross_entropy(label_smoothing=0.2)", "hinge", "crammer_singer(margin=0.5)"]
ACTIVATIONS = [*naive.ORACLES, "leaky_relu(slope=-0.3)", "elu(alpha=1.7)"]
OPTIMIZERS = [
    *("sgd", "momentum", "momentum(beta=0.5)", "nesterov", "rmsprop", "adam", "adam(beta1=0.5, eps=1e-3)", "adamw"),
    *("sgd(weight_decay=0.1)", "sgd(clip_norm=0.5)", "sgd(clip_value=0.05)", "normalized", "sign", "rprop"),
]
INITIALIZERS = ["glorot_uniform", "he_normal", "orthogonal", "normal(std=2)", "uniform(limit=0.1)", "normal(std=30)"]


@st.composite
def runs(draw):
    """The settings of a run that can be trained."""
    dataset = draw(st.sampled_from(["iris", "wine", "diabetes", "linnerud", "moons(samples=30)", "xor(noise=0.1)"]))
    hidden = draw(st.lists(st.integers(1, 9), max_size=4))
    each = st.lists(st.sampled_from(ACTIVATIONS), min_size=len(hidden), max_size=len(hidden))
    rates = st.sampled_from([0.0, 1e-4, 0.01, 0.1, 1.0, 30.0])
    some = {
        "loss": st.sampled_from(NUMERIC + LABELED * (dataset not in ("diabetes", "linnerud"))),
        "scaling": st.sampled_from(["standard", "minmax", "maxabs", "none"]),
        "test_fraction": st.sampled_from([0, 0.1, 0.5]),
        "label_noise": st.sampled_from([0, 0.3] if dataset not in ("diabetes", "linnerud") else [0]),
        "data_seed": st.integers(0, 3),
        "activation": st.one_of(st.sampled_from(ACTIVATIONS), each) if hidden else st.sampled_from(ACTIVATIONS),
        "initializer": st.sampled_from(INITIALIZERS),
        "bias": st.booleans(),
        "bias_initializer": st.sampled_from(["zeros", "constant(value=0.5)", "normal(std=1)"]),
        "optimizer": st.sampled_from(OPTIMIZERS),
        "learning_rate": st.one_of(rates, st.lists(rates, min_size=len(hidden) + 1, max_size=len(hidden) + 1)),
        "batch_size": st.sampled_from([1, 3, 8, 9, "full"]),
        "batch_order": st.sampled_from(["epoch", "replacement"]),
        "steps": st.integers(1, 30),
        "seed": st.integers(0, 2**32 - 1),
    }
    fields = draw(st.fixed_dictionaries({}, optional=some))
    return {"dataset": dataset, "hidden": hidden, "batch_size": 8, "steps": 12, "dtype": "float64"} | fields


def twin_of(campaign: Campaign, run_id: str, moved: float) -> np.ndarray:
    """Loss of every batch and, last, over all training data at the end, NaN from the first that is not finite on, of
    all training data at a checkpoint too; initial weights are off by a share of `moved`."""
    run = campaign.plan.settings(0)
    X, y, _, _ = campaign.data()
    chosen = loss_for(run, "regression" if y.ndim == 2 else "classification") if run.loss == "auto" else run.loss
    loss, activations = (chosen.name, chosen.values), [(c.name, c.values) for c in layer_activations(run)]
    random = np.random.default_rng(1)

    def off(a: np.ndarray | None) -> np.ndarray | None:
        # Zeros, too, by less than one rounding: a bias of 0 holds units at their kink when all before them are off.
        return None if a is None else a + moved * (np.abs(a) + 1e-5) * random.choice([-1, 1], a.shape)

    start = [tuple(map(off, layer)) for layer in campaign.initial_weights(run_id)]
    rates = run.learning_rate if len(run.learning_rate) > 1 else run.learning_rate[0]
    optimizer = run.optimizer.name, run.optimizer.values
    batches, found = campaign.batch_indices(), np.full(run.steps + 1, np.nan)
    for checkpoint in (0, two_thirds(run.steps), run.steps):
        weights, losses = naive.train(start, X, y, batches, activations, loss, optimizer, rates, steps=checkpoint)
        found[:checkpoint] = losses
        found[checkpoint] = naive.loss_and_gradients(weights, X, y, activations, loss)[0]
        lost = ~np.isfinite(found[: checkpoint + 1])
        if lost.any():
            found[lost.argmax() :] = np.nan
            break
    return found


# A failure has few settings as it is; finding fewer would take minutes.
@settings(max_examples=cases(60), deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(runs())
def test_a_run_of_any_settings_is_what_the_twin_says(fields):
    campaign = Campaign(**fields, checkpoints=[])
    (run_id,) = ids_of(campaign)
    with np.errstate(all="ignore"):
        wanted, *moved = (twin_of(campaign, run_id, share) for share in (0, 1e-12, -1e-12, 3e-13))
        # What rounding can become by then: where it grows to something, at kinks and in chaos, nothing is compared.
        off = np.maximum.accumulate(np.max([np.abs(other - wanted) for other in moved], axis=0))
        known = off < 1e-6 * np.abs(wanted)  # NaN is not
    assume(known[0])
    with tempfile.TemporaryDirectory() as folder:
        results = campaign.run(folder, threads=1, progress=False)
        row, curve = results.runs.iloc[0], results.curves.sort_values("step")
    found = np.append(curve["batch_loss"].to_numpy()[1:], row["final_loss"])
    assert len(found) == len(wanted)
    assert np.isfinite(found[known]).all()
    assert (np.abs(found - wanted) <= 1e3 * off + 1e-9 * np.abs(wanted))[known].all()
    if known[np.isfinite(wanted)].all() and all((np.isnan(other) == np.isnan(wanted)).all() for other in moved):
        np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
        if not np.isfinite(wanted[-1]):
            assert row["outcome"] == "diverged"

"""Losses in the engine: against the twin, lane by lane; at outputs of any size; what constant predictions cost."""

from __future__ import annotations

import ctypes

import naive
import numpy as np
import pytest
from engine_help import DTYPES, Setup, Trained, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy import optimize

from gradsim.lanes import LANES, aligned_empty
from gradsim.losses import LOSSES

# Ranges that lanes draw the parameters from.
RANGES = {
    "softmax_cross_entropy": (("label_smoothing", 0.0, 0.4),),
    "huber": (("delta", 0.2, 2.0),),
    "hinge": (("margin", 0.5, 2.0),),
    "crammer_singer": (("margin", 0.5, 2.0),),
}
BY_LABEL = [name for name, loss in LOSSES.items() if not loss.on_targets]
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def trained(loss, dtype="float64", **changed):
    base = {"widths": (5, 6, 4, 3), "activations": ("tanh", "silu"), "steps": 100, "networks": 11, "rate": 0.05}
    return Trained(Setup(**base | {"loss": loss, "dtype": dtype, "loss_ranges": RANGES.get(loss, ())} | changed))


# --- training -------------------------------------------------------------------------------------


def test_the_twin_has_every_loss():
    assert set(LOSSES) == set(naive.LOSSES)
    assert {name for name, loss in LOSSES.items() if loss.parameters} == set(RANGES)


@every_loss
def test_a_hundred_steps_equal_the_twin(loss):
    run = trained(loss, optimizer="momentum", test_samples=7)
    for numbers in run.loss_numbers.values():
        assert len(np.unique(numbers)) == run.count
    X, y = run.data
    for i in (0, 6, 10):
        weights, losses = run.twin(i)
        np.testing.assert_allclose(run.losses[i], losses, rtol=1e-10)
        assert relative_error(run.weights(i), weights) < 1e-10
        assert relative_error(run.weights(i), run._layers(run.start[i])) > 1e-2
        for part, rows in (("train", slice(0, 40)), ("test", slice(40, None))):
            wanted = naive.loss_and_gradients(run.weights(i), X[rows], y[rows], run.activations(i), run.loss(i))[0]
            found = run.final["test_loss"][i] if part == "test" else run.train_loss[i, -1]
            assert found == pytest.approx(wanted, rel=1e-11)
            if LOSSES[loss].on_targets:
                out = naive.forward(run.weights(i), X[rows], run.activations(i))[0][-1]
                squares = np.mean((out - y[rows]) ** 2)
                assert run.final[f"{part}_squares"][i] == pytest.approx(squares, rel=1e-11)


@every_loss
def test_float32_follows_float64(loss):
    run = trained(loss, "float32", steps=20)
    for i in (0, 7):
        np.testing.assert_allclose(run.losses[i], run.twin(i)[1], rtol=1e-4)


@pytest.mark.parametrize("loss", RANGES)
@every_dtype
def test_a_lanes_number_is_its_own(loss, dtype):
    """A network comes out the same, bit for bit, whatever the numbers beside it."""

    class Alone(Trained):
        def _draw_networks(self):
            super()._draw_networks()
            (name, values), parameter = *self.loss_numbers.items(), LOSSES[loss].parameters
            edge = parameter[name].high if self.at_edge else parameter[name].default
            self.loss_numbers = {name: np.where(np.arange(self.count) == 3, 0.5, edge).astype(self.kind)}
            assert len(values) == self.count

    runs = []
    for at_edge in (True, False):
        Alone.at_edge = at_edge
        runs.append(Alone(Setup((5, 6, 4), ("relu",), dtype, loss, steps=30, rate=0.02)))
    np.testing.assert_array_equal(runs[0].flat[3], runs[1].flat[3])
    np.testing.assert_array_equal(runs[0].losses[3], runs[1].losses[3])
    assert (runs[0].losses[4] != runs[1].losses[4]).any()


def test_no_smoothing_beside_smoothing_is_none():
    class Mixed(Trained):
        def _draw_networks(self):
            super()._draw_networks()
            if self.mixed:
                self.loss_numbers["label_smoothing"][1::2] = 0.3

    runs = []
    for mixed in (True, False):
        Mixed.mixed = mixed
        runs.append(Mixed(Setup((5, 6, 4), ("relu",), "float32", steps=30)))
    np.testing.assert_array_equal(runs[0].flat[::2], runs[1].flat[::2])
    assert (runs[0].flat[1::2] != runs[1].flat[1::2]).any()


@every_dtype
@pytest.mark.parametrize("loss", ["huber", "softmax_cross_entropy", "crammer_singer"])
def test_statistics_take_the_loss_with_its_numbers(loss, dtype):
    run = trained(loss, dtype, steps=3, samples=150)
    X, y = run.data
    for i in (0, 9):
        wanted = naive.layer_statistics(run.snapshot(i, 0), X, y, run.activations(i), run.loss(i))
        for name in ("delta_rms", "gradient_rms", "sign_coherence"):
            found = run.statistics[name][i, 0]
            np.testing.assert_allclose(found, [r[name] for r in wanted], rtol=1e-9 if dtype == "float64" else 1e-4)


# --- outputs of any size --------------------------------------------------------------------------


def block(loss, out, y, dtype, **params):
    """Values [lanes, rows] and slopes [lanes, rows, units] of outputs [lanes, rows, units], y labels or targets."""
    dtype = np.dtype(dtype)
    entry, size = LOSSES[loss], LANES[dtype]
    cases, rows, units = out.shape
    assert cases == size
    labels = np.ascontiguousarray(y if y.ndim == 1 else np.zeros(rows), np.int64)
    targets = np.ascontiguousarray(np.zeros((rows, units)) if y.ndim == 1 else y, dtype)
    numbers = aligned_empty(size, dtype)
    numbers[:] = next(iter((entry.defaults | params).values()), 0.0)
    values, slopes = np.empty((cases, rows)), np.empty(out.shape, dtype)
    word, real, address = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
    function = ctypes.CFUNCTYPE(None, address, address, address, address, word, word, real, address)(
        entry.block(dtype).address
    )
    for row in range(rows):
        outputs, total = aligned_empty(units * size, dtype), aligned_empty(size, np.float64)
        outputs[:], total[:] = out[:, row].T.reshape(-1).astype(dtype), 0
        function(
            outputs.ctypes.data,
            labels[row:].ctypes.data,
            targets[row:].ctypes.data,
            numbers.ctypes.data,
            1,
            units,
            1.0,
            total.ctypes.data,
        )
        values[:, row], slopes[:, row] = total, outputs.reshape(units, size).T
    return values, slopes


def exact(loss, out, y, parameter):
    """Value and slopes of one row, in digits enough that 1 less e^-700 is not 1."""
    with mp.workdps(500):
        o, count = [mpf(float(v)) for v in out], len(out)
        if loss == "softmax_cross_entropy":
            e = [mp.exp(v - max(o)) for v in o]
            log_sum = mp.log(sum(e)) + max(o)
            q = [mpf(parameter) / count + (1 - mpf(parameter) if c == y else 0) for c in range(count)]
            return sum(a * (log_sum - b) for a, b in zip(q, o, strict=True)), [
                a / sum(e) - b for a, b in zip(e, q, strict=True)
            ]
        t = [mpf(float(v)) for v in y]
        p = [1 / (1 + mp.exp(-v)) for v in o]
        value = sum(mp.log(1 + mp.exp(-abs(v))) + max(v, 0) - v * s for v, s in zip(o, t, strict=True))
        return value / count, [(a - b) / count for a, b in zip(p, t, strict=True)]


SIZES = (0.0, 1e-9, 0.3, 5.0, 20.0, 87.0, 300.0, 700.0, 1e4)


@every_dtype
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_softmax_cross_entropy_at_outputs_of_any_size(dtype, smoothing):
    """To the last digits: also the small slope that is left where the label leads."""
    random = np.random.default_rng(1)
    lanes, kind = LANES[DTYPES[dtype]], DTYPES[dtype].type
    out = np.stack([size * random.choice([-1.0, 0.5, 1.0], (lanes, 4)) for size in SIZES], axis=1)
    y = np.arange(len(SIZES)) % 4
    values, slopes = block("softmax_cross_entropy", out, y, dtype, label_smoothing=smoothing)
    epsilon, tiny = float(np.finfo(dtype).eps), 10 * float(np.finfo(dtype).tiny)
    assert np.isfinite(slopes).all()
    for lane in range(lanes):
        for row in range(len(SIZES)):
            value, wanted = exact("softmax_cross_entropy", kind(out[lane, row]), y[row], float(kind(smoothing)))
            assert values[lane, row] == pytest.approx(float(value), rel=8 * epsilon, abs=tiny)
            # Smoothed shares are differences of numbers of size 1.
            floor = tiny if smoothing == 0 else epsilon
            np.testing.assert_allclose(slopes[lane, row], [float(w) for w in wanted], rtol=16 * epsilon, atol=floor)


@every_dtype
def test_logistic_at_outputs_of_any_size(dtype):
    lanes, kind = LANES[DTYPES[dtype]], DTYPES[dtype].type
    signs = np.random.default_rng(1).choice([-1.0, 0.5, 1.0], (lanes, len(SIZES), 3))
    out = np.array(SIZES)[:, None] * signs
    y = np.tile([0.0, 1.0, 1.0], (len(SIZES), 1))
    values, slopes = block("logistic", out, y, dtype)
    epsilon, tiny = float(np.finfo(dtype).eps), 10 * float(np.finfo(dtype).tiny)
    for lane in range(lanes):
        for row in range(len(SIZES)):
            value, wanted = exact("logistic", kind(out[lane, row]), y[row], None)
            assert values[lane, row] == pytest.approx(float(value), rel=8 * epsilon, abs=tiny)
            np.testing.assert_allclose(slopes[lane, row], [float(w) for w in wanted], rtol=8 * epsilon, atol=tiny)


def test_the_last_digits_of_a_certain_network():
    """Where 1 - p is under the precision, slope and loss are still those of what is left."""
    out = np.zeros((16, 1, 2))
    out[:, 0, 0] = 20
    values, slopes = block("softmax_cross_entropy", out, np.array([0]), np.float32)
    left = np.exp(-20) / (1 + np.exp(-20))
    np.testing.assert_allclose(slopes[0, 0], [-left, left], rtol=1e-6)
    np.testing.assert_allclose(values[0, 0], left, rtol=1e-6)
    values, slopes = block("logistic", out, np.array([[1.0, 0.0]]), np.float32)
    np.testing.assert_allclose(slopes[0, 0, 0], -left / 2, rtol=1e-6)


@every_dtype
@pytest.mark.parametrize("loss", [n for n in LOSSES if n not in ("softmax_cross_entropy", "logistic")])
def test_other_losses_at_outputs_of_any_size(loss, dtype):
    random = np.random.default_rng(2)
    lanes = LANES[DTYPES[dtype]]
    out = np.array(SIZES)[:, None] * random.choice([-1.0, -0.5, 0.5, 1.0], (lanes, len(SIZES), 4))
    y = np.arange(len(SIZES)) % 4 if loss in BY_LABEL else random.normal(size=(len(SIZES), 4)).round(2)
    values, slopes = block(loss, out, y, dtype)
    rounded = out.astype(dtype).astype(float), y if y.ndim == 1 else y.astype(dtype).astype(float)
    for lane in range(lanes):
        for row in range(len(SIZES)):
            value, slope = naive.LOSSES[loss](rounded[0][lane, row : row + 1], rounded[1][row : row + 1])
            close = {"rtol": 1e-13, "atol": 1e-14} if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-6}
            np.testing.assert_allclose(values[lane, row], value, **close)
            np.testing.assert_allclose(slopes[lane, row], slope[0], **close)


@every_dtype
@every_loss
def test_what_is_not_finite_is_not_hidden(loss, dtype):
    lanes = LANES[DTYPES[dtype]]
    y = np.array([1]) if loss in BY_LABEL else np.zeros((1, 3))
    for poison in (np.nan, np.inf, -np.inf):
        for unit in range(3):
            out = np.zeros((lanes, 1, 3))
            out[2, 0, unit] = poison
            values, slopes = block(loss, out, y, dtype)
            rest = np.arange(lanes) != 2
            assert np.isfinite(values[rest]).all()
            assert np.isfinite(slopes[rest]).all()
            # An output at -inf is as wrong as can be, or as right.
            harmless = poison == -np.inf and loss in BY_LABEL and unit != 1
            harmless |= poison == np.inf and unit == 1 and loss in ("hinge", "crammer_singer")
            assert np.isfinite(values[2, 0]) == harmless


@every_dtype
@pytest.mark.parametrize(
    ("loss", "out", "y", "wanted"),
    [
        ("absolute_error", [0.5, -1.0], [[0.5, 0.0]], [0, -0.5]),
        ("huber", [1.0, -1.0, 3.0, 0.0], [[0.0] * 4], [0.25, -0.25, 0.25, 0]),
        ("hinge", [0.0, 1.0, 0.0], [1], [0, 0, 0]),
        ("hinge", [2.0, 2.0, 2.0], [0], [-2 / 3, 1 / 3, 1 / 3]),
        ("crammer_singer", [0.0, 1.0, 0.0], [1], [0, 0, 0]),
        ("crammer_singer", [2.0, 2.0, 2.0], [0], [-1, 1, 0]),
        ("crammer_singer", [2.0, 1.0, 2.0], [1], [1, -1, 0]),
    ],
)
def test_slopes_at_kinks(loss, out, y, wanted, dtype):
    lanes = LANES[DTYPES[dtype]]
    _, slopes = block(loss, np.tile(out, (lanes, 1, 1)), np.array(y), dtype)
    np.testing.assert_allclose(slopes[0, 0], wanted, rtol=1e-6)


# --- constant predictions -------------------------------------------------------------------------

TARGETS = np.array([[0.1, 3.0], [0.7, -2.0], [0.2, 0.5], [0.2, 11.0], [0.9, 0.5], [0.0, 0.6], [1.0, 0.0]])
LABELS = np.array([0, 1, 1, 1, 3, 1, 0, 3, 3, 3, 3])


def mean_loss(name, constant, y, **params):
    return naive.LOSSES[name](np.tile(constant, (len(y), 1)), y, **params)[0]


def numerically(name, y, outputs, **params):
    """The least mean loss of constant outputs, by search from several starts."""
    function = lambda c: mean_loss(name, c, y, **params)  # noqa: E731
    starts = [np.zeros(outputs), *np.random.default_rng(0).normal(size=(4, outputs)) * 2]
    found = []
    for start in starts:
        for method in ("BFGS", "Nelder-Mead"):
            start = optimize.minimize(function, start, method=method, options={"maxiter": 4000}).x
        found.append(function(start))
    return min(found)


PARAMETERS = {
    "softmax_cross_entropy": [{"label_smoothing": e} for e in (0.0, 0.1, 0.7)],
    "huber": [{"delta": d} for d in (0.05, 0.3, 1.0, 100.0)],
    "hinge": [{"margin": 1.0}, {"margin": 2.5}],
    "crammer_singer": [{"margin": 1.0}, {"margin": 0.2}],
}


@pytest.mark.parametrize(("name", "params"), [(n, p) for n in LOSSES for p in PARAMETERS.get(n, [{}])], ids=str)
def test_no_constant_is_better_than_the_best(name, params):
    entry = LOSSES[name]
    cases = [(LABELS, 4)]
    if entry.on_targets:
        cases.append((np.clip(TARGETS, 0, 1) if entry.target_range else TARGETS, 2))
    for y, outputs in cases:
        best = entry.constant_loss(y, outputs, **params)
        found = numerically(name, y, outputs, **params)
        assert best <= found + 1e-12
        assert found == pytest.approx(best, rel=2e-3, abs=1e-4)
        assert entry.least_loss(y, outputs, **params) <= best


def test_constants_in_closed_form():
    y = np.array([[1.0], [2.0], [10.0]])
    assert LOSSES["absolute_error"].constant_loss(y, 1) == 3
    assert LOSSES["mean_squared_error"].constant_loss(y, 1) == pytest.approx(y.var())
    assert LOSSES["half_squared_error"].constant_loss(y, 1) == pytest.approx(y.var() / 2)
    # Two within delta of c, one beyond on the right: (c - 1) + (c - 2) = 2.
    assert LOSSES["huber"].constant_loss(y, 1, delta=2.0) == pytest.approx((1.5**2 / 2 + 0.5**2 / 2 + 2 * 6.5) / 3)
    labels = np.array([0, 0, 0, 1])
    assert LOSSES["logistic"].constant_loss(labels, 2) == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert LOSSES["softmax_cross_entropy"].constant_loss(labels, 2) == LOSSES["logistic"].constant_loss(labels, 2)
    assert LOSSES["crammer_singer"].constant_loss(labels, 2) == 0.5
    assert LOSSES["hinge"].constant_loss(labels, 2) == 0.25
    constants = {name: LOSSES[name].constant_loss(np.arange(12) % 4, 4) for name in LOSSES}
    assert constants["hinge"] == pytest.approx(0.75)
    assert constants["crammer_singer"] == 1


def test_the_least_loss_is_reached_by_saying_the_truth():
    y = np.array([0, 2, 1])
    for smoothing in (0.0, 0.2, 1.0):
        q = (1 - smoothing) * np.eye(3)[y] + smoothing / 3
        with np.errstate(divide="ignore"):
            out = np.maximum(np.log(q), -800)
        said = naive.LOSSES["softmax_cross_entropy"](out, y, label_smoothing=smoothing)[0]
        assert LOSSES["softmax_cross_entropy"].least_loss(y, 3, label_smoothing=smoothing) == pytest.approx(said)
    t = np.array([[0.2, 1.0], [0.0, 0.5]])
    with np.errstate(divide="ignore"):
        said = naive.LOSSES["logistic"](np.clip(np.log(t / (1 - t)), -800, 800), t)[0]
    assert LOSSES["logistic"].least_loss(t, 2) == pytest.approx(said)
    for name in ("hinge", "mean_squared_error", "huber"):
        assert LOSSES[name].least_loss(y, 3) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=7).filter(lambda c: sum(c) > 0))
def test_the_hinges_best_constant_solves_its_linear_program(counts):
    """Variables: the outputs, then the slack of each ordered pair of classes."""
    classes = len(counts)
    p = np.array(counts) / sum(counts)
    pairs = [(k, j) for k in range(classes) for j in range(classes) if k != j]
    cost = np.concatenate([np.zeros(classes), [p[k] for k, _ in pairs]])
    rows = np.zeros((len(pairs), len(cost)))
    for i, (k, j) in enumerate(pairs):  # slack >= 1 - o_k + o_j
        rows[i, [k, j, classes + i]] = -1, 1, -1
    bounds = [(None, None)] * classes + [(0, None)] * len(pairs)
    found = optimize.linprog(cost, A_ub=rows, b_ub=-np.ones(len(pairs)), bounds=bounds).fun / classes
    y = np.repeat(np.arange(classes), counts)
    assert LOSSES["hinge"].constant_loss(y, classes) == pytest.approx(found, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.floats(1e-3, 1e4))
def test_hubers_best_constant_is_the_least(values, delta):
    y = np.array(values)[:, None]
    best = LOSSES["huber"].constant_loss(y, 1, delta=delta)
    inside = np.linspace(y.min(), y.max(), 201)
    tried = [mean_loss("huber", np.array([c]), y, delta=delta) for c in inside]
    assert best <= min(tried) * (1 + 1e-9) + 1e-12
    assert best >= min(tried) - delta * (y.max() - y.min()) / 200 - 1e-12

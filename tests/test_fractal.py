"""The trainability fractal: campaigns against the paper's program, the measure, dimension, colors, page, manners."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from campaign_help import ROOT, ids_of, small
from PIL import Image, ImageDraw

from gradsim import Campaign, UsageError
from gradsim.shard import _trainability

sys.path.insert(0, str(ROOT / "reports"))

import fractal
from boundary import closer, dimension, edges
from page import HERE, PAGE, RECORDS, page
from shading import CONVERGED, DIVERGED, UNKNOWN, ranks, shades

SIZE, STEPS = 8, 60


# --- the paper's program --------------------------------------------------------------------------


def network(kind: str, W0: np.ndarray, W1: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Output, hidden units and their slopes at the mean-field parametrization of Sohl-Dickstein 2024."""
    u = X @ W0 / np.sqrt(W0.shape[0])
    if kind == "tanh":
        h = np.tanh(np.sqrt(2) * u)
        slope = np.sqrt(2) * (1 - h * h)
    elif kind == "relu":
        h, slope = np.sqrt(2) * np.where(u > 0, u, 0 * u), np.sqrt(2) * (u > 0)
    else:
        h, slope = u, np.ones_like(u)
    return h @ W1 / np.sqrt(W1.shape[0]) / np.sqrt(W1.shape[0]), h, slope


def losses_of(kind, weights, X, Y, rates, steps, batches=None) -> np.ndarray:
    """The losses over all samples before each step; what is lost goes on as inf and NaN."""
    (W0, W1), n, losses = (w.copy() for w in weights), len(weights[0]), []
    for step in range(steps):
        losses.append(np.mean((network(kind, W0, W1, X)[0] - Y) ** 2))
        x, y = (X, Y) if batches is None else (X[batches[step]], Y[batches[step]])
        out, h, slope = network(kind, W0, W1, x)
        d = 2 * (out - y) / len(x)
        gradient0 = x.T @ (d @ W1.T / n * slope) / np.sqrt(n)
        gradient1 = h.T @ d / n
        W0, W1 = W0 - rates[0] * gradient0, W1 - rates[1] * gradient1
    return np.array(losses)


def pixel_of(losses: np.ndarray) -> float:
    """The paper's measure."""
    v = np.array([loss if np.isfinite(loss) else 1e6 for loss in losses])
    v = np.array([min(one, 1e6) for one in v / v[0]])
    return -v.sum() if v[-20:].mean() < 1 else (1 / v).sum()


def by_hand(name: str, campaign: Campaign, run_id: str, rates: tuple[float, float], nudge: float = 0.0) -> float:
    """One pixel by the paper's program; `nudge`: a relative change of the first weights."""
    condition = fractal.CONDITIONS[name]
    X, y, *_ = campaign.data()
    weights = [16 * W for W, _ in campaign.initial_weights(run_id)]
    weights[0] = weights[0] * (1 + nudge)
    batches = None if condition.minibatch is None else campaign.batch_indices()
    with np.errstate(over="ignore", invalid="ignore"):
        gain = 4.0 if name == "identity" else 4 * np.sqrt(2)
        return pixel_of(losses_of(condition.activation, weights, X / gain, y, rates, STEPS, batches))


@pytest.mark.parametrize("name", list(fractal.CONDITIONS))
def test_pixels_are_those_of_the_papers_program(name, tmp_path):
    window = (-1, 1, 1, 3) if name == "mean" else fractal.CONDITIONS[name].window
    campaign = fractal.campaign_of(name, window, SIZE, STEPS)
    results = campaign.run(tmp_path, progress=False)
    ours = fractal.measure_of(results, SIZE)
    rows, columns = results.settings["grid"]
    places = results.runs.sort_values([rows, columns])["run_id"].tolist()
    across, up = np.linspace(*window[:2], SIZE), np.linspace(*window[2:], SIZE)
    calm = np.zeros((SIZE, SIZE), bool)
    theirs = np.empty((SIZE, SIZE))
    for (i, j), run_id in zip(np.ndindex(SIZE, SIZE), places, strict=True):
        rates = (10 ** up[i], 10 ** up[i]) if name == "mean" else (10 ** across[j], 10 ** up[i])
        theirs[i, j] = by_hand(name, campaign, run_id, rates)
        nudged = by_hand(name, campaign, run_id, rates, nudge=1e-12)
        calm[i, j] = abs(nudged - theirs[i, j]) <= 1e-9 * abs(theirs[i, j])
    # Elsewhere the dynamics is chaotic: what a change of 1e-12 moves, rounding moves too.
    assert calm.sum() >= 36
    assert (theirs[calm] < 0).sum() >= 8
    assert (theirs[calm] >= 0).sum() >= 8
    assert ((ours < 0) == (theirs < 0))[calm].all()
    # At which step a number gets too large depends on the order of products; each step after it counts 10^-6 of the
    # first loss, each before it 10^-6.
    lost = results.runs.set_index("run_id").loc[places, "first_nonfinite_step"].notna().to_numpy().reshape(SIZE, SIZE)
    np.testing.assert_allclose(ours[calm & ~lost], theirs[calm & ~lost], rtol=1e-9)
    np.testing.assert_allclose(ours[calm & lost], theirs[calm & lost], rtol=1e-9, atol=1e-6)
    assert (calm & ~lost).sum() >= 16
    assert lost.any() or name == "mean"


@pytest.mark.parametrize("name", list(fractal.CONDITIONS))
def test_weights_and_data_are_standard_normal_and_the_same_in_all_pixels(name):
    campaign = fractal.campaign_of(name, fractal.CONDITIONS[name].window, 3)
    ids = ids_of(campaign)
    drawn = [[16 * W for W, _ in campaign.initial_weights(run_id)] for run_id in (ids[0], ids[-1])]
    if name == "mean":  # the same numbers about the two ends of the axis
        drawn = [[W - mean for W in weights] for weights, mean in zip(drawn, (-4, 4), strict=True)]
    for first, last in zip(*drawn, strict=True):
        np.testing.assert_allclose(first, last, rtol=0, atol=1e-14)
    weights = np.concatenate([W.ravel() for W in drawn[0]])
    assert [W.shape for W in drawn[0]] == [(16, 16), (16, 1)]
    assert abs(weights.mean()) < 0.2
    assert 0.85 < weights.std() < 1.15
    X, y, *_ = campaign.data()
    assert X.shape == (fractal.CONDITIONS[name].samples, 16)
    assert y.shape == (len(X), 1)
    if len(X) > 1:
        inputs = X / fractal.CONDITIONS[name].gain
        assert 0.85 < inputs.std() < 1.15
        assert np.array_equal(np.sort(y.ravel()), np.sort(fractal.arrays(fractal.CONDITIONS[name], 0)[1]))


# --- the run column -------------------------------------------------------------------------------


RATES = {"learning_rate": [0.001, 0.3, 30.0, 1e6], "activation": ["relu", "identity"]}


@pytest.mark.parametrize("steps", [60, 7])
def test_the_column_is_the_papers_measure_of_the_batch_losses(steps, tmp_path):
    campaign = small(steps=steps, grid=RATES)
    runs = campaign.run(tmp_path, progress=False).runs
    expected = [pixel_of(campaign.replay(run_id).loss) for run_id in runs["run_id"]]
    np.testing.assert_allclose(runs["trainability"], expected, rtol=1e-12)
    assert steps < 20 or {np.sign(pixel) for pixel in expected} == {-1, 1}


def test_the_column_is_of_all_data_where_every_step_is_a_checkpoint(tmp_path):
    campaign = small(steps=40, checkpoints=range(41), store="curves", grid=RATES)
    results = campaign.run(tmp_path, progress=False)
    losses = results.curves.pivot_table(index="run_id", columns="step", values="train_loss", dropna=False)
    losses = losses.reindex(columns=range(40)).loc[results.runs["run_id"]].to_numpy()
    np.testing.assert_allclose(results.runs["trainability"], [pixel_of(row) for row in losses], rtol=1e-12)
    assert np.isnan(losses).any()


def test_what_the_column_says_of_lost_runs():
    lost = np.array([[2.0, 8.0, np.nan, np.nan]])
    assert _trainability(lost)[0] == pytest.approx(1 + 1 / 4 + 2 / 5e5)
    assert _trainability(np.array([[0.5, 1e9, np.nan]]))[0] == pytest.approx(1 + 2e-6)
    none = [[0.0, 1.0], [2e6, np.nan], [np.nan, np.nan]]
    assert np.isnan(_trainability(np.array(none))).all()
    assert _trainability(np.array([[4.0, 2.0, 0.0]]))[0] == -1.5


def test_a_loss_over_the_first_may_be_too_large_a_number():
    assert _trainability(np.array([[1e-9, 1e300, 1.0]]))[0] == pytest.approx(1 + 2e-6)


def test_losses_are_left_as_they_were():
    losses = np.array([[2.0, 8.0, np.nan]])
    _trainability(losses)
    np.testing.assert_array_equal(losses, [[2.0, 8.0, np.nan]])


# --- boundary and dimension -----------------------------------------------------------------------


def picture_of(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, -3.0, 2.0)


def koch(start: complex, end: complex, depth: int) -> list[complex]:
    if depth == 0:
        return [start]
    third = (end - start) / 3
    a, b = start + third, start + 2 * third
    corners = (start, a, a + third * np.exp(-1j * np.pi / 3), b, end)
    return [p for pair in pairwise(corners) for p in koch(*pair, depth - 1)]


def snowflake(size: int) -> np.ndarray:
    """bool [size, size]: inside Koch's curve about a triangle, turned so that it fits no grid."""
    corners = [np.exp(1j * (0.3 + angle)) for angle in (np.pi / 2, -np.pi / 6, -5 * np.pi / 6)]
    curve = [p for k in range(3) for p in koch(corners[k], corners[(k + 1) % 3], 6)]
    picture = Image.new("1", (size, size))
    places = (1 + np.array([(p.real, p.imag) for p in curve]) / 1.2) * size / 2
    ImageDraw.Draw(picture).polygon(places.ravel().tolist(), fill=1)
    return np.asarray(picture)


def test_edges_are_where_neighbors_end_differently():
    measure = picture_of(np.random.default_rng(1).random((9, 7)) < 0.4)
    found = edges(measure)
    for i in range(8):
        for j in range(6):
            square = measure[i : i + 2, j : j + 2] < 0
            assert found[i, j] == (0 < square.sum() < 4)


def test_box_counts_are_those_of_loops():
    squares = np.random.default_rng(2).random((63, 50)) < 0.02
    found = dimension(squares)
    assert found.sizes == (1, 2, 4)
    for size, count in zip(found.sizes, found.counts, strict=True):
        boxes = [(i, j) for i in range(0, 63, size) for j in range(0, 50, size)]
        assert count == sum(squares[i : i + size, j : j + size].any() for i, j in boxes)
    slope = np.polyfit(np.log2(found.sizes), np.log2(found.counts), 1)[0]
    assert found.value == pytest.approx(-slope)


@pytest.mark.parametrize(
    ("mask", "expected", "within"),
    [
        (np.add.outer(-0.37 * np.arange(512), np.arange(512)) > 100, 1, 0.02),
        (np.random.default_rng(3).random((512, 512)) < 0.5, 2, 0.04),
        (snowflake(512), np.log(4) / np.log(3), 0.04),
    ],
    ids=["line", "noise", "koch"],
)
def test_dimensions_that_are_known(mask, expected, within):
    found = dimension(edges(picture_of(mask)))
    assert abs(found.value - expected) < within
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.2


def test_no_dimension_without_boundary_or_room():
    assert dimension(np.zeros((63, 63), bool)) is None
    assert dimension(np.ones((5, 5), bool)) is None
    assert dimension(np.ones((1, 1), bool)) is None


def test_a_zoom_goes_to_structure_not_to_noise():
    mask = np.zeros((256, 256), bool)
    mask[:120, :120] = np.random.default_rng(4).random((120, 120)) < 0.05
    mask[150:200, 150:200] = snowflake(50)
    mask[160:190:4, 160:190] = False
    x0, x1, y0, y1 = closer(picture_of(mask), 8)
    assert (x1 - x0, y1 - y0) == pytest.approx((1 / 8, 1 / 8))
    assert 150 / 256 < x0 < x1 < 200 / 256
    assert 150 / 256 < y0 < y1 < 200 / 256
    assert closer(np.ones((31, 31)), 8) is None
    x0, x1, y0, y1 = fractal.part((-3, 6, 1, 2), (0.5, 0.625, 0.875, 1.0))
    assert (x0, x1, y0, y1) == pytest.approx((1.5, 2.625, 1.875, 2.0), abs=0.006)
    assert len(str(fractal.part((1 / 3, 2 / 3, 0, 1), (1 / 3, 0.4583, 0, 0.125))[0])) < 8


# --- colors ---------------------------------------------------------------------------------------


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE L*, 0 to 100, of sRGB from 0 to 1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = linear @ (0.2126, 0.7152, 0.0722)
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


def test_ramps_are_told_apart_by_hue_and_at_the_boundary_by_lightness():
    steps = np.linspace(0, 1, 50)
    blue, brown = CONVERGED(steps)[:, :3], DIVERGED(steps)[:, :3]
    assert (blue[:, 2] > blue[:, 0]).all()
    assert (brown[:, 0] > brown[:, 2]).all()
    assert (np.diff(lightness(blue)) > 0).all()
    assert (np.diff(lightness(brown)) < 0).all()
    assert lightness(brown[0]) - lightness(blue[0]) > 70


def test_shades_are_equalized_within_a_sign():
    random = np.random.default_rng(5)
    measure = np.where(random.random((40, 40)) < 0.3, -np.exp(9 * random.random((40, 40))), random.random((40, 40)))
    found = shades(measure)
    assert ((found[..., 2] > found[..., 0]) == (measure < 0)).all()
    for own in (measure < 0, measure >= 0):  # slowest first
        order = np.argsort(-np.abs(measure[own]))
        light = lightness(found[own][order] / 255)
        assert abs(np.diff(light)).max() < 3
    place = ranks(measure[measure < 0])
    np.testing.assert_allclose(np.sort(place), (np.arange(place.size) + 0.5) / place.size)
    assert len({tuple(c) for c in shades(np.full((4, 4), 2.5)).reshape(-1, 3)}) == 1
    gray = shades(np.array([[np.nan, 1.0], [1.0, -1.0]]))[0, 0]
    assert "#{:02x}{:02x}{:02x}".format(*gray) == UNKNOWN


# --- the command ----------------------------------------------------------------------------------

FEW = ["--size", "16", "--steps", "20", "--quiet", "--threads", "1"]


def test_pictures_are_made_once(tmp_path, capsys):
    command = ["tanh", *FEW, "--window", "0", "4", "1", "3", "--zoom", "1", "--out", str(tmp_path)]
    assert fractal.main(command) == 0
    first = capsys.readouterr().out
    assert len(first.splitlines()) == 2
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(names) == 4
    for name in names:
        if "-pixels" in name:
            with Image.open(tmp_path / name) as image:
                assert image.size == (16, 16)
    tables = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert len(tables) == 2
    assert fractal.main(command) == 0
    assert capsys.readouterr().out == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == tables


def test_the_smallest_ordinates_are_at_the_foot(tmp_path):
    fractal.main(["tanh", *FEW, "--out", str(tmp_path)])
    with Image.open(tmp_path / "tanh-pixels.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    blue = pixels[..., 2] > pixels[..., 0]
    assert blue[-1, :4].all()  # both rates of 10^-3
    assert not blue[0].any()  # an output rate of 10^6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tahn"], "did you mean 'tanh'"),
        (["--size", "1"], "--size 1: must be from 2 to"),
        (["--size", "many"], "--size"),
        (["--steps", "0"], "steps = 0"),
        (["--window", "2", "1", "0", "1"], "X0 < X1"),
        (["--window", "nan", "1", "0", "1"], "X0 < X1"),
        (["--window", "1", "1.000000000000001", "0", "1"], "too narrow"),
        (["--window", "0", "500", "0", "1"], "from -20 to 20"),
        (["--zoom", "-1"], "--zoom -1"),
        (["--seed", "-1"], "--seed -1"),
        (["--quick", "--record"], "--quick"),
        (["tanh", "relu", "--window", "0", "1", "0", "1"], "one condition"),
        (["--threads", "0", "--size", "8", "--steps", "2"], "threads = 0"),
    ],
)
def test_bad_arguments_are_one_line(arguments, words, capsys, tmp_path):
    try:
        status = fractal.main([*arguments, "--out", str(tmp_path)])
    except SystemExit as stopped:
        status = stopped.code
    told = capsys.readouterr()
    assert status == 2
    assert told.out == ""
    assert len(told.err.strip().splitlines()) == 1
    assert words in told.err


def test_it_runs_as_a_script_from_anywhere(tmp_path):
    command = [sys.executable, str(ROOT / "reports" / "fractal.py"), "identity", *FEW]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "results" / "fractal" / "identity.png").is_file()


# --- what is kept ---------------------------------------------------------------------------------


def test_the_page_is_that_of_the_records():
    records = json.loads(RECORDS.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(records)
    assert {path.stem for path in HERE.glob("*.png")} == set(records)
    for name, record in records.items():
        assert (HERE / f"{name}.png").stat().st_size < 400_000
        assert f"]({name}.png)" in page(records)
        assert record["condition"] in fractal.CONDITIONS


def test_the_widest_kept_window_within_a_picture_is_framed(monkeypatch):
    windows = {"a": (0, 4, 0, 4), "b": (1, 3, 1, 3), "c": (1.5, 2, 1.5, 2), "d": (2, 5, 1, 2)}
    kept = {name: {"condition": "tanh", "window": list(window)} for name, window in windows.items()}
    kept["e"] = {"condition": "relu", "window": [0.1, 3.9, 0.1, 3.9]}
    monkeypatch.setattr(fractal, "recorded", lambda: kept)
    framed = {
        name: fractal.next_window(fractal.Picture("tanh", window, np.zeros((2, 2)), 1, 0, {}, None))
        for name, window in windows.items()
    }
    assert framed == {"a": windows["b"], "b": windows["c"], "c": None, "d": None}


def test_windows_are_checked_before_anything_is_trained():
    with pytest.raises(UsageError, match="too narrow"):
        fractal.campaign_of("tanh", (0, 1e-13, 0, 1), 64)

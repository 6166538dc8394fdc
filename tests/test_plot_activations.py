"""Seeing activations: curves, figures, `gradsim plot`, and the table of `gradsim list activations`."""

from __future__ import annotations

import json
import re
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from activation_help import LAYERWISE, NAMES, OWN
from cli_help import complaint
from matplotlib.figure import Figure
from PIL import Image

from gradsim import plots
from gradsim.activations import ACTIVATIONS, get, registry
from gradsim.errors import UsageError
from gradsim.plots.activations import curve, steps, wave


@pytest.fixture
def table():
    """The table of activations; formulas that a test enters are gone afterwards."""
    before, aliases = dict(ACTIVATIONS), dict(registry._ALIASES)
    yield ACTIVATIONS
    for current, kept in ((ACTIVATIONS, before), (registry._ALIASES, aliases)):
        current.clear()
        current.update(kept)


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(mpl.text.Text) if t.get_visible() and t.get_text().strip()]


def curves_of(axes) -> list:
    """The lines that show functions: not the axes through 0, not the marks."""
    return [line for line in axes.lines if line.get_linestyle() != "None" and len(line.get_xdata()) > 2]


# --- curves ---------------------------------------------------------------------------------------


def test_a_curve_is_the_function_and_breaks_at_its_kinks():
    act = get("leaky_relu", slope=0.25)
    one = curve(act, -2, 3)
    assert (one.z[0], one.z[-1]) == (-2, 3)
    np.testing.assert_array_equal(one.value, np.where(one.z > 0, one.z, 0.25 * one.z))
    np.testing.assert_array_equal(one.kinks, [[0, 0, 0.25]])
    inside = one.z != 0
    np.testing.assert_array_equal(one.slope[inside], np.where(one.z > 0, 1, 0.25)[inside])
    assert np.isnan(one.slope[~inside]).all()
    # Both sides of the kink to the last bit.
    assert set(one.z) >= {np.nextafter(0, -1), np.nextafter(0, 1)}


def test_a_jump_is_a_gap_in_the_value():
    one = curve(get("binary_step"), -1, 1)
    at = np.searchsorted(one.z, 0)
    assert one.kinks[0].tolist() == [0, 1, 0]
    assert np.isnan(one.value[at])
    assert one.value[[at - 1, at + 1]].tolist() == [0, 1]


def test_saturated_zones_are_those_of_the_definition():
    ((a, b), (c, d)) = curve(get("tanh"), -5, 5).saturated
    edge = np.arctanh(np.sqrt(0.9))  # where 1 - tanh^2 is 0.1
    assert (a, d) == (-5, 5)
    assert -b == pytest.approx(edge, abs=0.006)
    assert c == pytest.approx(edge, abs=0.006)
    assert curve(get("relu"), -5, 5).saturated.tolist() == [[-5, 0]]
    assert curve(get("identity"), -5, 5).saturated.shape == (0, 2)


@pytest.mark.parametrize("name", LAYERWISE)
def test_layerwise_kinds_have_a_curve_and_say_of_what(name):
    one = curve(get(name), -4, 4, points=801)
    assert np.isfinite(one.value).all()
    assert np.ptp(one.value) > 0.5
    rise = np.gradient(one.value, one.z)
    corner = np.abs(np.diff(one.slope, prepend=one.slope[0], append=one.slope[-1])).reshape(-1)
    smooth = (corner[:-1] < 0.05) & (corner[1:] < 0.05)
    np.testing.assert_allclose(one.slope[smooth][2:-2], rise[smooth][2:-2], atol=2e-3)
    assert one.note


def test_two_softmax_units_are_a_sigmoid():
    one = curve(get("softmax"), -5, 5)
    np.testing.assert_allclose(one.value, get("sigmoid")(one.z), rtol=1e-12)
    np.testing.assert_allclose(one.slope, get("sigmoid").derivative(one.z), rtol=1e-12)
    np.testing.assert_array_equal(curve(get("maxout"), -5, 5).value, get("relu")(one.z))


# --- the figure -----------------------------------------------------------------------------------


def test_value_and_slope_side_by_side():
    figure = plots.activations(["relu", "tanh", get("elu", alpha=2.0)], -3, 3)
    value, slope = figure.axes
    for axes, part in ((value, "value"), (slope, "slope")):
        drawn = curves_of(axes)
        assert len(drawn) == 3
        for line, act in zip(drawn, (get("relu"), get("tanh"), get("elu", alpha=2.0)), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), getattr(curve(act, -3, 3), part))
        assert axes.get_xlim() == (-3, 3)
    assert {"relu", "tanh", "elu(alpha=2)", "value f(z)", "slope f'(z)", "pre-activation z"} <= set(texts(figure))
    looks = {(line.get_color(), str(line.get_linestyle())) for line in curves_of(value)}
    assert len(looks) == 3


def test_kinks_are_ringed_and_saturation_is_shaded():
    lone = plots.activations("relu")
    for axes in lone.axes:
        rings = [line for line in axes.lines if line.get_marker() == "o"]
        assert all((*line.get_xdata(), *line.get_ydata()) == (0, 0) for line in rings)
        assert len(rings) == 1 + (axes is lone.axes[1])
        (zone,) = axes.patches
        assert zone.get_extents().transformed(axes.transData.inverted()).intervalx.tolist() == pytest.approx([-5, 0])
    assert any("Shaded: saturated" in text for text in texts(lone))
    many = plots.activations(["relu", "tanh", "identity"])
    bars = [c for axes in many.axes for c in axes.collections]
    assert len(bars) == 2 * (1 + 2)
    assert any("Bars at the foot: saturated" in text for text in texts(many))
    assert not any("aturated" in text or "kink" in text for text in texts(plots.activations("identity")))


@pytest.mark.parametrize("name", OWN)
def test_every_activation_can_be_drawn_without_a_warning(name):
    figure = plots.activations([name])
    assert all(curves_of(axes) for axes in figure.axes)


def test_nothing_is_written_over_the_edge():
    longest = sorted(NAMES, key=len)[-7:]
    figure = plots.activations([*longest, "leaky_relu(slope=0.123456)"], -2, 7)
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert -0.01 < box.x0 < box.x1 < width + 0.01
    assert -0.01 < box.y0 < box.y1 < height + 0.01


def test_a_parameter_that_varies_has_ordered_colors_and_names():
    figure = plots.activations([f"leaky_relu(slope={a})" for a in (0.01, 0.1, 0.3)])
    assert {"slope = 0.01", "slope = 0.1", "slope = 0.3", "leaky_relu: value and slope"} <= set(texts(figure))
    shades = [mpl.colors.to_rgb(line.get_color()) for line in curves_of(figure.axes[0])]
    assert sum(shades[0]) < sum(shades[1]) < sum(shades[2])


def test_one_steep_function_does_not_press_the_others_flat():
    figure = plots.activations(["tanh", "sigmoid", "relu", "elu(alpha=900)"])
    low, high = figure.axes[0].get_ylim()
    assert -40 < low < -5 < 5 < high < 40
    assert any("elu(alpha=900) goes beyond the axes." in text for text in texts(figure))


def test_a_formula_is_drawn_beside_names(table):
    figure = plots.activations(["relu", "mine=z*sin(z)", "own(a=2)=tanh(a*z)", "z*cos(z)"])
    own = curves_of(figure.axes[0])[1:]
    z = own[0].get_xdata()
    np.testing.assert_allclose(own[0].get_ydata(), z * np.sin(z), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(own[1].get_ydata(), np.tanh(2 * z), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(own[2].get_ydata(), z * np.cos(z), rtol=1e-12, atol=1e-15)
    assert {"mine", "own", "z*cos(z)"} <= set(texts(figure))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["reluu"],), "unknown activation 'reluu'"),
        (([],), "0 activations: a figure shows 1 to 8"),
        ((["relu"] * 9,), "9 activations"),
        ((["relu"], 3, -3), "range = 3 to -3"),
        ((["relu"], 1, 1), "range = 1 to 1"),
        ((["relu"], float("nan"), 1), "range = nan to 1"),
        ((["relu"], -1e9, 1), "up to 1,000,000"),
        ((["relu"], "low", 1), "range = 'low' to 1"),
        ((["leaky_relu(slope=1e9)"],), "'slope' is 1e"),
        ((["mine=z*"],), "formula"),
        ((["relu=2*z"],), "taken"),
        ((5,), "activation 5"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(table, arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)) as refused:
        plots.activations(*arguments)
    assert "\n" not in str(refused.value)


# --- what a unit can do ---------------------------------------------------------------------------


def test_the_bias_moves_the_step_and_the_weight_sharpens_it():
    left, right = plots.unit_step().axes
    steepness = []
    for line in curves_of(left):
        x, h = line.get_data()
        assert h[x == 0].tolist() == [0.5]
        steepness.append(np.max(np.diff(h) / np.diff(x)))
    assert len(steepness) == 4
    np.testing.assert_allclose(steepness, np.array([1, 10, 100, 1000]) / 4, rtol=0.1)
    middles = [line.get_xdata()[np.argmin(np.abs(line.get_ydata() - 0.5))] for line in curves_of(right)]
    np.testing.assert_allclose(middles, [0, -0.1, -0.2, -0.3], atol=1e-4)
    shown = texts(left.figure)
    assert {"W = 1000", "b = 30"} <= set(shown)
    with pytest.raises(UsageError, match="weight = 0"):
        plots.unit_step(weight=0.0)


def test_more_steps_come_nearer():
    errors = [steps(wave, count).error for count in (5, 20, 80, 320)]
    # Flat pieces of width 1/n: the error falls as 1/n, and is at most the steepest rise over half a step.
    steepest = np.abs(np.diff(wave(np.linspace(0, 1, 100001)))).max() * 1e5
    for count, error, finer in zip((5, 20, 80), errors, errors[1:], strict=False):
        assert 0.2 < finer / error < 0.4
        assert error < 1.02 * steepest / (2 * count)
    figure = plots.staircase()
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        f"{count} steps: largest error {error:.3g}" for count, error in zip((5, 20, 80), errors, strict=False)
    ]
    target, stairs = figure.axes[0].lines
    assert np.abs(target.get_ydata() - stairs.get_ydata()).max() == errors[0]


def test_a_staircase_along_a_users_own_function():
    line = steps(lambda x: 2 * x - 1, 10)
    assert 0.08 < line.error < 0.1  # half a step's rise, but for the width of its slope
    figure = plots.staircase(lambda x: x**2, counts=(3,))
    assert len(figure.axes) == 1
    with pytest.raises(UsageError, match="steps = 0"):
        steps(wave, 0)


# --- gradsim plot ---------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plot_writes_a_picture_and_prints_its_name(cli, here):
    answer = cli("plot", "relu", "leaky_relu(slope=0.2)", "--range", "-3", "3")
    assert (answer.status, answer.err, answer.out) == (0, "", "relu-leaky_relu.png\n")
    with Image.open(here / "relu-leaky_relu.png") as picture:
        assert picture.width > 1500
        assert len(np.unique(np.asarray(picture.convert("RGB"))[::5, ::5].reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize(("suffix", "opening"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_plot_by_suffix_and_the_same_bytes_again(cli, here, suffix, opening):
    for name in ("a", "b"):
        assert cli("plot", "tanh", "-o", f"{name}{suffix}").out == f"{name}{suffix}\n"
    first, again = ((here / f"{name}{suffix}").read_bytes() for name in ("a", "b"))
    assert first.startswith(opening)
    assert first == again


def test_plot_the_pictures_that_teach(cli, here):
    assert cli("plot", "--unit-step").out == "unit_step.png\n"
    assert cli("plot", "--staircase", "--dark", "-o", "steps.png").out == "steps.png\n"
    with Image.open(here / "steps.png") as picture:
        assert max(picture.convert("RGB").getpixel((2, 2))) < 60


def test_plot_a_formula(cli, here, table):
    answer = cli("plot", "relu", "mine=z*sin(z)", "-o", "out.png")
    assert (answer.status, answer.err) == (0, "")
    assert (here / "out.png").stat().st_size > 10_000


def test_a_formulas_warning_is_one_line(cli, here, table):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        answer = cli("plot", "mine=(1-cos(z))/z/z", "-o", "out.png")
    assert (answer.status, answer.out) == (0, "out.png\n")
    (line,) = answer.err.splitlines()
    assert line.startswith("gradsim: formula '(1-cos(z))/z/z': the value is not finite")


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ((), ("either activations, or --unit-step, or --staircase",)),
        (("--unit-step", "--range", "0", "1"), ("--range: is of activations",)),
        (("relu", "--staircase"), ("either activations",)),
        (("--unit-step", "--staircase"), ("either activations",)),
        (("reluu",), ("unknown activation 'reluu'", "'relu'")),
        (("relu", "-o", "x.gif"), ("'x.gif'", ".png, .svg, .pdf")),
        (("relu", "-o", "x"), ("'x'", ".png")),
        (("relu", "--range", "3", "-3"), ("range = 3.0 to -3.0",)),
        (("relu", "--range", "3"), ("--range",)),
        (("relu", "--range", "a", "b"), ("--range", "number")),
        (("leaky_relu(slop=1)",), ("no parameter 'slop'", "'slope'")),
        (("mine=z*foo(z)",), ("foo",)),
        (("mine=__import__('os')",), ("formula",)),
    ],
)
def test_mistakes_in_plot_are_one_line(cli, here, table, arguments, fragments):
    complaint(cli("plot", *arguments), *fragments)
    assert not list(here.iterdir())


def test_a_folder_that_is_not_there(cli, here):
    complaint(cli("plot", "relu", "-o", "nowhere/x.png"), "nowhere/x.png", "a directory that exists")


# --- gradsim list activations ---------------------------------------------------------------------


def test_the_table_fits_100_columns_and_names_everything(cli):
    lines = cli("list", "activations").out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == f"{len(ACTIVATIONS)} activations"
    words = " ".join(lines)
    for act in ACTIVATIONS.values():
        assert act.name in words
    assert "slope=0.01" in words
    assert sum("saturates" in line for line in lines) == len({a.function.__module__ for a in ACTIVATIONS.values()})


def test_every_property_is_in_the_json(cli):
    rows = {row["name"]: row for row in json.loads(cli("list", "activations", "--json").out)}
    assert list(rows) == list(ACTIVATIONS)
    gelu = rows["gelu"]
    assert gelu["family"] == "smooth"
    assert gelu["range"] == [pytest.approx(-0.16997120747990369), "inf"]
    assert gelu["max_slope"] == pytest.approx(1.128904145185155)
    assert (gelu["smoothness"], gelu["saturates"], gelu["kinks"], gelu["monotonic"]) == ("inf", "low", [], False)
    assert gelu["description"].startswith("Gaussian error linear unit")
    leaky = rows["leaky_relu"]
    assert leaky["parameters"] == [{"name": "slope", "default": 0.01, "low": -1e6, "high": 1e6, "role": "fixed"}]
    assert (leaky["kinks"], leaky["smoothness"]) == ([0.0], 0.0)
    keys = {"aliases", "kind", "formula", "zero_centered", "steepest_at", "preactivations", "outputs", "reference"}
    for row in rows.values():
        assert keys <= set(row)
    assert rows["maxout"]["preactivations"] == 2
    assert rows["crelu"]["outputs"] == 2


def test_match_keeps_the_rows_that_hold_a_text(cli):
    answer = cli("list", "activations", "--match", "SHAZEER")
    assert answer.out.splitlines()[-1] == f"3 of {len(ACTIVATIONS)} activations"
    assert "reglu" in answer.out
    assert "relu6" not in answer.out
    rows = json.loads(cli("list", "activations", "-m", "shazeer", "--json").out)
    assert [row["name"] for row in rows] == ["reglu", "geglu", "swiglu"]
    assert cli("list", "activations", "-m", "no such text").out == f"0 of {len(ACTIVATIONS)} activations\n"
    assert "adam" not in cli("list", "losses", "-m", "cross").out
    assert json.loads(cli("list", "losses", "-m", "no such text", "--json").out) == []


def test_a_listing_compiles_nothing(cli, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("compiled")

    monkeypatch.setattr("gradsim.jit.callback", refuse)
    for arguments in ((), ("--json",)):
        assert cli("list", "activations", *arguments).status == 0

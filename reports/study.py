"""What a study is: a claim, a rule that decides it, runs, a figure and a verdict; and the page that shows them.

A study file defines `measure(bench)`, `decide(measured)` and `draw(measured)`, puts them into `STUDY = Study(...)` and
ends with `raise SystemExit(main(STUDY))`. reports/README.md says how to write one.
"""

from __future__ import annotations

import argparse
import base64
import dataclasses
import io
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

import gradsim as gs
from gradsim.analysis import bootstrap_interval, words
from gradsim.analysis.comparisons import final_losses, reached_at
from gradsim.errors import UsageError
from gradsim.plots.style import Pen, styled
from gradsim.report.files import put, written
from gradsim.versions import cpu_name, package_version

HERE = Path(__file__).resolve().parent
WORDS = ("holds", "holds only when", "does not hold")
PICTURE_DPI, SHOWN_ROWS = 110, 60


@dataclasses.dataclass(frozen=True)
class Number:
    """A number that the verdict rests on, with its interval where it has one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        ends = "" if self.low is None else f" ({words.span(self.low, self.high)})"
        return f"{words.number(self.value)}{ends}"


@dataclasses.dataclass(frozen=True)
class Beside:
    """A row of ours against the literature; `agree` is None where they are of different things."""

    quantity: str
    ours: str
    theirs: str
    source: str
    agree: bool | None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """`word` of WORDS, `when` it holds where that is not always, a sentence with the numbers that decide, all numbers,
    and rows beside the literature."""

    word: str
    sentence: str
    when: str = ""
    numbers: tuple[Number, ...] = ()
    beside: tuple[Beside, ...] = ()

    def __post_init__(self):
        if self.word not in WORDS:
            raise UsageError(f"verdict = {self.word!r}: allowed are {', '.join(WORDS)}")
        if (self.word == "holds only when") != bool(self.when):
            raise UsageError(f"verdict = {self.word!r}: give `when` with 'holds only when', and with nothing else")

    @property
    def headline(self) -> str:
        """`Holds.` or `Holds only when ...`."""
        text = f"{self.word} {self.when}".strip().rstrip(".")
        return text[0].upper() + text[1:] + "."


@dataclasses.dataclass(frozen=True)
class Study:
    """A claim and how it is put to the test.

    Attributes:
        name: of the file, the results directory and the picture.
        order: place in the gallery; the founding claims are 1 to 15, classics follow from 101 on.
        title, claim, source: the question, the claim in one sentence, and where it is made.
        rule: how the verdict follows from the numbers; written before the runs.
        varied: the axes and what was held fixed.
        measure: runs campaigns on a Bench; what it returns by name, frames and numbers, is all that follows looks at.
        decide, draw: of what was measured, the Verdict and the Figure.
        expected: the verdict's word as it is recorded; all.py fails where another one comes out.
    """

    name: str
    order: float
    title: str
    claim: str
    source: str
    rule: str
    varied: str
    measure: Callable[[Bench], dict[str, Any]]
    decide: Callable[[Mapping[str, Any]], Verdict]
    draw: Callable[[Mapping[str, Any]], Figure]
    expected: str | None = None


class Bench:
    """Where a study's campaigns run: `quick` or not, in a folder where finished ones are found again."""

    def __init__(self, folder: Path, quick: bool = False):
        self.folder, self.quick = folder, quick
        self.networks, self._trained, self._waited = 0, 0.0, 0.0
        self._begun = time.perf_counter()

    def pick(self, full: Any, quick: Any) -> Any:
        """One of two values: that of the full study, or that of the quick one."""
        return quick if self.quick else full

    def run(self, name: str, **fields: Any) -> gs.Results:
        """The results of a campaign of these fields. Its directory carries its digest: other fields, another one."""
        campaign = gs.Campaign(name=name, **{"store": "runs"} | fields)
        begun = time.perf_counter()
        results = campaign.run(self.folder / "runs" / f"{name}-{campaign.digest[:8]}", progress=sys.stderr.isatty())
        self._waited += time.perf_counter() - begun
        self._trained += results.info["seconds"]
        self.networks += campaign.runs
        for table in results.stored:
            setattr(results, table, _plain(getattr(results, table)))
        return results

    @property
    def seconds(self) -> float:
        """What the study takes when nothing of it was there before."""
        return time.perf_counter() - self._begun - self._waited + self._trained


def with_ends(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with `converged`, `steps` to the target, infinite where it is not reached, and `lost`, the final loss,
    infinite where the run diverged."""
    steps = np.nan_to_num(reached_at(runs), nan=np.inf)
    return runs.assign(converged=runs["outcome"].eq("converged"), steps=steps, lost=final_losses(runs))


def best_settings(runs: pd.DataFrame, by: Sequence[str], choice: Sequence[str]) -> pd.DataFrame:
    """Of each group the choice, columns of `runs`, that converges most often, of equals that with the fewest steps in
    the median, then that with the lowest loss; `share` is how often it converges."""
    settings = with_ends(runs).groupby([*by, *choice], sort=False, observed=True)
    frame = settings.agg(share=("converged", "mean"), steps=("steps", "median"), lost=("lost", "median")).reset_index()
    ranked = frame.sort_values(["share", "steps", "lost"], ascending=[False, True, True], kind="stable")
    return ranked.drop_duplicates(list(by))[[*by, *choice, "share"]]


def at_own_rate(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The runs of odd seeds, with their ends, each group at the learning rate that is best on even seeds: other seeds
    than those that chose it say how good it is."""
    runs = with_ends(runs)
    best = best_settings(runs[runs["seed"] % 2 == 0], by, ["learning_rate"]).drop(columns="share")
    return runs[runs["seed"] % 2 == 1].merge(best, on=[*by, "learning_rate"])


def middle(values: pd.Series) -> tuple[float, float, float]:
    """Median and its 95% bootstrap interval; missing values are left out."""
    values = values.dropna()
    return (float(values.median()), *bootstrap_interval(values))


def hollow(pen: Pen) -> dict[str, Any]:
    """Keywords for Axes.plot of a pen's second line: dotted, its markers empty."""
    return pen.line() | {"linestyle": ":", "markerfacecolor": "none", "markeredgecolor": pen.color}


def where(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows whose columns have these values."""
    return frame[np.logical_and.reduce([frame[name].eq(value) for name, value in values.items()])]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """With text as text: categories group, map and divide by rules of their own."""
    text = frame.select_dtypes("category")
    return frame.astype({name: text[name].cat.categories.dtype for name in text})


# --- running --------------------------------------------------------------------------------------


def conduct(study: Study, folder: Path, quick: bool = False) -> dict[str, Any]:
    """Measure, decide, draw and write `folder`/index.html, picture.png and tables; the record of the verdict."""
    with written(folder, "study"):
        folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(folder, quick)
    measured = study.measure(bench)
    verdict = study.decide(measured)
    record = record_of(study, verdict, bench)
    draw = styled(study.draw)
    light = draw(measured)
    pictures = {"light": png(light), "dark": png(draw(measured, theme="dark", like=light))}
    (folder / "picture.png").write_bytes(pictures["light"])
    frames = {name: frame for name, frame in measured.items() if isinstance(frame, pd.DataFrame)}
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    put(_page(record, pictures, frames), folder / "index.html")
    return record


def record_of(study: Study, verdict: Verdict, bench: Bench) -> dict[str, Any]:
    """All that the gallery says of a study, as plain values."""
    texts = {f: getattr(study, f) for f in ("name", "order", "title", "claim", "source", "rule", "varied", "expected")}
    return texts | {
        "word": verdict.word,
        "headline": verdict.headline,
        "sentence": verdict.sentence,
        "numbers": [dataclasses.asdict(n) | {"text": str(n)} for n in verdict.numbers],
        "beside": [
            dataclasses.asdict(row) | {"agree": None if row.agree is None else bool(row.agree)}
            for row in verdict.beside
        ],
        "networks": bench.networks,
        "seconds": round(bench.seconds, 1),
        "quick": bench.quick,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{cpu_name()}, {words.plural(os.cpu_count() or 1, 'core')}",
        "version": package_version("gradsim"),
    }


def main(study: Study, argv: list[str] | None = None) -> int:
    """The command line of a study; 1 where its verdict is not the recorded one, 2 where it could not run."""
    parser = argparse.ArgumentParser(description=f"{study.title} Claim: {study.claim}")
    parser.add_argument("--quick", action="store_true", help="a smaller grid that still decides")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"results (default: {default_folder(study.name)})")
    given = parser.parse_args(argv)
    folder = given.out or default_folder(study.name)
    try:
        record = conduct(study, folder, given.quick)
    except UsageError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(told(record), f"{folder / 'index.html'}", sep="\n")
    return int(not as_recorded(record))


def default_folder(name: str) -> Path:
    """Where a study's results go."""
    return Path("results") / "studies" / name


def as_recorded(record: Mapping[str, Any]) -> bool:
    """Whether the verdict is the one that is recorded, if one is."""
    return record["expected"] in (None, record["word"])


def told(record: Mapping[str, Any]) -> str:
    """A record in a few lines, for the terminal."""
    lines = [f"Claim:   {record['claim']} ({record['source']})", f"Rule:    {record['rule']}"]
    lines.append(f"Verdict: {record['headline']} {record['sentence']}")
    lines += [f"  {n['name']}: {n['text']}" for n in record["numbers"]]
    marks = {True: "agrees", False: "differs", None: ""}
    lines += [
        f"  {r['quantity']}: {r['ours']}; {r['source']}: {r['theirs']} {marks[r['agree']]}" for r in record["beside"]
    ]
    lines.append(f"{words.plural(record['networks'], 'network')}, {record['seconds']:.0f} s")
    if not as_recorded(record):
        lines.append(f"The recorded verdict is: {record['expected']}")
    return "\n".join(lines)


# --- the page -------------------------------------------------------------------------------------


def png(figure: Figure) -> bytes:
    """A figure as a palette PNG, a third of the size of full color."""
    raw, small = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="png", dpi=PICTURE_DPI)
    image = Image.open(raw).convert("RGB").quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    image.save(small, "PNG", optimize=True)
    return small.getvalue()


def _page(record: Mapping[str, Any], pictures: Mapping[str, bytes], frames: Mapping[str, pd.DataFrame]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
    )
    tables = [
        {"name": name, "columns": list(frame.columns), "rows": _cells(frame), "more": len(frame) - SHOWN_ROWS}
        for name, frame in frames.items()
    ]
    return environment.get_template("study.html.j2").render(r=record, pictures=uris(pictures), tables=tables)


def uris(pictures: Mapping[str, bytes]) -> dict[str, str]:
    """PNGs as a page holds them."""
    return {k: "data:image/png;base64," + base64.b64encode(v).decode("ascii") for k, v in pictures.items()}


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    return [[words.value(v) for v in row] for row in frame.head(SHOWN_ROWS).itertuples(index=False)]

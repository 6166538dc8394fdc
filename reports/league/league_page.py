"""The league's page: what to use in a few sentences, tables and figures, as HTML and as the Markdown that is kept."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import study
from league_figures import everybody, known, leaders
from league_words import answer, caveats, everywhere, marked, method, shapes, size, whole, with_interval
from markupsafe import Markup, escape
from standings import BASE, KNOWN, Field, deepest, standing

import gradsim
from gradsim.analysis import words
from gradsim.report.files import put

HERE = Path(__file__).resolve().parent
TEMPLATES = [HERE, Path(gradsim.__file__).parent / "report" / "templates"]
TOP = 10


@dataclasses.dataclass(frozen=True)
class Made:
    """What was run. search: all runs of the grid; fresh: those of the chosen settings from fresh seeds; choice: these
    settings; field: the numbers that rank; cost: of step_times; seconds: of all training threads, by the clock."""

    search: pd.DataFrame
    fresh: pd.DataFrame
    choice: pd.DataFrame
    field: Field
    cost: pd.DataFrame
    seconds: float
    date: str
    machine: str
    version: str

    @cached_property
    def standings(self) -> dict[str, pd.DataFrame]:
        """The table of each league, and of all tasks under "all"."""
        more = deepest(self.field).merge(self.cost, on="activation")
        found = {name: standing(self.field.of(name)) for name in self.field.leagues} | {"all": standing(self.field)}
        return {name: frame.merge(more, on="activation") for name, frame in found.items()}

    @property
    def leagues(self) -> dict[str, pd.DataFrame]:
        """The tables without that of all tasks."""
        return {name: self.standings[name] for name in self.field.leagues}

    @cached_property
    def answers(self) -> list[str]:
        """What to use: a sentence or some for each kind of networks."""
        found = [
            answer(f"{name.capitalize()} networks ({shapes(self.field.of(name).tasks)})", frame)
            for name, frame in self.leagues.items()
        ]
        return [*found, everywhere(self.leagues)] if len(found) > 1 else found

    @cached_property
    def pictures(self) -> dict[str, dict[str, bytes]]:
        """The figures as PNG, on light and dark paper."""
        found = {}
        for name, (draw, arguments, _) in figures(self).items():
            light = draw(*arguments)
            pair = {"light": light, "dark": draw(*arguments, theme="dark", like=light)}
            found[name] = {theme: study.png(figure) for theme, figure in pair.items()}
        return found

    @property
    def networks(self) -> int:
        """How many were trained."""
        return len(self.search) + len(self.fresh)


# --- tables ---------------------------------------------------------------------------------------

HEADS = ("", "activation", "place", "trains", "steps, ReLU 1", "window", "dead", "saturated", "step time", "test")
LEGEND = (
    "Place: mean over tasks and seeds of the place among all, by steps to the target, then by final loss; in bold who "
    "may be the first. Trains: share of networks that reach the target. Steps: to the target over ReLU's of the same "
    "seed, where both reach it, geometric mean. Window: decades of learning rate at which it trains, the share summed "
    "over rates. Dead: share of hidden units that no datum moves at the end; saturated: of slopes under a tenth of the "
    "largest; a dash where the slope has no bound. Step time: processor time over ReLU's. Test: accuracy on the sets "
    "of classes. In parentheses 95% intervals."
)


def _row(position: int, row: pd.Series) -> list[str]:
    place = with_interval(row, "place", whole)
    return [
        str(position),
        marked(row["activation"]),
        f"**{place}**" if row["first"] else place,
        with_interval(row, "trained", words.percent),
        with_interval(row, "steps"),
        with_interval(row, "window"),
        words.percent(row["dead"]),
        words.percent(row["saturated"]),
        words.number(float(row["cost"])),
        words.percent(row["test"]),
    ]


def rows_of(frame: pd.DataFrame, top: int | None = TOP) -> list[list[str]]:
    """The first of a league and the best known, as text; all where `top` is None."""
    wanted = np.ones(len(frame), bool)
    if top is not None:
        wanted = (np.arange(len(frame)) < top) | frame["activation"].isin(KNOWN).to_numpy()
    return [_row(k + 1, frame.iloc[k]) for k in np.flatnonzero(wanted)]


CRITERIA = {  # column -> (in words, whether more is better, how it is written)
    "place": ("place", False, whole),
    "trained": ("share that trains at the best setting", True, words.percent),
    "any": ("share that trains at any setting", True, words.percent),
    "steps": ("steps to the target, ReLU 1", False, words.number),
    "window": ("window of learning rates, decades", True, words.number),
    "layers": ("depth tolerated, mean over sets", True, words.number),
    "dead": ("dead units at the end", False, words.percent),
    "saturated": ("saturated slopes at the end", False, words.percent),
    "cost": ("time of a step, ReLU 1", False, words.number),
}
SHOWN = (BASE, "tanh", "sigmoid")


def criteria(frame: pd.DataFrame) -> dict[str, list]:
    """Who is first by each criterion, of those that train as often as ReLU, and how many overlap with it."""
    trains = frame[frame["trained"] >= frame.loc[frame["activation"].eq(BASE), "trained"].iloc[0]]
    shown = [frame[frame["activation"].eq(name)].iloc[0] for name in SHOWN if frame["activation"].eq(name).any()]
    heads = ["criterion, all tasks", "first", "as good", "first of the best known", *(x["activation"] for x in shown)]
    rows = []
    for name, (title, more, write) in CRITERIA.items():
        some = trains.dropna(subset=[name, f"{name}_low"]).sort_values([name, "place"], ascending=[not more, True])
        if some.empty:
            continue
        best = some.iloc[0]
        low, high = best[f"{name}_low"], best[f"{name}_high"]
        alike = (some[f"{name}_low"] <= high) & (some[f"{name}_high"] >= low)
        usual = some[some["activation"].isin(KNOWN)].iloc[0]
        cells = [f"{one['activation']} {with_interval(one, name, write)}" for one in (best, usual)]
        values = [with_interval(one, name, write) for one in shown]
        rows.append([title, cells[0], words.count(int(alike.sum()) - 1), cells[1], *values])
    return {"heads": heads, "rows": rows}


# --- figures and pages ----------------------------------------------------------------------------


def figures(made: Made) -> dict[str, tuple[Callable, tuple, str]]:
    """Name -> (function, arguments, what is to be seen)."""
    first, usual = (
        words.join(f"{name} {frame['activation'].iloc[0]}" for name, frame in tables.items())
        for tables in (made.leagues, _known_only(made.leagues))
    )
    kinds = list(made.leagues.values())
    return {
        "leaders": (leaders, (made.leagues,), f"The first of each league by mean place; {first}."),
        "known": (known, (made.leagues,), f"The best known by league; first: {usual}."),
        "everybody": (
            everybody,
            (kinds[0], kinds[min(1, len(kinds) - 1)], made.standings["all"]),
            "Places in shallow against deep networks, and against what a step costs, of all activations.",
        ),
    }


def _known_only(leagues: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {name: frame[frame["activation"].isin(KNOWN)] for name, frame in leagues.items()}


def content(made: Made, command: str) -> dict[str, object]:
    """All that the page says, for either form."""
    tables = [("All tasks", "all", made.standings["all"])]
    tables += [
        (f"{name.capitalize()}: {shapes(made.field.of(name).tasks)}", name, frame)
        for name, frame in made.leagues.items()
    ]
    return {
        "answers": made.answers,
        "size": size(made),
        "command": command,
        "count": len(made.field.names),
        "known": len(set(KNOWN) & set(made.field.names)),
        "top": TOP,
        "criteria": criteria(made.standings["all"]),
        "heads": HEADS,
        "legend": LEGEND,
        "tables": [{"title": t, "id": i, "rows": rows_of(f), "all": rows_of(f, None)} for t, i, f in tables],
        "method": method(made),
        "caveats": caveats(made),
        "alts": {name: alt for name, (_, _, alt) in figures(made).items()},
    }


def _environment(autoescape: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )


def _marked_up(text: str) -> Markup:
    """The page's few marks of Markdown as HTML: **bold** and `code`."""
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", str(escape(text)))
    return Markup(re.sub(r"`(.+?)`", r"<code>\1</code>", text))


def write_page(made: Made, path: Path, command: str) -> Path:
    """Write the page as one HTML file that needs no other; its path."""
    pictures = {name: study.uris(pair) for name, pair in made.pictures.items()}
    environment = _environment(True)
    environment.filters["marked_up"] = _marked_up
    style = Markup(environment.loader.get_source(environment, "style.css")[0])
    text = environment.get_template("league.html.j2").render(**content(made, command), pictures=pictures, style=style)
    return put(text, path)


def write_record(made: Made, folder: Path, command: str) -> None:
    """Keep the page as README.md, with its pictures and the table of all, standings.csv."""
    for name, pair in made.pictures.items():
        (folder / f"{name}.png").write_bytes(pair["light"])
    frames = [frame.assign(league=name) for name, frame in made.standings.items()]
    table = pd.concat(frames)[["league", *frames[0].columns[:-1]]]
    table.to_csv(folder / "standings.csv", index=False, float_format="%.3g")
    text = _environment(False).get_template("league.md.j2").render(**content(made, command))
    (folder / "README.md").write_text(text, encoding="utf-8")

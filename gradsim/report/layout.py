"""What a page is made of: sections of exhibits, each a figure with its finding, its caption and its data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from gradsim.analysis import words
from gradsim.analysis.verdict import Facts
from gradsim.report.tables import Table


@dataclass(frozen=True)
class Exhibit:
    """A figure: file name, the finding it shows (its alt text too), how to read it, its data, how to draw it (a partial
    of a function of `gradsim.plots`, so that it can be pickled); `data`: the exhibit whose data these are, if not its
    own."""

    name: str
    finding: str
    caption: str
    frame: pd.DataFrame
    draw: Callable[..., Figure]
    percent: Sequence[str] = ()
    keys: Sequence[str] = ()
    data: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with an opening sentence, exhibits and tables; `absent` says why there are none."""

    id: str
    title: str
    intro: str = ""
    exhibits: list[Exhibit] = field(default_factory=list)
    tables: list[tuple[str, Table]] = field(default_factory=list)
    absent: str = ""


def pooled(facts: Facts, by: Sequence[str | None]) -> str:
    """ "Pooled over learning rate and seed." for what a comparison by `by` leaves out."""
    rest = [words.axis_name(axis) for axis in facts.axes if axis not in by]
    return f"Pooled over {words.join(rest)}." if rest else ""


def widest(effects: pd.DataFrame, share: str, what: str) -> str:
    """ "The depth makes the widest difference: from 3% dead (2) to 40% (20)." of a table with a row for every value of
    every axis; `share` is its column, of what is `what`."""
    spread = effects.groupby("axis", sort=False)[share].agg(lambda shares: shares.max() - shares.min())
    ends = effects[effects["axis"].eq(spread.idxmax())]
    low, high = ends.loc[ends[share].idxmin()], ends.loc[ends[share].idxmax()]
    return (
        f"The {words.axis_name(spread.idxmax())} makes the widest difference: from {words.percent(low[share])} {what} "
        f"({words.value(low['value'])}) to {words.percent(high[share])} ({words.value(high['value'])})."
    )

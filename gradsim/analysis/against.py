"""Two campaigns run by run: pairs of equal settings and seeds, and what the rest of the settings changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.axes import comparison_axes, setting_columns
from gradsim.analysis.groups import group_codes
from gradsim.analysis.intervals import CONFIDENCE, bootstrap_interval
from gradsim.analysis.settings import SCORES, score_column
from gradsim.errors import UsageError
from gradsim.outcomes import OUTCOMES

_SIDES = ("_before", "_after")


@dataclass(frozen=True)
class Pairs:
    """Runs of two campaigns side by side.

    Attributes:
        frame: a row a pair: the settings that both share, then the columns of results with "_before" and "_after".
        changed: setting -> (value before, value after), of those that are one value in each campaign.
        unpaired: how many runs have no partner, before and after.
        axes: the shared settings that vary, in grid order.
    """

    frame: pd.DataFrame
    changed: dict[str, tuple[Any, Any]]
    unpaired: tuple[int, int]
    axes: list[str]


def pair_runs(before: pd.DataFrame, after: pd.DataFrame, axes: Sequence[str]) -> Pairs:
    """Pair the runs of two campaigns by all settings but those that tell the campaigns as wholes apart.

    before, after: `results.runs`; axes: of both, in grid order. Raises UsageError where nothing can be paired.
    """
    shared = [name for name in setting_columns(before) if name in setting_columns(after)]
    texts = [_comparable(runs, shared) for runs in (before, after)]
    changed = {}
    for name in shared:
        a, b = (text[name].unique() for text in texts)
        if len(a) == len(b) == 1 and a[0] != b[0]:
            changed[name] = (before[name].iloc[0], after[name].iloc[0])
    keys = [name for name in shared if name not in changed]
    for text, which in zip(texts, ("first", "second"), strict=True):
        if text.duplicated(keys).any():
            own = [n for n in axes if n not in shared or n in changed] or ["what they vary"]
            raise UsageError(f"the {which} campaign has several runs for one of the other's; they differ in {own[0]}")
    places = [text[keys].assign(place=np.arange(len(text))) for text in texts]
    joined = places[0].merge(places[1], on=keys, suffixes=_SIDES)
    if joined.empty:
        apart = [name for name in keys if not set(texts[0][name]) & set(texts[1][name])]
        why = f"; no {words.axis_name(apart[0])} is in both" if apart else ""
        raise UsageError(f"the campaigns have no run of equal settings and seed{why}")
    sides = [
        runs.iloc[joined[f"place{side}"]].reset_index(drop=True)
        for runs, side in zip((before, after), _SIDES, strict=True)
    ]
    results = [name for name in before if name in after and name not in shared]
    suffixed = [side[results].add_suffix(suffix) for side, suffix in zip(sides, _SIDES, strict=True)]
    frame = pd.concat([sides[0][keys], *suffixed], axis=1)
    n = len(frame)
    return Pairs(frame, changed, (len(before) - n, len(after) - n), [a for a in axes if a in keys])


def _comparable(runs: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Settings as values that are equal where they are: text for categories, a word for none."""
    columns = {}
    for name in names:
        values = runs[name].astype(object)
        columns[name] = values.where(values.notna(), "not set")
    return pd.DataFrame(columns)


def paired_difference(gained: Any, lost: Any, n: Any, confidence: float = CONFIDENCE) -> tuple[Any, Any, Any]:
    """Difference of two shares of the same n cases, and its interval: (difference, low, high).

    gained: cases only in the second, lost: only in the first. With p = (gained + 1)/(n + 2), q = (lost + 1)/(n + 2):
    p - q -+ z sqrt((p + q - (p - q)^2)/(n + 2)); the difference itself is (gained - lost)/n.
    Source: D. G. Bonett and R. M. Price, J. Educ. Behav. Stat. 37 (2012) 479.
    """
    gained, lost, n = (np.asarray(a, float) for a in (gained, lost, n))
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, q = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = z * np.sqrt((p + q - (p - q) ** 2) / (n + 2))
    return (gained - lost) / n, np.maximum(p - q - half, -1.0), np.minimum(p - q + half, 1.0)


def convergence_change(pairs: Pairs, by: Sequence[str] = ()) -> pd.DataFrame:
    """Change of the share of runs that converged: n, before, after (runs), gained, lost, change, low, high."""
    codes, frame = group_codes(pairs.frame, by)
    before, after = (pairs.frame[f"outcome{side}"].eq("converged").to_numpy(bool) for side in _SIDES)
    n = len(frame)
    frame["n"] = np.bincount(codes, minlength=n)
    for name, which in (("before", before), ("after", after), ("gained", after & ~before), ("lost", before & ~after)):
        frame[name] = np.bincount(codes[which], minlength=n)
    frame["change"], frame["low"], frame["high"] = paired_difference(frame["gained"], frame["lost"], frame["n"])
    return frame


def axis_changes(pairs: Pairs) -> pd.DataFrame:
    """`convergence_change` by every value of every shared axis, all else pooled: axis, value, n, ..."""
    parts = []
    for axis in comparison_axes(pairs.frame, pairs.axes, rates=True):
        part = convergence_change(pairs, [axis]).rename(columns={axis: "value"}).astype({"value": object})
        part.insert(0, "axis", axis)
        parts.append(part)
    columns = ["axis", "value", "n", "before", "after", "gained", "lost", "change", "low", "high"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def outcome_moves(pairs: Pairs) -> pd.DataFrame:
    """How many runs went from which outcome to which: a row each, columns before, after, n, share."""
    sides = [pairs.frame[f"outcome{side}"].astype(str) for side in _SIDES]
    table = pd.crosstab(*sides).reindex(index=list(OUTCOMES), columns=list(OUTCOMES), fill_value=0)
    rows = [(a, b, int(table.loc[a, b])) for a in OUTCOMES for b in OUTCOMES if table.loc[a, b]]
    frame = pd.DataFrame(rows, columns=["before", "after", "n"]).sort_values("n", ascending=False, kind="stable")
    return frame.assign(share=frame["n"] / len(pairs.frame)).reset_index(drop=True)


def median_ratio(pairs: Pairs, column: str) -> tuple[int, float, float, float]:
    """(n, median, low, high) of after/before over pairs in which both numbers are positive and finite."""
    before, after = _numbers(pairs, column)
    both = np.isfinite(before) & np.isfinite(after) & (before > 0) & (after > 0)
    ratio = after[both] / before[both]
    return (len(ratio), float(np.median(ratio)), *bootstrap_interval(ratio)) if len(ratio) else (0, *[np.nan] * 3)


def _numbers(pairs: Pairs, column: str) -> list[np.ndarray]:
    """A column before and after; NaN where there is no number."""
    return [pairs.frame[f"{column}{side}"].to_numpy(float, na_value=np.nan) for side in _SIDES]


def change_findings(pairs: Pairs) -> list[str]:
    """What changed, in sentences with intervals: of all pairs, then where the change is largest."""
    return [text for _, text in change_verdict(pairs)]


def change_verdict(pairs: Pairs) -> list[tuple[str, str]]:
    """`change_findings`, each sentence with its topic in a word or two."""
    found = [("Pairs", _pairs_sentence(pairs)), ("Converged", _convergence_sentence(convergence_change(pairs).iloc[0]))]
    for topic, column, told, who in (
        ("Speed", "steps_to_target", "Steps to the target", "that converge in both"),
        ("Loss", "final_loss", "The final training loss", "with a finite loss in both"),
    ):
        n, middle, low, high = median_ratio(pairs, column)
        if n:
            whom = f"{words.plural(n, 'pair')} {who} (95% interval {words.span(low, high)})"
            found.append((topic, f"{told}: {words.number(middle)} times as before in the median of {whom}."))
    return [*found, *_score_sentence(pairs), *_axis_sentences(pairs)]


def _pairs_sentence(pairs: Pairs) -> str:
    names = [f"{words.axis_name(k)}: {words.value(a)} → {words.value(b)}" for k, (a, b) in pairs.changed.items()]
    what = f"that differ in one setting ({names[0]})" if len(names) == 1 else "of equal settings"
    what = f"that differ in {words.join(names)}" if len(names) > 1 else what
    text = f"{words.plural(len(pairs.frame), 'pair')} of runs {what}, with the same seeds."
    alone = zip(pairs.unpaired, ("before", "after"), strict=True)
    left = [f"{words.count(n)} {side}" for n, side in alone if n]
    return f"{text} Runs without a partner: {words.join(left)}." if left else text


def _convergence_sentence(row: pd.Series) -> str:
    n = int(row["n"])
    if not row["gained"] and not row["lost"]:
        return f"The same runs converge in both: {words.count(row['before'])} of {words.count(n)}."
    return (
        f"{_shares(row)}; {words.plural(int(row['gained']), 'run')} only after, "
        f"{words.plural(int(row['lost']), 'run')} only before."
    )


def _shares(row: pd.Series) -> str:
    """ "45% converged before, 62% after: +17 points (95% interval +15 to +19)"."""
    before, after = (words.percent(row[side] / row["n"]) for side in ("before", "after"))
    change, low, high = (f"{100 * row[name]:+.3g}".replace("-", "−") for name in ("change", "low", "high"))
    return f"{before} converged before, {after} after: {change} points (95% interval {low} to {high})"


def _score_sentence(pairs: Pairs) -> list[tuple[str, str]]:
    score = score_column(pairs.frame.rename(columns=lambda c: c.removesuffix("_after")))
    if score is None or f"{score}_before" not in pairs.frame:
        return []
    before, after = _numbers(pairs, score)
    both = pairs.frame["outcome_before"].eq("converged") & pairs.frame["outcome_after"].eq("converged")
    gain = (after - before)[both.to_numpy(bool)]
    gain = gain[np.isfinite(gain)]
    if not len(gain):
        return []
    middle, low, high = (f"{x:+.3g}".replace("-", "−") for x in (np.median(gain), *bootstrap_interval(gain)))
    whom = f"{words.plural(len(gain), 'pair')} that converge in both (95% interval {low} to {high})"
    return [("Score", f"{SCORES[score].capitalize()}: {middle} in the median of {whom}.")]


def _axis_sentences(pairs: Pairs) -> list[tuple[str, str]]:
    """Where the change is largest and surely not zero, upward and downward."""
    table = axis_changes(pairs)
    if table["change"].nunique() < 2:
        return []
    out = []
    for way, sure, pick in (("gained", table["low"] > 0, "idxmax"), ("lost", table["high"] < 0, "idxmin")):
        if sure.any():
            row = table.loc[getattr(table.loc[sure, "change"].astype(float), pick)()]
            value = words.axis_value(row["axis"], row["value"])
            out.append((f"Most {way}", f"Most is {way} with {value}: {_shares(row)}."))
    return out

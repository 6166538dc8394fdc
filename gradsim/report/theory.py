"""Theory beside measurement: what mean-field theory expects before the first step, and what was recorded there.

Theory is of the engine's kind, with compiled activations: imported when the section is made, never before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gradsim import analysis, plots
from gradsim.analysis import words
from gradsim.analysis.comparisons import final_losses
from gradsim.analysis.verdict import Facts
from gradsim.errors import GradsimError
from gradsim.report.layout import Exhibit, Section

STATISTICS = {
    "preactivation_std": "the standard deviation of pre-activations is",
    "delta_rms": "delta_rms is",
    "gradient_rms": "gradient_rms is",
}
LINES, PANELS = 5, 3
"""The most lines in a panel and rows of panels: a setting takes a tenth of a second, and campaigns have hundreds."""

WHOLE = " looks at whole layers"
"""How a reason of theory's silence ends that several activations share."""

ID, TITLE = "theory", "Theory beside measurement"
INTRO = (
    "Mean-field theory follows the data through layers of random weights: it knows the activation, the loss, and the "
    "mean and variance of the weights, and trains nothing. It is exact for infinitely wide layers; narrow ones "
    "fluctuate by about 1/width a layer, so that points leave their lines with depth over width."
)


def theory_section(results: Any, facts: Facts) -> Section:
    """Measured statistics at step 0 over theory's lines, for the settings that converge most often."""
    if not hasattr(results.campaign, "plan"):
        return Section(ID, TITLE, absent="These results hold no campaign that theory could read.")
    try:
        return _section(results, facts)
    except (GradsimError, OSError) as error:
        return Section(ID, TITLE, absent=f"Theory could not be worked out: {' '.join(str(error).split())}.")


def _section(results: Any, facts: Facts) -> Section:
    from gradsim.theory.campaigns import compare, settings_columns, silence

    keys, why = settings_columns(results), silence(results)
    untold = _untold(facts.runs.loc[why.ne("").to_numpy(), keys], why[why.ne("")])
    if why.ne("").all():
        return Section(ID, TITLE, INTRO, absent=untold)
    runs, panels, choice = _choice(facts.runs[why.eq("").to_numpy()], keys)
    beside = compare(results, runs)
    beside = beside[beside["statistic"].isin(STATISTICS)].reset_index(drop=True)
    if beside["n"].sum() == 0:
        return Section(ID, TITLE, INTRO, absent="No run has a finite record before its first step.")
    read = "Lines: expected. Points: measured, the mean over networks with a bootstrap 95% interval; learning rates, "
    read += "optimizers and the like make no difference yet."
    exhibit = Exhibit(
        "theory",
        _finding(beside, keys),
        " ".join(filter(None, [read, choice, untold])),
        beside,
        partial(plots.theory_over_measurement, beside, [*STATISTICS], panels),
        (),
        keys,
    )
    return Section(ID, TITLE, INTRO, [exhibit])


def _choice(runs: pd.DataFrame, keys: Sequence[str]) -> tuple[pd.DataFrame, str | None, str]:
    """The runs of a few settings, the column that has a panel for each of its values, and how they were chosen."""
    varied = [key for key in keys if runs[key].nunique(dropna=False) > 1]
    if not varied:
        return runs, None, ""
    axes = analysis.layer_axes(runs, varied) or varied[:1]
    said = []
    for key, most in [*((key, 1) for key in varied if key not in axes), *zip(axes, (LINES, PANELS), strict=False)]:
        best = _ranked(runs, key)
        kept = best[:most]
        if len(kept) < len(best):
            named = words.join(words.axis_value(key, value) for value in kept)
            noun = words.axis_name(key)
            said.append(f"only {named}" if most == 1 else f"{len(kept)} of {words.plural(len(best), noun)}")
            runs = runs[runs[key].isin(kept) | (runs[key].isna() & kept.isna().any())]
    how = f"Shown: {words.join(said)}, those that converge most often." if said else ""
    return runs, axes[1] if len(axes) > 1 else None, how


def _ranked(runs: pd.DataFrame, key: str) -> pd.Index:
    """Values of a column, those that converge most often first; of equals those with the lowest median loss."""
    told = runs.assign(failed=runs["outcome"].ne("converged"), lost=final_losses(runs))
    groups = told.groupby(key, sort=False, dropna=False, observed=True)
    table = pd.DataFrame({"failed": groups["failed"].mean(), "lost": groups["lost"].median()})
    return table.sort_values(["failed", "lost"], kind="stable").index


def _finding(beside: pd.DataFrame, keys: Sequence[str]) -> str:
    """How far measured means are from theory at most, a clause a statistic, and in how many intervals it lies."""
    rows = beside[beside["expected"].gt(0) & beside["measured"].gt(0)]
    if rows.empty and beside["expected"].eq(0).any():
        return "Theory and measurement agree: every statistic is 0."
    if rows.empty:
        return "Theory expects nothing finite of these networks: their means are infinite, or too large to compute."
    rows = rows.assign(off=np.abs(np.log(rows["measured"] / rows["expected"])))
    told = []
    for name in STATISTICS:
        mine = rows[rows["statistic"].eq(name)]
        if len(mine):
            row = mine.loc[mine["off"].idxmax()]
            where = f"{words.setting(row, keys)}, layer {int(row['layer'])}" if keys else f"layer {int(row['layer'])}"
            told.append(f"{STATISTICS[name]} {_apart(row['measured'] / row['expected'])} ({where})")
    found = f"Farthest from theory: {words.join(told)}."
    rows = rows[rows["low"].lt(rows["high"])]  # of one network, or of equal ones, there is no interval
    if rows.empty:
        return found
    held = rows["expected"].between(rows["low"], rows["high"]).sum()
    return f"{found} Theory's value lies in {words.count(held)} of {words.plural(len(rows), 'interval')}."


def _apart(ratio: float) -> str:
    """Measured over expected: "5% above", "3.2 times it", "0.4% below"."""
    if not 0.5 < ratio < 2:
        return f"at {words.number(ratio)} times it"
    return f"{words.percent(abs(ratio - 1))} {'above' if ratio > 1 else 'below'}"


def _untold(settings: pd.DataFrame, why: pd.Series) -> str:
    """Where theory says nothing, and why."""
    reasons = why.drop_duplicates().tolist()
    if not reasons:
        return ""
    count = len(settings.drop_duplicates()) if len(settings.columns) else 1
    whole = [reason.removesuffix(WHOLE) for reason in reasons if reason.endswith(WHOLE)]
    told = [reason for reason in reasons if not reason.endswith(WHOLE)]
    if whole:
        named = [*whole[:4], f"{len(whole) - 4} more"] if whole[5:] else whole
        told.append(f"{words.join(named)} {'look' if whole[1:] else 'looks'} at whole layers")
    return f"Theory has nothing to say of {words.plural(count, 'setting')}: {words.join(told)}."

"""The verdict of a campaign in at most ten plain sentences, each with its numbers and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.axes import comparison_axes, rate_axis, setting_axes
from gradsim.analysis.comparisons import (
    convergence_rate,
    fates,
    learning_rate_windows,
    median_frame,
    outcome_counts,
)
from gradsim.analysis.groups import group_codes
from gradsim.analysis.intervals import wilson_interval
from gradsim.analysis.layers import dead_units, delta_ratio, final_hidden_share, mean_share
from gradsim.analysis.settings import (
    SCORES,
    axis_effects,
    best_settings,
    diagnosis_counts,
    evidence,
    hopeless_settings,
    hopeless_words,
    score_column,
)
from gradsim.results import LOOKED_AT

LIMIT = 10
# In the place of statistics that a campaign does not keep: those that sentences are about, of no run.
_NO_LAYERS = pd.DataFrame(
    {name: pd.Series(dtype=float) for name in ("step", "layer", "saturated_low", "saturated_high", "dead", "delta_rms")}
).assign(run_id=pd.Series(dtype=str))


@dataclass(frozen=True)
class Facts:
    """What sentences and sections look at; each table is computed once, when it is first asked for."""

    runs: pd.DataFrame
    layers: pd.DataFrame
    axes: list[str]
    drawn_from: int | None = None

    @classmethod
    def of(cls, results: Any) -> Facts:
        layers = results.layers if "layers" in results.stored else _NO_LAYERS
        return cls(results.runs, layers, list(results.axes), getattr(results, "drawn_from", None))

    @cached_property
    def settings(self) -> pd.DataFrame:
        return best_settings(self.runs, self.axes)

    @cached_property
    def hopeless(self) -> pd.DataFrame:
        return hopeless_settings(self.runs, self.axes)

    @cached_property
    def effects(self) -> pd.DataFrame:
        return axis_effects(self.runs, self.axes)

    @cached_property
    def diagnoses(self) -> pd.DataFrame:
        return diagnosis_counts(self.runs, self.axes)

    @cached_property
    def rate(self) -> str | None:
        return rate_axis(self.runs, self.axes)

    @cached_property
    def main(self) -> list[str]:
        """Up to two axes to compare by, learning rates left out."""
        return comparison_axes(self.runs, self.axes)[:2]

    @cached_property
    def two_sided(self) -> list[str]:
        """Activations seen saturated on both sides; a rectifier's zero half is saturated by definition."""
        low, high = (final_hidden_share(self.layers, self.runs, [f"saturated_{side}"]) for side in ("low", "high"))
        table = pd.DataFrame({"low": low, "high": high}).groupby(self.runs["activation"].astype(str), sort=False)
        return table.mean().query("low > 0.005 and high > 0.005").index.tolist()

    @property
    def converged(self) -> int:
        return int(self.runs["outcome"].eq("converged").sum())


def findings(results: Any) -> list[str]:
    """At most ten sentences that say what a campaign found; true for any grid, one run included.

    Order: how many converged, the best choice of the main axes, the best setting, what never converged, why
    runs failed, the effect of the initializer (or of the strongest axis), the learning rate, saturation,
    dead units, the error signal. A sentence that would compare nothing is left out.
    `results`: runs, layers (DataFrames), axes and stored, as Results has them.
    """
    return [text for _, text in verdict(Facts.of(looked_at(results)))]


def looked_at(results: Any) -> Any:
    """Results, or a sample of them where there are too many to be looked at."""
    return results.sample(LOOKED_AT) if hasattr(results, "sample") else results


def verdict(facts: Facts) -> list[tuple[str, str]]:
    """`findings`, each sentence with its topic in a word or two."""
    if facts.runs.empty:
        return [("Overall", "No run has finished yet, so there is nothing to compare.")]
    return [(topic, text) for topic, write in _SENTENCES if (text := write(facts))][:LIMIT]


_ENDED = {"learning": "were still learning", "stalled": "stalled", "diverged": "diverged"}


def _overall(facts: Facts) -> str:
    text = _outcome(facts)
    if facts.drawn_from is None:
        return text
    return f"Of {words.count(facts.drawn_from)} runs {words.count(len(facts.runs))} were drawn at random. {text}"


def _outcome(facts: Facts) -> str:
    if len(facts.runs) == 1:
        return _only_run(facts.runs.iloc[0])
    n, outcomes = len(facts.runs), outcome_counts(facts.runs)
    rest = outcomes[(outcomes["outcome"] != "converged") & (outcomes["n"] > 0)]
    others = words.join(
        f"{words.percent(row.share)} {_ENDED.get(row.outcome, row.outcome)}" for row in rest.itertuples()
    )
    interval = f"95% interval {words.span(*wilson_interval(facts.converged, n), words.percent)}"
    if not facts.converged:
        ended = f"all of them {_ENDED[rest['outcome'].iloc[0]]}" if len(rest) == 1 else others
        return f"None of the {words.count(n)} runs converged ({interval}): {ended}."
    targets = facts.runs["target_loss"].dropna().unique()
    goal = f"a training loss of {words.number(targets[0])}" if len(targets) == 1 else "their target loss"
    if facts.converged == n:
        return f"All {words.count(n)} runs converged ({interval}), that is, reached {goal}."
    return (
        f"{words.percent(facts.converged / n)} of the {words.count(n)} runs converged "
        f"({words.count(facts.converged)}; {interval}), that is, reached {goal}; {others}."
    )


def _only_run(run: pd.Series) -> str:
    score = next((name for name in SCORES if name in run and not pd.isna(run[name])), None)
    numbers = [f"target {words.number(run['target_loss'])}"]
    if np.isfinite(run["final_loss"]):
        numbers.insert(0, f"final training loss {words.number(run['final_loss'])}")
    if score:
        numbers.append(f"{SCORES[score]} {words.number(run[score])}")
    told = ", ".join(numbers)
    if run["outcome"] == "converged":
        when = "" if pd.isna(run["steps_to_target"]) else f" at step {words.count(run['steps_to_target'])}"
        return f"The one run converged: it reached the target loss{when} ({told})."
    verb = "was still learning when it ended" if run["outcome"] == "learning" else run["outcome"]
    return f"The one run {verb} ({told}); diagnosis {fates(run.to_frame().T).iloc[0]}, {evidence(run)}."


def _combination(facts: Facts) -> str:
    by = facts.main
    table = convergence_rate(facts.runs, by)
    if table["rate"].nunique() < 2 or len(table) == len(facts.settings):
        return ""
    table = table.sort_values("low", ascending=False, kind="stable")
    best = table.iloc[0]
    rivals = int((table["high"].iloc[1:] >= best["low"]).sum())
    pooled = [words.axis_name(axis) for axis in setting_axes(facts.axes) if axis not in by]
    text = f"Pooled over {words.join(pooled)}, {words.setting(best, by)} converges most often"
    if alike := int(table["low"].iloc[1:].eq(best["low"]).sum()):
        text += ", as does one other" if alike == 1 else f", as do {words.count(alike)} others"
    text += f": {words.rate(best['converged'], best['n'])}"
    if rivals:
        whose = f"all {words.count(rivals)} others" if rivals == len(table) - 1 else f"{words.count(rivals)} others"
        text += f"; the intervals of {'one other' if rivals == 1 else whose} overlap with it"
    return f"{text}."


def _best(facts: Facts) -> str:
    if len(facts.runs) == 1:
        return ""
    if not facts.converged:
        return _closest(facts)
    best, total = facts.settings.iloc[0], len(facts.settings)
    score = score_column(facts.runs)
    steps = scored = among = ""
    if not pd.isna(best["steps"]):
        steps = f" in a median of {words.number(best['steps'])} steps"
        if best["converged"] > 1:
            steps += f" (95% interval {words.span(best['steps_low'], best['steps_high'])})"
    if score and not pd.isna(best["score"]):
        scored = f", with a median {SCORES[score]} of {words.number(best['score'])}"
    if total == 1:
        return f"The runs that converged did so{steps}{scored}." if steps else ""
    full = int(facts.settings["rate"].eq(1).sum())
    if full > 1:
        which = f"all {words.count(total)}" if full == total else f"the {words.count(full)} of {words.count(total)}"
        among = f"; it is the fastest of {which} settings without a failure"
    name = words.setting(best, setting_axes(facts.axes))
    rate = words.rate(best["converged"], best["n"])
    return f"The best single setting is {name}: {rate} converge{steps}{scored}{among}."


def _closest(facts: Facts) -> str:
    closest = facts.settings.sort_values("loss", kind="stable").iloc[0]
    if not np.isfinite(closest["loss"]):
        return "No setting kept the loss finite in more than half of its runs."
    ends = words.span(closest["loss_low"], closest["loss_high"])
    text = f"The lowest median final loss is {words.number(closest['loss'])} (95% interval {ends})"
    if len(facts.settings) > 1:
        text += f", with {words.setting(closest, setting_axes(facts.axes))}"
    target = facts.runs["target_loss"].dropna().unique()
    return f"{text}; the target is {words.number(target[0])}." if len(target) == 1 else f"{text}."


def _never(facts: Facts) -> str:
    if not facts.converged or facts.converged == len(facts.runs):
        return ""
    rows = facts.hopeless
    if rows.empty:
        return "Every setting converged at least once."
    shown = rows[rows["keys"].map(len) <= 2].iloc[:4]
    if shown.empty:
        shown = rows.iloc[:2]
    parts = []
    for row in shown.to_dict("records"):
        share = "" if row["diagnosed"] == row["n"] else f"{words.percent(row['diagnosed'] / row['n'])} "
        parts.append(f"{hopeless_words(row)} (0 of {words.count(row['n'])}, {share}{row['diagnosis']})")
    more = len(rows) - len(shown)
    if more:
        parts.append(words.plural(more, "narrower combination"))
    return f"Never converged: {words.join(parts)}."


def _killers(facts: Facts) -> str:
    failed = len(facts.runs) - facts.converged
    if not failed or len(facts.runs) == 1:
        return ""
    table = facts.diagnoses
    if len(table) == 1:
        whom = words.plural(failed, "run")
        return f"The diagnosis of the {whom} that did not converge is {table['diagnosis'].iloc[0]}."
    parts = [f"{row.diagnosis} {words.percent(row.share)} ({words.count(row.n)})" for row in table.itertuples()]
    return f"What stopped the {words.count(failed)} runs that did not converge: {words.join(parts)}."


def _lever(facts: Facts) -> str:
    table = facts.effects
    names = [axis for axis in table["axis"].unique() if axis != facts.rate]
    if not names or facts.converged in (0, len(facts.runs)):
        return ""
    spread = table.groupby("axis")["rate"].agg(lambda rate: rate.max() - rate.min())
    axis = "initializer" if "initializer" in names else max(names, key=lambda name: spread[name])
    values = table[table["axis"] == axis].sort_values("rate", kind="stable")
    worst, best = values.iloc[0], values.iloc[-1]
    told = "; ".join(
        f"{words.rate(row['converged'], row['n'])} converge with {words.axis_value(axis, row['value'])}"
        for row in (best, worst)
    )
    if worst["high"] >= best["low"]:
        return f"The effect of the {words.axis_name(axis)} is not clear, the intervals overlap: {told}."
    most = " most of all axes" if len(spread) > 1 and spread.idxmax() == axis else ""
    return f"The {words.axis_name(axis)} matters{most}: {told}."


def _window(facts: Facts) -> str:
    if not facts.rate or not facts.converged:
        return ""
    best = learning_rate_windows(facts.runs, (), facts.rate)["best"].iloc[0]
    there = facts.runs.loc[facts.runs[facts.rate].eq(best), "outcome"].eq("converged")
    alike = facts.effects.query("axis == @facts.rate")["rate"].nunique() == 1
    most = f"most often at {words.axis_value(facts.rate, best)}"
    where = f"equally often at every {words.axis_name(facts.rate)}" if alike else most
    text = f"All else pooled, runs converge {where}: {words.rate(there.sum(), len(there))}"
    table = learning_rate_windows(facts.runs, facts.main, facts.rate).dropna(subset=["lowest"])
    table = table[(table["lowest"] < table["highest"]) & (table["lowest"] > 0)]
    if len(table) and facts.main:
        wide = table.loc[(table["highest"] / table["lowest"]).idxmax()]
        ends = [end for end in ("low", "high") if wide[f"open_{end}"]]
        edge = {0: "", 1: f", the {' and '.join(ends)}est tried", 2: ", all that was tried"}[len(ends)]
        gaps = f", with {words.plural(wide['gaps'], 'gap')}" if wide["gaps"] else ""
        text += "; the widest range in which at least half converge is that of "
        text += f"{words.setting(wide, facts.main)}: {words.span(wide['lowest'], wide['highest'])}{edge}{gaps}"
    return f"{text}."


def _interval(row: pd.Series) -> str:
    return f" (95% interval {words.span(row['low'], row['high'], words.percent)})" if row["n"] > 1 else ""


def _saturation(facts: Facts) -> str:
    picked = facts.runs["activation"].astype(str).isin(facts.two_sided).to_numpy()
    if not picked.any():
        return ""
    share = final_hidden_share(facts.layers, facts.runs, ["saturated_low", "saturated_high"])
    table = mean_share(share[picked], facts.runs[picked], ["activation"]).sort_values("mean", kind="stable")
    most, least = table.iloc[-1], table.iloc[0]
    text = f"Of all pre-activations in hidden layers of {most['activation']}, {words.percent(most['mean'])} are "
    text += f"saturated at the end{_interval(most)}"
    if len(table) > 1:
        text += f", the most among activations that flatten on both sides; with {least['activation']} it is "
        text += f"{words.percent(least['mean'])}{_interval(least)}"
    return f"{text}."


def _dead(facts: Facts) -> str:
    # Units that zeros never told apart are all dead or none: they would drown what the learning rate does.
    runs = facts.runs[fates(facts.runs).ne("symmetric")]
    table = dead_units(facts.layers, runs, ["activation"], facts.rate)
    if table.empty:
        return ""
    worst = table.loc[table["mean"].idxmax()]
    if worst["mean"] == 0:
        return "No hidden unit is dead at the end."
    if worst["mean"] < 0.02:
        most = f"{words.percent(worst['mean'])}{_interval(worst)}"
        return f"Hidden units hardly die: the share dead at the end is at most {most} in every group compared."
    at = f" at {words.axis_value(facts.rate, worst[facts.rate])}" if facts.rate else ""
    text = f"Of the hidden units of {worst['activation']}{at}, {words.percent(worst['mean'])} are dead at the end"
    text += _interval(worst)
    peers = table[table["activation"].eq(worst["activation"])]
    least = peers.loc[peers["mean"].idxmin()]
    if least["mean"] < worst["mean"]:
        text += f"; at {words.value(least[facts.rate])} it is {words.percent(least['mean'])}"
    left_out = ["symmetric runs"] if len(runs) < len(facts.runs) else []
    left_out += ["runs that ended non-finite"] if table["n"].sum() < len(runs) else []
    return f"{text}{f' (not counting {words.join(left_out)})' if left_out else ''}."


def _flow(facts: Facts) -> str:
    ratio = delta_ratio(facts.layers, facts.runs)
    measured = facts.runs[ratio.notna()]
    if measured.empty:
        return ""
    codes, table = group_codes(measured, facts.main)
    table = median_frame(ratio.dropna().to_numpy(), codes, table, "ratio")
    lost, alive = table[table["ratio"].eq(0)], table[table["ratio"].gt(0)].sort_values("ratio", kind="stable")
    text = "At step 0 the error signal at the first layer is "
    if alive.empty:
        return f"{text}exactly 0 in the median run: no weight of that layer can move."
    weak, strong = alive.iloc[0], alive.iloc[-1]
    ends = f" (median; 95% interval {words.span(weak['ratio_low'], weak['ratio_high'])})" if len(measured) > 1 else ""
    text += f"{words.number(weak['ratio'])} times that at the output layer{ends}"
    if len(table) > 1:
        text += f" with {words.setting(weak, facts.main)}"
    if len(alive) > 1:
        ends = words.span(strong["ratio_low"], strong["ratio_high"])
        text += f", {words.number(strong['ratio'])} times ({ends}) with {words.setting(strong, facts.main)}"
    if len(lost):
        name = words.setting(lost.iloc[0], facts.main) if len(lost) == 1 else words.plural(len(lost), "choice")
        text += f", and exactly 0 with {name}"
    return f"{text}."


_SENTENCES: tuple[tuple[str, Callable[[Facts], str]], ...] = (
    ("Overall", _overall),
    ("Most forgiving", _combination),
    ("Best setting", _best),
    ("Hopeless", _never),
    ("Failures", _killers),
    ("Effect", _lever),
    ("Learning rate", _window),
    ("Saturation", _saturation),
    ("Dead units", _dead),
    ("Error signal", _flow),
)

"""Telling runs on the page: what their layers hold at a few moments, and how their losses and layers went."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from gradsim import analysis, plots
from gradsim.analysis import words
from gradsim.analysis.verdict import Facts
from gradsim.report.layout import Exhibit, Section
from gradsim.report.replays import Replays, replay_runs


@dataclass(frozen=True)
class Examples:
    """One run that converged and one a diagnosis: which, their rows, and what training some again has shown."""

    chosen: pd.DataFrame
    runs: pd.DataFrame
    replays: Replays

    @classmethod
    def of(cls, results: Any, facts: Facts) -> Examples:
        chosen = analysis.telling_runs(facts.runs, facts.axes, facts.diagnoses)
        runs = facts.runs[facts.runs["run_id"].isin(chosen["run_id"])]
        runs = runs.set_index("run_id").loc[chosen["run_id"]].reset_index()
        return cls(chosen, runs, replay_runs(results, runs, chosen["fate"].tolist()))

    def skipped(self) -> str:
        """Which runs were not trained again, and why, in sentences."""
        fates = dict(zip(self.chosen["run_id"].astype(str), self.chosen["fate"], strict=True))
        reasons: dict[str, list[str]] = {}
        for run_id, why in self.replays.why.items():
            reasons.setdefault(why, []).append(fates[run_id])
        return " ".join(
            f"Not trained again: the example{'s' if kinds[1:] else ''} of {words.join(kinds)} ({why})."
            for why, kinds in reasons.items()
        )

    def table(self, results: Any, name: str) -> pd.DataFrame | None:
        """Rows of "curves" or "layers" of these runs: of replays, which miss no step, else those that were kept."""
        again = getattr(self.replays, name)
        parts = list(again.values())
        if name in results.stored:
            kept = getattr(results, name)
            missing = [run_id for run_id in self.runs["run_id"].astype(str) if run_id not in again]
            parts.append(kept[kept["run_id"].isin(missing)].astype({"run_id": str}) if missing else kept.iloc[:0])
        return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True) if parts else None


_TITLE = "Activations"
_INTRO = (
    "What hidden layers hand on, sample by sample and unit by unit, in runs trained again for this page: one that "
    "converged and one a diagnosis. Layers alike from first to last pass the data on; spikes at a bound are saturated "
    "units, a spike at one value is a layer that no longer tells samples apart."
)


def activations_section(examples: Examples) -> Section:
    """Histograms of activations by layer and time, of replayed runs."""
    frame = analysis.activation_histograms(examples.chosen, examples.runs, examples.replays.histograms)
    if frame.empty:
        why = "The networks have no hidden layer, so there is nothing to show here."
        return Section("activations", _TITLE, absent=examples.skipped() if examples.runs["depth"].any() else why)
    caption = "Each run's layers upward, moments rightward; the line is 0. Values of the probe set."
    exhibit = Exhibit(
        "activation_histograms",
        _finding(frame, examples),
        f"{caption} {examples.skipped()}",
        frame,
        partial(plots.activation_histograms, frame),
        ("share",),
    )
    return Section("activations", _TITLE, _INTRO, [exhibit])


def _finding(frame: pd.DataFrame, examples: Examples) -> str:
    """How wide the last hidden layer's activations are at both ends, a clause a run."""
    told = []
    for run_id, rows in frame.groupby("run_id", sort=False):
        layers = examples.replays.layers[run_id]
        last = layers[layers["layer"].eq(rows["layer"].max())].set_index("step")["activation_std"]
        first, end = rows["step"].min(), rows["step"].max()
        text = f"{rows['fate'].iloc[0]}: {words.number(last[first])}"
        told.append(text + (f", then {words.number(last[end])} at step {words.count(end)}" if end > first else ""))
    return f"Standard deviation of the last hidden layer's activations at the start and at the end. {'; '.join(told)}."


def courses_exhibit(results: Any, examples: Examples) -> Exhibit | None:
    """Loss and telling statistic of the example runs; None where no curve is to be had."""
    curves = examples.table(results, "curves")
    if curves is None:
        return None
    frame = analysis.example_courses(examples.chosen, examples.runs, curves, examples.table(results, "layers"))
    told = [f"{row.fate}: {row.evidence}" for row in examples.chosen.itertuples()]
    return Exhibit(
        "example_runs",
        f"One run of each kind, by what shows it. {'; '.join(told)}.",
        "Left: batch loss, the mean since the record before; a cross where it is finite no more. Right: the statistic "
        "of hidden layers that the diagnosis looks at. The runs are those of the table.",
        frame,
        partial(plots.example_courses, frame),
    )

"""How the numbers were made: the question, the networks, definitions, provenance."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.axes import REPLICATES, setting_axes, setting_columns
from gradsim.analysis.comparisons import outcome_counts
from gradsim.fields import Thresholds

UNKNOWN = "not recorded"


def question(results: Any) -> str:
    """The campaign's question in one line, from its axes."""
    names = [words.axis_name(axis) for axis in setting_axes(results.axes)]
    data = results.runs["dataset"].unique()
    on = f"on {data[0]}" if len(data) == 1 else "on each data set"
    network = network_text(results.runs)
    if not names:
        return f"Does {network} train {on}, and if not, why?"
    which = f"Which {names[0]} trains" if len(names) == 1 else f"Which combination of {words.join(names)} trains"
    return f"{which} {network} {on}?"


def network_text(runs: pd.DataFrame) -> str:
    """The networks in words: "a network of 5 hidden layers of 32 units"."""
    shapes = runs["hidden"].astype(str).unique()
    if len(shapes) > 1:
        return "a multilayer perceptron"
    depth = int(runs["depth"].iloc[0])
    if depth == 0:
        return "a linear model"
    widths = shapes[0].split("-")
    layers = words.plural(depth, "hidden layer")
    if len(set(widths)) == 1:
        return f"a network of {layers} of {words.plural(int(widths[0]), 'unit')}"
    return f"a network of {layers} ({' - '.join(widths)} units)"


def setup_line(results: Any) -> str:
    """What was trained, in a line: how many networks, steps, batch, loss, optimizer."""
    runs = results.runs
    parts = [words.plural(len(runs), "network")]
    for name, text in (
        ("steps", "{} steps"),
        ("batch_size", "batches of {}"),
        ("loss", "{}"),
        ("optimizer", "{}"),
    ):
        values = runs[name].unique()
        if len(values) == 1:
            shown = words.count(values[0]) if name in ("steps", "batch_size") else str(values[0]).replace("_", " ")
            parts.append(text.format(shown))
    return " · ".join(parts)


def thresholds(results: Any) -> Thresholds:
    """Where the campaign's outcomes and diagnoses begin; the defaults where there is no campaign to ask."""
    return getattr(results.campaign, "thresholds", None) or Thresholds()


def tiles(results: Any) -> list[dict[str, Any]]:
    """Outcome counts for the first screen: name, count, share as text and as a number."""
    counts = outcome_counts(results.runs)
    meaning = {
        "converged": "reached the target loss",
        "learning": "still improving at the end",
        "stalled": f"gained under {words.percent(thresholds(results).stalled)} over the last third",
        "diverged": "loss not finite, or far above its start",
    }
    return [
        {
            "name": row.outcome,
            "count": words.count(row.n),
            "share": words.percent(row.share),
            "width": round(100 * row.share, 3),
            "meaning": meaning.get(row.outcome, ""),
        }
        for row in counts.itertuples()
    ]


def provenance(results: Any) -> list[tuple[str, str]]:
    """Where the numbers come from: data, seeds, machine, time, versions."""
    info, runs = dict(results.info or {}), results.runs
    samples = [info.get(f"{part}_samples") for part in ("train", "test")]
    sizes = f"{words.count(samples[0])} to train, {words.count(samples[1])} to test" if all(samples) else UNKNOWN
    machine = [str(info["cpu"])] if info.get("cpu") else []
    machine += [words.plural(int(info["cores"]), "core")] if info.get("cores") else []
    versions = ", ".join(f"{name} {version}" for name, version in dict(info.get("versions") or {}).items())
    seconds = f"{words.number(float(info['seconds']))} s" if info.get("seconds") else UNKNOWN
    data = str(info.get("data") or words.join(map(str, runs["dataset"].unique())))
    return [
        ("Data", f"{data} (synthetic)" if info.get("real") is False else data),
        ("Networks", str(info.get("networks") or network_text(runs))),
        ("Task", str(info.get("task") or UNKNOWN)),
        ("Samples", sizes),
        *((words.axis_name(name).capitalize(), _seeds(runs[name])) for name in REPLICATES if name in runs),
        ("Wall time", seconds),
        ("Machine", ", ".join(machine) or UNKNOWN),
        ("Date", _day(str(info.get("date") or UNKNOWN))),
        ("Versions", versions or UNKNOWN),
    ]


def _day(iso: str) -> str:
    """A moment as people write it, where it is one."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if moment.tzinfo else f"{moment:%Y-%m-%d %H:%M}"


def _seeds(values: pd.Series) -> str:
    kinds = sorted(values.dropna().unique())
    if len(kinds) == 1:
        return words.value(kinds[0])
    return f"{len(kinds)} values, {words.value(kinds[0])} to {words.value(kinds[-1])}"


def fixed_settings(results: Any) -> list[tuple[str, str]]:
    """The settings that all runs share."""
    runs = results.runs
    rows = []
    for name in setting_columns(runs):
        told = name in ("depth", "width", *REPLICATES)  # by hidden, and among where the numbers come from
        # Of rates that differ by layer there is no one number.
        if not told and name not in results.axes and runs[name].nunique() == runs[name].nunique(dropna=False) == 1:
            value = runs[name].iloc[0]
            rows.append((words.axis_name(name), words.value(value) if str(value) else "none"))
    return rows


def varied_settings(results: Any) -> list[tuple[str, str]]:
    """The axes with their values, long lists cut with their count."""
    rows = []
    for axis in results.axes:
        values = [words.value(v) for v in results.runs[axis].drop_duplicates()]
        text = ", ".join(values[:16]) + (f" and {len(values) - 16} more" if len(values) > 16 else "")
        rows.append((words.axis_name(axis), text))
    return rows


def definitions(results: Any) -> list[tuple[str, str]]:
    """What the page's words mean, with the campaign's own target and thresholds."""
    begins, target = thresholds(results), getattr(results.campaign, "target", None)
    share = "a share" if target is None else words.percent(target)
    constant = "from the least loss that there can be to that of the best constant prediction"
    times = words.number(begins.diverged)
    return [
        ("converged", f"the full training loss reached the target, {share} of the way {constant}"),
        ("diverged", f"the final full training loss is not finite, or over {times} times the one at step 0"),
        ("stalled", f"under {words.percent(begins.stalled)} relative gain in loss over the last third of the steps"),
        *_DEFINITIONS,
    ]


_DEFINITIONS = (
    ("learning", "none of these: the loss was still falling"),
    ("steps to target", "the first step with the full loss, or the mean of an epoch's last batches, at the target"),
    ("saturated", "the share of (sample, unit) pairs whose slope is under a tenth of the activation's largest slope"),
    ("dead", "the share of units whose slope is under 1e-7 for every sample of the probe set"),
    ("delta_rms", "the root mean square of delta = dLoss/dz, z the pre-activations of a layer"),
    ("probe set", "the first training samples, as many as the setting probe_samples says; layers are measured on it"),
    ("rates", "shares of runs with Wilson's score interval, 95%"),
    ("medians and means", "with a percentile bootstrap interval, 95%, 1,000 seeded resamples; runs are the unit"),
    ("choosing the best", "intervals hold for each row alone; the best of many looks better than it is"),
)

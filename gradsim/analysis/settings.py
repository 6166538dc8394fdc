"""Settings ranked: which to recommend, which are hopeless, what each axis does, and what stopped the rest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.axes import comparison_axes, setting_axes
from gradsim.analysis.comparisons import (
    convergence_rate,
    fate_counts,
    fates,
    final_losses,
    group_codes,
    median_frame,
)
from gradsim.analysis.intervals import wilson_interval

SCORES = {"test_accuracy": "test accuracy", "test_r2": "test R²"}


def score_column(runs: pd.DataFrame) -> str | None:
    """The column of the test score: "test_accuracy", "test_r2", or None where neither was measured."""
    return next((name for name in SCORES if name in runs and runs[name].notna().any()), None)


def best_settings(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """All settings (seeds pooled), best first.

    Order: lower end of the Wilson interval of the convergence rate, then median steps to target of the runs
    that converged, then median final loss (diverged = infinite). Columns: the setting axes, n, converged,
    rate, low, high, steps, steps_low, steps_high, loss, loss_low, loss_high, score (median test score).
    """
    by = [axis for axis in setting_axes(axes) if axis in runs]
    frame = convergence_rate(runs, by)
    codes, _ = group_codes(runs, by)
    reached = runs["outcome"].eq("converged").to_numpy(bool)
    steps = np.where(reached, runs["steps_to_target"].to_numpy(float, na_value=np.nan), np.nan)
    frame = median_frame(steps, codes, frame, "steps")
    frame = median_frame(final_losses(runs), codes, frame, "loss")
    score = score_column(runs)
    values = runs[score].astype(float).groupby(codes).median() if score else np.nan
    frame["score"] = values.to_numpy() if score else np.nan
    order = frame.sort_values(
        ["low", "steps", "loss"], ascending=[False, True, True], kind="stable", na_position="last"
    )
    return order.reset_index(drop=True)


def hopeless_settings(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """What never converged, in as few words as possible.

    First the single values of an axis under which no run converged, then the pairs of values, then whole
    settings; a candidate whose runs are all covered by those before it is left out. Columns: what (text),
    keys (dict), n, high (upper end of the Wilson interval), diagnosis (most frequent), diagnosed (its runs).
    """
    names = comparison_axes(runs, axes, rates=True)
    failed = runs["outcome"].ne("converged").to_numpy(bool)
    if failed.all():
        return _hopeless_frame(runs, [({}, np.arange(len(runs)))]) if len(runs) else _hopeless_frame(runs, [])
    covered = np.zeros(len(runs), bool)
    rows: list[tuple[dict[str, Any], np.ndarray]] = []
    sizes = [size for size in (1, 2) if size < len(names)] + [len(names)]
    for size in sizes:
        level = covered.copy()
        for by in combinations(names, size):
            codes, keys = group_codes(runs, by)
            total = np.bincount(codes, minlength=len(keys))
            lost = np.bincount(codes[failed], minlength=len(keys))
            known = np.bincount(codes[covered], minlength=len(keys))
            for code in np.flatnonzero((lost == total) & (known < total)):
                members = np.flatnonzero(codes == code)
                level[members] = True
                rows.append((keys.iloc[code].to_dict(), members))
        covered = level
        rows = _drop_repeats(rows, len(runs))
    return _hopeless_frame(runs, rows)


def _drop_repeats(rows: list[tuple[dict, np.ndarray]], n: int) -> list[tuple[dict, np.ndarray]]:
    """Leave out entries whose runs the others, larger first, already cover (zipped axes say a thing twice)."""
    covered, kept = np.zeros(n, bool), []
    for keys, members in sorted(rows, key=lambda row: (len(row[0]), -row[1].size)):
        if not covered[members].all():
            covered[members] = True
            kept.append((keys, members))
    return kept


def _hopeless_frame(runs: pd.DataFrame, rows: list[tuple[dict, np.ndarray]]) -> pd.DataFrame:
    fate = fates(runs).to_numpy()
    out = []
    for keys, members in rows:
        kinds, counts = np.unique(fate[members], return_counts=True)
        top = int(counts.argmax())
        what = words.setting(keys, list(keys)) if keys else "every setting tried"
        high = wilson_interval(0, members.size)[1]
        out.append((what, keys, members.size, high, str(kinds[top]), int(counts[top])))
    return pd.DataFrame(out, columns=["what", "keys", "n", "high", "diagnosis", "diagnosed"])


def axis_effects(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Convergence rate by value of every varying axis, all else pooled: axis, value, n, converged, rate, low, high."""
    parts = []
    for axis in comparison_axes(runs, axes, rates=True):
        part = convergence_rate(runs, [axis])
        part.insert(0, "axis", axis)
        parts.append(part.rename(columns={axis: "value"}).astype({"value": object}))
    columns = ["axis", "value", "n", "converged", "rate", "low", "high"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def diagnosis_counts(runs: pd.DataFrame, axes: Sequence[str] = ()) -> pd.DataFrame:
    """Why runs did not converge: diagnosis, n, share of those runs, and a typical one as the example.

    The example has the middle `diagnosis_value` of its kind: columns example (run_id), setting, evidence.
    Most frequent first; diagnoses that no run has are left out.
    """
    failed = runs[runs["outcome"].ne("converged")]
    counts = fate_counts(failed) if len(failed) else pd.DataFrame({"fate": [], "n": [], "share": []})
    counts = counts[counts["n"] > 0].sort_values("n", ascending=False, kind="stable")
    fate = fates(failed)
    examples = [_typical(failed[fate.eq(kind)]) for kind in counts["fate"]]
    frame = counts.rename(columns={"fate": "diagnosis"}).reset_index(drop=True)
    names = [axis for axis in axes if axis in runs]
    frame["example"] = [run["run_id"] for run in examples]
    frame["setting"] = [words.setting(run, names) for run in examples]
    frame["evidence"] = [evidence(run) for run in examples]
    return frame


def _typical(runs: pd.DataFrame) -> pd.Series:
    ranked = runs.assign(_value=runs["diagnosis_value"].astype(float)).sort_values(
        ["_value", "run_id"], na_position="last", kind="stable"
    )
    known = int(ranked["_value"].notna().sum())
    return ranked.iloc[max(known - 1, 0) // 2]


def evidence(run: pd.Series) -> str:
    """The number that shows a run's diagnosis, in words: "layer 0: delta_rms 3e-12 of the last layer's"."""
    layer, number = run["diagnosis_layer"], run["diagnosis_value"]
    where = "" if pd.isna(layer) or layer < 0 else f"layer {int(layer)}: "
    kind, broken, text = fates(run.to_frame().T).iloc[0], run["first_nonfinite_step"], ""
    if kind in _EVIDENCE and not pd.isna(number):
        share = words.percent(number) if 0 <= number <= 1 else words.number(number)
        text = where + _EVIDENCE[kind].format(number=words.number(number), share=share)
    if kind == "exploding" and not pd.isna(broken):
        text = f"loss not finite from step {int(broken)} on{'; before, ' + text if text else ''}"
    if text:
        return text
    ended = f"final loss {words.number(run['final_loss'])}, {words.number(run['initial_loss'])} at the start"
    if pd.isna(run["gain"]):
        return where + ended
    return f"{where}{ended}; relative gain {words.number(run['gain'])} over the last third of the steps"


_EVIDENCE = {
    "exploding": "delta_rms {number} times the last layer's",
    "dead": "{share} of its units are dead",
    "symmetric": "{share} of its units are distinct",
    "saturated": "{share} of (sample, unit) pairs are saturated",
    "vanishing": "delta_rms {number} of the last layer's",
    "slow": "loss still falling: relative gain {number} over the last third of the steps",
}

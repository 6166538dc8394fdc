"""Settings ranked: which to recommend, which are hopeless, what each axis does, and what stopped the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.axes import comparison_axes, setting_axes
from gradsim.analysis.comparisons import convergence_rate, fate_counts, fates, final_losses, median_frame, reached_at
from gradsim.analysis.groups import SortedGroups, group_codes
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
    frame = median_frame(reached_at(runs), codes, frame, "steps")
    frame = median_frame(final_losses(runs), codes, frame, "loss")
    score = score_column(runs)
    scores = runs[score].to_numpy(float, na_value=np.nan) if score else np.full(len(runs), np.nan)
    frame["score"] = SortedGroups.of(scores, codes, len(frame)).medians()
    order = frame.sort_values(
        ["low", "steps", "loss"], ascending=[False, True, True], kind="stable", na_position="last"
    )
    return order.reset_index(drop=True)


def hopeless_settings(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """What never converged, in as few words as possible.

    First the single values of an axis under which no run converged, then the pairs of values, then whole
    settings; a candidate whose runs are all covered by those before it is left out. Columns: keys (tuple of the axes
    that the row names), those axes' values (None of axes that it leaves open), n, high (upper end of the Wilson
    interval), diagnosis (most frequent), diagnosed (its runs). `hopeless_words` writes a row.
    """
    names = comparison_axes(runs, axes, rates=True)
    failed = runs["outcome"].ne("converged").to_numpy(bool)
    covered = np.zeros(len(runs), bool)
    parts = []
    if failed.all():
        parts = [_hopeless_part(runs, (), names, np.zeros(len(runs), np.intp), np.arange(min(len(runs), 1)))]
    else:
        for size in [size for size in (1, 2) if size < len(names)] + [len(names)]:
            found = [_without_hope(runs, by, failed, covered) for by in combinations(names, size)]
            for by, codes, groups in _without_repeats(found, covered):
                parts.append(_hopeless_part(runs, by, names, codes, groups))
    return pd.concat(parts, ignore_index=True).sort_values(
        ["keys", "n"], key=lambda c: c.map(len) if c.name == "keys" else -c, kind="stable", ignore_index=True
    )


# Axes, the group of every run, and groups in question.
_Found = tuple[tuple[str, ...], np.ndarray, np.ndarray]


def _without_hope(runs: pd.DataFrame, by: tuple[str, ...], failed: np.ndarray, covered: np.ndarray) -> _Found:
    """The groups of `by` of which no run converged and not all are covered."""
    codes, _ = group_codes(runs, by)
    total, lost, known = np.bincount(codes), np.bincount(codes, failed), np.bincount(codes, covered)
    return by, codes, np.flatnonzero((lost == total) & (known < total))


def _without_repeats(found: list[_Found], covered: np.ndarray) -> list[_Found]:
    """Leave out groups whose runs larger ones, of the same number of axes, cover: zipped axes say a thing twice.

    Adds to `covered` the runs of those that stay.
    """
    if len(found) == 1:
        _, codes, groups = found[0]
        covered |= np.isin(codes, groups)
        return found
    orders = [np.argsort(codes, kind="stable") for _, codes, _ in found]
    ends = [np.cumsum(np.bincount(codes)) for _, codes, _ in found]
    starts = [end - np.bincount(codes) for end, (_, codes, _) in zip(ends, found, strict=True)]
    which = np.concatenate([np.full(len(groups), i) for i, (_, _, groups) in enumerate(found)])
    group = np.concatenate([groups for _, _, groups in found])
    sizes = np.concatenate([(end - start)[f[2]] for end, start, f in zip(ends, starts, found, strict=True)])
    kept: list[list[int]] = [[] for _ in found]
    for k in np.argsort(-sizes, kind="stable"):
        i, g = which[k], group[k]
        members = orders[i][starts[i][g] : ends[i][g]]
        if not covered[members].all():
            covered[members] = True
            kept[i].append(g)
    return [(by, codes, np.array(mine, np.intp)) for (by, codes, _), mine in zip(found, kept, strict=True)]


def _hopeless_part(
    runs: pd.DataFrame, by: tuple[str, ...], names: Sequence[str], codes: np.ndarray, groups: np.ndarray
) -> pd.DataFrame:
    """Rows of `hopeless_settings` for the groups."""
    place = np.full(codes.max(initial=-1) + 1, -1)
    place[groups] = np.arange(len(groups))
    members = np.flatnonzero(place[codes] >= 0)
    mine, some = place[codes[members]], runs.iloc[members]
    kinds, names_of_kinds = pd.factorize(fates(some).astype(str), sort=True)
    counts = np.bincount(mine * max(len(names_of_kinds), 1) + kinds, minlength=len(groups) * len(names_of_kinds))
    counts = counts.reshape(len(groups), len(names_of_kinds))
    first = np.unique(mine, return_index=True)[1]
    out = {"keys": pd.Series([by] * len(groups), dtype=object)}
    for name in names:
        out[name] = some[name].iloc[first].astype(object).reset_index(drop=True) if name in by else None
    out["n"] = counts.sum(axis=1)
    out["high"] = wilson_interval(np.zeros(len(groups)), out["n"])[1]
    top = counts.argmax(axis=1) if counts.size else np.empty(0, int)
    out["diagnosis"] = np.asarray(names_of_kinds, object)[top]
    out["diagnosed"] = counts[np.arange(len(groups)), top]
    return pd.DataFrame(out)


def hopeless_words(row: Mapping[str, Any]) -> str:
    """A row of `hopeless_settings` in a sentence: "relu at learning rate 3"."""
    return words.setting(row, row["keys"]) if len(row["keys"]) else "every setting tried"


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
    examples = [typical(failed[fate.eq(kind)], "diagnosis_value") for kind in counts["fate"]]
    frame = counts.rename(columns={"fate": "diagnosis"}).reset_index(drop=True)
    names = [axis for axis in axes if axis in runs]
    frame["example"] = [run["run_id"] for run in examples]
    frame["setting"] = [words.setting(run, names) for run in examples]
    frame["evidence"] = [evidence(run) for run in examples]
    return frame


def typical(runs: pd.DataFrame, column: str) -> pd.Series:
    """The run with the middle value of a column, the lower of two; of equals, and of none, the order of ids decides."""
    ranked = runs.assign(_value=runs[column].astype(float)).sort_values(
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

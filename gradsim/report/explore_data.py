"""What the explorer's page holds: every run, or a sample of them, and the curves and layers of some.

Axes are the campaign's; large campaigns are sampled by outcome, and details cover every fate of every setting first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradsim.analysis import words
from gradsim.analysis.axes import REPLICATES, comparison_axes, is_numeric, is_rate, rate_axis, setting_axes
from gradsim.analysis.comparisons import fates
from gradsim.analysis.layers import delta_ratio, final_hidden_share
from gradsim.analysis.settings import evidence
from gradsim.outcomes import DIAGNOSES, OUTCOMES

RUNS, DETAILS = 20_000, 400
"""The most runs in the page, and the most with curves and layers."""
RUN_NUMBERS, DETAIL_NUMBERS = 500_000, 450_000
"""The most numbers about runs, and about their curves and layers: what keeps the file small."""
LEAST_OF_AN_OUTCOME = 500
CURVE_POINTS, CHECKPOINTS, LAYERS = 150, 20, 32
"""The most points of a curve, checkpoints and layers of a run; the first and the last are always among them."""
LABEL = 60

MEASURES = {
    "final_loss": "final loss",
    "best_loss": "best loss",
    "steps_to_target": "steps to target",
    "test_accuracy": "test accuracy",
    "test_r2": "test R²",
    "train_accuracy": "training accuracy",
    "train_r2": "training R²",
    "gain": "relative gain over the last third",
    "initial_loss": "initial loss",
    "first_nonfinite_step": "first step that is not finite",
    "delta_ratio": "error signal at step 0, first layer over output layer",
    "dead_end": "hidden units dead at the end",
    "saturated_end": "hidden pre-activations saturated at the end",
}
_ABSENT = {"final_loss": "diverged", "steps_to_target": "never", "first_nonfinite_step": "always finite"}
_ABSENT |= dict.fromkeys(("gain", "train_accuracy", "train_r2", "test_accuracy", "test_r2"), "no number")
_SHARES = {"test_accuracy", "train_accuracy", "dead_end", "saturated_end", "gain"}
_SCORES = {"test_r2", "train_r2", "gain"}

STATISTICS = {
    "delta_rms": "error signal (delta_rms)",
    "gradient_rms": "gradient of the weights (gradient_rms)",
    "update_ratio": "update over weights (update_ratio)",
    "weight_rms": "weights (weight_rms)",
    "saturated_low": "saturated, low side",
    "saturated_high": "saturated, high side",
    "dead": "dead units",
    "zero": "activations that are 0",
}
_LOGARITHMIC = ("_rms", "_ratio")


def payload(results: Any, runs: int = RUNS, numbers: int = DETAIL_NUMBERS) -> dict[str, Any]:
    """All that the page's script reads, as plain values for JSON.

    runs: the most rows; numbers: the most numbers about curves and layers. The same results give the same payload.
    """
    table = results.runs.reset_index(drop=True)
    axes = _axes(table, results.axes)
    fate = fates(table)
    groups = _groups(table.assign(_fate=fate), ["outcome", "_fate", *setting_axes(axes)])
    statistics = _statistics(results)
    detailed = _detailed(table.assign(_fate=fate), axes, _affordable(results, len(statistics), numbers))
    kept = _sampled(table, detailed, min(runs, RUN_NUMBERS // (len(axes) + len(MEASURES))))
    rows = table.iloc[kept].reset_index(drop=True)
    measured = _measures(rows, results)
    place = pd.Series(range(len(kept)), index=kept)
    fate_names = ["converged", *DIAGNOSES, *sorted(set(fate) - {"converged", *DIAGNOSES})]
    return {
        "name": str(getattr(results.campaign, "name", "") or "campaign"),
        "total": len(table),
        "counts": [int(table["outcome"].eq(name).sum()) for name in OUTCOMES],
        "ids": rows["run_id"].astype(str).tolist(),
        "outcome": pd.Index(OUTCOMES).get_indexer(rows["outcome"]).tolist(),
        "outcomes": list(OUTCOMES),
        "fate": pd.Index(fate_names).get_indexer(fate.iloc[kept]).tolist(),
        "fates": fate_names,
        "group": groups[kept].tolist(),
        "groups": int(groups.max(initial=-1)) + 1,
        "detailed_groups": len(np.unique(groups[detailed])),
        "axes": [_axis(rows, axis) for axis in axes],
        "measures": measured,
        "start": {"x": rate_axis(table, axes) or next(iter(axes), "initial_loss"), "y": _telling(measured)},
        "details": _details(results, table.iloc[detailed], place[detailed].tolist(), [s["name"] for s in statistics]),
        "statistics": statistics,
        "stored": list(results.stored),
    }


def _axes(runs: pd.DataFrame, axes: Sequence[str]) -> list[str]:
    """The axes that vary, the most telling first, seeds last."""
    varying = [axis for axis in axes if axis in runs and runs[axis].nunique(dropna=False) > 1]
    telling = comparison_axes(runs, varying, rates=True)
    rest = [axis for axis in varying if axis not in telling]
    return [*telling, *sorted(rest, key=lambda axis: axis in REPLICATES)]


def _groups(runs: pd.DataFrame, by: Sequence[str]) -> np.ndarray:
    """The number of each row's combination of `by`."""
    codes = np.zeros(len(runs), np.int64)
    for name in by:
        more, kinds = pd.factorize(runs[name], use_na_sentinel=False)
        codes = pd.factorize(codes * max(len(kinds), 1) + more)[0]
    return codes


# --- which runs -----------------------------------------------------------------------------------


def _by_id(runs: pd.DataFrame) -> np.ndarray:
    """Rows in the order of their run_id: a digest, so an order by chance that is always the same."""
    return np.argsort(runs["run_id"].astype(str).to_numpy(object), kind="stable")


def _sampled(runs: pd.DataFrame, first: np.ndarray, limit: int) -> np.ndarray:
    """Rows to show, ascending: all, or of each outcome its share of `limit`, and 500 where it has as many.

    `first` are always among them.
    """
    if len(runs) <= limit:
        return np.arange(len(runs))
    chosen = np.zeros(len(runs), bool)
    chosen[first] = True
    order = _by_id(runs)
    order = order[np.argsort(~chosen[order], kind="stable")]
    for name in OUTCOMES:
        members = order[runs["outcome"].eq(name).to_numpy(bool)[order]]
        wanted = max(int(limit * len(members) / len(runs)), min(LEAST_OF_AN_OUTCOME, limit // len(OUTCOMES)))
        chosen[members[:wanted]] = True
    return np.flatnonzero(chosen)


def _detailed(runs: pd.DataFrame, axes: Sequence[str], limit: int) -> np.ndarray:
    """Rows with curves and layers, ascending: every fate first, then under every value, then of every setting."""
    settings = setting_axes(axes)
    fate = ["outcome", "_fate"]
    order, chosen = _by_id(runs), np.zeros(len(runs), bool)
    for by in [fate, *[[*fate, axis] for axis in settings], [*fate, *settings]]:
        codes = _groups(runs, by)
        new = order[~np.isin(codes[order], codes[chosen])]
        firsts = new[np.sort(np.unique(codes[new], return_index=True)[1])]
        chosen[firsts[: limit - int(chosen.sum())]] = True
    rest = order[~chosen[order]]
    chosen[rest[: limit - int(chosen.sum())]] = True
    return np.flatnonzero(chosen)


def _affordable(results: Any, statistics: int, numbers: int) -> int:
    """How many runs may have details, so many statistics of layers among them."""
    if "curves" not in results.stored:
        return 0
    each = 3 * min(CURVE_POINTS, int(np.ceil(len(results.curves) / max(len(results.runs), 1))))
    if "layers" in results.stored and len(results.layers):
        # The deepest network decides: its checkpoints and layers as they are thinned.
        layers = min(int(results.layers["layer"].max()) + 1, LAYERS)
        steps = min(results.layers["step"].nunique(), CHECKPOINTS)
        each += layers * steps * statistics
    return int(np.clip(numbers // max(each, 1), 1, DETAILS))


# --- what is told of a run ------------------------------------------------------------------------


def text(value: str) -> str:
    """A setting's value as one line, cut in its middle where long."""
    line = " ".join(value.split()) or " "
    return line if len(line) <= LABEL else f"{line[: LABEL - 21]}…{line[-20:]}"


def _axis(runs: pd.DataFrame, axis: str) -> dict[str, Any]:
    """An axis: its values once, in grid order (numbers by size), and which of them each run has."""
    codes, kinds = pd.factorize(runs[axis], use_na_sentinel=False)
    kinds, values = list(kinds), None
    if is_numeric(runs[axis]):
        values = pd.to_numeric(pd.Series(kinds, dtype=object), errors="coerce").to_numpy(float, na_value=np.nan)
        order = np.argsort(values, kind="stable")
        codes, kinds, values = np.argsort(order, kind="stable")[codes], [kinds[i] for i in order], values[order]
    return {
        "name": axis,
        "title": words.axis_name(axis),
        "codes": codes.tolist(),
        "labels": [text(words.value(kind)) for kind in kinds],
        "said": [text(words.axis_value(axis, kind)) for kind in kinds],
        "values": None if values is None else _short(values, 6),
        "log": values is not None and (_spans_decades(values) or (is_rate(axis) and bool(np.nanmin(values) > 0))),
        "filter": axis not in REPLICATES,
    }


def _spans_decades(values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0 and finite.max() / finite.min() >= 30)


def _measures(runs: pd.DataFrame, results: Any) -> list[dict[str, Any]]:
    """Outcomes as numbers, those that any run has; the final loss of a diverged run is none."""
    found = []
    derived = _of_layers(runs, results)
    for name, title in MEASURES.items():
        source = derived.get(name, runs.get(name))
        if source is None:
            continue
        values = source.to_numpy(float, na_value=np.nan)
        if name == "final_loss":
            values = np.where(runs["outcome"].eq("diverged"), np.nan, values)
        values = np.where(np.isfinite(values), values, np.nan)
        if np.isnan(values).all() and name != "final_loss":
            continue
        if name in _SCORES:  # one run that is far off would hide the others
            values = np.maximum(values, -1.0)
        positive = values[values > 0]
        log = name.endswith(("loss", "ratio")) and positive.size > 0 and positive.max() / positive.min() >= 10
        found.append(
            {
                "name": name,
                "title": title,
                "values": _short(values, 4),
                "log": bool(log),
                "share": name in _SHARES and name not in _SCORES,
                "least": "-1 or less" if name in _SCORES else "",
                "absent": _ABSENT.get(name, "no record"),
            }
        )
    return found


def _telling(measures: Sequence[dict[str, Any]]) -> str:
    """The final loss; when each run broke off, where no run has one."""
    known = [measure["name"] for measure in measures if any(value is not None for value in measure["values"])]
    return next((name for name in ("final_loss", "first_nonfinite_step") if name in known), "final_loss")


def _of_layers(runs: pd.DataFrame, results: Any) -> dict[str, pd.Series]:
    """What the layers tell of a run as a whole."""
    if "layers" not in results.stored or not runs["depth"].gt(0).any():
        return {}
    layers = results.layers
    layers = layers[layers["run_id"].isin(set(runs["run_id"]))]
    return {
        "delta_ratio": delta_ratio(layers, runs),
        "dead_end": final_hidden_share(layers, runs, ["dead"]),
        "saturated_end": final_hidden_share(layers, runs, ["saturated_low", "saturated_high"]),
    }


# --- curves and layers ----------------------------------------------------------------------------


def _statistics(results: Any) -> list[dict[str, Any]]:
    """The statistics of layers that any run has: those of STATISTICS first, then whatever else is stored."""
    if "layers" not in results.stored:
        return []
    layers = results.layers
    rest = [c for c in layers if c not in ("run_id", "step", "layer") and is_numeric(layers[c])]
    names = [*[name for name in STATISTICS if name in rest], *[name for name in rest if name not in STATISTICS]]
    return [
        {"name": name, "title": STATISTICS.get(name, words.axis_name(name)), "log": name.endswith(_LOGARITHMIC)}
        for name in names
        if layers[name].notna().any()
    ]


def _details(results: Any, runs: pd.DataFrame, rows: Sequence[int], names: Sequence[str]) -> list[dict[str, Any]]:
    """Evidence, curves and layers of runs; `rows` are their places in the page, `names` the statistics of layers."""
    ids = runs["run_id"].astype(str).tolist()
    stored = results.stored
    curves = _pieces(results.curves, ids, ("step", "batch_loss", "train_loss")) if "curves" in stored else {}
    layers = _pieces(results.layers, ids, ("step", "layer", *names)) if "layers" in stored else {}
    found = []
    for row, (_, run) in zip(rows, runs.iterrows(), strict=True):
        key = str(run["run_id"])
        ends = {"target": _number(run["target_loss"]), "start": _number(run["initial_loss"])}
        detail: dict[str, Any] = {"row": row, **ends}
        if run["outcome"] != "converged":
            detail["evidence"] = evidence(run)
        if key in curves:
            detail["curve"] = _curve(curves[key])
        if key in layers:
            detail["profile"] = _profile(layers[key], names)
        found.append(detail)
    return found


def _pieces(frame: pd.DataFrame, ids: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    """Columns of the rows of each of some runs, by step."""
    some = frame[frame["run_id"].isin(set(ids))].sort_values("step", kind="stable")
    columns = {name: some[name].to_numpy(float, na_value=np.nan) for name in names}
    places = some.groupby("run_id", sort=False, observed=True).indices
    return {str(key): {name: values[at] for name, values in columns.items()} for key, at in places.items()}


def _curve(rows: dict[str, np.ndarray]) -> dict[str, Any]:
    """Losses over steps; a curve of many points keeps some, a third of them at checkpoints."""
    kept = np.arange(len(rows["step"]))
    if len(kept) > CURVE_POINTS:
        checkpoints = np.flatnonzero(np.isfinite(rows["train_loss"]))
        at = checkpoints[_thinned(len(checkpoints), CURVE_POINTS // 3)]
        kept = np.union1d(at, _thinned(len(kept), CURVE_POINTS - CURVE_POINTS // 3))
    return {name: _short(values[kept], 4) for name, values in rows.items()}


def _profile(rows: dict[str, np.ndarray], names: Sequence[str]) -> dict[str, Any]:
    """Statistics by checkpoint and layer, as lists of lists."""
    steps, at = np.unique(rows["step"], return_inverse=True)
    layers, of = np.unique(rows["layer"], return_inverse=True)
    values = np.full((len(names), len(steps), len(layers)), np.nan)
    for k, name in enumerate(names):
        values[k, at, of] = rows[name]
    some, others = _thinned(len(steps), CHECKPOINTS), _thinned(len(layers), LAYERS)
    steps, layers, values = steps[some], layers[others], values[np.ix_(range(len(names)), some, others)]
    listed = {name: [_short(row, 3) for row in table] for name, table in zip(names, values, strict=True)}
    return {"steps": _short(steps), "layers": _short(layers), "values": listed}


def _thinned(count: int, most: int) -> np.ndarray:
    """Places, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)) if count else np.arange(0)


def _short(values: np.ndarray, digits: int = 4) -> list[float | int | None]:
    """Numbers as short as they may be; None where there is none."""
    return [_number(x, digits) for x in values.tolist()]


def _number(x: Any, digits: int = 4) -> float | int | None:
    if x is None or x is pd.NA or not math.isfinite(x):
        return None
    if x == int(x) and abs(x) < 1e15:  # steps and other counts stay what they are
        return int(x)
    return float(f"{x:.{digits}g}")

"""Comparisons of runs: one definition of each rate, median and window, as tidy frames.

Every frame opens with the columns it is grouped by, then `n` (runs behind the row), then the statistics.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradsim.analysis.groups import SortedGroups, group_codes, quartiles, run_places
from gradsim.analysis.intervals import wilson_interval
from gradsim.outcomes import DIAGNOSES, OUTCOMES


def convergence_rate(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Share of runs that converged: n, converged, rate, low, high (Wilson, 95%)."""
    codes, frame = group_codes(runs, by)
    converged = runs["outcome"].eq("converged").to_numpy(bool)
    frame["n"] = np.bincount(codes, minlength=len(frame))
    frame["converged"] = np.bincount(codes[converged], minlength=len(frame))
    frame["rate"] = frame["converged"] / frame["n"]
    frame["low"], frame["high"] = wilson_interval(frame["converged"], frame["n"])
    return frame


def time_to_target(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """How fast runs converge: n, converged, rate, steps, steps_low, steps_high.

    steps: the median `steps_to_target` of the runs that converged, with a bootstrap interval; NaN where none did. Those
    that never reached the target are in n, not in the median: read it beside the rate, or see `converged_by_step`.
    """
    codes, _ = group_codes(runs, by)
    frame = convergence_rate(runs, by)[[*by, "n", "converged", "rate"]]
    return median_frame(reached_at(runs), codes, frame, "steps")


def reached_at(runs: pd.DataFrame) -> np.ndarray:
    """Steps to the target of runs that converged; NaN of the others."""
    steps = runs["steps_to_target"].to_numpy(float, na_value=np.nan)
    return np.where(runs["outcome"].eq("converged").to_numpy(bool), steps, np.nan)


def converged_by_step(runs: pd.DataFrame, by: Sequence[str] = (), points: int = 60) -> pd.DataFrame:
    """Share of all runs that have converged by a step: step, n, converged, share, low, high (Wilson, 95%).

    A run that never converges counts at every step, so that the curve ends at the convergence rate: nobody is dropped,
    and where it crosses one half is the median of all runs, those without end included. Steps: from 1 to the last,
    evenly apart on a log axis, at most `points` of them. Runs of fewer steps stay where they ended.
    """
    codes, keys = group_codes(runs, by)
    last = int(runs["steps"].max()) if len(runs) else 1
    steps = np.unique(np.geomspace(1, max(last, 1), points).round().astype(int))
    n = np.bincount(codes, minlength=len(keys))
    reached = reached_at(runs)
    # The first of the steps at which a run has converged; beyond the last one for those that never do.
    first = np.where(np.isnan(reached), len(steps), np.searchsorted(steps, np.nan_to_num(reached)))
    table = np.zeros((len(keys), len(steps) + 1), np.int64)
    np.add.at(table, (codes, first), 1)
    table = table[:, :-1].cumsum(axis=1)
    frame = keys.iloc[np.repeat(np.arange(len(keys)), len(steps))].reset_index(drop=True)
    frame["step"] = np.tile(steps, len(keys))
    frame["n"], frame["converged"] = np.repeat(n, len(steps)), table.ravel()
    frame["share"] = frame["converged"] / frame["n"]
    frame["low"], frame["high"] = wilson_interval(frame["converged"], frame["n"])
    return frame


def final_losses(runs: pd.DataFrame) -> np.ndarray:
    """Final training losses with a diverged run at +inf: worse than any finite loss, so that medians stay honest."""
    losses = runs["final_loss"].to_numpy(float, na_value=np.nan)
    diverged = runs["outcome"].eq("diverged").to_numpy(bool)
    return np.where(diverged | ~np.isfinite(losses), np.inf, losses)


def median_frame(values: np.ndarray, codes: np.ndarray, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Add columns `name`, `name`_low, `name`_high: median and bootstrap interval of each group, NaN dropped."""
    groups = SortedGroups.of(values, codes, len(frame))
    frame[name] = groups.medians()
    frame[f"{name}_low"], frame[f"{name}_high"] = groups.median_intervals()
    return frame


def loss_by_learning_rate(runs: pd.DataFrame, by: Sequence[str] = (), rate: str = "learning_rate") -> pd.DataFrame:
    """Median final loss against learning rate: n, diverged, diverged_share, loss, loss_low, loss_high.

    All runs count, a diverged one as +inf, so the median is infinite where more than half diverged and no
    survivor flatters it. Interval: bootstrap, 95%. Runs without a number in `rate` are left out.
    """
    runs = runs[runs[rate].notna()]
    codes, frame = group_codes(runs, [*by, rate])
    losses = final_losses(runs)
    frame["n"] = np.bincount(codes, minlength=len(frame))
    frame["diverged"] = np.bincount(codes[np.isinf(losses)], minlength=len(frame))
    frame["diverged_share"] = frame["diverged"] / frame["n"]
    return median_frame(losses, codes, frame, "loss")


def learning_rate_windows(
    runs: pd.DataFrame, by: Sequence[str] = (), rate: str = "learning_rate", level: float = 0.5
) -> pd.DataFrame:
    """The lowest and highest learning rate that trains: at which at least `level` of the runs converge.

    Columns: n, tried (number of rates), tried_low, tried_high (their ends), lowest, highest (NaN if none
    trains), open_low, open_high (the window reaches the end of what was tried), gaps (rates inside the
    window that do not train), best (rate that converges most often; of equals the middle one), best_rate.
    """
    rates = convergence_rate(runs[runs[rate].notna()], [*by, rate])
    codes, frame = group_codes(rates, by)
    rows = []
    for code in range(len(frame)):
        cell = rates[codes == code].sort_values(rate)
        x, share = cell[rate].to_numpy(float), cell["rate"].to_numpy()
        trains = np.flatnonzero(share >= level)
        top = np.flatnonzero(share == share.max())
        inside = slice(trains[0], trains[-1] + 1) if trains.size else slice(0, 0)
        rows.append(
            {
                "n": int(cell["n"].sum()),
                "tried": x.size,
                "tried_low": x[0],
                "tried_high": x[-1],
                "lowest": x[trains[0]] if trains.size else np.nan,
                "highest": x[trains[-1]] if trains.size else np.nan,
                "open_low": bool(trains.size and trains[0] == 0),
                "open_high": bool(trains.size and trains[-1] == x.size - 1),
                "gaps": int((share[inside] < level).sum()),
                "best": x[top[len(top) // 2]] if share.max() > 0 else np.nan,
                "best_rate": share.max(),
            }
        )
    return pd.concat([frame, pd.DataFrame(rows, columns=_WINDOW_COLUMNS, index=frame.index)], axis=1)


_WINDOW_COLUMNS = ["n", "tried", "tried_low", "tried_high", "lowest", "highest"]
_WINDOW_COLUMNS += ["open_low", "open_high", "gaps", "best", "best_rate"]


def at_best_rate(runs: pd.DataFrame, by: Sequence[str] = (), rate: str = "learning_rate") -> pd.DataFrame:
    """The runs of each group at its best learning rate: converges most often, of equals the lowest median loss."""
    runs = runs[runs[rate].notna()]
    cells, keys = group_codes(runs, [*by, rate])
    frame = convergence_rate(runs, [*by, rate])
    frame["loss"] = SortedGroups.of(final_losses(runs), cells, len(keys)).medians()
    groups, _ = group_codes(keys, by)
    order = frame.assign(group=groups).sort_values(["rate", "loss"], ascending=[False, True], kind="stable")
    best = order.drop_duplicates("group").index
    return runs[np.isin(cells, best)]


def loss_curves(curves: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Batch loss over training: n, median, q25, q75 by step.

    The batch loss of a record is the mean since the record before; step 0 has none. Records from the first
    non-finite loss on count as +inf, so quartiles are over all runs and not over the survivors.
    """
    curves = curves[curves["step"] > 0]
    rows = run_places(runs, curves)
    curves, rows = curves[rows >= 0], rows[rows >= 0]
    keys = runs[list(by)].iloc[rows].reset_index(drop=True).assign(step=curves["step"].to_numpy())
    codes, frame = group_codes(keys, [*by, "step"])
    loss = curves["batch_loss"].to_numpy(float, na_value=np.nan)
    # A finite stand-in for infinity: quantiles interpolate, and inf - inf would be NaN.
    loss = np.where(np.isfinite(loss), np.minimum(loss, _HUGE), _HUGE)
    frame["n"] = np.bincount(codes, minlength=len(frame))
    for name, column in quartiles(loss, codes).items():
        frame[name] = np.where(column > _HUGE / 1e6, np.inf, column)
    return frame


_HUGE = 1e300


def outcome_counts(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Runs of each outcome: outcome, n, share of the group; every outcome has a row, zero counts too."""
    return _category_counts(runs, runs["outcome"], by, "outcome", OUTCOMES)


def fate_counts(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """What became of the runs: fate, n, share of the group, where fate is "converged" or the diagnosis."""
    return _category_counts(runs, fates(runs), by, "fate", ("converged", *DIAGNOSES))


def fates(runs: pd.DataFrame) -> pd.Series:
    """ "converged", or why not: the diagnosis, "unexplained" where none is given. Categories."""
    codes, kinds = pd.factorize(runs["diagnosis"])
    names = [str(kind) or "unexplained" for kind in kinds] + ["unexplained", "converged"]
    codes = np.where(codes < 0, len(names) - 2, codes)
    codes[runs["outcome"].eq("converged").to_numpy(bool)] = len(names) - 1
    distinct = list(dict.fromkeys(names))
    codes = np.array([distinct.index(name) for name in names])[codes]
    return pd.Series(pd.Categorical.from_codes(codes, distinct), index=runs.index, name="fate")


def _category_counts(
    runs: pd.DataFrame, category: pd.Series, by: Sequence[str], name: str, kinds: Sequence[str]
) -> pd.DataFrame:
    codes, keys = group_codes(runs, by)
    mine, seen = pd.factorize(category)
    kinds = [*kinds, *sorted({str(kind) for kind in seen} - set(kinds))]
    places = np.array([kinds.index(str(kind)) for kind in seen], np.intp)
    flat = np.bincount(codes * len(kinds) + places[mine], minlength=len(keys) * len(kinds))
    table = flat.reshape(len(keys), len(kinds))
    frame = keys.iloc[np.repeat(np.arange(len(keys)), len(kinds))].reset_index(drop=True)
    frame[name] = np.tile(np.array(kinds, object), len(keys))
    frame["n"] = table.ravel()
    frame["share"] = (table / table.sum(axis=1, keepdims=True)).ravel()
    return frame

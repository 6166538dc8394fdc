"""Comparisons of runs: one definition of each rate, median and window, as tidy frames.

Every frame opens with the columns it is grouped by, then `n` (runs behind the row), then the statistics.
Groups stand in grid order: numbers ascending, names as they first appear; a missing value is a group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradsim.analysis.axes import is_numeric
from gradsim.analysis.intervals import bootstrap_interval, wilson_interval
from gradsim.outcomes import DIAGNOSES, OUTCOMES


def group_columns(frame: pd.DataFrame) -> list[str]:
    """The columns a summary frame is grouped by: those before `n`."""
    return list(frame.columns[: list(frame.columns).index("n")])


def group_codes(frame: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """Number the groups of `by` in grid order: (code of each row, one row of keys a code)."""
    if frame.empty or not by:
        return np.zeros(len(frame), np.intp), pd.DataFrame(index=range(min(len(frame), 1)))
    ranks = []
    for name in by:
        codes, kinds = pd.factorize(frame[name], use_na_sentinel=False, sort=False)
        if is_numeric(frame[name]):
            kinds = np.asarray(pd.array(kinds).astype(float) if len(kinds) else kinds, float)
            codes = np.argsort(np.argsort(kinds, kind="stable"), kind="stable")[codes]
        ranks.append(codes)
    flat = np.ravel_multi_index(ranks, [int(rank.max()) + 1 for rank in ranks])
    _, first, codes = np.unique(flat, return_index=True, return_inverse=True)
    return codes, frame[list(by)].iloc[first].reset_index(drop=True)


def split_sorted(values: np.ndarray, codes: np.ndarray, groups: int) -> list[np.ndarray]:
    """The values of each group, ascending, NaN dropped."""
    kept = ~np.isnan(values)
    values, codes = values[kept], codes[kept]
    order = np.lexsort((values, codes))
    return np.split(values[order], np.cumsum(np.bincount(codes, minlength=groups))[:-1])


def convergence_rate(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Share of runs that converged: n, converged, rate, low, high (Wilson, 95%)."""
    codes, frame = group_codes(runs, by)
    converged = runs["outcome"].eq("converged").to_numpy(bool)
    frame["n"] = np.bincount(codes, minlength=len(frame))
    frame["converged"] = np.bincount(codes[converged], minlength=len(frame))
    frame["rate"] = frame["converged"] / frame["n"]
    frame["low"], frame["high"] = wilson_interval(frame["converged"], frame["n"])
    return frame


def final_losses(runs: pd.DataFrame) -> np.ndarray:
    """Final training losses with a diverged run at +inf: worse than any finite loss, so that medians stay honest."""
    losses = runs["final_loss"].to_numpy(float, na_value=np.nan)
    diverged = runs["outcome"].eq("diverged").to_numpy(bool)
    return np.where(diverged | ~np.isfinite(losses), np.inf, losses)


def median_frame(values: np.ndarray, codes: np.ndarray, frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Add columns `name`, `name`_low, `name`_high: median and bootstrap interval of each group, NaN dropped."""
    groups = split_sorted(values, codes, len(frame))
    frame[name] = [np.median(group) if group.size else np.nan for group in groups]
    ends = np.array([bootstrap_interval(group) for group in groups], float).reshape(-1, 2)
    frame[f"{name}_low"], frame[f"{name}_high"] = ends[:, 0], ends[:, 1]
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
    frame["loss"] = [np.median(group) for group in split_sorted(final_losses(runs), cells, len(keys))]
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
    rows = pd.Index(runs["run_id"].astype(str)).get_indexer(curves["run_id"].astype(str))
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


def quartiles(values: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Median, q25 and q75 of each group; codes count up from 0, values hold no NaN."""
    if not len(values):
        return dict.fromkeys(("median", "q25", "q75"), np.empty(0))
    table = pd.Series(values).groupby(codes).quantile([0.25, 0.5, 0.75]).unstack().to_numpy(float)
    return {"median": table[:, 1], "q25": table[:, 0], "q75": table[:, 2]}


_HUGE = 1e300


def outcome_counts(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Runs of each outcome: outcome, n, share of the group; every outcome has a row, zero counts too."""
    return _category_counts(runs, runs["outcome"].astype(str), by, "outcome", OUTCOMES)


def fate_counts(runs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """What became of the runs: fate, n, share of the group, where fate is "converged" or the diagnosis."""
    return _category_counts(runs, fates(runs), by, "fate", ("converged", *DIAGNOSES))


def fates(runs: pd.DataFrame) -> pd.Series:
    """ "converged", or why not: the diagnosis, "unexplained" where none is given."""
    diagnosis = runs["diagnosis"].astype(object).fillna("").astype(str)
    diagnosis = diagnosis.mask(diagnosis.eq(""), "unexplained")
    return diagnosis.mask(runs["outcome"].eq("converged"), "converged").rename("fate")


def _category_counts(
    runs: pd.DataFrame, category: pd.Series, by: Sequence[str], name: str, kinds: Sequence[str]
) -> pd.DataFrame:
    codes, keys = group_codes(runs, by)
    kinds = [*kinds, *sorted(set(category) - set(kinds))]
    table = np.zeros((len(keys), len(kinds)), int)
    np.add.at(table, (codes, pd.Index(kinds).get_indexer(category)), 1)
    frame = keys.iloc[np.repeat(np.arange(len(keys)), len(kinds))].reset_index(drop=True)
    frame[name] = np.tile(np.array(kinds, object), len(keys))
    frame["n"] = table.ravel()
    frame["share"] = (table / table.sum(axis=1, keepdims=True)).ravel()
    return frame

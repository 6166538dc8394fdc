"""Rows put into groups: numbered in grid order, their values sorted once, a million groups as fast as one.

Groups stand in grid order: numbers ascending, names as they first appear; a missing value is a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradsim.analysis.axes import is_numeric
from gradsim.analysis.intervals import median_ends, resampled_median_ranks

_PIECE = 4_000_000  # numbers that are looked at at a time


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


def run_places(runs: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """The row of `runs` that each row of another table belongs to, by run_id; -1 where it has none."""
    codes, ids = pd.factorize(rows["run_id"])
    return pd.Index(runs["run_id"].astype(str)).get_indexer(pd.Index(ids).astype(str))[codes]


@dataclass(frozen=True)
class SortedGroups:
    """Numbers by group: `values` group after group, ascending, NaN dropped; `sizes` of the groups."""

    values: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, codes: np.ndarray, groups: int) -> SortedGroups:
        """Values with the number of each one's group."""
        kept = ~np.isnan(values)
        values, codes = values[kept], codes[kept]
        return cls(values[np.lexsort((values, codes))], np.bincount(codes, minlength=groups))

    @property
    def starts(self) -> np.ndarray:
        """Where each group begins."""
        return np.cumsum(self.sizes) - self.sizes

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(np.split(self.values, np.cumsum(self.sizes)[:-1])[: len(self.sizes)])

    def medians(self) -> np.ndarray:
        """The median of each group; NaN of an empty one."""
        out = np.full(len(self.sizes), np.nan)
        some = self.sizes > 0
        sizes, starts = self.sizes[some], self.starts[some]
        lower, upper = self.values[starts + (sizes - 1) // 2], self.values[starts + sizes // 2]
        out[some] = 0.5 * lower + 0.5 * upper
        return out

    def median_intervals(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the bootstrap interval of each group's median, as `bootstrap_interval` has them."""
        low, high = np.full((2, len(self.sizes)), np.nan)
        starts = self.starts
        order = np.argsort(self.sizes, kind="stable")
        for alike in np.split(order, np.flatnonzero(np.diff(self.sizes[order])) + 1):
            n = int(self.sizes[alike[0]]) if len(alike) else 0
            if not n:
                continue
            ranks = resampled_median_ranks(n)
            step = max(1, _PIECE // len(ranks.counts))
            for some in (alike[i : i + step] for i in range(0, len(alike), step)):
                low[some], high[some] = median_ends(
                    self.values[starts[some][:, None] + ranks.lower],
                    self.values[starts[some][:, None] + ranks.upper],
                    ranks.counts,
                )
        return low, high


def quartiles(values: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Median, q25 and q75 of each group; codes count up from 0, values hold no NaN."""
    if not len(values):
        return dict.fromkeys(("median", "q25", "q75"), np.empty(0))
    table = pd.Series(values).groupby(codes).quantile([0.25, 0.5, 0.75]).unstack().to_numpy(float)
    return {"median": table[:, 1], "q25": table[:, 0], "q75": table[:, 2]}

"""The sharpness of the loss over training, beside the limit that the learning rate sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from gradsim.analysis.groups import group_codes, quartiles, run_places
from gradsim.errors import UsageError


def sharpness(
    curves: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str] = (), rate: str | None = "learning_rate"
) -> pd.DataFrame:
    """Largest Hessian eigenvalue over training, by learning rate: n, median, q25, q75, limit by step.

    limit: the largest sharpness at which the optimizer is stable at its learning rate, 2/rate for gradient descent; NaN
    where the runs of a row differ in it. Rows are of checkpoints; runs drop out, of n too, where their numbers are no
    longer finite. rate: the column that stands first, or None. Raises UsageError where sharpness was not recorded.
    """
    if "sharpness" not in curves:
        raise UsageError("sharpness: was not recorded; set sharpness = true in the campaign")
    rows = curves[curves["sharpness"].notna()]
    places = run_places(runs, rows)
    rows, places = rows[places >= 0], places[places >= 0]
    names = [*([rate] if rate else []), *(name for name in by if name != rate)]
    keys = runs[names].iloc[places].reset_index(drop=True).assign(step=rows["step"].to_numpy())
    if rate:
        kept = keys[rate].notna().to_numpy()
        rows, keys = rows[kept], keys[kept].reset_index(drop=True)
    codes, frame = group_codes(keys, [*names, "step"])
    frame["n"] = np.bincount(codes, minlength=len(frame))
    frame = frame.assign(**quartiles(rows["sharpness"].to_numpy(float), codes))
    limits = pd.Series(rows["stability_limit"].to_numpy(float)).groupby(codes).agg(["min", "max"])
    same = np.isclose(limits["min"], limits["max"], rtol=1e-9, atol=0)
    frame["limit"] = np.where(same, limits["min"], np.nan)
    return frame

"""Peak memory of whole processes. `peakmem_nothing` imports what the others import and does nothing: subtract it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .measure import missing, threads

CAMPAIGN = {
    "dataset": "spirals",
    "depth": 3,
    "width": 16,
    "batch_size": 32,
    "steps": 60,
    "grid": {"activation": ["relu", "tanh"], "learning_rate": [0.01, 0.03, 0.1, 0.3], "seed": range(128)},
}
FINISHED = "finished"


def setup_cache() -> dict[str, bool]:
    """A finished campaign for loading and the report; all kernels and figures' fonts are cached after it."""
    try:
        import gradsim as gs

        gs.Campaign(**CAMPAIGN).run(FINISHED, threads=threads(), progress=False)
    except missing():
        return {}
    return {"finished": True}


setup_cache.timeout = 300


class Memory:
    """1,024 runs of networks 2-[16]x3-2."""

    timeout = 300

    def setup(self, found) -> None:
        if not found:
            raise NotImplementedError
        import matplotlib.figure  # noqa: F401
        import numpy as np  # noqa: F401
        import pandas as pd  # noqa: F401
        import pyarrow.parquet  # noqa: F401

        import gradsim as gs

        try:
            import gradsim.report
            import gradsim.runner
        except ImportError:
            raise NotImplementedError from None
        self.gs = gs

    def peakmem_nothing(self, found) -> None:
        """The reference."""

    def peakmem_run(self, found) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.gs.Campaign(**CAMPAIGN).run(Path(folder) / "out", threads=threads(), progress=False)

    def peakmem_plan(self, found) -> None:
        """A million runs and their names."""
        import numpy as np

        grid = {**CAMPAIGN["grid"], "seed": range(131_072)}
        plan = self.gs.Campaign(**{**CAMPAIGN, "grid": grid}).plan
        len(plan.shards)
        plan.run_ids(np.arange(100_000))

    def peakmem_load(self, found) -> None:
        results = self.gs.Results(FINISHED)
        results.runs, results.curves, results.layers  # noqa: B018

    def peakmem_report(self, found) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.gs.report(self.gs.Results(FINISHED), Path(folder) / "report")

"""A campaign outside its kernels: planning, shards on their way to disk, loading, analysis, report; and one as a whole.

The finished campaign that most of it reads is made once, in the set-up cache, in the folder that its cases run in.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from .measure import missing, threads

FINISHED = "finished"
GRID = {
    "activation": ["sigmoid", "tanh", "relu", "gelu"],
    "initializer": ["glorot_uniform", "he_normal", "zeros"],
    "learning_rate": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
    "seed": range(16),
}
SMALL = {"dataset": "spirals", "depth": 3, "width": 16, "batch_size": 32, "steps": 150, "grid": GRID}
MANY = {**SMALL, "grid": {**GRID, "learning_rate": {"geomspace": [1e-4, 1, 40]}, "seed": range(256)}}  # 122,880 runs
ANALYSES = ("convergence_rate", "learning_rate_windows", "best_settings", "loss_curves", "layer_profile", "findings")
# Set-up comes before every sample, so that a sample is one call.
REPEAT = (3, 7, 2.0)


def setup_cache() -> dict[str, float]:
    """The campaign, finished, in the folder of the cases; empty where this commit cannot run it."""
    try:
        import gradsim as gs

        gs.Campaign(**SMALL).run(FINISHED, threads=threads(), progress=False)
    except missing():
        return {}
    return {"runs": 1344.0}


setup_cache.timeout = 300


class _Timed:
    repeat = REPEAT
    rounds = 2
    warmup_time = 0.0
    number = 1


def _results(found: dict[str, float]):
    if not found:
        raise NotImplementedError
    from gradsim.results import Results

    return Results(FINISHED)


def _page() -> int:
    """Bytes of the report's page."""
    import gradsim as gs

    return gs.report(gs.Results(FINISHED)).stat().st_size


class Planning(_Timed):
    """122,880 runs from their settings."""

    timer = time.process_time  # one thread, which other processes do not slow down

    def setup(self, found) -> None:
        try:
            import numpy as np

            import gradsim as gs

            self.np, self.campaign = np, gs.Campaign(**MANY)
            self.make = lambda: gs.Campaign(**MANY)
            self.campaign.plan.run_ids(np.arange(1))
        except missing():
            raise NotImplementedError from None

    def time_shards(self, found) -> None:
        """Cells, cohorts and shards."""
        len(self.make().plan.shards)

    def time_run_ids(self, found) -> None:
        self.campaign.plan.run_ids(self.np.arange(self.campaign.plan.size))


class Shards(_Timed):
    """The first shard, trained in the set-up, on its way to disk."""

    def setup(self, found) -> None:
        if not hasattr(self, "plan"):
            try:
                self._train()
            except missing():
                raise NotImplementedError from None

    def _train(self) -> None:
        import numpy as np

        import gradsim as gs
        from gradsim import shard_files, storage
        from gradsim.cohort import cohort_of
        from gradsim.shard import networks_of, outcome_of

        campaign = gs.Campaign(**SMALL)
        self.plan, shard = campaign.plan, campaign.plan.shards[0]
        cohort = cohort_of(campaign, self.plan.cohort_cells[shard.cohort])
        positions, task = shard.positions, cohort.task
        self.networks = lambda: networks_of(self.plan, cohort, positions)
        networks = self.networks()
        records = task.records(len(networks.weights))
        task.run(networks, records, task.workspace(), np.zeros(1, np.int64))
        self.tables = lambda: storage.tables_of(
            campaign, self.plan, cohort, shard, outcome_of(cohort, records, len(positions)), 1.0
        )
        made, digest = self.tables(), campaign.digest
        self.write = lambda: shard_files.write_shard(Path("written"), shard, made, digest)
        self.write()

    def time_networks(self, found) -> None:
        """Initial weights and all numbers of the lanes."""
        self.networks()

    def time_tables(self, found) -> None:
        """From the engine's records to outcomes, diagnoses and tables."""
        self.tables()

    def time_write(self, found) -> None:
        """Parquet files with their digests, synced and renamed."""
        self.write()


class Loading(_Timed):
    """1,344 runs: tables to pandas, and a query."""

    def setup(self, found) -> None:
        self.results = _results(found)
        _results(found).layers  # noqa: B018

    def time_runs(self, found) -> None:
        self.results.runs  # noqa: B018

    def time_layers(self, found) -> None:
        self.results.layers  # noqa: B018

    def time_query(self, found) -> None:
        self.results.query("select activation, avg(final_loss) from runs group by 1")


class Analysis(_Timed):
    """1,344 runs in memory: one function of gradsim.analysis each."""

    params = (list(ANALYSES),)
    param_names = ("function",)
    timer = time.process_time

    def setup(self, found, name: str) -> None:
        results = _results(found)
        from gradsim import analysis

        by = ["activation", "initializer"]
        calls = {
            "convergence_rate": lambda f: f(results.runs, by),
            "learning_rate_windows": lambda f: f(results.runs, by),
            "best_settings": lambda f: f(results.runs, results.axes),
            "loss_curves": lambda f: f(results.curves, results.runs, by),
            "layer_profile": lambda f: f(results.layers, results.runs, "dead", by),
            "findings": lambda f: f(results),
        }
        try:
            self.call = lambda: calls[name](getattr(analysis, name))
            self.call()
        except missing():
            raise NotImplementedError from None

    def time_analysis(self, found, name: str) -> None:
        self.call()


class Report:
    """The report: figures, tables, page."""

    timeout = 300
    timer = time.process_time
    repeat, rounds, number, warmup_time = 1, 1, 1, 0.0

    def setup_cache(self) -> dict[str, float]:
        """A finished campaign of its own and its report; the bytes of the page."""
        found = setup_cache()
        try:
            return found | {"page": float(_page())} if found else {}
        except missing():
            return {}

    setup_cache.timeout = 300

    def setup(self, found) -> None:
        self.results = _results(found)

    def time_report(self, found) -> None:
        import gradsim as gs

        gs.report(self.results, "again")

    def track_bytes(self, found) -> float:
        """Size of the page."""
        return found["page"]

    track_bytes.unit = "bytes"


class Whole(_Timed):
    """Campaign.run on GRADSIM_BENCHMARK_THREADS threads, into an empty folder: 1,344 runs of 150 steps."""

    def setup(self, found) -> None:
        if not found:
            raise NotImplementedError
        import gradsim as gs

        self.folder, self.campaign = Path(tempfile.mkdtemp()), gs.Campaign(**SMALL)
        small = {**SMALL, "grid": {**GRID, "seed": range(1), "learning_rate": [0.1]}}
        gs.Campaign(**small).run(self.folder / "first", progress=False)  # loads every kernel

    def teardown(self, found) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def time_run(self, found) -> None:
        self.campaign.run(self.folder / "whole", threads=threads(), progress=False)

"""Results on disk and in pandas: `Results(path)` reads a results directory; nothing here needs the engine.

`results.runs`, `.curves` and `.layers` are DataFrames, read once; `results.query(sql)` is DuckDB over the Parquet files.
"""

from __future__ import annotations

import json
import tomllib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gradsim.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from gradsim.campaign import Campaign

TABLES = ("runs", "curves", "layers")
CAMPAIGN_FILE, INFO_FILE = "campaign.toml", "info.json"


class Results:
    """A results directory.

    Attributes:
        path: the directory.
        runs: one row a run: settings, outcome, diagnosis, losses, scores.
        curves: run_id, step, batch_loss (mean since the row before), train_loss (at checkpoints).
        layers: run_id, step, layer and the statistics of DESIGN section 5; layer `depth` is the linear output.
        axes: names of the columns that vary, in the order of the grid.
        info: versions, hardware, wall time, data, command.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not (self.path / CAMPAIGN_FILE).is_file():
            what = "no such directory" if not self.path.exists() else f"holds no {CAMPAIGN_FILE}"
            raise UsageError(f"{self.path}: {what}; give a directory that gradsim run has written")

    @cached_property
    def settings(self) -> dict[str, object]:
        """The resolved campaign as plain values."""
        return tomllib.loads((self.path / CAMPAIGN_FILE).read_text(encoding="utf-8"))

    @cached_property
    def info(self) -> dict[str, object]:
        """How the results were made."""
        try:
            return json.loads((self.path / INFO_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    @cached_property
    def campaign(self) -> Campaign:
        """The campaign, ready to replay runs."""
        from gradsim.campaign import Campaign

        return Campaign.from_toml(self.path / CAMPAIGN_FILE)

    @cached_property
    def axes(self) -> list[str]:
        """Columns that vary, in the order of the grid."""
        names = [
            *self.settings.get("grid", {}),
            *(n for group in self.settings.get("zip", []) for n in group),
        ]
        return [n for n in names if n in self.runs.columns and self.runs[n].nunique(dropna=False) > 1]

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run."""
        return self._load("runs")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Losses over the steps."""
        return self._load("curves")

    @cached_property
    def layers(self) -> pd.DataFrame:
        """Statistics of every layer at every checkpoint."""
        return self._load("layers")

    def _load(self, table: str) -> pd.DataFrame:
        import pyarrow as pa
        import pyarrow.parquet as pq

        files = self.files(table)
        if not files:
            raise UsageError(f"{self.path}: no finished shard yet; gradsim resume {self.path} goes on")
        tables = [pq.read_table(f) for f in files]
        joined = pa.concat_tables(tables, promote_options="default")
        joined = joined.replace_schema_metadata(None)
        frame = joined.to_pandas(self_destruct=True)
        # Integers that can be missing stay integers.
        missing = [c for c in ("width", "diagnosis_layer") if c in frame]
        return frame.astype(dict.fromkeys(missing, "Int64"))

    def files(self, table: str) -> list[Path]:
        """The Parquet files of a table, in the order of the plan."""
        place = self.path / table
        return sorted(place.glob("c*-s*.parquet")) if place.is_dir() else []

    def query(self, sql: str) -> pd.DataFrame:
        """The answer to a DuckDB query over the tables runs, curves and layers."""
        import duckdb

        connection = duckdb.connect()
        try:
            for table in TABLES:
                files = [str(f) for f in self.files(table)]
                if files:
                    listed = ", ".join("'" + f.replace("'", "''") + "'" for f in files)
                    connection.execute(f"create view {table} as from read_parquet([{listed}], union_by_name=true)")
            try:
                return connection.execute(sql).df()
            except duckdb.Error as error:
                raise UsageError(f"query: {str(error).splitlines()[0]}") from None
        finally:
            connection.close()

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        return f"<Results {str(self.path)!r}: {len(self)} runs>"

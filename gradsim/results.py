"""Results on disk and in pandas: `Results(path)` reads a results directory; nothing here needs the engine.

`results.runs`, `.curves`, `.layers` are DataFrames, read once; `results.query(sql)` is DuckDB over the Parquet files.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from gradsim import tomlfile
from gradsim.errors import UsageError, short
from gradsim.places import Place, Remote, Unreachable, each, place_of, readable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from gradsim.campaign import Campaign

T = TypeVar("T")

TABLES = ("runs", "curves", "layers")
# What a campaign's `store` keeps.
STORED = {name: TABLES[: i + 1] for i, name in enumerate(TABLES)}
CAMPAIGN_FILE, INFO_FILE = "campaign.toml", "info.json"
SHARD_FILES = "c*-s*.parquet"
LOOKED_AT = 2**20
"""Of more runs than these, findings and reports look at a `sample`: what they look at must fit into memory."""


def _sql_text(path: Path) -> str:
    """A path as DuckDB's text, in which brackets, stars and question marks stand for themselves."""
    return "'" + re.sub(r"([\[*?])", r"[\1]", str(path)).replace("'", "''") + "'"


class Results:
    """A results directory.

    Attributes:
        path: the directory: a Path, or what stands for a URL (docs/cluster.md).
        runs: one row a run: settings, outcome, diagnosis, losses, scores.
        curves: run_id, step, batch_loss (mean since the row before), train_loss (at checkpoints); where the campaign
            asked for it, sharpness and stability_limit (likewise).
        layers: run_id, step, layer and its statistics (docs/definitions.md); layer `depth` is the linear output.
        axes: names of the columns that vary, in the order of the grid.
        info: versions, hardware, wall time, data, command.
        drawn_from: of a `sample`, how many runs there are in all; else None.

    Text is categories, but for `runs.run_id`; integers that can be missing are Int64.
    """

    drawn_from: int | None = None

    def __init__(self, path: str | Path):
        self.path = place_of(path)
        try:
            if (self.path / CAMPAIGN_FILE).is_file():
                return
            what = f"holds no {CAMPAIGN_FILE}" if self.path.is_dir() else "no such directory"
        except Unreachable as error:
            raise UsageError(f"{self.path}: cannot be read: {error.strerror}") from None
        raise UsageError(f"{self.path}: {what}; give a directory that gradsim run has written")

    @cached_property
    def settings(self) -> dict[str, object]:
        """The resolved campaign as plain values."""
        return tomlfile.read(self.path / CAMPAIGN_FILE)

    @cached_property
    def info(self) -> dict[str, object]:
        """How the results were made; empty where that cannot be read."""
        try:
            found = json.loads((self.path / INFO_FILE).read_text(encoding="utf-8"))
        except Unreachable:
            raise
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def campaign(self) -> Campaign:
        """The campaign, ready to replay runs. Raises UsageError where a program's own activation is not known here."""
        from gradsim.activations import ACTIVATIONS
        from gradsim.campaign import Campaign

        for name in self.info.get("own_activations", ()):
            if name not in ACTIVATIONS:
                raise UsageError(
                    f"{self.path}: activation {short(name)} was defined by a program; only one that has defined it, or "
                    "imported it, can go on from here"
                )
        return Campaign.from_toml(self.path / CAMPAIGN_FILE)

    @property
    def stored(self) -> tuple[str, ...]:
        """The tables that the campaign keeps, of runs, curves and layers."""
        return STORED.get(self.settings.get("store"), TABLES)

    def sample(self, most: int) -> Results:
        """These results, or of more than `most` runs about so many; `drawn_from` says of how many.

        Which is decided by the runs' ids, which are digests of their settings: each has the same chance whatever its
        settings are, and the draw is the same on every machine. Tables are read a file at a time, so that what is left
        out takes no memory.
        """
        if most not in self._samples:
            total, some = len(self), self
            if total > most:
                some = Results(self.path)
                some.drawn_from, some._below = total, f"{most * 2**64 // total:016x}"
            self._samples[most] = some
        return self._samples[most]

    _below: str | None = None  # the least run_id that a sample does not hold

    @cached_property
    def _samples(self) -> dict[int, Results]:
        """Samples that were asked for: findings and report look at the same tables."""
        return {}

    @cached_property
    def axes(self) -> list[str]:
        """Columns that vary, in the order of the grid."""
        groups = [self.settings.get("grid", {}), *self.settings.get("zip", [])]
        names = [name for group in groups for name in group]
        # An axis of several lists of learning rates has a column a layer.
        listed = [name for name in self.runs if name.startswith("learning_rate.") and name not in names]
        columns = [one for name in names for one in (listed if listed and name == "learning_rate" else [name])]
        return [n for n in columns if n in self.runs and self.runs[n].nunique(dropna=False) > 1]

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
        import pyarrow.compute as pc

        def read(source: Path | BinaryIO) -> pa.Table:
            found = _with_categories(source, ids=table != "runs")
            if self._below is not None:
                found = found.filter(pc.less(found["run_id"].cast(pa.string()), self._below))
            return found

        tables = self._of_each(read, self._some_files(table))
        joined = pa.concat_tables(tables, promote_options="default").replace_schema_metadata(None).unify_dictionaries()
        del tables
        frame = joined.to_pandas(split_blocks=True, self_destruct=True)
        del joined
        pa.default_memory_pool().release_unused()
        for name, kind in frame.dtypes.items():
            if kind == "category":  # in an order that no shard decides
                frame[name] = frame[name].cat.reorder_categories(sorted(kind.categories))
        # Integers that can be missing stay integers.
        missing = [c for c in ("width", "diagnosis_layer") if c in frame]
        return frame.astype(dict.fromkeys(missing, "Int64"))

    def _of_each(self, look: Callable[[Path | BinaryIO], T], files: list[Place]) -> list[T]:
        """What there is to see in each Parquet file. Raises UsageError for one that cannot be read."""
        import pyarrow as pa

        def seen(file: Place) -> T:
            try:
                return look(readable(file))
            except Unreachable:
                raise
            except (OSError, pa.ArrowException) as error:
                why = " ".join(str(error).split())
                raise UsageError(f"{file}: {why}; gradsim resume {self.path} makes it anew") from None

        return list(each(seen, files, self.path))

    def _some_files(self, table: str) -> list[Place]:
        if table not in self.stored:
            raise UsageError(f'{self.path}: keeps no {table}, for the campaign says store = "{self.stored[-1]}"')
        files = self.files(table)
        if not files:
            raise UsageError(f"{self.path}: no finished shard yet; gradsim resume {self.path} goes on")
        return files

    def files(self, table: str) -> list[Place]:
        """The Parquet files of a table, in the order of the plan: those of finished shards, whose runs are written."""
        names = [path.name for path in (self.path / "runs").glob(SHARD_FILES)]
        return [self.path / table / name for name in sorted(names, key=lambda name: (len(name), name))]

    def query(self, sql: str) -> pd.DataFrame:
        """The answer to a DuckDB query over the tables runs, curves and layers.

        Results at a URL are copied first, to this machine's directory for temporary files: the tables that `sql` names.
        """
        import duckdb

        connection = duckdb.connect()
        try:
            for table in self.stored:
                files = self._some_files(table)
                if isinstance(self.path, Remote):
                    if not re.search(rf"\b{table}\b", sql, re.IGNORECASE):
                        continue
                    files = self._copies(files)
                listed = ", ".join(_sql_text(f) for f in files)
                connection.execute(f"create view {table} as from read_parquet([{listed}], union_by_name=true)")
            return connection.sql(sql).df()
        except (duckdb.Error, AttributeError, TypeError) as error:  # the last two: no text, or text without a query
            why = str(error).splitlines()[0] if isinstance(error, duckdb.Error) else "is no SQL query"
            raise UsageError(f"query: {why}") from None
        finally:
            connection.close()

    def _copies(self, files: list[Remote]) -> list[Path]:
        """Files of a URL on this machine, while this object lives: DuckDB takes dozens of requests a file, this one."""

        def copy(file: Remote) -> Path:
            target = self._folder / f"{file.parent.name}-{file.name}"
            if not target.exists():
                target.write_bytes(file.read_bytes())
            return target

        return list(each(copy, files, self.path))

    @cached_property
    def _folder(self) -> Path:
        folder = tempfile.mkdtemp(prefix="gradsim-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def __len__(self) -> int:
        if self._below is not None or "runs" in vars(self):
            return len(self.runs)
        import pyarrow.parquet as pq

        return sum(self._of_each(lambda file: pq.read_metadata(file).num_rows, self.files("runs")))

    def __repr__(self) -> str:
        return f"<Results {str(self.path)!r}: {len(self.files('runs'))} shards>"

    def _repr_html_(self) -> str:
        from gradsim.notebook import results_html

        return results_html(self)


def _with_categories(source: Path | BinaryIO, ids: bool) -> pa.Table:
    """A Parquet file, its text as dictionaries that will be categories in pandas: a byte a row. `ids`: of runs too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = pq.ParquetFile(source)
    kinds = {field.name: field.type for field in plain.schema_arrow}
    text = [name for name, kind in kinds.items() if pa.types.is_string(kind) and (ids or name != "run_id")]
    # Read so, the text of a million runs never exists as text.
    return pq.ParquetFile(source, metadata=plain.metadata, read_dictionary=text).read(use_threads=False)

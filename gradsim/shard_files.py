"""Shards on disk: files that are either whole or absent, and that damage does not go unseen in.

A shard is a file of the same name in `runs/` and, where the campaign stores them, `curves/` and `layers/`, and one in
`sums/` with their digests (BLAKE2b, as `b2sum -c sums/*` in the results directory checks them). Each is written whole
(`places.write_whole`), `runs/` last.

A shard is *there* when all footers can be read, carry the campaign's digest and that of the shard's runs, and have the
rows that they should; it is *sound* when the files are also those whose digests were written down.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gradsim.errors import GradsimError
from gradsim.places import Place, Unreachable, each, readable, write_whole
from gradsim.plan import Shard
from gradsim.results import SHARD_FILES, TABLES

SUMS = "sums"
_OURS = (SHARD_FILES, SHARD_FILES.replace(".parquet", ".b2"), f".{SHARD_FILES[:-8]}.*.tmp")
_DIGEST, _SHARD = b"gradsim.campaign", b"gradsim.shard"


def write_shard(folder: Place, shard: Shard, tables: Mapping[str, pa.Table], digest: str) -> int:
    """Write the files of a shard; their bytes. Raises GradsimError with one line where the disk does not take them."""
    contents, sums = {}, ""
    for table in sorted(tables):
        marked = tables[table].replace_schema_metadata({_DIGEST: digest.encode(), _SHARD: shard.mark.encode()})
        sink = io.BytesIO()
        pq.write_table(marked, sink, compression="zstd")
        contents[table] = sink.getvalue()
        sums += f"{_sum(contents[table])}  {table}/{shard.name}.parquet\n"
    for table in sorted(set(contents) - {"runs"}):
        _write(_file(folder, table, shard), contents[table])
    _write(_sums_file(folder, shard), sums.encode())
    _write(_file(folder, "runs", shard), contents["runs"])
    return sum(len(content) for content in contents.values())


def _write(target: Place, content: bytes) -> None:
    try:
        write_whole(target, lambda sink: sink.write(content))
    except OSError as error:
        raise GradsimError(f"{target}: cannot be written: {error.strerror or error}") from None


def _sum(content: bytes) -> str:
    return hashlib.blake2b(content).hexdigest()


def written(folder: Place) -> set[str]:
    """Names of the shards that have runs, in whatever state."""
    return {path.stem for path in (folder / "runs").glob(SHARD_FILES)}


def is_there(folder: Place, shard: Shard, rows: Mapping[str, int], digest: str) -> bool:
    """Whether all files of a shard can be read and are of this campaign; rows: of one run, in each table."""
    try:
        return all(_belongs(_footer(_file(folder, table, shard)), shard, rows[table], digest) for table in rows)
    except Unreachable:
        raise
    except (OSError, pa.ArrowException):
        return False


def _footer(file: Place) -> pq.FileMetaData:
    if isinstance(file, Path):
        return pq.read_metadata(file)
    try:
        return pq.read_metadata(pa.BufferReader(file.tail()))
    except pa.ArrowException:  # a long one
        return pq.read_metadata(file.open())


def _belongs(found: pq.FileMetaData, shard: Shard, count: int, digest: str) -> bool:
    marks = found.metadata or {}
    return (
        found.num_rows == count * len(shard)
        and marks.get(_DIGEST) == digest.encode()
        and marks.get(_SHARD) == shard.mark.encode()
    )


def is_sound(folder: Place, shard: Shard, rows: Mapping[str, int], digest: str) -> bool:
    """Whether a shard is there, byte for byte as it was written."""
    try:
        noted = dict(line.split("  ")[::-1] for line in _sums_file(folder, shard).read_text("ascii").splitlines())
        if noted.keys() != {f"{table}/{shard.name}.parquet" for table in rows}:
            return False
        for table in rows:
            content = _file(folder, table, shard).read_bytes()
            found = pq.read_metadata(pa.BufferReader(content))
            if not _belongs(found, shard, rows[table], digest):
                return False
            if _sum(content) != noted[f"{table}/{shard.name}.parquet"]:
                return False
    except Unreachable:
        raise
    except (OSError, ValueError, pa.ArrowException):
        return False
    return True


def remove_others(folder: Place, shards: Iterable[Shard]) -> int:
    """Remove every shard's file, and what is left of writing one, but for the given shards: halves of a shard that was
    being written, damaged ones, and those that another division into shards has left. How many shards had runs."""
    kept = {shard.name for shard in shards}
    removed = set()
    for table in (*TABLES, SUMS):
        for path in (folder / table).glob("*"):
            if any(map(path.match, _OURS)) and (path.stem not in kept or path.name.startswith(".")):
                path.unlink(missing_ok=True)
                removed |= {path.stem} if table == "runs" and not path.name.startswith(".") else set()
    return len(removed)


def outcome_counts(folder: Place, shards: Iterable[Shard]) -> dict[str, int]:
    """How many runs of the given shards, which are there, had which outcome; the most frequent first."""

    def outcomes(shard: Shard) -> pa.ChunkedArray:
        return pq.read_table(readable(_file(folder, "runs", shard)), columns=["outcome"])["outcome"]

    counts: dict[str, int] = {}
    for column in each(outcomes, shards, folder):
        for found in column.value_counts():
            name = found["values"].as_py()
            counts[name] = counts.get(name, 0) + found["counts"].as_py()
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _file(folder: Place, table: str, shard: Shard) -> Place:
    return folder / table / f"{shard.name}.parquet"


def _sums_file(folder: Place, shard: Shard) -> Place:
    return folder / SUMS / f"{shard.name}.b2"

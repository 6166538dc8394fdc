"""Shards on disk: files that are either whole or absent, and that damage does not go unseen in.

A shard is a file of the same name in `runs/` and, where the campaign stores them, `curves/` and `layers/`, and one in
`sums/` with their digests (BLAKE2b, as `b2sum -c sums/*` in the results directory checks them). Each is written under a
temporary name, synced and renamed, `runs/` last.

A shard is *there* when all footers can be read, carry the campaign's digest and that of the shard's runs, and have the
rows that they should; it is *sound* when the files are also those whose digests were written down.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gradsim.errors import GradsimError
from gradsim.plan import Shard
from gradsim.results import SHARD_FILES, TABLES

SUMS = "sums"
_DIGEST, _SHARD = b"gradsim.campaign", b"gradsim.shard"


def write_shard(folder: Path, shard: Shard, tables: Mapping[str, pa.Table], digest: str) -> int:
    """Write the files of a shard; their bytes. Raises GradsimError with one line where the disk does not take them."""
    contents, sums = {}, ""
    for table in sorted(tables):
        marked = tables[table].replace_schema_metadata({_DIGEST: digest.encode(), _SHARD: shard.mark.encode()})
        sink = io.BytesIO()
        pq.write_table(marked, sink, compression="zstd")
        contents[table] = sink.getbuffer()
        sums += f"{_sum(contents[table])}  {table}/{shard.name}.parquet\n"
    for table in sorted(set(contents) - {"runs"}):
        _write(_file(folder, table, shard), contents[table])
    _write(_sums_file(folder, shard), sums.encode())
    _write(_file(folder, "runs", shard), contents["runs"])
    return sum(len(content) for content in contents.values())


def _write(target: Path, content: bytes | memoryview) -> None:
    # Two machines may write the same shard, where one was taken for dead.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise GradsimError(f"{target}: cannot be written: {error.strerror or error}") from None


def _sync_folder(folder: Path) -> None:
    """Make a rename durable, where folders can be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _sum(content: bytes | memoryview) -> str:
    return hashlib.blake2b(content).hexdigest()


def is_there(folder: Path, shard: Shard, rows: Mapping[str, int], digest: str) -> bool:
    """Whether all files of a shard can be read and are of this campaign; rows: of one run, in each table."""
    for table, count in rows.items():
        try:
            found = pq.read_metadata(_file(folder, table, shard))
        except (OSError, pa.ArrowException):
            return False
        marks = found.metadata or {}
        if (
            found.num_rows != count * len(shard.positions)
            or marks.get(_DIGEST) != digest.encode()
            or marks.get(_SHARD) != shard.mark.encode()
        ):
            return False
    return True


def is_sound(folder: Path, shard: Shard, rows: Mapping[str, int], digest: str) -> bool:
    """Whether a shard is there, byte for byte as it was written."""
    if not is_there(folder, shard, rows, digest):
        return False
    try:
        noted = dict(line.split("  ")[::-1] for line in _sums_file(folder, shard).read_text("ascii").splitlines())
        files = {f"{table}/{shard.name}.parquet" for table in rows}
        return noted.keys() == files and all(_sum((folder / file).read_bytes()) == noted[file] for file in files)
    except (OSError, ValueError):
        return False


def remove_others(folder: Path, shards: Iterable[Shard]) -> int:
    """Remove every shard's file, and what is left of writing one, but for the given shards: halves of a shard that was
    being written, damaged ones, and those that another division into shards has left. How many shards had runs."""
    kept = {shard.name for shard in shards}
    removed = set()
    for table in (*TABLES, SUMS):
        for pattern in (SHARD_FILES, SHARD_FILES.replace(".parquet", ".b2"), f".{SHARD_FILES[:-8]}.*.tmp"):
            for path in (folder / table).glob(pattern):
                if path.stem not in kept or path.name.startswith("."):
                    path.unlink(missing_ok=True)
                    removed |= {path.stem} if table == "runs" and not path.name.startswith(".") else set()
    return len(removed)


def outcome_counts(folder: Path, shards: Iterable[Shard]) -> dict[str, int]:
    """How many runs of the given shards, which are there, had which outcome; the most frequent first."""
    counts: dict[str, int] = {}
    for shard in shards:
        for found in pq.read_table(_file(folder, "runs", shard), columns=["outcome"])["outcome"].value_counts():
            name = found["values"].as_py()
            counts[name] = counts.get(name, 0) + found["counts"].as_py()
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _file(folder: Path, table: str, shard: Shard) -> Path:
    return folder / table / f"{shard.name}.parquet"


def _sums_file(folder: Path, shard: Shard) -> Path:
    return folder / SUMS / f"{shard.name}.b2"

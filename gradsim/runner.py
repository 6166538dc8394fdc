"""Running a campaign: shards on threads, progress, safe files, resuming.

A shard is trained by one kernel call that holds no lock, so threads scale; its files are in place before it counts.
Ctrl-C stops the kernels within a step, keeps every finished shard, and the same command resumes.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from gradsim import storage
from gradsim.campaign import Campaign
from gradsim.cohort import Cohort, cohort_of, dataset_of
from gradsim.errors import GradsimError, UsageError
from gradsim.plan import Shard
from gradsim.progress import Progress
from gradsim.results import CAMPAIGN_FILE, INFO_FILE, Results
from gradsim.shard import networks_of, outcome_of

ARRAYS_FILE = "data.npz"


def run(campaign: Campaign, path: Path, *, threads: int | None = None, progress: bool = True) -> Results:
    """Run what is missing in `path`, and give its results; see `Campaign.run`."""
    if threads is not None and threads < 1:
        raise UsageError(f"threads = {threads}: must be at least 1")
    cells = campaign.plan.cells
    for cell in {id(c): c for c in campaign.plan.cells}.values() if len(cells) < 1000 else cells[:1]:
        dataset_of(cell)
    _prepare(campaign, path)
    with _lock(path):
        _Run(campaign, path, threads or os.cpu_count() or 1, progress).go()
    return Results(path)


class _Run:
    """One call of `run`: what its threads share."""

    def __init__(self, campaign: Campaign, path: Path, threads: int, progress: bool):
        self.campaign, self.plan, self.path, self.threads = campaign, campaign.plan, path, threads
        self.stop = np.zeros(1, np.int64)
        self.show = progress
        self._cohorts: dict[int, Cohort] = {}
        self._lock = threading.Lock()
        self._local = threading.local()

    def cohort(self, number: int) -> Cohort:
        with self._lock:
            if number not in self._cohorts:
                cell = self.plan.cells[int(np.argmax(self.plan.cohort_of_cell == number))]
                self._cohorts[number] = cohort_of(self.campaign, cell)
            return self._cohorts[number]

    def go(self) -> None:
        started = time.perf_counter()
        digest = self.campaign.digest
        todo = []
        for shard in self.plan.shards:
            rows = storage.expected_rows(self.cohort(shard.cohort), len(shard.positions))
            if not storage.is_complete(self.path, shard, rows, digest):
                todo.append(shard)
        done = self.plan.size - sum(len(s.positions) for s in todo)
        failures: list[tuple[Shard, BaseException]] = []
        with Progress(self.plan.size, done, self.show) as progress:
            pool = ThreadPoolExecutor(self.threads, thread_name_prefix="gradsim")
            try:
                waiting = {pool.submit(self._one, shard, digest): shard for shard in todo}
                while waiting:
                    # Short waits, because a Ctrl-C is only seen between them.
                    finished, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                    for future in finished:
                        shard = waiting.pop(future)
                        if future.exception() is None:
                            progress.advance(len(shard.positions), future.result())
                        else:
                            failures.append((shard, future.exception()))
                    if any(isinstance(e, GradsimError) for _, e in failures):
                        break  # the disk: no other shard will fare better
                    progress.tick()
            finally:
                self.stop[0] = 1
                pool.shutdown(wait=True, cancel_futures=True)
        if failures:
            _raise(failures, self.campaign, self.path)
        if todo:
            _write_info(self.campaign, self.path, time.perf_counter() - started, self.threads)

    def _one(self, shard: Shard, digest: str) -> dict[str, int]:
        """Train one shard and write it; counts of outcomes."""
        started = time.perf_counter()
        cohort = self.cohort(shard.cohort)
        networks = networks_of(self.plan, cohort, shard.positions)
        records = cohort.task.records(len(networks.weights))
        if not cohort.task.run(networks, records, self._work(shard.cohort, cohort), self.stop):
            raise KeyboardInterrupt
        del networks
        result = outcome_of(cohort, records, len(shard.positions))
        del records
        seconds = time.perf_counter() - started
        tables = storage.tables_of(self.campaign, self.plan, cohort, shard, result, seconds)
        storage.write_shard(self.path, shard, tables, digest)
        counts = tables["runs"]["outcome"].value_counts()
        return {c["values"].as_py(): c["counts"].as_py() for c in counts}

    def _work(self, number: int, cohort: Cohort):
        """This thread's scratch for a cohort; one at a time is kept."""
        if getattr(self._local, "number", None) != number:
            self._local.number, self._local.work = None, None
            self._local.work = cohort.task.workspace()
            self._local.number = number
        return self._local.work


def status(results: Results) -> dict[str, object]:
    """How much of a results directory is done: runs, shards, outcomes so far."""
    campaign = results.campaign
    digest = results.info.get("digest", campaign.digest)
    done = []
    for shard in campaign.plan.shards:
        cell = campaign.plan.cells[int(np.argmax(campaign.plan.cohort_of_cell == shard.cohort))]
        rows = storage.expected_rows(cohort_of(campaign, cell), len(shard.positions))
        if storage.is_complete(results.path, shard, rows, digest):
            done.append(shard)
    outcomes = results.query("select outcome, count(*) as n from runs group by 1 order by n desc") if done else None
    return {
        "name": campaign.name,
        "path": str(results.path),
        "runs": campaign.plan.size,
        "runs_done": sum(len(s.positions) for s in done),
        "shards": len(campaign.plan.shards),
        "shards_done": len(done),
        "outcomes": {} if outcomes is None else dict(zip(outcomes["outcome"], map(int, outcomes["n"]), strict=True)),
    }


def _raise(failures: list[tuple[Shard, BaseException]], campaign: Campaign, path: Path) -> None:
    shard, error = failures[0]
    if isinstance(error, GradsimError):
        raise error
    run_id = campaign.plan.run_ids(shard.positions[:1])[0]
    others = f" (and {len(failures) - 1} more shards)" if len(failures) > 1 else ""
    raise GradsimError(
        f"shard {shard.name}, which begins with run {run_id}, failed{others}: {type(error).__name__}: {error}; "
        f"the other shards are in {path}, and resuming tries again"
    ) from error


# --- the directory --------------------------------------------------------------------------------


def _prepare(campaign: Campaign, path: Path) -> None:
    """Make sure that `path` is this campaign's directory."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        present = [p.name for p in path.iterdir()]
        if CAMPAIGN_FILE not in present:
            foreign = [name for name in present if name not in ("lock", INFO_FILE) and not name.startswith(".")]
            if foreign:
                raise UsageError(f"{path}: is not empty and holds no {CAMPAIGN_FILE}; give an empty directory")
            _write(path / CAMPAIGN_FILE, _to_toml(campaign, path))
            _write_info(campaign, path, 0.0, 0)
        elif not os.access(path, os.W_OK):
            raise UsageError(f"{path}: cannot be written")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    _check_same(campaign, path)


def _to_toml(campaign: Campaign, path: Path) -> str:
    """The resolved campaign; arrays given in Python are stored beside it."""
    import tomli_w

    from gradsim.datasets import load, save_raw

    resolved = campaign.resolved()
    if campaign.dataset.name == "arrays" and "stored" not in dict(resolved.get("dataset", {})):
        save_raw(load("arrays", campaign.dataset.values), path / ARRAYS_FILE)
        resolved["dataset"] = {"name": "arrays", "stored": ARRAYS_FILE}
    return tomli_w.dumps(resolved)


def _check_same(campaign: Campaign, path: Path) -> None:
    stored = Results(path)
    if stored.info.get("digest") == campaign.digest:
        return
    before, now = dict(stored.settings), campaign.resolved()
    differing = _differences(before, now)
    if not differing:
        differing = ["the data's content"]
    raise UsageError(f"{path}: holds another campaign; differing: {'; '.join(differing)}; give another directory")


def _differences(before: dict, now: dict) -> list[str]:
    out = []
    for key in dict.fromkeys([*before, *now]):
        if key in ("name", "dataset") and key == "name":
            continue
        a, b = before.get(key), now.get(key)
        if a == b or json.dumps(a, default=str) == json.dumps(b, default=str):
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            out += [f"{key}.{k}" for k in dict.fromkeys([*a, *b]) if a.get(k) != b.get(k)]
        else:
            out.append(f"{key} was {a!r}, is {b!r}" if not isinstance(a, list | dict) else key)
    return out


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _write_info(campaign: Campaign, path: Path, seconds: float, threads: int) -> None:
    data = dataset_of(campaign.plan.cells[0])
    before = Results(path).info if (path / INFO_FILE).exists() else {}
    info = {
        "digest": campaign.digest,
        "command": " ".join(["gradsim", *sys.argv[1:]]) if Path(sys.argv[0]).stem in ("gradsim", "__main__") else "",
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "seconds": before.get("seconds", 0.0) + seconds,
        "threads": threads,
        "cores": os.cpu_count(),
        "cpu": cpu_name(),
        "versions": {name: package_version(name) for name in ("gradsim", "numba", "numpy", "pandas", "pyarrow")}
        | {"python": platform.python_version()},
        "data": data.description,
        "task": data.task,
        "real": data.real,
        "train_samples": data.train_samples,
        "test_samples": data.test_samples,
        "networks": campaign.plan.describe_networks(),
    }
    _write(path / INFO_FILE, json.dumps(info, indent=1))


def package_version(name: str) -> str:
    """The installed version of a package, or "unknown"."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def cpu_name() -> str:
    """The processor, as the system names it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Only one process works on a directory; a lock dies with its holder."""
    try:
        import fcntl
    except ImportError:  # no advisory locks here: two processes would only do work twice
        yield
        return
    with open(path / "lock", "a+", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            raise GradsimError(f"{path}: {handle.read().strip() or 'another process'} is at work on it") from None
        handle.seek(0)
        handle.truncate()
        handle.write(f"process {os.getpid()} on {platform.node()}")
        handle.flush()
        yield
        handle.seek(0)
        handle.truncate()

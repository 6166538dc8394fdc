"""Kill a campaign at random moments, damage its files, fill its disk: is it, resumed, what it would have been?

    python benchmarks/survival.py [--kills 50] [--seed 0] [--keep DIR]

Compares every table, to the last bit, with those of an undisturbed run; only the seconds that runs took may differ.
Exits with 1 where anything differs. Takes a few minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gradsim.results import TABLES, Results  # noqa: E402

CAMPAIGN = """
name = "survival"
dataset = "digits"
depth = 2
steps = 300

[grid]
activation = ["relu", "tanh", "leaky_relu", "gelu"]
width = [8, 10, 12, 14, 16, 18, 20, 22]
learning_rate = {geomspace = [1e-3, 100, 12]}
seed = {range = 16}
"""
# Seconds after its start that a process is killed: reading, training, writing.
EARLIEST, LATEST = 0.3, 6.0
# The largest file that the disk takes where it is full, bytes.
FULL = 3_000


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gradsim", *map(str, arguments)]


def shards(folder: Path) -> list[Path]:
    """Files of runs, curves, layers and sums."""
    return sorted(p for table in (*TABLES, "sums") for p in (folder / table).glob("c*"))


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Every table in an order of its own, without the one column that is a time."""
    results = Results(folder)
    keys = {"runs": ["run_id"], "curves": ["run_id", "step"], "layers": ["run_id", "step", "layer"]}
    return {
        name: getattr(results, name).drop(columns="seconds", errors="ignore").sort_values(key, ignore_index=True)
        for name, key in keys.items()
    }


def same(a: dict[str, pd.DataFrame], b: dict[str, pd.DataFrame]) -> bool:
    """Equal to the last bit."""
    try:
        for name in a:
            pd.testing.assert_frame_equal(a[name], b[name], check_exact=True)
            for column in a[name].select_dtypes("float"):
                if a[name][column].to_numpy().tobytes() != b[name][column].to_numpy().tobytes():
                    return False
    except AssertionError:
        return False
    return True


# --- harm -----------------------------------------------------------------------------------------


def kill(file: Path, folder: Path, random: np.random.Generator) -> bool:
    """Start, or go on with, the campaign and kill it at a random moment; whether it was still alive."""
    with subprocess.Popen(
        command("run", file, "-o", folder, "--no-report", "-q"), stdout=subprocess.DEVNULL
    ) as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(random.uniform(EARLIEST, LATEST))
            return False
        process.send_signal(signal.SIGKILL)
        return True


def truncate(victim: Path, random: np.random.Generator) -> None:
    """Cut a file at a random place."""
    victim.write_bytes(victim.read_bytes()[: random.integers(0, victim.stat().st_size)])


def flip(victim: Path, random: np.random.Generator) -> None:
    """Change one bit of a file."""
    content = bytearray(victim.read_bytes())
    content[random.integers(len(content))] ^= 1 << random.integers(8)
    victim.write_bytes(content)


def swap(victim: Path, random: np.random.Generator) -> None:
    """Put another shard's file in the place of one."""
    others = [p for p in victim.parent.iterdir() if p != victim and not p.name.startswith(".")]
    if others:
        shutil.copy(random.choice(np.array(others, object)), victim)


def remove(victim: Path, random: np.random.Generator) -> None:
    """Delete a file."""
    victim.unlink()


def resume(file: Path, folder: Path, limit: int | None = None) -> subprocess.CompletedProcess:
    """Run the campaign to its end; limit: bytes of the largest file that can be written."""

    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        command("run", file, "-o", folder, "--no-report", "-q"),
        capture_output=True,
        text=True,
        preexec_fn=None if limit is None else full,
    )


# --- the trials -----------------------------------------------------------------------------------


def killed(file: Path, folder: Path, kills: int, random: np.random.Generator) -> Iterator[str]:
    """Kill until it was done often enough; a campaign that came to its end loses some shards and goes on."""
    done = ends = 0
    while done < kills:
        if kill(file, folder, random):
            done += 1
            yield f"kill {done} of {kills}: {len(shards(folder))} files"
        else:
            ends += 1
            for victim in random.choice(np.array(shards(folder), object), 40, replace=False):
                victim.unlink(missing_ok=True)
    yield f"killed {done} times; came to its end {ends} times in between"


def damaged(file: Path, folder: Path, harm: Callable, random: np.random.Generator) -> bool:
    """Harm some files of a finished campaign and run it again; whether that went well."""
    for victim in random.choice(np.array(shards(folder), object), 12, replace=False):
        harm(victim, random)
    return resume(file, folder).returncode == 0


def main() -> int:
    """Parse, do harm, compare; 0 where nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave the results there")
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    base = given.keep or Path(tempfile.mkdtemp(prefix="survival-"))
    base.mkdir(parents=True, exist_ok=True)
    file, calm, folder = base / "survival.toml", base / "calm", base / "harmed"
    file.write_text(CAMPAIGN)
    verdicts = {}
    try:
        started = time.perf_counter()
        assert resume(file, calm).returncode == 0
        wanted = tables(calm)
        said = f"undisturbed: {len(wanted['runs'])} runs, {len(shards(calm))} files"
        print(f"{said}, {time.perf_counter() - started:.0f} s", flush=True)
        for line in killed(file, folder, given.kills, random):
            print(line, flush=True)
        verdicts["killed"] = resume(file, folder).returncode == 0 and same(tables(folder), wanted)
        for harm in (truncate, flip, swap, remove):
            verdicts[f"files: {harm.__name__}"] = damaged(file, folder, harm, random) and same(tables(folder), wanted)
        for victim in shards(folder)[::3]:
            victim.unlink()
        refused = resume(file, folder, FULL)
        one_line = refused.returncode == 1 and len(refused.stderr.splitlines()) == 1
        print(refused.stderr.strip())
        verdicts["full disk"] = one_line and resume(file, folder).returncode == 0 and same(tables(folder), wanted)
    finally:
        if given.keep is None:
            shutil.rmtree(base, ignore_errors=True)
    for name, good in verdicts.items():
        print(f"{name:16} {'bit-identical' if good else 'DIFFERS'}")
    return int(not all(verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())

"""What runs cost from ten thousand to a million, beside what `gradsim run --dry-run` says that they will.

    python benchmarks/scale.py                    # 10^4, 10^5 and 2^20 runs of reports/million.toml, and the main job
    python benchmarks/scale.py --sides 96 316     # other grids of it, and nothing else

Each campaign is a process of its own: the estimate, the run without its report, the report, and the loading of the
runs table. Memory is the process's largest resident size. Compile the kernels before (any small run does) or see the
first row pay for it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

REPORTS = Path(__file__).parents[1] / "reports"
COMMAND = [sys.executable, "-m", "gradsim"]
LOAD = "import sys, gradsim as gs; assert len(gs.Results(sys.argv[1]).runs)"


def measured(command: list[str], watch: Path | None = None) -> tuple[float, float, float, str]:
    """Run a command: seconds, megabytes at most, seconds until a file matches in `watch`, what it printed."""
    started, first = time.perf_counter(), float("nan")
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if first != first and watch and any(watch.glob("*.parquet")):
                first = time.perf_counter() - started
            if pid:
                break
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
        out.seek(0)
        said = out.read()
    if status:
        raise SystemExit(f"{' '.join(command)}: exit status {child.returncode}\n{said}")
    return seconds, usage.ru_maxrss / 1e3, first, said


def campaigns(sides: list[int], folder: Path) -> dict[str, Path]:
    """Files by what they are called: the million's campaign on grids of other sides."""
    text = (REPORTS / "million.toml").read_text(encoding="utf-8")
    steps = tomllib.loads(text)["grid"]["learning_rate.0"]["geomspace"][-1]
    files = {}
    for side in sides:
        files[f"{side * side:,} runs"] = folder / f"{side}.toml"
        (folder / f"{side}.toml").write_text(text.replace(f", {steps}]", f", {side}]"), encoding="utf-8")
    return files


def one(name: str, file: Path, out: Path) -> dict[str, object]:
    """One campaign: estimated, run, reported, loaded."""
    _, _, _, said = measured([*COMMAND, "run", str(file), "--dry-run", "--json"])
    told = json.loads(said)
    seconds, memory, first, _ = measured([*COMMAND, "run", str(file), "--out", str(out), "--no-report"], out / "runs")
    written = sum(f.stat().st_size for f in out.rglob("*.parquet"))
    report, report_memory, _, _ = measured([*COMMAND, "report", str(out)])
    everything = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    imports, _, _, _ = measured([sys.executable, "-c", "import gradsim, pandas, pyarrow.parquet"])
    load, _, _, _ = measured([sys.executable, "-c", LOAD, str(out)])
    return {
        "": name,
        "runs": told["runs"],
        "run s": seconds,
        "us a run": (seconds - first) / told["runs"] * 1e6,
        "first shard s": first,
        "MB": memory,
        "shards MB": written / 1e6,
        "all MB": everything / 1e6,
        "load s": load - imports,
        "report s": report,
        "report MB": report_memory,
        "said/took": told["seconds"] / seconds,
        "said/held": told["memory_bytes"] / 1e6 / memory,
        "said/wrote": told["disk_bytes"] / written,
    }


def main() -> None:
    """Print a row a campaign."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", help="of the grids of learning rates, nothing else")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        files = campaigns(options.sides or [100, 316, 1024], Path(folder))
        if not options.sides:
            files["digits"] = REPORTS / "digits.toml"
        for name, file in files.items():
            rows.append(one(name, file, Path(folder) / file.stem))
            if len(rows) == 1:
                print(" | ".join(rows[0]))
            print(" | ".join(v if isinstance(v, str) else f"{v:,.4g}" for v in rows[-1].values()), flush=True)


if __name__ == "__main__":
    main()

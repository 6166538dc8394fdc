"""gradsim beside JAX and PyTorch: the same small networks trained by each, in turn, in its own process.

    python benchmarks/peers.py [--rows NAME ...] [--repeats 5] [--quick] [--json FILE]

Prints a Markdown table; benchmarks/README.md says what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

# Below the path: run as a script, Python looks only beside this file.
from benchmarks.contenders import CONTENDERS, machine  # noqa: E402
from benchmarks.contenders.tasks import TASKS, Gate, Task  # noqa: E402

OURS = "gradsim"
LEAST_REPEATS = 5
PAUSE = 0.3  # seconds between turns: thread pools of the last contender stop spinning meanwhile


class ContenderFailed(Exception):
    """A worker could not do what it was asked; the message is one line."""


class Worker:
    """A contender's process, spoken to in JSON lines; use as a context manager."""

    def __init__(self, name: str) -> None:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contenders.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, do: str, **details: object) -> dict:
        """One request and its reply; raises ContenderFailed where there is none."""
        try:
            self.process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ContenderFailed(f"its process ended with code {self.process.wait()}")
        reply = json.loads(line)
        if "failed" in reply:
            raise ContenderFailed(reply["failed"])
        return reply


# --- measuring --------------------------------------------------------------------------------------------


class Row:
    """One task measured: every contender's worker stays alive, and they take turns repeat by repeat."""

    def __init__(self, name: str, contenders: list[str], quick: bool) -> None:
        self.name, self.quick = name, quick
        self.task: Task = TASKS[name].quick() if quick else TASKS[name]
        self.results: dict[str, dict] = {c: {"seconds": [], "errors": [], "others": []} for c in contenders}
        self.peaks: list[float] = []
        self._workers: dict[str, Worker] = {}

    def _try(self, contender: str, do: str, **details: object) -> dict | None:
        """The worker's reply, or None after noting why there is none: that contender is out of this row."""
        try:
            return self._workers[contender].ask(do, **details)
        except ContenderFailed as failure:
            self.results[contender]["failed"] = f"{do}: {failure}"
            say(f"  {contender} is out: {do}: {failure}")
            self._workers.pop(contender).__exit__()
            return None

    def measure(self, repeats: int) -> dict:
        """Prepare everyone, then `repeats` rounds; the row as a JSON-ready dictionary."""
        with ExitStack() as stack:
            for contender in self.results:
                self._workers[contender] = stack.enter_context(Worker(contender))
                ready = self._try(contender, "prepare", task=self.name, quick=self.quick)
                if ready:
                    self.results[contender].update(ready)
                    say(f"  {contender} ready after {ready['prepare_seconds']:.1f} s: {ready['layout']}")
            for turn in range(repeats):
                self._round(turn)
        return self.summary()

    def _round(self, turn: int) -> None:
        if OURS in self._workers and (peak := self._try(OURS, "peak")):
            self.peaks.append(peak["gflops"])
        order = list(self._workers)
        first = turn % max(1, len(order))  # nobody always runs first, on a rested processor
        for contender in order[first:] + order[:first]:
            time.sleep(PAUSE)
            self._repeat(contender)

    def _repeat(self, contender: str) -> None:
        busy, start = machine.busy_seconds(), time.perf_counter()
        reply = self._try(contender, "train")
        if reply is None:
            return
        result = self.results[contender]
        result["seconds"].append(reply["seconds"])
        result["errors"].append(reply["error"])
        result["peak_bytes"] = reply["peak_bytes"]
        if busy is not None:
            wall = time.perf_counter() - start
            other = machine.busy_seconds() - busy - reply["cpu_seconds"]
            result["others"].append(max(0.0, other) / (wall * machine.cores()))

    def summary(self) -> dict:
        """Medians, rates and ratios of what was measured."""
        task, peak = self.task, statistics.median(self.peaks) if self.peaks else None
        for result in self.results.values():
            if "failed" in result or not result["seconds"]:
                continue
            median = statistics.median(result["seconds"])
            rate = task.flops / median / 1e9
            result |= {
                "median_seconds": median,
                "network_steps_per_second": task.networks * task.steps / median,
                "gflops": rate,
                "fraction_of_peak": rate / peak if peak else None,
                "error": max(result["errors"]),
                "agrees": max(result["errors"]) <= Gate.TOLERANCE,
            }
        sizes = {k: getattr(task, k) for k in ("widths", "activation", "loss", "batch", "networks", "steps")}
        return {
            "row": self.name,
            **sizes,
            "flops": task.flops,
            "fma_peak_gflops": {"median": peak, "repeats": self.peaks},
            "contenders": self.results,
            **self._ratios(),
        }

    def _ratios(self) -> dict:
        """How many times faster gradsim is than each peer: ratio of medians, and of each repeat's pair."""
        done = {c: r for c, r in self.results.items() if "median_seconds" in r}
        peers = [c for c in done if c != OURS and done[c]["agrees"]]
        best = min(peers, key=lambda c: done[c]["median_seconds"], default=None)
        plain = min((c for c in peers if c.endswith("plain")), key=lambda c: done[c]["median_seconds"], default=None)
        if OURS in done:
            mine = done[OURS]
            for peer in (c for c in done if c != OURS):
                pairs = [p / m for p, m in zip(done[peer]["seconds"], mine["seconds"], strict=False)]
                done[peer]["gradsim_faster"] = done[peer]["median_seconds"] / mine["median_seconds"]
                done[peer]["gradsim_faster_pairs"] = pairs
        return {
            "best_peer": best,
            "ratio": done[best].get("gradsim_faster") if best else None,
            "best_plain_peer": plain,
            "plain_ratio": done[plain].get("gradsim_faster") if plain else None,
        }


# --- printing ---------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def markdown(header: list[str], rows: list[list[str]], left: int = 2) -> str:
    """A Markdown table whose columns line up in a terminal as well; the first `left` to the left."""
    width = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]

    def draw(cells: list[str]) -> str:
        padded = (c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, width, strict=True)))
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(("-" * (w + 2)) if i < left else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|"
    return "\n".join([draw(header), rule, *map(draw, rows)])


def _ratio_cell(row: dict, contender: str) -> str:
    if contender == OURS:
        if not row["ratio"]:
            return "-"
        plain = f", {row['plain_ratio']:.2f} x {row['best_plain_peer']}" if row["plain_ratio"] else ""
        return f"**{row['ratio']:.2f}** x {row['best_peer']}{plain}"
    result = row["contenders"][contender]
    if "gradsim_faster" not in result:
        return "-"
    pairs = result["gradsim_faster_pairs"]
    return f"{result['gradsim_faster']:.2f} ({min(pairs):.2f}-{max(pairs):.2f})"


def speed_table(rows: list[dict]) -> str:
    """Medians of each contender in each row, and how many times faster gradsim is."""
    header = ["row", "contender", "median s", "net-steps/s", "GFLOP/s", "% of peak", "gradsim faster by"]
    lines = []
    for row in rows:
        for name, result in row["contenders"].items():
            if "median_seconds" not in result:
                lines.append([row["row"], name, "failed", "-", "-", "-", "-"])
                continue
            share = result["fraction_of_peak"]
            wrong = "" if result["agrees"] else " WRONG"
            lines.append(
                [
                    row["row"],
                    name + wrong,
                    f"{result['median_seconds']:.3f}",
                    f"{result['network_steps_per_second']:,.0f}",
                    f"{result['gflops']:.1f}",
                    f"{100 * share:.0f}" if share else "-",
                    _ratio_cell(row, name),
                ]
            )
    return markdown(header, lines)


def setup_table(rows: list[dict]) -> str:
    """What stays outside the timing: layout kept and its gain over the plainest, compilation, memory."""
    header = [
        "row",
        "contender",
        "layout kept, speed over plainest",
        "compile s",
        "ready after s",
        "error",
        "MB",
    ]
    lines = []
    for row in rows:
        for name, result in row["contenders"].items():
            if "median_seconds" not in result:
                continue
            layout, trials = result["layout"], result["trials"]
            if trials:
                layout += f", {next(iter(trials.values())) / trials[layout]:.2f} x"
            numbers = [f"{result['compile_seconds']:.2f}", f"{result['prepare_seconds']:.1f}"]
            memory = f"{result['peak_bytes'] / 2**20:.0f}"
            lines.append([row["row"], name, layout, *numbers, f"{result['error']:.0e}", memory])
    return markdown(header, lines, left=3)


def notes(report: dict) -> list[str]:
    """Machine, and everything that makes a number above doubtful."""
    rows, host = report["rows"], report["machine"]
    peaks = [p for row in rows for p in row["fma_peak_gflops"]["repeats"]]
    peak = f"FMA peak {statistics.median(peaks):.0f} GFLOP/s" if peaks else "FMA peak not measured"
    versions = ", ".join(f"{k} {v}" for k, v in sorted(report["versions"].items()))
    lines = [f"{host['cpu']}, {host['cores']} cores, {peak}, float32, {versions}; {report['date'][:10]}."]
    how = f"Medians of {report['repeats']} interleaved repeats; range of the paired ratios in brackets."
    lines.append("QUICK RUN: sizes too small for the timings to mean anything." if report["quick"] else how)
    for row in rows:
        for name, result in row["contenders"].items():
            if "failed" in result:
                lines.append(f"FAILED {row['row']}, {name}: {result['failed']}")
            elif not result.get("agrees", True):
                error = f"{result['error']:.1e} from the float64 reference, allowed {Gate.TOLERANCE:g}"
                lines.append(f"WRONG {row['row']}, {name}: {error}; not counted as best peer")
            if result["others"] and statistics.median(result["others"]) > 0.05:
                share = 100 * statistics.median(result["others"])
                lines.append(f"BUSY {row['row']}, {name}: other processes took {share:.0f}% of the cores")
    return lines


# --- command line -----------------------------------------------------------------------------------------


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="peers.py", description="gradsim beside JAX and PyTorch on the same tasks.")
    names = list(TASKS)
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--repeats", type=int, help=f"at least {LEAST_REPEATS}, the default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, 2 repeats: tries the machinery only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    given = parser.parse_args(argv)
    if given.repeats is None:
        given.repeats = 2 if given.quick else LEAST_REPEATS
    least = 1 if given.quick else LEAST_REPEATS
    if given.repeats < least:
        parser.error(f"--repeats {given.repeats}: at least {least}")
    if given.json and not given.json.resolve().parent.is_dir():
        parser.error(f"--json {given.json}: no such directory")
    return given


def collect(given: argparse.Namespace) -> dict:
    """Measure the rows asked for; the JSON file is rewritten after each, so that little can be lost."""
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(ROOT),
        "quick": given.quick,
        "repeats": given.repeats,
        "tolerance": Gate.TOLERANCE,
        "machine": machine.describe(),
        "versions": {"python": platform.python_version()},
        "rows": [],
    }
    for number, name in enumerate(given.rows, 1):
        say(f"{number}/{len(given.rows)} {name}")
        row = Row(name, given.contenders, given.quick).measure(given.repeats)
        for result in row["contenders"].values():
            report["versions"] |= result.pop("versions", {})
        report["rows"].append(row)
        if given.json:
            given.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


def main(argv: list[str] | None = None) -> int:
    """0 where every contender ran and agreed with the reference, 1 otherwise, 130 after Ctrl-C."""
    given = arguments(argv)
    try:
        report = collect(given)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    print(speed_table(report["rows"]), "\n".join(notes(report)), setup_table(report["rows"]), sep="\n\n")
    results = [result for row in report["rows"] for result in row["contenders"].values()]
    return 0 if all(result.get("agrees") for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Has a commit become slower? asv measures both, and what looks slower is measured again before it counts.

    python benchmarks/compare.py main HEAD                       # everything: two runs of the suite, and what follows
    python benchmarks/compare.py main HEAD -b bench_engine -b bench_training --quick

A benchmark is red where the median ratio of several pairs, measured in turns, is beyond the factor, the median
difference beyond what anybody would notice (FLOORS), and all pairs but one agree. Exit status 1 where one is red, or
gives no number any more. Needs asv and virtualenv; both revisions have to be commits.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE, HEAD = "base", "head"
# The least difference that counts, in the benchmark's own unit: the first pattern that its name holds.
FLOORS = (
    ("peakmem_", 4e6),  # bytes
    (r"bench_startup\..*_s\b|timeraw_", 0.05),  # seconds
    ("track_modules", 0.5),
    ("track_bytes", 20_000.0),
    ("time_", 1e-3),  # seconds
    (r"ByName|ByFamily|Elementary|RandomNumbers", 0.02),  # nanoseconds a number
    ("Optimizers|Losses", 10.0),  # nanoseconds a network and step
    ("Initializers", 3.0),  # microseconds a network
    ("DataSets", 0.3),  # milliseconds
    ("peak_over_achieved", 0.05),
    ("track_overhead|track_threads", 0.03),
    ("Accuracy", 0.5),  # ulp
    ("bench_quality", 0.01),
    ("track_weight_change", 0.0),
)


def floor_of(name: str) -> float:
    """The least difference of a benchmark that counts."""
    return next((floor for pattern, floor in FLOORS if re.search(pattern, name)), 0.0)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the pairs of a benchmark say."""

    name: str
    base: float
    head: float
    ratio: float
    agreeing: int
    pairs: int
    red: bool


def looks_worse(base: float, head: float, factor: float, floor: float) -> bool:
    """Whether one pair is beyond factor and floor, or the head has no number where the base has one."""
    if math.isnan(base):
        return False
    return math.isnan(head) or (head > factor * base and head - base > floor)


def judge(name: str, pairs: list[tuple[float, float]], factor: float) -> Verdict:
    """Red by ratio and by difference, medians of the pairs, all of which but one agree; or where numbers are gone."""
    whole = [(b, h) for b, h in pairs if not (math.isnan(b) or math.isnan(h))]
    gone = sum(math.isnan(h) and not math.isnan(b) for b, h in pairs)
    if not whole:
        return Verdict(name, math.nan, math.nan, math.nan, gone, len(pairs), gone == len(pairs) > 0)
    floor = floor_of(name)
    ratio = statistics.median(h / b if b else (math.inf if h > 0 else 1.0) for b, h in whole)
    difference = statistics.median(h - b for b, h in whole)
    agreeing = sum(looks_worse(b, h, factor, floor) for b, h in whole)
    red = ratio > factor and difference > floor and agreeing >= len(whole) - (len(whole) > 2)
    medians = (statistics.median(side) for side in zip(*whole, strict=True))
    return Verdict(name, *medians, ratio, agreeing, len(whole), red)


# --- asv ----------------------------------------------------------------------------------------------


class Asv:
    """asv's command line, and the numbers that it leaves."""

    def __init__(self, quick: bool, environment: str | None):
        self.options = ["--quick"] * quick + (["-E", environment] if environment else [])
        if hasattr(os, "fork"):
            self.options += ["--launch-method", "forkserver"]

    def measure(self, commit: str, patterns: Iterable[str]) -> dict[str, float]:
        """{name with its parameters: number, NaN where there is none} of a commit's benchmarks."""
        chosen = [part for pattern in patterns for part in ("-b", pattern)]
        # Exit status 2: some benchmark failed. It has no number then, which is judged like any other.
        done = subprocess.run([sys.executable, "-m", "asv", "run", f"{commit}^!", *self.options, *chosen], cwd=ROOT)
        if done.returncode not in (0, 2):
            raise SystemExit(f"asv run {commit}: exit status {done.returncode}")
        return self._numbers(commit, [re.compile(p) for p in patterns])

    def _numbers(self, commit: str, patterns: list[re.Pattern]) -> dict[str, float]:
        from asv.config import Config
        from asv.machine import Machine
        from asv.results import iter_results_for_machine_and_hash

        conf, found = Config.load(str(ROOT / "asv.conf.json")), {}
        machine = Machine.get_unique_machine_name()
        for results in iter_results_for_machine_and_hash(str(ROOT / conf.results_dir), machine, commit):
            for name in results.get_all_result_keys():
                params = results.get_result_params(name)
                values = results.get_result_value(name, params) or []
                for given, value in zip(itertools.product(*params), values, strict=False):
                    full = f"{name}({', '.join(given)})" if given else name
                    if not patterns or any(p.search(full) for p in patterns):
                        found[full] = math.nan if value is None else float(value)
        return found


def commit_of(revision: str) -> str:
    """The full name of a commit; exits where there is none."""
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{revision}: no such commit")
    return done.stdout.strip()


def again(asv: Asv, commits: dict[str, str], names: list[str], pairs: int) -> dict[str, list[tuple[float, float]]]:
    """Measure benchmarks pair by pair, each pair beginning with the other commit."""
    patterns = [f"^{re.escape(name)}$" for name in names]
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(pairs):
        order = (BASE, HEAD) if turn % 2 == 0 else (HEAD, BASE)
        numbers = {side: asv.measure(commits[side], patterns) for side in order}
        for name in names:
            seen[name].append((numbers[BASE].get(name, math.nan), numbers[HEAD].get(name, math.nan)))
    return seen


def table(verdicts: list[Verdict]) -> str:
    """Markdown: what looked slower, and what it is."""
    lines = ["| benchmark | base | head | ratio | pairs beyond | verdict |", "|---|---:|---:|---:|---:|---|"]
    for v in sorted(verdicts, key=lambda v: (not v.red, -v.ratio if v.ratio == v.ratio else -math.inf)):
        word = "RED" if v.red else "noise"
        lines.append(f"| {v.name} | {v.base:.4g} | {v.head:.4g} | {v.ratio:.2f} | {v.agreeing} of {v.pairs} | {word} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Parse, measure, measure again, print; 0 where nothing is red."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("head", nargs="?", default="HEAD", help="the commit that may be slower (HEAD)")
    parser.add_argument("-b", "--bench", action="append", default=[], metavar="REGEX", help="as of asv run")
    parser.add_argument("-E", "--environment", help="as of asv run")
    parser.add_argument("--factor", type=float, default=1.1, help="ratio from which a change counts (1.1)")
    parser.add_argument("--pairs", type=int, default=5, help="how often a suspect is measured again (5)")
    parser.add_argument("--quick", action="store_true", help="as of asv run")
    given = parser.parse_args(argv)
    commits = {BASE: commit_of(given.base), HEAD: commit_of(given.head)}
    asv = Asv(given.quick, given.environment)
    first = {side: asv.measure(commit, given.bench) for side, commit in commits.items()}
    suspects = [
        name
        for name, base in first[BASE].items()
        if looks_worse(base, first[HEAD].get(name, math.nan), given.factor, floor_of(name))
    ]
    print(f"\n{len(first[HEAD])} benchmarks, {len(suspects)} look worse at first")
    if not suspects:
        return 0
    verdicts = [judge(n, p, given.factor) for n, p in again(asv, commits, suspects, given.pairs).items()]
    red = sum(v.red for v in verdicts)
    print(table(verdicts), f"{red} red: worse by more than {given.factor:g} in {given.pairs} pairs", sep="\n\n")
    return int(red > 0)


if __name__ == "__main__":
    sys.exit(main())

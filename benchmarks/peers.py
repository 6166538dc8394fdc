"""gradsim beside JAX, PyTorch, NumPy and scikit-learn: the same small networks trained by each, in turn, in its own
process.

    python benchmarks/peers.py [--rows NAME ...] [--contenders NAME ...] [--repeats 5] [--quick] [--dry-run]
                               [--markdown FILE] [--figure FILE] [--json FILE]

Prints Markdown tables; benchmarks/README.md says what is measured and how.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

# Below the path: run as a script, Python looks only beside this file.
from benchmarks.contenders import CONTENDERS, SLOW, machine  # noqa: E402
from benchmarks.contenders.rounds import PAUSE, Row, rests, say  # noqa: E402
from benchmarks.contenders.tables import page  # noqa: E402
from benchmarks.contenders.tasks import ROWS, USUAL_ROWS, Campaign  # noqa: E402
from benchmarks.contenders.twin import Gate  # noqa: E402

LEAST_REPEATS = 5
# For the estimate: gradsim's speed on the machine of benchmarks/README.md, and what starting a process takes.
FLOPS, START_SECONDS = 1.2e11, 2.0


def rows_named(patterns: list[str]) -> list[str]:
    """The rows that match any of the patterns, in their order; raises ValueError for one that no row matches."""
    found: dict[str, None] = {}
    for pattern in patterns:
        own = list(ROWS) if pattern == "all" else [name for name in ROWS if fnmatchcase(name, pattern)]
        if not own:
            raise ValueError(f"--rows {pattern}: no such row; --list names them")
        found |= dict.fromkeys(own)
    return list(found)


def estimate(rows: list[str], contenders: list[str], repeats: int) -> float:
    """Seconds that a run takes on two idle cores, by what the contenders are known to take."""
    total = 0.0
    for row in map(ROWS.get, rows):
        campaign = isinstance(row, Campaign)
        for entry in (CONTENDERS[c] for c in contenders):
            if entry.cold and not campaign:
                continue
            turn = entry.slower * row.flops / FLOPS + entry.compiling * campaign
            turns = next((n for n in range(repeats) if rests([turn] * n)), repeats)
            total += START_SECONDS + turns * (turn + PAUSE + START_SECONDS * campaign)
            total += 0 if campaign else entry.setup + turn
    return total


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="peers.py", description="gradsim beside JAX, PyTorch, NumPy and scikit-learn on the same tasks."
    )
    rows = f"names or patterns such as '16-16-1*', or all; default: {' '.join(USUAL_ROWS)}"
    parser.add_argument("--rows", nargs="+", default=list(USUAL_ROWS), metavar="NAME", help=rows)
    usual = [name for name in CONTENDERS if name not in SLOW]
    chosen = f"{', '.join(CONTENDERS)}, or all; default: all but {' and '.join(SLOW)}"
    options = {"choices": [*CONTENDERS, "all"], "default": usual, "metavar": "NAME", "help": chosen}
    parser.add_argument("--contenders", nargs="+", **options)
    parser.add_argument("--repeats", type=int, help=f"rounds, at least {LEAST_REPEATS}, the default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, 2 rounds: tries the machinery only")
    parser.add_argument("--list", action="store_true", help="name all rows and stop")
    parser.add_argument("--dry-run", action="store_true", help="say how long it would take and stop")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to FILE")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the picture: PNG, SVG or PDF")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    return parser


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = _parser()
    given = parser.parse_args(argv)
    try:
        given.rows = rows_named(given.rows)
    except ValueError as error:
        parser.error(str(error))
    if "all" in given.contenders:
        given.contenders = list(CONTENDERS)
    if given.repeats is None:
        given.repeats = 2 if given.quick else LEAST_REPEATS
    least = 1 if given.quick else LEAST_REPEATS
    if given.repeats < least:
        parser.error(f"--repeats {given.repeats}: at least {least}")
    for option in ("markdown", "figure", "json"):
        path = getattr(given, option)
        if path and not path.resolve().parent.is_dir():
            parser.error(f"--{option} {path}: no such directory")
    if given.figure and given.figure.suffix.lower() not in (".png", ".svg", ".pdf"):
        parser.error(f"--figure {given.figure}: allowed are names in .png, .svg, .pdf")
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
        left = "" if given.quick else f", {_minutes(given, number - 1)} left"
        say(f"{number}/{len(given.rows)} {name}{left}")
        row = Row(name, given.contenders, given.quick).measure(given.repeats)
        for result in row["contenders"].values():
            report["versions"] |= result.pop("versions", {})
        report["rows"].append(row)
        if given.json:
            given.json.write_text(json.dumps(report, indent=1) + "\n")
    return report


def _minutes(given: argparse.Namespace, done: int = 0) -> str:
    return f"about {estimate(given.rows[done:], given.contenders, given.repeats) / 60:.0f} minutes"


def main(argv: list[str] | None = None) -> int:
    """0 where every contender ran and agreed with the reference, 1 otherwise, 130 after Ctrl-C."""
    given = arguments(argv)
    if given.list:
        print("\n".join(ROWS))
        return 0
    if not given.quick:
        say(f"{len(given.rows)} rows, {len(given.contenders)} contenders: {_minutes(given)} on two idle cores")
    if given.dry_run:
        return 0
    try:
        report = collect(given)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    text = page(report)
    print(text)
    if given.markdown:
        given.markdown.write_text(text)
    if given.figure:
        from benchmarks.contenders import figure  # matplotlib, only now

        figure.save(report, given.figure)
    results = [result for row in report["rows"] for result in row["contenders"].values() if "absent" not in result]
    return 0 if all(result.get("agrees") for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())

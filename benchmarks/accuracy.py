"""Every activation against mpmath at 50 digits: the worst error of value, slope and parameter derivatives, in ulp.

    python benchmarks/accuracy.py [NAME ...] [--inputs 100000] [--dtype float32] [--jobs 2] [--json FILE]

Counted is what goes beyond moving the input by one ulp, where the exact result is a normal number; benchmarks/README.md
says how. Prints a Markdown table, progress on stderr; exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# Below the path: run as a script, Python looks only beside this file; the oracles belong to the tests.
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from activation_help import (  # noqa: E402
    DTYPES,
    OWN,
    all_learned,
    bar,
    exactly_at,
    results,
    rounded,
    setting_inputs,
)
from exactly import excess  # noqa: E402
from layer_help import layer_errors, vectors  # noqa: E402

from benchmarks.contenders.tables import markdown  # noqa: E402
from benchmarks.names import add_names  # noqa: E402
from gradsim.activations import ACTIVATIONS  # noqa: E402

SHARE = 5000  # inputs that one task measures
VECTOR = 4.4  # units of a layer, a little under their mean of 4.5


class Worst(NamedTuple):
    """The largest error found of one result, in ulp, at which input, and what was got there."""

    error: float
    at: str
    got: float
    inputs: int

    def merge(self, other: Worst) -> Worst:
        """The worse of the two, of all inputs."""
        worse = self if self.error >= other.error else other
        return worse._replace(inputs=self.inputs + other.inputs)


# --- measuring --------------------------------------------------------------------------------------------


def measure(name: str, dtype: str, inputs: int, share: int, shares: int) -> dict[str, Worst]:
    """{"value", "slope", "d/dparameter" ...: Worst} of every shares-th input; of a layerwise one "value" and "vjp"."""
    act = ACTIVATIONS[name]
    if act.kind == "layerwise":
        return _measure_layer(act, DTYPES[dtype], inputs, share, shares)
    return _measure_pointwise(act, DTYPES[dtype], inputs, share, shares)


def _measure_pointwise(act, dtype: type, inputs: int, share: int, shares: int) -> dict[str, Worst]:
    # A few more than asked for: some fall on the same float.
    x = setting_inputs(act, dtype, math.ceil(1.06 * inputs))[share::shares]
    at, kinks = exactly_at(act, dtype), rounded(act, dtype).kinks
    got, wanted = results(act, x), [at(float(z)) for z in x]
    found = {}
    for what, numbers in got.items():
        exact = [w[what] for w in wanted]
        error = excess(numbers, x, exact, lambda z, what=what: at(z)[what], bar(act.name), kinks)
        worst = int(error.argmax())
        found[what] = Worst(float(error[worst]), f"{x[worst]:.9g}", float(numbers[worst]), x.size)
    return found


def _measure_layer(act, dtype: type, inputs: int, share: int, shares: int) -> dict[str, Worst]:
    count = math.ceil(inputs / VECTOR / act.preactivations / shares)
    found: dict[str, Worst] = {}
    for z, upstream in vectors(act, dtype, count, seed=share):
        for what, (error, got) in layer_errors(act, z, upstream, bar(act.name)).items():
            worst = int(error.argmax())
            at = f"[{z.min():.4g} .. {z.max():.4g}]"
            here = Worst(float(error[worst]), at, float(got[worst]), z.size)
            found[what] = found[what].merge(here) if what in found else here
    return found


def compile_blocks(name: str, dtype: str) -> None:
    """Into the disk cache, so that the shares of one activation do not all compile it."""
    act = ACTIVATIONS[name]
    act.block(DTYPES[dtype])
    if act.kind == "layerwise" or act.parameters:
        all_learned(act).block(DTYPES[dtype], "backward")


def measure_all(names: list[str], dtypes: list[str], inputs: int, jobs: int) -> dict[tuple, Worst]:
    """{(name, dtype, what): Worst}, from `jobs` processes."""
    shares = max(1, math.ceil(inputs / SHARE))
    pairs = [(name, dtype) for name in names for dtype in dtypes]
    found: dict[tuple, Worst] = {}
    left = dict.fromkeys(pairs, shares)
    start = time.perf_counter()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for task in as_completed([pool.submit(compile_blocks, *pair) for pair in pairs]):
            task.result()
        say(f"compiled or loaded {len(pairs)} activations in {time.perf_counter() - start:.0f} s")
        tasks = {pool.submit(measure, *pair, inputs, i, shares): pair for pair in pairs for i in range(shares)}
        for task in as_completed(tasks):
            pair = tasks[task]
            for what, worst in task.result().items():
                key = (*pair, what)
                found[key] = found[key].merge(worst) if key in found else worst
            left[pair] -= 1
            if not left[pair]:
                finished = sum(not count for count in left.values())
                errors = ", ".join(f"{k[2]} {w.error:.2f}" for k, w in found.items() if k[:2] == pair)
                elapsed = time.perf_counter() - start
                say(f"{finished}/{len(pairs)} {pair[0]} {pair[1]}: {errors}  ({elapsed:.0f} s)")
    return found


# --- printing ---------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def table(found: dict[tuple, Worst], names: list[str]) -> list[dict]:
    """One JSON-ready row a result, in the order of the names."""
    order = {name: i for i, name in enumerate(names)}
    rows = []
    for (name, dtype, what), worst in sorted(found.items(), key=lambda item: order[item[0][0]]):
        limit = bar(name)
        kept = {"bar": limit, "verdict": "PASS" if worst.error <= limit else "MISS"}
        rows.append({"activation": name, "dtype": dtype, "result": what, **worst._asdict(), **kept})
    return rows


def print_table(rows: list[dict]) -> None:
    """The table and one line that sums it up, on stdout."""
    header = ["activation", "dtype", "result", "worst ulp", "bar", "", "at input", "got"]
    cells = [
        [
            r["activation"],
            r["dtype"],
            r["result"],
            f"{r['error']:.2f}",
            f"{r['bar']:g}",
            r["verdict"],
            r["at"],
            f"{r['got']:.6g}",
        ]
        for r in rows
    ]
    print(markdown(header, cells, left=3))
    missed = [r for r in rows if r["verdict"] == "MISS"]
    activations, inputs = {r["activation"] for r in rows}, min(r["inputs"] for r in rows)
    print(
        f"\n{len(activations)} activations, {len(rows)} results at {inputs:,} inputs or more each: "
        f"{len(rows) - len(missed)} within the bar, {len(missed)} not"
        + (f" ({', '.join(sorted({r['activation'] for r in missed}))})" if missed else "")
    )


def updated(file: Path, rows: list[dict]) -> list[dict]:
    """The rows that the file has, those of what was measured anew in their place; written there."""
    before = json.loads(file.read_text()) if file.exists() else []
    new = {(r["activation"], r["dtype"]) for r in rows}
    rows = [r for r in before if (r["activation"], r["dtype"]) not in new and r["activation"] in OWN] + rows
    rows.sort(key=lambda r: OWN.index(r["activation"]))
    file.write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def main() -> int:
    """Parse, measure, print; 0 where every bar is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_names(parser)
    parser.add_argument("--inputs", type=int, default=100_000, help="for each activation and dtype")
    parser.add_argument("--dtype", choices=DTYPES, action="append", help="one precision; both where not given")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, over those of the same")
    given = parser.parse_args()
    names = given.names or OWN
    rows = table(measure_all(names, given.dtype or list(DTYPES), given.inputs, given.jobs), names)
    if given.json:
        rows = updated(given.json, rows)
    print_table(rows)
    return int(any(r["verdict"] == "MISS" for r in rows))


if __name__ == "__main__":
    sys.exit(main())

"""How long a new activation takes to compile, cold, and to load from the disk cache.

`python benchmarks/compile_time.py [names...] [--json FILE]`: every activation, both precisions, the kernels that a
campaign needs (value and slope, value, backward where there is one), in a fresh cache. Each is timed by itself in one
process that has compiled the first activation before; then a second process loads them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.names import add_names

BAR = 0.5


def kernels(names: list[str]):
    """(name, dtype, output, function that compiles or loads it)."""
    from gradsim.activations import ACTIVATIONS

    for name in names or list(ACTIVATIONS):
        act = ACTIVATIONS[name]
        outputs = ["value_and_slope"] if act.kind == "layerwise" else ["value_and_slope", "value"]
        for dtype in ("float32", "float64"):
            for output in outputs + ["backward"] * act.has_backward:
                yield name, dtype, output, lambda act=act, dtype=dtype, output=output: act.block(dtype, output)


def measure(names: list[str]) -> list[dict]:
    """Seconds of every kernel in this process; the first activation's, which warms the compiler up, are left out."""
    import numpy as np

    from gradsim.activations import ACTIVATIONS

    for dtype in (np.float32, np.float64):
        ACTIVATIONS["identity"].block(dtype)
    rows = []
    for name, dtype, output, make in kernels(names):
        start = time.process_time()
        make()
        rows.append({"name": name, "dtype": dtype, "output": output, "seconds": time.process_time() - start})
    return rows


def in_a_process(names: list[str], cache: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, __file__, "--measure", *names],
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_names(parser)
    parser.add_argument("--json")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.names)))
        return
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = in_a_process(given.names, cache), in_a_process(given.names, cache)
    for row, again in zip(cold, warm, strict=True):
        row["cached_seconds"] = again["seconds"]
    cold.sort(key=lambda row: -row["seconds"])
    print(f"{'activation':28}{'dtype':10}{'kernel':18}{'cold s':>8}{'cached s':>10}")
    for row in cold[:15]:
        print(f"{row['name']:28}{row['dtype']:10}{row['output']:18}{row['seconds']:8.3f}{row['cached_seconds']:10.4f}")
    times = [row["seconds"] for row in cold]
    loads = [row["cached_seconds"] for row in cold]
    over = sum(t > BAR for t in times)
    print(
        f"{len(times)} kernels: cold median {statistics.median(times):.3f} s, worst {max(times):.3f} s, over {BAR} s: "
        f"{over}; cached median {statistics.median(loads):.4f} s, worst {max(loads):.4f} s"
    )
    if given.json:
        with open(given.json, "w") as file:
            json.dump(cold, file, indent=1)


if __name__ == "__main__":
    main()

"""Whether `gradsim recommend` is quick, and whether what it recommends holds with seeds that it never saw.

`python benchmarks/recommend.py [--activation NAME ...] [--depth N ...] [--seeds 64] [--cold] [--json FILE]`: for every
activation and depth on the digits data one recommendation, in a process of its own and from a warm cache of compiled
code, then an independent campaign of the setting with other seeds and other batches. Exit code 1 where one took longer
than BAR_SECONDS or converged in less than BAR_RATE of its seeds although some setting that was raced does better.
--cold times one more recommendation, with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

BAR_SECONDS, BAR_RATE = 60.0, 0.95
ACTIVATIONS = ("relu", "tanh", "sigmoid", "mine=z*sin(z)")
DEPTHS = (5, 20)
# Far from any seed of a trial, and other base numbers and batches altogether.
FIRST_SEED, CAMPAIGN_SEED = 1_000_000, 1
COLUMNS = ("activation", "depth", "seconds", "setting", "learning rates", "converged", "verdict")


def recommended(activation: str, depth: int, environment: dict[str, str] | None = None) -> tuple[float, dict]:
    """Seconds from the start of the process to its end, and what it printed."""
    command = [sys.executable, "-m", "gradsim", "recommend", "--activation", activation, "--depth", str(depth)]
    started = time.perf_counter()
    done = subprocess.run([*command, "--json", "--quiet"], check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - started, json.loads(done.stdout)


def converged(activation: str, depth: int, told: dict, setting: dict, seeds: int) -> int:
    """How many networks of other seeds converge at a setting."""
    import gradsim as gs
    from gradsim.theory.subject import subject

    question = told["question"]
    campaign = gs.Campaign(
        name="check",
        dataset=question["data"],
        depth=depth,
        width=question["width"],
        batch_size=question["batch_size"],
        steps=question["steps"],
        activation=subject(activation),
        campaign_seed=CAMPAIGN_SEED,
        grid={"seed": range(FIRST_SEED, FIRST_SEED + seeds)},
        **{key: setting[key] for key in ("initializer", "optimizer", "learning_rate")},
    )
    with tempfile.TemporaryDirectory() as directory:
        runs = campaign.run(directory, progress=False).runs
    return int(runs["outcome"].eq("converged").sum())


def measure(activation: str, depth: int, seeds: int) -> dict:
    """One row of the table."""
    seconds, told = recommended(activation, depth)
    count = converged(activation, depth, told, told, seeds)
    miss = ["slow"] * (seconds > BAR_SECONDS)
    if count < BAR_RATE * seeds:
        better = [g for g in told["raced"] if converged(activation, depth, told, g, seeds) >= BAR_RATE * seeds]
        miss += [f"{better[0]['initializer']} with {better[0]['optimizer']} is better"] if better else []
    ends = told["learning_rate_range"]
    return {
        "activation": activation,
        "depth": depth,
        "seconds": round(seconds, 1),
        "setting": f"{told['initializer']}, {told['optimizer']} at {told['learning_rate']:g}",
        "learning rates": "none" if ends is None else f"{ends[0]:g} to {ends[1]:g}",
        "converged": f"{count} of {seeds}",
        "verdict": ", ".join(miss) or ("pass" if count >= BAR_RATE * seeds else "nothing raced is better"),
        "passed": not miss,
    }


def cold(activation: str) -> float:
    """Seconds of a recommendation for 5 layers that has to compile everything."""
    with tempfile.TemporaryDirectory() as directory:
        return recommended(activation, 5, os.environ | {"NUMBA_CACHE_DIR": directory})[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--activation", nargs="+", default=list(ACTIVATIONS))
    parser.add_argument("--depth", nargs="+", type=int, default=list(DEPTHS))
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--cold", action="store_true", help="time one with an empty cache, too")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    for activation in options.activation:
        recommended(activation, 1)  # what compiles is compiled now
    widths = (14, 5, 7, 42, 16, 9, 24)
    print("  ".join(f"{name:{width}}" for name, width in zip(COLUMNS, widths, strict=True)))
    rows = []
    for activation in options.activation:
        for depth in options.depth:
            row = measure(activation, depth, options.seeds)
            rows.append(row)
            print("  ".join(f"{row[c]!s:{w}}" for c, w in zip(COLUMNS, widths, strict=True)).rstrip(), flush=True)
    found = {"rows": rows}
    if options.cold:
        found["cold_seconds"] = round(cold(options.activation[0]), 1)
        print(f"{options.activation[0]}, 5 layers, empty cache: {found['cold_seconds']:g} s")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    return 0 if all(row["passed"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

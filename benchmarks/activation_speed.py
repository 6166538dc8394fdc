"""Value and slope of every activation together, nanoseconds a number, beside PyTorch's forward alone in the same run.

    python benchmarks/activation_speed.py [NAME ...] [--rounds 25] [--json FILE]

One thread, 16,384 float32 in the cache. Prints a Markdown table; benchmarks/README.md says what is timed and how.
Without PyTorch its columns stay empty. Exits with 1 where gradsim takes longer than PyTorch.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numba
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.contenders import machine  # noqa: E402
from benchmarks.contenders.tables import markdown  # noqa: E402
from benchmarks.names import add_names  # noqa: E402
from gradsim.activations import ACTIVATIONS, get  # noqa: E402
from gradsim.activations.blocks import call_block  # noqa: E402
from gradsim.lanes import LANES  # noqa: E402

SIZE = 16_384
FEW = 16  # numbers in a call that is nothing but overhead
TURN = 1e-3  # seconds that a contender runs at a time, at least
F32 = np.dtype(np.float32)


def torch_functions() -> dict[str, Callable]:
    """{gradsim's name: the same function of PyTorch, forward}; empty without PyTorch.

    Parameters are gradsim's defaults; layers lie along the last axis, split in two where gradsim splits them.
    """
    try:
        import torch
        from torch.nn import functional as f
    except ImportError:
        return {}
    torch.set_num_threads(1)
    value = {name: {k: torch.tensor([v]) for k, v in act.values.items()} for name, act in ACTIVATIONS.items()}
    plain = {k: list(act.values.values()) for k, act in ACTIVATIONS.items()}
    same = ["relu", "relu6", "celu", "elu", "selu", "gelu", "silu", "mish", "softplus", "softsign", "logsigmoid"]
    same += ["hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "tanhshrink"]
    found = {name: getattr(f, name) for name in same}
    found |= {
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "leaky_relu": lambda x: f.leaky_relu(x, plain["leaky_relu"][0]),
        "prelu": lambda x: f.prelu(x, next(iter(value["prelu"].values()))),
        "rrelu": lambda x: f.rrelu(x, training=False),
        "gelu_tanh": lambda x: f.gelu(x, approximate="tanh"),
        "threshold": lambda x: f.threshold(x, *plain["threshold"]),
        "softmax": lambda x: f.softmax(x, -1),
        "softmin": lambda x: f.softmin(x, -1),
        "log_softmax": lambda x: f.log_softmax(x, -1),
        "glu": f.glu,
        "arctan": torch.atan,
        "sinusoid": torch.sin,
        "exponential": torch.exp,
        "square": torch.square,
        "erf": torch.erf,
        "sinc": lambda x: torch.sin(x) / x,
    }
    return {get(name).name: function for name, function in found.items()}


# --- measuring --------------------------------------------------------------------------------------------


class Contest:
    """One activation in its buffers, and the calls that are timed."""

    def __init__(self, name: str, torch_function: Callable | None):
        self.act = get(name)
        lanes, takes = LANES[F32], self.act.preactivations
        self.z = np.random.default_rng(0).standard_normal(SIZE).astype(F32)
        # A layer of `takes` pre-activations a unit: call_block counts units by the size of z.
        self.units = self.z[: SIZE // takes - SIZE // takes % lanes]
        self.h, self.slope = np.empty(SIZE * self.act.outputs, F32), np.empty_like(self.z)
        self.parameters = np.repeat(self.act.parameter_vector().astype(F32), lanes)
        start = time.perf_counter()
        self.address = self.act.block(F32).address
        self.prepare_seconds = time.perf_counter() - start
        self.calls = {"block": self.block}
        if self.act.kind == "pointwise":
            self.calls["python"] = self.python
        if torch_function:
            self._add_torch(torch_function)

    def block(self, times: int) -> None:
        """Value and slope as the trainer asks for them."""
        call_block(self.address, self.units, self.h, self.slope, self.parameters, times)

    def python(self, times: int) -> None:
        """Value and slope as a user asks for them: checks and two new arrays a call."""
        for _ in range(times):
            self.act.value_and_derivative(self.z)

    def _add_torch(self, function: Callable) -> None:
        import torch

        # The lanes of a layer are its samples: [units, lanes] here, [samples, units] there.
        rows = self.z.reshape(-1, LANES[F32]).T if self.act.kind == "layerwise" else self.z
        x, few = torch.from_numpy(np.ascontiguousarray(rows)), torch.from_numpy(self.z[:FEW].reshape(1, -1).copy())

        def call(given):
            def run(times: int) -> None:
                with torch.inference_mode():
                    for _ in range(times):
                        function(given)

            return run

        wanted = function(x).numpy()
        got = self.act(self.z) if self.act.kind == "pointwise" else self.act(rows)
        if not np.allclose(got, wanted, rtol=1e-4, atol=1e-6):
            raise ValueError(f"{self.act.name}: PyTorch's function differs by {np.abs(got - wanted).max():.2g}")
        self.calls |= {"torch": call(x), "torch_call": call(few)}

    def times(self, rounds: int) -> dict[str, list[float]]:
        """Seconds a call, every contender once a round, each round starting with another one."""
        counts = {}
        for name, call in self.calls.items():
            call(3)
            count, seconds = 1, 0.0
            while seconds < TURN:
                count *= 2
                seconds = _seconds(call, count)
            counts[name] = count
        names, seen = list(self.calls), {name: [] for name in self.calls}
        for turn in range(rounds):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                seen[name].append(_seconds(self.calls[name], counts[name]) / counts[name])
        return seen


def _seconds(call: Callable, count: int) -> float:
    """Processor seconds of this thread, the only one that works: other processes do not count."""
    start = time.thread_time()
    call(count)
    return time.thread_time() - start


def row(name: str, torch_function: Callable | None, rounds: int) -> dict:
    """Everything measured of one activation, JSON-ready; times in nanoseconds a number."""
    contest = Contest(name, torch_function)
    seen = contest.times(rounds)
    each = {k: statistics.median(v) / SIZE * 1e9 for k, v in seen.items()}
    result = {"activation": name, "kind": contest.act.kind, "prepare_seconds": contest.prepare_seconds, "ns": each}
    if "torch" in seen:
        pairs = [ours / theirs for ours, theirs in zip(seen["block"], seen["torch"], strict=True)]
        result |= {"ratio": statistics.median(pairs), "ratios": [min(pairs), max(pairs)]}
        # The same without what a call of PyTorch costs before its first number.
        work = each["torch"] - each["torch_call"]
        result["ratio_without_call"] = each["block"] / work if work > 0 else None
        result["verdict"] = "PASS" if result["ratio"] <= 1 else "MISS"
    return result


# --- printing ---------------------------------------------------------------------------------------------


def print_table(rows: list[dict], notes: list[str]) -> None:
    """All rows, what they were measured on, and one line that sums them up, on stdout."""
    header = [
        "activation",
        "ns",
        "from Python",
        "torch forward",
        "its call",
        "ratio",
        "least - most",
        "without call",
        "",
    ]
    cells = []
    for r in rows:
        ns = {k: f"{v:.3f}" for k, v in r["ns"].items()}
        cell = [r["activation"], *(ns.get(k, "-") for k in ("block", "python", "torch", "torch_call"))]
        if "ratio" in r:
            low, high = r["ratios"]
            strict = f"{r['ratio_without_call']:.2f}" if r["ratio_without_call"] else "-"
            cell += [f"{r['ratio']:.2f}", f"{low:.2f} - {high:.2f}", strict, r["verdict"]]
        cells.append(cell + ["-"] * (len(header) - len(cell)))
    compared = [r for r in rows if "ratio" in r]
    slower = [r["activation"] for r in compared if r["verdict"] == "MISS"]
    print(markdown(header, cells, left=1), "\n".join(notes), sep="\n\n")
    print(
        f"{len(rows)} activations, median {statistics.median(r['ns']['block'] for r in rows):.3f} ns a number; "
        f"{len(compared)} beside PyTorch: {len(compared) - len(slower)} in at most its time, {len(slower)} not"
        + (f" ({', '.join(slower)})" if slower else "")
    )


def versions(torch: bool) -> dict[str, str]:
    """Of what takes part."""
    found = {"python": platform.python_version(), "numpy": np.__version__, "numba": numba.__version__}
    if torch:
        import torch

        found["torch"] = torch.__version__
    return found


def main(argv: list[str] | None = None) -> int:
    """Parse, measure, print; 0 where nothing is slower than PyTorch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_names(parser)
    parser.add_argument("--rounds", type=int, default=25, help="times that each contender runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there, too")
    given = parser.parse_args(argv)
    own = [name for name, act in ACTIVATIONS.items() if act.function.__module__.startswith("gradsim.")]
    names = given.names or own
    functions = torch_functions()
    rows = []
    for number, name in enumerate(names, 1):
        print(f"{number}/{len(names)} {name}", file=sys.stderr, flush=True)
        rows.append(row(name, functions.get(name), given.rounds))
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(ROOT),
        "machine": machine.describe(),
        "versions": versions(bool(functions)),
        "numbers": SIZE,
        "rounds": given.rounds,
        "rows": rows,
    }
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n")
    used = ", ".join(f"{k} {v}" for k, v in report["versions"].items())
    how = f"{SIZE:,} float32, one thread, medians of {given.rounds} interleaved rounds"
    print_table(rows, [f"{report['machine']['cpu']}, {used}; {report['date'][:10]}; {how}."])
    return int(any(r.get("verdict") == "MISS" for r in rows))


if __name__ == "__main__":
    sys.exit(main())

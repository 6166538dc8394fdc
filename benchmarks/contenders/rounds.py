"""Measuring a row of `peers.py`: contenders in processes of their own that take turns, round by round."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from . import CONTENDERS, machine
from .tasks import ROWS, Campaign
from .twin import Gate

ROOT = Path(__file__).resolve().parents[2]
OURS = "gradsim"
PAUSE = 0.3  # seconds between turns: thread pools of the last contender stop spinning meanwhile
# A contender that has had three turns of three seconds together, or one of twenty seconds, rests for the others.
ENOUGH_TURNS, ENOUGH_SECONDS, MOST_SECONDS = 3, 3.0, 20.0


class ContenderFailed(Exception):
    """A worker could not do what it was asked; the message is one line."""


class ContenderAbsent(Exception):
    """The library has not got what the task needs."""


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


class Worker:
    """A contender's process, spoken to in JSON lines; use as a context manager."""

    def __init__(self, name: str) -> None:
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path}
        self._kept = tempfile.TemporaryDirectory() if CONTENDERS[name].cold else None
        if self._kept:
            environment["NUMBA_CACHE_DIR"] = self._kept.name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contenders.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):
            self.process.stdin.close()  # it ends by itself, and the helpers that it may have with it
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        if self._kept:
            self._kept.cleanup()

    def ask(self, do: str, **details: object) -> dict:
        """One request and its reply; raises ContenderFailed or ContenderAbsent where there is none."""
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
        if "absent" in reply:
            raise ContenderAbsent(reply["absent"])
        return reply


def rests(taken: list[float]) -> bool:
    """Whether a contender's turns, in seconds, are enough."""
    return sum(taken) >= (ENOUGH_SECONDS if len(taken) >= ENOUGH_TURNS else MOST_SECONDS)


class Row:
    """One task measured: every contender's worker stays alive, and they take turns round by round."""

    def __init__(self, name: str, contenders: list[str], quick: bool) -> None:
        self.name, self.quick = name, quick
        self.row = ROWS[name].quick() if quick else ROWS[name]
        self.campaign = isinstance(self.row, Campaign)
        taking_part = [c for c in contenders if self.campaign or not CONTENDERS[c].cold]
        self.results: dict[str, dict] = {c: {"seconds": [], "errors": [], "others": []} for c in taking_part}
        self.peaks: list[float] = []
        self._workers: dict[str, Worker] = {}

    def _try(self, contender: str, do: str, **details: object) -> dict | None:
        """The worker's reply, or None after noting why there is none: that contender is out of this row."""
        try:
            return self._workers[contender].ask(do, **details)
        except ContenderAbsent as reason:
            self.results[contender]["absent"] = str(reason)
            say(f"  {contender} is not in this row: {reason}")
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
                if self.campaign:
                    continue
                ready = self._try(contender, "prepare", row=self.name, quick=self.quick)
                if ready:
                    self.results[contender].update(ready)
                    say(f"  {contender} ready after {ready['prepare_seconds']:.1f} s: {ready['layout']}")
            for turn in range(repeats):
                self._round(turn, stack)
        return self.summary()

    def _round(self, turn: int, stack: ExitStack) -> None:
        if OURS in self._workers and (peak := self._try(OURS, "peak")):
            self.peaks.append(peak["gflops"])
        order = list(self._workers)
        first = turn % max(1, len(order))  # nobody always runs first, on a rested processor
        for contender in order[first:] + order[:first]:
            if not rests(self.results[contender]["seconds"]):
                time.sleep(PAUSE)
                self._turn(contender, stack)

    def _turn(self, contender: str, stack: ExitStack) -> None:
        result = self.results[contender]
        if self.campaign and result["seconds"]:
            # What was compiled is to be compiled again.
            self._workers.pop(contender).__exit__()
            self._workers[contender] = stack.enter_context(Worker(contender))
        busy, start = machine.busy_seconds(), time.perf_counter()
        details = {"row": self.name, "quick": self.quick} if self.campaign else {}
        reply = self._try(contender, "campaign" if self.campaign else "train", **details)
        if reply is None:
            return
        result["seconds"].append(reply.pop("seconds"))
        result["errors"].append(reply.pop("error"))
        spent = reply.pop("cpu_seconds")
        result.update(reply)
        if busy is not None:
            wall = time.perf_counter() - start
            other = machine.busy_seconds() - busy - spent
            result["others"].append(max(0.0, other) / (wall * machine.cores()))

    def summary(self) -> dict:
        """Medians, rates and ratios of what was measured."""
        peak = statistics.median(self.peaks) if self.peaks else None
        for result in self.results.values():
            if "failed" in result or not result["seconds"]:
                continue
            median = statistics.median(result["seconds"])
            rate = result["flops"] / median / 1e9
            result |= {
                "median_seconds": median,
                "network_steps_per_core_second": result["network_steps"] / median / machine.cores(),
                "gflops": rate,
                "fraction_of_peak": rate / peak if peak else None,
                "error": max(result["errors"]),
                "agrees": max(result["errors"]) <= Gate.TOLERANCE,
            }
        task = self.row.tasks[0]
        sizes = {k: getattr(task, k) for k in ("widths", "loss", "optimizer", "batch", "networks", "steps")}
        return {
            "row": self.name,
            "campaign": self.campaign,
            "activations": [t.activation for t in self.row.tasks],
            **sizes,
            "flops": self.row.flops,
            "fma_peak_gflops": {"median": peak, "repeats": self.peaks},
            "contenders": self.results,
            **ratios(self.results),
        }


def ratios(results: dict[str, dict]) -> dict:
    """How many times faster gradsim is than each peer, noted with the peers: by network-steps a second, ratio of
    medians and of each round's pair; and the best peers."""
    done = {c: r for c, r in results.items() if "median_seconds" in r}
    peers = [c for c in done if not c.startswith(OURS) and done[c]["agrees"]]

    def speed(contender: str) -> float:
        return done[contender]["network_steps_per_core_second"]

    best = max(peers, key=speed, default=None)
    plain = max((c for c in peers if c not in ("jax", "torch")), key=speed, default=None)
    if OURS in done:
        mine = done[OURS]
        for peer in (c for c in done if c != OURS):
            share = done[peer]["network_steps"] / mine["network_steps"]
            pairs = [p / m / share for p, m in zip(done[peer]["seconds"], mine["seconds"], strict=False)]
            done[peer]["gradsim_faster"] = speed(OURS) / speed(peer)
            done[peer]["gradsim_faster_pairs"] = pairs
    return {
        "best_peer": best,
        "ratio": done[best].get("gradsim_faster") if best else None,
        "best_plain_peer": plain,
        "plain_ratio": done[plain].get("gradsim_faster") if plain else None,
    }

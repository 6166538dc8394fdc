"""One contender in a process of its own: requests come as JSON lines on stdin, replies go out on stdout.

Between requests it blocks on the pipe, so that a contender that is not its turn costs nothing.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import asdict

from . import Contender, load
from .tasks import TASKS, Gate, make_problem


class Worker:
    """Holds the contender's module and, once prepared, the task it trains."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.contender: Contender
        self.gate: Gate

    def prepare(self, task: str, quick: bool) -> dict:
        """Build the task, let the contender settle, and check its first result."""
        chosen = TASKS[task].quick() if quick else TASKS[task]
        module = load(self.name)
        problem = make_problem(chosen)
        self.gate = Gate(chosen, problem)
        self.contender = module.build(chosen, problem)
        start = time.perf_counter()
        setup = self.contender.prepare()
        seconds = time.perf_counter() - start
        error = self.gate.error(self.contender.network)
        return {**asdict(setup), "prepare_seconds": seconds, "error": error, "versions": module.versions()}

    def train(self) -> dict:
        """One repeat: seconds of training, and the error against the twin."""
        seconds = self.contender.train()
        return {"seconds": seconds, "error": self.gate.error(self.contender.network)}

    def peak(self) -> dict:
        """The machine's FMA peak in GFLOP/s, for the contender that can measure it."""
        return {"gflops": load(self.name).peak()}


def answer(worker: Worker, request: dict) -> dict:
    """The reply to one request, with the CPU seconds it took and the most memory held so far; a failure is a
    reply too, in one line, with the traceback on stderr."""
    before = time.process_time()
    try:
        reply = getattr(worker, request.pop("do"))(**request)
    except ImportError as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    except Exception as error:
        traceback.print_exc()
        return {"failed": f"{type(error).__name__}: {str(error)[:200]}".split("\n", 1)[0]}
    unit = 1 if sys.platform == "darwin" else 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {**reply, "cpu_seconds": time.process_time() - before, "peak_bytes": held}


def main() -> None:
    """Serve until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the runner's to handle
    # Libraries may print to stdout: keep the protocol's own copy and send the rest to stderr.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        replies.write(json.dumps(answer(worker, json.loads(line))) + "\n")


if __name__ == "__main__":
    main()

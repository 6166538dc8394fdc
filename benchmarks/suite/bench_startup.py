"""Start-up: importing, compiling, and the way to the first finished shard, with everything cached and with nothing.

Every measurement is a fresh interpreter that times its own statements; its start is excluded.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

STATEMENT = "import gradsim"

SECONDS = """
import time
start = time.perf_counter()
{statements}
print(time.perf_counter() - start)
"""

MODULES = f"""
import sys
before = set(sys.modules)
{STATEMENT}
print(len(set(sys.modules) - before))
"""

# A campaign of one shard, from the import to its files: nothing but the engine and what every run needs.
FIRST_SHARD = """
import gradsim as gs
import tempfile
with tempfile.TemporaryDirectory() as folder:
    campaign = gs.Campaign(dataset="spirals", depth=2, width=8, batch_size=32, steps=20, grid={"seed": range(16)})
    campaign.run(folder + "/out", threads=1, progress=False)
"""

# Processor seconds that the compiler takes, once it has compiled another block.
COMPILE = """
import time
import numpy as np
from gradsim.activations import get
get("identity").block(np.dtype("float32"))
start = time.process_time()
{statements}
print(time.process_time() - start)
"""
BLOCKS = ("relu", "tanh", "gelu", "mish", "prelu", "softmax")
TRAINER = """
from gradsim.engine.arrays import train_arrays
weights = [(np.zeros((1, 2, 2), np.float32), np.zeros((1, 2), np.float32))]
train_arrays(weights, np.zeros((1, 4, 2), np.float32), np.zeros((1, 4), np.int64), "relu", "softmax_cross_entropy",
             np.ones(1), threads=1)
"""


def in_fresh_interpreter(code: str, **environment: str) -> float:
    """The number that `code` prints; raises RuntimeError with its stderr where it fails."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout.split()[-1])


def cold(code: str) -> float:
    """The same without any bytecode and compiled kernel, of gradsim or of anything it imports, as after an installer
    that does not compile."""
    with tempfile.TemporaryDirectory() as bytecode, tempfile.TemporaryDirectory() as kernels:
        return in_fresh_interpreter(code, PYTHONPYCACHEPREFIX=bytecode, NUMBA_CACHE_DIR=kernels)


def compiled(statements: str) -> float:
    """Processor seconds of compiling; kernels of Numba and gradsim alone are cold."""
    with tempfile.TemporaryDirectory() as kernels:
        return in_fresh_interpreter(COMPILE.format(statements=statements), NUMBA_CACHE_DIR=kernels)


class Import:
    """`import gradsim`: warm is every start but the first."""

    timeout = 180

    def timeraw_warm(self) -> str:
        return STATEMENT

    timeraw_warm.rounds = 1
    timeraw_warm.repeat = 5
    timeraw_warm.number = 1

    def track_warm_s(self) -> float:
        code = SECONDS.format(statements=STATEMENT)
        in_fresh_interpreter(code)
        return statistics.median(in_fresh_interpreter(code) for _ in range(5))

    def track_cold_s(self) -> float:
        return cold(SECONDS.format(statements=STATEMENT))

    def track_modules(self) -> float:
        """Modules loaded: a heavy one that creeps in shows here before it shows in seconds."""
        return in_fresh_interpreter(MODULES)


class FirstShard:
    """From the import to the first finished shard of a small campaign."""

    timeout = 300

    def setup(self) -> None:
        try:
            in_fresh_interpreter(SECONDS.format(statements=FIRST_SHARD))
        except RuntimeError:
            raise NotImplementedError from None

    def track_cold_start_s(self) -> float:
        return cold(SECONDS.format(statements=FIRST_SHARD))

    def track_warm_start_s(self) -> float:
        code = SECONDS.format(statements=FIRST_SHARD)
        return statistics.median(in_fresh_interpreter(code) for _ in range(3))


class Compile:
    """Processor seconds that the compiler takes: an activation's block, float32, or the trainer."""

    params = ([*BLOCKS, "the trainer"],)
    param_names = ("what",)
    timeout = 300
    unit = "seconds"

    def track_compile_s(self, what: str) -> float:
        block = f'get("{what}").block(np.dtype("float32"))'
        try:
            return compiled(TRAINER if what == "the trainer" else block)
        except RuntimeError:
            return float("nan")


for function in (
    Import.track_warm_s,
    Import.track_cold_s,
    FirstShard.track_cold_start_s,
    FirstShard.track_warm_start_s,
):
    function.unit = "seconds"
Import.track_modules.unit = "modules"

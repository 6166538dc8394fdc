"""Start-up: what `import gradsim` costs in a fresh interpreter, with everything cached and with nothing.

Every measurement is a subprocess that times the import statement alone, interpreter start excluded.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

STATEMENT = "import gradsim"

SECONDS = f"""
import time
start = time.perf_counter()
{STATEMENT}
print(time.perf_counter() - start)
"""

MODULES = f"""
import sys
before = set(sys.modules)
{STATEMENT}
print(len(set(sys.modules) - before))
"""


def in_fresh_interpreter(code: str, **environment: str) -> float:
    """The number that `code` prints; raises RuntimeError with its stderr where it fails."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(done.stdout)


class Import:
    """`import gradsim`: warm is every start but the first; cold has no bytecode and no compiled kernel, of
    gradsim or of anything it imports, as after an installer that does not compile."""

    timeout = 180

    def timeraw_warm(self) -> str:
        return STATEMENT

    def track_warm_s(self) -> float:
        in_fresh_interpreter(SECONDS)
        return statistics.median(in_fresh_interpreter(SECONDS) for _ in range(5))

    def track_cold_s(self) -> float:
        with tempfile.TemporaryDirectory() as bytecode, tempfile.TemporaryDirectory() as kernels:
            return in_fresh_interpreter(SECONDS, PYTHONPYCACHEPREFIX=bytecode, NUMBA_CACHE_DIR=kernels)

    def track_modules(self) -> float:
        """Modules loaded: a heavy one that creeps in shows here before it shows in seconds."""
        return in_fresh_interpreter(MODULES)


Import.track_warm_s.unit = "seconds"
Import.track_cold_s.unit = "seconds"
Import.track_modules.unit = "modules"

"""What this machine is and whether gradsim can use it well."""

from __future__ import annotations

import os
import platform

import numpy as np

from gradsim import jit
from gradsim.engine.peak import fma_peak
from gradsim.lanes import LANES
from gradsim.versions import cpu_name, package_version

PACKAGES = (
    "gradsim",
    "numba",
    "llvmlite",
    "numpy",
    "pandas",
    "pyarrow",
    "duckdb",
    "matplotlib",
    "scikit-learn",
)


def examine() -> dict[str, object]:
    """Versions, cores, SIMD, the cache directory and whether it can be written, the FMA peak in GFLOP/s."""
    import llvmlite.binding as llvm

    cores = os.cpu_count() or 1
    root = jit.cache_root()
    return {
        "versions": {name: package_version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "processor": cpu_name(),
        "cores": cores,
        "simd": _simd(),
        "llvm target": llvm.get_host_cpu_name(),
        "cache": str(root) if root is not None else "not writable: kernels are compiled anew in every process",
        "cache writable": root is not None,
        "kernels cached": len(list((root / "kernels").glob("*"))) if root is not None else 0,
        "float32 FMA peak, 1 thread": f"{fma_peak(1):.0f} GFLOP/s",
        f"float32 FMA peak, {cores} threads": f"{fma_peak(cores):.0f} GFLOP/s",
        f"float64 FMA peak, {cores} threads": f"{fma_peak(cores, 'float64'):.0f} GFLOP/s",
    }


def _simd() -> str:
    """What kernels are compiled for; their width does not depend on what a processor calls itself."""
    found, lanes = jit.vector_registers(), LANES[np.dtype(np.float32)]
    each = {1: "one", 2: "two"}[4 * lanes // found.size]
    fused = "" if found.fused else ", no fused multiply-add"
    return f"{found.number} registers of {8 * found.size} bits: {lanes} float32 lanes in {each}{fused}"

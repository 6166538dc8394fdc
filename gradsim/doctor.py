"""What this machine is and whether gradsim can use it well."""

from __future__ import annotations

import os
import platform

from gradsim import jit
from gradsim.engine.peak import fma_peak
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
        "simd": _simd(_features()),
        "llvm target": llvm.get_host_cpu_name(),
        "cache": str(root) if root is not None else "not writable: kernels are compiled anew in every process",
        "cache writable": root is not None,
        "kernels cached": len(list((root / "kernels").glob("*"))) if root is not None else 0,
        "float32 FMA peak, 1 thread": f"{fma_peak(1):.0f} GFLOP/s",
        f"float32 FMA peak, {cores} threads": f"{fma_peak(cores):.0f} GFLOP/s",
        f"float64 FMA peak, {cores} threads": f"{fma_peak(cores, 'float64'):.0f} GFLOP/s",
    }


def _features() -> set[str]:
    import llvmlite.binding as llvm

    return {name for name, present in llvm.get_host_cpu_features().items() if present}


def _simd(features: set[str]) -> str:
    for name, text in (
        ("avx512f", "AVX-512: 16 float32 lanes in one register"),
        ("avx2", "AVX2: 16 float32 lanes in two registers"),
        ("neon", "NEON: 16 float32 lanes in four registers"),
    ):
        if name in features:
            return text
    return "128 bits: 16 float32 lanes in four registers"

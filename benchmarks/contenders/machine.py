"""What the timings ran on, and how busy the machine was with other things meanwhile."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _proc_value(file: str, key: str) -> str | None:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), None)


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def describe() -> dict[str, object]:
    """CPU model, cores, SIMD, memory and operating system, as far as the system tells."""
    flags = (_proc_value("/proc/cpuinfo", "flags") or "").split()
    return {
        "cpu": _proc_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": cores(),
        "simd": [f for f in ("avx2", "fma", "avx512f") if f in flags],
        "memory_bytes": _physical_memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def busy_seconds() -> float | None:
    """CPU seconds spent by everything on this machine since it started (Linux; None elsewhere)."""
    try:
        fields = [int(v) for v in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def commit(root: Path) -> str | None:
    """The checkout's commit, with a + where files differ from it; None outside a repository."""
    try:
        ask = {"cwd": root, "capture_output": True, "text": True, "check": True}
        revision = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **ask).stdout.strip()
        changed = subprocess.run(["git", "status", "--porcelain"], **ask).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if changed else "")

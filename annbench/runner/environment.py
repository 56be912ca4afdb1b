"""What the machine is and what state it is in: recorded with every point, compared by nobody across machines."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from annbench import __version__
from annbench.isa import isa
from annbench.processor import processor
from annbench.runner.pinning import available_cores, unpinned

LIBRARIES = ("numpy", "h5py", "faiss-cpu", "hnswlib", "pandas", "pydantic")
CPU_FLAGS = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_vbmi",
    "avx512_vpopcntdq", "avx_vnni", "amx_int8", "asimd", "sve",
)  # fmt: skip


@cache
def machine_id() -> str:
    """A stable name for this machine as far as speed goes: CPU model, cores, memory, host; 16 hex digits.

    Two results are compared in time only if it is equal. It is a hash: no serial number leaves the machine.
    """
    cpu = cpu_facts()
    memory_gib = round(psutil.virtual_memory().total / 2**30)
    facts = [cpu["model"], os.cpu_count(), memory_gib, platform.machine(), _read("/etc/machine-id"), platform.node()]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


@cache
def cpu_facts() -> dict[str, Any]:
    """Model, instruction sets and caches, as the operating system tells them."""
    model, flags = _model_and_flags()
    return {
        "model": model,
        "architecture": platform.machine(),
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cores": os.cpu_count(),
        "flags": [flag for flag in CPU_FLAGS if flag in flags],
        "caches": _caches(),
        "hypervisor": "hypervisor" in flags,
    }


def _model_and_flags() -> tuple[str, frozenset[str]]:
    known = processor()
    if known is not None and known.model:
        return known.model, known.flags
    # It tries everything, in processes of its own, which takes a second: only where the system does not say.
    import cpuinfo

    info = cpuinfo.get_cpu_info()
    return info.get("brand_raw", platform.processor() or "unknown"), frozenset(info.get("flags", ()))


def capture_environment() -> dict[str, Any]:
    """Everything about machine, system and libraries that explains a figure later; JSON types only."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "annbench": __version__,
        "git": git_state(),
        "isa": isa(),
        "machine_id": machine_id(),
        "cpu": cpu_facts(),
        "available_cores": available_cores(),
        "unpinned": list(unpinned(())),
        "memory_bytes": memory.total,
        "memory_limit_bytes": memory_ceiling(),
        "swap_bytes": swap.total,
        "system": {
            "kernel": f"{platform.system()} {platform.release()}",
            "distribution": _distribution(),
            "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            "turbo": _turbo(),
            "smt": _read("/sys/devices/system/cpu/smt/active"),
            "transparent_huge_pages": _bracketed(_read("/sys/kernel/mm/transparent_hugepage/enabled")),
            "clock_source": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            "aslr": _read("/proc/sys/kernel/randomize_va_space"),
        },
        "load_average": [round(value, 2) for value in psutil.getloadavg()],
        "python": f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()})",
        "libraries": library_versions(LIBRARIES),
        "blas": _blas(),
    }


def library_versions(distributions: tuple[str, ...]) -> dict[str, str]:
    """Installed versions, without importing anything."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def memory_ceiling() -> int:
    """Bytes this process could use at most: of the machine, or of its control group if that is less."""
    total = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = _read(path)
        if text and text.isdigit():
            total = min(total, int(text))
    return total


def git_state() -> dict[str, Any] | None:
    """Commit and cleanliness of the checkout annbench runs from; None if it is installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _blas() -> list[dict[str, Any]]:
    import numpy as np  # so that its BLAS is loaded and seen
    import threadpoolctl

    keep = ("internal_api", "version", "architecture", "num_threads", "threading_layer")
    assert np.__version__
    return [{k: lib[k] for k in keep if k in lib} for lib in threadpoolctl.threadpool_info()]


def _caches() -> dict[str, str]:
    caches = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(str(index / name)) for name in ("level", "type", "size"))
        if level and size:
            caches[f"L{level}{'' if kind == 'Unified' else (kind or '')[:1].lower()}"] = size
    return caches


def _turbo() -> str | None:
    no_turbo = _read("/sys/devices/system/cpu/intel_pstate/no_turbo")
    if no_turbo is not None:
        return "off" if no_turbo == "1" else "on"
    boost = _read("/sys/devices/system/cpu/cpufreq/boost")
    return None if boost is None else ("on" if boost == "1" else "off")


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", sys.platform)
    except OSError:
        return sys.platform


def _bracketed(text: str | None) -> str | None:
    return text.partition("[")[2].partition("]")[0] or text if text else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None

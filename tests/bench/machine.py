"""Description of the machine, without which the figures mean little."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = (
    "llama-index-core",
    "qdrant-edge-py",
    "wordllama",
    "sqlalchemy",
    "pydantic",
    "numpy",
    "msgspec",
)


def describe() -> dict[str, object]:
    """Return the cores, the memory in GiB, the current load and the versions."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": _memory(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def format_machine(machine: dict[str, object]) -> str:
    """Format the description on one line."""
    packages = machine["packages"]
    assert isinstance(packages, dict)
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gib']} GiB, "
        f"load {machine['load']}, Python {machine['python']}; "
        + ", ".join(f"{name} {number}" for name, number in packages.items())
    )


def _cpu() -> str:
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> float | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"

"""A Postgres that is there for the tests only: Debian's, on a socket, started and thrown away."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Its URL; the test is skipped where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not (found and shutil.which("runuser")):
        pytest.skip("Postgres is not installed")
    for one in (folder, *list(folder.parents)[:2]):
        one.chmod(0o777)
    data, options = folder / "data", f"-c fsync=off -c listen_addresses='' -k {folder}"
    control = (found[-1], "-w", "-D", data)
    _as_postgres(found[-1].with_name("initdb"), "-D", data, "-A", "trust", "--no-sync")
    _as_postgres(*control, "-l", folder / "log", "-o", options, "start")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        _as_postgres(*control, "-m", "immediate", "stop")


def _as_postgres(*command: str | Path) -> None:
    arguments = ("runuser", "-u", "postgres", "--", *command)
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, cwd="/")

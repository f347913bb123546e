"""PgBouncer in front of the tests' Postgres, where it is installed."""

import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.postgres import Postgres, free_port

needs_pgbouncer = pytest.mark.skipif(
    shutil.which("pgbouncer") is None,
    reason="PgBouncer is not installed: apt-get install pgbouncer",
)


def is_open(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def pooler(postgres: Postgres) -> Generator[int]:
    """The port of one in transaction mode, with fewer connections than we open."""
    folder, port = postgres.folder / f"bouncer-{free_port()}", free_port()
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n* = host=127.0.0.1 port={postgres.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {folder}/users\n"
        "pool_mode = transaction\ndefault_pool_size = 3\n"
    )
    user = "postgres" if Path("/etc/postgresql-common").exists() or shutil.which("psql") else None
    process = subprocess.Popen(
        ["pgbouncer", "-q", folder / "pgbouncer.ini"], user=user, stderr=subprocess.DEVNULL
    )
    try:
        while not is_open(port):
            assert process.poll() is None, "PgBouncer does not start"
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)

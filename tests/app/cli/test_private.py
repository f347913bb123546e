"""What Ibid keeps is for the user that it runs as."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings
from app.wiring import open_services
from storage.private import is_open_to_others, make_private
from tests.app.cli.commands import FUEL, run_ibid, run_script, wait_until_released
from tests.app.cli.test_serve import run_server
from tests.library import write_docs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def open_to_others(home: Path) -> dict[str, str]:
    """Everything in a home, and the home itself, that others may read or change."""
    found = [home, *home.rglob("*")]
    modes = {path: path.lstat().st_mode & 0o777 for path in found if not path.is_symlink()}
    return {str(path.relative_to(home)): oct(mode) for path, mode in modes.items() if mode & 0o077}


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """What most machines have, whatever this one has."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.slow
@pytest.mark.usefixtures("usual_umask")
def test_nothing_that_is_kept_can_be_read_by_others(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    home.parent.mkdir()
    assert run_script(home, "ingest", write_docs(tmp_path / "docs")).returncode == 0
    assert run_script(home, "ask", FUEL).returncode == 0
    assert run_script(home, "eval", "make", "default").returncode == 0
    with run_server(home, "--workers", "2", RATE_LIMIT_STORE="file") as (_, client):
        sent = {"files": ("sent.md", b"# Sent\n\nIt was sent.\n")}
        job = client.post("/api/v1/sources", files=sent).json()
        while job["status"] in ("queued", "running"):
            time.sleep(0.2)
            job = client.get(f"/api/v1/jobs/{job['id']}").json()
        assert job["status"] == "done", job
        assert client.post("/api/v1/conversations").status_code == 201
        assert open_to_others(home) == {}
    wait_until_released(home)
    assert open_to_others(home) == {}
    names = {path.name for path in home.rglob("*")}
    assert {"ibid.db", "jobs.db", "index", "blobs", "golden", "locks"} <= names


async def test_a_home_that_is_open_is_closed_when_it_is_opened(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    (home / "blobs").mkdir(parents=True)
    (home / "blobs" / "a.md").write_text("text")
    elsewhere.write_text("not ours to close")
    (home / "link").symlink_to(elsewhere)
    for path in (home, home / "blobs"):
        path.chmod(0o775)
    for path in (home / "blobs" / "a.md", elsewhere):
        path.chmod(0o644)
    async with open_services(Settings(ibid_home=home)):
        assert home.stat().st_mode & 0o777 == 0o700
        assert (home / "blobs").stat().st_mode & 0o777 == 0o700
        assert (home / "blobs" / "a.md").stat().st_mode & 0o777 == 0o600
    assert elsewhere.stat().st_mode & 0o777 == 0o644


def test_a_home_of_somebody_else_is_left_and_told_of(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root gives a folder away")
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    os.chown(home, 4711, 4711)
    make_private(home)
    assert is_open_to_others(home)
    told = run_ibid(home, "doctor")
    assert told.exit_code == 0, told.output
    assert "note  home: other users of this machine can read" in told.output


def test_the_doctor_says_that_a_home_is_closed(tmp_path: Path) -> None:
    assert "is readable only by this user" in run_ibid(tmp_path / "home", "doctor").output

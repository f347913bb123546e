"""Damaged files and a full disk: told in one line, and nothing that was there is lost."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.cli.commands import FUEL, assert_refused, run_ibid, run_script, wait_until_released
from tests.library import PAGES, write_docs

ROOM = 160_000_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the keeper's manual in it, and no process beside."""
    folder = tmp_path_factory.mktemp("damage")
    run_ibid(folder / "home", "ingest", write_docs(folder / "docs"))
    return folder / "home"


def write_garbage(path: Path) -> None:
    path.write_bytes(b"\x8f nonsense {" * 40)


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("index/aliases.json", write_garbage),
        ("index/aliases.json", write_nothing),
        ("index/collections/ibid-1/edge_config.json", write_garbage),
        ("index/collections/ibid-1/edge_config.json", write_nothing),
        ("ibid.db", write_garbage),
    ],
)
def test_a_damaged_file_is_named_and_left_as_it_is(
    home: Path, name: str, damage: Callable[[Path], None]
) -> None:
    wait_until_released(home)
    path = home / name
    whole = path.read_bytes()
    damage(path)
    damaged = path.read_bytes()
    page = home.parent / "docs/tides.txt"
    page.write_text(f"{page.read_text()}\nAnd {name} was damaged.\n")
    try:
        told = "database" if path.suffix == ".db" else f"{path.parent} is damaged"
        for command in (["search", FUEL], ["ask", FUEL], ["ingest", page]):
            assert_refused(run_ibid(home, *command), told)
        wait_until_released(home)
        assert path.read_bytes() == damaged
    finally:
        path.write_bytes(whole)
    assert "2.4 litres" in run_ibid(home, "ask", FUEL).stdout


def test_a_damaged_index_that_is_moved_away_is_made_again(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", write_docs(tmp_path / "docs")
    run_ibid(home, "ingest", docs)
    wait_until_released(home)
    index = home / "index/collections/ibid-1"
    write_garbage(index / "edge_config.json")
    assert_refused(run_ibid(home, "search", FUEL), f"{index} is damaged")
    wait_until_released(home)
    index.rename(tmp_path / "away")
    assert run_ibid(home, "ingest", docs).exit_code == 0
    assert "2.4 litres" in run_ibid(home, "search", FUEL).stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of our own, if this system lets us have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", disk]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    yield disk
    wait_until_released(disk / "home")
    # Lazily: a process that has let go of the index may still be on its way out.
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk: Path, *, but: int) -> Path:
    """A file that leaves this many bytes on the disk."""
    usage = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, usage.f_bavail * usage.f_frsize - but)
    return ballast


@pytest.mark.slow
def test_a_full_disk_is_told_and_what_was_there_stays(small_disk: Path, tmp_path: Path) -> None:
    home, docs = small_disk / "home", write_docs(tmp_path / "docs")
    assert run_ibid(home, "ingest", docs).exit_code == 0
    page = docs / "lamp/lighting.md"
    page.write_text(page.read_text().replace("2.4 litres", "3.1 litres"))
    for left, told in ((60_000_000, "Free some space"), (0, "")):
        wait_until_released(home)
        ballast = fill(small_disk, but=left)
        done = run_script(home, "ingest", docs, "--json")
        (line,) = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (2, ""), line
        assert line.startswith("ibid: ")
        assert told in line
        ballast.unlink()
        assert "2.4 litres" in run_ibid(home, "search", FUEL, "-k", "1").stdout
    report = json.loads(run_ibid(home, "ingest", docs, "--json").stdout)
    assert (report["changed"], report["unchanged"]) == (1, len(PAGES) - 1)
    found = run_ibid(home, "search", FUEL).stdout
    assert "3.1 litres" in found
    assert "2.4 litres" not in found

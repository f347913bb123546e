"""Tests of unusual files in a folder: pipes, very large files, circular and broken links."""

import os
import sys
from pathlib import Path

import pytest

from app.wiring import Services
from pipelines.readers import load
from storage.errors import SourceUnreadable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pipes and links")


def test_a_giant_is_refused_unread(tmp_path: Path) -> None:
    giant = tmp_path / "giant.txt"
    with giant.open("wb") as file:
        file.truncate(1_000_000_000)
    with pytest.raises(
        SourceUnreadable, match=r"It is 1000\.0 MB, larger than the limit of 100 MB"
    ):
        load(giant)


async def test_each_odd_file_gives_its_reason_and_the_rest_is_ingested(
    services: Services, tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "good.md").write_text("The lamp shines.")
    (folder / "loop.md").symlink_to("loop.md")
    (folder / "gone.md").symlink_to("nowhere.md")
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe.txt")
    report = await services.ingestion.run([folder])
    assert report.added == 1
    assert {Path(f.path).name: f.reason for f in report.failed} == {
        "gone.md": "The file cannot be opened: No such file or directory.",
        "loop.md": "The file cannot be opened: Too many levels of symbolic links.",
        "pipe.txt": "It is a device, a pipe or a socket, not a file.",
    }

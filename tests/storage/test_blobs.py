"""Blobs: what was written is read again, whole; what is not there is not found."""

from io import BytesIO
from pathlib import Path

import pytest

from storage.blobs import Blobs
from storage.errors import BlobsUnavailable, InvalidInput, NotFound


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """A local folder, and an object store by URL."""
    is_local = request.param == "folder"
    return Blobs(str(tmp_path / "blobs") if is_local else f"memory://{tmp_path.name}")


async def test_what_was_written_is_read_again(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.write("a/1", BytesIO(b"old"))
    await blobs.write("a/1", BytesIO(b"new"))
    assert await blobs.read("a/1") == b"new"
    await blobs.fetch("a/1", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"new"


async def test_what_was_removed_is_not_there(blobs: Blobs, tmp_path: Path) -> None:
    await blobs.write("a/1", BytesIO(b"1"))
    await blobs.write("b/1", BytesIO(b"2"))
    await blobs.remove("a")
    await blobs.remove("a")
    for missing in (blobs.read("a/1"), blobs.fetch("a/1", tmp_path / "copy")):
        with pytest.raises(NotFound, match="no original 'a/1'"):
            await missing
    assert await blobs.read("b/1") == b"2"


async def test_what_stands_below_a_key_is_named(blobs: Blobs) -> None:
    assert await blobs.list_names("a") == []
    await blobs.write("a/1/x", BytesIO(b"1"))
    await blobs.write("a/2/y", BytesIO(b"2"))
    assert sorted(await blobs.list_names("a")) == ["1", "2"]


async def test_a_write_that_breaks_off_leaves_the_old(tmp_path: Path) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the client went away")

    blobs = Blobs(str(tmp_path / "blobs"))
    await blobs.write("a", BytesIO(b"old"))
    with pytest.raises(BlobsUnavailable, match="went away"):
        await blobs.write("a", Broken())
    assert await blobs.read("a") == b"old"


@pytest.mark.parametrize("url", ["s3://bucket/folder", "nothing://x"])
def test_a_store_that_cannot_be_used_is_told_at_once(url: str) -> None:
    with pytest.raises(InvalidInput, match="BLOB_URL"):
        Blobs(url)


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BlobsUnavailable):
        await Blobs(str(tmp_path / "file")).write("a", BytesIO(b"1"))

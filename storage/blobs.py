"""Uploaded originals, stored in a local folder or in any object store that fsspec supports by its URL."""

import asyncio
import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import fsspec

from storage.errors import BlobsUnavailable, InvalidInput, NotFound, StorageFull

T = TypeVar("T")


class Blobs:
    """A store of bytes by key; a key is a relative path."""

    def __init__(self, url: str) -> None:
        """Prepare the store without connecting; raises `InvalidInput` for a URL of an unknown kind."""
        try:
            found = cast("Any", fsspec).url_to_fs(url)
        except ImportError as error:
            raise InvalidInput(f"BLOB_URL cannot be used: {error}.") from error
        except ValueError as error:
            raise InvalidInput(
                "BLOB_URL cannot be used: fsspec does not support this kind of store."
            ) from error
        self._files: Any = found[0]
        self._root = str(found[1]).rstrip("/")

    async def write(self, key: str, file: IO[bytes]) -> None:
        """Write a file atomically: under a temporary name first, then renamed."""

        def copy() -> None:
            path = self._path(key)
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._files.open(f"{path}.part", "wb") as target:
                shutil.copyfileobj(file, target, 1 << 20)
            self._files.mv(f"{path}.part", path)

        await self._run_in_thread(copy)

    async def fetch(self, key: str, to: Path) -> None:
        """Copy a blob to a local file; raises `NotFound`."""
        await self._run_in_thread(lambda: self._files.get_file(self._path(key), str(to)), key)

    async def read(self, key: str) -> bytes:
        """Return the bytes of a blob; raises `NotFound`."""
        return await self._run_in_thread(lambda: bytes(self._files.cat_file(self._path(key))), key)

    async def remove(self, key: str) -> None:
        """Remove a key and everything below it; do nothing if it does not exist."""

        def remove() -> None:
            if self._files.exists(self._path(key)):
                self._files.rm(self._path(key), recursive=True)

        await self._run_in_thread(remove)

    async def list_names(self, key: str) -> list[str]:
        """Return the names directly below a key; an empty list if the key does not exist."""

        def names() -> list[str]:
            path = self._path(key)
            found: list[str] = (
                self._files.ls(path, detail=False) if self._files.exists(path) else []
            )
            return [blob.rstrip("/").rpartition("/")[2] for blob in found]

        return await self._run_in_thread(names)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    async def _run_in_thread(self, work: Callable[[], T], key: str = "") -> T:
        try:
            return await asyncio.to_thread(work)
        except FileNotFoundError as error:
            raise NotFound("original", key) from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise StorageFull("There is no disk space left for uploaded files.") from error
            reason = error.strerror or str(error)
            raise BlobsUnavailable(
                f"The store of uploaded files is unavailable: {reason}."
            ) from error

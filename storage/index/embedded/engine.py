"""Qdrant's Rust engine on one folder: each collection is a sub-folder, and aliases are in a JSON file.

The engine holds the GIL while it works, and only one process may open the folder. Therefore only
`storage.index.embedded.process` uses it, never a process that serves requests of users.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import UUID

import msgspec
from qdrant_edge import CountRequest, EdgeShard, QueryBatchRequest, ScrollRequest, UpdateOperation

from storage.errors import IndexLocked, InvalidInput, NotFound
from storage.index.embedded import conversions
from storage.index.embedded.files import (
    folder_size,
    require_space,
    sync_folder,
    try_lock,
    write_atomically,
)
from storage.index.engine import (
    DENSE,
    SPARSE,
    Change,
    Filter,
    Hit,
    Point,
    Query,
    Record,
    Schema,
    SetPayload,
)
from storage.index.fusion import fuse

ROOM_TO_WRITE = 64 << 20
"""Free bytes required to write: files are sparse and memory-mapped, so a full disk causes a SIGBUS."""
ROOM_TO_OPEN = 32 << 20
"""Free bytes required to open a collection, which may replay the log of a killed process."""

_BYTES_PER_FLOAT = 4
MAX_UNFLUSHED_POINTS = 4096
"""Points between flushes. A flush takes some tens of fsyncs; it keeps the log short and the next one fast."""

SLOW_AFTER_BYTES = 16 << 20
"""Bytes of vectors written since the last optimisation from which searches become slower."""

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


class EmbeddedEngine:
    """All collections of one folder; it locks the folder while it is open."""

    def __init__(self, folder: Path) -> None:
        self._collections = folder / "collections"
        self._aliases_file = folder / "aliases.json"
        self._written_file = folder / "written.json"
        self._shards: dict[str, EdgeShard] = {}
        self._unflushed: Counter[str] = Counter()
        with ExitStack() as undo, conversions.translate_errors(folder):
            self._collections.mkdir(parents=True, exist_ok=True)
            lock = try_lock(folder)
            if lock is None:
                raise IndexLocked(f"Another process is using the index in {folder}.")
            undo.callback(os.close, lock)
            self._aliases = self._read_aliases()
            self._bytes_written = Counter(_read_counts(self._written_file))
            self._recover()
            self._unlock = undo.pop_all()

    def create(self, collection: str, schema: Schema) -> None:
        """Create a collection under another name, then rename it, so that a kill leaves all or nothing."""
        path = self._path(collection)
        draft = path.with_name(f".new-{collection}")
        if path.is_dir():
            return
        require_space(self._collections, ROOM_TO_WRITE)
        with conversions.translate_errors(path):
            shutil.rmtree(draft, ignore_errors=True)
            shard = EdgeShard.create(str(draft), conversions.shard_config(schema))
            for operation in conversions.index_operations(schema):
                shard.update(operation)
            shard.close()
            draft.rename(path)
            sync_folder(self._collections)

    def drop(self, collection: str) -> None:
        """Remove the aliases, rename the collection, then delete it: a kill leaves no partial collection."""
        path = self._path(collection)
        doomed = path.with_name(f".old-{collection}")
        if not path.is_dir():
            return
        with conversions.translate_errors(path):
            kept = {alias: name for alias, name in self._aliases.items() if name != collection}
            if kept != self._aliases:
                self._write_aliases(kept)
            self._close_shard(collection)
            del self._bytes_written[collection]
            shutil.rmtree(doomed, ignore_errors=True)
            path.rename(doomed)
            sync_folder(self._collections)
            shutil.rmtree(doomed)

    def collections(self) -> list[str]:
        """Return the names of all collections, sorted."""
        return sorted(path.name for path in self._collections.glob("[!.]*") if path.is_dir())

    def aliases(self) -> dict[str, str]:
        """Return a dict from alias to collection."""
        return dict(self._aliases)

    def set_alias(self, alias: str, collection: str) -> None:
        """Set an alias by replacing the file of aliases: a crash leaves the old file or the new one."""
        with conversions.translate_errors(self._existing_path(collection)):
            self._write_aliases({**self._aliases, alias: collection})

    def resolve(self, name: str) -> str:
        """Return the collection that an alias points at, or the name itself if it is not an alias."""
        return self._aliases.get(name, name)

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Write points; this holds the GIL for about 0.1 ms per point, so callers split long lists."""
        with self._open_shard_to_write(collection) as shard:
            shard.update(
                UpdateOperation.upsert_points([conversions.to_point(point) for point in points])
            )
            name = self.resolve(collection)
            self._bytes_written[name] += sum(
                _BYTES_PER_FLOAT * len(point.dense) for point in points
            )
            self._unflushed[name] += len(points)
            if self._unflushed[name] >= MAX_UNFLUSHED_POINTS:
                shard.flush()
                del self._unflushed[name]
                self._save_counts()

    def apply(self, collection: str, changes: Sequence[Change]) -> None:
        """Apply changes in order; no search runs between them, because one thread makes all calls."""
        with self._open_shard_to_write(collection) as shard:
            for change in changes:
                if isinstance(change, SetPayload):
                    where = conversions.to_filter(change.where)
                    shard.update(UpdateOperation.set_payload_by_filter(where, change.payload))
                else:
                    where = conversions.to_filter(change.where, excluding=change.unless)
                    shard.update(UpdateOperation.delete_points_by_filter(where))
            shard.flush()

    def search(self, collection: str, query: Query) -> list[Hit]:
        """Return hits, best first; both rankings are computed in one pass over the segments."""
        with self._open_shard(collection) as shard:
            requests = conversions.to_requests(query)
            found = shard.query_batch(QueryBatchRequest(list(requests.values())))
            rankings = dict(zip(requests, map(conversions.to_ranking, found), strict=True))
            fused = fuse(
                rankings.get(DENSE),
                rankings.get(SPARSE),
                dense_weight=query.dense_weight,
                sparse_weight=query.sparse_weight,
                depth=max(query.depth, query.limit),
                limit=query.limit,
            )
            # Candidates are cheap without payloads: only those of the best hits are looked up.
            ids = [UUID(int=hit.id) for hit in fused]
            records = shard.retrieve([*ids], with_payload=True, with_vector=False)
            payloads = {record.id: record.payload or {} for record in records}
            return [
                Hit(str(key), hit.score, payloads[key], hit.similarity, hit.bm25)
                for key, hit in zip(ids, fused, strict=True)
            ]

    def retrieve(self, collection: str, ids: Sequence[str]) -> list[Record]:
        """Return the points that exist, in the order of `ids`."""
        with self._open_shard(collection) as shard:
            found = shard.retrieve(list(ids), with_payload=True, with_vector=False)
            records = {str(record.id): conversions.to_record(record) for record in found}
            return [records[key] for key in ids if key in records]

    def scan(
        self, collection: str, where: Filter, *, vectors: bool, start: str | None, limit: int
    ) -> tuple[list[Record], str | None]:
        """Return a page of matching points in the order of their ids, and the first id of the next page."""
        request = ScrollRequest(
            offset=start,
            limit=limit,
            filter=conversions.to_filter(where),
            with_payload=True,
            with_vector=[DENSE] if vectors else False,
        )
        with self._open_shard(collection) as shard:
            found, following = shard.scroll(request)
            page = [conversions.to_record(record) for record in found]
            return page, None if following is None else str(following)

    def count(self, collection: str, where: Filter) -> int:
        """Return the exact number of matching points."""
        with self._open_shard(collection) as shard:
            return shard.count(CountRequest(exact=True, filter=conversions.to_filter(where)))

    def is_slow(self, collection: str) -> bool:
        """Return whether `SLOW_AFTER_BYTES` bytes of vectors were written since the last optimisation."""
        return self._bytes_written[self.resolve(collection)] >= SLOW_AFTER_BYTES

    def begin_copy(self, collection: str) -> tuple[Path, Path]:
        """Return a collection's folder, readable until the next change, and the path for a copy of it.

        Raise `StorageFull` if there is no space for the copy.
        """
        path = self._existing_path(collection)
        require_space(path, ROOM_TO_WRITE + 2 * folder_size(path))
        with self._open_shard(collection) as shard:
            shard.flush()
        return path, path.with_name(f".copy-{collection}")

    def replace_by_copy(self, collection: str) -> None:
        """Replace the collection by its copy, which must be complete and optimised."""
        path = self._existing_path(collection)
        with conversions.translate_errors(path):
            self._close_shard(collection)
            old = path.with_name(f".old-{collection}")
            path.rename(old)
            path.with_name(f".copy-{collection}").rename(path)
            sync_folder(self._collections)
            shutil.rmtree(old)
            del self._bytes_written[collection]
            self._save_counts()

    def close(self) -> None:
        """Close every shard, which also flushes it."""
        with self._unlock:
            self._save_counts()
            for collection in list(self._shards):
                self._close_shard(collection)

    def _recover(self) -> None:
        """Complete or undo what a killed process left: a create, a drop, or a replacement by a copy."""
        for copy in self._collections.glob(".copy-*"):
            path = copy.with_name(copy.name.removeprefix(".copy-"))
            if path.exists():
                shutil.rmtree(copy)
            else:
                copy.rename(path)
        for unfinished in ("new", "old"):
            for leftover in self._collections.glob(f".{unfinished}-*"):
                shutil.rmtree(leftover)

    def _save_counts(self) -> None:
        """Save the counts without fsync: if they are lost, the next optimisation is only later."""
        with suppress(OSError):
            self._written_file.write_bytes(msgspec.json.encode(self._bytes_written))

    @contextmanager
    def _open_shard(self, name: str) -> Generator[EdgeShard]:
        collection = self.resolve(name)
        is_open = collection in self._shards
        path = self._path(collection) if is_open else self._existing_path(collection)
        with conversions.translate_errors(path):
            if not is_open:
                require_space(path, ROOM_TO_OPEN)
                shutil.rmtree(path / "temp_segments", ignore_errors=True)  # of a killed optimiser
                self._shards[collection] = EdgeShard.load(str(path))
            yield self._shards[collection]

    def _open_shard_to_write(self, name: str) -> AbstractContextManager[EdgeShard]:
        require_space(self._collections, ROOM_TO_WRITE)
        return self._open_shard(name)

    def _close_shard(self, collection: str) -> None:
        if shard := self._shards.pop(collection, None):
            shard.close()

    def _path(self, collection: str) -> Path:
        if not _NAME.fullmatch(collection):
            raise InvalidInput(f"{collection!r} is not a valid name of a collection.")
        return self._collections / collection

    def _existing_path(self, collection: str) -> Path:
        path = self._path(collection)
        if not path.is_dir():
            raise NotFound("collection", collection, "Run `ibid ingest` to create one.")
        return path

    def _read_aliases(self) -> dict[str, str]:
        if not self._aliases_file.exists():
            return {}
        try:
            return msgspec.json.decode(self._aliases_file.read_bytes(), type=dict[str, str])
        except msgspec.DecodeError as error:
            folder = self._aliases_file.parent
            raise conversions.damaged_error(
                folder, f"{self._aliases_file.name}: {error}"
            ) from error

    def _write_aliases(self, aliases: Mapping[str, str]) -> None:
        write_atomically(self._aliases_file, msgspec.json.encode(aliases))
        self._aliases = dict(aliases)


def _read_counts(file: Path) -> dict[str, int]:
    """Read a file of counts; return an empty dict if it is missing or truncated."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}

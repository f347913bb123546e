"""Qdrant's Rust engine over one folder: a collection is a sub-folder, an alias a line of JSON.

It holds the GIL while it works and admits one process: it belongs in `storage.index.embedded.process`, never
in a process that serves.
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
    require_space,
    room_taken,
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
"""Files are sparse and mapped into memory: on a full disk a write is not an error but a SIGBUS."""
ROOM_TO_OPEN = 32 << 20
"""What replaying the log of a killed process may take."""

_FLOAT = 4
UNFLUSHED = 4096
"""Points after which a flush, some tens of fsyncs, keeps the log short and the next flush quick."""

SLOW = 16 << 20
"""Bytes of vectors written since a collection was optimised that searches begin to notice."""

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


class EmbeddedEngine:
    """All collections of one folder, of which it is the only user while it is open."""

    def __init__(self, folder: Path) -> None:
        self._collections = folder / "collections"
        self._aliases_file = folder / "aliases.json"
        self._written_file = folder / "written.json"
        self._shards: dict[str, EdgeShard] = {}
        self._unflushed: Counter[str] = Counter()
        with ExitStack() as undo, conversions.translated(folder):
            self._collections.mkdir(parents=True, exist_ok=True)
            lock = try_lock(folder)
            if lock is None:
                raise IndexLocked(f"Another process has the index in {folder} open.")
            undo.callback(os.close, lock)
            self._aliases = self._read_aliases()
            self._written = Counter(_counts(self._written_file))
            self._recover()
            self._unlock = undo.pop_all()

    def create(self, collection: str, schema: Schema) -> None:
        """Built under another name and renamed when it is whole: a kill leaves all of it or nothing."""
        path = self._path(collection)
        draft = path.with_name(f".new-{collection}")
        if path.is_dir():
            return
        require_space(self._collections, ROOM_TO_WRITE)
        with conversions.translated(path):
            shutil.rmtree(draft, ignore_errors=True)
            shard = EdgeShard.create(str(draft), conversions.config(schema))
            for operation in conversions.indexes(schema):
                shard.update(operation)
            shard.close()
            draft.rename(path)
            sync_folder(self._collections)

    def drop(self, collection: str) -> None:
        """Renamed before it is removed, and its aliases go first: a kill leaves no half of it."""
        path = self._path(collection)
        doomed = path.with_name(f".old-{collection}")
        if not path.is_dir():
            return
        with conversions.translated(path):
            kept = {alias: name for alias, name in self._aliases.items() if name != collection}
            if kept != self._aliases:
                self._write_aliases(kept)
            self._release(collection)
            del self._written[collection]
            shutil.rmtree(doomed, ignore_errors=True)
            path.rename(doomed)
            sync_folder(self._collections)
            shutil.rmtree(doomed)

    def collections(self) -> list[str]:
        """Names of all collections, sorted."""
        return sorted(path.name for path in self._collections.glob("[!.]*") if path.is_dir())

    def aliases(self) -> dict[str, str]:
        """Collection by alias."""
        return dict(self._aliases)

    def point(self, alias: str, collection: str) -> None:
        """Replaces the file of aliases, so that a crash leaves the old or the new."""
        with conversions.translated(self._existing(collection)):
            self._write_aliases({**self._aliases, alias: collection})

    def resolve(self, name: str) -> str:
        """The collection that a name means: what an alias points at, or the name itself."""
        return self._aliases.get(name, name)

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Holds the GIL for about 0.1 ms a point: callers cut long lists."""
        with self._writing(collection) as shard:
            shard.update(
                UpdateOperation.upsert_points([conversions.point(point) for point in points])
            )
            name = self.resolve(collection)
            self._written[name] += sum(_FLOAT * len(point.dense) for point in points)
            self._unflushed[name] += len(points)
            if self._unflushed[name] >= UNFLUSHED:
                shard.flush()
                del self._unflushed[name]
                self._keep_count()

    def apply(self, collection: str, changes: Sequence[Change]) -> None:
        """One process and one thread: no search comes in between."""
        with self._writing(collection) as shard:
            for change in changes:
                if isinstance(change, SetPayload):
                    where = conversions.where(change.where)
                    shard.update(UpdateOperation.set_payload_by_filter(where, change.payload))
                else:
                    where = conversions.where(change.where, unless=change.unless)
                    shard.update(UpdateOperation.delete_points_by_filter(where))
            shard.flush()

    def search(self, collection: str, query: Query) -> list[Hit]:
        """Both rankings in one pass over the segments."""
        with self._reading(collection) as shard:
            requests = conversions.queries(query)
            found = shard.query_batch(QueryBatchRequest(list(requests.values())))
            rankings = dict(zip(requests, map(conversions.ranking, found), strict=True))
            fused = fuse(
                rankings.get(DENSE),
                rankings.get(SPARSE),
                dense_weight=query.dense_weight,
                sparse_weight=query.sparse_weight,
                depth=max(query.depth, query.limit),
                limit=query.limit,
            )
            # Without their payloads the candidates cost little: only those that won are looked up.
            ids = [UUID(int=hit.id) for hit in fused]
            records = shard.retrieve([*ids], with_payload=True, with_vector=False)
            payloads = {record.id: record.payload or {} for record in records}
            return [
                Hit(str(key), hit.score, payloads[key], hit.similarity, hit.bm25)
                for key, hit in zip(ids, fused, strict=True)
            ]

    def retrieve(self, collection: str, ids: Sequence[str]) -> list[Record]:
        """The points that exist, in the order asked for."""
        with self._reading(collection) as shard:
            found = shard.retrieve(list(ids), with_payload=True, with_vector=False)
            records = {str(record.id): conversions.record(record) for record in found}
            return [records[key] for key in ids if key in records]

    def scan(
        self, collection: str, where: Filter, *, vectors: bool, start: str | None, limit: int
    ) -> tuple[list[Record], str | None]:
        """A page of matching points in the order of their ids, and the id that the next starts with."""
        request = ScrollRequest(
            offset=start,
            limit=limit,
            filter=conversions.where(where),
            with_payload=True,
            with_vector=[DENSE] if vectors else False,
        )
        with self._reading(collection) as shard:
            found, following = shard.scroll(request)
            page = [conversions.record(record) for record in found]
            return page, None if following is None else str(following)

    def count(self, collection: str, where: Filter) -> int:
        """How many points match, exactly."""
        with self._reading(collection) as shard:
            return shard.count(CountRequest(exact=True, filter=conversions.where(where)))

    def is_slow(self, collection: str) -> bool:
        """Whether so much was written since it was optimised."""
        return self._written[self.resolve(collection)] >= SLOW

    def lend(self, collection: str) -> tuple[Path, Path]:
        """A collection's folder, which may be read until the next change, and one for a copy of it."""
        path = self._existing(collection)
        require_space(path, ROOM_TO_WRITE + 2 * room_taken(path))
        with self._reading(collection) as shard:
            shard.flush()
        return path, path.with_name(f".copy-{collection}")

    def adopt(self, collection: str) -> None:
        """Let the copy, whole and optimised, take the collection's place."""
        path = self._existing(collection)
        with conversions.translated(path):
            self._release(collection)
            old = path.with_name(f".old-{collection}")
            path.rename(old)
            path.with_name(f".copy-{collection}").rename(path)
            sync_folder(self._collections)
            shutil.rmtree(old)
            del self._written[collection]
            self._keep_count()

    def close(self) -> None:
        """Close every shard, which flushes it."""
        with self._unlock:
            self._keep_count()
            for collection in list(self._shards):
                self._release(collection)

    def _recover(self) -> None:
        """Finish, or undo, what was killed: a create, a drop, an optimised copy taking its place."""
        for copy in self._collections.glob(".copy-*"):
            path = copy.with_name(copy.name.removeprefix(".copy-"))
            if path.exists():
                shutil.rmtree(copy)
            else:
                copy.rename(path)
        for unfinished in ("new", "old"):
            for leftover in self._collections.glob(f".{unfinished}-*"):
                shutil.rmtree(leftover)

    def _keep_count(self) -> None:
        """Not synced: when it is lost, an optimisation comes later."""
        with suppress(OSError):
            self._written_file.write_bytes(msgspec.json.encode(self._written))

    @contextmanager
    def _reading(self, name: str) -> Generator[EdgeShard]:
        collection = self.resolve(name)
        is_open = collection in self._shards
        path = self._path(collection) if is_open else self._existing(collection)
        with conversions.translated(path):
            if not is_open:
                require_space(path, ROOM_TO_OPEN)
                shutil.rmtree(path / "temp_segments", ignore_errors=True)  # of a killed optimiser
                self._shards[collection] = EdgeShard.load(str(path))
            yield self._shards[collection]

    def _writing(self, name: str) -> AbstractContextManager[EdgeShard]:
        require_space(self._collections, ROOM_TO_WRITE)
        return self._reading(name)

    def _release(self, collection: str) -> None:
        if shard := self._shards.pop(collection, None):
            shard.close()

    def _path(self, collection: str) -> Path:
        if not _NAME.fullmatch(collection):
            raise InvalidInput(f"{collection!r} cannot be the name of a collection.")
        return self._collections / collection

    def _existing(self, collection: str) -> Path:
        path = self._path(collection)
        if not path.is_dir():
            raise NotFound("collection", collection, "Run `ibid ingest` to make one.")
        return path

    def _read_aliases(self) -> dict[str, str]:
        if not self._aliases_file.exists():
            return {}
        try:
            return msgspec.json.decode(self._aliases_file.read_bytes(), type=dict[str, str])
        except msgspec.DecodeError as error:
            folder = self._aliases_file.parent
            raise conversions.damaged(folder, f"{self._aliases_file.name}: {error}") from error

    def _write_aliases(self, aliases: Mapping[str, str]) -> None:
        write_atomically(self._aliases_file, msgspec.json.encode(aliases))
        self._aliases = dict(aliases)


def _counts(file: Path) -> dict[str, int]:
    """What a file of counts says; nothing when there is none, or it was cut off."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}

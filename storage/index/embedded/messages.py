"""The engine's methods as messages; the engine process executes a message by its `execute` method.

Dense vectors are sent as lists, which is faster: encoding and decoding 128 points of 256 dimensions took
1.0 ms as lists, and 1.3 ms as raw float32 bytes.
"""
# ruff: noqa: D101, D102 - each class is the method of `IndexEngine` that it is named after

from typing import TYPE_CHECKING

from msgspec import Struct

from storage.index.engine import Change, Hit, Point, Query, Record, Scalar, Schema

if TYPE_CHECKING:  # a client never imports the engine
    from storage.index.embedded.engine import EmbeddedEngine


class Create(Struct, frozen=True, tag=True):
    collection: str
    schema: Schema

    def execute(self, engine: "EmbeddedEngine") -> None:
        engine.create(self.collection, self.schema)


class Drop(Struct, frozen=True, tag=True):
    collection: str

    def execute(self, engine: "EmbeddedEngine") -> None:
        engine.drop(self.collection)


class Collections(Struct, frozen=True, tag=True):
    def execute(self, engine: "EmbeddedEngine") -> list[str]:
        return engine.collections()


class Aliases(Struct, frozen=True, tag=True):
    def execute(self, engine: "EmbeddedEngine") -> dict[str, str]:
        return engine.aliases()


class PointAlias(Struct, frozen=True, tag=True):
    alias: str
    collection: str

    def execute(self, engine: "EmbeddedEngine") -> None:
        engine.set_alias(self.alias, self.collection)


class Upsert(Struct, frozen=True, tag=True):
    collection: str
    points: list[Point]

    def execute(self, engine: "EmbeddedEngine") -> None:
        engine.upsert(self.collection, self.points)


class Apply(Struct, frozen=True, tag=True):
    collection: str
    changes: list[Change]

    def execute(self, engine: "EmbeddedEngine") -> None:
        engine.apply(self.collection, self.changes)


class SearchCall(Struct, frozen=True, tag=True):
    collection: str
    query: Query

    def execute(self, engine: "EmbeddedEngine") -> list[Hit]:
        return engine.search(self.collection, self.query)


class Retrieve(Struct, frozen=True, tag=True):
    collection: str
    ids: list[str]

    def execute(self, engine: "EmbeddedEngine") -> list[Record]:
        return engine.retrieve(self.collection, self.ids)


class Scan(Struct, frozen=True, tag=True):
    """Reads one page; `start` is the id that it begins with, or None for the first page."""

    collection: str
    where: dict[str, list[Scalar]]
    vectors: bool
    start: str | None
    limit: int

    def execute(self, engine: "EmbeddedEngine") -> tuple[list[Record], str | None]:
        return engine.scan(
            self.collection, self.where, vectors=self.vectors, start=self.start, limit=self.limit
        )


class Count(Struct, frozen=True, tag=True):
    collection: str
    where: dict[str, list[Scalar]]

    def execute(self, engine: "EmbeddedEngine") -> int:
        return engine.count(self.collection, self.where)


class IsSlow(Struct, frozen=True, tag=True):
    collection: str

    def execute(self, engine: "EmbeddedEngine") -> bool:
        return engine.is_slow(self.collection)


class Optimize(Struct, frozen=True, tag=True):
    """A message without `execute`, which would block all other calls of the engine process for minutes."""

    collection: str


EngineCall = (
    Create
    | Drop
    | Collections
    | Aliases
    | PointAlias
    | Upsert
    | Apply
    | SearchCall
    | Retrieve
    | Scan
    | Count
    | IsSlow
    | Optimize
)

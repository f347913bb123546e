"""The interface between `PassageIndex` and a vector engine, with plain values.

Two engines implement it: `EngineClient`, which calls the `EmbeddedEngine` (Qdrant's Rust engine) in a
separate process, and `ServerEngine` (a Qdrant server). `tests/contracts` checks that
both give the same results.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

DENSE, SPARSE = "text-dense", "text-sparse-new"
"""The names of a point's two vectors: LlamaIndex's defaults, so that its own Qdrant store can read them."""

Payload = dict[str, object]
Scalar = str | int
Filter = Mapping[str, Sequence[Scalar]]
"""A point matches when each named field has one of the listed values. Booleans are not allowed: the
embedded engine treats True as 1 and finds nothing."""


class SparseVector(Struct, frozen=True):
    """A sparse vector without inverse document frequencies: the engine multiplies them in."""

    indices: list[int]
    values: list[float]


class Point(Struct, frozen=True):
    """A point to store; `id` is a UUID in text form."""

    id: str
    dense: list[float]
    sparse: SparseVector
    payload: Payload


class Schema(Struct, frozen=True):
    """The settings of a new collection; every field used in filters is indexed before the first upsert."""

    dimension: int
    keywords: list[str]
    integers: list[str]
    on_disk: bool = False
    """Keep original vectors on disk instead of in memory."""
    quantized: bool = False
    """Keep an int8 copy of the vectors in memory and search that first."""


class SetPayload(Struct, frozen=True, tag=True):
    """Merge `payload` into every point that matches."""

    where: dict[str, list[Scalar]]
    payload: Payload


class Delete(Struct, frozen=True, tag=True):
    """Remove every point that matches `where` and does not match `unless`, if that is given."""

    where: dict[str, list[Scalar]]
    unless: dict[str, list[Scalar]] = {}


Change = SetPayload | Delete


MAX_CANDIDATES = 200


class Query(Struct, frozen=True):
    """A hybrid search: `depth` candidates of each ranking are fused, and the best `limit` are returned."""

    where: dict[str, list[Scalar]]
    limit: int
    dense: list[float] | None = None
    sparse: SparseVector | None = None
    depth: int = MAX_CANDIDATES
    dense_weight: float = 0.4
    sparse_weight: float = 0.6


class Hit(Struct, frozen=True):
    """A search result; `similarity` or `bm25` is None if that ranking did not find the point."""

    id: str
    score: float
    payload: Payload
    similarity: float | None = None
    bm25: float | None = None


class Record(Struct, frozen=True):
    """A stored point; `dense` is None unless vectors were requested."""

    id: str
    payload: Payload
    dense: list[float] | None = None


class IndexEngine(Protocol):
    """Collections of points, and aliases that point at them.

    `collection` may be an alias, except in `create`, `drop` and `set_alias`. Every failure raises
    `IndexUnavailable`, `StorageFull`, or `NotFound` for an unknown collection; an engine never raises
    a vendor's exception. Every call is idempotent.
    """

    async def create(self, collection: str, schema: Schema) -> None:
        """Create an empty collection with its payload indexes; do nothing if it exists."""
        ...

    async def drop(self, collection: str) -> None:
        """Remove a collection, its points and its aliases; do nothing if it does not exist."""
        ...

    async def collections(self) -> list[str]:
        """Return the names of all collections, without aliases, sorted."""
        ...

    async def aliases(self) -> dict[str, str]:
        """Return a dict from alias to collection."""
        ...

    async def set_alias(self, alias: str, collection: str) -> None:
        """Point `alias` at `collection` atomically: no search finds the alias missing."""
        ...

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Write points. When this returns, searches find them, and they survive the end of any process.

        They survive a power cut only after a later call of `apply`.
        """
        ...

    async def apply(self, collection: str, changes: Sequence[Change]) -> None:
        """Apply changes in order, in one call; no search sees a point missing between them.

        When this returns, these changes and every earlier upsert survive a power cut.
        """
        ...

    async def search(self, collection: str, query: Query) -> list[Hit]:
        """Return hits, best first, in one round trip, by relative-score fusion (`storage.index.fusion`)."""
        ...

    async def retrieve(self, collection: str, ids: Sequence[str]) -> list[Record]:
        """Return the points that exist, in the order of `ids`."""
        ...

    async def scan(
        self, collection: str, where: Filter, *, vectors: bool = False, limit: int | None = None
    ) -> list[Record]:
        """Return all matching points in no particular order, or the `limit` points with the lowest ids."""
        ...

    async def count(self, collection: str, where: Filter) -> int:
        """Return the exact number of matching points."""
        ...

    async def is_slow(self, collection: str) -> bool:
        """Return whether so much was written that searches are slow until `optimize` is called."""
        ...

    async def optimize(self, collection: str) -> None:
        """Make searches fast again, and return when they are; takes minutes on a large collection.

        Meanwhile an embedded engine answers reads, and delays changes to the collection.
        """
        ...

    async def close(self) -> None:
        """Close the connection to the engine; everything written is kept."""
        ...

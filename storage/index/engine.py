"""The seam under `PassageIndex`: what a vector engine must do, in plain values.

Two real engines stand behind it, `EmbeddedEngine` (Qdrant's Rust engine in a process of its own) and
`ServerEngine` (a Qdrant server); `tests/contracts/test_engine.py` holds them to the same results.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

DENSE, SPARSE = "text-dense", "text-sparse-new"
"""The names of a point's two vectors: LlamaIndex's own, so that its stock store reads them."""

Payload = dict[str, object]
Scalar = str | int
Filter = Mapping[str, Sequence[Scalar]]
"""A point matches when, for every field named, its value is one of those listed; booleans are not
scalars here, because the embedded engine takes True for 1 and finds nothing."""


class Sparse(Struct, frozen=True):
    """A sparse vector; the engine multiplies in the inverse document frequencies."""

    indices: list[int]
    values: list[float]


class Point(Struct, frozen=True):
    """What is stored: `id` is a UUID in text form."""

    id: str
    dense: list[float]
    sparse: Sparse
    payload: Payload


class Schema(Struct, frozen=True):
    """How a collection is made; every field that is ever filtered on is indexed before the first upsert."""

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
    """Remove every point that matches `where` and, if given, does not match `unless`."""

    where: dict[str, list[Scalar]]
    unless: dict[str, list[Scalar]] = {}


Change = SetPayload | Delete


MOST_CANDIDATES = 200


class Query(Struct, frozen=True):
    """One hybrid search: `depth` candidates of each ranking are fused, `limit` come back."""

    where: dict[str, list[Scalar]]
    limit: int
    dense: list[float] | None = None
    sparse: Sparse | None = None
    depth: int = MOST_CANDIDATES
    dense_weight: float = 0.4
    sparse_weight: float = 0.6


class Hit(Struct, frozen=True):
    """A point that was found; `similarity` and `bm25` are None where that ranking missed it."""

    id: str
    score: float
    payload: Payload
    similarity: float | None = None
    bm25: float | None = None


class Record(Struct, frozen=True):
    """A point as it is stored; `dense` only when it was asked for."""

    id: str
    payload: Payload
    dense: list[float] | None = None


class IndexEngine(Protocol):
    """Collections of points, and aliases that point at them.

    `collection` may be an alias everywhere but in `create`, `drop` and `point`. Every failure is an
    `IndexUnavailable`, a `StorageFull`, or `NotFound` for an unknown collection; nothing of a
    vendor's leaves an engine. Every call may be repeated: the second time it changes nothing.
    """

    async def create(self, collection: str, schema: Schema) -> None:
        """Make an empty collection with its payload indexes; one that is there is left alone."""
        ...

    async def drop(self, collection: str) -> None:
        """Remove a collection, all that is in it and its aliases; nothing happens when it is gone."""
        ...

    async def collections(self) -> list[str]:
        """Names of all collections, without aliases, sorted."""
        ...

    async def aliases(self) -> dict[str, str]:
        """Collection by alias."""
        ...

    async def point(self, alias: str, collection: str) -> None:
        """Make `alias` mean `collection`, in one step: no search sees it missing."""
        ...

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Write points; when this returns they are found, and outlive any process.

        A power cut they outlive once something was applied after them.
        """
        ...

    async def apply(self, collection: str, changes: Sequence[Change]) -> None:
        """Carry out changes in order, in one call; no search sees a point missing in between.

        When this returns, they and every upsert before them outlive a power cut.
        """
        ...

    async def search(self, collection: str, query: Query) -> list[Hit]:
        """Best first, in one round trip; relative-score fusion (`storage.index.fusion`)."""
        ...

    async def retrieve(self, collection: str, ids: Sequence[str]) -> list[Record]:
        """The points that exist, in the order asked for."""
        ...

    async def scan(
        self, collection: str, where: Filter, *, vectors: bool = False, most: int | None = None
    ) -> list[Record]:
        """All points that match, in no particular order; or `most` of them, those of the least ids."""
        ...

    async def count(self, collection: str, where: Filter) -> int:
        """How many points match, exactly."""
        ...

    async def is_slow(self, collection: str) -> bool:
        """Whether so much was written that searches are slow until somebody optimises."""
        ...

    async def optimize(self, collection: str) -> None:
        """Return when searches are fast; may take minutes on a large collection.

        Meanwhile an embedded engine answers what reads it, and keeps changes to it waiting.
        """
        ...

    async def close(self) -> None:
        """Let go of the engine; what was written stays."""
        ...

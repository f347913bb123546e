"""Conversions between the engine interface's values and errors and those of `qdrant_edge`."""

import errno
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, cast
from uuid import UUID

import qdrant_edge as qdrant

from storage.errors import (
    IbidError,
    IndexDamaged,
    IndexLocked,
    IndexMismatch,
    IndexUnavailable,
    StorageFull,
)
from storage.index.engine import DENSE, SPARSE, Filter, Point, Query, Record, Scalar, Schema


class _Identified(Protocol):
    """The type of a search result: Ibid's ids are always UUIDs."""

    id: UUID
    score: float


_RESCORED = qdrant.SearchParams(quantization=qdrant.QuantizationSearchParams(rescore=True))
"""Scores come from the original vectors, because similarities are compared with a minimum; int8 copies
only choose the candidates."""


def shard_config(schema: Schema) -> qdrant.EdgeConfig:
    """Return the configuration of a shard: a dense vector with cosine distance, a sparse vector with idf."""
    quantization = qdrant.ScalarQuantizationConfig(
        qdrant.ScalarType.Int8, quantile=0.99, memory=qdrant.Memory.Pinned
    )
    dense = qdrant.EdgeVectorParams(
        schema.dimension,
        qdrant.Distance.Cosine,
        memory=qdrant.Memory.Cold if schema.on_disk else qdrant.Memory.Cached,
        quantization_config=quantization if schema.quantized else None,
    )
    sparse = qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)
    return qdrant.EdgeConfig(vectors={DENSE: dense}, sparse_vectors={SPARSE: sparse})


def index_operations(schema: Schema) -> list[qdrant.UpdateOperation]:
    """Return the operations that create an index for each field used in filters."""
    kinds = dict.fromkeys(schema.keywords, qdrant.PayloadSchemaType.Keyword)
    kinds |= dict.fromkeys(schema.integers, qdrant.PayloadSchemaType.Integer)
    return [qdrant.UpdateOperation.create_field_index(name, kind) for name, kind in kinds.items()]


def to_point(point: Point) -> qdrant.Point:
    """Convert a point with both its vectors."""
    sparse = qdrant.SparseVector(point.sparse.indices, point.sparse.values)
    return qdrant.Point(point.id, {DENSE: point.dense, SPARSE: sparse}, point.payload)


def to_filter(matching: Filter, *, excluding: Filter | None = None) -> qdrant.Filter:
    """Return a filter for points that match `matching` but not `excluding`, if it names any field."""
    excluded = qdrant.Filter(must=_conditions(excluding)) if excluding else None
    return qdrant.Filter(must=_conditions(matching), must_not=[excluded] if excluded else None)


def to_requests(query: Query) -> dict[str, qdrant.QueryRequest]:
    """Return one request for each requested ranking, by the name of its vector, for ids and scores only."""
    vectors: dict[str, qdrant.NamedVector] = {}
    if query.dense is not None:
        vectors[DENSE] = query.dense
    if query.sparse is not None and query.sparse.indices:
        vectors[SPARSE] = qdrant.SparseVector(query.sparse.indices, query.sparse.values)
    matching = to_filter(query.where)
    return {
        name: qdrant.QueryRequest(
            limit=max(query.depth, query.limit),
            query=qdrant.Query.Nearest(vector, using=name),
            filter=matching,
            with_payload=False,
            with_vector=False,
            params=_RESCORED,
        )
        for name, vector in vectors.items()
    }


def to_ranking(found: Iterable[qdrant.ScoredPoint]) -> list[tuple[int, float]]:
    """Return ids as integers, with scores: converting hundreds of ids to text takes time."""
    return [(scored.id.int, scored.score) for scored in cast("Iterable[_Identified]", found)]


def to_record(found: qdrant.Record) -> Record:
    """Convert a stored point, with its dense vector if that was requested."""
    dense = found.vector.get(DENSE) if isinstance(found.vector, dict) else None
    return Record(str(found.id), found.payload or {}, cast("list[float] | None", dense))


@contextmanager
def translate_errors(path: Path) -> Generator[None]:
    """Convert exceptions about `path` to Ibid's errors: the engine raises bare `Exception`s, or panics."""
    try:
        yield
    except IbidError:
        raise
    except OSError as error:
        raise _from_os_error(error, path) from error
    except BaseException as error:
        # A panic in Rust is a BaseException of a class that no module exports.
        panicked = type(error).__name__ == "PanicException"
        if not panicked and type(error) is not Exception:
            raise
        raise _from_engine_error(str(error), path, panicked=panicked) from error


def damaged_error(path: Path, reason: str) -> IndexDamaged:
    """Return the error for files that cannot be read."""
    return IndexDamaged(
        f"The index in {path} is damaged: {reason}. Move it away and run `ibid ingest` again."
    )


def _from_os_error(error: OSError, path: Path) -> IbidError:
    if error.errno == errno.ENOSPC:
        return StorageFull(f"The disk that holds {path} is full. Free some space and try again.")
    return IndexUnavailable(f"The index in {path} cannot be used: {error}.")


def _from_engine_error(reason: str, path: Path, *, panicked: bool) -> IbidError:
    if "WouldBlock" in reason:
        return IndexLocked(f"Another process is using the index in {path}. Stop it and try again.")
    if "No space left" in reason:
        return StorageFull(f"The disk that holds {path} is full. Free some space and try again.")
    if "Vector dimension error" in reason:
        return IndexMismatch(
            f"The index in {path} was built with another embedding ({reason}). "
            "Configure that embedding, or run `ibid ingest` for a new index."
        )
    if panicked or reason.startswith("Service runtime error"):
        return damaged_error(path, reason)
    return IndexUnavailable(f"The index in {path} refused the request: {reason}.")


# `ConditionType` exists only in the stubs of `qdrant_edge`.
def _conditions(matching: Filter) -> "list[qdrant.ConditionType]":
    return [_condition(name, values) for name, values in matching.items()]


def _condition(name: str, values: Sequence[Scalar]) -> "qdrant.ConditionType":
    """Return the fewest conditions possible: each one is evaluated for every candidate point."""
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int)]
    matches = [qdrant.MatchAny(some) for some in (texts, numbers) if some or not values]
    asked = [qdrant.FieldCondition(name, match=match) for match in matches]
    return asked[0] if len(asked) == 1 else qdrant.Filter(should=[*asked])

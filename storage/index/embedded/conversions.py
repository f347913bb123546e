"""The seam's values and errors in the words of `qdrant_edge`, and back."""

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
    """A point that was found, all ids being UUIDs."""

    id: UUID
    score: float


_RESCORED = qdrant.SearchParams(quantization=qdrant.QuantizationSearchParams(rescore=True))
"""A similarity is compared with a floor: int8 copies may choose candidates, not score them."""


def config(schema: Schema) -> qdrant.EdgeConfig:
    """A shard with one dense vector, compared by cosine, and one sparse one with idf."""
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


def indexes(schema: Schema) -> list[qdrant.UpdateOperation]:
    """What makes the fields that are filtered on quick to look up."""
    kinds = dict.fromkeys(schema.keywords, qdrant.PayloadSchemaType.Keyword)
    kinds |= dict.fromkeys(schema.integers, qdrant.PayloadSchemaType.Integer)
    return [qdrant.UpdateOperation.create_field_index(name, kind) for name, kind in kinds.items()]


def point(point: Point) -> qdrant.Point:
    """A point with both its vectors."""
    sparse = qdrant.SparseVector(point.sparse.indices, point.sparse.values)
    return qdrant.Point(point.id, {DENSE: point.dense, SPARSE: sparse}, point.payload)


def where(matching: Filter, *, unless: Filter | None = None) -> qdrant.Filter:
    """Points that match the first filter and, if it names any field, do not match the second."""
    excluded = qdrant.Filter(must=_conditions(unless)) if unless else None
    return qdrant.Filter(must=_conditions(matching), must_not=[excluded] if excluded else None)


def queries(query: Query) -> dict[str, qdrant.QueryRequest]:
    """By vector, one request for each ranking that was asked for: ids and scores alone."""
    vectors: dict[str, qdrant.NamedVector] = {}
    if query.dense is not None:
        vectors[DENSE] = query.dense
    if query.sparse is not None and query.sparse.indices:
        vectors[SPARSE] = qdrant.SparseVector(query.sparse.indices, query.sparse.values)
    matching = where(query.where)
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


def ranking(found: Iterable[qdrant.ScoredPoint]) -> list[tuple[int, float]]:
    """Ids as the numbers they are, with scores: to write out hundreds of them takes its time."""
    return [(scored.id.int, scored.score) for scored in cast("Iterable[_Identified]", found)]


def record(found: qdrant.Record) -> Record:
    """A stored point; with its dense vector if that was asked for."""
    dense = found.vector.get(DENSE) if isinstance(found.vector, dict) else None
    return Record(str(found.id), found.payload or {}, cast("list[float] | None", dense))


@contextmanager
def translated(path: Path) -> Generator[None]:
    """Turn what goes wrong with `path` into ours: the engine raises bare `Exception`s, or panics."""
    try:
        yield
    except IbidError:
        raise
    except OSError as error:
        raise _of_system(error, path) from error
    except BaseException as error:
        # A panic in Rust is a BaseException of a class that no module exports.
        panicked = type(error).__name__ == "PanicException"
        if not panicked and type(error) is not Exception:
            raise
        raise _of_engine(str(error), path, panicked=panicked) from error


def damaged(path: Path, reason: str) -> IndexDamaged:
    """The sentence for files that cannot be read."""
    return IndexDamaged(
        f"The index in {path} is damaged: {reason}. Move it away and run `ibid ingest` again."
    )


def _of_system(error: OSError, path: Path) -> IbidError:
    if error.errno == errno.ENOSPC:
        return StorageFull(f"The disk that holds {path} is full. Free some space and try again.")
    return IndexUnavailable(f"The index in {path} cannot be used: {error}.")


def _of_engine(reason: str, path: Path, *, panicked: bool) -> IbidError:
    if "WouldBlock" in reason:
        return IndexLocked(f"Another process has the index in {path} open. Close it and try again.")
    if "No space left" in reason:
        return StorageFull(f"The disk that holds {path} is full. Free some space and try again.")
    if "Vector dimension error" in reason:
        return IndexMismatch(
            f"The index in {path} was built with another embedding ({reason}). "
            "Configure that one, or run `ibid ingest` for a new index."
        )
    if panicked or reason.startswith("Service runtime error"):
        return damaged(path, reason)
    return IndexUnavailable(f"The index in {path} refused: {reason}.")


# `ConditionType` is a name of its stubs only.
def _conditions(matching: Filter) -> "list[qdrant.ConditionType]":
    return [_condition(name, values) for name, values in matching.items()]


def _condition(name: str, values: Sequence[Scalar]) -> "qdrant.ConditionType":
    """Each point that is looked at is asked: the fewer questions, the quicker."""
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int)]
    matches = [qdrant.MatchAny(some) for some in (texts, numbers) if some or not values]
    asked = [qdrant.FieldCondition(name, match=match) for match in matches]
    return asked[0] if len(asked) == 1 else qdrant.Filter(should=[*asked])

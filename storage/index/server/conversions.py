"""Conversions between the engine interface's values and errors and those of `qdrant_client`."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import cast

import grpc
from qdrant_client import models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from storage.errors import IbidError, IndexMismatch, IndexUnavailable, NotFound, StorageFull
from storage.index.engine import (
    DENSE,
    SPARSE,
    Change,
    Filter,
    Point,
    Query,
    Record,
    Scalar,
    Schema,
    SetPayload,
)

_TENANT = "corpus"
RESCORED = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True))
"""Scores come from the original vectors, because similarities are compared with a minimum; int8 copies
only choose the candidates."""

_REFUSALS = "Response: 401", "Response: 403", "UNAUTHENTICATED", "PERMISSION_DENIED"


def dense_params(schema: Schema) -> models.VectorParams:
    """Return the parameters of the dense vectors: cosine distance; int8 copies, if any, stay in memory."""
    scalar = models.ScalarQuantizationConfig(
        type=models.ScalarType.INT8, quantile=0.99, always_ram=True
    )
    return models.VectorParams(
        size=schema.dimension,
        distance=models.Distance.COSINE,
        on_disk=schema.on_disk,
        quantization_config=models.ScalarQuantization(scalar=scalar) if schema.quantized else None,
    )


def field_indexes(
    schema: Schema,
) -> dict[str, models.PayloadSchemaType | models.KeywordIndexParams]:
    """Return the index type of each payload field.

    A server in strict mode refuses to filter on other fields. `is_tenant` keeps a corpus's points together.
    """
    kinds: dict[str, models.PayloadSchemaType | models.KeywordIndexParams] = {
        **dict.fromkeys(schema.keywords, models.PayloadSchemaType.KEYWORD),
        **dict.fromkeys(schema.integers, models.PayloadSchemaType.INTEGER),
    }
    if _TENANT in schema.keywords:
        keyword = models.KeywordIndexType.KEYWORD
        kinds[_TENANT] = models.KeywordIndexParams(type=keyword, is_tenant=True)
    return kinds


def strict_mode_problems(
    collection: models.CollectionInfo, filtered: Sequence[str], depth: int
) -> list[str]:
    """Return a message for each filter and limit of Ibid that the collection's strict mode forbids."""
    strict = collection.config.strict_mode_config
    if strict is None or not strict.enabled:
        return []
    problems: list[str] = []
    missing = [name for name in filtered if name not in collection.payload_schema]
    if missing and strict.unindexed_filtering_retrieve is False:
        problems.append(f"strict mode is on and these fields have no index: {', '.join(missing)}")
    if strict.max_query_limit is not None and strict.max_query_limit < depth:
        problems.append(
            f"strict mode allows {strict.max_query_limit} results, and Ibid asks for {depth}"
        )
    return problems


def to_point(point: Point) -> models.PointStruct:
    """Convert a point with both its vectors."""
    sparse = models.SparseVector(indices=point.sparse.indices, values=point.sparse.values)
    return models.PointStruct(
        id=point.id, vector={DENSE: point.dense, SPARSE: sparse}, payload=point.payload
    )


def to_operation(change: Change) -> models.SetPayloadOperation | models.DeleteOperation:
    """Convert a change to one operation of a batch."""
    if isinstance(change, SetPayload):
        setting = models.SetPayload(payload=change.payload, filter=to_filter(change.where))
        return models.SetPayloadOperation(set_payload=setting)
    doomed = to_filter(change.where, excluding=change.unless)
    return models.DeleteOperation(delete=models.FilterSelector(filter=doomed))


def to_filter(matching: Filter, *, excluding: Filter | None = None) -> models.Filter:
    """Return a filter for points that match `matching` and do not match `unless`, if it names any field."""
    excluded = models.Filter(must=_conditions(excluding)) if excluding else None
    return models.Filter(must=_conditions(matching), must_not=excluded)


def to_requests(query: Query, params: models.SearchParams | None) -> dict[str, models.QueryRequest]:
    """Return one request for each requested ranking, by the name of its vector."""
    vectors: dict[str, list[float] | models.SparseVector] = {}
    if query.dense is not None:
        vectors[DENSE] = query.dense
    if query.sparse is not None and query.sparse.indices:
        vectors[SPARSE] = models.SparseVector(
            indices=query.sparse.indices, values=query.sparse.values
        )
    return {
        name: models.QueryRequest(
            query=vector,
            using=name,
            filter=to_filter(query.where),
            limit=max(query.depth, query.limit),
            params=params,
            with_payload=True,
        )
        for name, vector in vectors.items()
    }


def to_record(found: models.Record) -> Record:
    """Convert a stored point, with its dense vector if that was requested."""
    dense = found.vector.get(DENSE) if isinstance(found.vector, dict) else None
    return Record(str(found.id), found.payload or {}, cast("list[float] | None", dense))


@contextmanager
def translate_errors(place: str, collection: str = "") -> Generator[None]:
    """Convert the client's exceptions to Ibid's errors; a client in memory raises `ValueError`.

    `place` is the address of the server, for messages.
    """
    try:
        yield
    except (ApiException, QdrantException, grpc.RpcError, ValueError) as error:
        # Some errors, such as a timeout, have an empty text: use the `repr`, which names the class.
        # Over REST the body is shown as a bytes literal, with escaped apostrophes.
        reason = (str(error) or repr(error)).replace("\\'", "'")
        raise _to_error(" ".join(reason.split()), place, collection) from error


def _to_error(reason: str, place: str, collection: str) -> IbidError:
    """Choose the error by the text, which is the same over REST, over gRPC and in memory; classes differ."""
    if "doesn't exist" in reason or f"Collection {collection} not found" in reason:
        return NotFound("collection", collection, "Run `ibid ingest` to create one.")
    if "No space left" in reason or "disk space" in reason:
        return StorageFull(
            f"The Qdrant server at {place} has no disk space left. Free some space, or enlarge the disk."
        )
    if "Vector dimension error" in reason or "not aligned" in reason:
        return IndexMismatch(
            f"The collection {collection!r} was built with another embedding. "
            "Configure that embedding, or run `ibid ingest` for a new index."
        )
    if any(refusal in reason for refusal in _REFUSALS):
        return IndexUnavailable(f"The Qdrant server at {place} rejects QDRANT_API_KEY.")
    return IndexUnavailable(f"The Qdrant server at {place} (QDRANT_URL) cannot be used: {reason}")


def _conditions(matching: Filter) -> list[models.Condition]:
    return [_condition(name, values) for name, values in matching.items()]


def _condition(name: str, values: Sequence[Scalar]) -> models.Filter:
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int)]
    return models.Filter(
        should=[
            models.FieldCondition(key=name, match=models.MatchAny(any=texts)),
            models.FieldCondition(key=name, match=models.MatchAny(any=numbers)),
        ]
    )

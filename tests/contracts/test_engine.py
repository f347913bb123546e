"""The promises of `IndexEngine`, kept by the embedded engine and by a server alike."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from storage.errors import IndexMismatch, IndexUnavailable, NotFound, StorageFull
from storage.index.engine import (
    Delete,
    IndexEngine,
    Payload,
    Point,
    Query,
    Scalar,
    Schema,
    SetPayload,
    Sparse,
)
from storage.index.server.engine import open_server
from tests.contracts.conftest import Make

EVERYTHING: dict[str, list[Scalar]] = {}


def key(number: int) -> str:
    return str(UUID(int=number))


def point(number: int, **payload: object) -> Point:
    """In two dimensions: at `number` degrees, with the term `number` and the term 9999."""
    angle = math.radians(number)
    sparse = Sparse([number, 9999], [1.0, 0.5])
    return Point(key(number), [math.cos(angle), math.sin(angle)], sparse, dict(payload))


async def ids(engine: IndexEngine, collection: str, **where: list[Scalar]) -> set[str]:
    return {record.id for record in await engine.scan(collection, where)}


async def test_a_collection_is_made_once_and_left_alone_the_second_time(
    engine: IndexEngine, make: Make
) -> None:
    name = await make(2)
    await engine.upsert(name, [point(1)])
    await engine.create(name, Schema(2, ["corpus"], ["version"]))
    assert name in await engine.collections()
    assert await engine.count(name, EVERYTHING) == 1


async def test_vectors_may_be_on_disk_with_small_copies_in_memory(
    engine: IndexEngine, make: Make
) -> None:
    name = await make(2, on_disk=True, quantized=True)
    await engine.upsert(name, [point(degrees, corpus="a") for degrees in (1, 40, 80)])
    hits = await engine.search(name, Query({"corpus": ["a"]}, 2, dense=[1.0, 0.0]))
    assert [hit.id for hit in hits] == [key(1), key(40)]


async def test_writing_a_point_again_replaces_it(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    await engine.upsert(name, [point(1, state="old", extra=1), point(2)])
    await engine.upsert(name, [point(1, state="new")])
    assert await engine.count(name, EVERYTHING) == 2
    assert [record.payload for record in await engine.retrieve(name, [key(1)])] == [
        {"state": "new"}
    ]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, {1, 2, 3, 4}),
        ({"corpus": ["a"]}, {1, 2}),
        ({"corpus": ["a", "b"]}, {1, 2, 3}),
        ({"version": [1, 2]}, {1, 2, 3}),
        ({"corpus": ["a"], "version": [2, 3]}, {2}),
        ({"corpus": ["nothing of the kind"]}, set[int]()),
        ({"corpus": []}, set[int]()),
    ],
)
async def test_a_filter_names_fields_and_the_values_they_may_have(
    engine: IndexEngine, make: Make, where: dict[str, list[Scalar]], expected: set[int]
) -> None:
    name = await make(2)
    values = {1: ("a", 1), 2: ("a", 2), 3: ("b", 1), 4: ("c", 3)}
    await engine.upsert(name, [point(n, corpus=c, version=v) for n, (c, v) in values.items()])
    assert await engine.count(name, where) == len(expected)
    assert await ids(engine, name, **where) == {key(number) for number in expected}
    hits = await engine.search(name, Query(where, 10, [1.0, 0.0], Sparse([9999], [1.0])))
    assert {hit.id for hit in hits} == {key(number) for number in expected}


async def test_changes_are_carried_out_in_order(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    old, new = point(1, corpus="a", version=1), point(2, corpus="a", version=2, state="staged")
    await engine.upsert(name, [old, new, point(3, corpus="b", version=1)])
    mine: dict[str, list[Scalar]] = {"corpus": ["a"]}
    newest: dict[str, list[Scalar]] = {"corpus": ["a"], "version": [2]}
    publish = SetPayload(newest, {"state": "live"})
    await engine.apply(name, [publish, Delete(mine, unless={"state": ["live"]})])
    assert await ids(engine, name) == {key(2), key(3)}
    (record,) = await engine.retrieve(name, [key(2)])
    assert record.payload == {"corpus": "a", "version": 2, "state": "live"}
    await engine.apply(name, [Delete(mine)])
    assert await ids(engine, name) == {key(3)}


def corpus_of_sixty() -> list[Point]:
    chance = np.random.default_rng(7)
    return [
        Point(
            key(number),
            chance.normal(size=16).tolist(),
            Sparse(
                chance.choice(40, size=8, replace=False).tolist(),
                chance.uniform(0.1, 1.1, size=8).tolist(),
            ),
            {"corpus": "ab"[number % 2]},
        )
        for number in range(1, 61)
    ]


def expected_scores(points: list[Point], query: Query) -> dict[str, tuple[float, float, float]]:
    """Fused score, cosine and BM25 of every point, worked out by hand."""
    wanted = [p for p in points if p.payload["corpus"] in query.where["corpus"]]
    dense, sparse = np.zeros(len(wanted)), np.zeros(len(wanted))
    if query.dense is not None:
        matrix, vector = np.array([p.dense for p in wanted]), np.array(query.dense)
        dense = matrix @ vector / np.linalg.norm(matrix, axis=1) / np.linalg.norm(vector)
    for term, weight in zip(*_terms(query.sparse), strict=True):
        n = sum(term in p.sparse.indices for p in points)
        idf = math.log((len(points) - n + 0.5) / (n + 0.5) + 1)
        found = [dict(zip(*_terms(p.sparse), strict=True)).get(term, 0.0) for p in wanted]
        sparse += weight * idf * np.array(found)
    fused, weights = np.zeros(len(wanted)), 0.0
    for scores, weight, asked in (
        (dense, query.dense_weight, query.dense is not None),
        (sparse, query.sparse_weight, query.sparse is not None),
    ):
        hit = np.ones(len(wanted), dtype=bool) if scores is dense else scores > 0
        if asked:
            fused += np.where(hit, weight * scores.clip(0) / scores[hit].max(), 0.0)
            weights += weight
    return {
        p.id: (float(f / weights), float(d), float(s))
        for p, f, d, s in zip(wanted, fused, dense, sparse, strict=True)
    }


def _terms(sparse: Sparse | None) -> tuple[list[int], list[float]]:
    return (sparse.indices, sparse.values) if sparse else ([], [])


DENSE = [math.sin(number) for number in range(16)]
SPARSE = Sparse([3, 11, 17, 29], [1.0, 1.0, 2.0, 1.0])


@pytest.mark.parametrize(
    "query",
    [
        Query({"corpus": ["a", "b"]}, 10, dense=DENSE),
        Query({"corpus": ["a", "b"]}, 10, sparse=SPARSE),
        Query({"corpus": ["a", "b"]}, 60, DENSE, SPARSE),
        Query({"corpus": ["b"]}, 10, DENSE, SPARSE),
        Query({"corpus": ["a"]}, 10, DENSE, SPARSE, dense_weight=3.0, sparse_weight=1.0),
    ],
    ids=["dense", "sparse", "hybrid", "filtered", "weighted"],
)
async def test_scores_are_what_the_formulas_say(
    engine: IndexEngine, make: Make, query: Query
) -> None:
    name, points = await make(16), corpus_of_sixty()
    await engine.upsert(name, points)
    hits = await engine.search(name, query)
    expected = expected_scores(points, query)
    candidates = [scores for scores in expected.values() if query.dense or scores[2]]
    best = sorted((score for score, _, _ in candidates), reverse=True)[: query.limit]
    assert [hit.score for hit in hits] == pytest.approx(best, abs=1e-3)
    for hit in hits:
        score, cosine, bm25 = expected[hit.id]
        assert hit.score == pytest.approx(score, abs=1e-3)
        assert hit.similarity == (pytest.approx(cosine, abs=1e-3) if query.dense else None)
        assert hit.bm25 == (pytest.approx(bm25, abs=1e-3) if query.sparse and bm25 else None)
        assert hit.payload["corpus"] in query.where["corpus"]


async def test_a_ranking_that_missed_a_hit_gives_it_no_score(
    engine: IndexEngine, make: Make
) -> None:
    name = await make(2)
    await engine.upsert(name, [point(degrees) for degrees in (1, 30, 60)])
    shallow = Query(EVERYTHING, 1, [1.0, 0.0], Sparse([60], [1.0]), depth=2)
    (lexical,) = await engine.search(name, shallow)
    at_most = math.cos(math.radians(30)) / math.cos(math.radians(1))
    assert (lexical.id, lexical.score) == (key(60), pytest.approx(0.6 + 0.4 * at_most, abs=1e-3))
    assert lexical.similarity is None
    assert lexical.bm25 is not None
    deep = Query(EVERYTHING, 3, [1.0, 0.0], Sparse([60], [1.0]))
    assert {hit.id: hit.bm25 for hit in await engine.search(name, deep)} == {
        key(60): lexical.bm25,
        key(1): None,
        key(30): None,
    }


async def test_a_query_without_terms_is_dense_alone(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    await engine.upsert(name, [point(1), point(50)])
    query = Query(EVERYTHING, 2, [1.0, 0.0], Sparse([], []))
    assert [(hit.id, hit.score) for hit in await engine.search(name, query)] == [
        (key(1), 1.0),
        (key(50), pytest.approx(math.cos(math.radians(50)) / math.cos(math.radians(1)), abs=1e-3)),
    ]
    assert await engine.search(name, Query(EVERYTHING, 2)) == []


async def test_points_come_back_in_the_order_asked_for(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    await engine.upsert(name, [point(number, state=f"s{number}") for number in range(1, 20)])
    wanted = [key(7), key(3), key(404), key(11)]
    records = await engine.retrieve(name, wanted)
    assert [(record.id, record.payload["state"], record.dense) for record in records] == [
        (key(7), "s7", None),
        (key(3), "s3", None),
        (key(11), "s11", None),
    ]


async def test_a_scan_has_no_end_of_page(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    await engine.upsert(name, [point(number, version=number % 2) for number in range(1100)])
    assert len(await engine.scan(name, EVERYTHING)) == 1100
    odd = await engine.scan(name, {"version": [1]}, vectors=True)
    assert {record.id for record in odd} == {key(number) for number in range(1, 1100, 2)}
    for record in odd[:20]:
        number = UUID(record.id).int
        assert record.dense == pytest.approx(point(number).dense, abs=1e-6)
        assert record.payload == {"version": 1}


async def test_a_scan_for_so_many_has_those_of_the_least_ids(
    engine: IndexEngine, make: Make
) -> None:
    name = await make(2)
    numbers = [5, 900, 12, 77, 3, 40]
    await engine.upsert(name, [point(number, version=number % 2) for number in numbers])
    some = await engine.scan(name, EVERYTHING, most=3)
    assert {record.id for record in some} == {key(3), key(5), key(12)}
    odd = await engine.scan(name, {"version": [1]}, most=3)
    assert {record.id for record in odd} == {key(3), key(5), key(77)}
    assert len(await engine.scan(name, EVERYTHING, most=10)) == len(numbers)


async def test_payloads_come_back_as_they_were(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    corpus = "日本語 – “naïve” \N{FAMILY}"
    payload: Payload = {
        "corpus": corpus,
        "section": ["Part I", "Größe", ["nested", ["deeper", 1, None]]],
        "spans": [[0, 12], [40, 80]],
        "where": {"url": "https://example.org/#ä", "page": 3, "exact": True, "score": 0.25},
        "empty": [],
        "nothing": None,
    }
    await engine.upsert(name, [point(1, **payload)])
    (hit,) = await engine.search(name, Query({}, 1, [1.0, 0.0]))
    (record,) = await engine.scan(name, {"corpus": [corpus]})
    assert hit.payload == record.payload == payload


async def test_an_alias_moves_and_no_search_ever_misses(engine: IndexEngine, make: Make) -> None:
    alias, first, second = f"alias-{uuid4().hex}", await make(2), await make(2)
    for name in (first, second):
        await engine.upsert(name, [point(number, corpus=name) for number in range(1, 30)])
    await engine.point(alias, first)
    query, seen, flipping = Query({}, 5, [1.0, 0.0], Sparse([9999], [1.0])), set[object](), True

    async def search_on() -> None:
        while flipping:
            hits = await engine.search(alias, query)
            assert len(hits) == 5
            (name,) = {hit.payload["corpus"] for hit in hits}
            seen.add(name)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as searches:
        for _ in range(4):
            searches.create_task(search_on())
        for _ in range(10):
            for name in (second, first):
                await engine.point(alias, name)
                await asyncio.sleep(0.005)
        flipping = False
    assert seen == {first, second}
    assert (await engine.aliases())[alias] == first


async def test_what_is_dropped_is_gone_with_its_aliases(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    alias = f"alias-of-{name}"
    await engine.upsert(name, [point(1)])
    await engine.point(alias, name)
    await engine.drop(name)
    await engine.drop(name)
    assert name not in await engine.collections()
    assert alias not in await engine.aliases()
    with pytest.raises(NotFound):
        await engine.count(alias, EVERYTHING)
    await engine.create(name, Schema(2, [], []))
    assert await engine.count(name, EVERYTHING) == 0


async def test_optimising_changes_no_result(engine: IndexEngine, make: Make) -> None:
    name = await make(16)
    await engine.upsert(name, corpus_of_sixty())
    query = Query({"corpus": ["a"]}, 10, DENSE, SPARSE)
    before = await engine.search(name, query)
    await engine.optimize(name)
    after = await engine.search(name, query)
    assert [hit.id for hit in after] == [hit.id for hit in before]
    assert [hit.score for hit in after] == pytest.approx([hit.score for hit in before], abs=1e-6)


CALLS: dict[str, Callable[[IndexEngine], Coroutine[Any, Any, object]]] = {
    "upsert": lambda engine: engine.upsert("unknown", [point(1)]),
    "apply": lambda engine: engine.apply("unknown", [Delete({"corpus": ["a"]})]),
    "search": lambda engine: engine.search("unknown", Query({}, 1, [1.0, 0.0])),
    "retrieve": lambda engine: engine.retrieve("unknown", [key(1)]),
    "scan": lambda engine: engine.scan("unknown", {}),
    "count": lambda engine: engine.count("unknown", {}),
    "optimize": lambda engine: engine.optimize("unknown"),
    "point": lambda engine: engine.point("alias", "unknown"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_an_unknown_collection_is_named(
    engine: IndexEngine, call: Callable[[IndexEngine], Coroutine[Any, Any, object]]
) -> None:
    with pytest.raises(NotFound, match=r"There is no collection 'unknown'\. Run `ibid ingest`"):
        await call(engine)


async def test_vectors_of_another_embedding_are_refused(engine: IndexEngine, make: Make) -> None:
    name = await make(3)
    with pytest.raises(IndexMismatch, match="built with another embedding"):
        await engine.upsert(name, [point(1)])
    await engine.upsert(name, [Point(key(1), [1.0, 0.0, 0.0], Sparse([1], [1.0]), {})])
    with pytest.raises(IndexMismatch, match="built with another embedding"):
        await engine.search(name, Query({}, 1, [1.0, 0.0]))


@asynccontextmanager
async def server_that_says(status: str, reason: str) -> AsyncGenerator[IndexEngine]:
    """A server with one answer to everything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"status": {"error": reason}, "time": 0.0})
        headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_server(f"http://127.0.0.1:{port}") as engine:
            yield engine


@pytest.mark.parametrize(
    ("status", "reason", "error", "message"),
    [
        (
            "401 Unauthorized",
            "Must provide an API key",
            IndexUnavailable,
            r"at 127.0.0.1:\d+ rejects QDRANT_API_KEY",
        ),
        (
            "403 Forbidden",
            "Forbidden",
            IndexUnavailable,
            r"at 127.0.0.1:\d+ rejects QDRANT_API_KEY",
        ),
        ("404 Not Found", "Collection `c` doesn't exist!", NotFound, "no collection 'c'"),
        ("500 Internal Server Error", "No space left on device", StorageFull, "no disk space left"),
        ("503 Service Unavailable", "starting", IndexUnavailable, "cannot be used: .*starting"),
    ],
)
async def test_what_a_server_refuses_is_put_in_our_words(
    status: str, reason: str, error: type[Exception], message: str
) -> None:
    async with server_that_says(status, reason) as engine:
        with pytest.raises(error, match=message):
            await engine.count("c", EVERYTHING)


async def test_a_server_that_is_not_there_is_unavailable(unused_tcp_port: int) -> None:
    async with open_server(f"http://127.0.0.1:{unused_tcp_port}") as engine:
        with pytest.raises(
            IndexUnavailable, match=rf"at 127.0.0.1:{unused_tcp_port} \(QDRANT_URL\) cannot be used"
        ):
            await engine.search("c", Query({}, 1, [1.0]))

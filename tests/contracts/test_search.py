"""Searches and their scores, by the same formulas in both engines."""

import math

import numpy as np
import pytest

from storage.errors import IndexMismatch
from storage.index.engine import (
    IndexEngine,
    Point,
    Query,
    SparseVector,
)
from tests.contracts.conftest import Make
from tests.contracts.points import DENSE, EVERYTHING, SPARSE, build_points, key, point


async def test_vectors_may_be_on_disk_with_small_copies_in_memory(
    engine: IndexEngine, make: Make
) -> None:
    name = await make(2, on_disk=True, quantized=True)
    await engine.upsert(name, [point(degrees, corpus="a") for degrees in (1, 40, 80)])
    hits = await engine.search(name, Query({"corpus": ["a"]}, 2, dense=[1.0, 0.0]))
    assert [hit.id for hit in hits] == [key(1), key(40)]


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


def _terms(sparse: SparseVector | None) -> tuple[list[int], list[float]]:
    return (sparse.indices, sparse.values) if sparse else ([], [])


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
    name, points = await make(16), build_points()
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
    shallow = Query(EVERYTHING, 1, [1.0, 0.0], SparseVector([60], [1.0]), depth=2)
    (lexical,) = await engine.search(name, shallow)
    at_most = math.cos(math.radians(30)) / math.cos(math.radians(1))
    assert (lexical.id, lexical.score) == (key(60), pytest.approx(0.6 + 0.4 * at_most, abs=1e-3))
    assert lexical.similarity is None
    assert lexical.bm25 is not None
    deep = Query(EVERYTHING, 3, [1.0, 0.0], SparseVector([60], [1.0]))
    assert {hit.id: hit.bm25 for hit in await engine.search(name, deep)} == {
        key(60): lexical.bm25,
        key(1): None,
        key(30): None,
    }


async def test_a_query_without_terms_is_dense_alone(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    await engine.upsert(name, [point(1), point(50)])
    query = Query(EVERYTHING, 2, [1.0, 0.0], SparseVector([], []))
    assert [(hit.id, hit.score) for hit in await engine.search(name, query)] == [
        (key(1), 1.0),
        (key(50), pytest.approx(math.cos(math.radians(50)) / math.cos(math.radians(1)), abs=1e-3)),
    ]
    assert await engine.search(name, Query(EVERYTHING, 2)) == []


async def test_vectors_of_another_embedding_are_refused(engine: IndexEngine, make: Make) -> None:
    name = await make(3)
    with pytest.raises(IndexMismatch, match="built with another embedding"):
        await engine.upsert(name, [point(1)])
    await engine.upsert(name, [Point(key(1), [1.0, 0.0, 0.0], SparseVector([1], [1.0]), {})])
    with pytest.raises(IndexMismatch, match="built with another embedding"):
        await engine.search(name, Query({}, 1, [1.0, 0.0]))

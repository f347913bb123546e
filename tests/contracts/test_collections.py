"""Collections and aliases, as both engines keep them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest

from storage.errors import NotFound
from storage.index.engine import (
    Delete,
    IndexEngine,
    Query,
    Schema,
    SparseVector,
)
from tests.contracts.conftest import Make
from tests.contracts.points import DENSE, EVERYTHING, SPARSE, build_points, key, point


async def test_a_collection_is_made_once_and_left_alone_the_second_time(
    engine: IndexEngine, make: Make
) -> None:
    name = await make(2)
    await engine.upsert(name, [point(1)])
    await engine.create(name, Schema(2, ["corpus"], ["version"]))
    assert name in await engine.collections()
    assert await engine.count(name, EVERYTHING) == 1


async def test_an_alias_moves_and_no_search_ever_misses(engine: IndexEngine, make: Make) -> None:
    alias, first, second = f"alias-{uuid4().hex}", await make(2), await make(2)
    for name in (first, second):
        await engine.upsert(name, [point(number, corpus=name) for number in range(1, 30)])
    await engine.set_alias(alias, first)
    query, seen, flipping = (
        Query({}, 5, [1.0, 0.0], SparseVector([9999], [1.0])),
        set[object](),
        True,
    )

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
                await engine.set_alias(alias, name)
                await asyncio.sleep(0.005)
        flipping = False
    assert seen == {first, second}
    assert (await engine.aliases())[alias] == first


async def test_what_is_dropped_is_gone_with_its_aliases(engine: IndexEngine, make: Make) -> None:
    name = await make(2)
    alias = f"alias-of-{name}"
    await engine.upsert(name, [point(1)])
    await engine.set_alias(alias, name)
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
    await engine.upsert(name, build_points())
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
    "point": lambda engine: engine.set_alias("alias", "unknown"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_an_unknown_collection_is_named(
    engine: IndexEngine, call: Callable[[IndexEngine], Coroutine[Any, Any, object]]
) -> None:
    with pytest.raises(NotFound, match=r"There is no collection 'unknown'\. Run `ibid ingest`"):
        await call(engine)

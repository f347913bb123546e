"""Points that are written, filtered, changed and read back, in both engines."""

from uuid import UUID

import pytest

from storage.index.engine import (
    Delete,
    IndexEngine,
    Payload,
    Query,
    Scalar,
    SetPayload,
    SparseVector,
)
from tests.contracts.conftest import Make
from tests.contracts.points import EVERYTHING, ids, key, point


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
    hits = await engine.search(name, Query(where, 10, [1.0, 0.0], SparseVector([9999], [1.0])))
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
    some = await engine.scan(name, EVERYTHING, limit=3)
    assert {record.id for record in some} == {key(3), key(5), key(12)}
    odd = await engine.scan(name, {"version": [1]}, limit=3)
    assert {record.id for record in odd} == {key(3), key(5), key(77)}
    assert len(await engine.scan(name, EVERYTHING, limit=10)) == len(numbers)


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

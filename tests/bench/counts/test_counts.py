"""Operations do no more work than recorded, and the report of one that does names each new call."""

from pathlib import Path

import pytest

from app.wiring import Services
from tests.bench.counts import record
from tests.bench.counts.meter import (
    ENGINE_CALLS,
    RECEIVED,
    SENT,
    STATEMENTS,
    TEXTS,
    TOKENS,
    TRANSACTIONS,
    CountingMeter,
    statement_name,
)
from tests.bench.counts.operations import count_operations


async def test_no_operation_does_more_than_is_recorded(tmp_path: Path) -> None:
    found = await count_operations(tmp_path)

    recorded = record.load()
    assert found.keys() == recorded.keys()
    if lower := record.much_lower(found, recorded):
        print("\n".join([*lower, record.LOWER]))
    excesses = record.excesses(found, recorded)
    assert not excesses, "\n".join([*excesses, record.RAISE])


async def test_a_search_that_is_made_twice_exceeds_its_record(
    services: Services, docs: Path
) -> None:
    await services.ingestion.run([docs])
    meter = CountingMeter()
    with meter.attached(services):
        await services.search.passages("the foghorn")
        with meter.counting() as once:
            await services.search.passages("the foghorn")
        with meter.counting() as twice:
            await services.search.passages("the foghorn")
            await services.search.passages("the foghorn")
            await services.history.recent()
    await services.search.passages("the foghorn")

    assert once[ENGINE_CALLS] == {"SearchCall": 1}
    assert {kind: sum(twice[kind].values()) for kind in once} == {
        kind: 2 * sum(names.values()) for kind, names in once.items()
    }
    assert once.keys() == {ENGINE_CALLS, SENT, RECEIVED, TEXTS, TOKENS}
    assert twice.keys() - once.keys() == {STATEMENTS, TRANSACTIONS}
    excesses = record.excesses({"search": twice}, {"search": once})
    assert "search: 2 engine calls, recorded 1" in excesses
    assert "    SearchCall: 2, recorded 1" in excesses
    assert "    SELECT conversations users: 1, recorded 0" in excesses


def test_only_a_higher_total_exceeds_the_record() -> None:
    before = {"search": {ENGINE_CALLS: {"SearchCall": 4, "Count": 1}}}
    other = {"search": {ENGINE_CALLS: {"SearchCall": 4, "Aliases": 1}}}
    more = {"search": {ENGINE_CALLS: {"SearchCall": 4, "Aliases": 2}}}
    less = {"search": {ENGINE_CALLS: {"SearchCall": 3}}}

    assert not record.excesses(other, before)
    assert record.excesses(more, before) == [
        "search: 6 engine calls, recorded 5",
        "    Aliases: 2, recorded 0",
        "    Count: 0, recorded 1",
    ]
    assert not record.excesses(less, before)
    assert not record.much_lower(other, before)
    assert record.much_lower(less, before)[0] == "search: 3 engine calls, recorded 5"
    assert record.much_lower({}, before), "what is no longer done at all is lower"
    assert record.excesses(before, {}), "what was never recorded exceeds its record"


def test_a_new_record_names_what_changed(tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    counts = {"search": {ENGINE_CALLS: {"SearchCall": 1}}}
    assert record.save(counts, file)
    assert record.load(file) == counts
    assert not record.save(counts, file)

    counts["search"][ENGINE_CALLS]["Aliases"] = 1

    assert record.save(counts, file) == [
        "search: 2 engine calls, recorded 1",
        "    Aliases: 1, recorded 0",
    ]
    assert record.load(file) == counts


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT a FROM corpora JOIN users ON true", "SELECT corpora users"),
        ("SELECT 1", "SELECT"),
        ("INSERT INTO spending (a) VALUES (?) ON CONFLICT DO UPDATE SET a = 1", "INSERT spending"),
        ('UPDATE "sources" SET a = ?', "UPDATE sources"),
    ],
)
def test_a_statement_is_named_by_its_verb_and_tables(statement: str, name: str) -> None:
    assert statement_name(statement) == name

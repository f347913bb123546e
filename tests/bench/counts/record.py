"""The recorded counts: the most that an operation may do. A change that needs more raises its record."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.counts.meter import Counts

RECORDED = Path(__file__).with_name("recorded.json")
RAISE = (
    "If a feature needs this, run `python -m tests.bench counts --record`, and commit "
    "recorded.json with the reason for each new call."
)
LOWER = "To keep what was gained, run `python -m tests.bench counts --record`."
_MUCH_LOWER = 0.8
"""The share of a record below which lowering it is suggested."""

AllCounts = Mapping[str, Counts]
"""The counts by operation."""


def load(file: Path = RECORDED) -> dict[str, Counts]:
    """Return the recorded counts."""
    found: dict[str, Counts] = json.loads(file.read_text(encoding="utf-8"))
    return found


def save(found: AllCounts, file: Path = RECORDED) -> list[str]:
    """Replace the record, and return a line for each count that differs from the one before."""
    before = load(file) if file.exists() else {}
    file.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return [
        line
        for operation in sorted({*found, *before})
        for kind in _kinds(found.get(operation, {}), before.get(operation, {}))
        for line in _differences(operation, kind, found, before)
    ]


def total(counts: AllCounts, operation: str, kind: str) -> int:
    """Return the sum of an operation's counts of one kind; what is not recorded counts as 0."""
    return sum(counts.get(operation, {}).get(kind, {}).values())


def excesses(found: AllCounts, recorded: AllCounts) -> list[str]:
    """Return lines about each kind that exceeds its record in total, with the names that differ."""
    return [
        line
        for operation, kind in _pairs(found)
        if total(found, operation, kind) > total(recorded, operation, kind)
        for line in _differences(operation, kind, found, recorded)
    ]


def much_lower(found: AllCounts, recorded: AllCounts) -> list[str]:
    """Return lines about each kind that is so far below its record that the record protects little."""
    return [
        line
        for operation, kind in _pairs(recorded)
        if total(found, operation, kind) < _MUCH_LOWER * total(recorded, operation, kind)
        for line in _differences(operation, kind, found, recorded)
    ]


def _pairs(counts: AllCounts) -> Iterator[tuple[str, str]]:
    return ((operation, kind) for operation, kinds in counts.items() for kind in kinds)


def _kinds(found: Counts, before: Counts) -> list[str]:
    return sorted({*found, *before})


def _differences(operation: str, kind: str, found: AllCounts, recorded: AllCounts) -> Iterator[str]:
    """Yield the totals of a kind, and each name whose count differs; nothing if none does."""
    now = found.get(operation, {}).get(kind, {})
    was = recorded.get(operation, {}).get(kind, {})
    if now == was:
        return
    yield f"{operation}: {sum(now.values())} {kind}, recorded {sum(was.values())}"
    for name in sorted({*now, *was}):
        if now.get(name, 0) != was.get(name, 0):
            yield f"    {name}: {now.get(name, 0)}, recorded {was.get(name, 0)}"

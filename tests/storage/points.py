"""A collection and points for it."""

from uuid import UUID

from storage.index.engine import Point, Query, Schema, SparseVector

SCHEMA = Schema(2, ["corpus"], ["version"])
QUERY = Query({}, 5, [1.0, 0.0], SparseVector([1], [1.0]))


def points(first: int, last: int) -> list[Point]:
    return [
        Point(str(UUID(int=number)), [1.0, number], SparseVector([1], [1.0]), {"corpus": "a"})
        for number in range(first, last)
    ]

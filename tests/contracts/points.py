"""Points whose scores are known."""

import math
from uuid import UUID

import numpy as np

from storage.index.engine import IndexEngine, Point, Scalar, SparseVector

EVERYTHING: dict[str, list[Scalar]] = {}


def key(number: int) -> str:
    return str(UUID(int=number))


def point(number: int, **payload: object) -> Point:
    """In two dimensions: at `number` degrees, with the term `number` and the term 9999."""
    angle = math.radians(number)
    sparse = SparseVector([number, 9999], [1.0, 0.5])
    return Point(key(number), [math.cos(angle), math.sin(angle)], sparse, dict(payload))


async def ids(engine: IndexEngine, collection: str, **where: list[Scalar]) -> set[str]:
    return {record.id for record in await engine.scan(collection, where)}


def build_points() -> list[Point]:
    chance = np.random.default_rng(7)
    return [
        Point(
            key(number),
            chance.normal(size=16).tolist(),
            SparseVector(
                chance.choice(40, size=8, replace=False).tolist(),
                chance.uniform(0.1, 1.1, size=8).tolist(),
            ),
            {"corpus": "ab"[number % 2]},
        )
        for number in range(1, 61)
    ]


DENSE = [math.sin(number) for number in range(16)]
SPARSE = SparseVector([3, 11, 17, 29], [1.0, 1.0, 2.0, 1.0])

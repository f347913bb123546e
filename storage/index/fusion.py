"""Two rankings made one by relative-score fusion.

Why not reciprocal ranks: over seven public sets, 0.6 BM25 + 0.4 dense on min-max-normalised top-100
scores beat RRF with k=2 and with k=60 in nearly all. Ranks forget by how much a hit won.
"""

from collections.abc import Sequence
from typing import NamedTuple

Ranking = Sequence[tuple[str, float]]
"""Ids with their scores, higher is better, in any order; an id occurs once."""


class Fused(NamedTuple):
    """An id with its fused score in [0, 1] and its raw scores; None where a ranking missed it."""

    id: str
    score: float
    similarity: float | None
    bm25: float | None


def fuse(
    dense: Ranking | None,
    sparse: Ranking | None,
    *,
    dense_weight: float,
    sparse_weight: float,
    limit: int,
) -> list[Fused]:
    """The best `limit` ids of both rankings: weighted mean of their normalised scores, ties by id.

    None means that a ranking was not asked for: the other one's weight is then the whole. An empty
    ranking was asked for and found nothing: it keeps its weight. Weights are not negative, and not
    both zero.
    """
    if dense is None or sparse is None:
        dense_weight, sparse_weight = float(dense is not None), float(sparse is not None)
    similarities, bm25s = dict(dense or ()), dict(sparse or ())
    by_dense, by_sparse = _normalized(similarities), _normalized(bm25s)
    whole = dense_weight + sparse_weight

    def score(key: str) -> float:
        parts = dense_weight * by_dense.get(key, 0.0) + sparse_weight * by_sparse.get(key, 0.0)
        return parts / whole

    fused = [
        Fused(key, score(key), similarities.get(key), bm25s.get(key))
        for key in similarities.keys() | bm25s.keys()
    ]
    fused.sort(key=lambda hit: (-hit.score, hit.id))
    return fused[:limit]


def _normalized(scores: dict[str, float]) -> dict[str, float]:
    """Min-max to [0, 1]; a lone hit, or hits that are all alike, count in full."""
    if not scores:
        return {}
    low = min(scores.values())
    span = max(scores.values()) - low
    return {key: (score - low) / span if span else 1.0 for key, score in scores.items()}

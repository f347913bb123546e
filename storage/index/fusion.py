"""Two rankings made one by relative-score fusion.

A score counts as a share of the best score in its ranking, and what a ranking's first `depth` hits
leave out as its last one, which it cannot exceed. Why not reciprocal ranks: ranks forget by how much a
hit won. Why not from worst to best (min-max): that stretches a ranking which hardly tells its hits
apart as far as one that does. Over nine public sets in four languages both were worse in nearly all.
"""

from collections.abc import Sequence
from heapq import nsmallest
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", int, str)
"""An id, as the engine gives it: one of hundreds, of which few are ever shown."""

Ranking = Sequence[tuple[K, float]]
"""Ids with their scores, higher is better, in any order; an id occurs once."""


class Fused(NamedTuple, Generic[K]):
    """An id with its fused score in [0, 1] and its raw scores; None where a ranking missed it."""

    id: K
    score: float
    similarity: float | None
    bm25: float | None


def fuse(
    dense: Ranking[K] | None,
    sparse: Ranking[K] | None,
    *,
    dense_weight: float,
    sparse_weight: float,
    depth: int,
    limit: int,
) -> list[Fused[K]]:
    """The best `limit` ids of both rankings: weighted mean of their shares, ties by id.

    None means that a ranking was not asked for: the other one's weight is then the whole. An empty
    ranking was asked for and found nothing: it keeps its weight. A ranking shorter than `depth` left
    out only what does not match. Weights are not negative, and not both zero.
    """
    if dense is None or sparse is None:
        dense_weight, sparse_weight = float(dense is not None), float(sparse is not None)
    similarities, bm25s = dict(dense or ()), dict(sparse or ())
    by_dense, without_dense = _shares(similarities, dense_weight, depth)
    by_sparse, without_sparse = _shares(bm25s, sparse_weight, depth)
    scored = [(-share - by_sparse.get(key, without_sparse), key) for key, share in by_dense.items()]
    scored += [
        (-share - without_dense, key) for key, share in by_sparse.items() if key not in by_dense
    ]
    whole = dense_weight + sparse_weight
    return [
        Fused(key, -negative / whole, similarities.get(key), bm25s.get(key))
        for negative, key in nsmallest(limit, scored)
    ]


def _shares(scores: dict[K, float], weight: float, depth: int) -> tuple[dict[K, float], float]:
    """Of the best score, in [0, weight], and the share of what is not among them; less than 0 is none."""
    best = max(scores.values(), default=0.0)
    if best <= 0:
        return dict.fromkeys(scores, 0.0), 0.0
    shares = {key: weight * (score / best) if score > 0 else 0.0 for key, score in scores.items()}
    return shares, min(shares.values()) if len(scores) >= depth else 0.0

"""Measures of a ranking, as defined by `trec_eval`; every value is in [0, 1]."""

import math
from collections.abc import Mapping, Sequence

MEASURES = ("ndcg@10", "mrr@10", "recall@10", "recall@100", "hit@1", "hit@5")
"""The measures in display order; the first is used to compare questions."""


def measure(ranking: Sequence[str], relevant: Mapping[str, float]) -> dict[str, float]:
    """Measure one question: `ranking` holds unique ids, best first; `relevant` the gains of right ones."""
    ranks = [rank for rank, key in enumerate(ranking, 1) if key in relevant]
    return {
        "ndcg@10": _ndcg(ranking, relevant, 10),
        "mrr@10": 1 / ranks[0] if ranks and ranks[0] <= 10 else 0.0,  # noqa: PLR2004 - its name
        "recall@10": _count_within(ranks, 10) / len(relevant),
        "recall@100": _count_within(ranks, 100) / len(relevant),
        "hit@1": float(_count_within(ranks, 1) > 0),
        "hit@5": float(_count_within(ranks, 5) > 0),
    }


def mean(measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure over all questions; 0 if there are none."""
    count = max(len(measured), 1)
    return {name: sum(values[name] for values in measured) / count for name in MEASURES}


def _count_within(ranks: Sequence[int], depth: int) -> int:
    return sum(rank <= depth for rank in ranks)


def _ndcg(ranking: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """Return the normalized discounted cumulative gain of Järvelin and Kekäläinen, with linear gains."""
    gains = [relevant.get(key, 0.0) for key in ranking[:depth]]
    ideal = sorted(relevant.values(), reverse=True)[:depth]
    return _dcg(gains) / _dcg(ideal)


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))

"""Relative-score fusion, by its properties."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.index.fusion import Fused, fuse

SCORES = st.floats(-1e6, 1e6, width=32)
RANKINGS = st.dictionaries(st.sampled_from("abcdefghij"), SCORES, max_size=10).map(
    lambda scores: list(scores.items())
)
WEIGHTS = st.tuples(st.floats(0.01, 10), st.floats(0.01, 10))

Ranking = list[tuple[str, float]]


def fuse_rankings(
    dense: Ranking | None,
    sparse: Ranking | None,
    weights: tuple[float, float] = (0.4, 0.6),
    limit: int = 100,
    depth: int = 100,
) -> list[Fused]:
    dense_weight, sparse_weight = weights
    return fuse(
        dense,
        sparse,
        dense_weight=dense_weight,
        sparse_weight=sparse_weight,
        depth=depth,
        limit=limit,
    )


def scores(hits: list[Fused]) -> dict[str, float]:
    return {hit.id: hit.score for hit in hits}


def test_two_rankings_of_known_scores() -> None:
    hits = fuse_rankings([("a", 0.8), ("b", 0.4), ("c", -0.1)], [("b", 12.0), ("d", 3.0)])
    assert [(hit.id, hit.score) for hit in hits] == [
        ("b", pytest.approx(0.4 * 0.5 + 0.6)),
        ("a", pytest.approx(0.4)),
        ("d", pytest.approx(0.6 * 0.25)),
        ("c", 0.0),
    ]
    assert hits[0][2:] == (0.4, 12.0)
    assert hits[1][2:] == (0.8, None)
    assert hits[2][2:] == (None, 3.0)


def test_what_a_cut_ranking_left_out_counts_as_its_last_hit() -> None:
    cut = fuse_rankings([("a", 0.8), ("b", 0.6)], [("c", 5.0)], depth=2)
    assert scores(cut) == {
        "c": pytest.approx(0.6 + 0.4 * 0.75),
        "a": pytest.approx(0.4),
        "b": pytest.approx(0.3),
    }


def test_a_ranking_not_asked_for_has_no_weight_but_one_that_found_nothing_has() -> None:
    assert scores(fuse_rankings([("a", 2.0), ("b", 1.0)], None)) == {"a": 1.0, "b": 0.5}
    assert scores(fuse_rankings(None, [("a", 2.0)])) == {"a": 1.0}
    assert scores(fuse_rankings([("a", 2.0)], [])) == {"a": pytest.approx(0.4)}
    assert fuse_rankings(None, None) == []


@given(RANKINGS, RANKINGS, WEIGHTS)
def test_scores_are_shares_of_the_whole(
    dense: Ranking, sparse: Ranking, weights: tuple[float, float]
) -> None:
    hits = fuse_rankings(dense, sparse, weights)
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert {hit.id for hit in hits} == {key for key, _ in dense + sparse}
    assert {hit.id: hit.similarity for hit in hits if hit.similarity is not None} == dict(dense)
    assert {hit.id: hit.bm25 for hit in hits if hit.bm25 is not None} == dict(sparse)


@given(RANKINGS, RANKINGS, WEIGHTS)
def test_the_best_of_both_is_one(
    dense: Ranking, sparse: Ranking, weights: tuple[float, float]
) -> None:
    best = ("best", 2e6)
    assert scores(fuse_rankings([*dense, best], [*sparse, best], weights))["best"] == 1.0


@given(RANKINGS, RANKINGS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    dense: Ranking, sparse: Ranking, chance: random.Random
) -> None:
    shuffled = fuse_rankings(chance.sample(dense, len(dense)), chance.sample(sparse, len(sparse)))
    assert shuffled == fuse_rankings(dense, sparse)


@given(RANKINGS, RANKINGS, st.integers(0, 12))
def test_a_limit_takes_the_first(dense: Ranking, sparse: Ranking, limit: int) -> None:
    assert fuse_rankings(dense, sparse, limit=limit) == fuse_rankings(dense, sparse)[:limit]


@given(RANKINGS, RANKINGS, SCORES, SCORES)
def test_a_better_match_never_scores_less(
    dense: Ranking, sparse: Ranking, one: float, other: float
) -> None:
    ends = [("worst", -2e6), ("best", 2e6)]
    worse, better = (
        scores(fuse_rankings([*dense, *ends, ("mine", score)], sparse))
        for score in sorted((one, other))
    )
    assert worse["mine"] <= better["mine"]
    assert {**worse, "mine": 0.0} == {**better, "mine": 0.0}

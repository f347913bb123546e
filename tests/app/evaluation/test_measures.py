"""Measures of a ranking, against values worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.measures import MEASURES, mean, measure

KEYS = st.text("abcdefgh", min_size=1, max_size=2)


def test_a_ranking_worked_out_by_hand() -> None:
    measured = measure(["x", "a", "y", "b"], {"a": 1.0, "b": 2.0, "c": 1.0})
    gained = 1 / math.log2(3) + 2 / math.log2(5)
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    assert measured == {
        "ndcg@10": pytest.approx(gained / ideal),
        "mrr@10": 0.5,
        "recall@10": pytest.approx(2 / 3),
        "recall@100": pytest.approx(2 / 3),
        "hit@1": 0.0,
        "hit@5": 1.0,
    }


def test_what_is_past_the_depth_does_not_count() -> None:
    measured = measure([*map(str, range(10)), "a"], {"a": 1.0})
    assert [measured[name] for name in MEASURES] == [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]


@given(st.lists(KEYS, unique=True), st.dictionaries(KEYS, st.floats(0.1, 9), min_size=1))
def test_every_measure_is_a_share_and_the_ideal_order_has_all_of_it(
    ranking: list[str], relevant: dict[str, float]
) -> None:
    assert all(0 <= value <= 1 for value in measure(ranking, relevant).values())
    ideal = measure(sorted(relevant, key=lambda key: -relevant[key]), relevant)
    assert ideal["ndcg@10"] == pytest.approx(1)
    assert ideal["recall@100"] == 1


def test_a_mean_is_over_all_questions() -> None:
    found, missed = measure(["a"], {"a": 1.0}), measure(["b"], {"a": 1.0})
    assert mean([found, missed]) == dict.fromkeys(MEASURES, 0.5)
    assert mean([]) == dict.fromkeys(MEASURES, 0.0)

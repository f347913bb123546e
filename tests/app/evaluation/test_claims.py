"""Verdicts measured on labelled claims, and what a set that is none is told."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.claims import auroc, balanced_accuracy, evaluate_claims, read_claims
from app.verification.local.verifier import LocalVerifier
from storage.embeddings.local import LocalEmbedding
from storage.errors import InvalidInput

FUEL = "The lamp burns 2.4 litres of paraffin an hour."
ROWS = (
    {"id": "1", "claim": "The lamp burns 2.4 litres an hour.", "label": "supported"},
    {"id": "2", "claim": "The lamp burns 9.4 litres an hour.", "label": "contradicted"},
    {"id": "3", "claim": "The keeper sails to market.", "label": "not_enough_info"},
)


def write_lines(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


async def test_a_set_is_measured_by_label(tmp_path: Path) -> None:
    lines = [json.dumps({**row, "evidence": [FUEL], "more": 1}) for row in ROWS]
    rows = read_claims(write_lines(tmp_path / "set.jsonl", *lines, ""))
    found = await evaluate_claims(LocalVerifier(LocalEmbedding()), rows)
    assert found.metrics["auroc"] == found.metrics["balanced_accuracy"] == 1.0
    assert found.claims == 3
    assert found.labels["supported"] == {"supported": 1}
    assert found.labels["contradicted"].keys() <= {"partial", "unsupported"}
    assert found.labels["not_enough_info"] == {"unsupported": 1}


def test_the_highest_mark_is_full_support(tmp_path: Path) -> None:
    lines = [json.dumps({"claim": "x", "evidence": "y", "label": mark}) for mark in (4, 3.5, 1)]
    rows = read_claims(write_lines(tmp_path / "set.jsonl", *lines))
    assert [row.label for row in rows] == [4, 3.5, 1]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([json.dumps({**ROWS[0], "evidence": FUEL}), "{"], "line 2"),
        ([json.dumps(ROWS[0])], "line 1: evidence"),
        (["[]"], "line 1"),
        ([json.dumps({**ROWS[0], "evidence": FUEL})], "claims that are not"),
        ([""], "claims that are not"),
    ],
)
def test_what_is_no_set_of_claims_is_refused(tmp_path: Path, lines: list[str], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_claims(write_lines(tmp_path / "set.jsonl", *lines))


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=2))
def test_auroc_is_the_chance_to_rank_a_pair_rightly(scored: list[tuple[bool, float]]) -> None:
    positive, scores = [p for p, _ in scored], [s for _, s in scored]
    pairs = [(a, b) for p, a in scored if p for q, b in scored if not q]
    if not pairs:
        return
    expected = sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
    assert auroc(positive, scores) == pytest.approx(expected)


def test_balanced_accuracy_weighs_both_kinds_alike() -> None:
    assert balanced_accuracy(
        [True, False, False, False], [True, True, True, False]
    ) == pytest.approx(2 / 3)

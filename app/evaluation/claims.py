"""Measures how well a verifier distinguishes supported claims from others, on claims labelled by people."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from pydantic import BaseModel, ValidationError, field_validator

from app.verification import Judgement, Verifier
from storage.domain import Value
from storage.errors import InvalidInput

_SUPPORTED = frozenset({"supported", "supports", "support", "entailment", "entailed", "true"})


class LabelledClaim(BaseModel):
    """A line of a set; other fields in it are ignored."""

    id: str = ""
    claim: str
    evidence: str
    """The sentences of the evidence, one per line."""
    label: str | float

    @field_validator("evidence", mode="before")
    @classmethod
    def _join_lines(cls, value: object) -> object:
        if isinstance(value, list):
            return "\n".join(map(str, cast("list[object]", value)))
        return value


class ClaimEvaluation(Value):
    """The results: `metrics` by name; `labels` counts the verdicts of the claims with each label."""

    metrics: dict[str, float]
    labels: dict[str, dict[str, int]]
    claims: int


def read_claims(path: Path) -> list[LabelledClaim]:
    """Read a set; raise `InvalidInput` with the wrong line, or if all or no claims are supported."""
    rows: list[LabelledClaim] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                rows.append(LabelledClaim.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                raise InvalidInput(f"{path}, line {number}: {place} {first['msg']}.") from error
    if len(set(_are_supported(rows))) < len({True, False}):
        raise InvalidInput(
            f"{path} must have claims that are labelled `supported` and claims that are not."
        )
    return rows


async def evaluate_claims(verifier: Verifier, rows: Sequence[LabelledClaim]) -> ClaimEvaluation:
    """Judge every claim by its evidence as one passage; an `unchecked` claim counts as score 0."""
    started = time.perf_counter()
    judgements = [await verifier.judge(row.claim, [row.evidence]) for row in rows]
    seconds = time.perf_counter() - started
    labels: dict[str, dict[str, int]] = {}
    for row, judgement in zip(rows, judgements, strict=True):
        counts = labels.setdefault(str(row.label), {})
        counts[judgement.verdict] = counts.get(judgement.verdict, 0) + 1
    metrics = _metrics(_are_supported(rows), judgements) | {
        "auroc_best_evidence": _best_evidence_auroc(rows, judgements),
        "milliseconds_per_claim": round(1_000 * seconds / len(rows), 3),
    }
    return ClaimEvaluation(metrics=metrics, labels=dict(sorted(labels.items())), claims=len(rows))


def auroc(positive: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the probability that a positive scores higher than a negative; ties count as half.

    This is the Mann-Whitney U statistic, divided by the number of pairs.
    """
    order = sorted(range(len(scores)), key=lambda i: scores[i])
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        for i in order[start:end]:
            ranks[i] = (start + 1 + end) / 2
        start = end
    count = sum(positive)
    above = sum(rank for rank, is_positive in zip(ranks, positive, strict=True) if is_positive)
    return (above - count * (count + 1) / 2) / (count * (len(positive) - count))


def balanced_accuracy(positive: Sequence[bool], predicted: Sequence[bool]) -> float:
    """Return the balanced accuracy: the mean of the shares of correct positives and correct negatives."""
    hits = sum(p and t for p, t in zip(positive, predicted, strict=True)) / (sum(positive) or 1)
    rest = len(positive) - sum(positive)
    refused = sum(not p and not t for p, t in zip(positive, predicted, strict=True)) / (rest or 1)
    return (hits + refused) / 2


def _metrics(positive: Sequence[bool], judgements: Sequence[Judgement]) -> dict[str, float]:
    predicted = [judgement.verdict == "supported" for judgement in judgements]
    right = sum(p and t for p, t in zip(positive, predicted, strict=True))
    return {
        "auroc": round(auroc(positive, [judgement.score or 0.0 for judgement in judgements]), 4),
        "balanced_accuracy": round(balanced_accuracy(positive, predicted), 4),
        "precision": round(right / (sum(predicted) or 1), 4),
        "recall": round(right / (sum(positive) or 1), 4),
    }


def _best_evidence_auroc(rows: Sequence[LabelledClaim], judgements: Sequence[Judgement]) -> float:
    """Return the AUROC if a claim with several pieces of evidence gets the score of the best one."""
    best: dict[tuple[str, str], float] = {}
    truth: dict[tuple[str, str], bool] = {}
    for row, supported, judgement in zip(rows, _are_supported(rows), judgements, strict=True):
        key = (row.claim, str(row.label))
        best[key] = max(best.get(key, 0.0), judgement.score or 0.0)
        truth[key] = supported
    return round(auroc(list(truth.values()), list(best.values())), 4)


def _are_supported(rows: Sequence[LabelledClaim]) -> list[bool]:
    """Return whether each claim is supported: by the label's name; of numeric labels, only the highest is."""
    marks = [row.label for row in rows if not isinstance(row.label, str)]
    return [
        row.label.strip().lower() in _SUPPORTED
        if isinstance(row.label, str)
        else row.label == max(marks)
        for row in rows
    ]

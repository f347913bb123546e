"""Whether the words a claim rests on say it: the seam, and what stands behind it."""

from collections.abc import Sequence
from typing import Protocol

from storage.domain import Value, Verdict


class Judgement(Value):
    """A verdict and how sure it is that the claim is supported, in [0, 1]."""

    verdict: Verdict
    score: float | None
    """None with `unchecked`: the judge gave no verdict."""


class Verifier(Protocol):
    """Judges claims by the texts they cite and by nothing else."""

    async def judge(self, claim: str, evidence: Sequence[str], language: str = "en") -> Judgement:
        """`evidence` are whole passages, best first; raises `IbidError` when it cannot judge."""
        ...

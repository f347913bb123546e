"""Verification of claims against the texts that they cite: the interface and its implementations."""

from collections.abc import Sequence
from typing import Protocol

from storage.domain import Value, Verdict


class Judgement(Value):
    """A verdict, and how certain it is that the claim is supported, in [0, 1]."""

    verdict: Verdict
    score: float | None
    """None if the verdict is `unchecked`."""


class Verifier(Protocol):
    """A judge of claims that uses only the texts they cite."""

    async def judge(self, claim: str, evidence: Sequence[str], language: str = "en") -> Judgement:
        """Judge a claim by `evidence`: whole passages, best first; raise `IbidError` if that fails."""
        ...

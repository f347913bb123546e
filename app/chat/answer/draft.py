"""Send an answer to the reader: word by word as it comes, or claim by claim after each is verified."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from app.chat.answer.citations import CitedText
from app.chat.events import Cited, Token
from app.verification.checker import Checker, is_withheld
from storage.domain import Claim, Passage


class Draft:
    """An answer in progress, from the model's words to the events that the reader receives."""

    def __init__(
        self,
        passages: Sequence[Passage],
        language: str,
        checker: Checker | None = None,
        *,
        strict: bool = False,
    ) -> None:
        self._passages = passages
        self._language = language
        self._checker = checker
        self._strict = strict
        self.text = CitedText(passages, language)
        """The text that the reader has received."""
        self._withheld: list[Claim] = []

    def events(self, deltas: AsyncIterator[str]) -> AsyncGenerator[Token | Cited]:
        """Yield the events for the reader: immediately, or in strict mode after each claim is verified."""
        return self._stream_verified(deltas) if self._strict else self._stream_immediately(deltas)

    async def _stream_immediately(
        self, deltas: AsyncIterator[str]
    ) -> AsyncGenerator[Token | Cited]:
        """Yield every word as soon as it arrives."""
        async for delta in deltas:
            for event in self.text.write(delta):
                yield event
        for event in self.text.close():
            yield event

    async def _stream_verified(self, deltas: AsyncIterator[str]) -> AsyncGenerator[Token | Cited]:
        """Yield each verified claim once the next one has begun, so that all its markers are known.

        Claims without support are withheld.
        """
        model_text = CitedText(self._passages, self._language)
        done = 0
        async for delta in deltas:
            _ = [*model_text.write(delta)]
            for claim, (start, end) in list(
                zip(model_text.claims(), model_text.claim_parts(), strict=True)
            )[:-1]:
                if end > done:
                    for event in await self._verify_and_emit(
                        model_text, claim, (max(start, done), end)
                    ):
                        yield event
                    done = end
        _ = [*model_text.close()]
        for claim, (start, end) in zip(model_text.claims(), model_text.claim_parts(), strict=True):
            if end > done:
                for event in await self._verify_and_emit(
                    model_text, claim, (max(start, done), end)
                ):
                    yield event
        for event in self.text.close():
            yield event

    async def claims(self) -> tuple[Claim, ...]:
        """Return the claims, with verdicts if there is a checker; withheld claims have no text."""
        claims = self.text.claims()
        if self._checker is not None:
            claims = [await self._check_claim(claim, self._checker) for claim in claims]
        return tuple(sorted((*claims, *self._withheld), key=lambda claim: (claim.start, claim.end)))

    async def _check_claim(self, claim: Claim, checker: Checker) -> Claim:
        """Verify one claim, then yield to the event loop, as the check takes a millisecond or more."""
        checked = await checker.check(claim)
        await asyncio.sleep(0)
        return checked

    async def _verify_and_emit(
        self, model_text: CitedText, claim: Claim, part: tuple[int, int]
    ) -> list[Token | Cited]:
        assert self._checker is not None
        checked = await self._checker.check(claim)
        if is_withheld(checked):
            at = len(self.text.text)
            gap = {"text": "", "start": at, "end": at, "citations": (), "flags": ("withheld",)}
            self._withheld.append(checked.model_copy(update=gap))
            return [*self.text.end_paragraph()] if model_text.ends_block(part) else []
        return [*self.text.append(model_text.pieces(part))]

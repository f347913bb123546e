"""An answer in the making: said as it comes, or claim by claim once each has its verdict."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from app.chat.answer.citations import CitedText
from app.chat.events import Cited, Token
from app.verification.checker import Checker, withheld
from storage.domain import Claim, Passage


class Draft:
    """The model's words on their way to the reader."""

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
        """What the reader got."""
        self._withheld: list[Claim] = []

    def events(self, deltas: AsyncIterator[str]) -> AsyncGenerator[Token | Cited]:
        """What the reader gets, when."""
        return self._strictly(deltas) if self._strict else self._freely(deltas)

    async def _freely(self, deltas: AsyncIterator[str]) -> AsyncGenerator[Token | Cited]:
        """Every word at once."""
        async for delta in deltas:
            for event in self.text.write(delta):
                yield event
        for event in self.text.close():
            yield event

    async def _strictly(self, deltas: AsyncIterator[str]) -> AsyncGenerator[Token | Cited]:
        """A claim when the next one has begun, so that its markers are all there; or never."""
        heard = CitedText(self._passages, self._language)
        done = 0
        async for delta in deltas:
            _ = [*heard.write(delta)]
            for claim, (start, end) in list(zip(heard.claims(), heard.parts(), strict=True))[:-1]:
                if end > done:
                    for event in await self._weighed(heard, claim, (max(start, done), end)):
                        yield event
                    done = end
        _ = [*heard.close()]
        for claim, (start, end) in zip(heard.claims(), heard.parts(), strict=True):
            if end > done:
                for event in await self._weighed(heard, claim, (max(start, done), end)):
                    yield event
        for event in self.text.close():
            yield event

    async def claims(self) -> tuple[Claim, ...]:
        """What was said, with verdicts if claims are checked at all, and gaps where it was not."""
        claims = self.text.claims()
        if self._checker is not None:
            claims = [await self._checked(claim, self._checker) for claim in claims]
        return tuple(sorted((*claims, *self._withheld), key=lambda claim: (claim.start, claim.end)))

    async def _checked(self, claim: Claim, checker: Checker) -> Claim:
        """A millisecond or more of work, after which others of the loop have their turn."""
        checked = await checker.check(claim)
        await asyncio.sleep(0)
        return checked

    async def _weighed(
        self, heard: CitedText, claim: Claim, part: tuple[int, int]
    ) -> list[Token | Cited]:
        assert self._checker is not None
        checked = await self._checker.check(claim)
        if withheld(checked):
            at = len(self.text.text)
            gap = {"text": "", "start": at, "end": at, "citations": (), "flags": ("withheld",)}
            self._withheld.append(checked.model_copy(update=gap))
            return [*self.text.break_line()] if heard.breaks(part) else []
        return [*self.text.take(heard.pieces(part))]

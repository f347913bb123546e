"""Question in, events out: condense, retrieve, generate, cite, verify. The history is an argument."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM

from app.chat.checking import Checker, Verify
from app.chat.condense import condense, keywords
from app.chat.draft import Draft
from app.chat.events import ChatEvent, Completed, Restarted, Retrieved, Token
from app.chat.listening import Listening
from app.chat.relevance import Relevance
from app.chat.verification import Verifier
from app.llms import prompts
from app.llms.spoken import Spoken
from app.notes import NOT_PEER_REVIEWED
from app.search import Scope, Search, is_peer_reviewed
from storage.domain import Abstention, Answer, Claim, NearestSection, Passage, Reason

PASSAGES = 8
"""How many a model sees, and an answer may cite."""
_NEAREST = 3
_MARKUP = re.compile(r"[\\`*<\[\]]")
"""What would make a heading something else than a link's words: a footnote's marker, for one."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question in its conversation: all that is needed to answer it."""

    question: str
    scope: Scope
    history: Sequence[ChatMessage] = ()
    conversation_id: UUID = field(default_factory=uuid4)
    message_id: UUID = field(default_factory=uuid4)
    verify: Verify | None = None
    """None for the engine's own setting."""


class Engine:
    """Answers turns with one model, from what one search finds."""

    def __init__(
        self,
        search: Search,
        llm: LLM,
        verifier: Verifier | None = None,
        verify: Verify = "mark",
        relevance: Relevance | None = None,
    ) -> None:
        """Without a verifier all claims stay unchecked."""
        self.search = search
        self._llm = llm
        self._verifier = verifier
        self._verify: Verify = verify
        self._relevance = relevance or Relevance()

    @property
    def model(self) -> str:
        """The one that is asked first."""
        return self._llm.metadata.model_name

    async def stream(self, turn: Turn) -> AsyncGenerator[ChatEvent]:
        """`Retrieved`, then `Token` and `Cited`, at last `Completed`; raises `IbidError`.

        A model that breaks off is followed by `Restarted` and the next one's words. A question that
        the corpus does not speak to is declined without calling the model.
        """
        query = condense(turn.question, turn.history)
        weighted = keywords(turn.question, turn.history)
        passages, skipped = await self.search.ranked(turn.scope, query, PASSAGES, weighted)
        release = await self.search.release()
        language = min(turn.scope.languages)
        if reason := self._relevance.declines(
            query, passages, language, foreign=await self.search.is_foreign()
        ):
            declined = _declined(turn, reason, passages, release)
            yield Retrieved(passages=())
            yield Token(text=declined.text)
            yield Completed(answer=declined)
            return
        yield Retrieved(passages=tuple(passages))
        draft = self._draft(turn, passages, language)
        async with aclosing(self._generate(turn, query, passages)) as responses:
            heard = Listening(responses, self.model)
            while True:
                async with aclosing(heard.words()) as words, aclosing(draft.events(words)) as said:
                    async for event in said:
                        yield event
                if heard.is_over:
                    break
                yield Restarted(attempt=heard.spoken.attempts[-1])
                draft = self._draft(turn, passages, language)
        failed = (*([skipped] if skipped else []), *heard.spoken.attempts)
        spoken = heard.spoken.model_copy(update={"attempts": failed})
        claims = await draft.claims()
        if turn.scope.peer_review:
            claims = tuple(_reviewed(claim) for claim in claims)
        answer = _answered(turn, draft, claims, spoken, release)
        if not answer.citations:
            answer = _unsupported(answer, passages)
            if not draft.text.text:
                yield Token(text=answer.text)
        yield Completed(answer=answer)

    def _draft(self, turn: Turn, passages: Sequence[Passage], language: str) -> Draft:
        verify = turn.verify or self._verify
        if self._verifier is None or verify == "off":
            return Draft(passages, language)
        checker = Checker(self._verifier, passages, language)
        return Draft(passages, language, checker, strict=verify == "strict")

    async def _generate(
        self, turn: Turn, query: str, passages: Sequence[Passage]
    ) -> AsyncGenerator[ChatResponse]:
        context = query if query != turn.question else ""
        prompt = prompts.messages(turn.question, passages, turn.history, context)
        async with aclosing(await self._llm.astream_chat(prompt)) as responses:
            async for response in responses:
                yield response


def _reviewed(claim: Claim) -> Claim:
    """Flagged when it rests on nothing that is known to be peer-reviewed."""
    if not claim.citations or any(is_peer_reviewed(c.metadata) for c in claim.citations):
        return claim
    return claim.model_copy(update={"flags": (*claim.flags, NOT_PEER_REVIEWED)})


def _answered(
    turn: Turn, draft: Draft, claims: tuple[Claim, ...], spoken: Spoken, release: str | None
) -> Answer:
    return Answer(
        id=turn.message_id,
        conversation_id=turn.conversation_id,
        message_id=turn.message_id,
        status="answered",
        finish=spoken.finish,
        text=draft.text.text,
        claims=claims,
        sources=draft.text.sources(),
        model=spoken.model,
        generation=spoken.generation,
        attempts=spoken.attempts,
        usage=spoken.usage,
        release=release,
    )


def _declined(
    turn: Turn, reason: Reason, passages: Sequence[Passage], release: str | None
) -> Answer:
    nearest = _nearest(passages)
    return Answer(
        id=turn.message_id,
        conversation_id=turn.conversation_id,
        message_id=turn.message_id,
        status="abstained",
        text=_pointing("The documentation does not speak to this question.", nearest),
        abstention=Abstention(reason=reason, nearest=nearest),
        release=release,
    )


def _unsupported(answer: Answer, passages: Sequence[Passage]) -> Answer:
    """An answer without a single footnote declines, whatever it says."""
    nearest = _nearest(passages)
    text = answer.text or _pointing(
        "The documentation does not support an answer to this question.", nearest
    )
    abstention = Abstention(reason="not_supported", nearest=nearest)
    return answer.model_copy(update={"status": "abstained", "text": text, "abstention": abstention})


def _nearest(passages: Sequence[Passage]) -> tuple[NearestSection, ...]:
    sections: dict[tuple[UUID, tuple[str, ...]], NearestSection] = {}
    for passage in passages:
        near = NearestSection(
            source_id=passage.source_id,
            passage_id=passage.id,
            title=passage.title,
            section=passage.section,
            url=passage.url,
        )
        sections.setdefault((passage.source_id, passage.section), near)
    return tuple(sections.values())[:_NEAREST]


def _pointing(sentence: str, nearest: Sequence[NearestSection]) -> str:
    lines = [sentence]
    if nearest:
        lines.append("The nearest sections are:\n")
        lines += [f"- [{_words(' › '.join(near.section))}]({near.url})" for near in nearest]
    return "\n".join(lines)


def _words(heading: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", heading)

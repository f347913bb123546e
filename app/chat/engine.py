"""Question in, events out: condense, retrieve, generate, cite. The history is an argument."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM

from app.chat.citations import CitedText
from app.chat.condense import condense
from app.chat.events import ChatEvent, Completed, Restarted, Retrieved, Token
from app.chat.relevance import speaks_to
from app.llms import prompts
from app.llms.spoken import Spoken
from app.search import Scope, Search
from storage.domain import Abstention, Answer, NearestSection, Passage

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


class Engine:
    """Answers turns with one model, from what one search finds."""

    def __init__(self, search: Search, llm: LLM) -> None:
        self.search = search
        self._llm = llm

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
        passages, skipped = await self.search.ranked(turn.scope, query, PASSAGES)
        release = await self.search.release()
        language = min(turn.scope.languages)
        if not speaks_to(query, passages, language):
            declined = _declined(turn, passages, release)
            yield Retrieved(passages=())
            yield Token(text=declined.text)
            yield Completed(answer=declined)
            return
        yield Retrieved(passages=tuple(passages))
        text, spoken = CitedText(passages, language), Spoken(model=self.model)
        async with aclosing(self._generate(turn, query, passages)) as responses:
            async for response in responses:
                if isinstance(response.raw, Spoken):
                    spoken = response.raw
                if spoken.restarted and response.raw is spoken:
                    text = CitedText(passages, language)
                    yield Restarted(attempt=spoken.attempts[-1])
                for event in text.write(response.delta or ""):
                    yield event
        for event in text.close():
            yield event
        failed = (*([skipped] if skipped else []), *spoken.attempts)
        spoken = spoken.model_copy(update={"attempts": failed})
        yield Completed(answer=_answered(turn, text, spoken, release))

    async def _generate(
        self, turn: Turn, query: str, passages: Sequence[Passage]
    ) -> AsyncGenerator[ChatResponse]:
        context = query if query != turn.question else ""
        prompt = prompts.messages(turn.question, passages, turn.history, context)
        async with aclosing(await self._llm.astream_chat(prompt)) as responses:
            async for response in responses:
                yield response


def _answered(turn: Turn, text: CitedText, spoken: Spoken, release: str | None) -> Answer:
    return Answer(
        id=turn.message_id,
        conversation_id=turn.conversation_id,
        message_id=turn.message_id,
        status="answered",
        finish=spoken.finish,
        text=text.text,
        claims=text.claims(),
        sources=text.sources(),
        model=spoken.model,
        generation=spoken.generation,
        attempts=spoken.attempts,
        usage=spoken.usage,
        release=release,
    )


def _declined(turn: Turn, passages: Sequence[Passage], release: str | None) -> Answer:
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
    nearest = tuple(sections.values())[:_NEAREST]
    lines = ["The documentation does not speak to this question."]
    if nearest:
        lines.append("The nearest sections are:\n")
        lines += [f"- [{_words(' › '.join(near.section))}]({near.url})" for near in nearest]
    return Answer(
        id=turn.message_id,
        conversation_id=turn.conversation_id,
        message_id=turn.message_id,
        status="abstained",
        text="\n".join(lines),
        abstention=Abstention(reason="nothing_relevant", nearest=nearest),
        release=release,
    )


def _words(heading: str) -> str:
    return _MARKUP.sub(r"\\\g<0>", heading)

"""Answer one question as a stream of events: condense, retrieve, generate, cite, verify.

The engine has no conversation state: the caller passes the history.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms import LLM

from app.chat.answer.draft import Draft
from app.chat.answer.stream import ModelStream
from app.chat.condensing.heuristic import condense, keywords
from app.chat.condensing.llm import Rewriter
from app.chat.events import ChatEvent, Completed, Condensed, Condensing, Restarted, Retrieved, Token
from app.flag_notes import NOT_PEER_REVIEWED
from app.llms import prompts
from app.llms.response import ResponseMetadata
from app.retrieval.relevance import Relevance
from app.retrieval.request import SearchRequest
from app.retrieval.search import PASSAGES_PER_ANSWER, Scope, Search, is_peer_reviewed
from app.text.markdown import markdown_link
from app.text.visible import to_one_line
from app.verification import Verifier
from app.verification.checker import Checker, Verify
from storage.domain import (
    Abstention,
    AbstentionReason,
    Answer,
    Attempt,
    Calibration,
    Claim,
    NearestSection,
    Passage,
    Rewriting,
)

_MAX_NEAREST_SECTIONS = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """One question with everything that is needed to answer it."""

    question: str
    scope: Scope
    history: Sequence[ChatMessage] = ()
    conversation_id: UUID = field(default_factory=uuid4)
    message_id: UUID = field(default_factory=uuid4)
    verify: Verify | None = None
    """How claims are verified; None means the engine's setting."""


@dataclass(frozen=True, slots=True)
class _SearchResult:
    """The query of a turn, the passages it found, and the models that were used for both."""

    query: str
    passages: Sequence[Passage]
    release: str | None
    rewriting: Rewriting | None
    attempts: tuple[Attempt, ...]


class TurnEngine:
    """An engine that answers turns with one model, from the passages that a search finds."""

    def __init__(
        self,
        search: Search,
        llm: LLM,
        verifier: Verifier | None = None,
        verify: Verify = "mark",
        relevance: Relevance | None = None,
        rewriter: Rewriter | None = None,
    ) -> None:
        """Create an engine.

        Without a verifier all claims stay unchecked. Without a rewriter, earlier questions are appended
        to the query as they are.
        """
        self.search = search
        self._llm = llm
        self._verifier = verifier
        self._verify: Verify = verify
        self._relevance = relevance or Relevance()
        self._rewriter = rewriter

    @property
    def model(self) -> str:
        """The name of the model that is tried first."""
        return self._llm.metadata.model_name

    async def stream(self, turn: Turn) -> AsyncGenerator[ChatEvent]:
        """Yield the events of `app.chat.events`, in their order; raise `IbidError` on failure.

        When a model fails in mid-answer, `Restarted` and the words of the next model follow. A question
        that the corpus does not cover is declined without calling the model.
        """
        condensed = Condensed(query=condense(turn.question, turn.history))
        if self._rewriter is not None and self._rewriter.should_rewrite(
            turn.question, turn.history
        ):
            yield Condensing(model=self._rewriter.model)
            condensed = await self._rewriter.condense(turn.question, turn.history)
            yield condensed
        found = await self._search_passages(turn, condensed)
        passages, language = found.passages, min(turn.scope.languages)
        foreign, calibration = (
            await self.search.uses_foreign_embedding(),
            _calibration(turn.scope, found),
        )
        if reason := self._relevance.decline_reason(
            found.query, passages, language, calibration, is_foreign=foreign
        ):
            declined = _build_abstention(turn, reason, found)
            yield Retrieved(passages=())
            yield Token(text=declined.text)
            yield Completed(answer=declined)
            return
        yield Retrieved(passages=tuple(passages))
        draft = self._draft(turn, passages, language)
        async with aclosing(self._generate(turn, found, language)) as responses:
            model_stream = ModelStream(responses, self.model)
            while True:
                async with (
                    aclosing(model_stream.words()) as words,
                    aclosing(draft.events(words)) as said,
                ):
                    async for event in said:
                        yield event
                if model_stream.is_complete:
                    break
                yield Restarted(attempt=model_stream.metadata.attempts[-1])
                draft = self._draft(turn, passages, language)
        claims = await draft.claims()
        if turn.scope.peer_review:
            claims = tuple(_flag_unreviewed(claim) for claim in claims)
        answer = _build_answer(turn, draft, claims, model_stream.metadata, found)
        if not answer.citations:
            answer = _abstain(answer, passages)
            if not draft.text.text:
                yield Token(text=answer.text)
        yield Completed(answer=answer)

    async def _search_passages(self, turn: Turn, condensed: Condensed) -> _SearchResult:
        """Search for the condensed question.

        A rewritten question is complete. For any other, keywords of earlier questions are added.
        """
        query = condensed.query
        weighted = None if condensed.rewriting else keywords(turn.question, turn.history)
        request = SearchRequest(query, limit=PASSAGES_PER_ANSWER, keywords=weighted)
        passages, skipped = await self.search.search_ranked(turn.scope, request)
        attempts = (*condensed.attempts, *([skipped] if skipped else []))
        return _SearchResult(
            query, passages, await self.search.serving_release(), condensed.rewriting, attempts
        )

    def _draft(self, turn: Turn, passages: Sequence[Passage], language: str) -> Draft:
        verify = turn.verify or self._verify
        if self._verifier is None or verify == "off":
            return Draft(passages, language)
        checker = Checker(self._verifier, passages, language)
        return Draft(passages, language, checker, strict=verify == "strict")

    async def _generate(
        self, turn: Turn, found: _SearchResult, language: str
    ) -> AsyncGenerator[ChatResponse]:
        context = found.query if found.query != turn.question else ""
        prompt = prompts.build_prompt(
            turn.question, found.passages, turn.history, context, language
        )
        async with aclosing(await self._llm.astream_chat(prompt)) as responses:
            async for response in responses:
                yield response


def _calibration(scope: Scope, found: _SearchResult) -> Calibration | None:
    """Return the calibration of the best passage's corpus in the release that was searched."""
    if not found.passages or found.release is None:
        return None
    return scope.calibrations.get((found.passages[0].corpus, found.release))


def _flag_unreviewed(claim: Claim) -> Claim:
    """Flag a claim with citations of which none is known to be peer-reviewed."""
    if not claim.citations or any(is_peer_reviewed(c.metadata) for c in claim.citations):
        return claim
    return claim.model_copy(update={"flags": (*claim.flags, NOT_PEER_REVIEWED)})


def _build_answer(
    turn: Turn,
    draft: Draft,
    claims: tuple[Claim, ...],
    metadata: ResponseMetadata,
    found: _SearchResult,
) -> Answer:
    return Answer(
        id=turn.message_id,
        conversation_id=turn.conversation_id,
        message_id=turn.message_id,
        status="answered",
        finish=metadata.finish,
        text=draft.text.text,
        claims=claims,
        sources=draft.text.sources(),
        model=metadata.model,
        generation=metadata.generation,
        attempts=(*found.attempts, *metadata.attempts),
        usage=metadata.usage,
        rewriting=found.rewriting,
        release=found.release,
    )


def _build_abstention(turn: Turn, reason: AbstentionReason, found: _SearchResult) -> Answer:
    nearest = _nearest_sections(found.passages)
    return Answer(
        id=turn.message_id,
        conversation_id=turn.conversation_id,
        message_id=turn.message_id,
        status="abstained",
        text=_list_sections("The documentation does not cover this question.", nearest),
        abstention=Abstention(reason=reason, nearest=nearest),
        attempts=found.attempts,
        rewriting=found.rewriting,
        release=found.release,
    )


def _abstain(answer: Answer, passages: Sequence[Passage]) -> Answer:
    """Turn an answer that has no footnotes into an abstention, whatever its text says."""
    nearest = _nearest_sections(passages)
    text = answer.text or _list_sections(
        "The documentation does not support an answer to this question.", nearest
    )
    abstention = Abstention(reason="not_supported", nearest=nearest)
    return answer.model_copy(update={"status": "abstained", "text": text, "abstention": abstention})


def _nearest_sections(passages: Sequence[Passage]) -> tuple[NearestSection, ...]:
    sections: dict[tuple[UUID, tuple[str, ...]], NearestSection] = {}
    for passage in passages:
        near = NearestSection(
            source_id=passage.source_id,
            passage_id=passage.id,
            title=to_one_line(passage.title),
            section=tuple(map(to_one_line, passage.section)),
            url=passage.url,
        )
        sections.setdefault((passage.source_id, passage.section), near)
    return tuple(sections.values())[:_MAX_NEAREST_SECTIONS]


def _list_sections(sentence: str, nearest: Sequence[NearestSection]) -> str:
    lines = [sentence]
    if nearest:
        lines.append("The closest sections are:\n")
        lines += [f"- {markdown_link(' › '.join(near.section), near.url)}" for near in nearest]
    return "\n".join(lines)

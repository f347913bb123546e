"""Rewrite a follow-up question with a language model; if the model fails, fall back to the heuristic."""

import asyncio
import re
from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms import LLM

from app.chat.condensing.heuristic import condense, depends_on_history, user_questions
from app.chat.events import Condensed
from app.llms import prompts
from app.llms.circuit_breaker import CircuitBreaker
from app.llms.response import ResponseMetadata, last_response
from storage.domain import Attempt, Rewriting
from storage.errors import ModelSilent, ModelUnavailable

TIMEOUT_SECONDS = 3.0
"""Timeout in seconds; short, because the search waits and the heuristic is nearly as good."""
_MAX_LENGTH = 400
"""Longest question and rewriting, in characters; a longer question has enough words of its own."""
_MOST_TOKENS = 256
_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MARKUP = re.compile(
    r"</|(?<!\w)<[a-z!][\w-]*|\]\(|://|```|\*\*|^(?:#{1,6}|[-*+>]) ", re.IGNORECASE
)


class Rewriter:
    """A rewriter that calls one model, without retries and with a short timeout.

    After repeated failures, a circuit breaker stops the calls for a while.
    """

    def __init__(self, llm: LLM, seconds: float = TIMEOUT_SECONDS) -> None:
        self._llm = llm
        self._seconds = seconds
        self._breaker = CircuitBreaker()

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._llm.metadata.model_name

    def should_rewrite(self, question: str, history: Sequence[ChatMessage]) -> bool:
        """Return whether the model should rewrite this question: it is a follow-up, and calls are allowed."""
        is_needed = (
            len(question) <= _MAX_LENGTH
            and depends_on_history(question)
            and bool(user_questions(history))
        )
        return is_needed and self._breaker.allows_attempt()

    async def condense(self, question: str, history: Sequence[ChatMessage]) -> Condensed:
        """Return the complete question; on failure, the heuristic's result with the failed attempt."""
        try:
            return await self._rewrite(question, history)
        except ModelUnavailable as error:
            failed = Attempt(model=error.model or self.model, error=str(error), cost=error.cost)
            return Condensed(query=condense(question, history), attempts=(failed,))

    async def _rewrite(self, question: str, history: Sequence[ChatMessage]) -> Condensed:
        with self._breaker.attempt():
            text, metadata = await self._ask(prompts.build_rewriting_prompt(question, history))
            query = text.strip().strip('"“”')
            user_text = "\n".join((question, *user_questions(history)))
            if metadata.finish == "length" or not _is_query(query, user_text):
                cost = metadata.usage.cost
                raise ModelUnavailable("it returned no question", model=metadata.model, cost=cost)
        return Condensed(
            query=query, rewriting=Rewriting(model=metadata.model, usage=metadata.usage)
        )

    async def _ask(self, prompt: Sequence[ChatMessage]) -> tuple[str, ResponseMetadata]:
        try:
            async with asyncio.timeout(self._seconds):
                responses = await self._llm.astream_chat(prompt, max_tokens=_MOST_TOKENS)
                last = await last_response(responses)
        except TimeoutError as error:
            raise ModelSilent("it took too long", model=self.model, cost=None) from error
        metadata = (
            last.raw
            if isinstance(last.raw, ResponseMetadata)
            else ResponseMetadata(model=self.model)
        )
        return last.message.content or "", metadata


def _is_query(text: str, user_text: str) -> bool:
    """Return whether the text is a one-line query without markup that the user's own words do not have."""
    if not text or len(text) > _MAX_LENGTH or _BREAK.search(text):
        return False
    return all(mark in user_text for mark in _MARKUP.findall(text))

"""A model that needs no key, server or download: it answers with quoted and cited sentences."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM, callbacks

from app.llms.extractive_model.candidates import Quote
from app.llms.extractive_model.question import AnalyzedQuestion
from app.llms.extractive_model.scoring import Candidate, ranked_candidates
from app.llms.prompts import PromptPassage, QuestionMessage
from app.llms.response import build_response

_Method = TypeVar("_Method", bound=Callable[..., Any])

NO_QUOTE_FOUND = "There is no passage that an answer could be quoted from."

_FEW_WORDS, _ENOUGH_WORDS, _MOST_WORDS = 60, 100, 120
_MOST_QUOTES = 6

_ADJACENT = 0.7
"""The nearness of two adjacent sentences; a candidate without a word of the question needs it."""
_SUITABLE_FORM = 0.25
"""If the first quote suits the question this well, the answer begins with it and continues after it."""
_DELTA = re.compile(r"(?:\s*\S+){1,3}")
"""A few words, which are streamed together."""
_SENTENCE = re.compile(r".*[.!?]\)?” \[\d+\]")
"""A quoted sentence with its marker; only after one can another quote follow in the same paragraph."""


def _with_callbacks(method: _Method) -> _Method:
    """Report the calls of a method to LlamaIndex's callbacks; their decorator has no type hints."""
    return cast("Any", callbacks).llm_chat_callback()(method)


class ExtractiveLLM(CustomLLM):
    """An LLM that selects sentences of the passages in its prompt and adds no words of its own.

    It reads the question and the passages from the data of a `QuestionMessage`, not from a text. To any
    other prompt it answers that there are no passages.
    """

    embedding: BaseEmbedding | None = None
    """Finds sentences with the same meaning in other words; should be local, as it embeds many candidates."""

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex has for this class."""
        return "ExtractiveLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The metadata; the context window is so large that no prompt exceeds it."""
        return LLMMetadata(model_name="extractive", context_window=10_000_000, is_chat_model=True)

    @_with_callbacks
    def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
        """Return the whole answer, in a few milliseconds."""
        answer = self._answer(messages)
        return build_response(answer, answer)

    @_with_callbacks
    def stream_chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponseGen:
        """Yield the same text, a few words at a time."""

        def responses() -> ChatResponseGen:
            text = ""
            for words in _DELTA.findall(self._answer(messages)):
                text += words
                yield build_response(text, words)

        return responses()

    def complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponse:  # noqa: ARG002
        """Answer that there are no passages: a prompt of text has none."""
        return CompletionResponse(text=NO_QUOTE_FOUND)

    def stream_complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponseGen:
        """Yield the answer of `complete`."""
        yield self.complete(prompt)

    def _answer(self, messages: Sequence[ChatMessage]) -> str:
        last = messages[-1] if messages else None
        if not isinstance(last, QuestionMessage):
            return NO_QUOTE_FOUND
        question = AnalyzedQuestion(last.question, last.context, last.language)
        ranked = ranked_candidates(question, last.passages, self.embedding)
        if not any(question.could_answer(candidate.prose) for candidate in ranked):
            return NO_QUOTE_FOUND
        return _write_answer(_choose_quotes(question, ranked)) or NO_QUOTE_FOUND


def _choose_quotes(question: AnalyzedQuestion, ranked: Sequence[Candidate]) -> list[Quote]:
    """Choose the quotes of one answer, in reading order; adjacent quotes are merged."""
    pool = [candidate for candidate in ranked if candidate.words <= _MOST_WORDS] or ranked[:1]
    first = next((candidate for candidate in pool if candidate.is_on_subject), None)
    if first is None:
        return []
    # If a command was asked for, steps that come before it in the text may be needed, too.
    if first.form >= _SUITABLE_FORM and not question.wants_code:
        pool = [candidate for candidate in pool if candidate.position >= first.position]
    chosen = _Selection((first,))
    while len(chosen.candidates) < _MOST_QUOTES:
        pool = [candidate for candidate in pool if not _repeats(candidate, chosen.candidates[-1])]
        if (best := chosen.next_of(pool)) is None:
            break
        chosen = _Selection((*chosen.candidates, best))
    ordered = sorted(chosen.candidates, key=lambda candidate: candidate.position)
    return _merge_adjacent([candidate.quote for candidate in ordered])


def _merge_adjacent(ordered: Sequence[Quote]) -> list[Quote]:
    """Merge quotes that have nothing but spaces between them."""
    merged: list[Quote] = []
    for quote in ordered:
        gap = merged[-1].text_until(quote) if merged else None
        if gap is not None and not gap.strip(" "):
            merged[-1] = replace(merged[-1], end=quote.end)
        else:
            merged.append(quote)
    return merged


class _Selection:
    """The candidates that were chosen so far."""

    def __init__(self, candidates: tuple[Candidate, ...]) -> None:
        self.candidates = candidates
        self._words = sum(c.words for c in candidates)
        self._terms = frozenset[int]().union(*(c.new_terms for c in candidates))
        self._compared = frozenset[int]().union(*(c.compared for c in candidates))
        first = candidates[0]
        form = max(0.0, first.form - _SUITABLE_FORM)
        # A suitable form must not raise the bar for the others.
        self._bar = first.score - form * first.weight

    def next_of(self, pool: Sequence[Candidate]) -> Candidate | None:
        """Return the candidate that adds most; None if it adds too little or the answer is long enough."""
        if self._words >= _ENOUGH_WORDS:
            return None
        best, most = None, 0.75 if self._words < _FEW_WORDS else 0.95
        for candidate in pool:
            if self._words + candidate.words > _MOST_WORDS:
                continue
            gain = self._gain(candidate)
            if gain > most:
                best, most = candidate, gain
        return best

    def _gain(self, candidate: Candidate) -> float:
        """Return how much a candidate adds; 0 if it has nothing to do with the question or these."""
        nearness = max(_nearness(candidate.quote, c.quote) for c in self.candidates)
        if not candidate.shares_terms and nearness < _ADJACENT:
            return 0.0
        new = len(candidate.new_terms - self._terms) / (len(candidate.new_terms) or 1)
        gain = candidate.score / self._bar * (0.65 + 0.35 * new)
        gain += nearness * candidate.quality
        return gain + (0.5 if self._compared and candidate.compared - self._compared else 0.0)


def _repeats(one: Candidate, other: Candidate) -> bool:
    a, b = one.quote, other.quote
    if a.passage is b.passage and a.text_until(b) is None and b.text_until(a) is None:
        return True
    return len(one.new_terms & other.new_terms) >= 0.6 * min(
        len(one.new_terms), len(other.new_terms)
    )


def _nearness(a: Quote, b: Quote) -> float:
    """Return how well two quotes read together: best if adjacent, 0 if from different passages."""
    if a.passage is not b.passage:
        return 0.0
    between = a.text_until(b) if a.start < b.start else b.text_until(a)
    return _ADJACENT if between is not None and not between.strip() and a.topic == b.topic else 0.55


def _write_answer(chosen: Sequence[Quote]) -> str:
    """Write the answer: one paragraph for the sentences of a passage, and one for each list or code block."""
    paragraphs: list[str] = []
    running: PromptPassage | None = None
    for quote in chosen:
        for part in quote.as_markdown():
            if running is quote.passage and "\n" not in part and part[1].isupper():
                paragraphs[-1] += f" {part}"
            else:
                paragraphs.append(part)
            running = quote.passage if _SENTENCE.fullmatch(part) else None
    return "\n\n".join(paragraphs)

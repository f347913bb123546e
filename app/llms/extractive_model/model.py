"""A model that needs no key, server or download: it answers with quoted and cited sentences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import log
from operator import mul
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_chat_callback  # pyright: ignore[reportUnknownVariableType]

from app.llms.extractive_model.candidates import Quote, quotes, words_in
from app.llms.extractive_model.question import AnalyzedQuestion
from app.llms.prompts import PromptPassage, QuestionMessage
from app.llms.response import response

NOTHING = "There is no passage that an answer could be quoted from."

_FEW_WORDS, _ENOUGH_WORDS, _MOST_WORDS = 60, 100, 120
_MOST_QUOTES = 6
_MOST_EMBEDDED = 40
"""The most candidates whose embeddings are compared with the question's: this takes most of the time."""

_BESIDE = 0.7
"""The nearness of two adjacent sentences; a candidate without a word of the question needs it."""
_TELLING = 0.25
"""If the first quote suits the question this well, the answer begins there and goes on after it."""
_DELTA = re.compile(r"(?:\s*\S+){1,3}")
"""A few words, which are streamed together."""
_SENTENCE = re.compile(r".*[.!?]\)?” \[\d+\]")
"""A quoted sentence with its marker; only after one can another quote follow in the same paragraph."""


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

    @llm_chat_callback()  # pyright: ignore[reportUntypedFunctionDecorator]
    def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
        """Return the whole answer, in a few milliseconds."""
        answer = self._answer(messages)
        return response(answer, answer)

    @llm_chat_callback()  # pyright: ignore[reportUntypedFunctionDecorator]
    def stream_chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponseGen:
        """Yield the same text, a few words at a time."""

        def responses() -> ChatResponseGen:
            text = ""
            for words in _DELTA.findall(self._answer(messages)):
                text += words
                yield response(text, words)

        return responses()

    def complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponse:  # noqa: ARG002
        """Answer that there are no passages: a prompt of text has none."""
        return CompletionResponse(text=NOTHING)

    def stream_complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponseGen:
        """Yield the answer of `complete`."""
        yield self.complete(prompt)

    def _answer(self, messages: Sequence[ChatMessage]) -> str:
        last = messages[-1] if messages else None
        if not isinstance(last, QuestionMessage):
            return NOTHING
        question = AnalyzedQuestion(last.question, last.context, last.language)
        ranked = _ranked(question, last.passages, self.embedding)
        if not any(question.could_answer(candidate.prose) for candidate in ranked):
            return NOTHING
        return _written(_chosen(question, ranked)) or NOTHING


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    prose: str
    news: frozenset[int]
    """The quote's terms that the question does not have."""
    shares: bool
    """Whether the quote has a term of the question, or no passage has any."""
    bears: bool
    """Whether the quote or its headings have a term of the question; otherwise it is about something else."""
    sides: frozenset[int]
    """The indexes of the compared things that the quote names."""
    words: int
    suits: float
    standing: float
    """The quote's `standing`, reduced if it holds code that was not asked for."""
    relevance: float
    weight: float

    @property
    def score(self) -> float:
        return self.relevance * self.weight

    @property
    def place(self) -> tuple[int, int]:
        return self.quote.passage.n, self.quote.start


def _ranked(
    question: AnalyzedQuestion, passages: Sequence[PromptPassage], embedding: BaseEmbedding | None
) -> list[_Candidate]:
    """Return the candidates for quoting, best first."""
    ranked = sorted(_candidates(question, passages), key=lambda c: -c.score)[:_MOST_EMBEDDED]
    if embedding is not None and ranked:
        asked = embedding.get_query_embedding(question.text)
        said = embedding.get_text_embedding_batch([c.prose for c in ranked])
        ranked = [
            replace(c, relevance=c.relevance + 0.5 * max(0.0, sum(map(mul, asked, vector))))
            for c, vector in zip(ranked, said, strict=True)
        ]
    return sorted(ranked, key=lambda c: -c.score)


def _candidates(
    question: AnalyzedQuestion, passages: Sequence[PromptPassage]
) -> Iterator[_Candidate]:
    """Yield the scored quotes of all passages.

    The factors were tuned on real questions to an encyclopedia, handbooks and a textbook.
    """
    found = [quote for passage in passages for quote in quotes(passage)]
    prose = [" ".join(text for kind, text in quote.parts() if kind != "code") for quote in found]
    code = [" ".join(text for kind, text in quote.parts() if kind == "code") for quote in found]
    said = [
        question.terms_of(f"{text} {snippet}" if question.wants_code else text)
        for text, snippet in zip(prose, code, strict=True)
    ]
    around = {p: question.terms_of(f"{p.title}\n{p.section}\n{p.text}") for p in passages}
    known = question.terms.intersection(frozenset[int]().union(*around.values()))
    telling = {t: log(1 + len(found) / (sum(t in stems for stems in said) + 0.5)) for t in known}

    def share(stems: frozenset[int], of: frozenset[int] = known) -> float:
        return sum(telling[t] for t in of & stems) / (sum(telling[t] for t in of) or 1.0)

    names = question.names & known
    likeness, terms_of = cache(question.likeness), cache(question.terms_of)
    for quote, text, snippet, stems in zip(found, prose, code, said, strict=True):
        passage = quote.passage
        heading = passage.section.rpartition(" > ")[2]
        headings = f"{passage.title}\n{passage.section}\n{quote.topic}"
        above = terms_of(headings)
        suits = question.suits(text) * (share(stems | above) ** 2 if question.wants_code else 1.0)
        topic = share(above - stems)
        relevance = 0.05 + 0.6 * share(stems) + (0.5 if quote.opens else 0.3) * topic
        relevance += 0.15 * share(around[passage]) + suits
        named = max(likeness(heading), likeness(quote.topic))
        relevance += (0.15 + (0.35 if question.defines else 0.1) * quote.opens) * named
        if heading == passage.section:  # the beginning of a page
            relevance += (0.5 if question.defines else 0.15) * likeness(heading)
        relevance += 0.2 if snippet and question.wants_code else 0.0
        sides = question.sides_of(stems)
        length = words_in(text) + words_in(snippet) // (2 if question.wants_code else 1)
        standing = quote.standing * (0.4 if snippet and not question.wants_code else 1.0)
        weight = standing / (1 + 0.12 * (passage.n - 1) * (1 - 0.8 * min(1.0, suits)))
        weight *= 0.4 if question.is_beside(headings) else 1.0
        weight *= 0.5 + 0.5 * max(named, share(around[passage], names)) if names else 1.0
        weight /= 1 + max(0, length - 35) / 80
        length = words_in(text) + words_in(snippet)
        shares = not stems.isdisjoint(known) or not known
        bears = shares or not above.isdisjoint(known)
        yield _Candidate(
            quote,
            text,
            stems - question.terms,
            shares,
            bears,
            sides,
            length,
            suits,
            standing,
            relevance,
            weight,
        )


def _chosen(question: AnalyzedQuestion, ranked: Sequence[_Candidate]) -> list[Quote]:
    """Choose the quotes of one answer, in reading order; adjacent quotes are merged."""
    pool = [candidate for candidate in ranked if candidate.words <= _MOST_WORDS] or ranked[:1]
    chosen = [candidate for candidate in pool if candidate.bears][:1]
    # If a command was asked for, steps that come before it in the text may be needed, too.
    if chosen and chosen[0].suits >= _TELLING and not question.wants_code:
        pool = [c for c in pool if c.place >= chosen[0].place]
    while 0 < len(chosen) < _MOST_QUOTES:
        pool = [c for c in pool if not _repeats(c, chosen[-1])]
        if (best := _next(pool, chosen)) is None:
            break
        chosen.append(best)
    joined: list[Quote] = []
    for quote in sorted((c.quote for c in chosen), key=lambda q: (q.passage.n, q.start)):
        gap = joined[-1].until(quote) if joined else None
        if gap is not None and not gap.strip(" "):
            joined[-1] = replace(joined[-1], end=quote.end)
        else:
            joined.append(quote)
    return joined


def _next(pool: Sequence[_Candidate], chosen: Sequence[_Candidate]) -> _Candidate | None:
    """Return the candidate that adds most; None if it adds too little or the answer is long enough."""
    words = sum(c.words for c in chosen)
    if words >= _ENOUGH_WORDS:
        return None
    said = frozenset[int]().union(*(c.news for c in chosen))
    form = max(0.0, chosen[0].suits - _TELLING)  # a suitable form must not raise the bar for others
    par = chosen[0].score - form * chosen[0].weight
    named = frozenset[int]().union(*(c.sides for c in chosen))
    best, most = None, 0.75 if words < _FEW_WORDS else 0.95
    for candidate in pool:
        if words + candidate.words > _MOST_WORDS:
            continue
        new = len(candidate.news - said) / (len(candidate.news) or 1)
        near = max(_nearness(candidate.quote, c.quote) for c in chosen)
        if not candidate.shares and near < _BESIDE:
            continue
        gain = candidate.score / par * (0.65 + 0.35 * new)
        gain += near * candidate.standing
        gain += 0.5 if named and candidate.sides - named else 0.0
        if gain > most:
            best, most = candidate, gain
    return best


def _repeats(one: _Candidate, other: _Candidate) -> bool:
    a, b = one.quote, other.quote
    if a.passage is b.passage and a.until(b) is None and b.until(a) is None:
        return True
    return len(one.news & other.news) >= 0.6 * min(len(one.news), len(other.news))


def _nearness(a: Quote, b: Quote) -> float:
    """Return how well two quotes read together: best if adjacent, 0 if from different passages."""
    if a.passage is not b.passage:
        return 0.0
    between = a.until(b) if a.start < b.start else b.until(a)
    return _BESIDE if between is not None and not between.strip() and a.topic == b.topic else 0.55


def _written(chosen: Sequence[Quote]) -> str:
    """Write the answer: one paragraph for the sentences of a passage, and one for each list or code block."""
    paragraphs: list[str] = []
    running: PromptPassage | None = None
    for quote in chosen:
        for part in quote.written():
            if running is quote.passage and "\n" not in part and part[1].isupper():
                paragraphs[-1] += f" {part}"
            else:
                paragraphs.append(part)
            running = quote.passage if _SENTENCE.fullmatch(part) else None
    return "\n\n".join(paragraphs)

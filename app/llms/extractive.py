"""The model that needs no key, no server and no download: it answers in quoted, cited sentences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import log
from operator import mul
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import CompletionResponse, CompletionResponseGen, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback  # pyright: ignore[reportUnknownVariableType]

from app.llms.prompts import Quotable, read
from app.llms.quotes import Quote, quotes, words_in
from storage.index.sparse import terms

NOTHING = "There is no passage that an answer could be quoted from."

_FEW_WORDS, _ENOUGH_WORDS, _MOST_WORDS = 40, 70, 120
_MOST_QUOTES = 4
_MOST_EMBEDDED = 40
"""How many candidates' meaning is compared with the question's: that takes most of the time."""

_FLAGS = re.IGNORECASE | re.MULTILINE
_ASKED = r"(?:^|[.!?,;:]\s)\W*(?:(?:can|could) you )?(?:please )?(?:(?:tell|show) me )?(?:%s)\b"
_HOW_TO = r"how (?:do|can|could|should|would|to)|(?:what|which) (?:command|syntax|steps?)"
_FORMS = (
    (
        r"(?:explain )?why|what (?:causes?|is the reason)|for what reason",
        r"\b(?:because|since|so that|in order to|therefore|reasons?|due to|thus|otherwise|requires?"
        r"|means? that|allows?|avoids?|prevents?|ensures?|leads? to|results? in|makes? it|caus\w+)\b",
    ),
    (
        r"how (?:many|much|long|far|often|large|big|fast|old|high)"
        r"|(?:what|which) (?:number|version|year|date)|when",
        r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|single|multiple|many|when|before"
        r"|after|during|until|once|century)\b",
    ),
    (
        _HOW_TO,
        r"(?:^|\. )\W*(?:to|use|run|call|add|create|install|set|open|pass|import|write|configure"
        r"|click|start|define|wrap|enable)\b|\bby \w+ing\b|\byou (?:can|will|need|must|should|may)\b",
    ),
    (
        r"is|are|was|were|can|could|do|does|did|should|will|would|has|have|may|must",
        r"^(?:yes|no)\b|n['’]t\b|\b(?:not|never|always|only|must|should|can|cannot|need|possible"
        r"|recommend(?:ed)?|allowed|required|supports?)\b",
    ),
)
"""What a question asks for, and the words by which a sentence shows that it says it."""
_TOLD = [(re.compile(_ASKED % asked, _FLAGS), re.compile(told, _FLAGS)) for asked, told in _FORMS]
_DEFINES = re.compile(
    _ASKED % r"(?:what|who)(?:['’]s| is| are| was| were)|what does .*\bmean|define", _FLAGS
)
_WANTS_CODE = re.compile(_ASKED % rf"{_HOW_TO}|.*\b(?:example|command|snippet|code)", _FLAGS)
_IS = re.compile(r" (?:is|are|was|were|means?|refers? to|describes?|denotes?|[=—–:]) ", _FLAGS)
_IN_QUESTIONS = "used use work works mean means difference explain describe define tell example"
"""Words that say what is asked for, not what about."""
_SENTENCE = re.compile(r".*[.!?]\)?” \[\d+\]")
"""Only behind one of these can another quote stand in the same paragraph and be told from it."""


class ExtractiveLLM(CustomLLM):
    """Chooses sentences of the passages in its prompt; not a word of an answer is its own."""

    language: str = "en"
    """ISO 639 code of the language whose stems and stop words tell which sentences fit."""
    embedding: BaseEmbedding | None = None
    """Finds what says the same in other words; a local one, since it reads every candidate."""

    @classmethod
    def class_name(cls) -> str:
        """How LlamaIndex names it."""
        return "ExtractiveLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """Whatever fits into memory fits into its context."""
        return LLMMetadata(model_name="extractive", context_window=10_000_000, is_chat_model=False)

    @llm_completion_callback()  # pyright: ignore[reportUntypedFunctionDecorator]
    def complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponse:
        """The whole answer; takes a few milliseconds."""
        return CompletionResponse(text=self._answer(prompt))

    @llm_completion_callback()  # pyright: ignore[reportUntypedFunctionDecorator]
    def stream_complete(self, prompt: str, *_: Any, **__: Any) -> CompletionResponseGen:
        """The same text, a few words at a time."""

        def responses() -> CompletionResponseGen:
            said = ""
            for words in re.findall(r"(?:\s*\S+){1,3}", self._answer(prompt)):
                said += words
                yield CompletionResponse(text=said, delta=words)

        return responses()

    def _answer(self, prompt: str) -> str:
        question, passages = read(prompt)
        ranked = _ranked(_Question(question, self.language), passages, self.embedding)
        return _written(_chosen(ranked)) or NOTHING


class _Question:
    """What is asked for, and the words it is asked with."""

    def __init__(self, text: str, language: str) -> None:
        self.text, _, context = text.partition("\n(In the context of: ")
        self.language = language
        every = self.terms_of(f"{self.text}\n{context}")
        self.terms = every - self.terms_of(_IN_QUESTIONS) or every
        self.wants_code = _WANTS_CODE.search(self.text) is not None
        self._defines = _DEFINES.search(self.text)
        self._told = next((told for asked, told in _TOLD if asked.search(self.text)), None)

    def terms_of(self, text: str) -> frozenset[int]:
        return terms(text, self.language)

    def suits(self, prose: str) -> float:
        """How much words have the form of an answer, whatever they speak about."""
        suits = 0.12 if self._told and self._told.search(prose) else 0.0
        if self._defines and (verb := _IS.search(prose)):
            subject = self.terms_of(prose[: verb.start()])
            suits += 0.3 * len(subject & self.terms) / (len(subject | self.terms) or 1)
        return suits


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    prose: str
    news: frozenset[int]
    """The terms of it that the question does not have."""
    words: int
    relevance: float
    weight: float

    @property
    def score(self) -> float:
        return self.relevance * self.weight


def _ranked(
    question: _Question, passages: Sequence[Quotable], embedding: BaseEmbedding | None
) -> list[_Candidate]:
    """What could be quoted, best first."""
    ranked = sorted(_candidates(question, passages), key=lambda c: -c.score)[:_MOST_EMBEDDED]
    if embedding is not None and ranked:
        asked = embedding.get_query_embedding(question.text)
        said = embedding.get_text_embedding_batch([c.prose for c in ranked])
        ranked = [
            replace(c, relevance=c.relevance + 0.5 * max(0.0, sum(map(mul, asked, vector))))
            for c, vector in zip(ranked, said, strict=True)
        ]
    return sorted(ranked, key=lambda c: -c.score)


def _candidates(question: _Question, passages: Sequence[Quotable]) -> Iterator[_Candidate]:
    """The factors were found on real questions to an encyclopedia, handbooks and a textbook."""
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

    def share(stems: frozenset[int]) -> float:
        return sum(telling[term] for term in known & stems) / (sum(telling.values()) or 1.0)

    for quote, text, snippet, stems in zip(found, prose, code, said, strict=True):
        headings = f"{quote.passage.title}\n{quote.passage.section}\n{quote.topic}"
        topic = share(question.terms_of(headings) - stems)
        relevance = 0.05 + 0.6 * share(stems) + (0.5 if quote.opens else 0.3) * topic
        relevance += 0.15 * share(around[quote.passage]) + question.suits(text)
        relevance += 0.2 if snippet and question.wants_code else 0.0
        length = words_in(text) + words_in(snippet)
        weight = quote.standing / (1 + 0.12 * (quote.passage.n - 1))
        weight *= 0.4 if snippet and not question.wants_code else 1.0
        weight /= 1 + max(0, length - 35) / 80
        yield _Candidate(quote, text, stems - question.terms, length, relevance, weight)


def _chosen(ranked: Sequence[_Candidate]) -> list[Quote]:
    """Quotes of one answer in reading order; those that follow on each other are made one."""
    pool = [candidate for candidate in ranked if candidate.words <= _MOST_WORDS] or ranked[:1]
    chosen = list(pool[:1])
    while 0 < len(chosen) < _MOST_QUOTES and (best := _next(pool, chosen)):
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
    """What adds most to what is chosen; None when that is too little or enough is said."""
    words = sum(c.words for c in chosen)
    if words >= _ENOUGH_WORDS:
        return None
    said = frozenset[int]().union(*(c.news for c in chosen))
    best, most = None, 0.8 if words < _FEW_WORDS else 1.0
    for candidate in pool:
        if words + candidate.words > _MOST_WORDS or any(_repeats(candidate, c) for c in chosen):
            continue
        new = len(candidate.news - said) / (len(candidate.news) or 1)
        near = max(_nearness(candidate.quote, c.quote) for c in chosen)
        gain = candidate.score / pool[0].score * (0.65 + 0.35 * new)
        gain += near * candidate.quote.standing
        if gain > most:
            best, most = candidate, gain
    return best


def _repeats(one: _Candidate, other: _Candidate) -> bool:
    a, b = one.quote, other.quote
    if a.passage is b.passage and a.until(b) is None and b.until(a) is None:
        return True
    return len(one.news & other.news) >= 0.6 * min(len(one.news), len(other.news))


def _nearness(a: Quote, b: Quote) -> float:
    """Quotes of one passage read well together, best those that stand side by side in it."""
    if a.passage is not b.passage:
        return 0.0
    between = a.until(b) if a.start < b.start else b.until(a)
    return 0.36 if between is not None and not between.strip() and a.topic == b.topic else 0.22


def _written(chosen: Sequence[Quote]) -> str:
    """A paragraph for the sentences of one passage; lists and code are paragraphs of their own."""
    paragraphs: list[str] = []
    running: Quotable | None = None
    for quote in chosen:
        for part in quote.written():
            if running is quote.passage and "\n" not in part and part[1].isupper():
                paragraphs[-1] += f" {part}"
            else:
                paragraphs.append(part)
            running = quote.passage if _SENTENCE.fullmatch(part) else None
    return "\n\n".join(paragraphs)

"""Score the quotes of all passages by how well they answer one question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import log
from operator import mul

from llama_index.core.base.embeddings.base import BaseEmbedding

from app.llms.extractive_model.candidates import Quote, find_quotes
from app.llms.extractive_model.pieces import count_words
from app.llms.extractive_model.question import AnalyzedQuestion
from app.llms.prompts import PromptPassage

_MOST_EMBEDDED = 40
"""The most candidates whose embeddings are compared with the question's: this takes most of the time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A quote with its scores for one question."""

    quote: Quote
    prose: str
    new_terms: frozenset[int]
    """The quote's terms that the question does not have."""
    shares_terms: bool
    """Whether the quote has a term of the question, or no passage has any."""
    is_on_subject: bool
    """Whether the quote or its headings have a term of the question; otherwise it is about something else."""
    compared: frozenset[int]
    """The indexes of the compared things that the quote names."""
    words: int
    form: float
    """How far the quote has the form of an answer, regardless of its subject."""
    quality: float
    """The quote's `quality`, reduced if it holds code that was not asked for."""
    relevance: float
    weight: float

    @property
    def score(self) -> float:
        """The relevance, reduced by everything that makes the quote a worse answer."""
        return self.relevance * self.weight

    @property
    def position(self) -> tuple[int, int]:
        """The number of the passage and the offset in it, by which quotes are put in reading order."""
        return self.quote.passage.n, self.quote.start


def ranked_candidates(
    question: AnalyzedQuestion, passages: Sequence[PromptPassage], embedding: BaseEmbedding | None
) -> list[Candidate]:
    """Return the candidates for quoting, best first."""
    scored = _Scorer(question, passages).candidates()
    ranked = sorted(scored, key=lambda c: -c.score)[:_MOST_EMBEDDED]
    if embedding is not None and ranked:
        of_question = embedding.get_query_embedding(question.text)
        of_quotes = embedding.get_text_embedding_batch([c.prose for c in ranked])
        ranked = [
            replace(c, relevance=c.relevance + 0.5 * max(0.0, sum(map(mul, of_question, vector))))
            for c, vector in zip(ranked, of_quotes, strict=True)
        ]
    return sorted(ranked, key=lambda c: -c.score)


@dataclass(frozen=True, slots=True)
class _Text:
    """The text of a quote; code counts for its terms if the question wants code."""

    prose: str
    code: str
    terms: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Headings:
    """The headings above a quote, and how closely they name the subject of the question."""

    text: str
    terms: frozenset[int]
    named: float
    """The likeness of the nearest heading."""
    page: float
    """The likeness of the page's title, if the quote is at the beginning of a page."""


class _Scorer:
    """A scorer of quotes for one question.

    Its factors were tuned on real questions to an encyclopedia, handbooks and a textbook.
    """

    def __init__(self, question: AnalyzedQuestion, passages: Sequence[PromptPassage]) -> None:
        self._question = question
        self._quotes = [quote for passage in passages for quote in find_quotes(passage)]
        self._texts = [self._text(quote) for quote in self._quotes]
        self._of_passage = {
            p: question.terms_of(f"{p.title}\n{p.section}\n{p.text}") for p in passages
        }
        self._known = question.terms.intersection(
            frozenset[int]().union(*self._of_passage.values())
        )
        self._names = question.names & self._known
        self._weights = {term: self._weight_of_term(term) for term in self._known}
        self._likeness, self._terms_of = (
            cache(question.heading_similarity),
            cache(question.terms_of),
        )

    def candidates(self) -> Iterator[Candidate]:
        """Yield the quotes with their scores."""
        return map(self._candidate, self._quotes, self._texts)

    def _text(self, quote: Quote) -> _Text:
        parts = [*quote.parts()]
        prose = " ".join(text for kind, text in parts if kind != "code")
        code = " ".join(text for kind, text in parts if kind == "code")
        counted = f"{prose} {code}" if self._question.wants_code else prose
        return _Text(prose, code, self._question.terms_of(counted))

    def _weight_of_term(self, term: int) -> float:
        """Return the weight of a term of the question: the fewer quotes have it, the greater it is."""
        having = sum(term in text.terms for text in self._texts)
        return log(1 + len(self._quotes) / (having + 0.5))

    def _share(self, terms: frozenset[int], of: frozenset[int]) -> float:
        """Return the weighted share of the terms `of` that a text has."""
        weights = self._weights
        return sum(weights[t] for t in of & terms) / (sum(weights[t] for t in of) or 1.0)

    def _candidate(self, quote: Quote, text: _Text) -> Candidate:
        question, headings = self._question, self._headings(quote)
        form = question.form_of(text.prose)
        if question.wants_code:
            form *= self._share(text.terms | headings.terms, self._known) ** 2
        quality = quote.quality * (0.4 if text.code and not question.wants_code else 1.0)
        shares_terms = not text.terms.isdisjoint(self._known) or not self._known
        return Candidate(
            quote=quote,
            prose=text.prose,
            new_terms=text.terms - question.terms,
            shares_terms=shares_terms,
            is_on_subject=shares_terms or not headings.terms.isdisjoint(self._known),
            compared=question.compared_in(text.terms),
            words=count_words(text.prose) + count_words(text.code),
            form=form,
            quality=quality,
            relevance=self._relevance(quote, text, headings, form),
            weight=self._weight(quote, text, headings, form, quality),
        )

    def _headings(self, quote: Quote) -> _Headings:
        passage = quote.passage
        text = f"{passage.title}\n{passage.section}\n{quote.topic}"
        heading = passage.section.rpartition(" > ")[2]
        likeness = self._likeness(heading)
        named = max(likeness, self._likeness(quote.topic))
        page = likeness if heading == passage.section else 0.0
        return _Headings(text, self._terms_of(text), named, page)

    def _relevance(self, quote: Quote, text: _Text, headings: _Headings, form: float) -> float:
        """Return how much the quote and its surroundings have to do with the question."""
        defines, wants_code = self._question.asks_for_definition, self._question.wants_code
        topic = self._share(headings.terms - text.terms, self._known)
        relevance = 0.05 + 0.6 * self._share(text.terms, self._known)
        relevance += (0.5 if quote.is_first else 0.3) * topic
        relevance += 0.15 * self._share(self._of_passage[quote.passage], self._known) + form
        relevance += (0.15 + (0.35 if defines else 0.1) * quote.is_first) * headings.named
        relevance += (0.5 if defines else 0.15) * headings.page
        return relevance + (0.2 if text.code and wants_code else 0.0)

    def _weight(
        self, quote: Quote, text: _Text, headings: _Headings, form: float, quality: float
    ) -> float:
        """Return the quality, reduced for late passages, other subjects and long quotes."""
        passage, wants_code = quote.passage, self._question.wants_code
        weight = quality / (1 + 0.12 * (passage.n - 1) * (1 - 0.8 * min(1.0, form)))
        weight *= 0.4 if self._question.is_about_changes(headings.text) else 1.0
        if self._names:
            named = self._share(self._of_passage[passage], self._names)
            weight *= 0.5 + 0.5 * max(headings.named, named)
        length = count_words(text.prose) + count_words(text.code) // (2 if wants_code else 1)
        return weight / (1 + max(0, length - 35) / 80)

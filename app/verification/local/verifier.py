"""A verifier without a model: it aligns words, numbers, names and polarity with the evidence."""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from app.verification import Judgement
from app.verification.local.facts import Facts
from app.verification.local.polarity import Polarity, negation_mismatch, opposition
from app.verification.local.words import AnalyzedText, Vocabulary
from pipelines.ingestion.sentences import split_sentences
from storage.domain import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from storage.embeddings.local import LocalEmbedding

SUPPORTED, PARTIAL = 0.6, 0.4
"""The minimum scores of these verdicts."""
_WINDOW = 3
_LEADING_SENTENCES = 2
"""How many sentences of the evidence are compared with the claim's polarity."""
_MIN_OPPOSITION = 0.3
_MIN_NEGATION = 0.6
_NEAR_TOKENS = 6
"""Tokens on either side of a number or name that show what it belongs to."""
_FEWEST_OTHERS, _FEWEST_NEAR = 0.2, 0.25
"""Minimum shares of the claim's other words, of all or of those near a number, in the number's sentence."""
_SIMILAR, _RARE_WEIGHT = 0.5, 1.4
"""Similarity that matches a word; the weight from which a word at a sentence's beginning may be a name."""
_MOST_CACHED = 64
_QUOTED = re.compile(r"[“”\"*_`\\]|\[\d+\]")


class LocalVerifier:
    """A verifier that takes about a millisecond; its weights are chosen by hand, not trained."""

    def __init__(self, embedding: "LocalEmbedding | None") -> None:
        self._embedding = embedding
        self._vocabularies: dict[str, Vocabulary] = {}
        self._evidence: OrderedDict[tuple[str, ...], _Evidence] = OrderedDict()

    async def judge(self, claim: str, evidence: Sequence[str], language: str = "en") -> Judgement:
        """Judge a claim; one that is in the evidence word for word is always supported."""
        text = " ".join(_QUOTED.sub(" ", claim).split())
        if not text or not evidence:
            return Judgement(verdict="unsupported", score=0.0)
        folded = " ".join(" ".join(_QUOTED.sub(" ", text) for text in evidence).split())
        if text.strip(" .") in folded:
            return Judgement(verdict="supported", score=1.0)
        vocabulary = self._vocabulary(language)
        analyzed = vocabulary.analyze(text[a:b] for a, b in split_sentences(text))
        return _judge(_Alignment(analyzed, self._analyze(vocabulary, evidence)))

    def _vocabulary(self, language: str) -> Vocabulary:
        if language not in self._vocabularies:
            self._vocabularies[language] = Vocabulary(language, self._embedding)
        return self._vocabularies[language]

    def _analyze(self, vocabulary: Vocabulary, texts: Sequence[str]) -> "_Evidence":
        """Analyze the evidence, with a cache: claims of one answer mostly cite the same few passages."""
        key = (vocabulary.language, *texts)
        if key not in self._evidence:
            split = [text[a:b] for text in texts for a, b in split_sentences(text)]
            self._evidence[key] = _Evidence(vocabulary.analyze(split))
            if len(self._evidence) > _MOST_CACHED:
                self._evidence.popitem(last=False)
        return self._evidence[key]


class _Evidence:
    """Passages, analyzed once for all claims."""

    def __init__(self, text: AnalyzedText) -> None:
        self.text = text
        self.facts = Facts(text)
        lengths = [len(text.sentence(i)) for i in range(len(text.starts))]
        self.sentence_of_token = np.repeat(
            np.arange(len(lengths)), np.array(lengths, dtype=np.intp)
        )
        self._polarities: dict[int, Polarity] = {}

    @cached_property
    def pairs(self) -> frozenset[tuple[int, int]]:
        """Pairs of content words that are adjacent or have one word between them, in either order."""
        stems = self.text.content.tolist()
        forward = {*pairwise(stems), *zip(stems[:-2], stems[2:], strict=True)}
        return frozenset(forward | {(b, a) for a, b in forward})

    def polarity(self, sentence: int) -> Polarity:
        if sentence not in self._polarities:
            self._polarities[sentence] = Polarity.of_sentence(
                self.text, self.text.sentence(sentence)
            )
        return self._polarities[sentence]


@dataclass
class _Alignment:
    """How well each content word of a claim matches each sentence of its evidence."""

    claim: AnalyzedText
    evidence: _Evidence

    @cached_property
    def matches(self) -> "NDArray[np.float32]":
        """A matrix of sentences by content words, in [0, 1]: 1 for an equal stem, less for a similar word."""
        evidence = self.evidence.text
        count = len(evidence.starts)
        matches = np.zeros((count, len(self.claim.token_indexes)), dtype=np.float32)
        if not len(evidence.token_indexes):
            return matches
        similar = np.clip((evidence.vectors @ self.claim.vectors.T - 0.35) / 0.5, 0, 1) * 0.9
        similar[evidence.content[:, None] == self.claim.content[None, :]] = 1.0
        sentence_of_word = self.evidence.sentence_of_token[evidence.token_indexes]
        present, first = np.unique(sentence_of_word, return_index=True)
        matches[present] = np.maximum.reduceat(similar, first, axis=0)
        return matches

    @cached_property
    def shares(self) -> "NDArray[np.float32]":
        """The share of the claim's weight that each sentence covers."""
        return self.matches @ self.claim.weights / (self.claim.weights.sum() or 1.0)

    @cached_property
    def coverage(self) -> float:
        """The share of the claim's weight that the whole evidence covers."""
        return self._share(self.matches)

    @cached_property
    def window(self) -> float:
        """The share that a few consecutive sentences cover."""
        best = 0.0
        for size in range(1, _WINDOW + 1):
            for start in range(max(1, len(self.matches) - size + 1)):
                share = self._share(self.matches[start : start + size]) - 0.03 * (size - 1)
                best = max(best, share)
        return best

    @cached_property
    def bigrams(self) -> float:
        """The share of the claim's word pairs that the evidence has, too."""
        stems = self.claim.content.tolist()
        pairs = list(pairwise(stems))
        return sum(pair in self.evidence.pairs for pair in pairs) / (len(pairs) or 1)

    @cached_property
    def similarity(self) -> float:
        """Cosine similarity of the claim to the most similar sentence."""
        evidence = self.evidence.text
        if not len(evidence.token_indexes):
            return 0.0
        sentence_of_word = self.evidence.sentence_of_token[evidence.token_indexes]
        _, first = np.unique(sentence_of_word, return_index=True)
        sums = np.add.reduceat(evidence.vectors * evidence.weights[:, None], first, axis=0)
        claim = self.claim.weights @ self.claim.vectors
        lengths = np.linalg.norm(sums, axis=1) * np.linalg.norm(claim)
        return float((sums @ claim / np.where(lengths == 0, 1, lengths)).max())

    @cached_property
    def leading(self) -> list[int]:
        """The sentences that cover most of the claim."""
        return np.argsort(-self.shares, kind="stable")[:_LEADING_SENTENCES].tolist()

    def _share(self, matches: "NDArray[np.float32]") -> float:
        best = matches.max(axis=0, initial=0.0)
        return float(best @ self.claim.weights / (self.claim.weights.sum() or 1.0))

    def is_supported(self, token: int, sentences_with_it: Sequence[int]) -> bool:
        """Return whether one of the sentences with a number of the claim also has the claim's other words.

        The same number in a sentence about something else proves nothing.
        """
        others = self.claim.token_indexes != token
        weights = self.claim.weights * others
        near = weights * (np.abs(self.claim.token_indexes - token) <= _NEAR_TOKENS)
        return any(
            self._covered_share(sentence, weights) >= _FEWEST_OTHERS
            or self._covered_share(sentence, near) >= _FEWEST_NEAR
            for sentence in sentences_with_it
        )

    def _covered_share(self, sentence: int, weights: "NDArray[np.float32]") -> float:
        whole = weights.sum()
        return float(self.matches[sentence] @ weights / whole) if whole else 1.0


class _FactCheck:
    """The numbers and names of a claim that its evidence does not confirm."""

    def __init__(self, alignment: _Alignment) -> None:
        self._alignment = alignment
        self._evidence = alignment.evidence.facts
        claim = Facts(alignment.claim)
        numbers = [self._has_number(at, value) for at, value in claim.numbers.items()]
        evidence_numbers = set(self._evidence.numbers.values())
        known = [value in evidence_numbers for value in claim.numbers.values()]
        self.numbers_found = sum(known) / len(known) if known else 1.0
        names = [self._has_name(at) for at in claim.names]
        starts = [self._has_first_word(at) for at in claim.first_words()]
        self.missing = numbers.count(False) + names.count(False) + starts.count(False)

    def _has_number(self, at: int, value: float) -> bool:
        tokens = [i for i, number in self._evidence.numbers.items() if number == value]
        return self._alignment.is_supported(at, self._sentences(tokens))

    def _has_name(self, at: int) -> bool:
        stem = self._alignment.claim.stems[at]
        is_there = stem in self._alignment.evidence.text.stems
        return is_there or self._evidence.has_abbreviated(self._alignment.claim.tokens[at])

    def _has_first_word(self, at: int) -> bool:
        column = int(np.searchsorted(self._alignment.claim.token_indexes, at))
        rare = self._alignment.claim.weights[column] >= _RARE_WEIGHT
        return not rare or bool(self._alignment.matches[:, column].max(initial=0.0) >= _SIMILAR)

    def _sentences(self, tokens: Sequence[int]) -> list[int]:
        return sorted({int(self._alignment.evidence.sentence_of_token[i]) for i in tokens})


def _judge(alignment: _Alignment) -> Judgement:
    if not len(alignment.claim.token_indexes):
        return Judgement(verdict="unsupported", score=0.0)
    facts = _FactCheck(alignment)
    claim = [
        Polarity.of_sentence(alignment.claim, alignment.claim.sentence(i))
        for i in range(len(alignment.claim.starts))
    ]
    leading = [alignment.evidence.polarity(i) for i in alignment.leading]
    against, denied = opposition(claim, leading), negation_mismatch(claim, leading)
    score = (
        alignment.coverage
        + 0.5 * alignment.window
        + 0.7 * alignment.bigrams
        + 0.8 * facts.numbers_found
        + 0.3 * max(0.0, alignment.similarity)
    ) / 3.3
    score -= 0.6 * against + 0.12 * denied
    contradicted = against >= _MIN_OPPOSITION or denied >= _MIN_NEGATION
    return _judgement(score, contradicted=contradicted, doubtful=facts.missing > 0)


def _judgement(score: float, *, contradicted: bool, doubtful: bool) -> Judgement:
    """Turn a score into a judgement; a contradiction or a missing fact limits the verdict."""
    verdict: Verdict = "supported"
    if score < PARTIAL or contradicted:
        verdict = "unsupported"
    elif score < SUPPORTED or doubtful:
        verdict = "partial"
    return Judgement(verdict=verdict, score=round(min(1.0, max(0.0, score)), 4))

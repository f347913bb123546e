"""Calibrate relevance for each corpus, with questions of which a passage has only half the words."""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from statistics import median

from app.retrieval.relevance import METHOD, Relevance, Signals
from app.retrieval.search import PASSAGES_PER_ANSWER, Search
from pipelines.ingestion.sentences import split_sentences
from storage.domain import Calibration
from storage.errors import IbidError
from storage.index.bm25.tokenizer import is_unspaced
from storage.index.passages import PassageIndex
from storage.index.releases import Indexes
from storage.logs import log_failure
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.sources import Sources

_log = logging.getLogger("ibid.calibration")

_QUESTION_COUNT = 64
"""Number of questions: enough for a stable median, in about a quarter of a second."""
_MIN_PASSAGES = 32
"""Fewest passages for a calibration; with fewer, the result is mostly chance."""
_MAX_CHANGED_SHARE = 0.1
"""Share of a corpus's passages that must change before it is calibrated again."""
_HALF_WORDS, _HALF_CHARACTERS = 5, 10
"""Length of each half question, in words, or in characters for scripts without spaces.

A usual question has ten words.
"""


class Calibrator:
    """A calibrator that measures a corpus in a release if it is new there or has changed much since."""

    def __init__(self, database: Database, indexes: Indexes, relevance: Relevance) -> None:
        self._database = database
        self._indexes = indexes
        self._relevance = relevance

    async def __call__(self, corpus: str, index: PassageIndex) -> None:
        """Calibrate the corpus if it is due.

        An error is only logged: the previous calibration or the default applies.
        """
        try:
            if await self._is_due(corpus, index.collection):
                measured = await self._measure(corpus, index)
                if measured is not None:
                    await self._store(corpus, index.collection, measured)
        except IbidError as error:
            log_failure(_log, "not_calibrated", error, {"corpus": corpus})

    async def _is_due(self, corpus: str, release: str) -> bool:
        async with self._database.read_transaction() as session:
            before = (await Corpora(session).get(corpus)).calibrations_by_release.get(release)
            if before is None or before.method != METHOD:
                return True
            changed, live = await Sources(session).turnover(corpus, before.measured_at)
            return changed > _MAX_CHANGED_SHARE * live

    async def _measure(self, corpus: str, index: PassageIndex) -> Calibration | None:
        """Return the new calibration; None if the corpus is too small for one."""
        began = datetime.now(UTC)
        search = Search(self._database, self._indexes.pinned(index))
        scope = await search.scope([corpus])
        passages = await index.sample(scope, _QUESTION_COUNT)
        if len(passages) < _MIN_PASSAGES:
            return None
        questions = build_half_known_questions([passage.text for passage in passages])
        language, foreign = min(scope.languages), await search.uses_foreign_embedding()
        async with aclosing(index.search_many(questions, scope, PASSAGES_PER_ANSWER)) as searches:
            signals = [
                self._relevance.signals(question, found, language, foreign=foreign)
                async for question, found in searches
            ]
        return _calibration([signal for signal in signals if signal], began)

    async def _store(self, corpus: str, release: str, measured: Calibration) -> None:
        async with self._database.transaction() as session:
            await Corpora(session).calibrate(corpus, release, measured)
        fields = {
            "corpus": corpus,
            "release": release,
            "nearness": round(measured.nearness, 2),
            "bm25": round(measured.bm25, 2),
        }
        _log.info("calibrated", extra=fields)


def build_half_known_questions(texts: Sequence[str]) -> list[str]:
    """Build questions from words of each text and the next: in the corpus's words, about nothing in it."""
    return [
        f"{_half_question(one)} {_half_question(other)}"
        for one, other in zip(texts, [*texts[1:], *texts[:1]], strict=True)
    ]


def _half_question(text: str) -> str:
    """Return some adjacent words, from the middle of a sentence in the middle of the text."""
    sentences = [text[slice(*span)] for span in split_sentences(text)]
    long = [sentence for sentence in sentences if len(_split_words(sentence)) >= _length(sentence)]
    sentence = long[len(long) // 2] if long else text
    pieces, length = _split_words(sentence), _length(sentence)
    start = max(len(pieces) - length, 0) // 2
    return ("" if is_unspaced(sentence) else " ").join(pieces[start : start + length])


def _split_words(text: str) -> Sequence[str]:
    return text if is_unspaced(text) else text.split()


def _length(text: str) -> int:
    return _HALF_CHARACTERS if is_unspaced(text) else _HALF_WORDS


def _calibration(found: Sequence[Signals], began: datetime) -> Calibration | None:
    """Return the median of the signals; None if the BM25 score is 0, as later scores are divided by it."""
    bm25 = median([signals.bm25 for signals in found] or [0.0])
    if bm25 <= 0:
        return None
    nearness = median(signals.nearness + signals.lead for signals in found)
    return Calibration(method=METHOD, nearness=nearness, bm25=bm25, measured_at=began)

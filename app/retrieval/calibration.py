"""Calibrate relevance for each corpus, with questions of which a passage has only half the words."""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from statistics import median

from app.retrieval.relevance import METHOD, Relevance, Signals
from app.retrieval.search import PASSAGES_READ, Search
from pipelines.ingestion.sentences import sentences
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

_QUESTIONS = 64
"""Number of questions: enough for a stable median, in about a quarter of a second."""
_FEWEST = 32
"""Fewest passages for a calibration; with fewer, the result is mostly chance."""
_STALE = 0.1
"""Share of a corpus's passages that must change before it is calibrated again."""
_WORDS, _CHARACTERS = 5, 10
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
                measured = await self._measured(corpus, index)
                if measured is not None:
                    await self._keep(corpus, index.collection, measured)
        except IbidError as error:
            log_failure(_log, "not_calibrated", error, {"corpus": corpus})

    async def _is_due(self, corpus: str, release: str) -> bool:
        async with self._database.reading() as session:
            before = (await Corpora(session).get(corpus)).measured.get(release)
            if before is None or before.method != METHOD:
                return True
            changed, there = await Sources(session).turnover(corpus, before.measured_at)
            return changed > _STALE * there

    async def _measured(self, corpus: str, index: PassageIndex) -> Calibration | None:
        """Return the new calibration; None if the corpus is too small for one."""
        began = datetime.now(UTC)
        search = Search(self._database, self._indexes.pinned(index))
        scope = await search.scope([corpus])
        passages = await index.sample(scope.corpora, scope.editions, _QUESTIONS)
        if len(passages) < _FEWEST:
            return None
        questions = half_known([passage.text for passage in passages])
        language, foreign = min(scope.languages), await search.is_foreign()
        wanted = (scope.corpora, scope.languages, PASSAGES_READ, scope.editions)
        async with aclosing(index.searches(questions, *wanted)) as searches:
            signals = [
                self._relevance.signals(question, found, language, foreign=foreign)
                async for question, found in searches
            ]
        return _calibration([one for one in signals if one], began)

    async def _keep(self, corpus: str, release: str, measured: Calibration) -> None:
        async with self._database.transaction() as session:
            await Corpora(session).calibrate(corpus, release, measured)
        fields = {
            "corpus": corpus,
            "release": release,
            "nearness": round(measured.nearness, 2),
            "bm25": round(measured.bm25, 2),
        }
        _log.info("calibrated", extra=fields)


def half_known(texts: Sequence[str]) -> list[str]:
    """Build questions from words of each text and the next: in the corpus's words, about nothing in it."""
    return [
        f"{_half(one)} {_half(other)}"
        for one, other in zip(texts, [*texts[1:], *texts[:1]], strict=True)
    ]


def _half(text: str) -> str:
    """Return some adjacent words, from the middle of a sentence in the middle of the text."""
    told = [text[slice(*span)] for span in sentences(text)]
    long = [sentence for sentence in told if len(_pieces(sentence)) >= _length(sentence)]
    sentence = long[len(long) // 2] if long else text
    pieces, length = _pieces(sentence), _length(sentence)
    start = max(len(pieces) - length, 0) // 2
    return ("" if is_unspaced(sentence) else " ").join(pieces[start : start + length])


def _pieces(text: str) -> Sequence[str]:
    return text if is_unspaced(text) else text.split()


def _length(text: str) -> int:
    return _CHARACTERS if is_unspaced(text) else _WORDS


def _calibration(found: Sequence[Signals], began: datetime) -> Calibration | None:
    """Return the median of the signals; None if the BM25 score is 0, as later scores are divided by it."""
    bm25 = median([signals.bm25 for signals in found] or [0.0])
    if bm25 <= 0:
        return None
    nearness = median(signals.near + signals.out for signals in found)
    return Calibration(method=METHOD, nearness=nearness, bm25=bm25, measured_at=began)

"""The release gate: a new release must not have a lower recall on the golden sets than the active one."""

from collections.abc import Iterator
from pathlib import Path

from app.evaluation.golden import QRELS, read_golden
from app.evaluation.retrieval import mean_recall
from app.retrieval.search import Search
from storage.errors import ReleaseRefused
from storage.index.passages import PassageIndex
from storage.index.releases import Indexes
from storage.sql.database import Database

_DEPTH = 10


class GoldenGate:
    """A gate that compares recall@10 on the golden set of every corpus that has one in `folder`."""

    def __init__(self, folder: Path, database: Database, indexes: Indexes, margin: float) -> None:
        self._folder = folder
        self._database = database
        self._indexes = indexes
        self._margin = margin

    async def __call__(self, candidate: PassageIndex, serving: PassageIndex) -> None:
        """Raise `ReleaseRefused` with both values if the recall drops by more than the margin."""
        for corpus in self._corpora():
            now = await self._recall(corpus, candidate)
            before = await self._recall(corpus, serving)
            if now < before - self._margin:
                raise ReleaseRefused(
                    f"The recall@10 of the release {candidate.collection} on the golden set of {corpus!r} "
                    f"is {now:.1%}; {serving.collection} has {before:.1%} and stays active. "
                    "Correct the set, or raise GATE_MARGIN, and run `ibid reindex` again."
                )

    def _corpora(self) -> Iterator[str]:
        return (path.parent.parent.name for path in sorted(self._folder.glob(f"*/{QRELS}")))

    async def _recall(self, corpus: str, index: PassageIndex) -> float:
        search = Search(self._database, self._indexes.pinned(index))
        return await mean_recall(search, read_golden(self._folder / corpus), [corpus], _DEPTH)

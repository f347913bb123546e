"""Ingestions of one corpus take turns, whichever process started them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.discovery import Upload
from pipelines.ingestion import Ingestion, Progress, Report
from storage.database import Database
from storage.errors import Vanished
from storage.index.passages import PassageIndex
from storage.locks import Locks
from storage.repositories import Corpora


class SerialIngestion(Ingestion):
    """Two at once would each replace what the other just wrote."""

    def __init__(self, database: Database, index: PassageIndex, locks: Locks) -> None:
        super().__init__(database, index)
        self._locks = locks

    async def run(
        self,
        paths: Sequence[Path | Upload],
        corpus_name: str = "default",
        *,
        base_url: str | None = None,
        prune_empty: bool = False,
        progress: Progress | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> Report:
        """The same, when it is its turn; `waiting` is called once if it has to wait.

        Raises `Vanished`, and leaves nothing behind, when the corpus is deleted meanwhile.
        """
        async with self._locks.held(lock_of(corpus_name), waiting):
            try:
                report = await super().run(
                    paths,
                    corpus_name,
                    base_url=base_url,
                    prune_empty=prune_empty,
                    progress=progress,
                )
            except Vanished as error:
                raise await self._cleared(corpus_name) from error
            async with self._database.reading() as session:
                corpus = await Corpora(session).find(corpus_name)
            if corpus is None:
                raise await self._cleared(corpus_name)
            return report

    async def _cleared(self, corpus_name: str) -> Vanished:
        """What was written after the corpus went would come back with one of the same name."""
        await self._index.remove_corpus(corpus_name)
        return Vanished(
            f"The corpus {corpus_name!r} was deleted while it was being ingested into; "
            "nothing of it is left."
        )


def lock_of(corpus_name: str) -> str:
    """The name of the lock that whoever changes a corpus holds."""
    return f"corpus {corpus_name}"

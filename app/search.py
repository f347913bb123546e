"""Passages for a query: what REST, CLI, notebook and the chat engine search with."""

import logging
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType

from app.editions import choose
from app.waiting import running_loop
from storage.database import Database, Session, retried
from storage.domain import LOCAL, Attempt, Passage, Principal
from storage.embeddings import LOCAL_MODEL
from storage.errors import InvalidInput, ModelUnavailable, NotFound
from storage.indexes import Indexes
from storage.repositories import Corpora
from storage.rerankers import Reranker

_log = logging.getLogger("ibid.search")

LONGEST_QUERY = 4_000
MOST_PASSAGES = 100
NO_FILTER: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Scope:
    """The corpora a query may find passages in, known to exist and to be open to who asks."""

    corpora: tuple[str, ...]
    languages: frozenset[str]
    editions: tuple[str, ...] = ()
    """Keys of those it is confined to; none when there is nothing to confine."""


class Search:
    """Hybrid search over corpora; with none named, over all of them."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        reranker: Reranker | None = None,
        principal: Principal = LOCAL,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._reranker = reranker
        self.principal = principal
        self.loop = running_loop()
        """The event loop that the services live on."""

    def acting_for(self, principal: Principal) -> "Search":
        """The same, for somebody else, who finds what is open to them."""
        other = copy(self)
        other.principal = principal
        return other

    async def passages(
        self,
        query: str,
        corpora: Sequence[str] = (),
        limit: int = 10,
        *,
        only: Mapping[str, str] = NO_FILTER,
    ) -> list[Passage]:
        """Best first. Raises `InvalidInput`, or `NotFound` for a corpus that does not exist.

        `only` may name a docs `version` and a `locale`; else they are the newest and the corpus's.
        """
        self.principal.require("ask")
        if not 1 <= limit <= MOST_PASSAGES:
            raise InvalidInput(f"Ask for 1 to {MOST_PASSAGES} passages, not {limit}.")
        return await self.within(await self.scope(corpora, only), checked_query(query), limit)

    async def within(
        self, scope: Scope, query: str, limit: int, keywords: Mapping[str, float] | None = None
    ) -> list[Passage]:
        """The same for a scope that was looked up before and a query that was checked.

        `keywords` are texts whose words are looked for instead of the query's, by their weight.
        """
        passages, _ = await self.ranked(scope, query, limit, keywords)
        return passages

    async def ranked(
        self, scope: Scope, query: str, limit: int, keywords: Mapping[str, float] | None = None
    ) -> tuple[list[Passage], Attempt | None]:
        """The same; and, when the reranker failed and left the fused order, why it did."""
        if self._reranker is None:
            return await self._found(scope, query, limit, keywords), None
        passages = await self._found(scope, query, max(limit, self._reranker.depth), keywords)
        skipped: Attempt | None = None
        try:
            passages = await self._reranker.rerank(query, passages)
        except ModelUnavailable as error:
            skipped = Attempt(model=self._reranker.model, error=str(error))
            _log.warning("rerank skipped model=%s reason=%s", skipped.model, skipped.error)
        return passages[:limit], skipped

    async def _found(
        self, scope: Scope, query: str, limit: int, keywords: Mapping[str, float] | None
    ) -> list[Passage]:
        wanted = (query, scope.corpora, scope.languages, limit, scope.editions, keywords)
        try:
            return await (await self._indexes.serving()).search(*wanted)
        except NotFound:  # another process has flipped, and dropped the release we knew
            index = await self._indexes.find()
            if index is None:
                raise
            return await index.search(*wanted)

    @retried
    async def scope(self, names: Sequence[str], only: Mapping[str, str] = NO_FILTER) -> Scope:
        """Raises `NotFound` when one of them, or any at all, is missing; `InvalidInput` by `only`."""
        async with self._database.reading() as session:
            return await self.scope_in(session, names, only)

    async def scope_in(
        self, session: Session, names: Sequence[str], only: Mapping[str, str] = NO_FILTER
    ) -> Scope:
        """The same, in a transaction that has more to read."""
        corpora = Corpora(session, self.principal)
        languages, editions = await corpora.editions()
        for name in set(names) - languages.keys():
            await corpora.get(name)
        if not languages:
            raise NotFound("corpus", "default", "Run `ibid ingest PATH` first.")
        if names:
            languages = {name: languages[name] for name in dict.fromkeys(names)}
            editions = [edition for edition in editions if edition.corpus in languages]
        chosen = choose(editions, languages, only)
        return Scope(
            tuple(languages),
            frozenset(languages.values()),
            tuple(edition.key for edition in chosen) if len(chosen) < len(editions) else (),
        )

    async def is_foreign(self) -> bool:
        """Whether what serves was embedded with another model than the local one."""
        return (await self._indexes.serving()).fingerprint.embedding != LOCAL_MODEL

    async def release(self) -> str | None:
        """The name of the release that serves; None before anything was ingested."""
        index = await self._indexes.find()
        return None if index is None else index.collection


def checked_query(text: str) -> str:
    """The text without surrounding white space; raises `InvalidInput` when empty or too long."""
    # What a terminal passes on undecoded is no character, and no database takes it, nor all NUL.
    stripped = text.strip().encode(errors="replace").decode().replace("\0", "\ufffd")
    if not stripped:
        raise InvalidInput("The question is empty: say what you are looking for.")
    if len(stripped) > LONGEST_QUERY:
        raise InvalidInput(
            f"The question has {len(stripped):,} characters; at most {LONGEST_QUERY:,} are read."
        )
    return stripped

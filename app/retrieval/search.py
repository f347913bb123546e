"""Passages for a query: what REST, CLI, notebook and the chat engine search with."""

import logging
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import MappingProxyType

from app.blocking import running_loop
from app.paths import passage_without_path
from app.retrieval.deduplication import distinct, without_repeats
from app.retrieval.filters import choose
from storage.domain import LOCAL, RIGHTS, Attempt, Calibration, Metadata, Passage, Principal
from storage.embeddings.local import LOCAL_MODEL
from storage.errors import InvalidInput, ModelUnavailable, NotFound
from storage.index.releases import Indexes
from storage.logs import log_failure
from storage.rerankers.cohere import Reranker
from storage.sql.commit_cache import CommitCache
from storage.sql.database import Database, Session, retried
from storage.sql.repositories.corpora import Corpora

_log = logging.getLogger("ibid.search")

LONGEST_QUERY = 4_000
MOST_PASSAGES = 100
PASSAGES_READ = 8
"""How many passages a question is answered from."""
_OVERTAKING = 20
"""How far down a peer-reviewed passage may stand that comes in front of others."""
_COPIES = 3
"""How many times as many a second search finds, where a first one found repeats."""
_ANYONE = Principal(name="", rights=RIGHTS["reader"])
"""Listed by no corpus."""
NO_FILTER: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Scope:
    """The corpora a query may find passages in, known to exist and to be open to who asks."""

    corpora: tuple[str, ...]
    languages: frozenset[str]
    editions: tuple[str, ...] = ()
    """Keys of those it is confined to; none when there is nothing to confine."""
    peer_review: Mapping[str, float] = field(default_factory=dict[str, float])
    """What a peer-reviewed source gains, in the corpora that ask for it."""
    calibrations: Mapping[tuple[str, str], Calibration] = field(
        default_factory=dict[tuple[str, str], Calibration]
    )
    """By corpus and release."""
    tells_paths: bool = False
    """Whether addresses of files on the server are told: to admins."""


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
        self._scopes = CommitCache[Scope](database)
        self._listing = CommitCache[bool](database)
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
        depth = limit + _OVERTAKING if scope.peer_review else limit
        if self._reranker is None:
            passages = await self._found(scope, query, depth, keywords)
            deeper = min(_COPIES * depth, MOST_PASSAGES)
            if distinct(passages) < limit and len(passages) == depth < deeper:
                passages = await self._found(scope, query, deeper, keywords)
            return without_repeats(_preferring(passages, scope.peer_review), limit), None
        passages = await self._found(scope, query, max(depth, self._reranker.depth), keywords)
        skipped: Attempt | None = None
        try:
            passages = await self._reranker.rerank(query, passages)
        except ModelUnavailable as error:
            skipped = Attempt(model=self._reranker.model, error=str(error))
            log_failure(_log, "rerank_skipped", error, {"model": skipped.model})
        return without_repeats(_preferring(passages, scope.peer_review), limit), skipped

    async def _found(
        self, scope: Scope, query: str, limit: int, keywords: Mapping[str, float] | None
    ) -> list[Passage]:
        wanted = (query, scope.corpora, scope.languages, limit, scope.editions, keywords)
        try:
            found = await (await self._indexes.serving()).search(*wanted)
        except NotFound:  # another process has flipped, and dropped the release we knew
            index = await self._indexes.find()
            if index is None:
                raise
            found = await index.search(*wanted)
        return found if scope.tells_paths else [passage_without_path(one) for one in found]

    async def scope(self, names: Sequence[str], only: Mapping[str, str] = NO_FILTER) -> Scope:
        """Raises `NotFound` when one of them, or any at all, is missing; `InvalidInput` by `only`."""
        if not self._scopes.keeps:
            return await self._read_scope(self.principal, names, only)
        is_listed = await self._listing.get("any", self._is_any_listed)
        # Where all corpora are public, whoever may ask sees the same: what anyone at all may see.
        # But for paths, which are told to admins.
        is_anyone = self.principal.rights and not self.principal.is_admin and not is_listed
        reader = _ANYONE if is_anyone else self.principal
        key = (reader, *names, *sorted(only.items()))
        return await self._scopes.get(key, lambda: self._read_scope(reader, names, only))

    @retried
    async def _is_any_listed(self) -> bool:
        async with self._database.reading() as session:
            return await Corpora(session).is_any_listed()

    @retried
    async def _read_scope(
        self, reader: Principal, names: Sequence[str], only: Mapping[str, str]
    ) -> Scope:
        async with self._database.reading() as session:
            return await self.acting_for(reader).scope_in(session, names, only)

    async def scope_in(
        self, session: Session, names: Sequence[str], only: Mapping[str, str] = NO_FILTER
    ) -> Scope:
        """The same, in a transaction that has more to read."""
        repository = Corpora(session, self.principal)
        corpora, editions = await repository.editions()
        for name in set(names) - corpora.keys():
            await repository.get(name)
        if not corpora:
            raise NotFound("corpus", "default", "Run `ibid ingest PATH` first.")
        if names:
            corpora = {name: corpora[name] for name in dict.fromkeys(names)}
            editions = [edition for edition in editions if edition.corpus in corpora]
        languages = {name: corpus.language for name, corpus in corpora.items()}
        chosen = choose(editions, languages, only)
        return Scope(
            tuple(languages),
            frozenset(languages.values()),
            tuple(edition.key for edition in chosen) if len(chosen) < len(editions) else (),
            {name: c.peer_review_weight for name, c in corpora.items() if c.peer_review_weight},
            {(name, key): one for name, c in corpora.items() for key, one in c.measured.items()},
            self.principal.is_admin,
        )

    async def is_foreign(self) -> bool:
        """Whether what serves was embedded with another model than the local one."""
        return (await self._indexes.serving()).fingerprint.embedding != LOCAL_MODEL

    async def release(self) -> str | None:
        """The name of the release that serves; None before anything was ingested."""
        index = await self._indexes.find()
        return None if index is None else index.collection


def _preferring(passages: list[Passage], weights: Mapping[str, float]) -> list[Passage]:
    """Peer-reviewed ones before their equals; scores stay in [0, 1], and stay in order."""
    if not weights:
        return passages
    whole = 1 + max(weights.values())
    weighed: list[Passage] = []
    for passage in passages:
        gain = weights.get(passage.corpus, 0.0) if is_peer_reviewed(passage.metadata) else 0.0
        score = ((passage.score or 0.0) + gain) / whole
        weighed.append(passage.model_copy(update={"score": score}))
    return sorted(weighed, key=lambda passage: -(passage.score or 0.0))


def is_peer_reviewed(metadata: Metadata) -> bool:
    """Whether a source says so of itself."""
    return str(metadata.get("peer_reviewed", "")).lower() in ("true", "yes", "1")


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

"""Search for the passages of a query; used by REST, CLI, notebooks and the chat engine."""

import logging
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from types import MappingProxyType

from app.async_to_sync import running_loop
from app.path_redaction import passage_without_path
from app.retrieval.deduplication import count_distinct, deduplicate
from app.retrieval.filters import choose_editions
from app.retrieval.request import MAX_PASSAGES, SearchRequest
from storage.domain import LOCAL, RIGHTS, Attempt, Calibration, Metadata, Passage, Principal
from storage.errors import ModelUnavailable, NotFound
from storage.index.passages import Selection
from storage.index.releases import Indexes
from storage.logs import log_failure
from storage.rerankers import Reranker
from storage.sql.commit_cache import CommitCache
from storage.sql.database import Database, Session, retry_on_lost_connection
from storage.sql.repositories.corpora import Corpora

_log = logging.getLogger("ibid.search")

PASSAGES_PER_ANSWER = 8
"""Number of passages from which a question is answered."""
_EXTRA_PASSAGES = 20
"""Number of passages below the limit that are also read, so that peer-reviewed ones can move up."""
_DEEPER_FACTOR = 3
"""Factor by which a second search reads more passages, if too many of the first were repeats."""
_ANY_READER = Principal(name="", rights=RIGHTS["reader"])
"""A reader whom no corpus lists."""
NO_FILTER: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Scope(Selection):
    """What a query searches: corpora that exist and that the user may read."""

    peer_review: Mapping[str, float] = field(default_factory=dict[str, float])
    """Score bonus of peer-reviewed sources by corpus, for the corpora that set one."""
    calibrations: Mapping[tuple[str, str], Calibration] = field(
        default_factory=dict[tuple[str, str], Calibration]
    )
    """The calibrations by corpus and release."""
    may_see_paths: bool = False
    """Whether the user may see paths of files on the server; only admins may."""


class Search:
    """A hybrid search over the named corpora, or over all that the user may read."""

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
        self._is_listed_cache = CommitCache[bool](database)
        self.principal = principal
        self.loop = running_loop()
        """The event loop on which the services run."""

    def acting_for(self, principal: Principal) -> "Search":
        """Return a copy of this search that acts for another user, in the corpora that they may read."""
        other = copy(self)
        other.principal = principal
        return other

    async def passages(self, request: SearchRequest | str) -> list[Passage]:
        """Return passages, best first; raise `InvalidInput`, or `NotFound` for a corpus that does not exist.

        A plain text is a query with the default options.
        """
        self.principal.require("ask")
        request = SearchRequest.of(request)
        return await self.search_scope(await self.scope(request.corpora, request.filter), request)

    async def search_scope(self, scope: Scope, request: SearchRequest) -> list[Passage]:
        """Return passages for a validated request whose scope is known, best first."""
        passages, _ = await self.search_ranked(scope, request)
        return passages

    async def search_ranked(
        self, scope: Scope, request: SearchRequest
    ) -> tuple[list[Passage], Attempt | None]:
        """Return the passages of `search_scope` and, if the reranker failed, its failed attempt.

        After such a failure, the passages keep the order of the hybrid search.
        """
        limit = request.limit
        depth = limit + _EXTRA_PASSAGES if scope.peer_review else limit
        if self._reranker is None:
            passages = await self._search_index(scope, request, depth)
            deeper = min(_DEEPER_FACTOR * depth, MAX_PASSAGES)
            if count_distinct(passages) < limit and len(passages) == depth < deeper:
                passages = await self._search_index(scope, request, deeper)
            return deduplicate(_boost_peer_reviewed(passages, scope.peer_review), limit), None
        passages = await self._search_index(scope, request, max(depth, self._reranker.depth))
        skipped: Attempt | None = None
        try:
            passages = await self._reranker.rerank(request.query, passages)
        except ModelUnavailable as error:
            skipped = Attempt(model=self._reranker.model, error=str(error))
            log_failure(_log, "rerank_skipped", error, {"model": skipped.model})
        return deduplicate(_boost_peer_reviewed(passages, scope.peer_review), limit), skipped

    async def _search_index(
        self, scope: Scope, request: SearchRequest, depth: int
    ) -> list[Passage]:
        query, keywords = request.query, request.keywords
        try:
            serving = await self._indexes.serving()
            found = await serving.search(query, scope, depth, keywords)
        except NotFound:  # another process has switched releases and deleted the one we knew
            index = await self._indexes.find()
            if index is None:
                raise
            found = await index.search(query, scope, depth, keywords)
        return found if scope.may_see_paths else [passage_without_path(one) for one in found]

    async def scope(self, names: Sequence[str], filters: Mapping[str, str] = NO_FILTER) -> Scope:
        """Return the scope of the named corpora, or of all if none is named.

        Raises `NotFound` when a named corpus is missing or there are none, `InvalidInput` for a bad filter.
        """
        if not self._scopes.is_enabled:
            return await self._read_scope(self.principal, names, filters)
        is_listed = await self._is_listed_cache.get("any", self._is_any_listed)
        # If all corpora are public, all users share one cached scope, except admins, who see paths.
        is_anyone = self.principal.rights and not self.principal.is_admin and not is_listed
        reader = _ANY_READER if is_anyone else self.principal
        key = (reader, *names, *sorted(filters.items()))
        return await self._scopes.get(key, lambda: self._read_scope(reader, names, filters))

    @retry_on_lost_connection
    async def _is_any_listed(self) -> bool:
        async with self._database.read_transaction() as session:
            return await Corpora(session).is_any_listed()

    @retry_on_lost_connection
    async def _read_scope(
        self, reader: Principal, names: Sequence[str], filters: Mapping[str, str]
    ) -> Scope:
        async with self._database.read_transaction() as session:
            return await self.acting_for(reader).scope_in(session, names, filters)

    async def scope_in(
        self, session: Session, names: Sequence[str], filters: Mapping[str, str] = NO_FILTER
    ) -> Scope:
        """Return the scope as `scope` does, uncached, with reads in the caller's session."""
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
        chosen = choose_editions(editions, languages, filters)
        return Scope(
            tuple(languages),
            frozenset(languages.values()),
            tuple(edition.key for edition in chosen) if len(chosen) < len(editions) else (),
            {name: c.peer_review_weight for name, c in corpora.items() if c.peer_review_weight},
            {
                (name, key): one
                for name, c in corpora.items()
                for key, one in c.calibrations_by_release.items()
            },
            self.principal.is_admin,
        )

    async def uses_foreign_embedding(self) -> bool:
        """Return whether the serving release was embedded with a model other than the local one."""
        return not (await self._indexes.serving()).fingerprint.is_local

    async def serving_release(self) -> str | None:
        """Return the name of the serving release; None before anything was ingested."""
        index = await self._indexes.find()
        return None if index is None else index.collection


def _boost_peer_reviewed(passages: list[Passage], weights: Mapping[str, float]) -> list[Passage]:
    """Raise the scores of peer-reviewed passages and sort by score; scores stay in [0, 1]."""
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
    """Return whether a source's own metadata says that it is peer-reviewed."""
    return str(metadata.get("peer_reviewed", "")).lower() in ("true", "yes", "1")

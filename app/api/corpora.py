"""Endpoints for corpora, the named sets of sources."""

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.corpora.service import CorpusService, CorpusSummary
from storage.domain import Value


class NewCorpus(Value):
    """A new corpus. `base_url` is the prefix of every page's URL; `language` is an ISO 639 code."""

    name: str
    base_url: str | None = None
    language: str = "en"


class Readers(Value):
    """The readers of a corpus: a list of `user:NAME` and `group:NAME`, or null for everyone who can ask."""

    readers: tuple[str, ...] | None


class PeerReview(Value):
    """How much the score of a source with `peer_reviewed` in its metadata rises, from 0 to 1."""

    weight: float


class CorpusList(Value):
    """Corpora, sorted by name."""

    corpora: tuple[CorpusSummary, ...]


class CorpusController(Controller):
    """`/api/v1/corpora`."""

    path = "/corpora"
    tags = ("corpora",)

    @get("/", summary="List corpora")
    async def all(self, library: NamedDependency[CorpusService]) -> CorpusList:
        """List corpora with their numbers of searchable sources and passages."""
        return CorpusList(corpora=tuple(await library.corpora()))

    @post("/", summary="Create a corpus")
    async def create(
        self, data: JSONBody[NewCorpus], library: NamedDependency[CorpusService]
    ) -> CorpusSummary:
        """Create an empty corpus."""
        return await library.create(data.name, data.base_url, data.language)

    @put("/{name:str}/readers", summary="Set who can read a corpus", opt={"right": "admin"})
    async def open_to(
        self, name: FromPath[str], data: JSONBody[Readers], library: NamedDependency[CorpusService]
    ) -> CorpusSummary:
        """Set who may read a corpus, from the next request on.

        Answers that quote the corpus are withheld from everyone else.
        """
        return await library.set_readers(name, data.readers)

    @put("/{name:str}/peer-review", summary="Prefer peer-reviewed sources")
    async def prefer_peer_reviewed(
        self,
        name: FromPath[str],
        data: JSONBody[PeerReview],
        library: NamedDependency[CorpusService],
    ) -> CorpusSummary:
        """Rank peer-reviewed sources higher. Answers then say which claims rest on other sources."""
        return await library.set_peer_review_weight(name, data.weight)

    @delete("/{name:str}", summary="Delete a corpus")
    async def remove(self, name: FromPath[str], library: NamedDependency[CorpusService]) -> None:
        """Delete a corpus with everything in it."""
        await library.delete(name)

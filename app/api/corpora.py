"""Corpora: named sets of sources."""

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from app.corpora.service import CorpusSummary, Library
from storage.domain import Value


class NewCorpus(Value):
    """`base_url` is put before every page's route; `language` is an ISO 639 code."""

    name: str
    base_url: str | None = None
    language: str = "en"


class Readers(Value):
    """Who may read a corpus: `user:NAME`s and `group:NAME`s; null for everyone who may ask."""

    readers: tuple[str, ...] | None


class PeerReview(Value):
    """What a source whose metadata says `peer_reviewed` gains in a score, from 0 to 1."""

    weight: float


class Shelves(Value):
    """Corpora by name."""

    corpora: tuple[CorpusSummary, ...]


class CorpusController(Controller):
    """`/api/v1/corpora`."""

    path = "/corpora"
    tags = ("corpora",)

    @get("/", summary="List corpora")
    async def all(self, library: NamedDependency[Library]) -> Shelves:
        """With how many sources and passages serve."""
        return Shelves(corpora=tuple(await library.corpora()))

    @post("/", summary="Create a corpus")
    async def create(
        self, data: JSONBody[NewCorpus], library: NamedDependency[Library]
    ) -> CorpusSummary:
        """Empty until something is ingested into it."""
        return await library.create(data.name, data.base_url, data.language)

    @put("/{name:str}/readers", summary="Say who may read a corpus", opt={"right": "admin"})
    async def open_to(
        self, name: FromPath[str], data: JSONBody[Readers], library: NamedDependency[Library]
    ) -> CorpusSummary:
        """From the next request on; answers that quote it are withheld from all others."""
        return await library.open_to(name, data.readers)

    @put("/{name:str}/peer-review", summary="Prefer peer-reviewed sources")
    async def prefer_peer_reviewed(
        self, name: FromPath[str], data: JSONBody[PeerReview], library: NamedDependency[Library]
    ) -> CorpusSummary:
        """Among equals; and answers say which claims rest on others."""
        return await library.prefer_peer_reviewed(name, data.weight)

    @delete("/{name:str}", summary="Delete a corpus")
    async def remove(self, name: FromPath[str], library: NamedDependency[Library]) -> None:
        """With everything in it."""
        await library.delete(name)

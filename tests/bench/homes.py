"""Home folders of Ibid for benchmarks, always with local providers, whatever the environment sets."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from app.providers.embeddings import configured_fingerprint
from app.settings import Settings
from app.wiring import Services, open_services
from pipelines.ingestion.transformations import text_to_embed
from storage.domain import Passage
from storage.embeddings.local import LocalEmbedding
from storage.index.embedded.files import is_locked
from storage.index.passages import PassageIndex
from storage.index.releases import ALIAS
from tests.bench.generator import GeneratedPage

CORPUS = "bench"
_PASSAGES_A_SOURCE = 250
_STAGED = 2_000


@dataclass
class Options:
    """Options of a benchmark; None selects its default."""

    scratch: Path
    """An empty folder that is removed after the benchmark."""
    passages: int | None = None
    folder: Path | None = None
    rounds: int | None = None
    record: bool = False
    """Whether `counts` replaces its record instead of comparing with it."""
    say: Callable[[str], None] = field(default=lambda _: None)
    """Called with progress messages."""


def settings(home: Path) -> Settings:
    """Return settings with local providers and all files in `home`."""
    return Settings(
        _env_file=None,  # pyright: ignore[reportCallIssue]
        ibid_home=home,
        database_url=None,
        qdrant_url=None,
        embedding="local",
        llm="extractive",
    )


@asynccontextmanager
async def open_home(home: Path) -> AsyncGenerator[Services]:
    """Open a home's services with the embedding model loaded; wait for the engine's exit at the end."""
    try:
        async with open_services(settings(home)) as services:
            LocalEmbedding().get_text_embedding("warm")
            gc.collect()
            gc.freeze()  # as the server does
            yield services
    finally:
        await wait_for_engine_exit(settings(home).index_folder)


async def wait_for_engine_exit(index: Path) -> None:
    """Wait until no engine process holds the index."""
    while is_locked(index):  # noqa: ASYNC110 - a lock tells nobody
        await asyncio.sleep(0.01)


async def stage(services: Services, pages: Iterable[GeneratedPage]) -> int:
    """Fill the index of an empty home with passages, without files or SQL; return their number."""
    await services.library.create(CORPUS, "https://docs.example.com", "en")
    index = await services.indexes.create(configured_fingerprint(settings(Path())))
    await services.indexes.switch_to(index)
    count, some = 0, list[Passage]()
    for passage in _passages(pages):
        some.append(passage)
        count += 1
        if len(some) == _STAGED:
            await _publish(index, some)
            some = []
    await _publish(index, some)
    return count


async def fill(home: Path, pages: Iterable[GeneratedPage]) -> int:
    """Create a home with the pages' passages, optimized as after an ingestion; return their number."""
    async with open_home(home) as services:
        count = await stage(services, pages)
        if await services.indexes.engine.is_slow(ALIAS):
            await services.indexes.engine.optimize(ALIAS)
    return count


async def _publish(index: PassageIndex, passages: list[Passage]) -> None:
    texts = [text_to_embed(passage.section, passage.text) for passage in passages]
    vectors = index.embedding.get_text_embedding_batch(texts)
    await index.stage(passages, vectors, "en")
    await index.publish((source, 1) for source in {p.source_id for p in passages})


def _passages(pages: Iterable[GeneratedPage]) -> Iterable[Passage]:
    source, ordinal = uuid4(), 0
    for page in pages:
        for section, text in page.passages:
            if ordinal == _PASSAGES_A_SOURCE:
                source, ordinal = uuid4(), 0
            yield _passage(source, ordinal, page, section, text)
            ordinal += 1


def _passage(
    source: UUID, ordinal: int, page: GeneratedPage, section: tuple[str, ...], text: str
) -> Passage:
    return Passage(
        id=Passage.make_id(source, 1, ordinal),
        source_id=source,
        corpus=CORPUS,
        version=1,
        ordinal=ordinal,
        title=page.title,
        section=section,
        url=f"https://docs.example.com/{page.path}#{section[-1].lower().replace(' ', '-')}",
        text=text,
        start=0,
        end=len(text),
    )

"""Ingestion compared with the work that no ingestion can avoid: embedding, BM25 and writing to the engine."""

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pipelines.ingestion.diff
import pipelines.ingestion.service
import pipelines.ingestion.writer
import storage.index.passages
from pipelines.ingestion.service import Ingestion
from pipelines.ingestion.transformations import EmbedNew, SectionSplitter
from pipelines.ingestion.writer import PassageWriter
from storage.embeddings.local import DIMENSION, LocalEmbedding
from storage.index.bm25.encoder import encode_document
from storage.index.embedded.client import EngineClient, open_embedded
from storage.index.embedded.engine import EmbeddedEngine
from storage.index.engine import Point, Record, Schema
from storage.index.passages import PassageIndex
from storage.index.releases import ALIAS
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import CORPUS, Options, open_home, wait_for_engine_exit
from tests.bench.timing import Samples, Stopwatch, ratio, time_alternately, time_awaitable

LIMIT, UNCHANGED_LIMIT, CHANGED_LIMIT = 1.5, 5.0, 3.0
PASSAGES, ROUNDS = 5_000, 5

_BATCH = 128
_SCHEMA = Schema(DIMENSION, ["corpus", "source_id", "state"], ["version"])
_PHASES = {
    "looking for changes": [
        (pipelines.ingestion.service, "find_files"),
        (pipelines.ingestion.service, "compare"),
    ],
    "creating the index": [(Ingestion, "_get_or_create_index")],
    "reading": [(pipelines.ingestion.diff, "read_all")],
    "splitting, nodes": [(SectionSplitter, "__call__")],
    "embedding": [(LocalEmbedding, "_get_text_embeddings")],
    "LlamaIndex's pipeline": [
        (pipelines.ingestion.writer.IngestionPipeline, "arun"),
        (EmbedNew, "acall"),
    ],
    "passages, points": [(PassageWriter, "embed"), (PassageIndex, "stage")],
    "BM25": [(storage.index.passages, "encode_document")],
    "upsert": [(EngineClient, "upsert")],
    "publish": [(EngineClient, "apply")],
    "SQL": [(Ingestion, name) for name in ("_record", "_corpus", "_recovered", "_prune")],
}
"""Functions by phase. Some are private: the time of one that no longer exists counts as "the rest"."""


@dataclass
class IngestBench:
    """The tasks that are compared, each with its own home."""

    folder: Path
    homes: Iterator[Path]
    is_ours: bool
    records: list[Record] = field(default_factory=list)
    unchanged: Samples = field(default_factory=Samples)
    """Seconds of a second ingestion of the unchanged folder."""
    changed: Samples = field(default_factory=Samples)
    """Seconds of an ingestion after a change in one percent of the files, for generated folders only."""

    async def ingest(self, _: int) -> float:
        """Return the seconds of the first ingestion, without loading the embedding model."""
        home = next(self.homes)
        async with open_home(home) as services:
            first = await time_awaitable(services.ingestion.run([self.folder], CORPUS))
            self.unchanged.seconds.append(
                await time_awaitable(services.ingestion.run([self.folder], CORPUS))
            )
            if self.is_ours:
                self._change()
                once_more = services.ingestion.run([self.folder], CORPUS)
                self.changed.seconds.append(await time_awaitable(once_more))
            if not self.records:
                self.records = await services.indexes.engine.scan(ALIAS, {})
        shutil.rmtree(home)
        return first

    def _change(self) -> None:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        for path in files[:: len(files) // max(len(files) // 100, 1)]:
            path.write_text(f"{path.read_text()}\n\nOne more line, at {time.time_ns()}.\n")

    async def write_in_process(self, _: int) -> float:
        """Return the seconds to encode and write the same passages with an engine in this process."""
        home = next(self.homes)
        engine = EmbeddedEngine(home)
        engine.create(CORPUS, _SCHEMA)
        embedding = _warm_embedding()
        started = time.perf_counter()
        for points in _points(self.records, embedding):
            engine.upsert(CORPUS, points)
        elapsed = time.perf_counter() - started
        engine.close()
        shutil.rmtree(home)
        return elapsed

    async def write_by_engine_process(self, _: int) -> float:
        """Return the seconds to encode and write the same passages by the engine's process, as in Ibid."""
        home = next(self.homes)
        embedding = _warm_embedding()
        async with open_embedded(home) as engine:
            await engine.create(CORPUS, _SCHEMA)
            started = time.perf_counter()
            for points in _points(self.records, embedding):
                await engine.upsert(CORPUS, points)
            elapsed = time.perf_counter() - started
        await wait_for_engine_exit(home)
        shutil.rmtree(home)
        return elapsed

    async def phases(self) -> dict[str, float]:
        """Return the seconds of one more ingestion by phase; the measurement makes it slightly slower."""
        watch = Stopwatch()
        async with open_home(next(self.homes)) as services:
            with watch.watch(_PHASES | {"the rest": [(Ingestion, "run")]}):
                await services.ingestion.run([self.folder], CORPUS)
        return watch.seconds


async def run(options: Options) -> Result:
    """Measure ratios of whole runs, each into a new home; imports are excluded."""
    homes = (options.scratch / f"home{number}" for number in count())
    work = IngestBench(_folder(options), homes, options.folder is None)
    options.say("warming up")
    await work.ingest(-1)
    work.unchanged.seconds.clear()
    work.changed.seconds.clear()
    options.say("ingesting, and writing the same passages bare, in turns")
    rounds = options.rounds or ROUNDS
    taken = await time_alternately(
        rounds,
        warm_up=0,
        ours=work.ingest,
        bare=work.write_in_process,
        shared=work.write_by_engine_process,
    )
    ours, bare = taken["ours"], taken["bare"]
    passages, where = len(work.records), options.folder or "generated"
    files = len({record.payload["source_id"] for record in work.records})
    result = Result("ingest", f"{passages:,} passages of {files:,} files, {where}, {rounds} rounds")
    result.add("ingest / (embedding + BM25 + upsert)", ratio(ours, bare), "x", LIMIT)
    result.add("the same, upserting by the engine's process", ratio(ours, taken["shared"]), "x")
    unchanged = 100 * ratio(work.unchanged, ours)
    result.add("no change / first", unchanged, "%", UNCHANGED_LIMIT)
    if work.changed.seconds:
        changed = 100 * ratio(work.changed, ours)
        result.add("one file of a hundred changed / first", changed, "%", CHANGED_LIMIT)
    result.add("passages a second", passages / ours.median, "/s")
    result.add_times("ingest", ours)
    result.add_times("no-change re-ingest", work.unchanged)
    result.add_times("embedding + BM25 + upsert", bare)
    options.say("once more, with a stopwatch in it")
    for phase, taken_by in sorted((await work.phases()).items(), key=lambda item: -item[1]):
        result.add(phase, 1e3 * taken_by, "ms", part=True)
    return result


def _folder(options: Options) -> Path:
    if options.folder:
        return options.folder
    pages = generator.pages(options.passages or PASSAGES)
    return generator.write([*pages], options.scratch / "docs")


def _warm_embedding() -> LocalEmbedding:
    embedding = LocalEmbedding()
    embedding.get_text_embedding("warm")
    return embedding


def _points(records: Sequence[Record], embedding: LocalEmbedding) -> Iterator[list[Point]]:
    """Encode the passages with their headings, as Ibid does, and yield them in batches."""
    for start in range(0, len(records), _BATCH):
        some = records[start : start + _BATCH]
        texts = [f"{record.payload['section']}\n\n{record.payload['text']}" for record in some]
        keywords = [
            f"{record.payload['title']}\n{text}" for record, text in zip(some, texts, strict=True)
        ]
        vectors = embedding.get_text_embedding_batch(texts)
        yield [
            Point(record.id, vector, encode_document(words, "en"), record.payload)
            for record, vector, words in zip(some, vectors, keywords, strict=True)
        ]

"""Estimate of the cost of an ingestion. Files are read and split, but not embedded or written."""

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.ingestion.diff import SourceChange, SourceFailure, batches, compare, read_all
from pipelines.ingestion.discovery import assign_roots, find_files
from pipelines.ingestion.service import Progress
from pipelines.ingestion.splitting import split_document
from pipelines.readers.sandbox.pool import ReaderPool
from storage.domain import Value
from storage.sql.tables import Corpus

_TEXTS_PER_CALL = 96
"""Maximum number of texts in one call to Cohere."""
_BYTES_PER_TOKEN = 4
"""Bytes of UTF-8 per token, approximately."""
# Bytes of a point besides its text: names and values of the other fields, ids, index entries.
_PAYLOAD_BYTES = 600
_ROW_BYTES = 1_000
# In Qdrant, the graph adds half of the vectors' memory, and other indexes add a kilobyte per point;
# payloads and sparse vectors are stored twice on disk, because the log has a copy.
_GRAPH_FACTOR = 1.5
_INDEX_BYTES = 1_000
_KEPT_RELEASES = 2

_MEGABYTE = 1_000_000
_GIGABYTE = 1_000 * _MEGABYTE


class Fit(Value):
    """A required amount and the limit of a free plan (from the vendors' pages, November 2026)."""

    plan: str
    what: str
    needed: int
    limit: int

    @property
    def fits(self) -> bool:
        """Whether the plan is sufficient."""
        return self.needed <= self.limit


class Plan(Value):
    """The cost of an ingestion. Counts are exact; bytes and tokens are estimates, accurate to about 20 %."""

    sources: int
    failed: tuple[SourceFailure, ...]
    passages: int
    tokens: int
    """Number of tokens to send to a hosted embedding."""
    embedding_calls: int
    """Number of calls with at most 96 texts each, batched as in an ingestion."""
    dimension: int
    points: int
    memory_float32: int
    """Bytes of memory for full vectors; `memory_int8` is for `VECTORS_INT8` with the originals on disk."""
    memory_int8: int
    disk: int
    sql: int
    fits: tuple[Fit, ...]

    @property
    def is_free(self) -> bool:
        """Whether the free plans are sufficient, with the smaller vectors if necessary."""
        memory = [fit.fits for fit in self.fits if "memory" in fit.what]
        return any(memory) and all(fit.fits for fit in self.fits if "memory" not in fit.what)


class _Totals:
    """Running totals of the files read so far."""

    def __init__(self) -> None:
        self.sources = self.passages = self.embedded = self.calls = 0
        self.payload = self.text = 0

    def add(self, changes: Sequence[SourceChange]) -> None:
        """Add a batch, split as an ingestion would split it, and release its texts."""
        before = self.passages
        for change in changes:
            document = change.document
            if document is None:
                continue
            self.sources += 1
            self.text += _size(document.text)
            details = _size(json.dumps(document.metadata, default=str))
            for cut in split_document(document):
                path = " > ".join(document.sections[cut.section].path)
                text = _size(document.text[cut.start : cut.end])
                self.passages += 1
                self.embedded += _size(path) + text
                self.payload += _size(path) + text + details + _PAYLOAD_BYTES
            change.document = None
        self.calls += math.ceil((self.passages - before) / _TEXTS_PER_CALL)


async def plan(paths: Sequence[Path], dimension: int, progress: Progress | None = None) -> Plan:
    """Estimate the ingestion of the paths into an empty index; raise `InvalidInput` for a missing path."""
    return await asyncio.to_thread(_plan, paths, dimension, progress or _ignore_progress)


def _plan(paths: Sequence[Path], dimension: int, progress: Progress) -> Plan:
    comparison = compare(assign_roots(find_files(paths), set()), {}, Corpus(name="plan"))
    failed, tally, done = comparison.failed, _Totals(), 0
    with ReaderPool() as readers:
        for batch in batches(comparison.changes):
            failed += read_all(batch, readers)
            tally.add(batch)
            done += len(batch)
            progress(done, len(comparison.changes))
    return _estimate(tally, dimension, failed)


def _estimate(tally: _Totals, dimension: int, failed: Sequence[SourceFailure]) -> Plan:
    points = tally.passages
    estimate = Plan(
        sources=tally.sources,
        failed=tuple(failed),
        passages=points,
        tokens=math.ceil(tally.embedded / _BYTES_PER_TOKEN),
        embedding_calls=tally.calls,
        dimension=dimension,
        points=points,
        memory_float32=int(points * (dimension * 4 * _GRAPH_FACTOR + _INDEX_BYTES)),
        memory_int8=int(points * (dimension * _GRAPH_FACTOR + _INDEX_BYTES)),
        disk=points * dimension * 5 + _KEPT_RELEASES * tally.payload,
        sql=tally.text + _ROW_BYTES * (tally.sources + 1),
        fits=(),
    )
    return estimate.model_copy(update={"fits": tuple(_fits(estimate))})


def _fits(estimate: Plan) -> Iterator[Fit]:
    qdrant, neon, cohere = "Qdrant Cloud", "Neon", "Cohere trial key"
    memory = "bytes of memory"
    yield Fit(
        plan=qdrant, what=f"{memory}, float32", needed=estimate.memory_float32, limit=_GIGABYTE
    )
    yield Fit(plan=qdrant, what=f"{memory}, int8", needed=estimate.memory_int8, limit=_GIGABYTE)
    yield Fit(plan=qdrant, what="bytes of disk", needed=estimate.disk, limit=4 * _GIGABYTE)
    yield Fit(plan=neon, what="bytes of SQL", needed=estimate.sql, limit=500 * _MEGABYTE)
    yield Fit(plan=cohere, what="calls in a month", needed=estimate.embedding_calls, limit=1_000)


def _size(text: str) -> int:
    return len(text.encode())


def _ignore_progress(_done: int, _total: int) -> None: ...

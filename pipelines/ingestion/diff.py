"""Detection of changed sources: those whose bytes, place or settings differ from the live version."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

from llama_index.core.schema import BaseNode, TextNode

from pipelines.ingestion.discovery import DiscoveredFile, UploadedFile
from pipelines.ingestion.splitting import split_document
from pipelines.readers import UNSUPPORTED, SourceDocument, load, size_limit
from pipelines.readers.registry import find_format
from pipelines.readers.sandbox.pool import FileRequest, ReaderPool
from pipelines.readers.sites.layout import SiteCache, SiteLocation
from storage.concurrency import prefetch
from storage.domain import Passage, SourceVersion, Value
from storage.errors import SourceUnreadable
from storage.sql.tables import Corpus, Source, SourceText

_BATCH_BYTES = 400_000
"""Approximate bytes of text in a batch; a batch is embedded, written and recorded together."""
# PDF and Office files are mostly fonts, pictures and markup: only this part of their size is text.
_MARKUP_SHARE = 4
# Maximum characters of text that `count_passages` keeps in memory; texts beyond it are read again later.
_MAX_KEPT_TEXT = 30_000_000
_DRAFT_REASON = "It is marked as a draft."


class SourceFailure(Value):
    """A file that could not be ingested; its earlier version stays live."""

    path: str
    reason: str


@dataclass(slots=True)
class SourceChange:
    """A new version of a source that is being ingested."""

    file: DiscoveredFile
    source: Source
    digest: str
    size: int
    is_new: bool
    """Whether the source has no live version yet."""
    location: SiteLocation
    """Looked up once per source, because a lookup for every passage would be too slow."""
    version: int = 1
    """The number of the new version; a new source begins with 1."""
    document: SourceDocument | None = None
    is_draft: bool = False
    """Whether the page declares itself a draft. Drafts are not published."""
    passages: list[Passage] = field(default_factory=list[Passage])
    vectors: list[list[float]] = field(default_factory=list[list[float]])

    @property
    def text(self) -> str:
        """The canonical text; empty until the file is read."""
        return self.document.text if self.document else ""

    @property
    def is_binary(self) -> bool:
        """Whether the file is of a binary format, whose size says little about its text."""
        kind = find_format(self.file.path.suffix)
        return kind is not None and kind.input_type == "bytes"

    def add_passage(self, node: BaseNode, corpus: Corpus) -> None:
        """Add a passage of the new version and its vector."""
        assert self.document is not None
        assert isinstance(node, TextNode)
        start, end = node.start_char_idx or 0, node.end_char_idx or 0
        anchor = node.metadata["anchor"]
        ordinal = len(self.passages)
        passage = Passage(
            id=Passage.make_id(self.source.id, self.version, ordinal),
            source_id=self.source.id,
            corpus=corpus.name,
            version=self.version,
            ordinal=ordinal,
            title=self.document.title,
            section=node.metadata["path"],
            page=node.metadata["page"],
            url=self.url(corpus) + (f"#{anchor}" if anchor else ""),
            text=node.text,
            start=start,
            end=end,
            code=tuple(
                (max(span[0], start), min(span[1], end))
                for span in self.document.code
                if span[0] < end and span[1] > start
            ),
            docs_version=self.location.version,
            locale=self.location.locale,
            metadata=self.document.metadata,
        )
        self.passages.append(passage)
        self.vectors.append(node.get_embedding())

    def url(self, corpus: Corpus) -> str:
        """Return the page's URL on the site, or without a base URL the address of the file itself.

        The URL of an uploaded file is a path of the API without a host, as the API may have several.
        """
        if corpus.base_url is None or self.document is None:
            if self.file.upload:
                return f"/api/v1/sources/{self.source.id}/original"
            return self.file.path.as_uri()
        return f"{corpus.base_url}/{self.document.route}"

    def to_version(self, corpus: Corpus) -> SourceVersion:
        """Return the entry for the release's manifest, to be recorded when the passages are live."""
        assert self.document is not None
        root = self.file.root
        return SourceVersion(
            version=self.version,
            digest=self.digest,
            title=self.document.title,
            url=self.url(corpus),
            passages=len(self.passages),
            root=root.as_posix() if root else None,
            docs_version=self.location.version,
            locale=self.location.locale,
        )

    def source_text(self, corpus: Corpus) -> SourceText:
        """Return the database row with the canonical text of the new version."""
        assert self.document is not None
        return SourceText(
            source_id=self.source.id,
            version=self.version,
            title=self.document.title,
            url=self.url(corpus),
            text=self.document.text,
            details=self.document.metadata,
        )


@dataclass(slots=True)
class SourceComparison:
    """The result of comparing files with the known sources."""

    changes: list[SourceChange] = field(default_factory=list[SourceChange])
    unchanged: int = 0
    failed: list[SourceFailure] = field(default_factory=list[SourceFailure])

    def move_to_failed(self, failed: Sequence[SourceFailure]) -> None:
        """Move changes that turned out to be unreadable to `failed`, so that they are not retried."""
        names = {failure.path for failure in failed}
        self.changes = [change for change in self.changes if change.file.name not in names]
        self.failed += failed

    @property
    def drafts(self) -> list[SourceChange]:
        """The changes that turned out to be drafts when they were read."""
        return [change for change in self.changes if change.is_draft]


def compare(
    found: Sequence[DiscoveredFile], known: Mapping[str, Source], corpus: Corpus
) -> SourceComparison:
    """Compare files with the known sources, given by location, by a hash of the files' bytes.

    Do not parse the files or keep their bytes.
    """
    comparison, sites = SourceComparison(), SiteCache()
    for file in found:
        if not _is_unicode(file.location):
            name = file.location.encode(errors="replace").decode()
            reason = "Its name is not valid Unicode. Rename it."
            comparison.failed.append(SourceFailure(path=name, reason=reason))
            continue
        source = known.get(file.location)
        try:
            data = load(file.path, size_limit(file.path.suffix))
        except SourceUnreadable as error:
            comparison.failed.append(SourceFailure(path=file.name, reason=str(error)))
            continue
        place = file.locate_on_site(sites)
        digest = _digest(data, file, place, corpus)
        if source is not None and source.digest == digest and source.removed_at is None:
            comparison.unchanged += 1
            continue
        if source is None:
            source_id = Source.make_id(corpus.id, file.location)
            source = Source(id=source_id, corpus=corpus.name, location=file.location)
        is_new = not source.is_live
        comparison.changes.append(SourceChange(file, source, digest, len(data), is_new, place))
    return comparison


def unsupported_failures(paths: Iterable[Path]) -> list[SourceFailure]:
    """Return a failure for each document whose format users may expect to work but is not supported."""
    return [
        SourceFailure(path=str(path), reason=UNSUPPORTED[path.suffix.lower()]) for path in paths
    ]


def changes_to_reread(
    sources: Iterable[Source], corpus: Corpus, copies: Mapping[UUID, UploadedFile]
) -> list[SourceChange]:
    """Return changes that read the sources again, without those whose file has changed or is gone.

    `copies` are the local copies of uploaded files.
    """
    changes: list[SourceChange] = []
    sites = SiteCache()
    for source in sources:
        file = DiscoveredFile(Path(source.location), Path(source.root) if source.root else None)
        if copy := copies.get(source.id):
            file = DiscoveredFile(copy.path, None, copy.name)
        with suppress(SourceUnreadable):
            data, place = load(file.path, size_limit(file.path.suffix)), file.locate_on_site(sites)
            digest = _digest(data, file, place, corpus)
            if digest == source.digest:
                changes.append(SourceChange(file, source, digest, len(data), False, place))
    return changes


def _is_unicode(name: str) -> bool:
    """Return whether the name is valid Unicode: file systems allow other names, databases do not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def batches(changes: Sequence[SourceChange]) -> Iterator[list[SourceChange]]:
    """Yield the changes in order, in batches of about `_BATCH_BYTES`."""
    batch: list[SourceChange] = []
    size = 0
    for change in changes:
        batch.append(change)
        size += change.size // _MARKUP_SHARE if change.is_binary else change.size
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def read_ahead(
    batches_to_read: Iterable[list[SourceChange]],
) -> AsyncGenerator[tuple[list[SourceChange], list[SourceFailure]]]:
    """Yield each batch after reading its files, with the failures; read the next batch meanwhile."""
    with ReaderPool() as readers:

        async def read(batch: list[SourceChange]) -> tuple[list[SourceChange], list[SourceFailure]]:
            return batch, await asyncio.to_thread(read_all, batch, readers)

        async with aclosing(prefetch(partial(read, batch) for batch in batches_to_read)) as reading:
            async for batch, failures in reading:
                yield batch, failures


async def count_passages(
    changes: Sequence[SourceChange], limit: int
) -> tuple[int, list[SourceFailure]]:
    """Return the number of passages in the changes, and the failures; stop at more than `limit` passages.

    Keep the texts for the later write, up to `_MAX_KEPT_TEXT` characters.
    """
    passages = kept = 0
    failures: list[SourceFailure] = []
    async with aclosing(read_ahead(batches(changes))) as reading:
        async for batch, failed in reading:
            failures += failed
            passages += await asyncio.to_thread(_count_passages, batch)
            kept += sum(len(change.text) for change in batch)
            if passages > limit:
                break
            if kept > _MAX_KEPT_TEXT:
                for change in batch:
                    change.document = None
    return passages, failures


def _count_passages(changes: Sequence[SourceChange]) -> int:
    return sum(len(split_document(change.document)) for change in changes if change.document)


def read_all(changes: Sequence[SourceChange], readers: ReaderPool) -> list[SourceFailure]:
    """Read the files that are not read yet, and return the failures with their reasons.

    A draft is a failure only in an upload: in a folder, drafts are expected.
    """
    failures: list[SourceFailure] = []
    unread = [change for change in changes if change.document is None and not change.is_draft]
    requests = [FileRequest(c.file.path, c.file.relative, c.size) for c in unread]
    for change, outcome in zip(unread, readers.read(requests), strict=True):
        if isinstance(outcome, SourceUnreadable):
            failures.append(SourceFailure(path=change.file.name, reason=str(outcome)))
        elif outcome.is_draft:
            change.is_draft = True
            if change.file.upload:
                failures.append(SourceFailure(path=change.file.name, reason=_DRAFT_REASON))
        else:
            change.document = outcome
    return failures


def _digest(data: bytes, file: DiscoveredFile, place: SiteLocation, corpus: Corpus) -> str:
    """Return a hash of the bytes and of everything else that determines the passages and their links."""
    route = (file.relative.as_posix(), place.digest_text)
    made_from = (corpus.base_url or "", corpus.language, *route)
    return hashlib.sha256("\0".join(made_from).encode() + b"\0" + data).hexdigest()

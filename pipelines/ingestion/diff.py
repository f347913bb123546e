"""What is new since the last time: sources whose bytes, place or reader differ from what serves."""

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
from pipelines.ingestion.splitting import split
from pipelines.readers import UNREAD, SourceDocument, largest, load
from pipelines.readers.registry import FORMATS
from pipelines.readers.sandbox.pool import FileRequest, ReaderPool
from pipelines.readers.sites.layout import SiteLocation, Sites
from storage.concurrency import ahead
from storage.domain import Passage, SourceVersion, Value
from storage.errors import SourceUnreadable
from storage.sql.tables import Corpus, Source, SourceText

_BATCH_BYTES = 400_000
"""Changes are embedded, written and recorded together up to about this many bytes of text."""
# PDF and Office files are mostly fonts, pictures and markup: the text of several makes a batch.
_MARKUP_SHARE = 4
# Characters of what was read before it is written; what comes after them is read once more.
_KEPT_TEXT = 30_000_000
_DRAFT = "It says of itself that it is a draft."


class SourceFailure(Value):
    """A file that could not be ingested; what served before still does."""

    path: str
    reason: str


@dataclass(slots=True)
class SourceChange:
    """A source on its way to a new version."""

    found: DiscoveredFile
    source: Source
    digest: str
    size: int
    is_new: bool
    """Not found by any search before this."""
    place: SiteLocation
    """Looked up once: for every passage it would cost more than the passage."""
    version: int = 1
    """The number it will have; a source that was not there before begins with 1."""
    reading: SourceDocument | None = None
    is_draft: bool = False
    """Not to be published, as it says itself: a page of a folder is as good as not there."""
    passages: list[Passage] = field(default_factory=list[Passage])
    vectors: list[list[float]] = field(default_factory=list[list[float]])

    @property
    def text(self) -> str:
        """The canonical text, once it was read."""
        return self.reading.text if self.reading else ""

    @property
    def is_binary(self) -> bool:
        """Whether its bytes are more than its text."""
        kind = FORMATS.get(self.found.path.suffix.lower())
        return kind is not None and kind.takes == "bytes"

    def take(self, node: BaseNode, corpus: Corpus) -> None:
        """One more passage of the new version, with its vector."""
        assert self.reading is not None
        assert isinstance(node, TextNode)
        start, end = node.start_char_idx or 0, node.end_char_idx or 0
        anchor = node.metadata["anchor"]
        ordinal = len(self.passages)
        passage = Passage(
            id=Passage.identify(self.source.id, self.version, ordinal),
            source_id=self.source.id,
            corpus=corpus.name,
            version=self.version,
            ordinal=ordinal,
            title=self.reading.title,
            section=node.metadata["path"],
            page=node.metadata["page"],
            url=self.url(corpus) + (f"#{anchor}" if anchor else ""),
            text=node.text,
            start=start,
            end=end,
            code=tuple(
                (max(span[0], start), min(span[1], end))
                for span in self.reading.code
                if span[0] < end and span[1] > start
            ),
            docs_version=self.place.version,
            locale=self.place.locale,
            metadata=self.reading.metadata,
        )
        self.passages.append(passage)
        self.vectors.append(node.get_embedding())

    def url(self, corpus: Corpus) -> str:
        """Where a reader opens the page: on the site, or without one the file itself.

        A file that was sent is opened over the API; the link has no host, as many lead there.
        """
        if corpus.base_url is None or self.reading is None:
            if self.found.upload:
                return f"/api/v1/sources/{self.source.id}/original"
            return self.found.path.as_uri()
        return f"{corpus.base_url}/{self.reading.route}"

    def held(self, corpus: Corpus) -> SourceVersion:
        """What a release says of the source once the passages are live in it."""
        assert self.reading is not None
        root = self.found.root
        return SourceVersion(
            version=self.version,
            digest=self.digest,
            title=self.reading.title,
            url=self.url(corpus),
            passages=len(self.passages),
            root=root.as_posix() if root else None,
            docs_version=self.place.version,
            locale=self.place.locale,
        )

    def source_text(self, corpus: Corpus) -> SourceText:
        """The canonical text of the new version."""
        assert self.reading is not None
        return SourceText(
            source_id=self.source.id,
            version=self.version,
            title=self.reading.title,
            url=self.url(corpus),
            text=self.reading.text,
            details=self.reading.metadata,
        )


@dataclass(slots=True)
class Comparison:
    """Files set beside what is known of them."""

    changes: list[SourceChange] = field(default_factory=list[SourceChange])
    unchanged: int = 0
    failed: list[SourceFailure] = field(default_factory=list[SourceFailure])

    def leave_out(self, failed: Sequence[SourceFailure]) -> None:
        """What turned out to be unreadable is not tried again."""
        names = {failure.path for failure in failed}
        self.changes = [change for change in self.changes if change.found.name not in names]
        self.failed += failed

    @property
    def drafts(self) -> list[SourceChange]:
        """Those that turned out to be drafts when they were read."""
        return [change for change in self.changes if change.is_draft]


def compare(
    found: Sequence[DiscoveredFile], known: Mapping[str, Source], corpus: Corpus
) -> Comparison:
    """Hashes every file's bytes, and neither keeps nor parses them; `known` is by location."""
    comparison, sites = Comparison(), Sites()
    for file in found:
        if not _is_unicode(file.location):
            name = file.location.encode(errors="replace").decode()
            reason = "Its name is not text in Unicode; rename it."
            comparison.failed.append(SourceFailure(path=name, reason=reason))
            continue
        source = known.get(file.location)
        try:
            data = load(file.path, largest(file.path.suffix))
        except SourceUnreadable as error:
            comparison.failed.append(SourceFailure(path=file.name, reason=str(error)))
            continue
        place = file.place(sites)
        digest = _digest(data, file, place, corpus)
        if source is not None and source.digest == digest and source.removed_at is None:
            comparison.unchanged += 1
            continue
        if source is None:
            source_id = Source.identify(corpus.id, file.location)
            source = Source(id=source_id, corpus=corpus.name, location=file.location)
        is_new = not source.is_live
        comparison.changes.append(SourceChange(file, source, digest, len(data), is_new, place))
    return comparison


def passed_over(paths: Iterable[Path]) -> list[SourceFailure]:
    """Documents of kinds that people expect to be read and are not."""
    return [SourceFailure(path=str(path), reason=UNREAD[path.suffix.lower()]) for path in paths]


def as_before(
    sources: Iterable[Source], corpus: Corpus, copies: Mapping[UUID, UploadedFile]
) -> list[SourceChange]:
    """To be read again as they were when they were ingested; those that are not so are left out.

    Of what was sent, `copies` are here.
    """
    changes: list[SourceChange] = []
    sites = Sites()
    for source in sources:
        file = DiscoveredFile(Path(source.location), Path(source.root) if source.root else None)
        if copy := copies.get(source.id):
            file = DiscoveredFile(copy.path, None, copy.name)
        with suppress(SourceUnreadable):
            data, place = load(file.path, largest(file.path.suffix)), file.place(sites)
            digest = _digest(data, file, place, corpus)
            if digest == source.digest:
                changes.append(SourceChange(file, source, digest, len(data), False, place))
    return changes


def _is_unicode(name: str) -> bool:
    """A file system allows names in any encoding; no database does."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def batches(changes: Sequence[SourceChange]) -> Iterator[list[SourceChange]]:
    """Changes in their order, cut where a batch has grown large enough."""
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
    some: Iterable[list[SourceChange]],
) -> AsyncGenerator[tuple[list[SourceChange], list[SourceFailure]]]:
    """Each batch, read, and what of it could not be; the next one is being read meanwhile."""
    with ReaderPool() as readers:

        async def read(batch: list[SourceChange]) -> tuple[list[SourceChange], list[SourceFailure]]:
            return batch, await asyncio.to_thread(read_all, batch, readers)

        async with aclosing(ahead(partial(read, batch) for batch in some)) as reading:
            async for batch, failures in reading:
                yield batch, failures


async def read_first(changes: Sequence[SourceChange], most: int) -> tuple[int, list[SourceFailure]]:
    """How many passages they make, counted until there are more than `most`, and what is not read.

    What was read is kept for when it is written, as far as there is memory for it.
    """
    passages = kept = 0
    failures: list[SourceFailure] = []
    async with aclosing(read_ahead(batches(changes))) as reading:
        async for batch, failed in reading:
            failures += failed
            passages += await asyncio.to_thread(_count, batch)
            kept += sum(len(change.text) for change in batch)
            if passages > most:
                break
            if kept > _KEPT_TEXT:
                for change in batch:
                    change.reading = None
    return passages, failures


def _count(changes: Sequence[SourceChange]) -> int:
    return sum(len(split(change.reading)) for change in changes if change.reading)


def read_all(changes: Sequence[SourceChange], readers: ReaderPool) -> list[SourceFailure]:
    """Take in the texts that are not there yet; gives back those that could not be read, and why.

    A draft is a failure only where it was sent by itself: who keeps one in a folder means to.
    """
    failures: list[SourceFailure] = []
    unread = [change for change in changes if change.reading is None and not change.is_draft]
    asked = [FileRequest(c.found.path, c.found.relative, c.size) for c in unread]
    for change, outcome in zip(unread, readers.read(asked), strict=True):
        if isinstance(outcome, SourceUnreadable):
            failures.append(SourceFailure(path=change.found.name, reason=str(outcome)))
        elif outcome.is_draft:
            change.is_draft = True
            if change.found.upload:
                failures.append(SourceFailure(path=change.found.name, reason=_DRAFT))
        else:
            change.reading = outcome
    return failures


def _digest(data: bytes, file: DiscoveredFile, place: SiteLocation, corpus: Corpus) -> str:
    """Changes with the bytes and with all else that passages and their links are made from."""
    route = (file.relative.as_posix(), repr(place))
    made_from = (corpus.base_url or "", corpus.language, *route)
    return hashlib.sha256("\0".join(made_from).encode() + b"\0" + data).hexdigest()

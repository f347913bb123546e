"""A golden set's documents as the files that ingestion reads."""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import unquote

from app.corpora.service import Library
from app.evaluation.golden import GoldenDocument, GoldenSet, read_corpus
from app.evaluation.languages import language_of
from pipelines.ingestion.service import Ingestion, Progress
from storage.domain import Passage
from storage.errors import InvalidInput

CORPUS = "golden"
"""What the documents of a set are ingested into."""

Naming = Callable[[Passage], str | None]
"""Which document of a golden set a passage belongs to; None when to none of them."""

_SAMPLE = 50
_PAGE = re.compile(r"(?P<file>[^#]+)#page=\d+")
_MARKDOWN = re.compile(r"\A---\n|^#{1,6} \S|^(```|~~~)", re.MULTILINE)
_HAS_TITLE = re.compile(r"\A---\n|\A\s*# \S")


@dataclass(frozen=True, slots=True)
class Staged:
    """What to ingest, and how to tell from a passage which document it was."""

    paths: tuple[Path, ...]
    name: Naming
    sample: tuple[str, ...]
    """Texts that tell the language."""


async def ingest_documents(
    ingestion: Ingestion,
    library: Library,
    folder: Path,
    golden: GoldenSet,
    scratch: Path,
    language: str | None = None,
    progress: Progress | None = None,
) -> Naming:
    """The set's documents into a corpus named `CORPUS`, as those of any user.

    Raises `InvalidInput` for a set that cannot be read and for documents that cannot be ingested.
    """
    staged = await asyncio.to_thread(_stage, folder, golden, scratch)
    await library.create(CORPUS, None, language or language_of(staged.sample))
    report = await ingestion.run(staged.paths, CORPUS, progress=progress)
    if report.failed:
        first = report.failed[0]
        raise InvalidInput(
            f"{len(report.failed)} documents of the set cannot be read; "
            f"{first.path}: {first.reason}"
        )
    return staged.name


def _stage(folder: Path, golden: GoldenSet, scratch: Path) -> Staged:
    sample = tuple(question.text for question in golden.questions[:_SAMPLE])
    return _pages(folder, golden.wanted, sample) or _documents(read_corpus(folder), scratch)


def _pages(folder: Path, wanted: Iterable[str], sample: tuple[str, ...]) -> Staged | None:
    """The files themselves where ids are `file.pdf#page=2` and every file lies in the set's folder."""
    matches = [_PAGE.fullmatch(key) for key in wanted]
    names = {match["file"] for match in matches if match}
    there = {path.name: path for path in sorted(folder.rglob("*")) if path.name in names}
    if not names or None in matches or names - there.keys():
        return None

    def name(passage: Passage) -> str:
        file = unquote(passage.url.partition("#")[0].rpartition("/")[2])
        return f"{file}#page={passage.page}"

    return Staged(tuple(sorted({path.parent for path in there.values()})), name, sample)


def _documents(documents: Iterable[GoldenDocument], scratch: Path) -> Staged:
    """One file a document: as Markdown what is Markdown, as HTML, which loses nothing, all else.

    A document without a title goes by its file's name, which is the same for all: it must not tell
    one from another.
    """
    ids: dict[str, str] = {}
    sample: list[str] = []
    for number, document in enumerate(documents):
        markdown = _MARKDOWN.search(document.text) is not None
        path = scratch / str(number) / ("document.md" if markdown else "document.html")
        path.parent.mkdir(parents=True)
        content = _as_markdown(document) if markdown else _as_html(document)
        path.write_text(content, encoding="utf-8", errors="replace")
        ids[path.resolve().as_uri()] = document.id
        if len(sample) < _SAMPLE:
            sample.append(document.text)

    def name(passage: Passage) -> str | None:
        return ids.get(passage.url.partition("#")[0])

    return Staged((scratch,), name, tuple(sample))


def _as_markdown(document: GoldenDocument) -> str:
    titled = not document.title or _HAS_TITLE.match(document.text)
    return document.text if titled else f"# {document.title}\n\n{document.text}"


def _as_html(document: GoldenDocument) -> str:
    heading = f"<h1>{escape(document.title)}</h1>" if document.title else ""
    paragraphs = re.split(r"\n\s*\n", document.text)
    body = "".join(f"<p>{escape(paragraph)}</p>\n" for paragraph in paragraphs)
    return f'<!doctype html><meta charset="utf-8"><main>{heading}\n{body}</main>'

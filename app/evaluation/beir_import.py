"""Imports a golden set's documents: writes them as files and ingests them."""

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import unquote

from app.corpora.service import CorpusService
from app.evaluation.golden import GoldenDocument, GoldenSet, read_corpus
from app.evaluation.languages import detect_language
from pipelines.ingestion.service import Ingestion, Progress
from storage.domain import Passage
from storage.errors import InvalidInput

CORPUS = "golden"
"""The corpus that the documents of a set are ingested into."""

DocumentNamer = Callable[[Passage], str | None]
"""Returns the id of the golden set's document that a passage belongs to; None if there is none."""

_SAMPLE = 50
_PAGE = re.compile(r"(?P<file>[^#]+)#page=\d+")
_MARKDOWN = re.compile(r"\A---\n|^#{1,6} \S|^(```|~~~)", re.MULTILINE)
_HAS_TITLE = re.compile(r"\A---\n|\A\s*# \S")


@dataclass(frozen=True, slots=True)
class StagedDocuments:
    """The paths to ingest, and a function that maps a passage to its document."""

    paths: tuple[Path, ...]
    name: DocumentNamer
    sample: tuple[str, ...]
    """Texts from which the language is detected."""


async def ingest_documents(
    ingestion: Ingestion,
    library: CorpusService,
    folder: Path,
    golden: GoldenSet,
    scratch: Path,
    language: str | None = None,
    progress: Progress | None = None,
) -> DocumentNamer:
    """Ingest the set's documents into a corpus named `CORPUS`, in the same way as a user's documents.

    Raises `InvalidInput` for a set that cannot be read and for documents that cannot be ingested.
    """
    staged = await asyncio.to_thread(_stage, folder, golden, scratch)
    await library.create(CORPUS, None, language or detect_language(staged.sample))
    report = await ingestion.run(staged.paths, CORPUS, progress=progress)
    if report.failed:
        first = report.failed[0]
        raise InvalidInput(
            f"{len(report.failed)} documents of the set cannot be read; "
            f"{first.path}: {first.reason}"
        )
    return staged.name


def _stage(folder: Path, golden: GoldenSet, scratch: Path) -> StagedDocuments:
    sample = tuple(question.text for question in golden.questions[:_SAMPLE])
    return _stage_pages(folder, golden.document_ids, sample) or _stage_documents(
        read_corpus(folder), scratch
    )


def _stage_pages(
    folder: Path, document_ids: Iterable[str], sample: tuple[str, ...]
) -> StagedDocuments | None:
    """Return the set's own files if all ids are like `file.pdf#page=2` and all files are in its folder."""
    matches = [_PAGE.fullmatch(key) for key in document_ids]
    names = {match["file"] for match in matches if match}
    pages = {path.name: path for path in sorted(folder.rglob("*")) if path.name in names}
    if not names or None in matches or names - pages.keys():
        return None

    def name(passage: Passage) -> str:
        file = unquote(passage.url.partition("#")[0].rpartition("/")[2])
        return f"{file}#page={passage.page}"

    return StagedDocuments(tuple(sorted({path.parent for path in pages.values()})), name, sample)


def _stage_documents(documents: Iterable[GoldenDocument], scratch: Path) -> StagedDocuments:
    """Write each document to a file: Markdown as it is, other text as HTML, which keeps all of it.

    Ingestion uses the file's name as the title of a document without one. All files have the same name,
    so that the name does not help a search to distinguish documents.
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

    return StagedDocuments((scratch,), name, tuple(sample))


def _as_markdown(document: GoldenDocument) -> str:
    titled = not document.title or _HAS_TITLE.match(document.text)
    return document.text if titled else f"# {document.title}\n\n{document.text}"


def _as_html(document: GoldenDocument) -> str:
    heading = f"<h1>{escape(document.title)}</h1>" if document.title else ""
    paragraphs = re.split(r"\n\s*\n", document.text)
    body = "".join(f"<p>{escape(paragraph)}</p>\n" for paragraph in paragraphs)
    return f'<!doctype html><meta charset="utf-8"><main>{heading}\n{body}</main>'

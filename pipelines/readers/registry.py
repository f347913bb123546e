"""The reader for each file suffix; readers are imported at first use because some are slow to import."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal, cast

from pipelines.readers.encoding import decode
from pipelines.readers.files import LARGEST_FILE
from pipelines.readers.page import Page

LARGEST_TEXT = 20_000_000
"""The largest plain text file that is read, in bytes."""
LARGEST_MARKUP = 10_000_000
"""The largest Markdown or HTML file that is read, in bytes; parsing takes 80 times its size in memory."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file format, shared by one or more suffixes; `reader` is `module:function` in this package."""

    reader: str
    input_type: Literal["text", "bytes"]
    largest: int
    is_docs: bool = False
    """Whether a documentation builder turns the file into a page whose URL has no suffix."""

    def read(self, data: bytes) -> Page:
        """Read a file's bytes; raise `SourceUnreadable` if they cannot be read."""
        module, _, function = self.reader.partition(":")
        reader = getattr(import_module(f"pipelines.readers.{module}"), function)
        source = decode(data) if self.input_type == "text" else data
        return cast("Callable[[str | bytes], Page]", reader)(source)


_MARKDOWN = FileFormat("markdown.reader:read_markdown", "text", LARGEST_MARKUP, is_docs=True)
_HTML = FileFormat("html.reader:read_html", "text", LARGEST_MARKUP)
_TEXT = FileFormat("plain:read_text", "text", LARGEST_TEXT)
_SEPARATED = FileFormat("office.sheets:read_csv", "text", LARGEST_MARKUP)

FORMATS = {
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".mdx": FileFormat("markdown.reader:read_mdx", "text", LARGEST_MARKUP, is_docs=True),
    ".html": _HTML,
    ".htm": _HTML,
    ".txt": _TEXT,
    ".text": _TEXT,
    ".rst": _TEXT,
    ".csv": _SEPARATED,
    ".tsv": _SEPARATED,
    ".ipynb": FileFormat("notebook:read_notebook", "text", LARGEST_FILE),
    ".pdf": FileFormat("pdf.reader:read_pdf", "bytes", LARGEST_FILE),
    ".docx": FileFormat("office.docx:read_docx", "bytes", LARGEST_FILE),
    ".pptx": FileFormat("office.pptx:read_pptx", "bytes", LARGEST_FILE),
    ".xlsx": FileFormat("office.sheets:read_xlsx", "bytes", LARGEST_FILE),
    ".epub": FileFormat("html.epub:read_epub", "bytes", LARGEST_FILE),
}
"""The supported formats by suffix, in lower case."""

_OFFICE = "It is {} file, which is not read: save it as {} and ingest that."
_ARCHIVE = "It is an archive. Unpack it and ingest the folder."
UNSUPPORTED = {
    ".doc": _OFFICE.format("an old Word", ".docx"),
    ".rtf": _OFFICE.format("a rich text", ".docx"),
    ".odt": _OFFICE.format("an OpenDocument", ".docx"),
    ".ppt": _OFFICE.format("an old PowerPoint", ".pptx"),
    ".odp": _OFFICE.format("an OpenDocument", ".pptx"),
    ".xls": _OFFICE.format("an old Excel", ".xlsx"),
    ".ods": _OFFICE.format("an OpenDocument", ".xlsx"),
    **dict.fromkeys((".zip", ".7z", ".rar", ".tar", ".tgz", ".gz", ".bz2", ".xz"), _ARCHIVE),
    ".bin": "It is a binary file without readable text.",
}
"""Unsupported suffixes that users may expect to work; each message says why and what to do instead."""


def size_limit(suffix: str) -> int:
    """Return the size limit for files with this suffix, in bytes."""
    kind = FORMATS.get(suffix.lower())
    return kind.largest if kind else LARGEST_FILE

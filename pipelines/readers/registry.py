"""The supported formats, one row each; a reader is imported at its first use, because some import slowly."""

from collections.abc import Callable, Iterable
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

SHARED_VERSION = "3"
"""The version of the code that all readers share. Increase it when a change affects most formats."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A file format. Help texts, upload checks, links and the fingerprint are derived from these rows."""

    name: str
    """The name for users, as it is written within a sentence."""
    suffixes: tuple[str, ...]
    """In lower case, the usual one first. The first one identifies the format in fingerprints."""
    reader: str
    """The function that reads the file, as `module:function` in this package."""
    input_type: Literal["text", "bytes"]
    """What the reader takes: the decoded text, or the bytes of the file."""
    largest: int
    """The largest file that is read, in bytes."""
    version: int = 1
    """Increase it when a change gives the same bytes another text, other sections or other blocks."""
    is_docs: bool = False
    """Whether a documentation builder turns the file into a page whose URL has no suffix."""
    has_text_fragments: bool = True
    """False if a browser shows the file as plain text or in a viewer, where no link can find words."""

    def read(self, data: bytes) -> Page:
        """Read a file's bytes; raise `SourceUnreadable` if they cannot be read."""
        module, _, function = self.reader.partition(":")
        reader = getattr(import_module(f"pipelines.readers.{module}"), function)
        source = decode(data) if self.input_type == "text" else data
        return cast("Callable[[str | bytes], Page]", reader)(source)


# fmt: off
FORMATS = (
    FileFormat("Markdown", (".md", ".markdown"), "markdown.reader:read_markdown", "text", LARGEST_MARKUP,
               is_docs=True),
    FileFormat("MDX", (".mdx",), "markdown.reader:read_mdx", "text", LARGEST_MARKUP, is_docs=True),
    FileFormat("HTML", (".html", ".htm"), "html.reader:read_html", "text", LARGEST_MARKUP),
    FileFormat("plain text", (".txt", ".text", ".rst"), "plain:read_text", "text", LARGEST_TEXT,
               has_text_fragments=False),
    FileFormat("CSV tables", (".csv", ".tsv"), "office.sheets:read_csv", "text", LARGEST_MARKUP),
    FileFormat("Jupyter notebooks", (".ipynb",), "notebook:read_notebook", "text", LARGEST_FILE),
    FileFormat("PDF", (".pdf",), "pdf.reader:read_pdf", "bytes", LARGEST_FILE, has_text_fragments=False),
    FileFormat("Word", (".docx",), "office.docx:read_docx", "bytes", LARGEST_FILE),
    FileFormat("PowerPoint", (".pptx",), "office.pptx:read_pptx", "bytes", LARGEST_FILE),
    FileFormat("Excel", (".xlsx",), "office.sheets:read_xlsx", "bytes", LARGEST_FILE),
    FileFormat("EPUB", (".epub",), "html.epub:read_epub", "bytes", LARGEST_FILE),
)
"""All supported formats, in the order in which they are listed to users."""
# fmt: on

_BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}
SUFFIXES = frozenset(_BY_SUFFIX)
"""The suffixes of the supported files, in lower case."""
SUFFIXES_WITHOUT_FRAGMENTS = tuple(
    suffix for one in FORMATS if not one.has_text_fragments for suffix in one.suffixes
)
"""The suffixes of the files whose links cannot point to words."""

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


def find_format(suffix: str) -> FileFormat | None:
    """Return the format of files with this suffix, in any case, or None if it is not supported."""
    return _BY_SUFFIX.get(suffix.lower())


def size_limit(suffix: str) -> int:
    """Return the size limit for files with this suffix, in bytes."""
    found = find_format(suffix)
    return found.largest if found else LARGEST_FILE


def format_names() -> str:
    """Return the names of all formats as an enumeration for a sentence."""
    *others, last = (one.name for one in FORMATS)
    return f"{', '.join(others)} and {last}"


def combined_version(formats: Iterable[FileFormat] = FORMATS) -> str:
    """Return the version of all readers together: the shared version, then each version above 1.

    Indexes that were built before each reader had a version have the shared version "3" alone, and a
    new reader begins with 1. So neither of them makes an index outdated.
    """
    raised = sorted(f"{one.suffixes[0][1:]}.{one.version}" for one in formats if one.version > 1)
    return "+".join((SHARED_VERSION, *raised))

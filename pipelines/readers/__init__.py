"""Read a file's bytes into the text that a person sees, its sections and the links to them."""

from pathlib import Path, PurePath, PurePosixPath

from pipelines.readers.files import check_size, load
from pipelines.readers.page import Block, Page, SourceDocument
from pipelines.readers.registry import (
    LARGEST_MARKUP,
    LARGEST_TEXT,
    SUFFIXES,
    UNSUPPORTED,
    FileFormat,
    find_format,
    size_limit,
)
from pipelines.readers.sections import build_sections, shorten, split_by_page
from pipelines.readers.sites.layout import SiteLocation, locate_page
from pipelines.readers.sites.routes import file_route, page_route, readable_name
from storage.errors import SourceUnreadable
from storage.shapes import Metadata

__all__ = [
    "LARGEST_MARKUP",
    "LARGEST_TEXT",
    "SUFFIXES",
    "UNSUPPORTED",
    "Block",
    "SourceDocument",
    "load",
    "read",
    "read_file",
    "size_limit",
]  # fmt: skip

# These fields are not metadata: they set the title, the route or the language.
_NOT_METADATA = frozenset({"title", "slug", "id", "lang", "parse_number_prefixes"})
# In characters. A small archive can unpack to more text than any real document has.
_LONGEST_TEXT = 20_000_000


def read_file(path: Path, relative: PurePath) -> SourceDocument:
    """Read one file from the disk; raise `SourceUnreadable` if it cannot be read."""
    return read(path, load(path, size_limit(path.suffix)), PurePosixPath(relative.as_posix()))


def read(path: Path, data: bytes, relative: PurePosixPath) -> SourceDocument:
    """Read one file with the reader for its suffix; `relative` is its path below the corpus's root.

    Raise `SourceUnreadable`, with the reason in one sentence, if the file has no readable text.
    """
    at = locate_page(path, relative)
    kind = _format_for(path.suffix)
    check_size(len(data), kind.largest)
    page = (_format_for(".mdx") if kind.is_docs and at.is_mdx else kind).read(data)
    is_draft = kind.is_docs and page.front_matter.get("draft") is True
    if not (page.text or is_draft):
        raise SourceUnreadable("It contains no text.")
    if len(page.text) > _LONGEST_TEXT:
        raise SourceUnreadable(f"Its text is longer than {_LONGEST_TEXT} characters.")
    title = shorten(page.title or readable_name(relative))
    sections = build_sections(title, page.headings, len(page.text))
    return SourceDocument(
        title=title,
        text=page.text,
        sections=split_by_page(sections, page.pages) if page.pages else sections,
        blocks=page.blocks,
        code=tuple((block.start, block.end) for block in page.blocks if block.kind == "code"),
        metadata=_metadata(page, at),
        route=page_route(at, page.front_matter) if kind.is_docs else file_route(relative),
        language=page.language,
        pages=page.pages,
        is_draft=is_draft,
    )


def _format_for(suffix: str) -> FileFormat:
    if found := find_format(suffix):
        return found
    name = suffix.lower() or "file without a suffix"
    raise SourceUnreadable(f"A {name} is not read; {', '.join(sorted(SUFFIXES))} are.")


def _metadata(page: Page, at: SiteLocation) -> Metadata:
    """Return the page's front matter, plus the docs version and locale that its path implies."""
    said = {key: value for key, value in page.front_matter.items() if key not in _NOT_METADATA}
    placed = {"version": at.version, "locale": at.locale}
    return said | {key: value for key, value in placed.items() if value is not None}

"""Plain data types for the content of a page; all positions are offsets into its canonical text."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from storage.shapes import Metadata, Span

BlockKind = Literal["heading", "prose", "item", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """A span of canonical text that forms one unit; it never starts or ends with white space."""

    kind: BlockKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and its position; `anchor` is None when no link can point to it."""

    level: int
    text: str
    anchor: str | None
    start: int


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the span of canonical text up to the next heading of any level."""

    path: tuple[str, ...]
    """The headings from the page's title down to this one."""
    anchor: str | None
    """The part after `#` in a link to this section; None for text before the first heading."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Page:
    """The result of every format's reader."""

    text: str
    blocks: tuple[Block, ...]
    headings: tuple[Heading, ...]
    title: str | None
    front_matter: Metadata
    """The metadata that the page declares outside its text, as JSON-safe values."""
    language: str | None = None
    pages: tuple[Span, ...] = ()
    """For paginated formats, item i is the span of page i + 1; together they cover the text."""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A source as the rest of the app uses it; every offset counts characters of `text`."""

    title: str
    text: str
    """The canonical text: what a person sees on the page, without markup, with code and math verbatim."""
    sections: tuple[Section, ...]
    """In order; they cover the text without gaps."""
    blocks: tuple[Block, ...]
    """In order, without overlaps; only white space and list indentation lie between them."""
    code: tuple[Span, ...]
    """The spans of code blocks, diagrams and display math; inline code counts as prose."""
    metadata: Metadata
    route: str
    """The page's path below its corpus's base URL, percent-encoded, without a leading slash."""
    language: str | None
    """The language that the page declares."""
    pages: tuple[Span, ...] = ()
    """For paginated formats, item i is the span of page i + 1; no section or block crosses its end."""
    is_draft: bool = False
    """Whether the page is marked as an unpublished draft; a draft may have no text."""

    def page_at(self, position: int) -> int | None:
        """Return the number of the page that has this character, or None if there are no pages."""
        return bisect_right(self.pages, position, key=lambda span: span[0]) or None

"""What a reader of a page sees, and where on it: plain values, offsets into the canonical text."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from storage.shapes import Metadata, Span

BlockKind = Literal["heading", "prose", "item", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of canonical text that is read as one thing; it never starts or ends with a space."""

    kind: BlockKind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading where it stands; `anchor` is None when nothing on the page can be linked to."""

    level: int
    text: str
    anchor: str | None
    start: int


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the span of canonical text it governs, to the next heading of any level."""

    path: tuple[str, ...]
    """Headings from the page's own title down to this one."""
    anchor: str | None
    """What follows `#` in a link to it; None for text before the first heading."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Page:
    """What one format's reader finds; the same for every format."""

    text: str
    blocks: tuple[Block, ...]
    headings: tuple[Heading, ...]
    title: str | None
    front_matter: Metadata
    """What the page says about itself outside its text, JSON-safe."""
    language: str | None = None
    pages: tuple[Span, ...] = ()
    """Page i + 1's span, for what is printed on pages; they cover the text."""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A source as it is read, split, quoted and linked; every offset counts characters of `text`."""

    title: str
    text: str
    """Canonical text: what a reader of the page sees, markup removed, code and math verbatim."""
    sections: tuple[Section, ...]
    """They cover the text without a gap, in order."""
    blocks: tuple[Block, ...]
    """In order, never overlapping; only white space and list indentation lies between them."""
    code: tuple[Span, ...]
    """Code blocks, diagrams and display math; inline code is prose."""
    metadata: Metadata
    route: str
    """The page's path below its corpus's base URL, percent-encoded, without a leading slash."""
    language: str | None
    """As the page itself declares it."""
    pages: tuple[Span, ...] = ()
    """Page i + 1's span, for what is printed on pages; no section and no block crosses its end."""
    is_draft: bool = False
    """Whether it says of itself that it is not published yet; then it may have no text."""

    def page_at(self, position: int) -> int | None:
        """The number of the page that has this character; None for what has no pages."""
        return bisect_right(self.pages, position, key=lambda span: span[0]) or None

"""Build the sections of a page from its headings."""

from collections.abc import Sequence
from dataclasses import replace

from pipelines.readers.page import Heading, Section
from storage.shapes import Span

_LONGEST_NAME = 200


def build_sections(title: str, headings: Sequence[Heading], length: int) -> tuple[Section, ...]:
    """Return sections that cover the text; text before the first heading belongs to the page's title."""
    sections: list[Section] = []
    starts = [*(heading.start for heading in headings), length]
    if starts[0] > 0:
        sections.append(Section(path=(title,), anchor=None, start=0, end=starts[0]))
    ancestors: list[Heading] = []
    for heading, end in zip(headings, starts[1:], strict=True):
        while ancestors and ancestors[-1].level >= heading.level:
            ancestors.pop()
        if not _is_title(heading, title, headings[0]):
            ancestors.append(heading)
        path = (title, *(shorten(ancestor.text) for ancestor in ancestors))
        sections.append(Section(path=path, anchor=heading.anchor, start=heading.start, end=end))
    return tuple(sections)


def split_by_page(sections: Sequence[Section], pages: Sequence[Span]) -> tuple[Section, ...]:
    """Split sections at page ends, so that each part links to the page that it is on."""
    divided: list[Section] = []
    numbered = [(number, span) for number, span in enumerate(pages, 1) if span[0] < span[1]]
    for section in sections:
        while numbered and numbered[0][1][1] <= section.start:
            numbered.pop(0)
        for number, (start, end) in numbered:
            if start >= section.end:
                break
            divided.append(
                replace(
                    section,
                    anchor=f"page={number}",
                    start=max(start, section.start),
                    end=min(end, section.end),
                )
            )
    return tuple(divided)


def shorten(name: str) -> str:
    """Limit the length of a heading or title, because it is shown and stored with every passage."""
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1].rstrip() + "…"


def _is_title(heading: Heading, title: str, first: Heading) -> bool:
    """Whether a heading is the page's own title, which is already the root of every path.

    A later level-1 heading with other words is an ordinary section.
    """
    return heading.level == 1 and (heading is first or shorten(heading.text) == title)

"""Read Word documents: mammoth converts them to HTML, which is then read like any HTML page."""

import re
from dataclasses import replace
from io import BytesIO
from typing import Any, cast

import mammoth

from pipelines.readers.archives import declared_title, open_archive
from pipelines.readers.html.reader import read_html
from pipelines.readers.page import Page

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
"""
# Many authors write headings as bold lines; these count as headings if no heading style is used.
_BOLD_LINE = re.compile(r"<p><strong>([^<]{2,100}[^<.:,;])</strong></p>")
_HEADING = re.compile(r"<h[1-6]>")


def read_docx(data: bytes) -> Page:
    """Read a document without its comments and pictures; raise `SourceUnreadable` if it is damaged."""
    with open_archive(data) as archive:
        title = declared_title(archive)
        library = cast("Any", mammoth)
        converted = library.convert_to_html(
            BytesIO(data),
            style_map=_STYLES,
            convert_image=library.images.img_element(_without_picture),
        )
        html = str(converted.value)
        if not _HEADING.search(html):
            html = _BOLD_LINE.sub(r"<h2>\1</h2>", html)
        page = read_html(f"<main>{html}</main>")
    # A link cannot open a bookmark in a Word document.
    headings = tuple(replace(heading, anchor=None) for heading in page.headings)
    return replace(page, headings=headings, title=page.title or title)


def _without_picture(_: object) -> dict[str, str]:
    return {"src": ""}

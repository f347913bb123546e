"""Read EPUB books: each chapter is read as HTML, in the order of the book's spine."""

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from pipelines.readers.archives import open_archive, parse_xml
from pipelines.readers.encoding import decode
from pipelines.readers.html.reader import write_fragment
from pipelines.readers.page import Heading, Page
from pipelines.readers.page_writer import PageWriter
from storage.errors import SourceUnreadable

_CONTAINER = "META-INF/container.xml"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_LOCKED = "It has copy protection (DRM), so its text cannot be read."
_LOCKS = ("META-INF/rights.xml", "META-INF/sinf.xml")
_HTML = ("application/xhtml+xml", "text/html")


def read_epub(data: bytes) -> Page:
    """Read a book; raise `SourceUnreadable` if it is copy-protected or damaged."""
    writer = PageWriter()
    with open_archive(data) as archive:
        if not set(_LOCKS).isdisjoint(archive.namelist()):
            raise SourceUnreadable(_LOCKED)
        rootfile = parse_xml(archive, _CONTAINER).find(".//{*}rootfile")
        opf = str(rootfile.get("full-path"))
        package = parse_xml(archive, opf)
        for chapter in _chapters(package, posixpath.dirname(opf)):
            _write_chapter(writer, archive, chapter)
        title = package.findtext(f".//{_DC}title")
        language = package.findtext(f".//{_DC}language")
    return Page(
        text=writer.text,
        blocks=tuple(writer.blocks),
        # A browser cannot open a link into a book.
        headings=tuple(Heading(h.level, h.text, None, h.start) for h in writer.headings),
        title=" ".join(title.split()) if title else None,
        front_matter=_authors(package),
        language=language or None,
    )


def _chapters(package: Any, folder: str) -> Iterator[str]:
    """Yield the archive members of the chapters, in reading order."""
    items = {item.get("id"): item for item in package.iter(f"{_OPF}item")}
    for reference in package.iter(f"{_OPF}itemref"):
        item = items.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _HTML:
            continue
        if "nav" not in str(item.get("properties") or "").split():
            yield posixpath.normpath(posixpath.join(folder, unquote(str(item.get("href")))))


def _write_chapter(writer: PageWriter, archive: ZipFile, member: str) -> None:
    """Append a chapter; skip it if it is missing or is not text."""
    try:
        source = decode(archive.read(member))
    except (KeyError, SourceUnreadable):
        return
    write_fragment(writer, source)
    writer.end_block()


def _authors(package: Any) -> dict[str, Any]:
    names = [
        " ".join(creator.text.split()) for creator in package.iter(f"{_DC}creator") if creator.text
    ]
    return {"author": ", ".join(names)} if names else {}

"""Make PDF files for the tests: text in Helvetica at any position, and bookmarks."""

from collections.abc import Sequence
from typing import NamedTuple

LOCK = (
    b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <"
    + b"41" * 32
    + b"> /U <"
    + b"42" * 32
    + b"> >>"
)
"""A trailer entry for an encryption that no password opens."""


class Words(NamedTuple):
    """A line of text; x and y are in points from the lower left corner."""

    text: str
    x: float = 72
    y: float = 700
    size: float = 10


def place_lines(lines: Sequence[str], x: float = 72, top: float = 700) -> list[Words]:
    """Place lines below each other."""
    return [Words(line, x, top - 12 * number) for number, line in enumerate(lines)]


def build_pdf(
    *pages: Sequence[Words],
    title: str = "",
    bookmarks: Sequence[tuple[str, int]] = (),
    trailer: bytes = b"",
) -> bytes:
    """Make a PDF; `bookmarks` are (title, page from 0)."""
    objects: dict[int, bytes] = {3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"}
    kids: list[int] = []
    for page in pages:
        content = "".join(
            f"BT /F {w.size} Tf 1 0 0 1 {w.x} {w.y} Tm ({_escaped(w.text)}) Tj ET\n" for w in page
        ).encode("latin-1")
        number = 10 + 2 * len(kids)
        kids.append(number)
        objects[number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> >> >>" % (number + 1)
        )
        objects[number + 1] = b"<< /Length %d >> stream\n%s\nendstream" % (len(content), content)
    objects[1] = b"<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>"
    objects[2] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (
        len(kids),
        b" ".join(b"%d 0 R" % kid for kid in kids),
    )
    objects[4] = b"<< /Type /Outlines >>"
    if bookmarks:
        last = 1000 + len(bookmarks) - 1
        objects[4] = b"<< /Type /Outlines /First 1000 0 R /Last %d 0 R >>" % last
        for number, (name, page_number) in enumerate(bookmarks, 1000):
            following = b"/Next %d 0 R" % (number + 1) if number < last else b""
            destination = b"[%d 0 R /Fit]" % kids[page_number]
            objects[number] = b"<< /Title (%s) /Parent 4 0 R /Dest %s %s >>" % (
                _escaped(name).encode("latin-1"), destination, following,
            )  # fmt: skip
    objects[5] = b"<< /Title (%s) >>" % _escaped(title).encode("latin-1")
    body = b"%PDF-1.4\n"
    body += b"".join(b"%d 0 obj\n%s\nendobj\n" % item for item in objects.items())
    return body + b"trailer << /Root 1 0 R /Info 5 0 R /ID [<00> <00>] %s >>\n%%%%EOF" % trailer


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")

"""The digest of what each reader makes of its files, recorded beside the version of the reader."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipelines.readers import SourceDocument, find_format
from pipelines.readers.registry import FORMATS, SHARED_VERSION, FileFormat
from tests.pipelines.archives import build_docx, build_epub, build_pptx, build_xlsx, paragraph
from tests.pipelines.pages import read_page
from tests.pipelines.pdfs import Words, build_pdf, place_lines

FOLDER = Path(__file__).parent
RECORD = FOLDER / "digests.json"
COMMAND = "python -m tests.pipelines.golden"

_LINES = (
    "High water comes about fifty minutes later each day, and the landing is under",
    "water for two hours on both sides of a spring tide. Nobody lands on the rock at",
    "night or in a gale, and never alone. The lamp burns from sunset to sun-",
    "rise.",
)
_CHAPTERS = {
    "one.xhtml": "<h1>One</h1><p>The <i>first</i> lamp.</p><ul><li>Oil</li><li>Wick</li></ul>",
    "two.xhtml": "<h2 id='b'>Two</h2><table><tr><td>May</td><td>12</td></tr></table><pre>a  b</pre>",
}
_BODY = (
    paragraph("The manual", "Title")
    + paragraph("Fuel", "heading1")
    + paragraph("Fill the tank.")
    + paragraph("Slowly.", bold=True)
    + "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>May</w:t></w:r></w:p></w:tc>"
    "<w:tc><w:p><w:r><w:t>12</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    + paragraph("Wick", "heading2")
    + paragraph("Trim it daily.")
)


class Digest(NamedTuple):
    """A digest of what a reader made, and the version that the reader had."""

    version: str
    digest: str


def build_files() -> dict[str, bytes]:
    """Return the files of all formats by name; those of binary formats are built."""
    written = {p.name: p.read_bytes() for p in sorted(FOLDER.iterdir()) if find_format(p.suffix)}
    return written | {
        "page.pdf": build_pdf(
            [Words("The log", size=18), *place_lines(_LINES, top=660)],
            [Words("Tides", size=14), *place_lines(_LINES[:2], top=660), Words("12", x=300, y=40)],
            title="The log of Skerry",
            bookmarks=[("Landing", 0), ("Tides", 1)],
        ),
        "page.docx": build_docx(_BODY, "The manual"),
        "page.pptx": build_pptx(
            ("Lamp", ["Oil", "Wick"], "Speak slowly."),
            ("Table", ["Litres"], ""),
            table=[["May", "12"], ["June", "9"]],
        ),
        "page.xlsx": build_xlsx({"Fuel": [["Month", "Litres"], ["May", 12.5]], "Log": [["Calm"]]}),
        "page.epub": build_epub(_CHAPTERS),
    }


def compute_digests() -> dict[str, Digest]:
    """Return the present digests by the first suffix of the format; formats without a file have none."""
    files = build_files()
    return {
        one.suffixes[0]: Digest(f"{SHARED_VERSION}.{one.version}", digest)
        for one in FORMATS
        if (digest := _digest_files(one, files))
    }


def read_record() -> dict[str, Digest]:
    """Return the recorded digests by the first suffix of the format."""
    data = RECORD.read_bytes() if RECORD.exists() else b"{}"
    return msgspec.json.decode(data, type=dict[str, Digest])


def explain(suffix: str, recorded: Digest | None, present: Digest | None) -> str:
    """Return what to do if the digest is not as it was recorded; empty if it is."""
    if present is None:
        return (
            f"{suffix} has no file in tests/pipelines/golden: add a small one, and run `{COMMAND}`."
        )
    if recorded == present:
        return ""
    if recorded and recorded.version == present.version:
        return (
            f"{suffix} files are read differently: increase the `version` of their row in "
            f"pipelines/readers/registry.py, and run `{COMMAND}`."
        )
    return f"{suffix} has another version than its recorded digest: run `{COMMAND}`."


def record() -> list[str]:
    """Write the present digests, or return what is missing to do so and write nothing."""
    recorded, present = read_record(), compute_digests()
    unraised = [
        explain(suffix, before, now)
        for suffix, now in present.items()
        if (before := recorded.get(suffix)) and before != now and before.version == now.version
    ]
    if not unraised:
        rows = (f"  {json.dumps(suffix)}: {json.dumps(one)}" for suffix, one in present.items())
        RECORD.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    return unraised


def _digest_files(one: FileFormat, files: dict[str, bytes]) -> str:
    own = {name: data for name, data in files.items() if find_format(Path(name).suffix) is one}
    if not own:
        return ""
    whole = hashlib.sha256()
    for name, data in own.items():
        parts = [*_parts(read_page(data, name))]
        whole.update(msgspec.json.encode(parts, order="sorted"))
    return whole.hexdigest()[:32]


def _parts(document: SourceDocument) -> Iterator[object]:
    """Yield all that passages are made from."""
    yield from (document.title, document.text, document.route, document.language)
    yield from (document.metadata, document.pages, document.code, document.is_draft)
    yield [(block.kind, block.start, block.end) for block in document.blocks]
    yield [(one.path, one.anchor, one.start, one.end) for one in document.sections]

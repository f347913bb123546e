"""Uploads that take long enough to stop them in the middle."""

from io import BytesIO

from pipelines.uploads.filenames import SentFile
from tests.app.api.uploads import archive

SECTIONS = 6
_PARAGRAPH = (
    "The keeper of this beacon trims the wick, winds the clockwork and writes it down. " * 10
)


def build_page(name: str) -> str:
    sections = (f"## Watch {n} of {name}\n\n{_PARAGRAPH}\n" for n in range(SECTIONS))
    return f"# {name}\n\n" + "\n".join(sections)


def build_archive(pages: int) -> bytes:
    """An archive of that many pages, some 5 kB and six passages each."""
    return archive({f"beacon{n}.md": build_page(f"Beacon {n}") for n in range(pages)})


def build_upload(name: str, data: bytes) -> list[SentFile]:
    return [SentFile(name, BytesIO(data))]

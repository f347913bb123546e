"""Read pages from strings, as if they were files in a folder."""

from pathlib import Path, PurePosixPath

from pipelines.readers import SourceDocument, read


def read_page(source: str | bytes, name: str = "page.md") -> SourceDocument:
    """Read a page; `name` is the file's path below the root of its corpus."""
    data = source.encode() if isinstance(source, str) else source
    relative = PurePosixPath(name)
    return read(Path("/docs") / relative, data, relative)


def outline(reading: SourceDocument) -> list[tuple[tuple[str, ...], str | None]]:
    return [(section.path, section.anchor) for section in reading.sections]


def code_of(reading: SourceDocument) -> list[str]:
    return [reading.text[start:end] for start, end in reading.code]

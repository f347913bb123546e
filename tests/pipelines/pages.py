"""Pages for the tests of reading: written on the spot, read as if they came from a folder."""

from pathlib import Path, PurePosixPath

from pipelines.readers import SourceDocument, read


def page(source: str | bytes, name: str = "page.md") -> SourceDocument:
    """`name` is the file's place below the root of its corpus."""
    data = source.encode() if isinstance(source, str) else source
    relative = PurePosixPath(name)
    return read(Path("/docs") / relative, data, relative)


def outline(reading: SourceDocument) -> list[tuple[tuple[str, ...], str | None]]:
    return [(section.path, section.anchor) for section in reading.sections]


def code_of(reading: SourceDocument) -> list[str]:
    return [reading.text[start:end] for start, end in reading.code]

"""Reading and splitting by format: the same pages in every format, or a given folder."""

import json
import time
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path, PurePosixPath
from textwrap import wrap

from pipelines.ingestion.discovery import find_files
from pipelines.ingestion.splitting import split_document
from pipelines.readers import read
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.generator import GeneratedPage
from tests.bench.homes import Options
from tests.bench.timing import Samples
from tests.pipelines.archives import build_docx, build_epub, build_pptx, build_xlsx, paragraph
from tests.pipelines.pdfs import build_pdf, place_lines

LIMIT = 2.0
PASSAGES, ROUNDS = 2_000, 3

_LINE = 95
"""Maximum characters in a line of a PDF."""
_LINES = 50


def _html(page: GeneratedPage) -> bytes:
    parts = [f"<h1>{escape(page.title)}</h1>"]
    for section in page.sections:
        parts.append(f"<h{section.level}>{escape(section.heading)}</h{section.level}>")
        parts += [f"<p>{escape(block)}</p>" for block in section.blocks]
    return f"<html><body><main>{''.join(parts)}</main></body></html>".encode()


def _mdx(page: GeneratedPage) -> bytes:
    about = ":::note\nAs of today.\n:::\n\n<Lamp lit />\n"
    return f"{page.markdown}\nimport Lamp from './Lamp';\n\n{about}".encode()


def _notebook(page: GeneratedPage) -> bytes:
    cells = [
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": "\n\n".join((f"## {s.heading}", *s.blocks)),
        }
        for s in page.sections
    ]
    whole = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole).encode()


def _docx(page: GeneratedPage) -> bytes:
    body = [paragraph(escape(page.title), "Title")]
    for section in page.sections:
        body.append(paragraph(escape(section.heading), f"heading{section.level - 1}"))
        body += [paragraph(escape(block)) for block in section.blocks]
    return build_docx("".join(body))


def _pptx(page: GeneratedPage) -> bytes:
    return build_pptx(*((s.heading, list(s.blocks), "") for s in page.sections))


def _xlsx(page: GeneratedPage) -> bytes:
    rows = {f"Sheet {n}": [[escape(b)] for b in s.blocks] for n, s in enumerate(page.sections)}
    return build_xlsx(rows)


def _epub(page: GeneratedPage) -> bytes:
    chapters = {
        f"c{n}.xhtml": f"<h1>{escape(s.heading)}</h1>"
        + "".join(f"<p>{escape(b)}</p>" for b in s.blocks)
        for n, s in enumerate(page.sections)
    }
    return build_epub(chapters)


def _pdf(page: GeneratedPage) -> bytes:
    text = page.markdown.encode("latin-1", "replace").decode("latin-1")
    lines = [part for line in text.splitlines() for part in wrap(line, _LINE) or [""]]
    return build_pdf(*(place_lines(lines[n : n + _LINES]) for n in range(0, len(lines), _LINES)))


FORMATS: dict[str, Callable[[GeneratedPage], bytes]] = {
    ".md": lambda page: page.markdown.encode(),
    ".mdx": _mdx,
    ".html": _html,
    ".txt": lambda page: page.markdown.encode(),
    ".ipynb": _notebook,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".epub": _epub,
    ".pdf": _pdf,
}


async def run(options: Options) -> Result:
    """Measure CPU seconds, which depend little on other processes of the machine."""
    rounds = options.rounds or ROUNDS
    if options.folder:
        return _of_folder(options.folder, rounds)
    pages = [*generator.pages(options.passages or PASSAGES)]
    result = Result("reading", f"{len(pages)} pages in every format, {rounds} rounds, one process")
    for suffix, made in FORMATS.items():
        options.say(suffix)
        files = [(f"{number}{suffix}", made(page)) for number, page in enumerate(pages)]
        taken, characters = _read(files, rounds)
        size = sum(len(data) for _, data in files)
        result.add(f"{suffix}: text", characters / 1e6 / taken.median, "MB/s")
        result.add(f"{suffix}: file", size / 1e6 / taken.median, "MB/s", part=True)
    return result


def _of_folder(folder: Path, rounds: int) -> Result:
    found = [path for one in find_files([folder]) for path in one.files]
    files = [(path.relative_to(folder).as_posix(), path.read_bytes()) for path in found]
    taken, characters = _read(files, rounds)
    result = Result("reading", f"{len(files)} files of {folder.name}, {rounds} rounds, one process")
    result.add("read and split: CPU", taken.median, "s", LIMIT)
    result.add("text", characters / 1e6 / taken.median, "MB/s", part=True)
    return result


def _read(files: Sequence[tuple[str, bytes]], rounds: int) -> tuple[Samples, int]:
    """Return the CPU seconds for all files, without imports, and the characters of their text."""
    taken, characters = Samples(), 0
    for number in range(-1, rounds):
        characters = 0
        started = time.process_time()
        for name, data in files if number >= 0 else files[:1]:
            reading = read(Path(name), data, PurePosixPath(name))
            split_document(reading)
            characters += len(reading.text)
        if number >= 0:
            taken.seconds.append(time.process_time() - started)
    return taken, characters

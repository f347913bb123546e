"""Tests that reading and splitting any text takes time proportional to its length."""

import gc
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from app.chat.answer.citations import CitedText
from app.text.markdown import escape_markdown
from pipelines.ingestion.sentences import split_sentences
from pipelines.ingestion.splitting import split_document
from pipelines.readers import read
from pipelines.readers.encoding import decode
from pipelines.readers.markdown.front_matter import split_front_matter
from pipelines.readers.sites.layout import locate_page
from pipelines.readers.sites.routes import docs_route
from pipelines.readers.titles import sensible_title
from tests.app.chat.passages import PASSAGES
from tests.pipelines.adversarial import INPUTS, PAIRS, Input
from tests.pipelines.growth import exponents, measure

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

HIGHEST = 1.2
"""The highest exponent that counts as linear; above 1, because of the processor's caches."""
NOISE = 0.15
"""The tolerance for other load on the machine; the next worse growth, n times its root, has 1.5."""
_SUSPECTED = 0.1
"""The first measurement of each input stops at this many CPU seconds, enough to suspect quadratic time."""
_CERTAIN = 1.0
"""The measurements of a suspected input stop at this many CPU seconds."""
_TRIES = 2
"""The number of repeated measurements; an input is steep only if it is steep in all of them."""
_STEPS = 2
"""The number of last steps that must be steep; a reader that changes methods at some size has only one."""
_SHARE = int(os.environ.get("GROWTH", "12"))
"""One input in this many is tried, different ones for each target; GROWTH=1 tries all, in half an hour."""


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """Exclude existing objects from garbage collection, which runs before every measurement."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def build_reader(name: str) -> Callable[[str], object]:
    """Return a function that reads text as a file of that name and splits it into passages."""

    def run(text: str) -> object:
        data = text.encode(errors="replace")
        return split_document(read(Path("/docs") / name, data, PurePosixPath(name)))

    return run


def notebook(text: str) -> object:
    outputs = [{"output_type": "stream", "text": text[:2_000]}]
    cells = [{"cell_type": "markdown", "source": text}, {"cell_type": "code", "outputs": outputs}]
    return build_reader("a.ipynb")(json.dumps({"cells": cells}))


def site(text: str) -> object:
    """Find the site of a folder with this text as its configuration."""
    with TemporaryDirectory() as folder:
        for name in ("docusaurus.config.js", "versions.json"):
            Path(folder, name).write_text(text, errors="replace")
        return locate_page(Path(folder, "a.md"), PurePosixPath("a.md"))


def answer(length: int) -> Callable[[str], object]:
    """Return a function that processes a model's answer in deltas of that length."""

    def run(text: str) -> object:
        cited = CitedText(PASSAGES)
        for start in range(0, len(text), length):
            _ = [*cited.write(text[start : start + length])]
        return [*cited.close()]

    return run


TARGETS: dict[str, Callable[[str], object]] = {
    "Markdown": build_reader("a.md"),
    "MDX": build_reader("a.mdx"),
    "HTML": build_reader("a.html"),
    "plain text": build_reader("a.txt"),
    "comma-separated values": build_reader("a.csv"),
    "a notebook": notebook,
    "sentences": split_sentences,
    "front matter": split_front_matter,
    "open front matter": lambda text: split_front_matter(f"---\n{text}"),
    "another encoding": lambda text: decode(text.encode("latin-1", errors="replace")),
    "a site's configuration": site,
    "a title": sensible_title,
    "an answer in words": answer(7),
    "an answer as a whole": answer(1_000_000),
    "a title in Markdown": escape_markdown,
    "a slug": lambda text: docs_route(PurePosixPath("a.md"), {"slug": text}),
}
"""All functions that process untrusted text."""


def find_steep(function: Callable[[str], object], inputs: dict[str, Input]) -> dict[str, str]:
    """Return the inputs for which the time grows faster than linearly, with the measured times."""
    found: dict[str, str] = {}
    for name, make in inputs.items():
        points = measure(function, make, _SUSPECTED, largest=1_024_000)
        is_steep = any(step > HIGHEST for step in exponents(points)[-1:])
        for _ in range(_TRIES if is_steep else 0):
            points = measure(function, make, _CERTAIN, best_of=3)
            steps = exponents(points)[-_STEPS:]
            is_steep = is_steep and bool(steps) and min(steps) > HIGHEST + NOISE
        if is_steep:
            found[name] = ", ".join(f"{point.size}: {point.seconds:.3f} s" for point in points)
    return found


def share(inputs: dict[str, Input], target: str) -> dict[str, Input]:
    """Return the inputs that are tried with this target."""
    return dict(islice(inputs.items(), [*TARGETS].index(target) % _SHARE, None, _SHARE))


@pytest.mark.parametrize("target", TARGETS)
def test_time_grows_in_proportion(target: str) -> None:
    assert find_steep(TARGETS[target], share(INPUTS, target)) == {}


@pytest.mark.parametrize("target", ["Markdown", "MDX"])
def test_time_grows_in_proportion_for_two_characters_in_turn(target: str) -> None:
    assert find_steep(TARGETS[target], share(PAIRS, target)) == {}


def test_a_square_is_noticed() -> None:
    def square(text: str) -> int:
        return sum(1 for one in text[::20] for other in text[::20] if one == other)

    assert [*find_steep(square, {"a": INPUTS["'a' repeated"]})] == ["a"]

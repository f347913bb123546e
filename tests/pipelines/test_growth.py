"""Whatever a text was made of, reading and splitting it takes time in proportion to its length."""

import gc
import json
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from app.chat.answer.citations import CitedText
from app.text.markdown import plain
from pipelines.ingestion.sentences import sentences
from pipelines.ingestion.splitting import split
from pipelines.readers import read
from pipelines.readers.encoding import decode
from pipelines.readers.markdown.front_matter import split_front_matter
from pipelines.readers.sites.layout import place_of
from pipelines.readers.sites.routes import docs_route
from pipelines.readers.titles import sensible_title
from tests.app.chat.passages import PASSAGES
from tests.pipelines.adversarial import INPUTS, PAIRS, Input
from tests.pipelines.growth import exponents, measured

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

HIGHEST = 1.2
"""For time in proportion to length: the caches of a processor add to 1."""
NOISE = 0.15
"""What other users of the machine add; the next worse shape, n times its root, has 1.5."""
_SUSPECTED = 0.1
"""CPU seconds up to which every input is measured first; a quadratic one looks steep by then."""
_CERTAIN = 1.0
"""CPU seconds up to which an input that looked steep is measured again."""
_TRIES = 2
"""An input is steep if it is so each time that it is measured again,"""
_STEPS = 2
"""and in each of the last steps: a reader that changes its ways at some size makes one."""
_SHARE = int(os.environ.get("GROWTH", "12"))
"""One input in so many is tried, others for each target; GROWTH=1 tries all, for half an hour."""


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """The garbage collector, which runs before every measurement, passes over what is there already."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def reading(name: str) -> Callable[[str], object]:
    """A file of that name, read and split into passages."""

    def run(text: str) -> object:
        data = text.encode(errors="replace")
        return split(read(Path("/docs") / name, data, PurePosixPath(name)))

    return run


def notebook(text: str) -> object:
    outputs = [{"output_type": "stream", "text": text[:2_000]}]
    cells = [{"cell_type": "markdown", "source": text}, {"cell_type": "code", "outputs": outputs}]
    return reading("a.ipynb")(json.dumps({"cells": cells}))


def site(text: str) -> object:
    """A folder with this configuration."""
    with TemporaryDirectory() as folder:
        for name in ("docusaurus.config.js", "versions.json"):
            Path(folder, name).write_text(text, errors="replace")
        return place_of(Path(folder, "a.md"), PurePosixPath("a.md"))


def answer(length: int) -> Callable[[str], object]:
    """What a model says, in deltas of that length."""

    def run(text: str) -> object:
        cited = CitedText(PASSAGES)
        for start in range(0, len(text), length):
            _ = [*cited.write(text[start : start + length])]
        return [*cited.close()]

    return run


TARGETS: dict[str, Callable[[str], object]] = {
    "Markdown": reading("a.md"),
    "MDX": reading("a.mdx"),
    "HTML": reading("a.html"),
    "plain text": reading("a.txt"),
    "comma-separated values": reading("a.csv"),
    "a notebook": notebook,
    "sentences": sentences,
    "front matter": split_front_matter,
    "open front matter": lambda text: split_front_matter(f"---\n{text}"),
    "another encoding": lambda text: decode(text.encode("latin-1", errors="replace")),
    "a site's configuration": site,
    "a title": sensible_title,
    "an answer in words": answer(7),
    "an answer as a whole": answer(1_000_000),
    "a title in Markdown": plain,
    "a slug": lambda text: docs_route(PurePosixPath("a.md"), {"slug": text}),
}
"""Whatever works on text that a stranger wrote belongs here."""


def steep(function: Callable[[str], object], inputs: dict[str, Input]) -> dict[str, str]:
    """Inputs for which the time grows faster than in proportion, with the times that show it."""
    found: dict[str, str] = {}
    for name, make in inputs.items():
        points = measured(function, make, _SUSPECTED, largest=1_024_000)
        is_steep = any(step > HIGHEST for step in exponents(points)[-1:])
        for _ in range(_TRIES if is_steep else 0):
            points = measured(function, make, _CERTAIN, best_of=3)
            steps = exponents(points)[-_STEPS:]
            is_steep = is_steep and bool(steps) and min(steps) > HIGHEST + NOISE
        if is_steep:
            found[name] = ", ".join(f"{point.size}: {point.seconds:.3f} s" for point in points)
    return found


def share(inputs: dict[str, Input], target: str) -> dict[str, Input]:
    """The inputs that this target is tried with."""
    return dict(islice(inputs.items(), [*TARGETS].index(target) % _SHARE, None, _SHARE))


@pytest.mark.parametrize("target", TARGETS)
def test_time_grows_in_proportion(target: str) -> None:
    assert steep(TARGETS[target], share(INPUTS, target)) == {}


@pytest.mark.parametrize("target", ["Markdown", "MDX"])
def test_time_grows_in_proportion_for_two_characters_in_turn(target: str) -> None:
    assert steep(TARGETS[target], share(PAIRS, target)) == {}


def test_a_square_is_noticed() -> None:
    def square(text: str) -> int:
        return sum(1 for one in text[::20] for other in text[::20] if one == other)

    assert [*steep(square, {"a": INPUTS["'a' repeated"]})] == ["a"]

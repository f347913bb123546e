"""Whatever a text was made of, reading and splitting it takes time in proportion to its length."""

import json
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from app.chat.citations import CitedText
from app.text.markdown import plain
from pipelines.reading import read
from pipelines.reading.decoding import decode
from pipelines.reading.frontmatter import split_front_matter
from pipelines.reading.routes import docs_route
from pipelines.reading.sites import place_of
from pipelines.reading.titles import sensible_title
from pipelines.sentences import sentences
from pipelines.splitting import split
from tests.app.chat.passages import PASSAGES
from tests.pipelines.adversarial import INPUTS, PAIRS, Input
from tests.pipelines.growth import exponent, measured

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

HIGHEST = 1.2
"""Of what grows in proportion: the collector and the caches of a processor add to 1."""
_SURE = 0.4
"""CPU seconds up to which an input is measured that looked steep."""
_SHARE = 4
"""One input in so many is tried for each target, others for the next: all of them take an hour."""
NOISE = 0.15
"""What other users of the machine add to a fit; the next worse shape, n times its root, has 1.5."""


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
    """Inputs for which it grows faster than in proportion, measured once more to be sure."""
    found: dict[str, str] = {}
    for name, make in inputs.items():
        if exponent(measured(function, make, 1)) <= HIGHEST:
            continue
        points = measured(function, make, 3, enough=_SURE)
        if (grows := exponent(points)) > HIGHEST + NOISE:
            shown = ", ".join(f"{point.size}: {point.seconds:.3f} s" for point in points)
            found[name] = f"by a power of {grows:.2f} ({shown})"
    return found


LONG = (
    "Markdown",
    "MDX",
    "HTML",
    "comma-separated values",
    "a notebook",
    "sentences",
    "a title in Markdown",
)
"""Take minutes each: tried by hand, with GROWTH=all in the environment."""
takes_long = pytest.mark.skipif(os.environ.get("GROWTH") != "all", reason="GROWTH=all is not set")


@pytest.mark.parametrize(
    "target", [pytest.param(name, marks=takes_long if name in LONG else ()) for name in TARGETS]
)
def test_time_grows_in_proportion(target: str) -> None:
    first = [*TARGETS].index(target) % _SHARE
    chosen = dict(islice(INPUTS.items(), first, None, _SHARE))
    assert steep(TARGETS[target], chosen) == {}


@takes_long
@pytest.mark.parametrize("target", ["Markdown", "MDX"])
def test_time_grows_in_proportion_for_two_signs_in_turn(target: str) -> None:
    assert steep(TARGETS[target], dict(islice(PAIRS.items(), 0, None, _SHARE))) == {}


def test_a_square_is_noticed() -> None:
    def square(text: str) -> int:
        return sum(1 for one in text[::20] for other in text[::20] if one == other)

    assert [*steep(square, {"a": INPUTS["'a' repeated"]})] == ["a"]

"""Generator of realistic documentation: the same seed gives the same pages.

The parameters were fitted to the curriculum and to the documentation of Docusaurus and Redux. Word
frequencies follow the law of Zipf and Mandelbrot (the ten most frequent words are a fifth of the text,
the thousand most frequent ones six sevenths). Sentences of about 14 words and blocks of one or two
sentences have log-normal lengths. Each page repeats a few words of its own topic.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

_WORDS = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").partition("\n\n")
FUNCTION, STEMS = _WORDS[0].split(), _WORDS[2].split()
"""Function words of English, the most frequent first, and the stems of technical words."""
SUFFIXES = ["", "s", "ing", "ed", "er", "able"]
PREFIXES = ["", "re", "un", "pre", "sub"]

_EXPONENT, _SHIFT = 1.21, 3.0
"""Zipf-Mandelbrot law: the frequency of the word of rank r is proportional to (r + shift) ** -exponent."""
_OWN_WORDS = 14
_OWN_SHARE = 0.12
"""Fraction of a page's words that come from its own topic."""
_PASSAGE = 900
"""Maximum characters of blocks that `Page.passages` joins to one passage."""


@dataclass(frozen=True)
class GeneratedSection:
    """A heading and the Markdown blocks under it."""

    heading: str
    level: int
    blocks: tuple[str, ...]


@dataclass(frozen=True)
class GeneratedPage:
    """A page of documentation; `path` is relative to the folder."""

    path: str
    title: str
    sections: tuple[GeneratedSection, ...]

    @property
    def markdown(self) -> str:
        """The content of the file."""
        parts = [f"---\ntitle: {self.title}\n---\n\n# {self.title}"]
        for section in self.sections:
            parts += [f"{'#' * section.level} {section.heading}", *section.blocks]
        return "\n\n".join(parts) + "\n"

    @cached_property
    def passages(self) -> list[tuple[tuple[str, str], str]]:
        """Pairs of section path and text, up to about 900 characters, split approximately as Ibid does."""
        found: list[tuple[tuple[str, str], str]] = []
        for section in self.sections:
            text = section.heading
            for block in section.blocks:
                if len(text) + len(block) > _PASSAGE and text:
                    found.append(((self.title, section.heading), text))
                    text = ""
                text = f"{text}\n\n{block}".strip()
            found.append(((self.title, section.heading), text))
        return found


def pages(passages: int, seed: int = 1) -> Iterator[GeneratedPage]:
    """Yield pages that have about this number of passages in total, about 14 per page."""
    author = _Author(random.Random(seed))  # noqa: S311 - no secret
    written = number = 0
    while written < passages:
        page = author.page(number, passages - written)
        yield page
        written, number = written + len(page.passages), number + 1


def questions(pages: Sequence[GeneratedPage], count: int, seed: int = 2) -> list[str]:
    """Return queries of 2 to 20 words about the pages: keywords, questions and whole sentences."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    found: list[str] = []
    while len(found) < count:
        page = rng.choice(pages)
        section = rng.choice(page.sections)
        words = [word.strip(".,`") for word in " ".join(section.blocks).split() if word.isalpha()]
        content = [word for word in words if len(word) > 4] or [section.heading]
        some = rng.choices(content, k=4)
        forms = (
            f"{some[0]} {some[1]}",
            section.heading,
            f"How do I {some[0]} the {some[1]} {some[2]}?",
            f"What is the {some[0]} of {section.heading.lower()} in {page.title.lower()}?",
            " ".join(words[: rng.randint(6, 20)]) or some[0],
        )
        found.append(rng.choice(forms))
    return found


def write(pages: Sequence[GeneratedPage], folder: Path) -> Path:
    """Write the pages as files; return the folder."""
    for page in pages:
        path = folder / page.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page.markdown, encoding="utf-8")
    return folder


class _Author:
    """Generates pages from one vocabulary."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._words = [*FUNCTION]
        for prefix in PREFIXES:
            derived = [prefix + _join_suffix(stem, end) for stem in STEMS for end in SUFFIXES]
            self._words += rng.sample(derived, len(derived))
        ranks = range(1, len(self._words) + 1)
        self._weights = [*accumulate((rank + _SHIFT) ** -_EXPONENT for rank in ranks)]
        self._own: list[str] = []

    def page(self, number: int, most: int) -> GeneratedPage:
        """Return a page with at most `most` sections."""
        self._own = [word for word in self._draw(6 * _OWN_WORDS) if word not in FUNCTION]
        self._own = self._own[:_OWN_WORDS] or ["lamp"]
        title = self._heading(3)
        count = min(self._around(11, 0.6, 60), most)
        sections = tuple(self._section() for _ in range(count))
        return GeneratedPage(f"part{number // 40:03}/page{number:05}.md", title, sections)

    def _section(self) -> GeneratedSection:
        blocks = tuple(self._block() for _ in range(self._around(2.6, 0.6, 12)))
        return GeneratedSection(self._heading(3), self._rng.choices((2, 3), (2, 1))[0], blocks)

    def _block(self) -> str:
        kind = self._rng.choices(("prose", "list", "code"), (66, 20, 14))[0]
        if kind == "list":
            return "\n".join(f"- {self._sentence()}" for _ in range(self._around(3.5, 0.4, 9)))
        if kind == "code":
            lines = (self._line_of_code() for _ in range(self._around(4, 0.7, 30)))
            return "\n".join(("```py", *lines, "```"))
        return " ".join(self._sentence() for _ in range(self._around(1.6, 0.7, 9)))

    def _sentence(self) -> str:
        words = self._draw(self._around(13, 0.55, 60))
        if len(words) > 9 and self._rng.random() < 0.5:
            words[len(words) // 2] += ","
        if self._rng.random() < 0.2:
            words[-1] = f"`{self._name()}`"
        if self._rng.random() < 0.04:
            words[0] = f"[{words[0]}](page{self._rng.randrange(400):05}.md)"
        return " ".join(words)[:1].upper() + " ".join(words)[1:] + "."

    def _line_of_code(self) -> str:
        indent = "    " * self._rng.randrange(3)
        return f"{indent}{self._name()} = {self._name()}({self._name()}, {self._rng.randrange(99)})"

    def _name(self) -> str:
        return "_".join(self._rng.choices(self._own, k=2))

    def _heading(self, median: float) -> str:
        return " ".join(self._rng.choices(self._own, k=self._around(median, 0.4, 7))).capitalize()

    def _draw(self, count: int) -> list[str]:
        words = self._rng.choices(self._words, cum_weights=self._weights, k=count)
        if not self._own:
            return words
        return [
            self._rng.choice(self._own) if self._rng.random() < _OWN_SHARE else word
            for word in words
        ]

    def _around(self, median: float, sigma: float, most: int) -> int:
        """Return a log-normal random number from 1 to `most`."""
        return max(1, min(round(median * self._rng.lognormvariate(0, sigma)), most))


def _join_suffix(stem: str, suffix: str) -> str:
    return (stem.removesuffix("e") if suffix[:1] in ("i", "e", "a") else stem) + suffix

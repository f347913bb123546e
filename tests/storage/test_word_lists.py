"""Word lists: every file is read by the module beside it, and becomes patterns."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.word_lists import any_of, word_lists

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path for top in ("app", "pipelines", "storage") for path in (ROOT / top).rglob("*.toml")
)


def lists(path: Path) -> Iterator[tuple[str, list[object]]]:
    return (
        (name, words) for name, words in word_lists(str(path)).items() if isinstance(words, list)
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_has_its_module_and_no_word_twice(path: Path) -> None:
    assert "word_lists(__file__)" in path.with_suffix(".py").read_text()
    for name, words in lists(path):
        assert words, name
        assert len({str(word) for word in words}) == len(words), name


def test_a_list_becomes_a_pattern_of_its_words() -> None:
    pattern = re.compile(any_of(["they're", "e.g.", "so that"]))
    assert pattern.fullmatch("they’re")
    assert pattern.fullmatch("they're")
    assert pattern.fullmatch("so that")
    assert not pattern.fullmatch("eag.")

"""The written answers in `tests/answers` are well-formed: their markers name their sources."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

FILES = sorted((Path(__file__).parent / "answers").glob("*.jsonl"))


def read_answers(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_there_are_two_hundred_answers_with_ids_of_their_own() -> None:
    ids = [answer["id"] for path in FILES for answer in read_answers(path)]
    assert len(ids) == len(set(ids)) == 200


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_marker_names_a_source_and_every_source_is_cited(path: Path) -> None:
    for answer in read_answers(path):
        prose = re.sub(r"(?s)```.*?```|`[^`]*`", "", answer["answer"])
        markers = {int(number) for number in re.findall(r"\[(\d+)\]", prose)}
        assert markers == {*range(1, len(answer["sources"]) + 1)}, answer["id"]
        assert answer["corpus"] == path.stem

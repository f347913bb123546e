"""Golden sets: questions and the documents that answer them, in the file layout of BEIR."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from storage.domain import Value
from storage.errors import InvalidInput
from storage.json_parsing import parse_json

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels/test.tsv"


class _BeirMetadata(BaseModel):
    user_turns: list[str] = []


class _BeirLine(BaseModel):
    """A line of a set; other fields in it are ignored."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    id: str = Field(alias="_id", min_length=1)
    title: str | None = None
    text: str | None = None
    metadata: _BeirMetadata | None = None


class GoldenDocument(Value):
    """A document of a set, as in its file."""

    id: str
    title: str
    text: str


class GoldenQuestion(Value):
    """A question, the questions before it, and the gain of each document that answers it."""

    id: str
    text: str
    history: tuple[str, ...] = ()
    relevant: dict[str, float]


class GoldenSet(Value):
    """A set of questions, each with at least one document that answers it."""

    questions: tuple[GoldenQuestion, ...]

    @property
    def document_ids(self) -> set[str]:
        """Ids of all documents that answer a question."""
        return {key for question in self.questions for key in question.relevant}


def read_golden(folder: Path) -> GoldenSet:
    """Read the questions of a set; raise `InvalidInput` for missing or malformed input, with its line.

    If `metadata.user_turns` is given, all but its last entry are the questions asked before.
    """
    relevant = _read_qrels(folder / QRELS)
    questions = [
        _question(row, relevant[row.id]) for row in _rows(folder / QUERIES) if row.id in relevant
    ]
    if not questions:
        raise InvalidInput(f"No question of {folder / QUERIES} has a document in {QRELS}.")
    return GoldenSet(questions=tuple(questions))


def read_corpus(folder: Path) -> Iterator[GoldenDocument]:
    """Yield the documents that have a text or a title; raise `InvalidInput` as `read_golden` does."""
    for row in _rows(folder / CORPUS):
        title, text = (row.title or "").strip(), row.text or ""
        if title or text.strip():
            yield GoldenDocument(id=row.id, title=title, text=text)


def _question(row: _BeirLine, relevant: dict[str, float]) -> GoldenQuestion:
    turns = row.metadata.user_turns if row.metadata else []
    return GoldenQuestion(
        id=row.id, text=row.text or "", history=tuple(turns[:-1]), relevant=relevant
    )


def _rows(path: Path) -> Iterator[_BeirLine]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            try:
                yield _BeirLine.model_validate(parse_json(line))
            except (ValueError, ValidationError) as error:
                raise InvalidInput(f"{path}, line {number}: {_describe_error(error)}.") from error


def _read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Read the gains above zero, by question and document; a header line is skipped."""
    relevant: dict[str, dict[str, float]] = {}
    for number, row in enumerate(
        csv.reader(_lines(path), delimiter="\t", quoting=csv.QUOTE_NONE), 1
    ):
        if not row or (number == 1 and row[-1].strip() == "score"):
            continue
        try:
            query, document, gain = row[0], row[1], _parse_finite(row[2])
        except (IndexError, ValueError) as error:
            raise InvalidInput(
                f"{path}, line {number}: expected a question, a document and a number, "
                "separated by tabs."
            ) from error
        if gain > 0:
            relevant.setdefault(query, {})[document] = gain
    return relevant


def _parse_finite(text: str) -> float:
    """Parse a finite number; raise `ValueError` for anything else, including `nan` and `inf`."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file; other line separators of Unicode may be part of a text."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from file
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InvalidInput(f"{path} cannot be read: {reason}.") from error


def _describe_error(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return "it is not a JSON object"

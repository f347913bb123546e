"""Generates an initial golden set: a corpus's own headings are the questions, their pages the answers."""

import json
from collections.abc import Iterable
from pathlib import Path

from app.evaluation.golden import QRELS, QUERIES, GoldenQuestion, GoldenSet
from app.evaluation.retrieval import page_url
from app.retrieval.search import Search
from storage.domain import Passage
from storage.errors import AlreadyExists, InvalidInput
from storage.index.bm25.tokenizer import tokenize
from storage.index.releases import Indexes

_FEWEST_WORDS = 2
"""The fewest content words of a heading that is used: "Example" or "Notes" are too general."""
_FEWEST_PAIRS = 3
"""The fewest pairs of characters, in scripts that do not separate words by spaces."""


async def generate_golden(search: Search, indexes: Indexes, corpus: str) -> GoldenSet:
    """Generate a question from every specific heading that only one page of the searched editions has.

    Such questions share their words with the text: they show that a release lost something, but they are
    not typical of what people ask. Raises `NotFound`, and `InvalidInput` for a corpus without such headings.
    """
    scope = await search.scope([corpus])
    passages = await (await indexes.serving()).list_passages(scope)
    questions = _questions(passages, min(scope.languages))
    if not questions:
        raise InvalidInput(f"The corpus {corpus!r} has no heading that belongs to only one page.")
    return GoldenSet(questions=tuple(questions))


def write_golden(golden: GoldenSet, folder: Path) -> None:
    """Write a set in BEIR's layout, without its documents; raise `AlreadyExists` if the folder has a set."""
    queries, qrels = folder / QUERIES, folder / QRELS
    if queries.exists() or qrels.exists():
        raise AlreadyExists(f"{folder} already has a golden set. Choose another folder.")
    rows = [
        json.dumps(
            {"_id": question.id, "text": question.text, "metadata": {"generated": True}},
            ensure_ascii=False,
        )
        for question in golden.questions
    ]
    judgements = [
        f"{question.id}\t{document}\t{gain:g}"
        for question in golden.questions
        for document, gain in question.relevant.items()
    ]
    try:
        qrels.parent.mkdir(parents=True, exist_ok=True)
        queries.write_text("\n".join([*rows, ""]), encoding="utf-8")
        header = "query-id\tcorpus-id\tscore"
        qrels.write_text("\n".join([header, *judgements, ""]), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{folder} cannot be written to: {error.strerror}.") from error


def _questions(passages: Iterable[Passage], language: str) -> list[GoldenQuestion]:
    pages: dict[str, set[str]] = {}
    for passage in passages:
        pages.setdefault(passage.section[-1], set()).add(page_url(passage))
    unique = [(heading, *where) for heading, where in sorted(pages.items()) if len(where) == 1]
    return [
        GoldenQuestion(id=f"heading-{number}", text=heading, relevant={page: 1.0})
        for number, (heading, page) in enumerate(
            ((heading, page) for heading, page in unique if _is_specific(heading, language)), 1
        )
    ]


def _is_specific(heading: str, language: str) -> bool:
    spaced, unspaced = tokenize(heading, language)
    return len(set(spaced)) >= _FEWEST_WORDS or len(set(unspaced)) >= _FEWEST_PAIRS

"""Measures retrieval: searches every question in the same way as a user's and ranks the documents."""

from collections.abc import Callable, Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from app.chat.condensing.heuristic import condense, keywords
from app.evaluation.beir_import import Naming
from app.evaluation.golden import GoldenQuestion, GoldenSet
from app.evaluation.measures import mean, measure
from app.retrieval.search import LONGEST_QUERY, MOST_PASSAGES, Search, checked_query
from storage.domain import Passage, Value
from storage.errors import InvalidInput

Progress = Callable[[int, int], None]
"""Called with the number of finished questions and of all questions."""


class Measured(Value):
    """A question, its search query, and the documents found, best first."""

    id: str
    query: str
    metrics: dict[str, float]
    found: tuple[str, ...]
    relevant: dict[str, float]


class Evaluation(Value):
    """The mean of each measure over the questions, and the result of every question."""

    metrics: dict[str, float]
    questions: tuple[Measured, ...]


async def evaluate(
    search: Search,
    golden: GoldenSet,
    name: Naming,
    corpora: Sequence[str] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the serving release; raise as `Search.scope` does, and `InvalidInput` for no questions.

    A document has the rank of its best passage, among the most passages that a user can request.
    """
    if not golden.questions:
        raise InvalidInput("There are no questions to evaluate.")
    scope = await search.scope(corpora)
    measured: list[Measured] = []
    for number, question in enumerate(golden.questions, 1):
        query, words = searched(question)
        passages = await search.within(
            scope, checked_query(query[:LONGEST_QUERY]), MOST_PASSAGES, words
        )
        found = ranked(passages, name)
        measured.append(
            Measured(
                id=question.id,
                query=query,
                metrics=measure(found, question.relevant),
                found=found,
                relevant=question.relevant,
            )
        )
        if progress:
            progress(number, len(golden.questions))
    return _evaluation(measured)


def read_measured(lines: str) -> Evaluation:
    """Read an evaluation from JSON, one question per line; raise `ValidationError` for a malformed line."""
    measured = [Measured.model_validate_json(line) for line in lines.removesuffix("\n").split("\n")]
    return _evaluation(measured)


async def recall(
    search: Search, golden: GoldenSet, corpora: Sequence[str] = (), depth: int = 10
) -> float:
    """Return the mean share of a question's relevant documents that a search finds, for the release gate.

    Documents are identified by their URLs, as in sets written by `make_golden`.
    """
    evaluation = await evaluate(search, golden, by_url, corpora)
    return evaluation.metrics[f"recall@{depth}"]


def searched(question: GoldenQuestion) -> tuple[str, dict[str, float]]:
    """Return the search query of a conversation without a model to rewrite it, and its weighted keywords."""
    history = [ChatMessage(role=MessageRole.USER, content=turn) for turn in question.history]
    return condense(question.text, history), keywords(question.text, history)


def ranked(passages: Sequence[Passage], name: Naming) -> tuple[str, ...]:
    """Return the documents in the order of their best passages."""
    return tuple(dict.fromkeys(key for key in map(name, passages) if key is not None))


def by_url(passage: Passage) -> str:
    """Return the URL of a passage's page; in a paged document, it includes the page number."""
    return passage.url if passage.page is not None else passage.url.partition("#")[0]


def _evaluation(measured: Sequence[Measured]) -> Evaluation:
    return Evaluation(metrics=mean([one.metrics for one in measured]), questions=tuple(measured))

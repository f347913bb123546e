"""Measures retrieval: searches every question in the same way as a user's and ranks the documents."""

from collections.abc import Callable, Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from app.chat.condensing.heuristic import condense, keywords
from app.evaluation.beir_import import DocumentNamer
from app.evaluation.golden import GoldenQuestion, GoldenSet
from app.evaluation.measures import mean, measure
from app.retrieval.request import MAX_PASSAGES, MAX_QUERY_LENGTH, SearchRequest
from app.retrieval.search import Search
from storage.domain import Passage, Value
from storage.errors import InvalidInput

Progress = Callable[[int, int], None]
"""Called with the number of finished questions and of all questions."""


class QuestionResult(Value):
    """A question, its search query, and the documents found, best first."""

    id: str
    query: str
    metrics: dict[str, float]
    found: tuple[str, ...]
    relevant: dict[str, float]


class Evaluation(Value):
    """The mean of each measure over the questions, and the result of every question."""

    metrics: dict[str, float]
    questions: tuple[QuestionResult, ...]


async def evaluate(
    search: Search,
    golden: GoldenSet,
    name: DocumentNamer,
    corpora: Sequence[str] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the serving release; raise as `Search.scope` does, and `InvalidInput` for no questions.

    A document has the rank of its best passage, among the most passages that a user can request.
    """
    if not golden.questions:
        raise InvalidInput("There are no questions to evaluate.")
    scope = await search.scope(corpora)
    measured: list[QuestionResult] = []
    for number, question in enumerate(golden.questions, 1):
        query, words = build_query(question)
        request = SearchRequest(query[:MAX_QUERY_LENGTH], limit=MAX_PASSAGES, keywords=words)
        passages = await search.search_scope(scope, SearchRequest.of(request))
        found = rank_documents(passages, name)
        measured.append(
            QuestionResult(
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


def read_evaluation(lines: str) -> Evaluation:
    """Read an evaluation from JSON, one question per line; raise `ValidationError` for a malformed line."""
    measured = [
        QuestionResult.model_validate_json(line) for line in lines.removesuffix("\n").split("\n")
    ]
    return _evaluation(measured)


async def mean_recall(
    search: Search, golden: GoldenSet, corpora: Sequence[str] = (), depth: int = 10
) -> float:
    """Return the mean share of a question's relevant documents that a search finds, for the release gate.

    Documents are identified by their URLs, as in sets written by `generate_golden`.
    """
    evaluation = await evaluate(search, golden, page_url, corpora)
    return evaluation.metrics[f"recall@{depth}"]


def build_query(question: GoldenQuestion) -> tuple[str, dict[str, float]]:
    """Return the search query of a conversation without a model to rewrite it, and its weighted keywords."""
    history = [ChatMessage(role=MessageRole.USER, content=turn) for turn in question.history]
    return condense(question.text, history), keywords(question.text, history)


def rank_documents(passages: Sequence[Passage], name: DocumentNamer) -> tuple[str, ...]:
    """Return the documents in the order of their best passages."""
    return tuple(dict.fromkeys(key for key in map(name, passages) if key is not None))


def page_url(passage: Passage) -> str:
    """Return the URL of a passage's page; in a paged document, it includes the page number."""
    return passage.url if passage.page is not None else passage.url.partition("#")[0]


def _evaluation(measured: Sequence[QuestionResult]) -> Evaluation:
    return Evaluation(
        metrics=mean([result.metrics for result in measured]), questions=tuple(measured)
    )

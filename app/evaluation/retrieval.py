"""Retrieval measured: every question searched as a user's would be, its documents ranked."""

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
"""Called with how many questions are done, of how many."""


class Measured(Value):
    """A question, what was searched for it, and the documents that were found, best first."""

    id: str
    query: str
    metrics: dict[str, float]
    found: tuple[str, ...]
    relevant: dict[str, float]


class Evaluation(Value):
    """Each measure as a mean over the questions, and every question by itself."""

    metrics: dict[str, float]
    questions: tuple[Measured, ...]


async def evaluate(
    search: Search,
    golden: GoldenSet,
    name: Naming,
    corpora: Sequence[str] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Searches what serves; raises as `Search.scope` does, and `InvalidInput` for no questions.

    A document's rank is that of its best passage among the most that a user can ask for.
    """
    if not golden.questions:
        raise InvalidInput("There is no question to measure with.")
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
    """From one question a line, in JSON; raises `ValidationError` for what is not, or is none."""
    measured = [Measured.model_validate_json(line) for line in lines.removesuffix("\n").split("\n")]
    return _evaluation(measured)


async def recall(
    search: Search, golden: GoldenSet, corpora: Sequence[str] = (), depth: int = 10
) -> float:
    """Share of the documents that answer a question which a search finds: what a release is held to.

    Documents go by their URLs, as `make_golden` writes them.
    """
    evaluation = await evaluate(search, golden, by_url, corpora)
    return evaluation.metrics[f"recall@{depth}"]


def searched(question: GoldenQuestion) -> tuple[str, dict[str, float]]:
    """What a conversation would search for it when there is no model to rewrite it, and the words."""
    history = [ChatMessage(role=MessageRole.USER, content=turn) for turn in question.history]
    return condense(question.text, history), keywords(question.text, history)


def ranked(passages: Sequence[Passage], name: Naming) -> tuple[str, ...]:
    """Documents in the order of their best passages."""
    return tuple(dict.fromkeys(key for key in map(name, passages) if key is not None))


def by_url(passage: Passage) -> str:
    """The page a passage is on; of what is printed on pages, the page by number."""
    return passage.url if passage.page is not None else passage.url.partition("#")[0]


def _evaluation(measured: Sequence[Measured]) -> Evaluation:
    return Evaluation(metrics=mean([one.metrics for one in measured]), questions=tuple(measured))

"""Complete a follow-up question without a model, by adding earlier questions to the search query."""

import re
from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from storage.word_lists import any_of, word_lists

_LISTS = word_lists(__file__)
_REFERRING = re.compile(rf"\b{any_of(_LISTS['referring'])}\b", re.IGNORECASE)
_CONTINUATION = re.compile(rf"^\W*{any_of(_LISTS['continuing'])}\b", re.IGNORECASE)
_FEW_WORDS = 3
_MAX_TURNS = 3
_HISTORY_WEIGHT = 1 / 3


def condense(question: str, history: Sequence[ChatMessage]) -> str:
    """Return the question, followed by the earlier questions that it depends on, latest first.

    A question that depends on none is returned alone. Without a model that rewrites the question, adding
    the words of earlier questions is the way to keep their topic.
    """
    earlier = user_questions(history)
    parts = [question]
    while earlier and len(parts) <= _MAX_TURNS and depends_on_history(parts[-1]):
        parts.append(earlier.pop())
    return "\n".join(parts)


def keywords(question: str, history: Sequence[ChatMessage]) -> dict[str, float]:
    """Return the texts for the keyword search with their weights: the question and the last few before it.

    Older questions weigh less. They are added even to a question that is grammatically complete, because
    it may still be about the same topic: their words resolve what its own words leave open. Where the
    topic has changed, the question's own words outweigh them.
    """
    weights = {question: 1.0}
    for turn, earlier in enumerate(reversed(user_questions(history)[-_MAX_TURNS:]), 1):
        weights.setdefault(earlier, _HISTORY_WEIGHT**turn)
    return weights


def depends_on_history(question: str) -> bool:
    """Return whether a question depends on earlier ones: it has a pronoun, an ellipsis or very few words."""
    return bool(
        len(question.split()) <= _FEW_WORDS
        or _REFERRING.search(question)
        or _CONTINUATION.search(question)
    )


def user_questions(history: Sequence[ChatMessage]) -> list[str]:
    """Return the user's questions so far, oldest first."""
    return [message.content or "" for message in history if message.role == MessageRole.USER]

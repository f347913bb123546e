"""A follow-up made whole: what is searched when a question leans on the ones before it."""

import re
from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole

_LEANING = re.compile(
    r"\b(it|its|they|them|their|this|that|these|those|he|she|him|her|one|ones|there|then|same|"
    r"former|latter|above|instead|else|another|other)\b",
    re.IGNORECASE,
)
_CONTINUING = re.compile(
    r"^\W*(and|but|or|so|why|how come|what about|how about|what else|also|then|really|for example|"
    r"such as|like what|can you|tell me more|more|explain|elaborate)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 3
_MOST_TURNS = 3
_ECHO = 1 / 3


def condense(question: str, history: Sequence[ChatMessage]) -> str:
    """The question, with the earlier ones it leans on behind it; alone when it stands by itself.

    Without a model to rewrite it, carrying the topic over means carrying its words over.
    """
    earlier = asked(history)
    parts = [question]
    while earlier and len(parts) <= _MOST_TURNS and leans(parts[-1]):
        parts.append(earlier.pop())
    return "\n".join(parts)


def keywords(question: str, history: Sequence[ChatMessage]) -> dict[str, float]:
    """Texts whose words to look for, by weight: the question, and the last ones ever more faintly.

    That a question stands by itself grammatically does not say that its topic is another: words of
    the questions before tell apart what its own words leave open, and are outweighed by them where
    the topic has changed.
    """
    weights = {question: 1.0}
    for turn, earlier in enumerate(reversed(asked(history)[-_MOST_TURNS:]), 1):
        weights.setdefault(earlier, _ECHO**turn)
    return weights


def leans(question: str) -> bool:
    """Whether a question needs the ones before it: a pronoun, an ellipsis, hardly any words."""
    return bool(
        len(question.split()) <= _FEW_WORDS
        or _LEANING.search(question)
        or _CONTINUING.search(question)
    )


def asked(history: Sequence[ChatMessage]) -> list[str]:
    """The questions so far, oldest first."""
    return [message.content or "" for message in history if message.role == MessageRole.USER]

"""The events of a turn, in order: `Retrieved`, then `Token` and `Cited`, and finally `Completed`.

If a model rewrites the question, `Condensing` and `Condensed` come first. After `Restarted`, the tokens
and footnotes start again from the beginning.
"""

from typing import Literal

from storage.domain import Answer, Attempt, Citation, Passage, Rewriting, Value


class Condensing(Value):
    """The question depends on earlier ones, and a model is rewriting it as a standalone question."""

    kind: Literal["condensing"] = "condensing"
    model: str


class Condensed(Value):
    """The query to search for: a model's rewriting or, if that failed, the question with earlier ones."""

    kind: Literal["condensed"] = "condensed"
    query: str
    rewriting: Rewriting | None = None
    attempts: tuple[Attempt, ...] = ()


class Retrieved(Value):
    """The passages that the answer may cite, and no others; empty when the question is declined."""

    kind: Literal["retrieved"] = "retrieved"
    passages: tuple[Passage, ...]


class Token(Value):
    """The next words of the answer; all tokens since the last restart, joined, are its `text`."""

    kind: Literal["token"] = "token"
    text: str


class Cited(Value):
    """A new footnote; its marker comes in the next `Token`."""

    kind: Literal["cited"] = "cited"
    citation: Citation


class Restarted(Value):
    """A model failed in mid-answer and the next one starts; discard all tokens and footnotes so far."""

    kind: Literal["restart"] = "restart"
    attempt: Attempt


class Completed(Value):
    """The whole answer; it is stored in the conversation before this event is sent."""

    kind: Literal["completed"] = "completed"
    answer: Answer


ChatEvent = Condensing | Condensed | Retrieved | Token | Cited | Restarted | Completed

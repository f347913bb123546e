"""What a turn says while it happens: `Retrieved`, then `Token` and `Cited`, at last `Completed`."""

from typing import Literal

from storage.domain import Answer, Citation, Passage, Value


class Retrieved(Value):
    """The closed set of passages the answer may cite; empty when the question is declined."""

    kind: Literal["retrieved"] = "retrieved"
    passages: tuple[Passage, ...]


class Token(Value):
    """The next words of the answer; all of them joined are its `text`."""

    kind: Literal["token"] = "token"
    text: str


class Cited(Value):
    """A footnote whose marker comes in the next `Token`."""

    kind: Literal["cited"] = "cited"
    citation: Citation


class Completed(Value):
    """The whole answer, kept in the conversation before this is said."""

    kind: Literal["completed"] = "completed"
    answer: Answer


ChatEvent = Retrieved | Token | Cited | Completed

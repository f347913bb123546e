"""What a turn says while it happens: `Retrieved`, then `Token` and `Cited`, at last `Completed`.

Before these, a question that a model makes whole has `Condensing` and `Condensed`. After `Restarted`
the tokens and footnotes come anew.
"""

from typing import Literal

from storage.domain import Answer, Attempt, Citation, Passage, Rewriting, Value


class Condensing(Value):
    """The question leans on earlier ones, and a model is asked to make it whole."""

    kind: Literal["condensing"] = "condensing"
    model: str


class Condensed(Value):
    """What is searched; by a `rewriting`, or, when the model failed, with the earlier questions."""

    kind: Literal["condensed"] = "condensed"
    query: str
    rewriting: Rewriting | None = None
    attempts: tuple[Attempt, ...] = ()


class Retrieved(Value):
    """The closed set of passages the answer may cite; empty when the question is declined."""

    kind: Literal["retrieved"] = "retrieved"
    passages: tuple[Passage, ...]


class Token(Value):
    """The next words of the answer; all of them since the last restart joined are its `text`."""

    kind: Literal["token"] = "token"
    text: str


class Cited(Value):
    """A footnote whose marker comes in the next `Token`."""

    kind: Literal["cited"] = "cited"
    citation: Citation


class Restarted(Value):
    """A model broke off, and the next one begins: all tokens and footnotes so far are void."""

    kind: Literal["restart"] = "restart"
    attempt: Attempt


class Completed(Value):
    """The whole answer, kept in the conversation before this is said."""

    kind: Literal["completed"] = "completed"
    answer: Answer


ChatEvent = Condensing | Condensed | Retrieved | Token | Cited | Restarted | Completed

"""Maps the many words that servers use for the reason why a model stopped to a few kinds."""

import re
from typing import Literal

Ending = Literal["stop", "length", "filter", "tool", "error"]

_KINDS: tuple[tuple[Ending, re.Pattern[str]], ...] = (
    (
        "filter",
        re.compile(
            "filter|safety|moderat|sensitive|block|prohibit|recitation|refus|guardrail|spii|policy|violat"
        ),
    ),
    ("tool", re.compile("tool|function")),
    (
        "error",
        re.compile(
            "error|fail|abort|cancel|time.?out|malformed|interrupt|unavailable|overload|insufficient|"
            "exception|disconnect"
        ),
    ),
    ("length", re.compile("length|max|limit|truncat|window|exceed")),
)


def ending(reason: object) -> Ending:
    """Classify a finish reason; an unknown reason counts as `stop`, because the answer did not break off."""
    told = str(reason).lower()
    for kind, words in _KINDS:
        if words.search(told):
            return kind
    return "stop"

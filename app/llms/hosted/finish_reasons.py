"""Maps the many words that servers use for the reason why a model stopped to a few kinds."""

import re
from typing import Literal

FinishKind = Literal["stop", "length", "filter", "tool", "error"]

_MEDIA_TYPES: tuple[tuple[FinishKind, re.Pattern[str]], ...] = (
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


def classify_finish_reason(reason: object) -> FinishKind:
    """Classify a finish reason; an unknown reason counts as `stop`, because the answer did not break off."""
    text = str(reason).lower()
    for kind, words in _MEDIA_TYPES:
        if words.search(text):
            return kind
    return "stop"

"""Finds which parameters of a request a model's server does not accept, from the text of its refusal."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import msgspec

from storage.http.pool import DECODE_ERRORS

_LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
"""The two names that servers use for the limit of an answer."""
_UNAMBIGUOUS_NAMES = (*_LIMIT_NAMES, "temperature", "stream_options")
"""Names that are not English words, or that may be mistaken for a parameter without harm."""
_AMBIGUOUS_NAMES = ("models", "provider", "stream")
"""Names that are also English words: they count only where the text is about a parameter."""
_UNKNOWN = re.compile(
    r"un(?:known|recogni[sz]ed|supported|expected)|(?:not|n't) (?:\w+ )?(?:support|permit|allow|recogni|"
    r"accept|valid)|extra|additional|forbidden|deprecated|invalid (?:parameter|argument|field)",
    re.IGNORECASE,
)
_WRONG_NUMBER = re.compile(
    r"too (?:large|big|high|long|many)|at (?:most|least)|maximum|exceed|must be|greater|less than|"
    r"context (?:length|window|size)",
    re.IGNORECASE,
)
"""Texts that refuse the limit's value, not the parameter: without a limit, the cost would be unlimited."""
_ECHOED_FIELDS = ("input", "body", "request")
"""Fields in which a refusal repeats the request."""
_DEPTH = 6


def without_parameters(body: Mapping[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """Return the body without the refused parameters; its limit takes the name that is not refused."""
    accepted = {name: value for name, value in body.items() if name not in refused}
    limit_name, alternative = _LIMIT_NAMES
    if limit_name in body and limit_name in refused and alternative not in refused:
        accepted[alternative] = body[limit_name]
    return accepted


def find_refused_parameters(answer: bytes, sent: Collection[str]) -> set[str]:
    """Return the sent parameters that a refusal names; none if it is about something else."""
    try:
        message = "\n".join(_texts(msgspec.json.decode(answer), _DEPTH))
    except (*DECODE_ERRORS, RecursionError):
        message = answer.decode(errors="replace")
    named = {
        name
        for name in (*_UNAMBIGUOUS_NAMES, *_AMBIGUOUS_NAMES)
        if name in sent and _is_refused(name, message)
    }
    return named | ({"stream_options"} & {*sent} if "stream" in named else set())


def _is_refused(name: str, message: str) -> bool:
    if name in _UNAMBIGUOUS_NAMES:
        is_number = name in _LIMIT_NAMES and _WRONG_NUMBER.search(message)
        return not is_number and re.search(rf"\b{name}\b", message) is not None
    quoted = rf"[\"'`]{name}[\"'`]"
    listed = rf"\b(?:argument|parameter|field|key|propert|input)\w*\b[^.;]*?[\s:,]{name}\b"
    return bool(_UNKNOWN.search(message) and re.search(f"{quoted}|{listed}", message))


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Yield the texts in a response; a single word is put in quotes."""
    if isinstance(value, str):
        yield value if " " in value else f"'{value}'"
    elif isinstance(value, list) and depth:
        for each in cast("list[Any]", value):
            yield from _texts(each, depth - 1)
    elif isinstance(value, dict) and depth:
        for name, each in cast("dict[str, Any]", value).items():
            if name not in _ECHOED_FIELDS:
                yield from _texts(each, depth - 1)

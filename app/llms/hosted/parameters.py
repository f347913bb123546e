"""Which parameters of a request a model's server does not take, by what its refusal says."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

import msgspec

from storage.http.pool import UNREADABLE

_LENGTHS = ("max_tokens", "max_completion_tokens")
"""By either name a server may call the limit of an answer."""
_PLAIN = (*_LENGTHS, "temperature", "stream_options")
"""No word of English, or no harm when it is taken for a parameter by mistake."""
_WORDS = ("models", "provider", "stream")
"""Words of English, too: they name a parameter only where one is named."""
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
"""The limit is refused, and not the parameter: without any, an answer could cost whatever it wants."""
_ECHOES = ("input", "body", "request")
"""Where a refusal repeats what was sent."""
_DEPTH = 6


def without(body: Mapping[str, Any], refused: Collection[str]) -> dict[str, Any]:
    """The body as the server takes it, its limit by the name that is not refused."""
    taken = {name: value for name, value in body.items() if name not in refused}
    one, other = _LENGTHS
    if one in body and one in refused and other not in refused:
        taken[other] = body[one]
    return taken


def refused_in(answer: bytes, sent: Collection[str]) -> set[str]:
    """Which of the parameters that were sent a refusal names; none when it is about something else."""
    try:
        told = "\n".join(_texts(msgspec.json.decode(answer), _DEPTH))
    except (*UNREADABLE, RecursionError):
        told = answer.decode(errors="replace")
    named = {name for name in (*_PLAIN, *_WORDS) if name in sent and _is_refused(name, told)}
    return named | ({"stream_options"} & {*sent} if "stream" in named else set())


def _is_refused(name: str, told: str) -> bool:
    if name in _PLAIN:
        is_number = name in _LENGTHS and _WRONG_NUMBER.search(told)
        return not is_number and re.search(rf"\b{name}\b", told) is not None
    quoted = rf"[\"'`]{name}[\"'`]"
    listed = rf"\b(?:argument|parameter|field|key|propert|input)\w*\b[^.;]*?[\s:,]{name}\b"
    return bool(_UNKNOWN.search(told) and re.search(f"{quoted}|{listed}", told))


def _texts(value: Any, depth: int) -> Iterator[str]:
    """What an answer says, in quotes where it is a single word."""
    if isinstance(value, str):
        yield value if " " in value else f"'{value}'"
    elif isinstance(value, list) and depth:
        for each in cast("list[Any]", value):
            yield from _texts(each, depth - 1)
    elif isinstance(value, dict) and depth:
        for name, each in cast("dict[str, Any]", value).items():
            if name not in _ECHOES:
                yield from _texts(each, depth - 1)

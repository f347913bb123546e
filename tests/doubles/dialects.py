"""Variants of OpenAI's protocol that real servers use, as models of the stand-in.

- `frames-WHAT` frames the events of the stream in one of the ways in `FRAMES`.
- `document` and `pretty` send one JSON document instead of a stream.
- `stops-REASON` sends this reason to stop, or null for `none`.
- `thinks-TAG` sends its reasoning inside a tag, `thinks-alone` with a closing tag only, `thinks-MS-…` in
  separate fields for that many milliseconds; `thinks-out` reasons until its tokens are used up.
- `loose` and `parts` send fields of unusual types.
- `without-NAME` refuses a request that has this parameter, and `without-any` refuses every request.
- `alternates` refuses messages whose roles do not alternate.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.doubles.http import JSON

if TYPE_CHECKING:
    from tests.doubles.openrouter import AnswerStream

THOUGHT = "The reader wants numbers. Passage [2] may say them, and this is a note of mine."
FRAMES: dict[str, tuple[bytes, bytes]] = {
    "usual": (b"data: ", b"\n\n"),
    "crlf": (b"data: ", b"\r\n\r\n"),
    "cr": (b"data: ", b"\r\r"),
    "unspaced": (b"data:", b"\n\n"),
    "unblanked": (b"data: ", b"\n"),
    "named": (b"event: message\ndata: ", b"\n\n"),
    "marked": (b"data: ", b"\n\n"),
    "lines": (b"", b"\n"),
}
"""The bytes before and after the data of an event; a stream of `marked` begins with a byte order mark."""
TYPES = {"frames-lines": "application/x-ndjson", "frames-unblanked": "text/plain; charset=utf-8"}
DOCUMENTS = ("document", "pretty")
Dialect = Callable[["AnswerStream"], Awaitable[None]]


def event_framing(what: str) -> tuple[bytes, bytes]:
    """Return the bytes before and after the data of the model's events."""
    return FRAMES[what.removeprefix("frames-")] if what.startswith("frames-") else FRAMES["usual"]


def headers(what: str) -> dict[str, str]:
    """Return the unusual headers of the model's stream."""
    return {"Content-Type": TYPES[what]} if what in TYPES else {}


def document(what: str, body: JSON) -> bytes:
    """Return the document that is sent instead of a stream."""
    return json.dumps(body, indent=2 if what == "pretty" else None).encode()


def find_refusal(what: str, body: JSON) -> tuple[int, str] | None:
    """Return the status and the message of the refusal, or None if the request is accepted."""
    if what.startswith("alternates"):
        roles = [message["role"] for message in body["messages"] if message["role"] != "system"]
        if roles != [("user", "assistant")[n % 2] for n in range(len(roles))]:
            return 400, "Roles have to take turns, and the user's comes first."
        return None
    name = what.removeprefix("without-")
    if name == "any":
        return 400, f"Unknown parameters: {', '.join(sorted(body))}"
    if name != what and name in body:
        return (
            (422, f"{name}: unexpected field") if "_" in name else (400, f"Unknown field '{name}'")
        )
    return None


async def _frames(stream: "AnswerStream") -> None:
    await stream.words()
    await stream.finish()


async def _stops(stream: "AnswerStream") -> None:
    await stream.words()
    reason = stream.behaviour.removeprefix("stops-")
    await stream.finish(None if reason == "none" else reason)


async def _thinks(stream: "AnswerStream") -> None:
    """Send the reasoning as part of the text, in deltas of three characters."""
    tag = stream.behaviour.removeprefix("thinks-")
    opening, closing = ("", "</think>") if tag == "alone" else (f"<{tag}>", f"</{tag}>")
    said = f"{opening}\n{THOUGHT}\n{closing}\n\n{''.join(stream.text())}"
    stream.word_count = len(said.split())
    for start in range(0, len(said), 3):
        await stream.chunk({"content": said[start : start + 3]})
    await stream.finish()


async def _thinks_long(stream: "AnswerStream") -> None:
    for _ in range(int(stream.behaviour.split("-")[1]) // 20):
        await stream.chunk({"content": "", "reasoning_content": "hm "})
        await stream.exchange.pause(0.02)
    await _frames(stream)


async def _thinks_out(stream: "AnswerStream") -> None:
    for _ in range(3):
        await stream.chunk({"content": None, "reasoning": "hm "})
    await stream.finish("length")


async def _loose(stream: "AnswerStream") -> None:
    await stream.data({"id": 7, "model": stream.model, "choices": None, "usage": None})
    for word in stream.text():
        stream.word_count += 1
        choice: JSON = {"index": 0, "delta": {"content": word, "tool_calls": None}, "logprobs": {}}
        await stream.data({"id": 7, "created": "now", "choices": [choice], "error": None})
    counted: JSON = {"prompt_tokens": 12.0, "completion_tokens": None, "cost": "0.25"}
    await stream.data({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": counted})
    await stream.exchange.send(b"data: [DONE]\n\n")
    await stream.exchange.end()


async def _parts(stream: "AnswerStream") -> None:
    def part(kind: str, content: Any) -> JSON:
        return {"type": kind, kind: content}

    thought: Sequence[JSON] = [part("thinking", [part("text", THOUGHT)])]
    await stream.chunk({"content": thought})
    for word in stream.text():
        stream.word_count += 1
        await stream.chunk({"content": [part("text", word)]})
    await stream.finish()


DIALECTS: dict[str, Dialect] = {
    "frames-": _frames,
    "stops-": _stops,
    "thinks-out": _thinks_out,
    **{f"thinks-{digit}": _thinks_long for digit in "123456789"},
    "thinks-": _thinks,
    "loose": _loose,
    "parts": _parts,
}

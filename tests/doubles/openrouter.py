"""A stand-in for OpenRouter in which the name of the model, `double/WHAT`, selects the behaviour.

- Failures before the first token: `status-CODE`, `status-CODE-after-S` (with a `Retry-After`), `fails-N`
  (503 N times, then an answer), `resets`, `slow-headers` and `json-error`.
- Behaviour within the stream: the names in `STREAMS`, with the variants of the protocol in `dialects`.
- Rewriting of a follow-up question: `means-WORDS` replaces its pronouns by these words, and `rambles`
  adds too much text.

All other names that begin with `double/` give a normal answer; names without it are unknown models.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import count

from tests.doubles import dialects
from tests.doubles.http import JSON, Exchange
from tests.doubles.limits import KeyLimits, Refusal
from tests.doubles.speech import (
    cite_passages,
    is_rewrite_prompt,
    repeat_passages,
    rewrite_question,
    rewrite_verbosely,
)

CONTEXT, LONGEST = 32_768, 2_048
PRICES = 0.000_001, 0.000_002
"""Prices in US dollars per token of the prompt and per token of the answer."""
_MESSAGES = {
    400: "bad request",
    401: "No auth credentials found",
    402: "Insufficient credits",
    403: "Your input was flagged",
    404: "No endpoints found",
    408: "Request timed out",
    429: "Rate limit exceeded",
    500: "Internal error",
    502: "Provider returned error",
    503: "No instances available",
}
_METADATA = {"provider_name": "Double", "raw": "upstream said no"}
_FOREVER_SECONDS = 3_600.0
_FAILS_EARLY = ("status-", "fails-", "resets", "slow-headers", "json-error")


class OpenRouterDouble:
    """The endpoints `/chat/completions`, `/models` and `/key`, under any prefix."""

    def __init__(self, keys: KeyLimits, *, open_to_all: bool = False) -> None:
        self._keys = keys
        self._open = open_to_all
        self._failures: Counter[str] = Counter()
        self._ids = count(1)

    async def answer(self, exchange: Exchange, path: str) -> None:
        """Answer a request after checking its key; `/models` needs none."""
        if path == "/models":
            await exchange.answer(200, {"data": [_model_entry(name) for name in LISTED]})
            return
        if refusal := self._refusal(exchange):
            await _refuse(exchange, refusal)
        elif path == "/key":
            left = self._keys.remaining(exchange.request.key)
            data = {"label": "double", "limit": None, "limit_remaining": left, "usage": 0.0}
            await exchange.answer(200, {"data": data | {"is_free_tier": left is not None}})
        elif path == "/chat/completions":
            await self._complete(exchange)
        else:
            await exchange.answer(404, _error(404, "Not found"))

    def _refusal(self, exchange: Exchange) -> Refusal | None:
        if self._open:
            return None
        if not exchange.request.key:
            return Refusal(401, "No auth credentials found")
        weight = 0 if exchange.request.path.endswith("/key") else 1
        return self._keys.check(exchange.request.key, weight)

    async def _complete(self, exchange: Exchange) -> None:
        """Answer as the first requested model that does not fail before its first token."""
        asked = exchange.body
        models = [*dict.fromkeys([asked.get("model", ""), *asked.get("models", [])])]
        if not isinstance(asked.get("messages"), list):
            await exchange.answer(400, _error(400, "messages: required"))
            return
        *others, last = models
        model = next((name for name in others if not self._fails_early(name)), last)
        what = model.removeprefix("double/")
        if what == model:
            await exchange.answer(400, _error(400, f"{model} is not a valid model ID"))
        elif self._fails_early(model):
            await self._fail(exchange, what)
        elif refused := dialects.find_refusal(what, asked):
            await exchange.answer(refused[0], _error(*refused))
        elif what in dialects.DOCUMENTS:
            await exchange.begin({"Content-Type": "application/json"})
            await exchange.send(dialects.document(what, _document(asked, model)))
            await exchange.end()
        elif asked.get("stream"):
            number = next(self._ids)
            headers = {"X-Generation-Id": f"gen-{number}", "Cache-Control": "no-cache"}
            await exchange.begin(headers | dialects.headers(what))
            await AnswerStream(exchange, model, f"gen-{number}").send()
        else:
            await _answer_whole(exchange, model)

    def _fails_early(self, model: str) -> bool:
        what = model.removeprefix("double/")
        if found := re.fullmatch(r"fails-(\d+)(-.*)?", what):
            return self._failures[model] < int(found[1])
        return what == model or what.startswith(_FAILS_EARLY)

    async def _fail(self, exchange: Exchange, what: str) -> None:
        if what == "resets":
            exchange.reset()
        elif what == "slow-headers":
            await exchange.pause(_FOREVER_SECONDS)
        elif what == "json-error":
            await exchange.answer(200, _error(502, "Provider returned error"))
        elif what.startswith("fails-"):
            self._failures[f"double/{what}"] += 1
            await exchange.answer(503, _error(503, _MESSAGES[503]))
        else:
            found = re.fullmatch(r"status-(\d+)(?:-after-([\d.]+))?", what)
            assert found, what
            status, after = int(found[1]), found[2]
            told = _MESSAGES.get(status, "failed")
            await _refuse(exchange, Refusal(status, told, float(after) if after else None))


class AnswerStream:
    """One streamed answer; `said` is the number of words that were sent."""

    def __init__(self, exchange: Exchange, model: str, generation: str) -> None:
        self.exchange = exchange
        self.model = model
        self.generation = generation
        self.behaviour = model.removeprefix("double/")
        self.word_count = 0

    async def send(self) -> None:
        """Send a comment and a chunk with only the role, then what the model's name selects."""
        if self.behaviour == "frames-marked":
            await self.exchange.send(b"\xef\xbb\xbf")
        await self.comment()
        await self.chunk({"role": "assistant", "content": ""})
        name = next((name for name in STREAMS if self.behaviour.startswith(name)), None)
        await (STREAMS[name](self) if name else _answers(self))

    async def comment(self) -> None:
        """Send a comment, which keeps the connection open while a provider is slow."""
        await self.exchange.send(b": OPENROUTER PROCESSING\n\n")

    async def chunk(
        self, delta: JSON, finish: str | None = None, *, segment: int | None = None, **more: object
    ) -> None:
        """Send an event with one choice."""
        choice: JSON = {"index": 0, "delta": delta, "finish_reason": finish}
        await self.data(self.frame(choices=[choice], **more), segment)

    async def data(self, frame: JSON, segment: int | None = None) -> None:
        """Send an event."""
        data = json.dumps(frame, ensure_ascii=False).encode()
        before, behind = dialects.event_framing(self.behaviour)
        await self.exchange.send(before + data + behind, segment)

    def frame(self, **fields: object) -> JSON:
        """Return the data of an event: the fields that all events have, and `fields`."""
        told = {"id": self.generation, "object": "chat.completion.chunk", "model": self.model}
        return {**told, "provider": "Double", "created": int(time.time()), **fields}

    async def words(self, most: int | None = None, *, segment: int | None = None) -> None:
        """Send the answer, or its first `most` words, word by word with some comments in between."""
        for number, word in enumerate(self.text()):
            if number == most:
                return
            if number % 5 == 2:
                await self.comment()
            self.word_count += 1
            await self.chunk({"content": word}, segment=segment)

    def text(self) -> Iterator[str]:
        """Yield the words of the answer, each with the white space before it."""
        return (
            word[0]
            for word in re.finditer(r"\s*\S+", _answer_text(self.behaviour, self.exchange.body))
        )

    async def finish(self, reason: str | None = "stop", *, done: bool = True) -> None:
        """Send the reason to stop, the usage in a chunk without choices, and `[DONE]`."""
        await self.chunk({"content": ""}, reason)
        await self.data(self.frame(choices=[], usage=usage(self.exchange.body, self.word_count)))
        if done:
            before, behind = dialects.event_framing(self.behaviour)
            await self.exchange.send(before + b"[DONE]" + behind)
        await self.exchange.end()


def _answer_text(what: str, body: JSON) -> str:
    if what.startswith("obedient"):
        return repeat_passages(body)
    if not is_rewrite_prompt(body):
        return cite_passages(body)
    meant = what.removeprefix("means-").replace("-", " ") if what.startswith("means-") else None
    return rewrite_verbosely(body) if what.startswith("rambles") else rewrite_question(body, meant)


async def _answers(stream: AnswerStream) -> None:
    await stream.words()
    await stream.finish()


async def _waits(stream: AnswerStream) -> None:
    """`slow-MS-…`: send the first word after so many milliseconds."""
    await stream.exchange.pause(int(stream.behaviour.split("-")[1]) / 1_000)
    await _answers(stream)


async def _paces(stream: AnswerStream) -> None:
    """`paced-MS`: wait so many milliseconds after each word."""
    pause = int(stream.behaviour.split("-")[1]) / 1_000
    for word in stream.text():
        stream.word_count += 1
        await stream.chunk({"content": word})
        await stream.exchange.pause(pause)
    await stream.finish()


async def _reasons(stream: AnswerStream) -> None:
    for thought in ("The passages ", "say it."):
        await stream.chunk({"content": None, "reasoning": thought})
    await _answers(stream)


async def _split(stream: AnswerStream) -> None:
    """Send lines and characters in parts; `灯` has three bytes, and U+2028 does not end a line."""
    await stream.chunk({"content": "灯\u2028é "}, segment=1)
    await stream.words(segment=3)
    await stream.finish()


async def _ends(stream: AnswerStream) -> None:
    """`ends-REASON`: send part of an answer and this reason to stop."""
    await stream.words(4)
    await stream.finish(stream.behaviour.removeprefix("ends-"))


async def _error_chunk(stream: AnswerStream) -> None:
    """`error-chunk-CODE`: send an error after some words; the code is a number or a word."""
    await stream.words(4)
    code = stream.behaviour.removeprefix("error-chunk-")
    error = {"code": int(code) if code.isdecimal() else code, "message": "Provider disconnected"}
    await stream.chunk({"content": ""}, "error", error=error)
    await stream.exchange.end()


async def _without_done(stream: AnswerStream) -> None:
    await stream.words()
    await stream.finish(done=False)


async def _without_finish(stream: AnswerStream) -> None:
    await stream.words(4)
    await stream.exchange.end()


async def _cut(stream: AnswerStream) -> None:
    await stream.words(4)
    await stream.exchange.break_off(b'data: {"choices": [{"del')


async def _dropped(stream: AnswerStream) -> None:
    await stream.words(4)
    await stream.exchange.pause(0.05)  # so that the words arrive before the reset
    stream.exchange.reset()


async def _malformed(stream: AnswerStream) -> None:
    await stream.words(4)
    await stream.exchange.send(b'data: {"choices": [{"delta": {"content": \n\n')
    await stream.exchange.end()


async def _not_utf_8(stream: AnswerStream) -> None:
    await stream.words(4)
    await stream.exchange.send(b'data: {"choices": [{"delta": {"content": "caf\xe9"}}]}\n\n')
    await stream.finish()


async def _deep(stream: AnswerStream) -> None:
    await stream.words(4)
    await stream.exchange.send(b'data: {"choices": [], "extra": ' + b"[" * 100_000 + b"\n\n")
    await stream.finish()


async def _miscounts(stream: AnswerStream) -> None:
    """Send a token count that is too large for an integer column."""
    await stream.words(4)
    await stream.exchange.send(b'data: {"usage": {"prompt_tokens": 18446744073709551615}}\n\n')
    await stream.finish()


async def _stalls(stream: AnswerStream) -> None:
    """`stalls` stops sending before the first word, `stalls-4` after the fourth."""
    await stream.words(int(stream.behaviour.partition("-")[2] or 0))
    await stream.exchange.pause(_FOREVER_SECONDS)


async def _keeps_alive(stream: AnswerStream) -> None:
    while True:
        await stream.comment()
        await stream.exchange.pause(0.02)


async def _drips(stream: AnswerStream) -> None:
    while True:
        await stream.chunk({"content": "on "})
        await stream.exchange.pause(0.01)


async def _says_nothing(stream: AnswerStream) -> None:
    await stream.finish()


STREAMS: dict[str, Callable[[AnswerStream], Awaitable[None]]] = {
    "slow-": _waits,
    "paced-": _paces,
    "reasons": _reasons,
    "split": _split,
    "ends-": _ends,
    "error-chunk-": _error_chunk,
    "no-done": _without_done,
    "no-finish": _without_finish,
    "cut": _cut,
    "dropped": _dropped,
    "malformed": _malformed,
    "not-utf-8": _not_utf_8,
    "deep": _deep,
    "miscounts": _miscounts,
    "stalls": _stalls,
    "keeps-alive": _keeps_alive,
    "drips": _drips,
    "empty": _says_nothing,
    **dialects.DIALECTS,
}
LISTED = [
    f"double/{name}" for name in ("answers", "obedient", "reasons", "split", "fails-1", "cut")
]


def usage(body: JSON, word_count: int) -> JSON:
    """Return the usage; each word counts as one token."""
    asked = sum(len(str(message.get("content")).split()) for message in body["messages"])
    cost = asked * PRICES[0] + word_count * PRICES[1]
    counts = {
        "prompt_tokens": asked,
        "completion_tokens": word_count,
        "total_tokens": asked + word_count,
    }
    return {**counts, "cost": round(cost, 9)}


async def _answer_whole(exchange: Exchange, model: str) -> None:
    """Answer without a stream; `choice-error` sends part of a text and an error."""
    words = [*AnswerStream(exchange, model, "gen-0").text()]
    choice: JSON = {"index": 0, "finish_reason": "stop"}
    match model.removeprefix("double/"):
        case "choice-error":
            words = words[:3]
            choice |= {"finish_reason": "error", "error": {"code": 502, "message": "cut short"}}
        case "empty":
            words = []
    await exchange.answer(200, _document(exchange.body, model, words, choice))


def _document(
    body: JSON, model: str, words: list[str] | None = None, choice: JSON | None = None
) -> JSON:
    """Return a complete answer, by default with the text of the model."""
    if words is None:
        said = _answer_text(model.removeprefix("double/"), body)
        words = [word[0] for word in re.finditer(r"\s*\S+", said)]
    choice = choice or {"index": 0, "finish_reason": "stop"}
    choice["message"] = {"role": "assistant", "content": "".join(words)}
    told = {"id": "gen-0", "object": "chat.completion", "model": model, "choices": [choice]}
    return {**told, "usage": usage(body, len(words))}


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    headers: dict[str, str] = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = f"{refusal.retry_after:g}"
    if refusal.status == 429:
        until = int((time.time() + (refusal.retry_after or 60)) * 1_000)
        headers |= {"X-RateLimit-Limit": str(refusal.limit), "X-RateLimit-Remaining": "0"}
        headers["X-RateLimit-Reset"] = str(until)
    await exchange.answer(refusal.status, _error(refusal.status, refusal.message), headers)


def _error(code: int, message: str) -> JSON:
    return {"error": {"code": code, "message": message, "metadata": _METADATA}}


def _model_entry(name: str) -> JSON:
    prompt, completion = (f"{price:.9f}" for price in PRICES)
    top = {"context_length": CONTEXT, "max_completion_tokens": LONGEST, "is_moderated": False}
    prices = {"prompt": prompt, "completion": completion}
    return {"id": name, "context_length": CONTEXT, "top_provider": top, "pricing": prices}

"""OpenAI's protocol as servers really use it: parses chunks and decides whether a stream is an answer."""

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from app.llms.hosted.finish_reasons import Ending, ending
from app.llms.hosted.reasoning import Thoughts
from app.llms.response import ResponseMetadata
from storage.domain import Usage
from storage.errors import ModelRefused, ModelUnavailable
from storage.http.pool import UNREADABLE

JSON = Mapping[str, Any]

_NO_JSON = re.compile(rb"\s*[^\s{\[<]")
"""The beginning of data that is not JSON, such as a keep-alive."""
_NO_ANSWER: Mapping[object, str] = {
    "filter": "its content filter stopped the answer",
    "tool": "it called a tool, but there are none",
}
_THOUGHT = re.compile("think|thought|reason|summary|redact", re.IGNORECASE)
_CODE = re.compile(r"[\w.-]{1,40}")
_MOST_TOKENS = 2**31 - 1
_DEPTH = 4


class ResponseReader:
    """A reader of one answer's chunks; it raises `ModelUnavailable` for anything but a whole answer.

    The end of a stream is not a success by itself: the model must have given words and a reason to stop, or
    its server must have marked the end.
    """

    def __init__(self, model: str, *, thinks_first: bool = False) -> None:
        self._model = model
        self._thoughts = Thoughts(expected=thinks_first)
        self.generation: str | None = None
        """The id that the model's server has for the answer."""
        self.said = ""
        """The text of the answer so far, without thoughts."""
        self.heard = False
        """Whether any text or thought has arrived."""
        self._finish: object = None
        self._usage: JSON = {}
        self._is_whole = self._is_message = self._refused = False
        self._pieces = 0
        self._told = 0
        """How many characters of `said` the method `news` has returned."""
        self._is_void = False

    @property
    def thinks_first(self) -> bool:
        """Whether the model thinks in its text, with a closing tag and no opening one."""
        return self._thoughts.ended_alone

    def take(self, data: bytes) -> None:
        """Read the next chunk, or the single document of a response that is not a stream."""
        if not data or _NO_JSON.match(data):
            return
        try:
            chunk: object = msgspec.json.decode(data)
        except (*UNREADABLE, RecursionError) as error:
            raise self.failed("its response cannot be parsed") from error
        for each in cast("list[object]", chunk) if isinstance(chunk, list) else [chunk]:
            self._take(_fields(each))

    def news(self) -> tuple[bool, str]:
        """Return whether earlier text must be discarded because it was a thought, and the text since then."""
        is_void, delta = self._is_void, self.said[self._told :]
        self._is_void, self._told = False, len(self.said)
        return is_void, delta

    def done(self) -> None:
        """Record that the server marked the end of the stream."""
        self._is_whole = True

    def closed(self, advice: str = "") -> ResponseMetadata:
        """Return the answer's metadata once the stream has ended.

        Raises `ModelUnavailable` if the answer is not whole. `advice` tells how to raise the limit of
        tokens; it is added to the error for an answer that used up the limit by thinking.
        """
        finish = ending(self._finish) if self._finish else None
        if finish is None and (self._is_whole or (self._is_message and self._pieces == 1)):
            finish = "stop"
        is_thinking, rest = self._thoughts.is_open, self._thoughts.close()
        if not (is_thinking and finish == "length"):
            self.said += rest
        if wrong := self._wrong(finish, advice):
            raise wrong
        return ResponseMetadata(
            model=self._model,
            finish="length" if finish == "length" else "stop",
            usage=_usage(self._usage),
            generation=self.generation,
        )

    def failed(
        self, reason: str, kind: type[ModelUnavailable] = ModelUnavailable
    ) -> ModelUnavailable:
        """Build an error that carries the cost so far, if it is known."""
        cost = _usage(self._usage).cost if self._usage else None if self.heard else 0.0
        return kind(reason, model=self._model, cost=cost)

    def _wrong(self, finish: Ending | None, advice: str) -> ModelUnavailable | None:
        """Return why this is not a whole answer; None if it is one."""
        if finish in _NO_ANSWER:
            return self.failed(_NO_ANSWER[finish], ModelRefused)
        if self.said.strip():
            is_broken = finish in (None, "error")
            return self.failed("it stopped in the middle of the answer") if is_broken else None
        if finish == "length":
            told = "it used its token limit for reasoning and gave no answer"
            return self.failed(f"{told}{advice}", ModelRefused)
        if self._refused:
            return self.failed("it refused to answer", ModelRefused)
        if finish == "error":
            return self.failed("it stopped with an error")
        return self.failed(
            "it returned reasoning but no answer" if self.heard else "it returned no text"
        )

    def _take(self, chunk: JSON) -> None:
        model, usage = chunk.get("model"), _fields(chunk.get("usage"))
        self._model = model if model and isinstance(model, str) else self._model
        self._usage = usage or self._usage
        choice = _fields(_first(chunk.get("choices")))
        for failure in (_failure(chunk), _failure(choice)):
            if failure:
                raise self.failed(failure)
        self._finish = choice.get("finish_reason") or choice.get("finishReason") or self._finish
        delta, message = choice.get("delta"), choice.get("message")
        if not delta and message and not (self._pieces and "delta" in choice):
            # A message is the whole answer, or a delta under another name. Next to deltas, it repeats them.
            delta, self._is_message = message, True
        fields = {"content": delta} if isinstance(delta, str) else _fields(delta)
        self._refused = self._refused or bool(fields.get("refusal"))
        self.heard = self.heard or any(fields[name] for name in fields if name != "role")
        for content in (fields.get("content"), fields.get("text"), choice.get("text")):
            if words := _words(content, _DEPTH):
                self._hear(words)
                break

    def _hear(self, words: str) -> None:
        self.heard = True
        self._pieces += 1
        words = self._thoughts.feed(words)
        if self._thoughts.void:
            self._is_void = self._is_void or self._told > 0
            self.said, self._told = "", 0
        self.said += words


def _first(value: object) -> object:
    if not isinstance(value, list):
        return value
    listed = cast("list[object]", value)
    return listed[0] if listed else None


def _fields(value: object) -> JSON:
    return cast("JSON", value) if isinstance(value, dict) else {}


def _words(content: object, depth: int) -> str:
    """Return the text of a string, a part or a list of parts, without thoughts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and depth:
        return "".join(_words(part, depth - 1) for part in cast("list[object]", content))
    part = _fields(cast("object", content))
    kind = str(part.get("type") or "text")
    if not depth or "text" not in kind or _THOUGHT.search(kind) or part.get("thought"):
        return ""
    return next(
        (_words(part[name], depth - 1) for name in ("text", "content", "value") if part.get(name)),
        "",
    )


def _failure(told: JSON) -> str:
    """Return the reason if a chunk or a choice reports an error; an empty string if it does not."""
    error: object = _first(told.get("error"))
    if "error" in (told.get("object"), told.get("type")):
        error = error or told
    fields = _fields(error)
    if not error or (fields and not any(fields.values())):
        return ""
    code = next((fields[name] for name in ("code", "status", "type") if fields.get(name)), None)
    if isinstance(code, int | str) and _CODE.fullmatch(str(code)):
        return f"it stopped with error {code}"
    return "it stopped with an error"


def _usage(counted: JSON) -> Usage:
    cost: object = counted.get("cost")
    return Usage(
        prompt_tokens=_tokens(counted.get("prompt_tokens") or counted.get("input_tokens")),
        completion_tokens=_tokens(counted.get("completion_tokens") or counted.get("output_tokens")),
        cost=_number(_fields(cost).get("total_cost", cost)),
    )


def _tokens(value: object) -> int:
    return int(min(_number(value) or 0, _MOST_TOKENS))


def _number(value: object) -> float | None:
    """Parse a number, or a text that holds one; return None for anything else and for negative numbers."""
    try:
        number = (
            float(value.strip().lstrip("$"))
            if isinstance(value, str)
            else float(cast("Any", value))
        )
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None

"""OpenAI's protocol as servers really use it: parses chunks and decides whether a stream is an answer."""

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from app.llms.hosted.finish_reasons import FinishKind, classify_finish_reason
from app.llms.hosted.reasoning import ThoughtFilter
from app.llms.response import ResponseMetadata
from storage.domain import Usage
from storage.errors import ModelRefused, ModelUnavailable
from storage.http.pool import DECODE_ERRORS

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
        self._thoughts = ThoughtFilter(expected=thinks_first)
        self.generation: str | None = None
        """The id that the model's server has for the answer."""
        self.text = ""
        """The text of the answer so far, without thoughts."""
        self.has_output = False
        """Whether any text or thought has arrived."""
        self._finish: object = None
        self._usage: JSON = {}
        self._is_whole = self._is_message = self._refused = False
        self._piece_count = 0
        self._returned_length = 0
        """How many characters of `text` the method `take_new_text` has returned."""
        self._is_discarded = False

    @property
    def thinks_first(self) -> bool:
        """Whether the model thinks in its text, with a closing tag and no opening one."""
        return self._thoughts.closed_without_opening

    def read_chunk(self, data: bytes) -> None:
        """Read the next chunk, or the single document of a response that is not a stream."""
        if not data or _NO_JSON.match(data):
            return
        try:
            chunk: object = msgspec.json.decode(data)
        except (*DECODE_ERRORS, RecursionError) as error:
            raise self.build_error("its response cannot be parsed") from error
        for part in cast("list[object]", chunk) if isinstance(chunk, list) else [chunk]:
            self._read_choice(_as_mapping(part))

    def take_new_text(self) -> tuple[bool, str]:
        """Return whether earlier text must be discarded because it was a thought, and the text since then."""
        is_void, delta = self._is_discarded, self.text[self._returned_length :]
        self._is_discarded, self._returned_length = False, len(self.text)
        return is_void, delta

    def mark_complete(self) -> None:
        """Record that the server marked the end of the stream."""
        self._is_whole = True

    def finish(self, advice: str = "") -> ResponseMetadata:
        """Return the answer's metadata once the stream has ended.

        Raises `ModelUnavailable` if the answer is not whole. `advice` tells how to raise the limit of
        tokens; it is added to the error for an answer that used up the limit by thinking.
        """
        finish = classify_finish_reason(self._finish) if self._finish else None
        if finish is None and (self._is_whole or (self._is_message and self._piece_count == 1)):
            finish = "stop"
        is_thinking, rest = self._thoughts.is_open, self._thoughts.close()
        if not (is_thinking and finish == "length"):
            self.text += rest
        if wrong := self._find_error(finish, advice):
            raise wrong
        return ResponseMetadata(
            model=self._model,
            finish="length" if finish == "length" else "stop",
            usage=_to_usage(self._usage),
            generation=self.generation,
        )

    def build_error(
        self, reason: str, kind: type[ModelUnavailable] = ModelUnavailable
    ) -> ModelUnavailable:
        """Build an error that carries the cost so far, if it is known."""
        cost = _to_usage(self._usage).cost if self._usage else None if self.has_output else 0.0
        return kind(reason, model=self._model, cost=cost)

    def _find_error(self, finish: FinishKind | None, advice: str) -> ModelUnavailable | None:
        """Return why this is not a whole answer; None if it is one."""
        if finish in _NO_ANSWER:
            return self.build_error(_NO_ANSWER[finish], ModelRefused)
        if self.text.strip():
            is_broken = finish in (None, "error")
            return self.build_error("it stopped in the middle of the answer") if is_broken else None
        if finish == "length":
            message = "it used its token limit for reasoning and gave no answer"
            return self.build_error(f"{message}{advice}", ModelRefused)
        if self._refused:
            return self.build_error("it refused to answer", ModelRefused)
        if finish == "error":
            return self.build_error("it stopped with an error")
        return self.build_error(
            "it returned reasoning but no answer" if self.has_output else "it returned no text"
        )

    def _read_choice(self, chunk: JSON) -> None:
        model, usage = chunk.get("model"), _as_mapping(chunk.get("usage"))
        self._model = model if model and isinstance(model, str) else self._model
        self._usage = usage or self._usage
        choice = _as_mapping(_first(chunk.get("choices")))
        for failure in (_reported_error(chunk), _reported_error(choice)):
            if failure:
                raise self.build_error(failure)
        self._finish = choice.get("finish_reason") or choice.get("finishReason") or self._finish
        delta, message = choice.get("delta"), choice.get("message")
        if not delta and message and not (self._piece_count and "delta" in choice):
            # A message is the whole answer, or a delta under another name. Next to deltas, it repeats them.
            delta, self._is_message = message, True
        fields = {"content": delta} if isinstance(delta, str) else _as_mapping(delta)
        self._refused = self._refused or bool(fields.get("refusal"))
        self.has_output = self.has_output or any(fields[name] for name in fields if name != "role")
        for content in (fields.get("content"), fields.get("text"), choice.get("text")):
            if words := _text_of(content, _DEPTH):
                self._add_words(words)
                break

    def _add_words(self, words: str) -> None:
        self.has_output = True
        self._piece_count += 1
        words = self._thoughts.feed(words)
        if self._thoughts.is_discarded:
            self._is_discarded = self._is_discarded or self._returned_length > 0
            self.text, self._returned_length = "", 0
        self.text += words


def _first(value: object) -> object:
    if not isinstance(value, list):
        return value
    listed = cast("list[object]", value)
    return listed[0] if listed else None


def _as_mapping(value: object) -> JSON:
    return cast("JSON", value) if isinstance(value, dict) else {}


def _text_of(content: object, depth: int) -> str:
    """Return the text of a string, a part or a list of parts, without thoughts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and depth:
        return "".join(_text_of(part, depth - 1) for part in cast("list[object]", content))
    part = _as_mapping(cast("object", content))
    kind = str(part.get("type") or "text")
    if not depth or "text" not in kind or _THOUGHT.search(kind) or part.get("thought"):
        return ""
    return next(
        (
            _text_of(part[name], depth - 1)
            for name in ("text", "content", "value")
            if part.get(name)
        ),
        "",
    )


def _reported_error(body: JSON) -> str:
    """Return the reason if a chunk or a choice reports an error; an empty string if it does not."""
    error: object = _first(body.get("error"))
    if "error" in (body.get("object"), body.get("type")):
        error = error or body
    fields = _as_mapping(error)
    if not error or (fields and not any(fields.values())):
        return ""
    code = next((fields[name] for name in ("code", "status", "type") if fields.get(name)), None)
    if isinstance(code, int | str) and _CODE.fullmatch(str(code)):
        return f"it stopped with error {code}"
    return "it stopped with an error"


def _to_usage(counted: JSON) -> Usage:
    cost: object = counted.get("cost")
    return Usage(
        prompt_tokens=_tokens(counted.get("prompt_tokens") or counted.get("input_tokens")),
        completion_tokens=_tokens(counted.get("completion_tokens") or counted.get("output_tokens")),
        cost=_number(_as_mapping(cost).get("total_cost", cost)),
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

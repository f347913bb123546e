"""OpenAI's protocol as it is really spoken: what a chunk may hold, and when a stream is an answer."""

from typing import Annotated

import msgspec

from app.llms.spoken import Spoken
from storage.connections import UNREADABLE
from storage.domain import Usage
from storage.errors import ModelBusy, ModelRefused, ModelUnavailable
from storage.retrying import seconds

_REFUSALS = {400, 401, 402, 403, 404, 413, 422}
_BUSY = {429, 503}
_REASONS = {
    400: "it cannot answer such a request",
    401: "the key was refused; see OPENROUTER_API_KEY",
    402: "the key has no credits left",
    403: "it may not be asked this",
    404: "there is no such model; see OPENROUTER_MODELS",
    408: "it took too long",
    413: "the prompt is too long for it",
    429: "its rate limit is reached",
}


_Tokens = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""As many as an integer column holds."""
_Dollars = Annotated[float, msgspec.Meta(ge=0)]


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Failure(msgspec.Struct):
    code: int | str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None
    error: _Failure | str | None = None


class _Counted(msgspec.Struct):
    prompt_tokens: _Tokens = 0
    completion_tokens: _Tokens = 0
    cost: _Dollars | None = None


class Chunk(msgspec.Struct):
    """One event of a stream, or the one document of an answer without."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] = []
    usage: _Counted | None = None
    error: _Failure | str | None = None


_chunk = msgspec.json.Decoder(Chunk)


class Reading:
    """Takes in one answer's chunks; raises `ModelUnavailable` for all that is not a whole answer.

    Silence is no success: a stream counts only when the model gave words and its own reason to stop.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self.generation: str | None = None
        """By which id the model's server knows the answer."""
        self._finish: str | None = None
        self._usage: _Counted | None = None
        self._spoke = False
        self.heard = False
        """Whether anything was said, or thought, yet."""

    def take(self, data: bytes) -> str:
        """The next words, often none; without NUL characters, which Postgres does not keep."""
        try:
            chunk = _chunk.decode(data)
        except UNREADABLE as error:
            raise self.failed("it sent what cannot be read") from error
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        if chunk.error:
            raise self.failed(_told(chunk.error))
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        if choice.error:
            raise self.failed(_told(choice.error))
        self._finish = choice.finish_reason or self._finish
        delta = choice.delta or choice.message or _Delta()
        self.heard = self.heard or bool(delta.content or delta.reasoning or delta.reasoning_content)
        self._spoke = self._spoke or bool(delta.content)
        return (delta.content or "").replace("\0", "")

    def closed(self) -> Spoken:
        """When the stream has ended: what is known of the answer."""
        finish = (self._finish or "").lower()
        if finish == "content_filter":
            raise self.failed("its filter cut the answer off", ModelRefused)
        if finish not in ("stop", "length"):
            raise self.failed("it broke off in mid-answer")
        if not self._spoke:
            raise self.failed("it gave no words")
        counted = self._usage or _Counted()
        usage = Usage(
            prompt_tokens=counted.prompt_tokens,
            completion_tokens=counted.completion_tokens,
            cost=counted.cost,
        )
        return Spoken(
            model=self._model,
            finish="length" if finish == "length" else "stop",
            usage=usage,
            generation=self.generation,
        )

    def failed(
        self, reason: str, kind: type[ModelUnavailable] = ModelUnavailable
    ) -> ModelUnavailable:
        """With what it cost so far, as far as that is known."""
        cost = self._usage.cost if self._usage else None if self.heard else 0.0
        return kind(reason, model=self._model, cost=cost)


def refusal(model: str, status: int, retry_after: str | None) -> ModelUnavailable:
    """For a status; the vendor's own text may hold the key, and is not repeated."""
    reason = _REASONS.get(status, f"it answered with status {status}")
    if status in _REFUSALS:
        return ModelRefused(reason, model=model)
    if status in _BUSY:
        return ModelBusy(reason, model=model, retry_after=seconds(retry_after))
    return ModelUnavailable(reason, model=model)


def _told(error: _Failure | str) -> str:
    code = error.code if isinstance(error, _Failure) else None
    return f"it broke off with error {code}" if code is not None else "it broke off with an error"

"""Turns the HTTP status of a failed request into an error."""

import re

from storage.errors import ModelBusy, ModelRefused, ModelUnavailable
from storage.http.retry import parse_retry_after

BAD_REQUEST = (400, 422)
"""Statuses that servers send for an unknown parameter, and for other invalid requests."""
_TOO_LONG = 413
_REFUSALS = {*BAD_REQUEST, 401, 402, 403, 404, _TOO_LONG}
_BUSY = {429, 503}
_REASONS = {
    400: "it rejected the request as invalid",
    401: "the key was refused; see {key}",
    402: "the key has no credits left",
    403: "it refused access",
    404: "it has no such model; check {models}",
    408: "it took too long",
    _TOO_LONG: "the prompt is too long for it",
    422: "it rejected the request as invalid",
    429: "its rate limit is reached",
}
_ABOUT_LENGTH = re.compile(
    rb"context.{0,20}(?:length|window|size)|(?:prompt|input|request).{0,20} too (?:long|large)",
    re.IGNORECASE,
)
_ABOUT_LIMIT = re.compile(
    rb"max_(?:completion_)?tokens.{0,60}(?:too (?:large|many|high)|exceed|at most|less than|must be)",
    re.IGNORECASE,
)


def error_for_status(
    model: str,
    status: int,
    retry_after: str | None,
    body: bytes = b"",
    *,
    key: str = "OPENROUTER_API_KEY",
    models: str = "OPENROUTER_MODELS",
) -> ModelUnavailable:
    """Build the error for a status. It never repeats the vendor's text, which may contain the key.

    `key` and `models` are the names of the settings that the message mentions.
    """
    reason = _reason(status, body).format(key=key, models=models)
    if status in _REFUSALS:
        return ModelRefused(reason, model=model)
    if status in _BUSY:
        return ModelBusy(reason, model=model, retry_after=parse_retry_after(retry_after))
    return ModelUnavailable(reason, model=model)


def _reason(status: int, body: bytes) -> str:
    if status in BAD_REQUEST and _ABOUT_LENGTH.search(body):
        return _REASONS[_TOO_LONG]
    if status in BAD_REQUEST and _ABOUT_LIMIT.search(body):
        return "LLM_MAX_TOKENS is higher than its limit"
    return _REASONS.get(status, f"it answered with status {status}")

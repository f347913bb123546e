"""What a model server reports about a key and its models; only `ibid doctor` asks for it."""

from typing import TypeVar

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from app.llms.hosted.status_errors import error_for_status
from storage.errors import ModelUnavailable
from storage.http.pool import DECODE_ERRORS
from storage.service_urls import without_secrets

T = TypeVar("T")

_TIMEOUT = ClientTimeout(total=10.0)
_OK = 200


class Account(msgspec.Struct):
    """The account of a key: US dollars left, None without a limit; a free tier has few requests a day."""

    limit_remaining: float | None = None
    is_free_tier: bool = False


class _AccountResponse(msgspec.Struct):
    data: Account


class _ModelId(msgspec.Struct):
    id: str


class _ModelsResponse(msgspec.Struct):
    data: list[_ModelId]


async def fetch_account(http: ClientSession, base_url: str, key: str) -> Account:
    """Return the account of a key; raise `ModelUnavailable`, for example if the key is refused."""
    return (await _fetch(http, f"{base_url}/key", key, _AccountResponse)).data


async def fetch_model_names(
    http: ClientSession, base_url: str, key: str | None, key_setting: str = "OPENROUTER_API_KEY"
) -> set[str]:
    """Return the names of the server's models.

    Raises `ModelUnavailable`; for a refused key, its message names `key_setting`.
    """
    listed = await _fetch(http, f"{base_url}/models", key, _ModelsResponse, key_setting)
    return {model.id for model in listed.data}


async def _fetch(
    http: ClientSession,
    url: str,
    key: str | None,
    kind: type[T],
    key_setting: str = "OPENROUTER_API_KEY",
) -> T:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    safe_url = without_secrets(url)
    try:
        async with http.get(
            url, headers=headers, timeout=_TIMEOUT, allow_redirects=False
        ) as answer:
            content = await answer.read()
    except (ClientError, TimeoutError) as error:
        raise ModelUnavailable(f"{safe_url} cannot be reached") from error
    if answer.status != _OK:
        after = answer.headers.get("retry-after")
        reason = error_for_status("", answer.status, after, key=key_setting)
        raise ModelUnavailable(f"{safe_url} did not answer: {reason}") from reason
    try:
        return msgspec.json.decode(content, type=kind)
    except DECODE_ERRORS as error:
        raise ModelUnavailable(
            f"{safe_url} is not a model server: its response cannot be parsed"
        ) from error

"""Parser for `LLM_FALLBACKS`: models on other servers, each with the key of its server."""

from typing import NamedTuple
from urllib.parse import urlsplit

from app.settings.settings import Settings
from app.settings.types import HTTP_SCHEMES, split_list
from storage.errors import InvalidInput
from storage.service_urls import check_address


class FallbackModel(NamedTuple):
    """A model on a server with an OpenAI-compatible API."""

    name: str
    base_url: str
    key: str | None


def parse_fallback_models(settings: Settings) -> list[FallbackModel]:
    """Return the models in order of preference. Raise `InvalidInput`, whose message contains no key."""
    named = [_parse_model(n, pair) for n, pair in enumerate(split_list(settings.llm_fallbacks), 1)]
    keys = _keys(settings, {_host(url) for _, url in named})
    return [FallbackModel(name, url, keys.get(_host(url))) for name, url in named]


def _parse_model(number: int, pair: str) -> tuple[str, str]:
    """Parse `MODEL@BASE_URL`. The message of `InvalidInput` omits the value, which may contain a password."""
    message = f"LLM_FALLBACKS cannot be used: entry {number} does not have the form MODEL@BASE_URL"
    name, _, rest = pair.partition("@http")
    url = f"http{rest}"
    if not name or "//" in name:
        raise InvalidInput(f"{message}.")
    try:
        check_address(url, HTTP_SCHEMES, has_key=True)
    except ValueError as error:
        raise InvalidInput(f"{message}: {error}.") from None
    return name, url.rstrip("/")


def _keys(settings: Settings, hosts: set[str]) -> dict[str, str]:
    """Return the keys by host, so that a key is never sent to another host."""
    keys: dict[str, str] = {}
    if settings.llm_fallback_api_key:
        if len(hosts) > 1:
            raise InvalidInput(
                "LLM_FALLBACK_API_KEY is the key of one server, but LLM_FALLBACKS names several: set "
                "the key of each in LLM_FALLBACK_API_KEYS, as HOST=KEY."
            )
        keys = dict.fromkeys(hosts, settings.llm_fallback_api_key.get_secret_value())
    secret = settings.llm_fallback_api_keys
    for number, pair in enumerate(split_list(secret.get_secret_value() if secret else ""), 1):
        host, _, key = (part.strip() for part in pair.partition("="))
        if not key:
            raise InvalidInput(
                f"LLM_FALLBACK_API_KEYS: entry {number} does not have the form HOST=KEY."
            )
        if host.lower() not in hosts:
            raise InvalidInput(
                f"LLM_FALLBACK_API_KEYS: the host of entry {number} is in none of LLM_FALLBACKS."
            )
        keys[host.lower()] = key
    return keys


def _host(url: str) -> str:
    """Return the host, with the port if the URL has one."""
    return urlsplit(url).netloc.lower()

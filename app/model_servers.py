"""`LLM_FALLBACKS` as it is meant: models on servers of one's own, each with the key of its server alone."""

from typing import NamedTuple
from urllib.parse import urlsplit

from app.setting_types import HTTP, listed
from app.settings import Settings
from storage.addresses import check_address
from storage.errors import InvalidInput


class ServedModel(NamedTuple):
    """A model on a server that speaks OpenAI's protocol."""

    name: str
    base_url: str
    key: str | None


def served_models(settings: Settings) -> list[ServedModel]:
    """In order of preference; raises `InvalidInput`, which shows no key."""
    named = [_named(n, pair) for n, pair in enumerate(listed(settings.llm_fallbacks), 1)]
    keys = _keys(settings, {_host(url) for _, url in named})
    return [ServedModel(name, url, keys.get(_host(url))) for name, url in named]


def _named(number: int, pair: str) -> tuple[str, str]:
    """Raises `InvalidInput`, which does not repeat what is set: it may hold a password."""
    told = f"LLM_FALLBACKS cannot be used: number {number} is not of the form MODEL@BASE_URL"
    name, _, rest = pair.partition("@http")
    url = f"http{rest}"
    if not name or "//" in name:
        raise InvalidInput(f"{told}.")
    try:
        check_address(url, HTTP, keyed=True)
    except ValueError as error:
        raise InvalidInput(f"{told}: {error}.") from None
    return name, url.rstrip("/")


def _keys(settings: Settings, hosts: set[str]) -> dict[str, str]:
    """By host: a key goes to no other, whatever the order of the servers."""
    keys: dict[str, str] = {}
    if settings.llm_fallback_api_key:
        if len(hosts) > 1:
            raise InvalidInput(
                "LLM_FALLBACK_API_KEY is the key of one server, and LLM_FALLBACKS names several: give "
                "each its own in LLM_FALLBACK_API_KEYS, as HOST=KEY."
            )
        keys = dict.fromkeys(hosts, settings.llm_fallback_api_key.get_secret_value())
    given = settings.llm_fallback_api_keys
    for number, pair in enumerate(listed(given.get_secret_value() if given else ""), 1):
        host, _, key = (part.strip() for part in pair.partition("="))
        if not key:
            raise InvalidInput(
                f"LLM_FALLBACK_API_KEYS: entry {number} is not of the form HOST=KEY."
            )
        if host.lower() not in hosts:
            raise InvalidInput(
                f"LLM_FALLBACK_API_KEYS: the host of entry {number} is in none of LLM_FALLBACKS."
            )
        keys[host.lower()] = key
    return keys


def _host(url: str) -> str:
    """With the port, if it is named."""
    return urlsplit(url).netloc.lower()

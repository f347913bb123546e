"""The limits of a server's models, from its `/models` endpoint; cached for a day."""

import time
from pathlib import Path

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from storage.http.pool import DECODE_ERRORS

_CACHE_SECONDS = 86_400.0
_RETRY_SECONDS = 300.0
"""Seconds until the next attempt after the server did not answer."""
_TIMEOUT = ClientTimeout(total=5.0)


class TokenLimits(msgspec.Struct, frozen=True):
    """The context window and the longest answer of one model, in tokens."""

    context: int
    longest: int


class _TopProvider(msgspec.Struct):
    context_length: int | None = None
    max_completion_tokens: int | None = None


class _Model(msgspec.Struct):
    id: str
    context_length: int | None = None
    top_provider: _TopProvider | None = None


class _ModelList(msgspec.Struct):
    data: list[_Model]


class _CachedLimits(msgspec.Struct):
    url: str
    at: float
    models: dict[str, TokenLimits]


class ModelLimitsCache:
    """The limits of a server's models, fetched once a day; a file shares them between processes."""

    def __init__(self, base_url: str, http: ClientSession, cache_file: Path) -> None:
        self._url = f"{base_url.rstrip('/')}/models"
        self._http = http
        self._file = cache_file
        self._cached: _CachedLimits | None = None
        self._retry_at = 0.0

    async def limits(self, model: str) -> TokenLimits | None:
        """Return a model's limits; None if it is not listed or the list is not available."""
        models = await self.models()
        return models.get(model)

    async def models(self) -> dict[str, TokenLimits]:
        """Return the limits of all listed models; an empty dict if the list is not available."""
        if self._cached is None:
            self._cached = self._read()
        stale = self._cached is None or self._cached.at < time.time() - _CACHE_SECONDS
        if stale and self._retry_at < time.monotonic():
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            try:
                self._cached = await self._fetch()
            except (ClientError, TimeoutError, *DECODE_ERRORS):
                pass  # keep the previous list, if there is one
            else:
                self._write(self._cached)
        return self._cached.models if self._cached else {}

    async def _fetch(self) -> _CachedLimits:
        async with self._http.get(
            self._url, timeout=_TIMEOUT, raise_for_status=True, allow_redirects=False
        ) as answer:
            listed = msgspec.json.decode(await answer.read(), type=_ModelList)
        limits = {model.id: _to_limits(model) for model in listed.data}
        return _CachedLimits(
            self._url, time.time(), {name: one for name, one in limits.items() if one}
        )

    def _read(self) -> _CachedLimits | None:
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_CachedLimits)
        except (OSError, *DECODE_ERRORS):
            return None
        return kept if kept.url == self._url else None

    def _write(self, kept: _CachedLimits) -> None:
        """Write the cache file. A failure is ignored: another process then asks the server itself."""
        new = self._file.with_suffix(".new")
        try:
            new.write_bytes(msgspec.json.encode(kept))
            new.replace(self._file)
        except OSError:
            return


def _to_limits(model: _Model) -> TokenLimits | None:
    top = model.top_provider or _TopProvider()
    context = top.context_length or model.context_length
    if not context:
        return None
    return TokenLimits(context, min(top.max_completion_tokens or context, max(1, context // 2)))

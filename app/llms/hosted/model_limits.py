"""The limits of a server's models, from its `/models` endpoint; cached for a day."""

import time
from pathlib import Path

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from storage.http.pool import UNREADABLE

_FRESH = 86_400.0
_AGAIN = 300.0
"""Seconds until the next attempt after the server did not answer."""
_PATIENCE = ClientTimeout(total=5.0)


class Limits(msgspec.Struct, frozen=True):
    """The context window and the longest answer of one model, in tokens."""

    context: int
    longest: int


class _Top(msgspec.Struct):
    context_length: int | None = None
    max_completion_tokens: int | None = None


class _Model(msgspec.Struct):
    id: str
    context_length: int | None = None
    top_provider: _Top | None = None


class _Models(msgspec.Struct):
    data: list[_Model]


class _Kept(msgspec.Struct):
    url: str
    at: float
    models: dict[str, Limits]


class Catalogue:
    """The limits of a server's models, fetched once a day; a file shares them between processes."""

    def __init__(self, base_url: str, http: ClientSession, kept_in: Path) -> None:
        self._url = f"{base_url.rstrip('/')}/models"
        self._http = http
        self._file = kept_in
        self._kept: _Kept | None = None
        self._silent_until = 0.0

    async def limits(self, model: str) -> Limits | None:
        """Return a model's limits; None if it is not listed or the list is not available."""
        models = await self.models()
        return models.get(model)

    async def models(self) -> dict[str, Limits]:
        """Return the limits of all listed models; an empty dict if the list is not available."""
        if self._kept is None:
            self._kept = self._read()
        stale = self._kept is None or self._kept.at < time.time() - _FRESH
        if stale and self._silent_until < time.monotonic():
            self._silent_until = time.monotonic() + _AGAIN
            try:
                self._kept = await self._ask()
            except (ClientError, TimeoutError, *UNREADABLE):
                pass  # keep the previous list, if there is one
            else:
                self._write(self._kept)
        return self._kept.models if self._kept else {}

    async def _ask(self) -> _Kept:
        async with self._http.get(
            self._url, timeout=_PATIENCE, raise_for_status=True, allow_redirects=False
        ) as answer:
            listed = msgspec.json.decode(await answer.read(), type=_Models)
        limits = {model.id: _limits(model) for model in listed.data}
        return _Kept(self._url, time.time(), {name: one for name, one in limits.items() if one})

    def _read(self) -> _Kept | None:
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, *UNREADABLE):
            return None
        return kept if kept.url == self._url else None

    def _write(self, kept: _Kept) -> None:
        """Write the cache file. A failure is ignored: another process then asks the server itself."""
        new = self._file.with_suffix(".new")
        try:
            new.write_bytes(msgspec.json.encode(kept))
            new.replace(self._file)
        except OSError:
            return


def _limits(model: _Model) -> Limits | None:
    top = model.top_provider or _Top()
    context = top.context_length or model.context_length
    if not context:
        return None
    return Limits(context, min(top.max_completion_tokens or context, max(1, context // 2)))

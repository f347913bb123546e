"""What a server's models can take in and give back, as its `/models` says; kept for a day."""

import time
from pathlib import Path

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from storage.http.pool import UNREADABLE

_FRESH = 86_400.0
_AGAIN = 300.0
"""Seconds until it is asked again when it did not answer."""
_PATIENCE = ClientTimeout(total=5.0)


class Limits(msgspec.Struct, frozen=True):
    """Of one model, in tokens."""

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
    """Asked for once a day, for all processes of a home; without an answer nothing is known."""

    def __init__(self, base_url: str, http: ClientSession, kept_in: Path) -> None:
        self._url = f"{base_url.rstrip('/')}/models"
        self._http = http
        self._file = kept_in
        self._kept: _Kept | None = None
        self._silent_until = 0.0

    async def limits(self, model: str) -> Limits | None:
        """None for a model that is not listed, or while the list cannot be had."""
        models = await self.models()
        return models.get(model)

    async def models(self) -> dict[str, Limits]:
        """All that are listed; raises nothing."""
        if self._kept is None:
            self._kept = self._read()
        stale = self._kept is None or self._kept.at < time.time() - _FRESH
        if stale and self._silent_until < time.monotonic():
            self._silent_until = time.monotonic() + _AGAIN
            try:
                self._kept = await self._ask()
            except (ClientError, TimeoutError, *UNREADABLE):
                pass  # what was known before, if anything, still is
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
        """Best effort: without the file, it is asked again."""
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

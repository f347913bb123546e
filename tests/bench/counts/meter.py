"""A meter that counts the work of an operation from outside: the product contains no code for it."""

import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec
from sqlalchemy import event

from app.chat.events import ChatEvent
from app.wiring import Services
from storage.embeddings import local
from storage.embeddings.local import LocalEmbedding
from storage.index.embedded import connection
from storage.index.embedded.messages import EngineCall
from storage.index.embedded.protocol import EngineFailure, EngineRequest, EngineResponse
from tests.doubles.http import RecordedRequest

Counts = dict[str, dict[str, int]]
"""The counts of one operation by kind and name, for example `{"engine calls": {"SearchCall": 1}}`."""

ENGINE_CALLS, SENT, RECEIVED = "engine calls", "bytes to the engine", "bytes from the engine"
STATEMENTS, TRANSACTIONS = "SQL statements", "transactions"
TEXTS, TOKENS = "texts embedded", "tokens embedded"
HTTP_CALLS, EVENTS = "HTTP calls", "chat events"

_TABLES = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE)(?! SET\b) "?(\w+)')
_CALL = msgspec.msgpack.Decoder(EngineCall)
_MESSAGE = msgspec.msgpack.Decoder(EngineResponse | EngineFailure)
_LENGTH = 4
"""Bytes of a frame before its message."""
_EMBEDDING_METHODS = {
    "word_vectors": "words",
    "aget_query_embedding": "queries",
    "_get_query_embedding": "queries",
    "_get_text_embedding": "texts",
    "_get_text_embeddings": "texts",
}


class CountingMeter:
    """A meter that counts inside `counting`, after it was attached; threads may share it."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] | None = None
        self._lock = threading.Lock()
        self._calls: dict[int, str] = {}

    @contextmanager
    def counting(self) -> Generator[Counts]:
        """Count one operation; the yielded dict is filled at the end of the `with` block."""
        counts: Counts = {}
        found = self._counts = defaultdict[str, Counter[str]](Counter)
        try:
            yield counts
        finally:
            self._counts = None
        counts.update({kind: dict(sorted(names.items())) for kind, names in sorted(found.items())})

    @contextmanager
    def attached(self, services: Services) -> Generator[None]:
        """Attach the meter to a database, and to all embedded engines and local embeddings."""
        sql = services.database.engine.sync_engine
        listeners = {"before_cursor_execute": self._on_statement, "begin": self._on_begin}
        wrappers: list[tuple[Any, str, Callable[[Any], Any]]] = [
            (connection, "encode_frame", self._count_sent),
            (connection, "receive", self._count_received),
            (local._load_model(), "tokenizer", lambda real: _CountingTokenizer(real, self)),
        ]
        wrappers += [(LocalEmbedding, name, self._count_texts) for name in _EMBEDDING_METHODS]
        with ExitStack() as undo:
            for name, listener in listeners.items():
                event.listen(sql, name, listener)
                undo.callback(event.remove, sql, name, listener)
            for owner, name, wrap in wrappers:
                undo.enter_context(patch.object(owner, name, wrap(getattr(owner, name))))
            yield

    def add(self, kind: str, name: str, count: int = 1) -> None:
        """Add to the counts of the current operation, if there is one."""
        with self._lock:
            if self._counts is not None:
                self._counts[kind][name] += count

    def on_request(self, request: RecordedRequest) -> None:
        """Count a request that a test double received."""
        self.add(HTTP_CALLS, f"{request.method} {request.path}")

    def on_event(self, event: ChatEvent) -> None:
        """Count an event of a turn."""
        self.add(EVENTS, event.kind)

    def _on_statement(
        self, _connection: Any, _cursor: Any, statement: str, *_context: object
    ) -> None:
        self.add(STATEMENTS, statement_name(statement))

    def _on_begin(self, begun: Any) -> None:
        self.add(TRANSACTIONS, begun.get_execution_options().get("sqlite_begin", "BEGIN"))

    def _count_sent(self, encode_frame: Callable[[object], bytes]) -> Callable[[object], bytes]:
        def counted(message: object) -> bytes:
            frame = encode_frame(message)
            if isinstance(message, EngineRequest):
                name = type(_CALL.decode(message.call)).__name__
                self._calls[message.id] = name
                self.add(ENGINE_CALLS, name)
                self.add(SENT, name, len(frame) - _encoded_size(message.id))
            return frame

        return counted

    def _count_received(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(*arguments: Any) -> bytes:
            body: bytes = await receive(*arguments)
            message = _MESSAGE.decode(body)
            if name := self._calls.pop(message.id, None):
                self.add(RECEIVED, name, _LENGTH + len(body) - _encoded_size(message.id))
            return body

        return counted

    def _count_texts(self, embed: Callable[..., Any]) -> Callable[..., Any]:
        def counted(embedding: LocalEmbedding, given: str | list[str]) -> Any:
            count = 1 if isinstance(given, str) else len(given)
            self.add(TEXTS, _EMBEDDING_METHODS[embed.__name__], count)
            return embed(embedding, given)

        return counted


class _CountingTokenizer:
    """The tokenizer of the local embedding, with a count of its tokens."""

    def __init__(self, tokenizer: Any, meter: CountingMeter) -> None:
        self._tokenizer = tokenizer
        self._meter = meter

    def encode_batch_fast(self, texts: list[str], **options: Any) -> list[Any]:
        found: list[Any] = self._tokenizer.encode_batch_fast(texts, **options)
        self._meter.add(TOKENS, "tokens", sum(len(each.ids) for each in found))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def statement_name(statement: str) -> str:
    """Return the verb of an SQL statement and the tables that it names, each once."""
    verb = statement.split(maxsplit=1)[0]
    tables = dict.fromkeys(_TABLES.findall(statement))
    return " ".join([verb, *tables])


def _encoded_size(number: int) -> int:
    """Return the bytes of a request's number: they depend on how many calls were made before."""
    return len(msgspec.msgpack.encode(number))

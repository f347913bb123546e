"""A real server with a page to open, whose model says what a test wants it to."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms import LLM

from app.api import create_app
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.llms.fallback import FallbackLLM
from app.settings import Settings
from app.wiring import Services
from storage.domain import LOCAL, Answer
from storage.sql.repositories.conversations import Conversations
from storage.sql.tables import Conversation, Message
from tests.app.cli.commands import wait_until_released
from tests.app.cli.test_serve import free_port
from tests.doubles.scripted import ChatMessage, ScriptedLLM

T = TypeVar("T")


class HeldLLM(ScriptedLLM):
    """Says its last piece only when it is let go."""

    held: Any

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="held")

    async def astream_chat(self, messages: list[ChatMessage], **kwargs: Any) -> AsyncIterator[Any]:
        whole = await super().astream_chat(messages, **kwargs)

        async def stream() -> AsyncIterator[Any]:
            said = 0
            async for response in whole:
                said += 1
                if said == len(self.pieces):
                    await asyncio.to_thread(self.held.wait, 20)
                yield response

        return stream()


class PageSite:
    """What a test does to the server from its own thread."""

    def __init__(self, app: Litestar, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self._app = app
        self._loop = loop

    @property
    def services(self) -> Services:
        return self._app.state.services

    def run_on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def ingest(self, folder: Path, corpus: str = "default", base_url: str | None = None) -> None:
        self.run_on_loop(self.services.ingestion.run([folder], corpus, base_url=base_url))

    @contextmanager
    def answer_with(self, *pieces: str, fails_after: int | None = None) -> Iterator[None]:
        """Another model answers for a while."""
        with self._use_model(ScriptedLLM(pieces=list(pieces), fails_after=fails_after)):
            yield

    @contextmanager
    def hold_answer(self, *pieces: str, instead_of: str = "") -> Iterator[threading.Event]:
        """The last piece is said when the event is set; before the first, another model broke off."""
        held = threading.Event()
        models: list[LLM] = [HeldLLM(pieces=list(pieces), held=held)]
        if instead_of:
            models.insert(0, ScriptedLLM(pieces=[instead_of, "never"], fails_after=1))
        try:
            with self._use_model(FallbackLLM(models=models, restarts=True)):
                yield held
        finally:
            held.set()

    def store_answer(self, title: str, question: str, answer: Answer) -> UUID:
        """A conversation as it would be had the answer been given in it; gives its id."""

        async def work() -> UUID:
            async with self.services.database.transaction() as session:
                conversations = Conversations(session, LOCAL.name)
                conversation: Conversation = await conversations.start(uuid4(), title)
                kept = answer.model_copy(update={"conversation_id": conversation.id})
                asked = Message.question(conversation.id, question, None, uuid4())
                await conversations.add(asked)
                await conversations.add(Message.reply(kept, asked.id))
                conversation.active_id = kept.message_id
                return conversation.id

        return self.run_on_loop(work())

    @contextmanager
    def _use_model(self, llm: LLM) -> Iterator[None]:
        services = self.services
        turns = TurnRunner(services.database, TurnEngine(services.search, llm))
        chat = ChatService(turns)
        self._app.state.services = replace(services, turns=turns, chat=chat)
        try:
            yield
        finally:
            self._app.state.services = services


@contextmanager
def run_site(folder: Path, **settings: Any) -> Iterator[PageSite]:
    """On a port of its own, until the end of the block; then nothing of it runs any more."""
    home = folder / "home"
    app = create_app(Settings.model_construct(ibid_home=home, log_level="error", **settings))
    port = free_port()
    started: Future[tuple[asyncio.AbstractEventLoop, Server]] = Future()

    async def serve() -> None:
        server = Server(
            app, port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False
        )
        started.set_result((asyncio.get_running_loop(), server))
        await server.serve()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(asyncio.run, serve())
        loop, server = started.result(10)
        url = f"http://127.0.0.1:{port}/"
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
                assert client.get(f"{url}health/ready", timeout=30).status_code == 200
            yield PageSite(app, url, loop)
        finally:
            loop.call_soon_threadsafe(server.stop)
            done.result(20)
            wait_until_released(folder / "home")

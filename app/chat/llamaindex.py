"""Ibid as a LlamaIndex chat engine that keeps its conversation in memory, for notebooks and other apps."""

from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing
from functools import partial

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.chat_engine.types import (
    AgentChatResponse,
    BaseChatEngine,
    StreamingAgentChatResponse,
)

from app.async_to_sync import run_blocking
from app.chat.events import ChatEvent, Completed, Restarted, Retrieved, Token
from app.chat.request import AnswerRequest
from app.chat.turn_runner import TurnRunner
from app.retrieval.retriever import to_node
from app.retrieval.search import NO_FILTER
from storage.domain import Answer, Passage

_RESTART_NOTICE = "\n\n(The model stopped early. The answer starts again.)\n\n"
"""Sent when another model restarts the answer, because a LlamaIndex stream cannot retract words."""


class ChatEngine(BaseChatEngine):
    """A LlamaIndex chat engine; non-streaming responses have the `Answer` in `metadata["answer"]`.

    Their source nodes are the retrieved passages.
    """

    def __init__(
        self,
        turns: TurnRunner,
        corpora: Sequence[str] = (),
        *,
        filters: Mapping[str, str] = NO_FILTER,
    ) -> None:
        self._turns = turns
        self._request = partial(AnswerRequest, corpora=corpora, filter=filters)
        self._history: list[ChatMessage] = []

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The messages so far, oldest first."""
        return self._history

    def reset(self) -> None:
        """Clear the history."""
        self._history = []

    async def achat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> AgentChatResponse:
        """Run one turn and return the whole answer; raise `IbidError` on failure."""
        passages: tuple[Passage, ...] = ()
        answer: Answer | None = None
        self._set_history(chat_history)
        async with aclosing(self._stream(message)) as events:
            async for event in events:
                if isinstance(event, Retrieved):
                    passages = event.passages
                elif isinstance(event, Completed):
                    answer = event.answer
        assert answer is not None, "a turn ends with `Completed` or raises"
        self._remember(message, answer.text)
        nodes = [to_node(passage) for passage in passages]
        return AgentChatResponse(answer.text, source_nodes=nodes, metadata={"answer": answer})

    async def astream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> StreamingAgentChatResponse:
        """Run one turn and stream the answer; the turn advances only while the caller reads."""
        self._set_history(chat_history)
        return StreamingAgentChatResponse(
            achat_stream=self._deltas(message), is_writing_to_memory=False
        )

    def chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> AgentChatResponse:
        """Run `achat` from synchronous code; call it outside the event loop of the services."""
        return run_blocking(self.achat(message, chat_history), self._turns.search.loop)

    def stream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> StreamingAgentChatResponse:
        """Run `chat` and stream its answer, which is already complete, word by word."""
        whole = self.chat(message, chat_history)
        return StreamingAgentChatResponse(
            chat_stream=_stream_words(whole.response),
            source_nodes=whole.source_nodes,
            is_writing_to_memory=False,
        )

    def _set_history(self, history: list[ChatMessage] | None) -> None:
        if history is not None:
            self._history = list(history)

    def _stream(self, message: str) -> AsyncGenerator[ChatEvent]:
        return self._turns.stream(self._request(message), tuple(self._history))

    async def _deltas(self, message: str) -> AsyncGenerator[ChatResponse]:
        text = ""
        async with aclosing(self._stream(message)) as events:
            async for event in events:
                if isinstance(event, Token):
                    text += event.text
                    yield _response(text, event.text)
                elif isinstance(event, Restarted):
                    text = ""
                    yield _response(text, _RESTART_NOTICE)
        self._remember(message, text)

    def _remember(self, question: str, answer: str) -> None:
        self._history.append(ChatMessage(role=MessageRole.USER, content=question))
        self._history.append(ChatMessage(role=MessageRole.ASSISTANT, content=answer))


def _stream_words(text: str) -> Generator[ChatResponse]:
    sent = ""
    for word in text.split(" "):
        delta = word if not sent else f" {word}"
        sent += delta
        yield _response(sent, delta)


def _response(text: str, delta: str) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=text), delta=delta)

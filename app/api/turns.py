"""What all endpoints that answer share: the options, the JSON response, and the stream of events."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Protocol
from uuid import UUID

from litestar import Request, Response
from litestar.datastructures import State
from litestar.openapi import ResponseSpec
from litestar.response import Stream
from litestar.status_codes import HTTP_201_CREATED
from pydantic import Field

from app.api.disconnects import unless_disconnected
from app.api.problems import problem_body
from app.api.request_log import CLIENT_DISCONNECTED, note_failure, note_turn
from app.api.sse import encode_event, set_failure_frame, sse_response
from app.chat.events import ChatEvent
from app.chat.request import AnswerRequest, TurnOptions
from app.chat.turn_runner import collect_answer
from app.verification.checker import Verify
from storage.domain import Answer, Value

ANSWER = {HTTP_201_CREATED: ResponseSpec(Answer, description="The whole answer")}


class AnswerOptions(Value):
    """Options of an answer. Ibid searches `corpora`, or all of them if none is given."""

    corpora: tuple[str, ...] = ()
    filter: Annotated[dict[str, str], Field(default_factory=dict)]
    """The documentation's `version` and `locale`. Default: the newest version, in the corpus's language."""
    verify: Verify | None = None
    """Whether the claims of this answer get verdicts. Default: the setting `VERIFY`."""

    def to_options(self) -> TurnOptions:
        """Return the options for a turn."""
        return TurnOptions(corpora=self.corpora, filter=self.filter, verify=self.verify)


class FirstQuestion(AnswerOptions):
    """The first question of a new conversation."""

    text: str

    def to_request(self) -> AnswerRequest:
        """Return the request for a turn."""
        return self.to_options().ask(self.text)


class TurnFrames(Protocol):
    """The frames in which an interface sends the events of a turn; an empty frame is not sent."""

    def event(self, event: ChatEvent) -> bytes:
        """Return the frame of an event."""
        ...

    def failure(self, problem: Mapping[str, object]) -> bytes:
        """Return the last frame of a turn that failed."""
        ...


class NamedFrames:
    """The frames of Ibid's own API: each event with its name, and `failed` at the end of a failed turn."""

    def event(self, event: ChatEvent) -> bytes:
        """Return the event's fields, under its name."""
        return encode_event(event.model_dump_json(exclude={"kind"}), event.kind)

    def failure(self, problem: Mapping[str, object]) -> bytes:
        """Return the problem, under the name `failed`."""
        return encode_event(json.dumps(problem), "failed")


_NAMED_FRAMES = NamedFrames()


async def respond(
    events: AsyncGenerator[ChatEvent],
    request: Request[object, object, State],
    new_conversation: UUID | None = None,
) -> Response[Answer] | Response[None] | Stream:
    """Return the answer as JSON, or a stream of its events if the client accepts `text/event-stream`.

    With `new_conversation`, the header `Location` has the URL of that conversation.
    """
    note_turn(new_conversation)
    # The reference is relative, because a proxy may serve the API under a prefix.
    headers = {"Location": f"conversations/{new_conversation}"} if new_conversation else {}
    if "text/event-stream" in request.headers.get("accept", ""):
        return await stream_turn(events, _NAMED_FRAMES, request, headers)
    answer = await unless_disconnected(collect_answer(events), request)
    if answer is None:
        return Response(None, status_code=CLIENT_DISCONNECTED)
    return Response(answer, headers=headers)


async def stream_turn(
    events: AsyncGenerator[ChatEvent],
    frames: TurnFrames,
    request: Request[object, object, State],
    headers: Mapping[str, str] | None = None,
) -> Stream:
    """Return a stream of `frames`. If the turn fails before its first event, raise the error."""
    set_failure_frame(request, frames.failure)
    encoded = _encode_events(await anext(events), events, frames)
    heartbeat: float = request.app.state.heartbeat
    return sse_response(encoded, heartbeat, HTTP_201_CREATED, headers)


async def _encode_events(
    first: ChatEvent, events: AsyncGenerator[ChatEvent], frames: TurnFrames
) -> AsyncGenerator[bytes]:
    """Yield a frame per event. An error ends the stream with a frame that holds the problem."""
    async with aclosing(events):
        try:
            if frame := frames.event(first):
                yield frame
            async for event in events:
                if frame := frames.event(event):
                    yield frame
        except Exception as error:  # the client must learn that the answer is incomplete
            note_failure(error)
            yield frames.failure(problem_body(error))

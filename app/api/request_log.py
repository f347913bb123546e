"""The id of each request, and its line in the log."""

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar
from typing import Any, cast
from uuid import UUID

from litestar.exceptions import HTTPException, LitestarException
from litestar.status_codes import HTTP_400_BAD_REQUEST
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app.api.forwarded_headers import address_of
from app.api.problems import MEDIA_TYPE, problem_body, status_of
from app.settings import Settings
from storage.errors import ModelUnavailable, NotSignedIn, ServerStopping, TooManyFailures
from storage.logs import REQUEST_ID, log_failure

_log = logging.getLogger("ibid.api")
_access = logging.getLogger("ibid.access")

REQUEST_ID_HEADER = b"x-request-id"
CLIENT_DISCONNECTED = 499
"""nginx's status for a client that disconnected before the response."""
_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_HEALTH_PREFIX = "/health"
_RENAMED_FIELDS = {"name": "corpus"}
"""Path parameters that need another name in the log. `name` is reserved for the logger's name."""

_current_record: ContextVar["RequestRecord | None"] = ContextVar("request_record", default=None)


class RequestRecord:
    """The data about a request that is logged at its end."""

    def __init__(self, scope: HTTPScope) -> None:
        self.scope = scope
        self.is_turn = False
        self.new_conversation: UUID | None = None
        """The conversation that the turn starts, which is not in the path."""
        self.failure: BaseException | None = None
        self.status = 0
        self.size = 0
        self.is_complete = False
        """Whether the complete response was sent."""
        self.has_disconnected = False
        """Whether the client disconnected before it had sent the complete request."""
        self._started_at = time.perf_counter()

    def note(self, message: Message) -> None:
        """Record an ASGI message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.size += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)

    def fields(self) -> dict[str, Any]:
        """Return the fields to log: the route instead of the path if it is known, and never the query."""
        scope = cast("dict[str, Any]", self.scope)
        parameters: dict[str, Any] = scope.get("path_params") or {}
        return {
            "method": scope["method"],
            "route": self._route,
            **{_RENAMED_FIELDS.get(name, name): value for name, value in parameters.items()},
            **({"conversation_id": self.new_conversation} if self.new_conversation else {}),
            "status": self.status,
            "seconds": self.seconds,
        }

    @property
    def is_probe(self) -> bool:
        """Whether it is a health probe."""
        return self._route.startswith(_HEALTH_PREFIX)

    @property
    def _route(self) -> str:
        return cast("dict[str, Any]", self.scope).get("path_template") or self.scope["path"]

    @property
    def has_begun(self) -> bool:
        """Whether a successful response has begun."""
        return 0 < self.status < HTTP_400_BAD_REQUEST

    @property
    def seconds(self) -> float:
        """Seconds since the request arrived."""
        return round(time.perf_counter() - self._started_at, 3)


class RequestLog:
    """An ASGI middleware that gives each request an id and a record, and logs requests that failed.

    An id that the client sends is kept, because it grants no access. It is replaced if it is too long or
    contains characters other than letters, digits and `._-`.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._is_access_log = settings.access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer errors that nothing else has handled. If the response has begun, the connection ends."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record, request_id = RequestRecord(scope), _request_id(scope)

        async def send_and_record(message: Message) -> None:
            record.note(message)
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, request_id.encode())]
            await send(message)

        tokens = REQUEST_ID.set(request_id), _current_record.set(record)
        try:
            await self._app(scope, receive, send_and_record)
        except Exception as error:  # nothing outside handles it
            record.failure = _unwrap_error(error)
            if not record.status:
                await _send_problem(send_and_record, error)
        finally:
            self._log_request(record)
            REQUEST_ID.reset(tokens[0])
            _current_record.reset(tokens[1])

    def _log_request(self, record: RequestRecord) -> None:
        _log_failure(record)
        if self._is_access_log:
            level = logging.DEBUG if record.is_probe else logging.INFO
            fields = {
                "method": record.scope["method"],
                "path": record.scope["path"],
                "status": record.status or CLIENT_DISCONNECTED,
                "seconds": record.seconds,
                "bytes": record.size,
                "address": address_of(record.scope),
            }
            _access.log(level, "request", extra=fields)


def note_turn(new_conversation: UUID | None = None) -> None:
    """Record that the request is a turn, and which conversation it starts."""
    if record := _current_record.get():
        record.is_turn, record.new_conversation = True, new_conversation


def note_disconnect() -> None:
    """Record that the client disconnected before it had sent the complete request."""
    if record := _current_record.get():
        record.has_disconnected = True


def note_failure(error: BaseException) -> None:
    """Record why the request, or its stream, failed."""
    if record := _current_record.get():
        record.failure = error


async def note_exception(error: Exception, scope: Scope) -> None:
    """Record an error that a handler or a middleware raised, and log refused sign-ins. A Litestar hook."""
    note_failure(error)
    if isinstance(error, NotSignedIn | TooManyFailures):
        has_credential = any(name == b"authorization" for name, _ in scope["headers"])
        fields = {
            "reason": str(error),
            "address": address_of(scope),
            "method": cast("HTTPScope", scope)["method"],
            "route": scope.get("path_template") or scope["path"],
        }
        _log.log(
            logging.WARNING if has_credential else logging.INFO, "sign_in_refused", extra=fields
        )


def _log_failure(record: RequestRecord) -> None:
    """Log a request that failed or a turn that the client stopped. Refused requests are not logged."""
    error = record.failure
    if record.has_disconnected and isinstance(error, HTTPException):
        return
    if record.is_probe and isinstance(error, ServerStopping):
        return
    event = "turn" if record.is_turn else "request"
    status = record.status if error is None else status_of(error)
    if error is None and status <= CLIENT_DISCONNECTED:
        if record.is_turn and not (record.is_complete and status < CLIENT_DISCONNECTED):
            _log.info("turn_stopped", extra=record.fields())
        return
    is_failed_turn = record.is_turn and (record.has_begun or _is_model_error(error))
    if status <= CLIENT_DISCONNECTED and not is_failed_turn:
        return
    fields = record.fields() | {"status": status}
    if isinstance(error, ModelUnavailable):
        fields["model"] = error.model or ", ".join(each.model for each in error.attempts)
    log_failure(_log, f"{event}_failed", error, fields)


def _is_model_error(error: BaseException | None) -> bool:
    return isinstance(error, ModelUnavailable)


def _unwrap_error(error: BaseException) -> BaseException:
    """Unwrap an error from Litestar's exceptions and from exception groups."""
    if isinstance(error, LitestarException) and error.__cause__:
        return _unwrap_error(error.__cause__)
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _unwrap_error(group.exceptions[0]) if len(group.exceptions) == 1 else group
    return error


async def _send_problem(send: Send, error: Exception) -> None:
    """Send the problem for an error outside of Litestar."""
    body = problem_body(error)
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    start = {"type": "http.response.start", "status": body["status"], "headers": headers}
    await send(cast("Message", start))
    content = json.dumps(body).encode()
    await send({"type": "http.response.body", "body": content, "more_body": False})


def _request_id(scope: HTTPScope) -> str:
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and _ID.fullmatch(value):
            return value.decode()
    return str(uuid.uuid4())

"""Errors as RFC 9457 problems, for JSON responses and for server-sent events."""

import re
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.plugins import ReceiveRoutePlugin
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsException
from litestar.routes import BaseRoute, HTTPRoute

from storage import errors
from storage.domain import Value
from storage.logs import REQUEST_ID

STATUS: dict[type[errors.IbidError], int] = {
    errors.InvalidInput: 400,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.CorpusBusy: 409,
    errors.Vanished: 409,
    errors.NotSignedIn: 401,
    errors.Forbidden: 403,
    errors.TooManyTurns: 429,
    errors.UploadTooLarge: 413,
    errors.UploadQuotaSpent: 429,
    errors.TooManyStreams: 429,
    errors.TooManyFailures: 429,
    errors.ServerStopping: 503,
    errors.SignInUnavailable: 503,
    errors.SourceUnreadable: 422,
    errors.IndexUnavailable: 503,
    errors.IndexLocked: 503,
    errors.IndexDamaged: 503,
    errors.IndexMismatch: 409,
    errors.ReleaseRefused: 409,
    errors.StorageFull: 507,
    errors.DatabaseUnavailable: 503,
    errors.BlobsUnavailable: 503,
    errors.AddressRefused: 400,
    errors.SiteUnavailable: 503,
    errors.ConnectionLost: 503,
    errors.ModelUnavailable: 503,
    errors.ModelBusy: 503,
    errors.ModelSilent: 503,
    errors.ModelRefused: 503,
    errors.BudgetSpent: 429,
}


class Problem(Value):
    """Why a request failed. `title` names the error, `detail` says what to do."""

    status: int
    title: str
    detail: str
    type: str = "about:blank"
    extra: Any = None
    """The invalid values, if a body or a parameter is invalid."""
    request_id: str
    """The id of the request, as in the header `X-Request-Id` and in the server's log."""


MEDIA_TYPE = "application/problem+json"
_RESPONSES = {
    status: ResponseSpec(
        Problem, description=description, media_type=MEDIA_TYPE, generate_examples=False
    )
    for status, description in {
        400: "The request is invalid",
        401: "Sign-in is required, or the credential is invalid",
        403: "The user or the key lacks the required right",
        404: "Not found, or no access",
        429: "A limit is exceeded; `Retry-After` gives the seconds to wait",
        503: "A service that is needed does not respond",
    }.items()
}
"""Error responses that every operation may return."""


class ProblemResponses(ReceiveRoutePlugin):
    """A plugin that adds the error responses to every operation in the OpenAPI document."""

    def receive_route(self, route: BaseRoute) -> None:
        """Add them to a route when it is registered."""
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                handler.responses = {**_RESPONSES, **(handler.responses or {})}


class ProblemException(ProblemDetailsException):
    """An exception whose response also has the id of the request."""

    def to_response(self, request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        """Return a response with the fields of `Problem`."""
        response = super().to_response(request)
        response.content["request_id"] = REQUEST_ID.get()
        return response


def to_problem(error: errors.IbidError) -> ProblemException:
    """Convert an error to a problem. The title is the error's class, the detail its message."""
    seconds = error.retry_after
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    if isinstance(error, errors.NotSignedIn):
        headers["WWW-Authenticate"] = _authenticate_header(error)
    return ProblemException(
        status_code=STATUS.get(type(error), 500),
        title=type(error).__name__,
        detail=errors.redact_for_clients(str(error)),
        headers=headers,
    )


def _authenticate_header(error: errors.NotSignedIn) -> str:
    """Return `WWW-Authenticate` by RFC 6750, which allows only ASCII without quotes and backslashes."""
    if not error.was_sent:
        return "Bearer"
    description = re.sub(r"[^ !#-\[\]-~]", "'", str(error))
    return f'Bearer error="invalid_token", error_description="{description}"'


def status_of(error: BaseException) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, errors.IbidError):
        return STATUS.get(type(error), 500)
    if isinstance(error, HTTPException):
        return error.status_code
    return 400 if isinstance(error, UnicodeDecodeError) else 500


def problem_body(error: Exception) -> dict[str, object]:
    """Return the problem for an error as the body of a stream's last event."""
    converted = to_problem(error) if isinstance(error, errors.IbidError) else _internal_error(error)
    return {
        "status": converted.status_code,
        "title": converted.title,
        "detail": converted.detail,
        "request_id": REQUEST_ID.get(),
    }


def _from_http(error: HTTPException) -> ProblemException:
    """Convert an error of the framework, such as an unknown route. `extra` names invalid values."""
    return ProblemException(
        status_code=error.status_code,
        title=HTTPStatus(error.status_code).phrase,
        detail=error.detail,
        extra=error.extra,
        headers=error.headers,
    )


def _from_encoding(_: UnicodeDecodeError) -> ProblemException:
    return ProblemException(
        status_code=400, title="Bad Request", detail="The request is not valid UTF-8."
    )


def _internal_error(_: Exception) -> ProblemException:
    """Return a problem for an unexpected error. Its message goes to the log, not to the client."""
    return ProblemException(
        status_code=500,
        title="Internal Server Error",
        detail="An internal error occurred. The server's log has the details under this `request_id`.",
    )


config = ProblemDetailsConfig(
    exception_to_problem_detail_map={
        **dict.fromkeys(STATUS, to_problem),
        HTTPException: _from_http,
        UnicodeDecodeError: _from_encoding,
        Exception: _internal_error,
    },
)

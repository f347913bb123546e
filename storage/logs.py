"""Helpers for log lines: the request id, and how errors are logged."""

import logging
import traceback
from contextvars import ContextVar
from typing import Any, cast

from storage.errors import IbidError

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the current request, or of the request that started the current job.

Tasks and threads inherit it.
"""

_ABOUT_CODE = (AttributeError, ImportError, NameError)
"""Exceptions whose messages name parts of the program, never the data that it works on."""


def log_failure(
    log: logging.Logger, event: str, error: BaseException | None, fields: dict[str, Any]
) -> None:
    """Log an error on one line: a warning for an `IbidError`, otherwise an error with its traceback."""
    extra = fields if error is None else {**fields, **describe_error(error)}
    if isinstance(error, IbidError):
        log.warning(event, extra=extra)
    else:
        log.error(event, extra=extra, exc_info=error)


def describe_error(error: BaseException) -> dict[str, str]:
    """Return the error's class name, and its message if the message may be logged."""
    fields = {"error": type(error).__name__}
    if isinstance(error, IbidError) and error.may_be_logged:
        fields["reason"] = str(error)
    return fields


def format_exception(error: BaseException) -> str:
    """Return traceback and causes, without the exceptions' messages, which may contain any text."""
    return "".join(_format_parts(error, set())).rstrip("\n")


def _format_parts(error: BaseException, seen: set[int]) -> list[str]:
    seen.add(id(error))
    before: list[str] = []
    if error.__cause__ is not None and id(error.__cause__) not in seen:
        before = [
            *_format_parts(error.__cause__, seen),
            "\nThis caused the following exception:\n\n",
        ]
    elif (
        error.__context__ is not None
        and not error.__suppress_context__
        and id(error.__context__) not in seen
    ):
        before = [
            *_format_parts(error.__context__, seen),
            "\nDuring its handling, another exception occurred:\n\n",
        ]
    frames = traceback.format_tb(error.__traceback__)
    lines = [*before, "Traceback (most recent call last):\n", *frames, _headline(error)]
    if isinstance(error, BaseExceptionGroup):
        for child in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            lines += ["\nIn this group:\n\n", *_format_parts(child, seen)]
    return lines


def _headline(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else _full_name(kind)
    text = _safe_text(error)
    return f"{name}: {text}\n" if text else f"{name}\n"


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _safe_text(error: BaseException) -> str | None:
    if isinstance(error, IbidError):
        return str(error) if error.may_be_logged else None
    if isinstance(error, OSError):
        return error.strerror
    return str(error) if isinstance(error, _ABOUT_CODE) else None

"""What log lines have in common: the id of the request they belong to, and how a failure is told."""

import logging
import traceback
from contextvars import ContextVar
from typing import Any, cast

from storage.errors import IbidError

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that is answered, or that asked for the job which runs; tasks and threads inherit it."""

_ABOUT_CODE = (AttributeError, ImportError, NameError)
"""Exceptions whose text names parts of the program, never the data it works on."""


def log_failure(
    log: logging.Logger, event: str, error: BaseException | None, fields: dict[str, Any]
) -> None:
    """One line: a warning for what Ibid raises on purpose, else an error with its traceback."""
    extra = fields if error is None else {**fields, **describe(error)}
    if isinstance(error, IbidError):
        log.warning(event, extra=extra)
    else:
        log.error(event, extra=extra, exc_info=error)


def describe(error: BaseException) -> dict[str, str]:
    """Its class, and its sentence unless that may repeat what somebody has written."""
    told = {"error": type(error).__name__}
    if isinstance(error, IbidError) and error.may_be_logged:
        told["reason"] = str(error)
    return told


def format_exception(error: BaseException) -> str:
    """Where it was raised and what caused it; without the exceptions' texts, which may hold anything."""
    return "".join(_parts(error, set())).rstrip("\n")


def _parts(error: BaseException, seen: set[int]) -> list[str]:
    seen.add(id(error))
    before: list[str] = []
    if error.__cause__ is not None and id(error.__cause__) not in seen:
        before = [*_parts(error.__cause__, seen), "\nThis caused the following exception:\n\n"]
    elif (
        error.__context__ is not None
        and not error.__suppress_context__
        and id(error.__context__) not in seen
    ):
        before = [*_parts(error.__context__, seen), "\nWhile it was handled, there came:\n\n"]
    frames = traceback.format_tb(error.__traceback__)
    own = [*before, "Traceback (most recent call last):\n", *frames, _headline(error)]
    if isinstance(error, BaseExceptionGroup):
        for each in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            own += ["\nIn this group:\n\n", *_parts(each, seen)]
    return own


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

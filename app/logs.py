"""Logging of all processes to standard error: one line per event, as text or JSON."""

import json
import logging
import logging.config
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import SecretStr

from app.settings import Settings
from app.settings.types import split_list
from app.text.visible import remove_invisible
from storage.logs import REQUEST_ID, format_exception

LogFormat = Literal["text", "json"]

_OWN_LOGGERS = ("ibid", "_granian")
"""Loggers that follow `LOG_LEVEL`. Others log only warnings: below that, they log requests and responses."""
_SERVER_LOGGERS = (
    "_granian",
    "granian.access",
    "litestar",
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
)
"""Loggers of servers, which would use their own handlers if they were not configured here."""
_STANDARD_ATTRIBUTES = {*vars(logging.makeLogRecord({})), "asctime", "message"}
_MAX_VALUE_LENGTH = 1000
"""The maximum length of a value, in characters."""
_PLAIN = re.compile(r"[\w./:@{}+-]+", re.ASCII)
_HIDDEN = "(hidden)"
_CREDENTIALS = re.compile(
    r"ibid_[\w-]{20,}"  # an API key of Ibid
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|(?<=bearer )[^\s\"',]+"
    r"|(?<=://)[^/?#\s\"']+(?=@)",  # user and password of a URL
    re.IGNORECASE,
)
_MIN_SECRET_LENGTH = 6
"""The minimum length of a secret to hide, in characters. Shorter ones occur in ordinary words."""


class LineFormatter(logging.Formatter):
    """A formatter that writes time, level, logger, event and fields in one line, without credentials.

    A traceback is part of the JSON object; in text format it follows on indented lines.
    """

    def __init__(self, kind: LogFormat = "text", secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._is_json = kind == "json"
        known = sorted({each for each in secrets if len(each) >= _MIN_SECRET_LENGTH}, key=len)
        self._secrets = tuple(reversed(known))

    def format(self, record: logging.LogRecord) -> str:
        """Format a record. Keep only the first line of other packages' messages: the rest is data."""
        is_ours = record.name.startswith(_OWN_LOGGERS)
        message = record.getMessage()
        event = self._clean(message if is_ours else message.partition("\n")[0])
        fields = {name: self._clean(value) for name, value in _fields(record, is_ours=is_ours)}
        error = record.exc_info[1] if record.exc_info else None
        trace = None if error is None else self._redact(format_exception(error))
        time = f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        level, logger = record.levelname.lower(), record.name.lstrip("_")
        if self._is_json:
            head = {"time": time, "level": level, "logger": logger, "event": event}
            return json.dumps(head | fields | ({} if trace is None else {"traceback": trace}))
        field_text = " ".join(f"{name}={_quote(value)}" for name, value in fields.items())
        line = f"{time} {level} {logger} {_escape_invisible(str(event))} {field_text}".rstrip()
        if trace is None:
            return line
        return "\n  ".join([line, *(_escape_invisible(row) for row in trace.split("\n"))])

    def _clean(self, value: object) -> str | float:
        if isinstance(value, bool | int | float):
            return value
        text = self._redact(str(value))
        return text if len(text) <= _MAX_VALUE_LENGTH else text[:_MAX_VALUE_LENGTH] + "…"

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return _CREDENTIALS.sub(_HIDDEN, text)


class StderrHandler(logging.Handler):
    """A handler that writes to the current `sys.stderr`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line in one call, because other processes write to the same stream."""
        with suppress(Exception):  # a failure to log must not stop the program
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


def configure_logging(settings: Settings) -> None:
    """Configure logging for a server or worker process, overriding what packages have configured."""
    logging.config.dictConfig(logging_config(settings))
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash


def configure_command_logging(settings: Settings) -> None:
    """Configure logging for an interactive command: only warnings, unless `LOG_LEVEL` is set."""
    is_set = "log_level" in settings.model_fields_set
    config = logging_config(settings, settings.log_level if is_set else "warning")
    logging.config.dictConfig(config)


def logging_config(settings: Settings, level: str | None = None) -> dict[str, Any]:
    """Return the argument of `logging.config.dictConfig`. `level` defaults to `LOG_LEVEL`."""
    level = (level or settings.log_level).upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": LineFormatter,
                "kind": settings.log_format,
                "secrets": [*_secrets(settings)],
            }
        },
        "handlers": {"stderr": {"()": StderrHandler, "formatter": "line"}},
        "loggers": {
            **{name: {"handlers": [], "propagate": True} for name in _SERVER_LOGGERS},
            **{name: {"level": level, "handlers": [], "propagate": True} for name in _OWN_LOGGERS},
            "uvicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
            # DBOS adds a handler of its own if the logger has none.
            "dbos": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
        },
        "root": {"level": "ERROR" if level == "ERROR" else "WARNING", "handlers": ["stderr"]},
    }


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield the keys, and the passwords in URLs both as written and percent-decoded."""
    for _, value in settings:
        if isinstance(value, SecretStr):
            for pair in split_list(value.get_secret_value()):
                yield pair
                yield pair.partition("=")[2]
        elif isinstance(value, str):
            for found in re.finditer(r"://[^/?#\s@]*?:([^\s,]+)@", value):
                yield found[1]
                yield unquote(found[1])


def _fields(record: logging.LogRecord, *, is_ours: bool) -> Iterator[tuple[str, object]]:
    """Yield the fields given as `extra`, and the request's id. Ignore other packages' `extra`."""
    values = (
        {k: v for k, v in vars(record).items() if k not in _STANDARD_ATTRIBUTES} if is_ours else {}
    )
    values.setdefault("request_id", REQUEST_ID.get())
    yield from ((name, value) for name, value in values.items() if value is not None)


def _quote(value: str | float) -> str:
    if not isinstance(value, str) or _PLAIN.fullmatch(value):
        return str(value)
    return _escape_invisible(json.dumps(value, ensure_ascii=False))


def _escape_invisible(text: str) -> str:
    """Escape characters that are invisible or change how other characters are shown."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _is_drawn(c) else json.dumps(c)[1:-1] for c in text)


def _is_drawn(character: str) -> bool:
    return character.isprintable() and remove_invisible(character) == character


def _log_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log an unhandled exception, except Ctrl-C."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("ibid").critical("process_crashed", exc_info=error)

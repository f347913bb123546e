"""What all processes write to standard error: one line for one event, as text or as JSON."""

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

from app.setting_types import listed
from app.settings import Settings
from app.text.visible import visible
from storage.logs import REQUEST_ID, format_exception

Format = Literal["text", "json"]

_OURS = ("ibid", "_granian")
"""Loggers that `LOG_LEVEL` is for. Below a warning, others print what is sent and received."""
_TO_ROOT = ("_granian", "granian.access", "litestar", "uvicorn", "uvicorn.error", "uvicorn.access")
"""Loggers of servers that have handlers of their own unless they are told otherwise."""
_STANDARD = {*vars(logging.makeLogRecord({})), "asctime", "message"}
_LONGEST = 1000
"""Characters of one value."""
_PLAIN = re.compile(r"[\w./:@{}+-]+", re.ASCII)
_HIDDEN = "(hidden)"
_CREDENTIALS = re.compile(
    r"ibid_[\w-]{20,}"  # a key of ours
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"  # a token
    r"|(?<=bearer )[^\s\"',]+"
    r"|(?<=://)[^/?#\s\"']+(?=@)",  # user and password of an address
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6
"""Characters; what is shorter stands in many a word."""


class LineFormatter(logging.Formatter):
    """One line for a record: time, level, logger, event and fields. No line holds a credential.

    A traceback is within the JSON object, or on lines of their own that begin with blanks.
    """

    def __init__(self, kind: Format = "text", secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._is_json = kind == "json"
        known = sorted({each for each in secrets if len(each) >= _SHORTEST_SECRET}, key=len)
        self._secrets = tuple(reversed(known))

    def format(self, record: logging.LogRecord) -> str:
        """Of other packages' messages the first line: the rest of it is data."""
        is_ours = record.name.startswith(_OURS)
        message = record.getMessage()
        event = self._clean(message if is_ours else message.partition("\n")[0])
        fields = {name: self._clean(value) for name, value in _fields(record, is_ours=is_ours)}
        error = record.exc_info[1] if record.exc_info else None
        trace = None if error is None else self._redacted(format_exception(error))
        time = f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        level, logger = record.levelname.lower(), record.name.lstrip("_")
        if self._is_json:
            head = {"time": time, "level": level, "logger": logger, "event": event}
            return json.dumps(head | fields | ({} if trace is None else {"traceback": trace}))
        told = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items())
        line = f"{time} {level} {logger} {_visible(str(event))} {told}".rstrip()
        if trace is None:
            return line
        return "\n  ".join([line, *(_visible(each) for each in trace.split("\n"))])

    def _clean(self, value: object) -> str | float:
        if isinstance(value, bool | int | float):
            return value
        text = self._redacted(str(value))
        return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return _CREDENTIALS.sub(_HIDDEN, text)


class StderrHandler(logging.Handler):
    """Writes to whatever `sys.stderr` is just now."""

    def emit(self, record: logging.LogRecord) -> None:
        """In one piece, for other processes write there, too."""
        with suppress(Exception):  # a log that cannot be written stops nothing
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


def configure_logging(settings: Settings) -> None:
    """For a process that serves or works, whatever packages have set up before."""
    logging.config.dictConfig(logging_config(settings))
    logging.captureWarnings(capture=True)
    sys.excepthook = _tell_crash


def configure_command_logging(settings: Settings) -> None:
    """For a command that somebody waits for: only warnings, unless `LOG_LEVEL` is set."""
    is_set = "log_level" in settings.model_fields_set
    config = logging_config(settings, settings.log_level if is_set else "warning")
    logging.config.dictConfig(config)


def logging_config(settings: Settings, level: str | None = None) -> dict[str, Any]:
    """For `logging.config.dictConfig`; by default of `LOG_LEVEL`."""
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
            **{name: {"handlers": [], "propagate": True} for name in _TO_ROOT},
            **{name: {"level": level, "handlers": [], "propagate": True} for name in _OURS},
            "uvicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
            # With a handler it adds none of its own.
            "dbos": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
        },
        "root": {"level": "ERROR" if level == "ERROR" else "WARNING", "handlers": ["stderr"]},
    }


def _secrets(settings: Settings) -> Iterator[str]:
    """Keys, and passwords in addresses, as they are written and as they are meant."""
    for _, value in settings:
        if isinstance(value, SecretStr):
            for pair in listed(value.get_secret_value()):
                yield pair
                yield pair.partition("=")[2]
        elif isinstance(value, str):
            for found in re.finditer(r"://[^/?#\s@]*?:([^\s,]+)@", value):
                yield found[1]
                yield unquote(found[1])


def _fields(record: logging.LogRecord, *, is_ours: bool) -> Iterator[tuple[str, object]]:
    """What was given as `extra`; of other packages nothing, for it may be anything."""
    given = {k: v for k, v in vars(record).items() if k not in _STANDARD} if is_ours else {}
    given.setdefault("request_id", REQUEST_ID.get())
    yield from ((name, value) for name, value in given.items() if value is not None)


def _quoted(value: str | float) -> str:
    if not isinstance(value, str) or _PLAIN.fullmatch(value):
        return str(value)
    return _visible(json.dumps(value, ensure_ascii=False))


def _visible(text: str) -> str:
    """With escapes in place of what is not drawn, or changes how the rest is."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _is_drawn(c) else json.dumps(c)[1:-1] for c in text)


def _is_drawn(character: str) -> bool:
    return character.isprintable() and visible(character) == character


def _tell_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """What ends a process goes into the log as all else does."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("ibid").critical("process_crashed", exc_info=error)

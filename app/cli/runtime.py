"""Code that commands share: open services, print errors in one line, exit codes."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.cli.lazy_group import fast_imports
from app.cli.terminal import echo
from app.logs import configure_command_logging
from app.settings import Settings
from app.settings.misspelt import find_misspelt
from storage.errors import IbidError, ModelUnavailable

if TYPE_CHECKING:
    from app.wiring import Services
    from storage.sql.database import Database

T = TypeVar("T")

EXIT_FAILED, EXIT_MISUSED, EXIT_INTERRUPTED = 1, 2, 130


def run_command(
    work: Callable[["Services"], Awaitable[None]], settings: Settings | None = None
) -> None:
    """Open the services and await `work`. Print an error in one line on standard error, and exit."""
    settings = settings or load_settings()
    _end_of_list(lambda: _wiring().open_services(settings), work)


def run_with_database(work: Callable[["Database"], Awaitable[None]]) -> None:
    """Do the same with the database alone, and do not migrate its schema."""
    settings = load_settings()
    _end_of_list(lambda: _wiring().connect_database(settings), work)


def load_settings() -> Settings:
    """Read the settings from the environment and `.env`, and configure logging.

    Exit with an error if a value is invalid. Warn about misspelt names.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "A setting"
        reason = first["msg"].removeprefix("Value error, ")
        fail(f"{name} is not valid: {reason}.", EXIT_MISUSED)
    except (SettingsError, RecursionError) as error:
        name = str(error).partition('"')[2].partition('"')[0].upper()
        fail(f"{name or 'A setting'} is not valid: it must be JSON.", EXIT_MISUSED)
    except UnicodeDecodeError:
        fail("The file .env cannot be read: save it as UTF-8.", EXIT_MISUSED)
    except OSError as error:
        fail(f"The file .env cannot be read: {error.strerror}.", EXIT_MISUSED)
    for each in find_misspelt():
        echo(f"ibid: {each}", err=True)
    configure_command_logging(settings)
    return settings


def fail(message: str, code: int) -> NoReturn:
    """Print one line on standard error and exit."""
    echo(f"ibid: {' '.join(message.split())}", err=True)
    sys.exit(code)


def _end_of_list(
    connect: Callable[[], AbstractAsyncContextManager[T]], work: Callable[[T], Awaitable[None]]
) -> None:
    async def connect_and_work() -> None:
        async with connect() as opened:
            await work(opened)

    try:
        asyncio.run(connect_and_work())
    except ModelUnavailable as error:
        fail(str(error), EXIT_FAILED)
    except IbidError as error:
        fail(str(error), EXIT_MISUSED)
    except KeyboardInterrupt:
        fail("Interrupted. The active index stays active.", EXIT_INTERRUPTED)


def _wiring():
    with fast_imports():
        from app import wiring  # noqa: PLC0415 - LlamaIndex takes a second; `ibid COMMAND --help` needs none
    return wiring

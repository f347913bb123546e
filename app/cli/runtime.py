"""Code that commands share: open services, print errors in one line, exit codes."""

import gc
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from app.cli.terminal import say
from storage.errors import IbidError, ModelUnavailable

if TYPE_CHECKING:
    from app.settings import Settings
    from app.wiring import Services

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def run(work: Callable[["Services"], Awaitable[None]], settings: "Settings | None" = None) -> None:
    """Open the services and await `work`. Print an error in one line on standard error, and exit."""
    import asyncio  # noqa: PLC0415 - with other late imports, would take half of the time of `ibid --help`

    try:
        asyncio.run(_open_and_do(work, settings))
    except ModelUnavailable as error:
        fail(str(error), FAILED)
    except IbidError as error:
        fail(str(error), MISUSED)
    except KeyboardInterrupt:
        fail("Interrupted. What was there before still serves.", INTERRUPTED)


def load_settings() -> "Settings":
    """Read the settings from the environment and `.env`, and configure logging.

    Exit with an error if a value is invalid. Warn about misspelt names.
    """
    from pydantic import ValidationError  # noqa: PLC0415
    from pydantic_settings import SettingsError  # noqa: PLC0415

    from app.settings import Settings  # noqa: PLC0415
    from app.settings.misspelt import misspelt  # noqa: PLC0415

    try:
        settings = Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "A setting"
        reason = first["msg"].removeprefix("Value error, ")
        fail(f"{name} is not valid: {reason}.", MISUSED)
    except (SettingsError, RecursionError) as error:
        name = str(error).partition('"')[2].partition('"')[0].upper()
        fail(f"{name or 'A setting'} is not valid: it must be JSON.", MISUSED)
    except UnicodeDecodeError:
        fail("The file .env cannot be read: save it as UTF-8.", MISUSED)
    except OSError as error:
        fail(f"The file .env cannot be read: {error.strerror}.", MISUSED)
    for each in misspelt():
        say(f"ibid: {each}", err=True)
    from app.logs import configure_command_logging  # noqa: PLC0415

    configure_command_logging(settings)
    return settings


def fail(message: str, code: int) -> NoReturn:
    """Print one line on standard error and exit."""
    say(f"ibid: {' '.join(message.split())}", err=True)
    sys.exit(code)


@contextmanager
def progress_bar(
    title: str, *, shown: bool, unit: str = "sources"
) -> Generator[Callable[[int, int], None]]:
    """Show a progress bar if standard error is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - only where a bar may be drawn
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as bar:
        task = bar.add_task(title, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


async def _open_and_do(
    work: Callable[["Services"], Awaitable[None]], settings: "Settings | None"
) -> None:
    gc.disable()  # imports leave no garbage; looking for it would take a tenth of the time
    from app.wiring import open_services  # noqa: PLC0415 - LlamaIndex takes a second

    gc.freeze()
    gc.enable()
    async with open_services(settings or load_settings()) as services:
        await work(services)

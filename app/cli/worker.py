"""`ibid worker`: run background jobs."""

import asyncio
import signal

import click

from app.cli.runtime import load_settings, run_command
from app.cli.terminal import echo
from app.logs import configure_logging
from app.wiring import Services, build_worker


@click.command()
def worker() -> None:
    """Run jobs in this process until it is stopped. Any number of workers may run at once."""
    settings = load_settings()

    async def work(_: Services) -> None:
        configure_logging(settings)
        running, stop = build_worker(settings), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await running.start()
        echo(
            "The worker is running. Press Ctrl-C to stop it; unfinished jobs continue later.",
            err=True,
        )
        try:
            await stop.wait()
        finally:
            await running.stop()

    run_command(work, settings)

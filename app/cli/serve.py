"""`ibid serve`: serve the chat page and the REST API with granian."""

import ipaddress
import os
import socket

import click

from app import granian_server as serving
from app.cli.runtime import EXIT_MISUSED, fail, load_settings, run_command
from app.cli.terminal import echo
from app.rate_limiting.limiter import build_rate_limiter
from app.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Number of processes that answer requests.",
)
@click.option("--insecure", is_flag=True, help="Allow other machines without sign-in.")
def serve(host: str, port: int, workers: int, insecure: bool) -> None:
    """Serve the chat page at / and the REST API, with its documentation at /schema."""
    settings = load_settings()
    if settings.auth == "off" and not insecure and not _is_loopback(host):
        fail(
            f"{host} can be reached from other machines and sign-in is off: "
            "use 127.0.0.1, set AUTH=jwt, or give --insecure.",
            EXIT_MISUSED,
        )
    address = _resolve(host, port)
    if insecure and "allowed_hosts" not in settings.model_fields_set:
        os.environ["ALLOWED_HOSTS"] = "*"
    if workers > 1 and not settings.rate_limit_store:
        os.environ["RATE_LIMIT_STORE"] = "file"
    run_command(lambda _: _check_services(settings), settings)
    url_host = f"[{host}]" if ":" in host else host
    place = settings.public_url or f"http://{url_host}:{port}"
    if settings.log_format == "text":
        echo(f"Ask at {place}/ (API: /schema). Ctrl-C stops it.", err=True)
    serving.serve(settings, address, port, workers)


async def _check_services(settings: Settings) -> None:
    """Open the services once, so that an error is one line here and not a traceback in a worker."""
    build_rate_limiter(settings)


def _resolve(host: str, port: int) -> str:
    """Resolve the host and return its IP address. Exit if the server cannot listen there."""
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
    except OSError as error:
        fail(f"Cannot listen on {host}:{port}: {error.strerror}.", EXIT_MISUSED)
    return str(place[0])


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

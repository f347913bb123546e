"""Run the stand-ins by hand: `uv run python -m tests.doubles [--port N]`."""

import argparse
import asyncio
import sys

from tests.doubles.http import RecordedRequest
from tests.doubles.services import Doubles

PORT = 8901


def main() -> None:
    """Serve until Ctrl-C and print a line for each request."""
    parser = argparse.ArgumentParser("python -m tests.doubles", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    asyncio.run(_serve(parser.parse_args().port))


async def _serve(port: int) -> None:
    async with Doubles(_print_request).running(port) as doubles:
        sys.stdout.write(
            f"export OPENROUTER_API_KEY=any OPENROUTER_BASE_URL={doubles.openrouter}\n"
            f"export COHERE_API_KEY=any COHERE_BASE_URL={doubles.cohere}\n"
            "export OPENROUTER_MODELS=double/cut,double/answers\n"
        )
        sys.stdout.flush()
        await asyncio.Event().wait()


def _print_request(request: RecordedRequest) -> None:
    took = request.finished - request.started
    sys.stdout.write(
        f"{request.method} {request.path} {request.model} {request.status} {request.ended} "
        f"{request.pieces} chunks {took:.3f} s\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)

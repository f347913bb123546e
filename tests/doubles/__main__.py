"""Run the stand-ins by hand: `uv run python -m tests.doubles [--port N]`."""

import argparse
import asyncio
import sys

from tests.doubles.http import Seen
from tests.doubles.services import Doubles

PORT = 8901


def main() -> None:
    """Serve until Ctrl-C and print a line for each request."""
    parser = argparse.ArgumentParser("python -m tests.doubles", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT)
    asyncio.run(_serve(parser.parse_args().port))


async def _serve(port: int) -> None:
    async with Doubles(_tell).running(port) as doubles:
        sys.stdout.write(
            f"export OPENROUTER_API_KEY=any OPENROUTER_BASE_URL={doubles.openrouter}\n"
            f"export COHERE_API_KEY=any COHERE_BASE_URL={doubles.cohere}\n"
            "export OPENROUTER_MODELS=double/cut,double/answers\n"
        )
        sys.stdout.flush()
        await asyncio.Event().wait()


def _tell(seen: Seen) -> None:
    took = seen.finished - seen.started
    sys.stdout.write(
        f"{seen.method} {seen.path} {seen.model} {seen.status} {seen.ended} "
        f"{seen.pieces} chunks {took:.3f} s\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)

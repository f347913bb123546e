"""A model that pauses in the middle of its answer until a test releases it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HeldModel:
    """A server of OpenAI's protocol under `/v1`."""

    def __init__(self, first: str, rest: str) -> None:
        self.question_received = threading.Semaphore(0)
        """Released once for each question, after the first words of its answer are sent."""
        self.may_finish = threading.Event()
        self._said = first, rest

    @contextmanager
    def running(self) -> Iterator[dict[str, str]]:
        """Run the server and yield the settings that make Ibid use it."""
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                for chunk in model._chunks():
                    try:
                        self.wfile.write(chunk)
                    except OSError:  # the client has disconnected
                        return

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {
                "OPENROUTER_API_KEY": "any",
                "OPENROUTER_BASE_URL": f"http://127.0.0.1:{server.server_address[1]}/v1",
                "OPENROUTER_MODELS": "held",
                "LLM_FIRST_TOKEN_SECONDS": "300",
                "LLM_ANSWER_SECONDS": "300",
            }
        finally:
            self.may_finish.set()
            server.shutdown()
            server.server_close()

    def _chunks(self) -> Iterator[bytes]:
        first, rest = self._said
        yield _chunk({"content": first})
        self.question_received.release()
        self.may_finish.wait(300)
        yield _chunk({"content": rest})
        yield _chunk({}, "stop")
        yield b"data: [DONE]\n\n"


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'id': '1', 'model': 'held', 'choices': [choice]})}\n\n".encode()

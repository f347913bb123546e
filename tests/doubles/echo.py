"""A server that refuses every request and repeats its body and headers, as some real servers do."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle

_STATUSES = (400, 401, 500, 429, 200, 422, 503, 404)


@contextmanager
def run_echo_server() -> Iterator[str]:
    """Run the server in a thread and yield its address."""
    statuses = cycle(_STATUSES)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            message = f"Cannot do that: {sent} {dict(self.headers)}"
            body = json.dumps({"error": {"message": message}, "message": message}).encode()
            self.send_response(next(statuses), "Refused")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

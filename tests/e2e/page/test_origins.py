"""Pages of another site call the API with a real browser between: what CORS is for."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from tests.e2e.page.site import PageSite, run_site
from tests.library import write_docs

FUEL = "How much paraffin does the lamp burn?"
JSON_CALL = """async (api) => {
  const headers = {"Content-Type": "application/json", "traceparent": "00-1-2-01",
                   "X-Request-Id": "one", "Idempotency-Key": "two", "Authorization": "Bearer x"};
  const made = await fetch(api + "/conversations", {method: "POST", headers, body: "{}"});
  return {status: made.status, id: (await made.json()).id};
}"""
STREAM_CALL = """async ([api, id, text]) => {
  const headers = {"Content-Type": "application/json", "Accept": "text/event-stream",
                   "Last-Event-ID": "3"};
  const body = JSON.stringify({text});
  const answer = await fetch(`${api}/conversations/${id}/messages`, {method: "POST", headers, body});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return said;
    said += value;
  }
}"""
UPLOAD_CALL = """async (api) => {
  const form = new FormData();
  form.append("files", new File(["# Fog\\n\\nThe horn sounds twice."], "fog.md"));
  const sent = await fetch(api + "/sources", {method: "POST", body: form});
  return {status: sent.status, job: (await sent.json()).id};
}"""
REFUSED_CALL = """async (api) => {
  try { return (await fetch(api + "/conversations", {method: "POST"})).status; }
  catch (error) { return error.name; }
}"""
SIMPLE_CALL = """(api) => fetch(api + "/corpora", {method: "POST", mode: "no-cors",
  headers: {"Content-Type": "text/plain"}, body: '{"name": "theirs"}'}).then(() => "sent")"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two other sites: the first is listed."""
    folder = tmp_path_factory.mktemp("sites")
    (folder / "index.html").write_text("<!doctype html><title>Docs</title>")
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        for _ in range(2)
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [f"http://127.0.0.1:{server.server_address[1]}" for server in servers]
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def api(
    sites: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PageSite, str]]:
    folder: Path = tmp_path_factory.mktemp("api")
    with run_site(folder, cors_origins=sites[0]) as site:
        site.ingest(write_docs(folder / "docs"))
        yield site, f"{site.url.rstrip('/')}/api/v1"


def test_a_listed_site_asks_streams_and_uploads(
    context: BrowserContext, api: tuple[PageSite, str], sites: list[str]
) -> None:
    page = context.new_page()
    page.goto(sites[0])
    made = page.evaluate(JSON_CALL, api[1])
    assert made["status"] == 201
    said = page.evaluate(STREAM_CALL, [api[1], made["id"], FUEL])
    assert "event: completed" in said
    assert "2.4 litres" in json.loads(said.split("event: completed\r\ndata: ")[1])["answer"]["text"]
    sent = page.evaluate(UPLOAD_CALL, api[1])
    assert (sent["status"], bool(sent["job"])) == (202, True)


def test_another_site_reads_nothing_and_changes_nothing(
    context: BrowserContext, api: tuple[PageSite, str], sites: list[str]
) -> None:
    site, url = api
    page = context.new_page()
    page.goto(sites[1])
    assert page.evaluate(REFUSED_CALL, url) == "TypeError"
    assert page.evaluate(SIMPLE_CALL, url) == "sent"
    assert [shelf.name for shelf in site.run_on_loop(site.services.library.corpora())] == [
        "default"
    ]

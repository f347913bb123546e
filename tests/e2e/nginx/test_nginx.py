"""nginx before a real server: with and without a `Host` line, on another port, on a sub-path."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from tests.app.api.calls import API, FUEL, assert_problem
from tests.app.cli.commands import run_script
from tests.app.cli.test_serve import free_port, run_server
from tests.library import write_docs

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not NGINX, reason="nginx is not installed: apt-get install nginx"),
]

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {servers}
}}
"""
NO_HOST = ""
HOST_WITHOUT_PORT = "proxy_set_header Host $host;"
FORWARDED = """
proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto https;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header Forwarded "";
"""


@contextmanager
def run_nginx(folder: Path, port: int, servers: str) -> Iterator[None]:
    """nginx with these servers, once it listens on the port."""
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, servers=servers))
    assert NGINX
    process = subprocess.Popen([NGINX, "-c", file, "-e", folder / "error.log"])
    with wait_until_listening(process, port):
        yield


@contextmanager
def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> Iterator[None]:
    """Once it does; it is ended afterwards."""
    try:
        for _ in range(300):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def client_behind(
    folder: Path, lines: str, path: str = "", onto: str = "", **settings: str
) -> Iterator[httpx.Client]:
    """A client that reaches a server through nginx, as a browser's page of that address would."""
    home, port = folder / "home", free_port()
    public = f"http://localhost:{port}{path}"
    chosen = {name: value.format(public=public) for name, value in settings.items()}
    assert run_script(home, "ingest", write_docs(folder / "docs"), "--json").returncode == 0
    with run_server(home, **chosen) as (_, direct):
        upstream = str(direct.base_url).rstrip("/") + onto
        place = f"location {path}/ {{ proxy_pass {upstream}; {lines} }}"
        with run_nginx(folder / "nginx", port, f"server {{ listen 127.0.0.1:{port}; {place} }}"):
            own = {"origin": public.removesuffix(path)}
            with httpx.Client(base_url=public, headers=own, timeout=60) as client:
                yield client


def assert_answers(client: httpx.Client) -> None:
    """The page, its files, a question in JSON and as a stream."""
    page = client.get("/")
    assert "<title>Ibid</title>" in page.text
    assert client.get("/assets/page.js").headers["content-type"].startswith("text/javascript")
    made = client.post(f"{API}/conversations")
    assert made.status_code == 201, made.text
    path = f"{API}/conversations/{made.json()['id']}/messages"
    assert "2.4 litres" in client.post(path, json={"text": FUEL}).json()["text"]
    with connect_sse(client, "POST", path, json={"text": FUEL}) as source:
        last = list(source.iter_sse())[-1]
    assert "2.4 litres" in json.loads(last.data)["answer"]["text"]


def assert_links(client: httpx.Client, public: str) -> None:
    """What stands on the API's own page leads back through nginx."""
    assert f"curl -X GET &#39;{public}/api/v1/" in client.get("/schema").text
    assert client.get("/schema/openapi.json").json()["openapi"].startswith("3.1")


def base_url(client: httpx.Client) -> str:
    """The address that it calls."""
    return str(client.base_url).rstrip("/")


@pytest.mark.parametrize("lines", [NO_HOST, HOST_WITHOUT_PORT, FORWARDED])
def test_where_the_server_is_reached_is_all_it_needs_to_know(tmp_path: Path, lines: str) -> None:
    with client_behind(tmp_path, lines, PUBLIC_URL="{public}") as client:
        assert_answers(client)
        assert_links(client, base_url(client))
        foreign = {"origin": "http://evil.example"}
        assert_problem(client.post(f"{API}/conversations", headers=foreign), 400, "evil.example")


def test_a_proxy_that_is_trusted_may_say_it_instead(tmp_path: Path) -> None:
    with client_behind(tmp_path, FORWARDED, TRUSTED_PROXIES="127.0.0.1") as client:
        assert_answers(client)
        assert_links(client, base_url(client).replace("http:", "https:"))


@pytest.mark.parametrize("lines", [NO_HOST, HOST_WITHOUT_PORT, FORWARDED])
def test_else_the_refusal_names_what_to_set(tmp_path: Path, lines: str) -> None:
    with client_behind(tmp_path, lines) as client:
        refused = client.post(f"{API}/conversations")
        assert_problem(refused, 400, f"'{client.headers['origin']}'.*set PUBLIC_URL")


@pytest.mark.parametrize("onto", ["", "/"])
def test_a_sub_path_may_be_taken_off_or_left(tmp_path: Path, onto: str) -> None:
    with client_behind(tmp_path, NO_HOST, "/docs/ibid", onto, PUBLIC_URL="{public}") as client:
        assert_answers(client)
        assert_links(client, base_url(client))
        bare = client.get(str(client.base_url).rstrip("/"), follow_redirects=True)
        assert "<title>Ibid</title>" in bare.text
        assert str(bare.url).endswith("/docs/ibid/")

"""The example configurations of nginx and Caddy before a real server: they stream, on a sub-path too."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from tests.app.api.calls import API, FUEL
from tests.app.api.uploads import upload_files, wait_for_upload
from tests.app.cli.commands import run_script
from tests.app.cli.test_serve import free_port, run_server
from tests.doubles.held import HeldModel
from tests.e2e.nginx.test_nginx import NGINX, assert_links, run_nginx, wait_until_listening
from tests.library import write_docs

DEPLOY = Path(__file__).parents[3] / ".deploy"
CADDY = shutil.which("caddy")
UPSTREAM = "127.0.0.1:8000"
LONG = "# Log\n\n" + "The keeper wrote down the weather of the day once more.\n" * 40_000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Proxy = Callable[[Path, int, str], AbstractContextManager[None]]


def nginx(folder: Path, port: int, upstream: str) -> AbstractContextManager[None]:
    servers = replace_addresses(
        "nginx.conf", {UPSTREAM: upstream, "listen 80;": f"listen 127.0.0.1:{port};"}
    )
    return run_nginx(folder, port, servers)


@contextmanager
def caddy(folder: Path, port: int, upstream: str) -> Iterator[None]:
    folder.mkdir()
    names = [f"\n{name}.example.com {{" for name in ("ibid", "docs")]
    sites = {name: name.replace("\n", "\nhttp://").replace(" ", f":{port} ") for name in names}
    text = "{\n\tadmin off\n}\n" + replace_addresses("Caddyfile", {UPSTREAM: upstream, **sites})
    (folder / "Caddyfile").write_text(text)
    assert CADDY
    process = subprocess.Popen(
        [CADDY, "run", "--config", folder / "Caddyfile"],
        env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        stderr=subprocess.DEVNULL,
    )
    with wait_until_listening(process, port):
        yield


def replace_addresses(name: str, new: dict[str, str]) -> str:
    """The example, with other addresses in it."""
    text = (DEPLOY / name).read_text()
    for old, address in new.items():
        assert old in text
        text = text.replace(old, address)
    return text


def skip_if_missing(program: str | None, name: str) -> list[pytest.MarkDecorator]:
    reason = f"{name} is not installed: apt-get install {name}"
    return [pytest.mark.skipif(not program, reason=reason)]


@pytest.mark.parametrize(
    "proxy",
    [
        pytest.param(nginx, marks=skip_if_missing(NGINX, "nginx"), id="nginx"),
        pytest.param(caddy, marks=skip_if_missing(CADDY, "caddy"), id="caddy"),
    ],
)
@pytest.mark.parametrize("public", ["http://ibid.example.com", "http://docs.example.com/ibid"])
def test_words_are_seen_as_they_come_and_files_are_taken(
    tmp_path: Path, proxy: Proxy, public: str
) -> None:
    home, port = tmp_path / "home", free_port()
    assert run_script(home, "ingest", write_docs(tmp_path / "docs"), "--json").returncode == 0
    host, slash, path = public.removeprefix("http://").partition("/")
    model = HeldModel("The lamp burns 2.4 litres of paraffin", " an hour [1].")
    with (
        model.running() as asked_of,
        run_server(home, PUBLIC_URL=public, TRUSTED_PROXIES="127.0.0.1", **asked_of) as (_, direct),
        proxy(tmp_path / "proxy", port, direct.base_url.netloc.decode()),
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}{slash}{path}",
            headers={"host": host, "origin": f"http://{host}"},
            timeout=60,
        ) as client,
    ):
        assert "<title>Ibid</title>" in client.get("/").text
        conversation = client.post(f"{API}/conversations").json()["id"]
        messages = f"{API}/conversations/{conversation}/messages"
        with connect_sse(client, "POST", messages, json={"text": FUEL}) as source:
            events = source.iter_sse()
            assert any(event.event == "token" for event in events), "while the model is held"
            model.may_finish.set()
            last = list(events)[-1]
        assert "2.4 litres" in json.loads(last.data)["answer"]["text"]
        assert (
            wait_for_upload(client, upload_files(client, {"log.txt": LONG}, corpus="log"), 120)[
                "status"
            ]
            == "done"
        )
        assert_links(client, public)

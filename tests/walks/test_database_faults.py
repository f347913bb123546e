"""The database is killed while questions are asked: nothing acknowledged is lost, nothing hangs."""

import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from app.api import create_app
from app.wiring import Services
from tests.app.api.calls import API, FUEL, Client, assert_problem
from tests.app.api.conftest import local
from tests.library import write_docs
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 12
ASKERS = 8


class Asker(threading.Thread):
    """Asks in a conversation of its own until told to stop; remembers every answer it was given."""

    def __init__(self, client: Client, stop: threading.Event) -> None:
        super().__init__()
        self.client, self.stop = client, stop
        self.path = f"{API}/conversations/{client.post(f'{API}/conversations').json()['id']}"
        self.acknowledged: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            response = self.client.post(f"{self.path}/messages", json={"text": FUEL})
            self.statuses[response.status_code] += 1
            if response.status_code == 201:
                self.acknowledged.append(response.json()["message_id"])
            else:
                self.check(response)

    def check(self, response: httpx.Response) -> None:
        try:
            assert_problem(response, 503)
            assert int(response.headers["retry-after"]) > 0
        except AssertionError as error:
            self.wrong.append(str(error))


def test_a_database_that_is_killed_under_load_loses_nothing(tmp_path: Path) -> None:
    server = Postgres()
    server.start()
    try:
        settings = local(
            tmp_path, allowed_hosts="*", database_url=server.url(), database_patience=2
        )
        with TestClient(create_app(settings)) as client:
            services: Services = client.app.state.services
            client.blocking_portal.call(services.ingestion.run, [write_docs(tmp_path / "docs")])
            stop = threading.Event()
            askers = [Asker(client, stop) for _ in range(ASKERS)]
            for asker in askers:
                asker.start()
            for _ in range(2):
                time.sleep(SECONDS / 4)
                server.kill()
                time.sleep(SECONDS / 4)
                server.start()
            time.sleep(SECONDS / 4)
            stop.set()
            for asker in askers:
                asker.join()
            told = sum((asker.statuses for asker in askers), Counter[int]())
            assert [wrong for asker in askers for wrong in asker.wrong] == []
            assert set(told) == {201, 503}, "it failed while it was gone, and recovered"
            for asker in askers:
                kept = [said["id"] for said in client.get(asker.path).json()["messages"]]
                assert len(asker.acknowledged) > 1
                assert set(asker.acknowledged) <= set(kept)
                assert len(kept) == len(set(kept))
                assert client.post(f"{asker.path}/messages", json={"text": FUEL}).is_success
    finally:
        server.close()


def test_liveness_needs_no_database(tmp_path: Path) -> None:
    server = Postgres()
    server.start()
    try:
        settings = local(
            tmp_path, allowed_hosts="*", database_url=server.url(), database_patience=1
        )
        with TestClient(create_app(settings)) as client:
            server.kill()
            assert client.get("/health/live").status_code == 200
            assert client.get("/health/ready").status_code == 200
            assert_problem(client.get("/health/ready?database=true"), 503)
            assert_problem(client.get(f"{API}/conversations"), 503)
            server.start()
            assert client.get("/health/ready?database=true").status_code == 200
    finally:
        server.close()

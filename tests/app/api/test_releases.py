"""Tests of reindexing over REST."""

from pathlib import Path

from litestar.testing import TestClient

from app.api import create_app
from tests.app.api.calls import API
from tests.app.api.conftest import local
from tests.app.api.uploads import wait_for_job


def test_who_asks_for_a_reindex_while_one_waits_joins_it(tmp_path: Path) -> None:
    with TestClient(create_app(local(tmp_path, allowed_hosts="*"))) as client:
        asked = [client.post(f"{API}/releases") for _ in range(3)]
        assert [each.status_code for each in asked] == [202] * 3
        (first,) = {each.json()["id"] for each in asked}
        assert len(client.get(f"{API}/jobs").json()["jobs"]) == 1
        wait_for_job(client, first)
        assert client.post(f"{API}/releases").json()["id"] != first

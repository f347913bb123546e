"""Tests of bodies that are too large, with and without `Content-Length`."""

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from app.api import create_app
from tests.app.api.calls import API, Client, assert_problem
from tests.app.api.conftest import local

LIMIT = 3_000_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The API with a limit on uploads that is above the limit on other bodies."""
    settings = local(tmp_path_factory.mktemp("small"), upload_limit=LIMIT)
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        yield client


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(0, size, 100_000):
        yield b" " * 100_000


def test_a_body_that_is_too_large_is_a_problem(small: Client) -> None:
    for body in (b" " * 1_100_000, chunks(1_100_000)):
        headers = {"content-type": "application/json"}
        response = small.post(f"{API}/corpora", content=body, headers=headers)
        assert_problem(response, 413, "Request Entity Too Large")


def test_uploads_have_a_limit_of_their_own(small: Client) -> None:
    def upload(size: int) -> int:
        response = small.post(f"{API}/sources", files={"files": ("a.md", b"# A\n" * (size // 4))})
        return response.status_code

    assert upload(2_000_000) == 202
    assert upload(LIMIT + 1000) == 413
    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = small.post(f"{API}/sources", content=chunks(LIMIT + 100_000), headers=headers)
    assert_problem(response, 413)

"""Helpers for the tests of uploads: send files and wait for jobs."""

import io
import time
import zipfile
from collections.abc import Mapping

import httpx

from tests.app.api.calls import API, JSON

Files = list[tuple[str, tuple[str, bytes]]]


def upload_files(
    client: httpx.Client, files: Mapping[str, str | bytes], **fields: str
) -> httpx.Response:
    sent: Files = [
        ("files", (name, data if isinstance(data, bytes) else data.encode()))
        for name, data in files.items()
    ]
    return client.post(f"{API}/sources", files=sent, data=fields)


def wait_for_upload(client: httpx.Client, response: httpx.Response, seconds: float = 240) -> JSON:
    """Wait for the job that the response started and return it."""
    assert response.status_code == 202, response.text
    return wait_for_job(client, response.json()["id"], seconds)


def wait_for_job(client: httpx.Client, job_id: str, seconds: float = 240) -> JSON:
    deadline = time.monotonic() + seconds
    while True:
        job = client.get(f"{API}/jobs/{job_id}").json()
        if job["status"] in ("done", "failed", "cancelled"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def archive(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return buffer.getvalue()


def search(client: httpx.Client, query: str, **parameters: str) -> list[JSON]:
    answer = client.get(f"{API}/search", params={"q": query, **parameters})
    return answer.json().get("passages", [])

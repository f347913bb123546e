"""What a server says about a key, and a server that says something else."""

import asyncio

import pytest
from aiohttp import ClientSession

from app.llms.hosted.account import fetch_account, fetch_model_names
from storage.errors import ModelUnavailable
from tests.doubles.services import Doubles
from tests.storage.http.test_pool import run_service


async def test_a_key_and_what_may_be_asked_with_it(doubles: Doubles, http: ClientSession) -> None:
    assert (await fetch_account(http, doubles.openrouter, "any")).limit_remaining is None
    assert "double/answers" in await fetch_model_names(http, doubles.openrouter, "any")


@pytest.mark.parametrize(
    "said", [b"<html>", b"{}", b'{"data": [{"id": "\xff"}]}', b'{"x":' + b"[" * 9_000]
)
async def test_a_page_is_no_list_of_models(http: ClientSession, said: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))

    async with run_service(serve) as url:
        with pytest.raises(ModelUnavailable, match="is not a model server"):
            await fetch_model_names(http, url, "any")

"""Addresses of Qdrant as its own pages and other programs write them, and how places are named."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient

from storage.index.server.engine import open_server
from storage.index.server.qdrant_url import parse_qdrant_url
from storage.service_urls import host_and_port

SECRET = "pLanted9"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("http://localhost:6333", "http://localhost:6333"),
        ("http://localhost:6333/", "http://localhost:6333"),
        ("http://localhost", "http://localhost:6333"),
        ("HTTP://[::1]", "http://[::1]:6333"),
        (
            "https://x-y.eu-central.aws.cloud.qdrant.io",
            "https://x-y.eu-central.aws.cloud.qdrant.io:6333",
        ),
        ("https://vectors.example.com:443/qdrant/", "https://vectors.example.com:443/qdrant"),
        (":memory:", ":memory:"),
    ],
)
async def test_an_address_of_qdrant_is_read(text: str, read: str) -> None:
    assert parse_qdrant_url(text) == parse_qdrant_url(read) == read
    async with open_server(read):
        pass


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grpc://localhost:6334", "only HTTP is supported; write http://HOST:6333"),
        ("localhost:6333", "it must begin with http:// or https://"),
        ("localhost", "it must begin with http:// or https://"),
        ("qdrant://localhost", "it must begin with http:// or https://"),
        ("http://", "it is not an address such as"),
        ("http://localhost:0", "it is not an address such as"),
        ("http://localhost:port", "it is not an address such as"),
        (f"http://user:{SECRET}@localhost", "the key belongs in QDRANT_API_KEY"),
        (f"http://{SECRET}@localhost", "the key belongs in QDRANT_API_KEY"),
        (f"http://localhost?api_key={SECRET}", "remove ? and #"),
        ("http://localhost:6333/dashboard#/collections", "remove ? and #"),
    ],
)
def test_what_is_no_address_of_qdrant_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)) as raised:
        parse_qdrant_url(text)
    assert SECRET not in str(raised.value)


TEXTS = st.text("http:/@?#%.[]1a \0é", max_size=20)


@given(TEXTS, TEXTS, st.sampled_from(["http://", "https://", "grpc://", ""]))
def test_no_address_of_qdrant_gives_a_traceback(before: str, after: str, scheme: str) -> None:
    text = f"{scheme}{before}{SECRET}{after}"
    told, read = "", None
    try:
        read = parse_qdrant_url(text)
    except ValueError as error:
        told = str(error)
    assert SECRET not in told
    if read:
        assert "@" not in urlsplit(read).netloc
        assert host_and_port(read)
        AsyncQdrantClient(url=read, check_compatibility=False)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://models.example/v1", "models.example:80"),
        ("https://user:pw@[::1]/v1?a=b", "[::1]:443"),
        ("redis://:pw@cache", "cache:6379"),
        ("rediss://cache:7000/0", "cache:7000"),
    ],
)
def test_a_place_is_a_host_and_a_port(address: str, told: str) -> None:
    assert host_and_port(address) == told

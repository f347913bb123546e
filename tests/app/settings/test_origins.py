"""Addresses in settings: what they are understood as, and what is refused with a reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.api.client_network import parse_address
from app.settings import Settings
from app.settings.origins import hostname, is_same_site, parse_origin, parse_public_url


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://Docs.Example.com/", "https://docs.example.com"),
        ("https://docs.example.com:443", "https://docs.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://*.example.com", "https://*.example.com"),
        ("tauri://localhost", "tauri://localhost"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(text: str, origin: str) -> None:
    assert settings(cors_origins=text).cors_origins == origin


@pytest.mark.parametrize(
    "value", ["docs.example.com", "https://docs.example.com/ask", "https://ex*.com", "null", "*"]
)
def test_what_is_no_origin_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match=r"is not an origin|without sign-in"):
        settings(cors_origins=value)
    assert settings(auth="jwt", cors_origins="*").cors_origins == "*"


@pytest.mark.parametrize(
    ("text", "origin", "path"),
    [
        ("https://example.com", "https://example.com", ""),
        ("https://Example.com:443/", "https://example.com", ""),
        ("http://10.0.0.1:8080/docs/ask/", "http://10.0.0.1:8080", "/docs/ask"),
    ],
)
def test_a_public_url_is_an_origin_and_a_path(text: str, origin: str, path: str) -> None:
    read = settings(public_url=text)
    assert (read.public_url, read.public_origin, read.public_path) == (origin + path, origin, path)


@pytest.mark.parametrize(
    "value",
    [
        "example.com",
        "ftp://example.com",
        "https://",
        "https://example.com/?a=b",
        "https://example.com/<b>",
        "https://example.com/a//b",
        "https://*.example.com",
        "https://example.com/api/ibid",
        "https://user@example.com",
    ],
)
def test_what_is_no_public_url_is_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        settings(public_url=value)


def test_the_public_name_is_one_of_the_servers_names() -> None:
    read = settings(public_url="https://ibid.example.com:8443/docs")
    assert read.hosts
    assert "ibid.example.com" in map(hostname, read.hosts)
    assert "localhost" in read.hosts
    assert settings(auth="jwt", public_url="https://ibid.example.com").hosts is None
    only = settings(public_url="https://ibid.example.com", allowed_hosts="other.example")
    assert only.hosts == ["other.example", "ibid.example.com"]


def test_proxies_are_addresses_and_networks() -> None:
    read = settings(trusted_proxies="127.0.0.1, 10.0.0.0/8,::1")
    assert list(map(str, read.proxies)) == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]


@given(st.text(max_size=40))
def test_whatever_stands_there_is_read_or_refused(text: str) -> None:
    for parse in (parse_origin, parse_public_url):
        try:
            assert parse(parse(text)) == parse(text)
        except ValueError:
            continue
    parse_address(text)
    is_same_site(text, text)
    hostname(text)

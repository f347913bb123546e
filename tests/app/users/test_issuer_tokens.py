"""Tokens whose JSON is odd are refused, and an issuer whose JSON is odd is unavailable."""

import base64
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.users.issuer_keys import usable_keys
from storage.errors import NotSignedIn, SignInUnavailable
from tests.app.users.verifying import ALGORITHMS, verifier_for
from tests.doubles.issuer import Issuer

DATES = ("exp", "iat", "nbf")
ODD = [
    *("1e400", "-1e400", "NaN", "Infinity", "-1", "true", "false", "null", "[]", "[1]", "{}"),
    *('"x"', '"9999999999"', "1" + "0" * 400, "1" + "0" * 5_000, "253402300800"),
    "[" * 900 + "]" * 900,
]


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign_token(issuer: Issuer, payload: bytes, header: bytes | None = None) -> str:
    """Truly signed, whatever it says."""
    usual = json.dumps({"alg": "EdDSA", "kid": issuer.kid}).encode()
    message = encode(header or usual) + b"." + encode(payload)
    return (message + b"." + encode(issuer.sign(message))).decode()


def payload(issuer: Issuer, **raw: str) -> bytes:
    """Good claims, but for those whose JSON is given."""
    claims = {name: json.dumps(value) for name, value in issuer.claims("ada").items()} | raw
    return ("{" + ",".join(f'"{name}":{value}' for name, value in claims.items()) + "}").encode()


async def test_a_good_token_is_good(issuer: Issuer) -> None:
    token = sign_token(issuer, payload(issuer, iat="1.5", nbf="0"))
    assert (await verifier_for(issuer).verify(token)).subject == "ada"


@pytest.mark.parametrize("name", DATES)
async def test_a_date_that_is_no_number_of_seconds_is_refused(issuer: Issuer, name: str) -> None:
    checks = verifier_for(issuer)
    for value in ODD:
        if name == "nbf" and value == "null":
            continue
        with pytest.raises(NotSignedIn):
            await checks.verify(sign_token(issuer, payload(issuer, **{name: value})))


@pytest.mark.parametrize(
    "value", ['"\\ud800"', '"a\\u0000"', '"a\\nb"', f'"{"x" * 300}"', "1", "[]", "null", "{}"]
)
async def test_a_subject_that_is_no_name_is_refused(issuer: Issuer, value: str) -> None:
    with pytest.raises(NotSignedIn):
        await verifier_for(issuer).verify(sign_token(issuer, payload(issuer, sub=value)))


async def test_groups_and_sessions_that_are_no_names_are_passed_over(issuer: Issuer) -> None:
    told = payload(issuer, groups='["staff", "a\\u0000", 1, ["x"], "\\ud800"]', sid='"\\u0000"')
    claims = await verifier_for(issuer).verify(sign_token(issuer, told))
    assert (claims.groups, claims.session) == ({"staff"}, None)


@pytest.mark.parametrize("data", [b"[" * 4_000, b"[]", b"1", b"\x00", b'{"a":' * 1_000, b"\xff"])
async def test_a_token_that_is_no_object_is_refused(issuer: Issuer, data: bytes) -> None:
    checks = verifier_for(issuer)
    with pytest.raises(NotSignedIn):
        await checks.verify(sign_token(issuer, data))
    with pytest.raises(NotSignedIn):
        await checks.verify(sign_token(issuer, payload(issuer), header=data))


@pytest.mark.parametrize(
    "published",
    [
        b"[" * 100_000,
        b'{"keys":' + b"[" * 100_000,
        b'{"keys":[' + b"[" * 900 + b"]" * 900 + b"]}",
        b'{"keys":[1,"x",null,[]]}',
        b'{"keys":[{"kty":1},{"kty":"OKP","crv":"Ed25519","x":1}]}',
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":[1]}]}',
        b'{"keys":{"a":1}}',
        b"9" * 5_000,
        b"null",
        b"\xff",
        b" " * 1_000_001 + b'{"keys":[]}',
    ],
)
async def test_an_issuer_that_publishes_no_keys_is_unavailable(
    issuer: Issuer, published: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=published, content_type="application/json")

    application = web.Application()
    application.router.add_get("/jwks", answer)
    async with TestServer(application) as server:
        address = str(server.make_url("/jwks"))
        checks = verifier_for(issuer, url=address.replace("://", "://user:planted@"))
        with caplog.at_level(logging.WARNING), pytest.raises(SignInUnavailable):
            await checks.verify(issuer.token("ada"))
    lines = [vars(each) for each in caplog.records]
    reasons = [each["reason"] for each in lines if each["msg"] == "issuer_keys_not_fetched"]
    assert reasons
    assert all(address in reason for reason in reasons)
    assert "planted" not in str(lines)


async def test_one_odd_key_does_not_hide_the_others(issuer: Issuer) -> None:
    odd: list[Any] = [1, {"kty": "OKP", "crv": "Ed25519", "x": 1}, {"kty": "RSA", "kid": []}]
    keys = usable_keys([*odd, *issuer.published()], ALGORITHMS)
    assert {key.kid for key in keys} == {each["kid"] for each in issuer.published()}

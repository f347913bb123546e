"""Which key a token is checked with, what is told when none fits, and what is told of a JWKS that fails."""

import asyncio
import json
import logging
from collections.abc import Iterator

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.users.issuer_keys import fetch_keys
from storage.errors import NotSignedIn, SignInUnavailable
from tests.app.users.verifying import ALGORITHMS, verifier_for
from tests.doubles.issuer import Issuer
from tests.doubles.issuer_shapes import ENCRYPTING


@pytest.fixture
def single() -> Iterator[Issuer]:
    """An issuer of its own for each test."""
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "PS512", "ES256", "EdDSA"])
@pytest.mark.parametrize("fields", [("kid", "alg"), ("kid",), ("alg",), ()])
async def test_a_key_signs_as_it_says_or_as_its_kind_can(
    algorithm: str, fields: tuple[str, ...]
) -> None:
    issuer = Issuer(algorithm, key_fields=fields)
    issuer.others.append(ENCRYPTING)
    try:
        header = {"kid": issuer.kid} if "kid" in fields else {}
        token = issuer.sign_token(issuer.claims("ada"), header)
        assert (await verifier_for(issuer).verify(token)).subject == "ada"
    finally:
        issuer.close()


async def test_a_token_without_kid_is_good_while_one_key_fits(single: Issuer) -> None:
    checks = verifier_for(single)
    rsa = Issuer("RS256")
    single.others = rsa.published()
    rsa.close()
    assert await checks.verify(single.sign_token(single.claims("ada"), {}))
    single.withdraw()
    assert await checks.verify(single.sign_token(single.claims("bob"), {})), (
        "its only key is another"
    )
    single.rotate()
    await checks.verify(single.token("eve"))
    with pytest.raises(NotSignedIn, match=r"`kid` is missing: .* 2 keys for EdDSA"):
        await checks.verify(single.sign_token(single.claims("eve"), {}))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"kid": "unknown"}, "`kid` names a key that the issuer does not publish.$"),
        ({"alg": "HS256"}, "HS256, a shared secret, .* the issuer to sign with a key pair"),
        ({"alg": "none"}, "`alg` is not accepted; it must be EdDSA or ES256"),
        ({"alg": ["EdDSA"]}, "`alg` is not accepted"),
        ({"alg": None}, "`alg` is not accepted"),
        ({"alg": "RS256"}, "`alg` does not match the key of its `kid`; .* be EdDSA"),
        ({"alg": "RS256", "kid": None}, "malformed: its header"),
        ({"kid": 1}, "malformed: its header"),
        ({"crit": ["x"], "x": 1}, "malformed: its header"),
        ({}, "signature is invalid"),
    ],
)
async def test_a_header_that_is_wrong_is_named(
    single: Issuer, header: dict[str, object], told: str
) -> None:
    usual = {"alg": "EdDSA", "kid": single.kid}
    claims = json.dumps(single.claims("ada")).encode()
    token = ".".join(
        jwt.utils.base64url_encode(part).decode()
        for part in (json.dumps(usual | header).encode(), claims, b"x" * 64)
    )
    with pytest.raises(NotSignedIn, match=told):
        await verifier_for(single).verify(token)


async def test_a_missing_kid_is_told_where_no_key_fits(single: Issuer) -> None:
    other = Issuer("ES256")
    token = other.sign_token(single.claims("ada"), {})
    other.close()
    with pytest.raises(NotSignedIn, match=r"`kid` is missing, and its `alg` .* must be EdDSA"):
        await verifier_for(single).verify(token)


async def test_the_token_of_another_issuer_is_told_by_its_iss(single: Issuer) -> None:
    other = Issuer()
    other.rotate()
    token = other.token("ada")
    other.close()
    with pytest.raises(NotSignedIn, match=f"does not publish, and its `iss` is not '{single.url}'"):
        await verifier_for(single).verify(token)


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("a.b.c.d.e", "is encrypted"),
        ("opaque", "is not a JWT"),
        ("a.b", "is not a JWT"),
        ("....", "is encrypted"),
        ("..", "malformed: its header"),
        ("x" * 16_385, "more than 16,384 characters"),
    ],
)
async def test_what_is_no_signed_token_is_told_so(single: Issuer, token: str, told: str) -> None:
    with pytest.raises(NotSignedIn, match=told) as refused:
        await verifier_for(single).verify(token)
    assert token not in str(refused.value)


async def test_a_token_with_two_hundred_groups_is_taken(single: Issuer) -> None:
    groups = [f"5f2c7d1e-93b0-4c4b-8a61-0d6f3a1b{number:04}" for number in range(200)]
    token = single.token("ada", groups=groups)
    assert len((await verifier_for(single).verify(token)).groups) == 200


# Fetching


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            (302, {"location": "/elsewhere?x=1"}, b""),
            "redirects to {url}/elsewhere: set AUTH_JWKS",
        ),
        (
            (301, {"location": "https://user:planted@b.example/c"}, b""),
            "to https://b.example/c: set",
        ),
        ((404, {}, b"{}"), "status 404"),
        ((500, {}, b"{}"), "status 500"),
        ((200, {"content-type": "text/html"}, b"<html>"), r"not JSON \(text/html\)"),
        ((200, {}, b""), "not JSON"),
        ((200, {}, b"[]"), "not a JSON object with a list `keys`"),
        ((200, {}, b'{"keys": {}}'), "not a JSON object with a list `keys`"),
        ((200, {}, b'{"keys": []}'), "lists no keys: .* shared secret"),
        ((200, {}, b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'), "none of its 1 keys can check"),
    ],
)
async def test_a_jwks_that_fails_is_told_with_its_address_and_what_was_got(
    single: Issuer,
    reply: tuple[int, dict[str, str], bytes],
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    single.reply = reply
    with caplog.at_level(logging.WARNING), pytest.raises(SignInUnavailable) as refused:
        await verifier_for(single).verify(single.token("ada"))
    assert single.jwks_url not in str(refused.value), "which is for the log"
    (record,) = caplog.records
    assert record.getMessage() == "issuer_keys_not_fetched"
    reason = vars(record)["reason"]
    assert reason.startswith(f"The issuer's keys cannot be fetched from {single.jwks_url}: ")
    with pytest.raises(SignInUnavailable, match=told.format(url=single.url)):
        await fetch_keys(single.jwks_url, ALGORITHMS)
    assert "planted" not in caplog.text + reason


async def test_a_jwks_that_cannot_be_reached_is_told_so(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/jwks"
    with pytest.raises(SignInUnavailable, match=f"from {url}: it cannot be reached"):
        await fetch_keys(url, ALGORITHMS)


async def test_a_jwks_that_is_silent_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await ended.wait()
        return web.Response()

    monkeypatch.setattr("app.users.issuer_keys._TIMEOUT", 0.2)
    application = web.Application()
    application.router.add_get("/jwks", answer)
    async with TestServer(application) as server:
        with pytest.raises(SignInUnavailable, match=r"does not answer within 0\.2 seconds"):
            await fetch_keys(str(server.make_url("/jwks")), ALGORITHMS)
        ended.set()


async def test_known_keys_stay_good_while_the_jwks_is_away(
    single: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = verifier_for(single)
    await checks.verify(single.token("ada"))
    single.reachable = False
    monkeypatch.setattr("app.users.issuer_keys._REFRESH_AFTER", -1.0)
    monkeypatch.setattr("app.users.issuer_keys._MIN_INTERVAL", 0.0)
    fetches = single.fetches
    assert (await checks.verify(single.token("bob"))).subject == "bob"
    assert single.fetches > fetches, "it was tried"
    monkeypatch.setattr("app.users.issuer_keys._MAX_AGE", 0.0)
    with pytest.raises(SignInUnavailable):
        await checks.verify(single.token("bob"))

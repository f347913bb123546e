"""Tests of sign-in with an issuer's tokens and with API keys."""

import asyncio
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar.testing import TestClient

from app.api import create_app
from app.settings import Settings
from app.wiring import Services, open_services
from storage.errors import InvalidInput, NotSignedIn, SignInUnavailable
from tests.app.api.calls import API, FUEL, Client, assert_problem
from tests.app.api.conftest import local
from tests.app.users.verifying import verifier_for
from tests.doubles.issuer import Issuer
from tests.library import write_docs


@pytest.fixture(scope="module")
def door(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The API with sign-in and the keeper's manual ingested."""
    folder = tmp_path_factory.mktemp("signin")
    settings = local(
        folder,
        **issuer.settings(),
        rate_limit=10_000,
        turn_limit=2,
        cors_origins="https://docs.example",
    )
    with TestClient(create_app(settings)) as client:
        services: Services = client.app.state.services
        client.blocking_portal.call(services.ingestion.run, [write_docs(folder / "docs")])
        yield client


def auth_header(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


def call(door: Client, method: str, path: str, credential: str, **options: Any) -> httpx.Response:
    return door.request(method, f"{API}{path}", headers=auth_header(credential), **options)


def key(door: Client, *rights: str, days: int | None = None) -> str:
    services: Services = door.app.state.services
    return door.blocking_portal.call(services.people.create_key, uuid4().hex, rights, days)


def test_a_stranger_gets_nothing(door: Client) -> None:
    closed = 0
    for path, operations in door.get("/schema/openapi.json").json()["paths"].items():
        for method in operations:
            response = door.request(method, re.sub(r"\{\w+_id\}", str(uuid4()), path))
            if path.startswith("/health"):
                assert response.status_code == 200
                continue
            assert_problem(response, 401, "Sign in")
            assert response.headers["www-authenticate"] == "Bearer"
            closed += 1
    assert closed > 15


def test_somebody_who_signed_in_asks_and_is_remembered(door: Client, issuer: Issuer) -> None:
    token = issuer.token("ada")
    made = call(door, "POST", "/conversations", token).json()
    path = f"/conversations/{made['id']}"
    answer = call(door, "POST", f"{path}/messages", token, json={"text": FUEL})
    assert answer.status_code == 201
    listed = call(door, "GET", "/conversations", issuer.token("ada")).json()["conversations"]
    assert [each["id"] for each in listed] == [made["id"]]


def test_anothers_conversation_is_not_there(door: Client, issuer: Issuer) -> None:
    ada, eve = issuer.token("ada"), issuer.token("eve")
    path = f"/conversations/{call(door, 'POST', '/conversations', ada).json()['id']}"
    answer = call(door, "POST", f"{path}/messages", ada, json={"text": FUEL}).json()
    message = f"{path}/messages/{answer['message_id']}"
    for method, at, body in [
        ("GET", path, None),
        ("GET", f"{path}/export", None),
        ("PATCH", path, {"title": "mine"}),
        ("PATCH", path, {"active": answer["message_id"]}),
        ("DELETE", path, None),
        ("POST", f"{path}/messages", {"text": FUEL}),
        ("POST", f"{message}/regenerate", {}),
        ("PUT", f"{message}/feedback", {"rating": "up"}),
    ]:
        assert_problem(call(door, method, at, eve, json=body), 404, "no conversation")
        assert_problem(call(door, method, at, key(door, "admin", "ask"), json=body), 404)
    assert call(door, "GET", "/conversations?q=paraffin", eve).json()["conversations"] == []
    assert len(call(door, "GET", path, ada).json()["messages"]) == 2


# Tokens


def test_tokens_that_are_not_good_are_refused(door: Client, issuer: Issuer) -> None:
    now, kid = int(time.time()), {"kid": issuer.kid}
    good = issuer.token("ada")
    forger = Ed25519PrivateKey.generate()
    public = jwt.algorithms.OKPAlgorithm.from_jwk(issuer.published()[0])
    shown = public.public_bytes_raw().hex()
    wrong = {
        "expired": issuer.token("ada", exp=now - 31),
        "from the future": issuer.token("ada", iat=now + 90),
        "another audience": issuer.token("ada", aud="other"),
        "no audience": issuer.token("ada", aud=None),
        "another issuer": issuer.token("ada", iss="https://evil.example"),
        "a slash too many": issuer.token("ada", iss=issuer.url + "/"),
        "no subject": issuer.token("ada", sub=None),
        "no end": issuer.token("ada", exp=None),
        "our own name": issuer.token("local"),
        "a key's name": issuer.token("key:server"),
        "no name": issuer.token(""),
        "tampered": good[:-8] + "AAAAAAAA",
        "no algorithm": jwt.encode(issuer.claims("ada"), None, algorithm="none", headers=kid),
        "the public key as a secret": jwt.encode(
            issuer.claims("ada"), shown, algorithm="HS256", headers=kid
        ),
        "forged": jwt.encode(issuer.claims("ada"), forger, algorithm="EdDSA", headers=kid),
        "an unknown key": jwt.encode(
            issuer.claims("ada"), forger, algorithm="EdDSA", headers={"kid": "mine"}
        ),
        "no key id": jwt.encode(issuer.claims("ada"), forger, algorithm="EdDSA"),
        "no token": "x.y.z",
        "endless": "x" * 100_000,
        "no API key": "ibid_" + "x" * 40,
    }
    for name, token in wrong.items():
        refused = call(door, "GET", "/conversations", token)
        assert_problem(refused, 401)
        detail = refused.json()["detail"]
        assert refused.headers["www-authenticate"] == (
            f'Bearer error="invalid_token", error_description="{detail}"'
        )
        assert token not in refused.text, name
        assert not set(token.split(".")) & set(re.findall(r"[\w-]{12,}", detail)), name
    assert call(door, "GET", "/conversations", good).status_code == 200
    for header in ("", "Bearer", "Bearer ", f"Basic {good}", good):
        told = door.get(f"{API}/corpora", headers={"authorization": header})
        assert_problem(told, 401, "Sign in")


def test_clocks_may_differ_by_half_a_minute(door: Client, issuer: Issuer) -> None:
    now = int(time.time())
    for claims in ({"exp": now - 20}, {"iat": now + 20}):
        assert call(door, "GET", "/corpora", issuer.token("ada", **claims)).status_code == 200


async def test_keys_are_fetched_once_and_again_when_they_rotate(issuer: Issuer) -> None:
    checks, before = verifier_for(issuer), issuer.fetches
    tokens = [issuer.token(f"user-{n}") for n in range(20)]
    claims = await asyncio.gather(*(checks.verify(token) for token in tokens))
    assert [each.subject for each in claims] == [f"user-{n}" for n in range(20)]
    assert issuer.fetches == before + 1
    issuer.rotate()
    assert (await checks.verify(issuer.token("ada", groups=["staff"]))).groups == {"staff"}
    assert (await checks.verify(tokens[0])).subject == "user-0"
    assert issuer.fetches == before + 2


async def test_a_token_that_was_good_is_refused_once_it_ends(issuer: Issuer) -> None:
    checks = verifier_for(issuer)
    await checks.verify(issuer.token("bob"))  # this fetches the issuer's keys
    ends = int(time.time()) + 4
    token = issuer.token("ada", exp=ends - 30)
    assert (await checks.verify(token)).subject == "ada"
    assert (await checks.verify(token)).subject == "ada"
    await asyncio.sleep(ends - time.time() + 0.01)
    with pytest.raises(NotSignedIn, match="expired"):
        await checks.verify(token)


async def test_a_token_that_was_good_is_refused_once_its_key_is_withdrawn(issuer: Issuer) -> None:
    checks = verifier_for(issuer)
    ada = issuer.token("ada")
    assert (await checks.verify(ada)).subject == "ada"
    issuer.withdraw()
    assert (await checks.verify(issuer.token("bob"))).subject == "bob", (
        "with a new key, and new keys"
    )
    with pytest.raises(NotSignedIn, match="not publish"):
        await checks.verify(ada)


async def test_keys_that_strangers_think_up_are_not_looked_for_one_by_one(issuer: Issuer) -> None:
    checks, before = verifier_for(issuer, apart=0.5), issuer.fetches
    mine = Ed25519PrivateKey.generate()

    async def knock(number: int) -> None:
        forged = jwt.encode(issuer.claims("ada"), mine, "EdDSA", headers={"kid": f"{number}"})
        with pytest.raises(NotSignedIn, match="not publish"):
            await checks.verify(forged)

    await asyncio.gather(*(knock(number) for number in range(50)))
    assert issuer.fetches <= before + 2


async def test_a_key_that_is_new_is_waited_for(issuer: Issuer) -> None:
    checks = verifier_for(issuer, apart=0.5)
    await checks.verify(issuer.token("ada"))
    issuer.rotate()
    assert (await checks.verify(issuer.token("ada"))).subject == "ada"


async def test_an_issuer_that_is_down_is_no_fault_of_the_user(issuer: Issuer) -> None:
    checks = verifier_for(issuer)
    issuer.reachable = False
    try:
        with pytest.raises(SignInUnavailable):
            await checks.verify(issuer.token("ada"))
        issuer.reachable = True
        known = issuer.token("ada")
        assert await checks.verify(known)
        issuer.reachable = False
        issuer.rotate()
        assert await checks.verify(known), "what was fetched before still holds"
        with pytest.raises(SignInUnavailable):
            await checks.verify(issuer.token("ada"))
    finally:
        issuer.reachable = True
    gone = verifier_for(issuer, url="http://127.0.0.1:9/jwks")
    with pytest.raises(SignInUnavailable):
        await gone.verify(issuer.token("ada"))


def test_an_issuer_that_is_down_is_503_and_never_401(issuer: Issuer, tmp_path: Path) -> None:
    settings = local(tmp_path, **issuer.settings() | {"auth_jwks_url": "http://127.0.0.1:9/jwks"})
    with TestClient(create_app(settings)) as client:
        response = client.get(f"{API}/corpora", headers=auth_header(issuer.token("ada")))
    assert_problem(response, 503, "cannot be fetched")
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("missing", ["AUTH_JWKS_URL", "AUTH_ISSUER", "AUTH_AUDIENCE"])
async def test_sign_in_that_lacks_a_setting_does_not_start(
    missing: str, settings: Settings, issuer: Issuer
) -> None:
    given = issuer.settings() | {missing.lower(): None}
    with pytest.raises(InvalidInput, match=missing):
        async with open_services(settings.model_copy(update=given)):
            pass


@pytest.mark.parametrize("name", ["HS256", "none", "EdDSA,HS512", ""])
def test_a_shared_secret_cannot_be_configured(name: str) -> None:
    with pytest.raises(ValueError, match="choose from"):
        Settings(auth_algorithms=name)


# Roles and keys


def test_what_a_role_may_not_do_is_refused(door: Client, issuer: Issuer) -> None:
    services: Services = door.app.state.services
    token = issuer.token("grace")
    new = {"json": {"name": f"corpus-{uuid4().hex}"}}
    assert_problem(call(door, "POST", "/corpora", token, **new), 403, "ingest")
    assert_problem(call(door, "DELETE", "/corpora/default", token), 403, "ingest")
    door.blocking_portal.call(services.people.set_role, "grace", "editor")
    assert call(door, "POST", "/corpora", token, **new).status_code == 201
    path = f"/corpora/{new['json']['name']}"
    closed = {"json": {"readers": ["user:grace"]}}
    assert_problem(call(door, "PUT", f"{path}/readers", token, **closed), 403, "admin")
    door.blocking_portal.call(services.people.set_role, "grace", "admin")
    assert call(door, "PUT", f"{path}/readers", token, **closed).json()["access"] == "listed"
    assert call(door, "DELETE", path, token).status_code == 204


def test_a_key_opens_what_it_was_made_for(door: Client) -> None:
    asks, ingests = key(door, "ask"), key(door, "ingest")
    assert call(door, "GET", f"/search?q={FUEL}", asks).json()["passages"]
    assert_problem(call(door, "POST", "/corpora", asks, json={"name": "x"}), 403)
    assert_problem(call(door, "GET", f"/search?q={FUEL}", ingests), 403, "ask")
    assert_problem(call(door, "POST", "/conversations", ingests), 403, "ask")
    assert call(door, "POST", "/corpora", ingests, json={"name": "by-key"}).status_code == 201
    assert call(door, "DELETE", "/corpora/by-key", ingests).status_code == 204


def test_a_key_is_kept_as_a_hash_noted_and_revoked(door: Client) -> None:
    services: Services = door.app.state.services
    credential = key(door, "ask")

    def kept() -> Any:
        found = door.blocking_portal.call(services.people.keys)
        return next(each for each, _ in found if credential.startswith(each.prefix))

    assert credential not in repr(kept())
    assert kept().used_at is None
    assert call(door, "GET", "/corpora", credential).status_code == 200
    assert kept().used_at is not None
    door.blocking_portal.call(services.people.revoke_key, credential)
    assert_problem(call(door, "GET", "/corpora", credential), 401, "revoked")


def test_a_key_ends_with_its_time(door: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = key(door, "ask", days=1)
    assert call(door, "GET", "/corpora", credential).status_code == 200
    later = datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr("storage.sql.tables.users.now", lambda: later)
    assert_problem(call(door, "GET", "/corpora", credential), 401, "revoked or expired")


# Limits and browsers


def test_more_requests_than_allowed_are_told_to_wait(issuer: Issuer, tmp_path: Path) -> None:
    settings = local(tmp_path, **issuer.settings(), rate_limit=3)
    with TestClient(create_app(settings)) as client:
        ada, eve = auth_header(issuer.token("ada")), auth_header(issuer.token("eve"))
        told = [client.get(f"{API}/corpora", headers=ada) for _ in range(4)]
        assert [response.status_code for response in told] == [200, 200, 200, 429]
        assert told[0].headers["ratelimit-limit"] == "3"
        assert_problem(told[-1], 429)
        assert 0 < int(told[-1].headers["retry-after"]) <= 60
        assert client.get(f"{API}/corpora", headers=eve).status_code == 200
        assert client.get("/health/live").status_code == 200


def test_only_the_sites_that_are_listed_may_call_from_a_browser(door: Client) -> None:
    def preflight(origin: str) -> httpx.Response:
        asking = {
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        return door.options(f"{API}/conversations", headers=asking)

    allowed = preflight("https://docs.example")
    assert allowed.headers["access-control-allow-origin"] == "https://docs.example"
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in allowed.headers
    assert "access-control-allow-origin" not in preflight("https://evil.example").headers

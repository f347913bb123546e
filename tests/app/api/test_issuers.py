"""Tests of issuers: each one's tokens are accepted with the settings that the handbook lists for it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

import app
from app.api import create_app
from app.wiring import Services, open_services
from storage.domain import RIGHTS, Principal
from storage.errors import InvalidInput
from tests.app.api.calls import API, Client, assert_problem
from tests.app.api.conftest import local
from tests.doubles.issuer import Issuer
from tests.doubles.issuer_shapes import SHAPES, TokenShape

PAGE = Path(app.__file__).parent / "handbook" / "issuers.md"
ROLES = {"auth_admin_roles": "ibid-admin", "auth_editor_roles": "ibid-editor"}
OTHER_NAMES = {"Auth0, RFC 9068": "Auth0"}


def tables() -> dict[str, dict[str, str]]:
    """Return the settings of each issuer in the handbook's tables; use the first value of a cell."""
    found: dict[str, dict[str, str]] = {}
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        head, _, *rows = (
            [cell.strip() for cell in row.split("|")[1:-1]] for row in table.split("\n")[:-1]
        )
        for name, *cells in rows:
            told = zip(head[1:], cells, strict=True)
            values = {key.strip("`").lower(): re.match("`(.+?)`", cell) for key, cell in told}
            found.setdefault(name, {}).update(
                {key: cell[1] for key, cell in values.items() if cell}
            )
    return found


def settings_of(name: str, issuer: Issuer) -> dict[str, Any]:
    """Return the handbook's settings, with the issuer's host replaced by the test issuer's."""
    named = OTHER_NAMES.get(name, name)
    family = re.split(r",| without", named)[0]
    claims = {key: value for key, value in tables()[family].items() if key.endswith("_claim")}
    told = tables()[named] | claims
    hosts = {re.match("https://[^/]+", told[key])[0] for key in ("auth_jwks_url", "auth_issuer")}  # type: ignore[index]
    for host in hosts:
        told = {key: value.replace(host, issuer.url) for key, value in told.items()}
    return {"auth": "jwt", **told}


@contextmanager
def serving(folder: Path, settings: dict[str, Any]) -> Iterator[Client]:
    with TestClient(create_app(local(folder, **settings))) as client:
        yield client


def call(client: Client, token: str) -> httpx.Response:
    return client.get(f"{API}/corpora", headers={"authorization": f"Bearer {token}"})


def principal(client: Client, token: str) -> Principal:
    services: Services = client.app.state.services
    return client.blocking_portal.call(services.people.authenticate, token)


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Iterator[tuple[str, TokenShape, Issuer]]:
    name: str = request.param
    issuer = SHAPES[name].issuer()
    yield name, SHAPES[name], issuer
    issuer.close()


def test_the_handbook_names_every_issuer() -> None:
    assert {OTHER_NAMES.get(name, name) for name in SHAPES} <= tables().keys()


def test_a_token_of_each_shape_is_taken(
    shape: tuple[str, TokenShape, Issuer], tmp_path: Path
) -> None:
    name, made, issuer = shape
    told = settings_of(name, issuer)
    gives_roles = "auth_roles_claim" in told
    with serving(tmp_path, told | (ROLES if gives_roles else {})) as client:
        token = made.token(issuer)
        assert call(client, token).status_code == 200
        who = principal(client, token)
        assert who.name == made.claims(issuer.url)["sub"]
        assert who.rights == RIGHTS["editor" if gives_roles else "reader"]
        assert ("staff" in who.groups) == gives_roles
        issuer.rotate()
        assert call(client, made.token(issuer)).status_code == 200
        for changes, reason in [
            ({"iss": "https://evil.example"}, "`iss` is different"),
            ({"iss": None}, "`iss` is missing"),
            ({"exp": 1}, "has expired: its `exp`"),
            ({"exp": None}, "`exp` is missing"),
            ({"sub": None}, "`sub` is missing"),
        ]:
            assert_problem(call(client, made.token(issuer, **changes)), 401, reason)
        if audience := told.get("auth_audience"):
            for wrong in ("other", ["other"], None, {audience: 1}, [[audience]]):
                assert_problem(call(client, made.token(issuer, aud=wrong)), 401, "`aud` ")
        else:
            party = next(each for each in ("azp", "client_id") if each in made.claims(issuer.url))
            refused = call(client, made.token(issuer, **{party: "other"}))
            assert_problem(refused, 401, f"`{party}` is different; it must be '")
            assert_problem(
                call(client, made.token(issuer, **{party: None})), 401, "neither `azp` nor"
            )


def test_when_audience_and_parties_are_set_both_must_hold(tmp_path: Path) -> None:
    made = SHAPES["Entra, version 1"]
    issuer = made.issuer()
    told = settings_of("Entra, version 1", issuer) | ROLES
    try:
        with serving(tmp_path, told | {"auth_authorized_parties": "other, client-id"}) as client:
            assert call(client, made.token(issuer)).status_code == 200
            assert_problem(call(client, made.token(issuer, appid="mine")), 401, "`appid`")
            assert_problem(call(client, made.token(issuer, azp="mine")), 401, "`azp`")
            assert_problem(call(client, made.token(issuer, aud="mine")), 401, "`aud`")
    finally:
        issuer.close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"auth_audience": None}, "AUTH_AUDIENCE or, .* AUTH_AUTHORIZED_PARTIES; neither is set"),
        ({"auth_audience": None, "auth_authorized_parties": " , "}, "neither is set"),
        ({"auth_roles_claim": "roles"}, "AUTH_ROLES_CLAIM needs AUTH_ADMIN_ROLES"),
        ({"auth_admin_roles": "boss"}, "AUTH_ADMIN_ROLES needs AUTH_ROLES_CLAIM"),
        ({"auth_editor_roles": "boss"}, "AUTH_EDITOR_ROLES needs AUTH_ROLES_CLAIM"),
    ],
)
async def test_settings_that_lack_one_another_are_refused_at_start(
    given: dict[str, Any], told: str, tmp_path: Path, issuer: Issuer
) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        async with open_services(local(tmp_path, **issuer.settings() | given)):
            pass
    assert "\n" not in str(refused.value)


def test_what_a_refusal_expects_is_told_in_ascii(tmp_path: Path, issuer: Issuer) -> None:
    told = issuer.settings() | {"auth_audience": 'a"b\\c\u00e9'}
    with serving(tmp_path, told) as client:
        refused = call(client, issuer.token("ada"))
        assert_problem(refused, 401, "\u00e9")
        assert refused.headers["www-authenticate"].endswith(
            """error_description="The token's `aud` has other values; it must contain 'a'b'c''.\""""
        )
        assert call(client, issuer.token("ada", aud=told["auth_audience"])).status_code == 200

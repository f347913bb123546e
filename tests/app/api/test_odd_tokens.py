"""Tests of malformed tokens: a token with any JSON is accepted, or refused with status 401."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import TestClient

from app.api import create_app
from app.users.service import UserService
from app.wiring import Services
from tests.app.api.calls import API, Client
from tests.app.api.conftest import local
from tests.app.users.verifying import verifier_for
from tests.doubles.issuer import AUDIENCE, Issuer

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
CLAIMS = (
    "iss",
    "aud",
    "azp",
    "client_id",
    "sub",
    "exp",
    "nbf",
    "iat",
    "sid",
    "jti",
    "groups",
    "realm",
)
HEADERS = ("alg", "kid", "typ", "cty", "crit", "b64", "jwk", "jku", "x5u", "enc", "zip")


@pytest.fixture(scope="module")
def door(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The API with sign-in; groups and roles are in a nested claim, and keys are refetched without delay."""
    settings = local(
        tmp_path_factory.mktemp("odd"),
        **issuer.settings(),
        rate_limit=1_000_000,
        sign_in_failures=1_000_000,
    )
    with TestClient(create_app(settings)) as client:
        services: Services = client.app.state.services
        checks = verifier_for(
            issuer,
            groups_claim="realm.groups",
            roles_claim="realm",
            editor_roles=frozenset({"editor"}),
        )
        people = UserService(services.database, checks)
        client.app.state.services = replace(services, people=people)
        yield client


def part(value: object) -> str:
    return jwt.utils.base64url_encode(json.dumps(value).encode()).decode()


def odd_changes(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    """Generate changes to the usual fields and to fields with other names."""
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=8), ANYTHING, max_size=4)


def request_status(door: Client, token: str) -> int:
    response = door.get(f"{API}/corpora", headers={"authorization": f"Bearer {token}"})
    assert response.status_code in (200, 401), response.text
    assert "\n" not in response.headers.get("www-authenticate", "")
    return response.status_code


@given(changed=odd_changes(CLAIMS))
def test_claims_of_any_kind_are_no_fault_of_ours(
    door: Client, issuer: Issuer, changed: dict[str, Any]
) -> None:
    signed = f"{part({'alg': 'EdDSA', 'kid': issuer.kid})}.{part(issuer.claims('ada') | changed)}"
    signature = jwt.utils.base64url_encode(issuer.sign(signed.encode())).decode()
    told = request_status(door, f"{signed}.{signature}")
    if not changed.keys() & {"iss", "aud", "sub", "exp", "nbf", "iat"}:
        assert told == 200
    if told == 200:
        assert changed.get("iss", issuer.url) == issuer.url
        assert AUDIENCE in changed.get("aud", AUDIENCE)


@given(changed=odd_changes(HEADERS))
def test_a_header_of_any_kind_is_no_fault_of_ours(
    door: Client, issuer: Issuer, changed: dict[str, Any]
) -> None:
    signed = f"{part({'alg': 'EdDSA', 'kid': issuer.kid} | changed)}.{part(issuer.claims('ada'))}"
    signature = jwt.utils.base64url_encode(issuer.sign(signed.encode())).decode()
    if request_status(door, f"{signed}.{signature}") == 200:
        assert changed.get("alg", "EdDSA") == "EdDSA"
        assert changed.get("kid", issuer.kid) == issuer.kid


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=70))
def test_parts_of_any_bytes_are_refused(
    door: Client, header: bytes, claims: bytes, signature: bytes
) -> None:
    parts = (jwt.utils.base64url_encode(each).decode() for each in (header, claims, signature))
    assert request_status(door, ".".join(parts)) == 401


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_a_text_of_any_kind_is_refused(door: Client, text: str) -> None:
    assert request_status(door, text) == 401

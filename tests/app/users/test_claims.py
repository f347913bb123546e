"""Where a token names groups and roles: dots, URLs, lists and texts; and whatever else JSON can say."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.users.claims import ClaimPolicy, find_claim, names_in
from storage.errors import NotSignedIn

NAMES = st.sampled_from(["a", "b", "a.b", "https://e.com/a", "roles", ""])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("path", "said", "found"),
    [
        ("groups", {"groups": ["a"]}, ["a"]),
        ("realm_access.roles", {"realm_access": {"roles": ["a"]}}, ["a"]),
        ("resource_access.docs.site.roles", {"resource_access": {"docs.site": {"roles": 1}}}, 1),
        ("https://example.com/roles", {"https://example.com/roles": "a"}, "a"),
        ("https://example.com/app.roles", {"https://example.com/app": {"roles": "a"}}, "a"),
        ("a.b", {"a.b": 1, "a": {"b": 2}}, 1),
        ("a.b.c", {"a.b": {}, "a": {"b.c": 3}}, 3),
        ("a.b", {"a": "text"}, None),
        ("a.b", {"a": ["b"]}, None),
        ("a..b", {"a": {"": {"b": 1}}}, 1),
        ("a", {}, None),
    ],
)
def test_a_path_leads_to_a_claim(path: str, said: dict[str, Any], found: object) -> None:
    assert find_claim(said, path) == found


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["a b", "c"], {"a b", "c"}),
        ("a b", {"a", "b"}),
        ("", set()),
        ("\ud800 a\u0000 b", {"b"}),
        (["", 1, None, ["a"], {"a": 1}, "x" * 256], set()),
        ({"a": 1}, set()),
        (7, set()),
        (None, set()),
    ],
)
def test_names_are_those_of_a_list_or_the_words_of_a_text(value: object, names: set[str]) -> None:
    assert names_in(value) == names


@given(st.dictionaries(NAMES, ANYTHING, max_size=4), st.lists(NAMES, min_size=1).map(".".join))
def test_no_claim_is_too_odd_for_a_path(said: dict[str, Any], path: str) -> None:
    assert all(isinstance(name, str) for name in names_in(find_claim(said, path)))


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "iss",
                "aud",
                "azp",
                "client_id",
                "sub",
                "exp",
                "nbf",
                "iat",
                "sid",
                "groups",
                "roles",
            ),
            ANYTHING | st.sampled_from(["me", ["me"], 9_999_999_999]),
        ),
    )
)
def test_claims_of_any_kind_are_read_or_refused(said: dict[str, Any]) -> None:
    policy = ClaimPolicy(
        issuer="me",
        audience="me",
        authorized_parties=frozenset({"me"}),
        roles_claim="roles",
        admin_roles=frozenset({"me"}),
    )
    with suppress(NotSignedIn):
        assert policy.read(said).subject == said["sub"]


@pytest.mark.parametrize(
    ("given_roles", "role"),
    [(["boss", "writer"], "admin"), ("other writer", "editor"), (["x"], "reader"), (1, "reader")],
)
def test_the_greatest_role_that_a_token_names_counts(given_roles: object, role: str) -> None:
    told = {"iss": "me", "sub": "ada", "exp": 9_999_999_999, "roles": given_roles}
    roles = {"admin_roles": frozenset({"boss"}), "editor_roles": frozenset({"writer"})}
    assert ClaimPolicy(issuer="me", roles_claim="roles", **roles).read(told).role == role
    assert ClaimPolicy(issuer="me", **roles).read(told).role == "reader", "no claim is named"

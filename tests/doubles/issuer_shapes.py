"""The access tokens of known issuers: their header, their claims, and how their keys are published."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.issuer import Issuer

USER = "5f2c7d1e-93b0-4c4b-8a61-0d6f3a1b2c4d"
TENANT = "tenant-id"
POOL = "/eu-west-1_Example"
REALM = "/realms/docs"
ENCRYPTING = {"kid": "enc", "kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": "AQAB", "e": "AQAB"}

ClaimValues = dict[str, Any]


@dataclass(frozen=True)
class TokenShape:
    """The form of one kind of token from one issuer."""

    jwks_path: str
    claims: Callable[[str], ClaimValues]
    """Returns the claims without dates for an issuer's origin."""
    algorithm: str = "RS256"
    header: ClaimValues = field(default_factory=dict[str, Any])
    key_fields: tuple[str, ...] = ("kid", "alg", "use")
    others: tuple[ClaimValues, ...] = ()
    """JWKs that the JWKS lists in addition to the signing keys."""
    lifetime: int = 3600
    has_nbf: bool = False

    def issuer(self) -> Issuer:
        issuer = Issuer(self.algorithm, self.jwks_path, self.key_fields)
        issuer.others += self.others
        return issuer

    def token(self, issuer: Issuer, **changes: Any) -> str:
        """Return a signed token; `changes` override claims, and a claim that is None is omitted."""
        now = int(time.time())
        dates = {"iat": now, "exp": now + self.lifetime} | ({"nbf": now} if self.has_nbf else {})
        claims = self.claims(issuer.url) | dates | changes
        present = {name: value for name, value in claims.items() if value is not None}
        return issuer.sign_token(present, {"kid": issuer.kid} | self.header)


def _better_auth(origin: str) -> ClaimValues:
    return {"iss": origin, "aud": "ibid", "sub": USER, "sid": "session", "groups": ["staff"]} | {
        "role": "ibid-editor"
    }


def _neon_auth(origin: str) -> ClaimValues:
    return {"iss": origin, "aud": origin, "sub": USER, "email": "ada@example.com"}


def _auth0(origin: str) -> ClaimValues:
    return {
        "iss": f"{origin}/",
        "sub": "auth0|65f0",
        "aud": ["https://ibid.example.com", f"{origin}/userinfo"],
        "azp": "client-id",
        "scope": "openid profile",
        "https://example.com/groups": ["staff"],
        "https://example.com/roles": ["ibid-editor"],
    }


def _auth0_rfc_9068(origin: str) -> ClaimValues:
    return _auth0(origin) | {"azp": None, "client_id": "client-id", "jti": "x7"}


def _keycloak(origin: str) -> ClaimValues:
    return {
        "iss": f"{origin}{REALM}",
        "aud": ["ibid", "account"],
        "sub": USER,
        "typ": "Bearer",
        "azp": "docs-site",
        "sid": "session",
        "jti": "onrtac:1",
        "allowed-origins": ["https://docs.example.com"],
        "realm_access": {"roles": ["offline_access", "ibid-editor"]},
        "resource_access": {"account": {"roles": ["view-profile"]}},
        "scope": "profile email",
        "groups": ["staff"],
    }


def _keycloak_by_default(origin: str) -> ClaimValues:
    return _keycloak(origin) | {"aud": "account"}


def _supabase(origin: str) -> ClaimValues:
    return {
        "iss": f"{origin}/auth/v1",
        "aud": "authenticated",
        "sub": USER,
        "role": "authenticated",
        "aal": "aal1",
        "session_id": USER,
        "is_anonymous": False,
        "app_metadata": {"provider": "email", "role": "ibid-editor", "groups": "staff beta"},
        "user_metadata": {"role": "ibid-admin"},
        "amr": [{"method": "password", "timestamp": 1}],
    }


def _clerk(origin: str) -> ClaimValues:
    return {
        "iss": origin,
        "azp": "https://docs.example.com",
        "sub": "user_2NN",
        "sid": "sess_2NN",
        "sts": "active",
        "v": 2,
        "fva": [7, -1],
        "o": {"id": "staff", "slg": "mine", "rol": "ibid-admin"},
        "metadata": {"role": "ibid-editor"},
    }


def _cognito(origin: str) -> ClaimValues:
    return {
        "iss": f"{origin}{POOL}",
        "client_id": "client-id",
        "sub": USER,
        "token_use": "access",
        "cognito:groups": ["staff", "ibid-editor"],
        "scope": "openid",
        "username": "ada",
    }


def _cognito_id(origin: str) -> ClaimValues:
    return _cognito(origin) | {"client_id": None, "aud": "client-id", "token_use": "id"}


def _entra(origin: str) -> ClaimValues:
    return {
        "iss": f"{origin}/{TENANT}/v2.0",
        "aud": "api-client-id",
        "azp": "client-id",
        "azpacr": "0",
        "sub": "3OBtLXUC2ZrN",
        "oid": USER,
        "tid": TENANT,
        "ver": "2.0",
        "groups": ["staff"],
        "roles": ["ibid-editor"],
    }


def _entra_1(origin: str) -> ClaimValues:
    """Return the claims of version 1. Its real issuer, `sts.windows.net`, is not the host of the keys."""
    return _entra(origin) | {
        "iss": f"{origin}/{TENANT}/",
        "aud": "api://api-client-id",
        "azp": None,
        "appid": "client-id",
        "ver": "1.0",
    }


_KEYCLOAK = TokenShape(
    f"{REALM}/protocol/openid-connect/certs", _keycloak, others=(ENCRYPTING,), lifetime=300
)
_ENTRA_KEYS = ("kid", "use")
SHAPES = {
    "Better Auth": TokenShape(
        "/api/auth/jwks", _better_auth, "EdDSA", {"typ": None}, key_fields=("kid", "alg")
    ),
    "Neon Auth": TokenShape(
        "/neondb/auth/.well-known/jwks.json", _neon_auth, "EdDSA", key_fields=("kid", "alg")
    ),
    "Auth0": TokenShape("/.well-known/jwks.json", _auth0),
    "Auth0, RFC 9068": TokenShape(
        "/.well-known/jwks.json", _auth0_rfc_9068, "PS256", {"typ": "at+jwt"}
    ),
    "Keycloak": _KEYCLOAK,
    "Keycloak without an audience mapper": TokenShape(
        _KEYCLOAK.jwks_path, _keycloak_by_default, others=(ENCRYPTING,)
    ),
    "Supabase": TokenShape("/auth/v1/.well-known/jwks.json", _supabase, "ES256"),
    "Clerk": TokenShape(
        "/.well-known/jwks.json", _clerk, header={"cat": "cl_B7"}, lifetime=60, has_nbf=True
    ),
    "Cognito, access tokens": TokenShape(
        f"{POOL}/.well-known/jwks.json", _cognito, header={"typ": None}
    ),
    "Cognito, ID tokens": TokenShape(
        f"{POOL}/.well-known/jwks.json", _cognito_id, header={"typ": None}
    ),
    "Entra, version 2": TokenShape(
        f"/{TENANT}/discovery/v2.0/keys", _entra, key_fields=_ENTRA_KEYS, has_nbf=True
    ),
    "Entra, version 1": TokenShape(
        f"/{TENANT}/discovery/keys",
        _entra_1,
        header={"x5t": "nOo3"},
        key_fields=_ENTRA_KEYS,
        has_nbf=True,
    ),
}
"""Maps the names in the handbook to the forms of tokens."""

"""Verifies tokens signed by an issuer that publishes its keys, such as Better Auth, Auth0 or Keycloak."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, cast

import jwt

from app.users.claims import LEEWAY, ClaimPolicy, Claims
from app.users.issuer_keys import JWT_ERRORS, IssuerKeys, SigningKey, SigningKeys
from storage.errors import NotSignedIn
from storage.json_parsing import parse_json

_MAX_TOKEN_LENGTH = 16_384
"""The most characters of a token; one of Entra with 200 groups has more than half as many."""
_DOTS_OF_JWS, _DOTS_OF_JWE = 2, 4
_MAX_VERIFIED = 10_000
_SHARED_SECRETS = ("HS256", "HS384", "HS512")
_JWS = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    """A cached result of a successful check: a new check would take a quarter of the time of a search."""

    claims: Claims
    keys: SigningKeys


class _KeyMayBeNew(Exception):
    """No known key fits the token, so the issuer's keys must be fetched again."""


class TokenVerifier:
    """A verifier of tokens that checks their signature with the issuer's public keys, and their claims."""

    def __init__(self, keys: IssuerKeys, policy: ClaimPolicy) -> None:
        self._keys, self._policy = keys, policy
        self._verified: dict[bytes, _VerifiedToken] = {}

    async def verify(self, token: str) -> Claims:
        """Return the claims of a valid token.

        Raises `NotSignedIn`, or `SignInUnavailable` if the issuer's keys are not available.
        """
        if len(token) > _MAX_TOKEN_LENGTH:
            raise NotSignedIn(f"The token has more than {_MAX_TOKEN_LENGTH:,} characters.")
        digest = hashlib.sha256(token.encode()).digest()
        proof = self._verified.get(digest)
        if proof is None or not await self._is_valid(proof):
            proof = await self._check_token(token)
            if len(self._verified) >= _MAX_VERIFIED:
                self._verified.clear()
            self._verified[digest] = proof
        return proof.claims

    async def _is_valid(self, proof: _VerifiedToken) -> bool:
        """Return whether a cached result is valid: until the token expires or the keys are refreshed."""
        keys = await self._keys.current()
        return keys is proof.keys and time.time() < proof.claims.expires + LEEWAY

    async def _check_token(self, token: str) -> _VerifiedToken:
        header = _parse_header(token)
        self._check_algorithm(header.get("alg"))
        requested_at = time.monotonic()
        keys = await self._keys.current()
        try:
            claims = self._check_signature(token, header, keys)
        except _KeyMayBeNew:
            keys = await self._keys.newer_than(requested_at)
            try:
                claims = self._check_signature(token, header, keys)
            except _KeyMayBeNew as error:
                raise NotSignedIn(str(error)) from error
        return _VerifiedToken(self._policy.read(claims), keys)

    def _check_algorithm(self, algorithm: object) -> None:
        if algorithm in self._keys.algorithms:
            return
        if algorithm in _SHARED_SECRETS:
            raise NotSignedIn(
                f"The token's `alg` is {algorithm}, a shared secret, which is not accepted: configure "
                "the issuer to sign with a key pair, such as ES256 or RS256, whose public key it publishes."
            )
        expected = " or ".join(self._keys.algorithms)
        raise NotSignedIn(f"The token's `alg` is not accepted; it must be {expected}.")

    def _check_signature(
        self, token: str, header: dict[str, Any], keys: SigningKeys
    ) -> dict[str, Any]:
        """Verify the signature and return the token's claims; raise `NotSignedIn` or `_KeyMayBeNew`."""
        key = self._select_key(token, header, keys)
        try:
            payload = _JWS.decode_complete(token, key.key, algorithms=[header["alg"]])["payload"]
        except jwt.InvalidSignatureError:
            message = "The token's signature is invalid for the issuer's key."
            if "kid" not in header:  # an issuer without key ids may have replaced its only key
                raise _KeyMayBeNew(message) from None
            raise NotSignedIn(message) from None
        except JWT_ERRORS as error:
            raise NotSignedIn("The token is malformed: its signature cannot be read.") from error
        return _parse_claims(payload)

    def _select_key(self, token: str, header: dict[str, Any], keys: SigningKeys) -> SigningKey:
        """Select the key for a token; raise `NotSignedIn`, or `_KeyMayBeNew` if a newer key may fit."""
        kid, algorithm = header.get("kid"), header["alg"]
        named = [key for key in keys if kid is None or key.kid == kid]
        fitting = [key for key in named if algorithm in key.algorithms]
        if not named:
            raise _KeyMayBeNew(self._unknown_key_message(token))
        if kid is not None and not fitting:
            expected = " or ".join(sorted(named[0].algorithms))
            raise NotSignedIn(
                f"The token's `alg` does not match the key of its `kid`; it must be {expected}."
            )
        if not fitting:
            others = " or ".join(sorted({name for key in keys for name in key.algorithms}))
            raise _KeyMayBeNew(
                "The token's `kid` is missing, and its `alg` matches none of the issuer's keys; "
                f"it must be {others}."
            )
        if kid is None and len(fitting) > 1:
            raise NotSignedIn(
                f"The token's `kid` is missing: the issuer publishes {len(fitting)} keys for "
                f"{algorithm}, so the header must name one."
            )
        return fitting[0]

    def _unknown_key_message(self, token: str) -> str:
        """Return the error message, which mentions a wrong `iss`, the usual reason.

        The token is read without verification here.
        """
        message = "The token's `kid` names a key that the issuer does not publish"
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except JWT_ERRORS:
            return f"{message}."
        wrong = claims.get("iss") != self._policy.issuer
        return (
            f"{message}, and its `iss` is not '{self._policy.issuer}'." if wrong else f"{message}."
        )


def _parse_header(token: str) -> dict[str, Any]:
    """Parse the header of a token; raise `NotSignedIn` if it is not a signed token."""
    dots = token.count(".")
    if dots == _DOTS_OF_JWE:
        raise NotSignedIn(
            "The token is encrypted (JWE). Ask the issuer for a signed token (JWS), such as one for "
            "your own API."
        )
    if dots != _DOTS_OF_JWS:
        raise NotSignedIn(
            "The token is not a JWT, which has three parts separated by dots. Ask the issuer for "
            "one, such as one for your own API."
        )
    try:
        return jwt.get_unverified_header(token)
    except JWT_ERRORS as error:
        raise NotSignedIn("The token is malformed: its header cannot be read.") from error


def _parse_claims(payload: bytes) -> dict[str, Any]:
    try:
        claims = parse_json(payload)
    except ValueError as error:
        raise NotSignedIn("The token is malformed: its claims are not JSON.") from error
    if not isinstance(claims, dict):
        raise NotSignedIn("The token is malformed: its claims are not a JSON object.")
    return cast("dict[str, Any]", claims)

"""Tokens that an issuer has signed: Better Auth, Neon Auth, or any that publishes its keys."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, cast

import jwt
from aiohttp import ClientError, ClientTimeout

from storage.addresses import without_secrets
from storage.connections import open_pool, read_limited
from storage.domain import Value
from storage.errors import IbidError, NotSignedIn, SignInUnavailable
from storage.parsing import parse_json

_log = logging.getLogger("ibid.people")

_LONGEST = 8192
_LEEWAY = 30
_FRESH, _USABLE, _AGAIN, _APART = 300.0, 3600.0, 30.0, 1.0
"""Seconds: keys are fetched anew after the first and not trusted after the second; between two
attempts to renew them lies the third, and the last whatever key ids strangers think up."""
_PATIENCE = ClientTimeout(total=3.0)
_MOST_PROOFS = 10_000
_MALFORMED = "The token is malformed."
_REQUIRED = ["exp", "iat", "sub", "aud", "iss"]
_DATES = ("exp", "iat", "nbf")
_LAST_DATE = 253_402_300_799
"""The end of the year 9999, in seconds."""
_LONGEST_NAME = 255
_LARGEST_JWKS = 1_000_000
"""Bytes."""
_UNREADABLE = (
    jwt.PyJWTError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""Besides its own errors, PyJWT lets through what its parsers raise for odd JSON."""


class Claims(Value):
    """What a good token says of who bears it."""

    subject: str
    groups: frozenset[str] = frozenset()
    session: str | None = None
    """The id of the session it was issued in, where the issuer tells it (`sid`)."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """That a token's signature and claims were good: to check both anew takes a quarter of a search."""

    claims: Claims
    key: jwt.PyJWK
    expires: float
    """By the clock, in seconds."""


class TokenVerifier:
    """Checks tokens by the issuer's public keys, which it fetches when it needs them."""

    def __init__(
        self,
        jwks_url: str,
        issuer: str,
        audience: str,
        algorithms: Sequence[str],
        *,
        apart: float = _APART,
    ) -> None:
        self._url, self._issuer, self._audience = jwks_url, issuer, audience
        self._algorithms = list(algorithms)
        self._apart = apart
        self._keys: dict[str, jwt.PyJWK] = {}
        self._proofs: dict[bytes, _Proof] = {}
        self._fetched = self._tried = float("-inf")
        self._reachable = False
        self._lock = asyncio.Lock()

    async def verify(self, token: str) -> Claims:
        """Raises `NotSignedIn`; `SignInUnavailable` when that cannot be told just now."""
        if len(token) > _LONGEST:
            raise NotSignedIn("The token is too long to be one.")
        digest = hashlib.sha256(token.encode()).digest()
        proof = self._proofs.get(digest)
        if proof is None or not await self._stands(proof):
            proof = await self._prove(token)
            if len(self._proofs) >= _MOST_PROOFS:
                self._proofs.clear()
            self._proofs[digest] = proof
        return proof.claims

    async def _stands(self, proof: _Proof) -> bool:
        """Until the token ends, or its issuer's keys are fetched anew."""
        key = await self._key(str(proof.key.key_id))
        return key is proof.key and time.time() < proof.expires + _LEEWAY

    async def _prove(self, token: str) -> _Proof:
        try:
            header = jwt.get_unverified_header(token)
        except _UNREADABLE as error:
            raise NotSignedIn(_MALFORMED) from error
        if header.get("alg") not in self._algorithms or not isinstance(header.get("kid"), str):
            raise NotSignedIn(f"A token is signed with {' or '.join(self._algorithms)}.")
        key = await self._key(header["kid"])
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise NotSignedIn(f"The token is not good: {str(error).rstrip('.')}.") from error
        except _UNREADABLE as error:
            raise NotSignedIn(_MALFORMED) from error
        if not all(_is_date(claims[name]) for name in _DATES if name in claims):
            raise NotSignedIn("The token is not good: its dates are no numbers of seconds.")
        return _Proof(_claims(claims), key, float(claims["exp"]))

    async def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys or time.monotonic() - self._fetched > _FRESH:
            await self._fetch(kid)
        known = time.monotonic() - self._fetched <= _USABLE
        if kid in self._keys and known:
            return self._keys[kid]
        if not self._reachable:
            raise SignInUnavailable("The keys of the issuer of tokens cannot be fetched just now.")
        raise NotSignedIn("The token is signed with a key that the issuer does not publish.")

    async def _fetch(self, kid: str) -> None:
        """One at a time and not too often; what was fetched before stays when it fails.

        A key that is not known may be quite new: whoever shows it waits for the next fetch, which
        then serves all who wait, so that nobody is signed out for coming too early.
        """
        asked = time.monotonic()
        async with self._lock:
            if self._tried > asked:
                return
            since = asked - self._tried
            if kid in self._keys and since < _AGAIN:
                return
            await asyncio.sleep(max(0.0, self._apart - since))
            self._tried = time.monotonic()
            try:
                self._keys = self._usable(await self._published())
            except (ClientError, IbidError, TimeoutError, *_UNREADABLE) as error:
                self._reachable = False
                fields = {"url": without_secrets(self._url), "error": type(error).__name__}
                _log.warning("issuer_keys_not_fetched", extra=fields)
            else:
                self._fetched, self._reachable = time.monotonic(), True

    async def _published(self) -> dict[str, Any]:
        async with (
            open_pool() as http,
            http.get(
                self._url, timeout=_PATIENCE, raise_for_status=True, allow_redirects=False
            ) as answer,
        ):
            return parse_json(await read_limited(answer, _LARGEST_JWKS))

    def _usable(self, published: dict[str, Any]) -> dict[str, jwt.PyJWK]:
        """By id; a key that is of no kind we know is passed over. Raises `ValueError` without any."""
        keys: dict[str, jwt.PyJWK] = {}
        for each in published["keys"]:
            try:
                key = jwt.PyJWK(each)
            except _UNREADABLE:
                continue
            if isinstance(key.key_id, str) and key.algorithm_name in self._algorithms:
                keys[key.key_id] = key
        if not keys:
            raise ValueError("no usable key")
        return keys


def _is_date(value: object) -> bool:
    """Whether it is a number of seconds, which PyJWT also reads in texts and truth values."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _LAST_DATE


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_NAME


def _claims(claims: dict[str, Any]) -> Claims:
    """Raises `NotSignedIn` when the subject cannot be a name."""
    subject = claims["sub"]
    if not _is_name(subject):
        raise NotSignedIn("The token is not good: its subject cannot be a name.")
    given = claims.get("groups")
    groups = cast("list[object]", given) if isinstance(given, list) else []
    session = claims.get("sid")
    return Claims(
        subject=subject,
        groups=frozenset(filter(_is_name, groups)),
        session=session if _is_name(session) else None,
    )

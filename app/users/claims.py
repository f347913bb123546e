"""Checks a token's claims and reads the user, groups and role from them."""

import time
from typing import Any, TypeGuard, cast

from storage.domain import Role, Value
from storage.errors import NotSignedIn

LEEWAY = 30
"""Seconds by which the issuer's clock may differ from this machine's clock."""

_PARTY_CLAIMS = ("azp", "client_id", "appid")
"""Claims in which issuers name the application that requested the token; the first one present counts."""
_LAST_DATE = 253_402_300_799
"""The end of the year 9999, in seconds."""
_LONGEST_NAME = 255


class Claims(Value):
    """The contents of a valid token."""

    subject: str
    groups: frozenset[str] = frozenset()
    role: Role = "reader"
    """The role that the issuer grants; a role that is set in Ibid may grant more rights."""
    session: str | None = None
    """The id of the session that the token was issued in, if the issuer provides it (`sid`)."""
    expires: float
    """When the token expires, in seconds since 1970."""


class ClaimPolicy(Value):
    """The requirements for a token's claims, and the names of the claims with groups and roles."""

    issuer: str
    audience: str | None = None
    authorized_parties: frozenset[str] = frozenset()
    """Applications whose tokens are accepted; empty if any application's tokens are."""
    groups_claim: str = "groups"
    roles_claim: str | None = None
    admin_roles: frozenset[str] = frozenset()
    editor_roles: frozenset[str] = frozenset()

    def read(self, claims: dict[str, Any]) -> Claims:
        """Check and read a token's claims; raise `NotSignedIn`, which names the first wrong claim."""
        self._check_issuer(claims)
        self._check_audience(claims)
        self._check_party(claims)
        expires = _check_dates(claims)
        session = claims.get("sid")
        return Claims(
            subject=_subject(claims),
            groups=names_in(find_claim(claims, self.groups_claim)),
            role=self._role(claims),
            session=session if _is_name(session) else None,
            expires=expires,
        )

    def _check_issuer(self, claims: dict[str, Any]) -> None:
        if claims.get("iss") != self.issuer:
            problem = "`iss` is different" if claims.get("iss") else "`iss` is missing"
            raise NotSignedIn(f"The token's {problem}; it must be exactly '{self.issuer}'.")

    def _check_audience(self, claims: dict[str, Any]) -> None:
        if self.audience is None:
            return
        audiences = claims.get("aud")
        if self.audience not in (audiences if isinstance(audiences, list) else [audiences]):
            problem = "`aud` has other values" if audiences else "`aud` is missing"
            raise NotSignedIn(f"The token's {problem}; it must contain '{self.audience}'.")

    def _check_party(self, claims: dict[str, Any]) -> None:
        if not self.authorized_parties:
            return
        name = next((claim for claim in _PARTY_CLAIMS if claims.get(claim) is not None), None)
        allowed = " or ".join(f"'{party}'" for party in sorted(self.authorized_parties))
        if name is None:
            raise NotSignedIn(
                f"The token has neither `azp` nor `client_id`; one of them must be {allowed}."
            )
        party = claims[name]
        if not isinstance(party, str) or party not in self.authorized_parties:
            raise NotSignedIn(f"The token's `{name}` is different; it must be {allowed}.")

    def _role(self, claims: dict[str, Any]) -> Role:
        if self.roles_claim is None:
            return "reader"
        roles = names_in(find_claim(claims, self.roles_claim))
        if roles & self.admin_roles:
            return "admin"
        return "editor" if roles & self.editor_roles else "reader"


def find_claim(claims: dict[str, Any], path: str) -> object:
    """Return the value at a path such as `realm_access.roles`; None if there is none.

    A name may itself contain dots, as in URLs and some clients' names: the longest matching name counts.
    """
    if path in claims:
        return claims[path]
    dots = [at for at, letter in enumerate(path) if letter == "."]
    for dot in reversed(dots):
        inner = claims.get(path[:dot])
        if isinstance(inner, dict):
            found = find_claim(cast("dict[str, Any]", inner), path[dot + 1 :])
            if found is not None:
                return found
    return None


def names_in(value: object) -> frozenset[str]:
    """Return the names in a list, or the words of a text; values that cannot be names are ignored."""
    each = value.split() if isinstance(value, str) else value
    return frozenset(filter(_is_name, cast("list[object]", each) if isinstance(each, list) else []))


def _check_dates(claims: dict[str, Any]) -> float:
    """Check the token's dates and return when it expires; raise `NotSignedIn`."""
    if claims.get("exp") is None:
        raise NotSignedIn("The token's `exp` is missing. A token must expire.")
    for name in ("exp", "nbf", "iat"):
        if name in claims and not _is_date(claims[name]):
            raise NotSignedIn(f"The token's `{name}` must be a number of seconds since 1970.")
    now = time.time()
    if claims["exp"] <= now - LEEWAY:
        raise NotSignedIn("The token has expired: its `exp` is in the past.")
    for name in ("nbf", "iat"):
        if claims.get(name, 0) > now + LEEWAY:
            raise NotSignedIn(
                f"The token is not valid yet: its `{name}` is more than "
                f"{LEEWAY} seconds in the future."
            )
    return float(claims["exp"])


def _subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if subject is None:
        raise NotSignedIn("The token's `sub` is missing: it must name the user.")
    if not _is_name(subject):
        raise NotSignedIn(
            f"The token's `sub` must be a text of 1 to {_LONGEST_NAME} printable characters."
        )
    return subject


def _is_date(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _LAST_DATE


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= _LONGEST_NAME

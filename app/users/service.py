"""Authenticates credentials, and manages users and API keys."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from storage.domain import LOCAL, RIGHTS, Principal, Right, Role
from storage.errors import InvalidInput, NotSignedIn
from storage.sql.commit_cache import CommitCache
from storage.sql.database import Database, retry_on_lost_connection
from storage.sql.repositories.sources import Sources
from storage.sql.repositories.users import ApiKeys, Sessions, Users
from storage.sql.tables import ApiKey, User

if TYPE_CHECKING:
    from app.users.claims import Claims
    from app.users.issuer_tokens import TokenVerifier

_KEY_PREFIX = "ibid_"
_PREFIX_LENGTH = len(_KEY_PREFIX) + 8
_KEY_USER_PREFIX = "key:"
MAX_KEY_DAYS = 3650


class UserService:
    """A service that authenticates requests and lets the command line manage users and keys.

    `sessions` is the table in which the sign-in service keeps its sessions, if Ibid can read it.
    """

    def __init__(
        self,
        database: Database,
        verifier: "TokenVerifier | None" = None,
        sessions: str | None = None,
    ) -> None:
        self._database = database
        self._verifier = verifier
        self._sessions = sessions
        self._users = CommitCache[User | None](database)
        self._keys = CommitCache[tuple[ApiKey, User] | None](database)

    @staticmethod
    def is_key(credential: str) -> bool:
        """Return whether a credential is an API key; anything else is a token."""
        return credential.startswith(_KEY_PREFIX)

    async def authenticate(self, credential: str, *, destructive: bool = False) -> Principal:
        """Return the principal of a key or a token; raise `NotSignedIn` or `SignInUnavailable`.

        A destructive request also requires that the token's session is still open, if sessions can be read.
        """
        if self.is_key(credential):
            return await self._authenticate_key(_digest(credential))
        if self._verifier is None:
            raise NotSignedIn("This is not an API key.")
        claims = await self._verifier.verify(credential)
        if claims.subject == LOCAL.name or _is_key_user(claims.subject):
            raise NotSignedIn("The token's `sub` is a reserved name.")
        return await self._authenticate_claims(
            claims, check_session=destructive and bool(self._sessions)
        )

    async def users(self) -> list[User]:
        """Return all users, sorted by name."""
        async with self._database.read_transaction() as session:
            return await Users(session).all()

    async def set_role(self, name: str, role: Role) -> None:
        """Set the role of a user, who may not have signed in yet; raise `InvalidInput` for reserved names."""
        if name == LOCAL.name or _is_key_user(name):
            raise InvalidInput(f"A role cannot set the rights of {name!r}.")
        async with self._database.transaction() as session:
            (await Users(session).get_or_create(name)).role = role

    async def remove(self, name: str) -> None:
        """Delete a user and everything that belongs to them, in one transaction; raise `NotFound`."""
        async with self._database.transaction() as session:
            await Users(session).remove(name)
            await Sources(session).prune_texts()

    async def create_key(self, name: str, rights: Sequence[Right], days: int | None) -> str:
        """Create a key and return it; it cannot be shown again. It acts as a separate user `key:NAME`.

        With `days` None, the key does not expire. Raises `InvalidInput` if there are no rights.
        """
        if not rights:
            raise InvalidInput("A key needs at least one scope: ask, ingest or admin.")
        credential = _KEY_PREFIX + secrets.token_urlsafe(32)
        expires = datetime.now(UTC) + timedelta(days=days) if days else None
        async with self._database.transaction() as session:
            user = await Users(session).get_or_create(_KEY_USER_PREFIX + name)
            key = ApiKey(
                prefix=credential[:_PREFIX_LENGTH],
                digest=_digest(credential),
                user_id=user.id,
                rights=sorted(set(rights)),
                expires_at=expires,
            )
            await ApiKeys(session).add(key)
        return credential

    async def keys(self) -> Sequence[tuple[ApiKey, User]]:
        """Return all keys with the users that they act for, oldest first."""
        async with self._database.read_transaction() as session:
            return await ApiKeys(session).all()

    async def revoke_key(self, prefix: str) -> None:
        """Revoke a key, at once for every server that uses the same database; raise `NotFound`."""
        async with self._database.transaction() as session:
            (await ApiKeys(session).get(prefix[:_PREFIX_LENGTH])).revoke()

    async def _authenticate_key(self, digest: str) -> Principal:
        found = await self._keys.get(digest, lambda: self._load_key(digest))
        if found is None or not found[0].is_valid:
            raise NotSignedIn("The key is unknown, revoked or expired.")
        key, user = found
        if key.is_stale:
            await self._record_key_use(key.prefix)
        return Principal(name=user.name, rights=frozenset(key.rights))

    async def _authenticate_claims(self, claims: "Claims", *, check_session: bool) -> Principal:
        if check_session:
            await self._check_session(claims)
        name = claims.subject
        user = await self._users.get(name, lambda: self._load_user(name))
        if user is None:
            async with self._database.transaction() as session:
                user = await Users(session).get_or_create(name)
        rights = RIGHTS[user.role] | RIGHTS[claims.role]
        return Principal(name=name, rights=rights, groups=claims.groups)

    @retry_on_lost_connection
    async def _load_key(self, digest: str) -> tuple[ApiKey, User] | None:
        async with self._database.read_transaction() as session:
            return await ApiKeys(session).find(digest)

    @retry_on_lost_connection
    async def _record_key_use(self, prefix: str) -> None:
        async with self._database.transaction() as session:
            (await ApiKeys(session).get(prefix)).record_use()

    @retry_on_lost_connection
    async def _load_user(self, name: str) -> User | None:
        async with self._database.read_transaction() as session:
            return await Users(session).find(name)

    @retry_on_lost_connection
    async def _check_session(self, claims: "Claims") -> None:
        """Raise `NotSignedIn` if the token's session is not open."""
        async with self._database.read_transaction() as session:
            sessions = Sessions(session, self._sessions or "")
            if not (claims.session and await sessions.is_open(claims.session)):
                raise NotSignedIn("The session of this token has ended. Sign in again.")


def _is_key_user(name: str) -> bool:
    return name.startswith(_KEY_USER_PREFIX)


def _digest(credential: str) -> str:
    """Hash a key; a plain hash is enough, because a key has 256 random bits and cannot be guessed."""
    return hashlib.sha256(credential.encode()).hexdigest()

"""Queries about users and their API keys."""

from collections.abc import Sequence

from sqlalchemy import DateTime, bindparam, column
from sqlalchemy import table as table_clause
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.errors import NotFound
from storage.sql.tables import ApiKey, CorpusReader, User
from storage.sql.upsert import build_insert, column_values

_BY_NAME = select(User).where(col(User.name) == bindparam("name"))  # built once


class Users:
    """The owners of conversations."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> list[User]:
        """Return all users, sorted by name."""
        return list(await self._session.exec(select(User).order_by(col(User.name))))

    async def find(self, name: str) -> User | None:
        """Return the user with this name, or None."""
        return (await self._session.exec(_BY_NAME, params={"name": name})).first()

    async def get(self, name: str) -> User:
        """Return the user with this name; raises `NotFound`."""
        user = await self.find(name)
        if user is None:
            raise NotFound("user", name, "A user is known only after the first sign-in.")
        return user

    async def get_or_create(self, name: str) -> User:
        """Return the user with this name. Create it if necessary, only once even for concurrent requests."""
        user = await self.find(name)
        if user is None:
            values = column_values(User(name=name))
            insert = build_insert(self._session, User).on_conflict_do_nothing()
            await self._session.exec(insert, params=values)
            user = await self.get(name)
        return user

    async def remove(self, name: str) -> None:
        """Remove a user with keys and conversations, and from the readers of all corpora."""
        await self._session.delete(await self.get(name))
        reader = f"user:{name}"
        await self._session.exec(delete(CorpusReader).where(col(CorpusReader.reader) == reader))
        await self._session.flush()


class Sessions:
    """The sessions of the sign-in service, if it stores them in the same database."""

    def __init__(self, session: AsyncSession, name: str) -> None:
        schema, _, table = name.rpartition(".")
        self._session = session
        self._table = table_clause(
            table, column("id"), column("expiresAt", DateTime(timezone=True)), schema=schema or None
        )

    async def is_open(self, session_id: str) -> bool:
        """Return whether the session exists and has not expired."""
        columns = self._table.c
        statement = select(func.count()).where(
            columns.id == session_id, columns["expiresAt"] > func.current_timestamp()
        )
        return bool((await self._session.exec(statement)).one())


class ApiKeys:
    """The API keys of servers."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> Sequence[tuple[ApiKey, User]]:
        """Return all keys with their users, oldest first."""
        statement = select(ApiKey, User).join(User).order_by(col(ApiKey.created_at))
        return (await self._session.exec(statement)).all()

    async def find(self, digest: str) -> tuple[ApiKey, User] | None:
        """Return the key with this hash and its user, or None."""
        statement = select(ApiKey, User).join(User).where(col(ApiKey.digest) == digest)
        return (await self._session.exec(statement)).first()

    async def get(self, prefix: str) -> ApiKey:
        """Return the key with this prefix; raises `NotFound`."""
        key = await self._session.get(ApiKey, prefix)
        if key is None:
            raise NotFound("key", prefix, "`ibid keys list` shows them.")
        return key

    async def add(self, key: ApiKey) -> None:
        """Add a key to the session; adding the same key again creates no duplicate."""
        await self._session.merge(key)

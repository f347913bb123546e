"""What is asked of SQL about people: who they are, and the keys of servers."""

from collections.abc import Sequence

from sqlalchemy import DateTime, bindparam, column
from sqlalchemy import table as table_clause
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.errors import NotFound
from storage.sql.tables import ApiKey, CorpusReader, User
from storage.sql.upsert import column_values, inserting

_NAMED = select(User).where(col(User.name) == bindparam("name"))  # put together once


class Users:
    """Who owns conversations."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> list[User]:
        """By name."""
        return list(await self._session.exec(select(User).order_by(col(User.name))))

    async def find(self, name: str) -> User | None:
        """None when nobody by that name was seen yet."""
        return (await self._session.exec(_NAMED, params={"name": name})).first()

    async def get(self, name: str) -> User:
        """Raises `NotFound`."""
        user = await self.find(name)
        if user is None:
            raise NotFound("user", name, "A user is known after signing in once.")
        return user

    async def named(self, name: str) -> User:
        """Made at first sight, once, however many requests come first."""
        user = await self.find(name)
        if user is None:
            values = column_values(User(name=name))
            insert = inserting(self._session, User).on_conflict_do_nothing()
            await self._session.exec(insert, params=values)
            user = await self.get(name)
        return user

    async def remove(self, name: str) -> None:
        """With keys and conversations; no corpus lists the user any more."""
        await self._session.delete(await self.get(name))
        reader = f"user:{name}"
        await self._session.exec(delete(CorpusReader).where(col(CorpusReader.reader) == reader))
        await self._session.flush()


class Sessions:
    """Those of the service that signs people in, where it keeps them in the same database."""

    def __init__(self, session: AsyncSession, name: str) -> None:
        schema, _, table = name.rpartition(".")
        self._session = session
        self._table = table_clause(
            table, column("id"), column("expiresAt", DateTime(timezone=True)), schema=schema or None
        )

    async def is_open(self, session_id: str) -> bool:
        """Whether it is there and not past its time."""
        held = self._table.c
        statement = select(func.count()).where(
            held.id == session_id, held["expiresAt"] > func.current_timestamp()
        )
        return bool((await self._session.exec(statement)).one())


class Keys:
    """The keys of servers."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> Sequence[tuple[ApiKey, User]]:
        """With whom they act for, oldest first."""
        statement = select(ApiKey, User).join(User).order_by(col(ApiKey.created_at))
        return (await self._session.exec(statement)).all()

    async def find(self, digest: str) -> tuple[ApiKey, User] | None:
        """By the hash of the whole key; None when there is none."""
        statement = select(ApiKey, User).join(User).where(col(ApiKey.digest) == digest)
        return (await self._session.exec(statement)).first()

    async def get(self, prefix: str) -> ApiKey:
        """Raises `NotFound`."""
        key = await self._session.get(ApiKey, prefix)
        if key is None:
            raise NotFound("key", prefix, "`ibid keys list` shows them.")
        return key

    async def add(self, key: ApiKey) -> None:
        """Kept with the session; the same key once, however often."""
        await self._session.merge(key)

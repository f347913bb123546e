"""Queries about how much users have uploaded: uploads add to it, and the upload limits read it."""

from datetime import date
from functools import cache
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.sql.tables import UploadUsage, User
from storage.sql.upsert import build_insert, column_values

_COUNTED = ("bytes", "passages")


class UploadUsages:
    """Upload usage by user and day; like every repository, it never commits."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, usage: UploadUsage) -> None:
        """Add to the stored sums; safe if another process adds at the same time."""
        adding = _build_upsert(build_insert(self._session, UploadUsage))
        await self._session.exec(adding, params=column_values(usage))

    async def usage_of(self, user: User, day: date) -> UploadUsage:
        """Return a user's usage on one day; zero if there was none."""
        statement = select(UploadUsage).where(
            col(UploadUsage.user_id) == user.id, col(UploadUsage.day) == day
        )
        found = (await self._session.exec(statement)).first()
        return found or UploadUsage(user_id=user.id, day=day)


@cache
def _build_upsert(insert: Any) -> Any:
    sums = {name: insert.table.c[name] + insert.excluded[name] for name in _COUNTED}
    return insert.on_conflict_do_update(index_elements=["user_id", "day"], set_=sums)

"""The ledger of model costs: every call adds to it, and budgets and reports read it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.sql.tables import Spending, User
from storage.sql.upsert import build_insert, column_values

_COUNTED = ("calls", "prompt_tokens", "completion_tokens", "cost")


class Ledger:
    """Sums by user, day and model; like every repository, it never commits."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, spendings: Sequence[Spending]) -> None:
        """Add to the stored sums; safe if another process adds at the same time."""
        adding = _build_upsert(build_insert(self._session, Spending))
        for spending in spendings:
            await self._session.exec(adding, params=column_values(spending))

    async def total_cost(self, since: date, user_id: UUID | None = None) -> float:
        """Return the cost in US dollars since a day, of one user or of all users."""
        statement = select(func.sum(Spending.cost)).where(col(Spending.day) >= since)
        if user_id is not None:
            statement = statement.where(col(Spending.user_id) == user_id)
        return float((await self._session.exec(statement)).one() or 0.0)

    async def count_calls(self, user: User, since: date) -> int:
        """Return the number of a user's calls to all models since a day."""
        statement = select(func.sum(Spending.calls)).where(
            col(Spending.user_id) == user.id, col(Spending.day) >= since
        )
        return int((await self._session.exec(statement)).one() or 0)

    async def rows(self, since: date) -> list[tuple[Spending, str]]:
        """Return the sums with the users' names, newest day first."""
        statement = (
            select(Spending, User.name)
            .join(User, col(User.id) == col(Spending.user_id))
            .where(col(Spending.day) >= since)
            .order_by(col(Spending.day).desc(), col(User.name), col(Spending.model))
        )
        return list(await self._session.exec(statement))


@cache
def _build_upsert(insert: Any) -> Any:
    sums = {name: insert.table.c[name] + insert.excluded[name] for name in _COUNTED}
    return insert.on_conflict_do_update(index_elements=["user_id", "day", "model"], set_=sums)


def today() -> date:
    """Return the current day in UTC, as budgets and the limits of the services count days."""
    return datetime.now(UTC).date()

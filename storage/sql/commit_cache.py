"""What was read of the database, remembered for as long as nobody has written to it."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from storage.sql.database import Database

T = TypeVar("T")

_MOST = 10_000


class CommitCache(Generic[T]):
    """Values by key, never older than the last commit of any process; on Postgres none is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state: int | None = None
        self._values: dict[Hashable, T] = {}

    @property
    def keeps(self) -> bool:
        """Whether anything is remembered at all, of this database."""
        return self._database.state is not None

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives, or gave since the last commit; what it raises is not remembered."""
        state = self._database.state
        if state is None:
            return await read()
        if state != self._state or len(self._values) >= _MOST:
            self._state, self._values = state, {}
        values = self._values
        if key not in values:
            # Of this state or a later one: kept for a state that is over it is never asked for again.
            values[key] = await read()
        return values[key]

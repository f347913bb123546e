"""A cache of database reads that is valid until the next commit."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from storage.sql.database import Database

T = TypeVar("T")

_MAX_ENTRIES = 10_000


class CommitCache(Generic[T]):
    """Values by key, never older than the last commit of any process; on Postgres nothing is cached."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._commit_count: int | None = None
        self._values: dict[Hashable, T] = {}

    @property
    def is_enabled(self) -> bool:
        """Whether the cache stores anything for this database."""
        return self._database.commit_count is not None

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Return the cached value, or call `read` and cache its result; errors are not cached."""
        state = self._database.commit_count
        if state is None:
            return await read()
        if state != self._commit_count or len(self._values) >= _MAX_ENTRIES:
            self._commit_count, self._values = state, {}
        values = self._values
        if key not in values:
            # The value is of this state or a later one; if the state is outdated, `values` is not used again.
            values[key] = await read()
        return values[key]

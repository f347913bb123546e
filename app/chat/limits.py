"""Limits on the number of concurrent operations of one user."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from storage.domain import LOCAL, Principal
from storage.errors import IbidError, TooManyTurns


class ConcurrencyLimit:
    """A limit on concurrent operations, counted by name within this process."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._running: Counter[str] = Counter()

    @contextmanager
    def acquire(self, name: str, error: IbidError) -> Generator[None]:
        """Count one operation for `name` while the context is open; raise `error` at the limit."""
        if self._running[name] >= self.limit:
            raise error
        self._running[name] += 1
        try:
            yield
        finally:
            self._running[name] -= 1
            self._running += Counter()  # removes the names whose count is zero


class TurnLimit:
    """A limit on concurrent turns for each user; the local user is unlimited."""

    def __init__(self, limit: int = 4) -> None:
        self._turns = ConcurrencyLimit(limit)

    @contextmanager
    def turn(self, principal: Principal) -> Generator[None]:
        """Count one turn while the context is open; raise `TooManyTurns` at the limit."""
        if principal == LOCAL:
            yield
            return
        most = self._turns.limit
        error = TooManyTurns(f"You have {most} questions in progress. Wait until one is answered.")
        with self._turns.acquire(principal.name, error):
            yield

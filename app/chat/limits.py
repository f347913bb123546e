"""Limits on the number of concurrent operations of one user."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from storage.domain import LOCAL, Principal
from storage.errors import IbidError, TooManyTurns


class AtOnce:
    """A limit on concurrent operations, counted by name within this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def taken(self, name: str, full: IbidError) -> Generator[None]:
        """Count one operation for `name` while the context is open; raise `full` at the limit."""
        if self._under_way[name] >= self.most:
            raise full
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            self._under_way += Counter()  # removes the names whose count is zero


class TurnLimit:
    """A limit on concurrent turns for each user; the local user is unlimited."""

    def __init__(self, most: int = 4) -> None:
        self._turns = AtOnce(most)

    @contextmanager
    def turn(self, principal: Principal) -> Generator[None]:
        """Count one turn while the context is open; raise `TooManyTurns` at the limit."""
        if principal == LOCAL:
            yield
            return
        most = self._turns.most
        full = TooManyTurns(f"You have {most} questions in progress. Wait until one is answered.")
        with self._turns.taken(principal.name, full):
            yield

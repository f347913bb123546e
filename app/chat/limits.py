"""How much of one user may be under way at once."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from storage.domain import LOCAL, Principal
from storage.errors import IbidError, TooManyTurns


class AtOnce:
    """Counts what is under way by name, within this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def taken(self, name: str, full: IbidError) -> Generator[None]:
        """For as long as it takes; raises `full` when that is one too many."""
        if self._under_way[name] >= self.most:
            raise full
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            self._under_way += Counter()  # keeps only what is above nought


class TurnLimit:
    """Counts turns by user; whoever sits at this machine is not counted."""

    def __init__(self, most: int = 4) -> None:
        self._turns = AtOnce(most)

    @contextmanager
    def turn(self, principal: Principal) -> Generator[None]:
        """For as long as a turn takes; raises `TooManyTurns`."""
        if principal == LOCAL:
            yield
            return
        most = self._turns.most
        full = TooManyTurns(f"You have {most} questions under way; wait until one is answered.")
        with self._turns.taken(principal.name, full):
            yield

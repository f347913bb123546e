"""How many questions of one user may be under way at once."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from storage.domain import LOCAL, Principal
from storage.errors import TooManyTurns


class TurnLimit:
    """Counts turns by user, within this process; whoever sits at this machine is not counted."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def turn(self, principal: Principal) -> Generator[None]:
        """For as long as a turn takes; raises `TooManyTurns`."""
        name = principal.name
        if principal != LOCAL and self._under_way[name] >= self._most:
            raise TooManyTurns(
                f"You have {self._most} questions under way; wait until one is answered."
            )
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            self._under_way += Counter()  # keeps only what is above nought

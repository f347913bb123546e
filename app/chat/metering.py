"""Estimate the usage of a turn that did not finish, for the ledger."""

from collections.abc import Sequence
from uuid import UUID

from app.chat.events import ChatEvent, Completed, Condensed, Condensing, Restarted, Retrieved, Token
from app.usage.budgets import of_attempts, of_rewriting
from storage.errors import FailedAttempt
from storage.sql.repositories.usage import today
from storage.sql.tables import Spending

_CHARACTERS_A_TOKEN = 4


class TurnMeter:
    """A meter of one turn's usage, read from its events.

    Token counts are estimated, because a client that disconnects early receives no count from the model.
    The cost is unknown and counts as zero.
    """

    def __init__(self) -> None:
        self._asked = False
        """Whether a model is generating the answer."""
        self._read = self._said = 0
        self._condensed: Condensing | Condensed | None = None

    def take(self, event: ChatEvent) -> None:
        """Process the next event of the turn."""
        if isinstance(event, Condensing | Condensed):
            self._condensed = event
        elif isinstance(event, Retrieved):
            self._asked = bool(event.passages)
            self._read = sum(len(passage.text) for passage in event.passages)
        elif isinstance(event, Token):
            self._said += len(event.text)
        elif isinstance(event, Restarted):
            self._said = 0
        elif isinstance(event, Completed):
            self._asked, self._condensed = False, None

    @property
    def asked(self) -> bool:
        """Whether any model was called whose usage is not part of a stored answer."""
        return self._asked or self._condensed is not None

    def spent(self, user_id: UUID, model: str) -> list[Spending]:
        """Return the usage of a cancelled turn so far; `model` is the one generating the answer."""
        read, said = self._read // _CHARACTERS_A_TOKEN, self._said // _CHARACTERS_A_TOKEN
        own = Spending(
            user_id=user_id,
            day=today(),
            model=model,
            calls=1,
            prompt_tokens=read,
            completion_tokens=said,
        )
        return [*self._before(user_id), *([own] if self._asked else [])]

    def lost(self, user_id: UUID, attempts: Sequence[FailedAttempt]) -> list[Spending]:
        """Return the usage of a turn that no model answered: the failed `attempts` and the rewriting."""
        return [*self._before(user_id), *of_attempts(user_id, attempts)]

    def _before(self, user_id: UUID) -> list[Spending]:
        """Return the usage of rewriting the question; one call while the rewriting is in progress."""
        match self._condensed:
            case Condensing(model=model):
                return [Spending(user_id=user_id, day=today(), model=model, calls=1)]
            case Condensed(rewriting=rewriting, attempts=attempts):
                return [*of_rewriting(user_id, rewriting), *of_attempts(user_id, attempts)]
            case None:
                return []

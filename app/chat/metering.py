"""Estimate the usage of a turn that did not finish, for the ledger."""

from collections.abc import Sequence
from uuid import UUID

from app.chat.events import ChatEvent, Completed, Condensed, Condensing, Restarted, Retrieved, Token
from app.usage.budgets import attempts_spending, rewriting_spending
from storage.errors import FailedAttempt
from storage.sql.repositories.usage import today
from storage.sql.tables import Spending

_CHARACTERS_PER_TOKEN = 4


class TurnMeter:
    """A meter of one turn's usage, read from its events.

    Token counts are estimated, because a client that disconnects early receives no count from the model.
    The cost is unknown and counts as zero.
    """

    def __init__(self) -> None:
        self._is_generating = False
        """Whether a model is generating the answer."""
        self._prompt_characters = self._answer_characters = 0
        self._condensed: Condensing | Condensed | None = None

    def record(self, event: ChatEvent) -> None:
        """Process the next event of the turn."""
        if isinstance(event, Condensing | Condensed):
            self._condensed = event
        elif isinstance(event, Retrieved):
            self._is_generating = bool(event.passages)
            self._prompt_characters = sum(len(passage.text) for passage in event.passages)
        elif isinstance(event, Token):
            self._answer_characters += len(event.text)
        elif isinstance(event, Restarted):
            self._answer_characters = 0
        elif isinstance(event, Completed):
            self._is_generating, self._condensed = False, None

    @property
    def has_usage(self) -> bool:
        """Whether any model was called whose usage is not part of a stored answer."""
        return self._is_generating or self._condensed is not None

    def usage_so_far(self, user_id: UUID, model: str) -> list[Spending]:
        """Return the usage of a cancelled turn so far; `model` is the one generating the answer."""
        prompt_tokens, completion_tokens = (
            self._prompt_characters // _CHARACTERS_PER_TOKEN,
            self._answer_characters // _CHARACTERS_PER_TOKEN,
        )
        answer_spending = Spending(
            user_id=user_id,
            day=today(),
            model=model,
            calls=1,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
        )
        return [
            *self._rewriting_usage(user_id),
            *([answer_spending] if self._is_generating else []),
        ]

    def failed_usage(self, user_id: UUID, attempts: Sequence[FailedAttempt]) -> list[Spending]:
        """Return the usage of a turn that no model answered: the failed `attempts` and the rewriting."""
        return [*self._rewriting_usage(user_id), *attempts_spending(user_id, attempts)]

    def _rewriting_usage(self, user_id: UUID) -> list[Spending]:
        """Return the usage of rewriting the question; one call while the rewriting is in progress."""
        match self._condensed:
            case Condensing(model=model):
                return [Spending(user_id=user_id, day=today(), model=model, calls=1)]
            case Condensed(rewriting=rewriting, attempts=attempts):
                return [
                    *rewriting_spending(user_id, rewriting),
                    *attempts_spending(user_id, attempts),
                ]
            case None:
                return []

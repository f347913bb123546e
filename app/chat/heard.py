"""What a reader heard of a turn that did not come to its end, for the ledger."""

from uuid import UUID

from app.chat.events import ChatEvent, Completed, Restarted, Retrieved, Token
from storage.ledger import today
from storage.tables import Spending

_CHARACTERS_A_TOKEN = 4


class Heard:
    """Tokens are estimated: who hangs up is told no count. The cost stays unknown, and counts as none."""

    def __init__(self) -> None:
        self.asked = False
        """Whether a model is at work."""
        self._read = self._said = 0

    def take(self, event: ChatEvent) -> None:
        """The next event of the turn."""
        if isinstance(event, Retrieved):
            self.asked = bool(event.passages)
            self._read = sum(len(passage.text) for passage in event.passages)
        elif isinstance(event, Token):
            self._said += len(event.text)
        elif isinstance(event, Restarted):
            self._said = 0
        elif isinstance(event, Completed):
            self.asked = False

    def spending(self, user_id: UUID, model: str) -> Spending:
        """One call."""
        return Spending(
            user_id=user_id,
            day=today(),
            model=model,
            calls=1,
            prompt_tokens=self._read // _CHARACTERS_A_TOKEN,
            completion_tokens=self._said // _CHARACTERS_A_TOKEN,
        )

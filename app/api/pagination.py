"""How a long list is read: numbers that SQL can count to, and places to go on from."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from storage.errors import InvalidInput
from storage.sql.repositories.conversations import ConversationCursor
from storage.sql.tables import Conversation

LARGEST = 2**31 - 1
"""What an integer column holds."""

Offset = Annotated[int, QueryParameter(ge=0, le=LARGEST)]
"""How many to skip."""


def cursor(last: Conversation) -> str:
    """Where a page ended, for a client to hand back; nothing that it should read."""
    place = f"{last.updated_at.astimezone(UTC).isoformat()} {last.id}"
    return base64.urlsafe_b64encode(place.encode()).decode()


def place(given: str | None) -> ConversationCursor | None:
    """What a cursor stands for; raises `InvalidInput` for one that we did not give."""
    if given is None:
        return None
    try:
        at, _, id_ = base64.urlsafe_b64decode(given.encode()).decode().partition(" ")
        return ConversationCursor(datetime.fromisoformat(at).astimezone(UTC), UUID(id_))
    except (ValueError, OverflowError, binascii.Error) as error:
        raise InvalidInput("The cursor is not one that a page of the list has given.") from error

"""Pagination: offsets within the range of SQL integers, and cursors."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from storage.errors import InvalidInput
from storage.sql.repositories.conversations import ConversationCursor
from storage.sql.tables import Conversation

MAX_INTEGER = 2**31 - 1
"""The largest value of a SQL integer column."""

Offset = Annotated[int, QueryParameter(ge=0, le=MAX_INTEGER)]
"""Number of items to skip."""


def encode_cursor(last: Conversation) -> str:
    """Return an opaque cursor for the page after `last`."""
    content = f"{last.updated_at.astimezone(UTC).isoformat()} {last.id}"
    return base64.urlsafe_b64encode(content.encode()).decode()


def parse_cursor(given: str | None) -> ConversationCursor | None:
    """Parse a cursor. Raise `InvalidInput` if it is not valid."""
    if given is None:
        return None
    try:
        at, _, id_ = base64.urlsafe_b64decode(given.encode()).decode().partition(" ")
        return ConversationCursor(datetime.fromisoformat(at).astimezone(UTC), UUID(id_))
    except (ValueError, OverflowError, binascii.Error) as error:
        raise InvalidInput(
            "The cursor is not valid: use the `next` of a page of the list."
        ) from error

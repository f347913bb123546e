"""Server-sent events as they come over the wire: what came together is read together.

A server that falls behind its models would fall further behind with work for every single token.
"""

import re
from collections.abc import AsyncIterator

_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # behind a last \r the \n may yet come
_FIELD = b"data:"


class Events:
    """The data of the events in a stream of bytes, however it is cut; comments and names are dropped."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self._data: list[bytes] = []

    async def more(self) -> list[bytes] | None:
        """Of the events that the next piece completes, often none; None at the end."""
        piece = await anext(self._pieces, None)
        if piece is None:
            return None
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        completed: list[bytes] = []
        for line in lines:
            if line.startswith(_FIELD):
                self._data.append(line[len(_FIELD) :].removeprefix(b" "))
            elif not line and self._data:
                completed.append(b"\n".join(self._data))
                self._data = []
        return completed

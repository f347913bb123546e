"""Server-sent events as they come over the wire: what came together is read together.

A server that falls behind its models would fall further behind with work for every single token.
"""

import re
from collections.abc import AsyncIterator

DONE = b"[DONE]"
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # behind a last \r the \n may yet come
_DATA = b"data:"
_OTHER_FIELD = re.compile(rb"\s*(data|event|id|retry)?:(.*)", re.DOTALL)
_DOCUMENT = re.compile(rb"\s*[{\[<]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Events:
    """The data of the events in a stream of bytes, however it is cut; comments and names are dropped.

    As servers are not all alike, more is taken than the standard has: an event of JSON ends without a
    blank line, too; JSON may be on a line of its own; and a body that is no stream at all is one
    document. What an `event: error` says is told as `{"error": …}`.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self._data: list[bytes] = []
        self._document: list[bytes] = []
        """Lines that are no field, as long as there was no event."""
        self._is_first = True
        self._is_error = self._is_stream = self._is_over = False

    async def more(self) -> list[bytes] | None:
        """Of the events that the next piece completes, often none; None at the end."""
        piece = None if self._is_over else await anext(self._pieces, None)
        if piece is None:
            return self._last()
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        completed: list[bytes] = []
        for line in lines:
            self._read(line, completed)
        if self._is_whole():
            self._complete(completed)
        return completed

    def _last(self) -> list[bytes] | None:
        """What the end completes."""
        completed: list[bytes] = []
        if not self._is_over:
            self._is_over = True
            if rest := self._rest.rstrip(b"\r"):
                self._read(rest, completed)
            if self._is_whole():
                self._complete(completed)
            if self._document and not self._is_stream:
                completed.append(b"\n".join(self._document))
        return completed or None

    def _read(self, line: bytes, completed: list[bytes]) -> None:
        if self._is_first:
            line, self._is_first = line.removeprefix(_BYTE_ORDER_MARK), False
        if line.startswith(_DATA):
            self._take(line[len(_DATA) :].removeprefix(b" "), completed)
        elif not line:
            self._complete(completed)
        elif field := _OTHER_FIELD.match(line):
            if field[1] == b"data":
                self._take(field[2].removeprefix(b" "), completed)
            elif field[1] == b"event":
                self._is_error = field[2].strip() == b"error"
        elif _is_json(line) and not self._document:
            self._take(line, completed)
        elif not self._is_stream and (self._document or _DOCUMENT.match(line)):
            self._document.append(line)

    def _take(self, data: bytes, completed: list[bytes]) -> None:
        """Another line of data; that begins another event when the one before looks whole."""
        if self._data and (data.startswith(b"{") or data.strip() == DONE) and self._is_whole():
            self._complete(completed)
        self._is_stream = True
        self._data.append(DONE if data.strip() == DONE else data)

    def _is_whole(self) -> bool:
        """Whether the data so far are an event, though no blank line has come."""
        if not self._data:
            return False
        return self._data == [DONE] or (
            self._data[0].startswith(b"{") and self._data[-1].rstrip().endswith(b"}")
        )

    def _complete(self, completed: list[bytes]) -> None:
        if not self._data:
            return
        data = b"\n".join(self._data)
        if self._is_error:
            data = b'{"error":%b}' % (data if _is_json(data) else b"true")
        completed.append(data)
        self._data, self._is_error = [], False


def _is_json(text: bytes) -> bool:
    return text.startswith(b"{") and text.rstrip().endswith(b"}")

"""A parser of server-sent events that returns all events that arrived together.

Work for every single token would slow down a server that is already slower than its models.
"""

import re
from collections.abc import AsyncIterator

DONE = b"[DONE]"
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")  # a \n may still follow a final \r
_DATA = b"data:"
_OTHER_FIELD = re.compile(rb"\s*(data|event|id|retry)?:(.*)", re.DOTALL)
_DOCUMENT = re.compile(rb"\s*[{\[<]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class EventParser:
    """The data of the events in a stream of bytes, however it is split; comments and event names are dropped.

    It accepts more than the standard, because servers differ: an event of JSON may end without a blank line,
    JSON may be on a line without a field name, and a body that is not a stream is one document. The data of
    an `event: error` is returned as `{"error": …}`.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self._data: list[bytes] = []
        self._document: list[bytes] = []
        """Lines that are not fields, collected until the first event."""
        self._is_first = True
        self._is_error = self._is_stream = self._is_over = False

    async def next_events(self) -> list[bytes] | None:
        """Return the data of the events that the next piece completes, often none; None at the end."""
        piece = None if self._is_over else await anext(self._pieces, None)
        if piece is None:
            return self._finish()
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        completed: list[bytes] = []
        for line in lines:
            self._read_line(line, completed)
        if self._is_whole():
            self._complete(completed)
        return completed

    def _finish(self) -> list[bytes] | None:
        """Return the data that the end of the stream completes; None if there is none."""
        completed: list[bytes] = []
        if not self._is_over:
            self._is_over = True
            if rest := self._rest.rstrip(b"\r"):
                self._read_line(rest, completed)
            if self._is_whole():
                self._complete(completed)
            if self._document and not self._is_stream:
                completed.append(b"\n".join(self._document))
        return completed or None

    def _read_line(self, line: bytes, completed: list[bytes]) -> None:
        if self._is_first:
            line, self._is_first = line.removeprefix(_BYTE_ORDER_MARK), False
        if line.startswith(_DATA):
            self._add_data(line[len(_DATA) :].removeprefix(b" "), completed)
        elif not line:
            self._complete(completed)
        elif field := _OTHER_FIELD.match(line):
            if field[1] == b"data":
                self._add_data(field[2].removeprefix(b" "), completed)
            elif field[1] == b"event":
                self._is_error = field[2].strip() == b"error"
        elif _is_json(line) and not self._document:
            self._add_data(line, completed)
        elif not self._is_stream and (self._document or _DOCUMENT.match(line)):
            self._document.append(line)

    def _add_data(self, data: bytes, completed: list[bytes]) -> None:
        """Add a line of data; it begins a new event if the event before looks complete."""
        if self._data and (data.startswith(b"{") or data.strip() == DONE) and self._is_whole():
            self._complete(completed)
        self._is_stream = True
        self._data.append(DONE if data.strip() == DONE else data)

    def _is_whole(self) -> bool:
        """Return whether the data so far are a complete event, even without a blank line."""
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

"""A text that is built from many small parts in linear time."""

_MAX_END_LENGTH = 500


class TextBuffer:
    """A string buffer that joins its parts only when they are read.

    Appending to a string would copy the whole string each time.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.length = 0
        self.end = ""
        """The last characters, in which the claim before a marker is searched for."""

    def add(self, words: str) -> None:
        """Append the words."""
        self._parts.append(words)
        self.length += len(words)
        self.end = (self.end + words)[-_MAX_END_LENGTH:]

    def get_text(self) -> str:
        """Return the whole text."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

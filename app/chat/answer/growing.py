"""A text that is written bit by bit, in time that grows with its length."""

_LONGEST_END = 500


class GrowingText:
    """Adding to a string copies all of it each time; this joins its parts when they are read."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.length = 0
        self.end = ""
        """The last characters, in which the claim before a marker is looked for."""

    def add(self, words: str) -> None:
        """Behind what is there."""
        self._parts.append(words)
        self.length += len(words)
        self.end = (self.end + words)[-_LONGEST_END:]

    def whole(self) -> str:
        """All of it."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

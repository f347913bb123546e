"""What can go wrong, in the words of the domain; the doors give it HTTP and exit codes.

IbidError
├── InvalidInput            what was asked for cannot be done as it was asked
├── NotFound                no corpus, source, passage or conversation by that name
├── AlreadyExists           a corpus by that name is there already
├── NotSignedIn             no credential, or one that is not, or no longer, good
├── Forbidden               who asks may not do that
├── TooManyTurns            one user has more questions under way than are allowed
├── SignInUnavailable       what vouches for users cannot be reached; they may well be signed in
├── SourceUnreadable        one file could not be read; the others are not touched
├── IndexUnavailable        the vector engine cannot be reached
│   ├── IndexLocked         another process holds the embedded index
│   ├── IndexDamaged        its files cannot be read
│   └── IndexMismatch       it was built with another embedding
├── StorageFull             no space left where Ibid keeps its data
├── DatabaseUnavailable     the SQL database cannot be reached or read
│   └── ConnectionLost      it went in the middle of a unit of work
└── ModelUnavailable        the language model did not answer
"""

from typing import ClassVar


class IbidError(Exception):
    """Whatever Ibid raises on purpose: one sentence that says what to do."""

    retry_after: ClassVar[int | None] = None
    """Seconds after which it may be worth another try; None when it is not a matter of time."""


class InvalidInput(IbidError):
    """What was asked for cannot be done as it was asked."""


class NotFound(IbidError):
    """Nothing there by that name."""

    def __init__(self, kind: str, key: object, hint: str = "") -> None:
        super().__init__(f"There is no {kind} {str(key)!r}.{' ' + hint if hint else ''}")


class AlreadyExists(IbidError):
    """Something by that name is there already."""


class NotSignedIn(IbidError):
    """No credential, or one that is not, or no longer, good."""


class Forbidden(IbidError):
    """Who asks may not do that."""


class TooManyTurns(IbidError):
    """One user has more questions under way than are allowed."""

    retry_after = 2


class SignInUnavailable(IbidError):
    """What vouches for users cannot be reached; they may well be signed in."""

    retry_after = 10


class SourceUnreadable(IbidError):
    """One file could not be read; the message is the reason, for the report."""


class IndexUnavailable(IbidError):
    """The vector engine cannot be reached."""


class IndexLocked(IndexUnavailable):
    """Another process holds the embedded index."""


class IndexDamaged(IndexUnavailable):
    """The index's files cannot be read."""


class IndexMismatch(IndexUnavailable):
    """The index was built with another embedding than the one configured."""


class StorageFull(IbidError):
    """No space is left where Ibid keeps its data; what was there still serves."""


class DatabaseUnavailable(IbidError):
    """The SQL database cannot be reached or read."""

    retry_after = 5


class ConnectionLost(DatabaseUnavailable):
    """The connection went in the middle of a unit of work, which may be done once more."""


class ModelUnavailable(IbidError):
    """The language model did not answer; the question is kept and may be asked again."""

"""What can go wrong, in the words of the domain; the doors give it HTTP and exit codes.

IbidError
├── InvalidInput            what was asked for cannot be done as it was asked
├── NotFound                no corpus, source, passage or conversation by that name
├── AlreadyExists           a corpus by that name is there already
├── CorpusBusy              it is being ingested into just now
├── Vanished                what was being changed was deleted meanwhile
├── NotSignedIn             no credential, or one that is not, or no longer, good
├── Forbidden               who asks may not do that
├── TooManyTurns            one user has more questions under way than are allowed
├── UploadTooLarge          an upload has more bytes, files or passages than are allowed
├── UploadQuotaSpent        one user has uploaded as much today as is allowed
├── TooManyStreams          one user or address has more streams open than are allowed
├── TooManyFailures         one address has sent too many bad keys or tokens
├── ServerStopping          this server stops; another one, or the next, will answer
├── SignInUnavailable       what vouches for users cannot be reached; they may well be signed in
├── SourceUnreadable        one file could not be read; the others are not touched
├── IndexUnavailable        the vector engine cannot be reached
│   ├── IndexLocked         another process holds the embedded index
│   ├── IndexDamaged        its files cannot be read
│   └── IndexMismatch       it was built with another embedding
├── ReleaseRefused          a new release answers worse than the one that serves
├── StorageFull             no space left where Ibid keeps its data
├── DatabaseUnavailable     the SQL database cannot be reached or read
│   └── ConnectionLost      it went in the middle of a unit of work
├── BlobsUnavailable        the store of uploaded originals cannot be reached
├── AddressRefused          a page's address leads where nobody may have Ibid go
├── SiteUnavailable         a page cannot be fetched from its site
└── ModelUnavailable        a model did not answer
    ├── ModelBusy           its limit is reached for now
    ├── ModelSilent         it said nothing for too long
    ├── ModelRefused        it said no: asking again cannot help
    └── BudgetSpent         as much was spent as may be
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a command that only says what went wrong needs no pydantic
    from storage.domain import Attempt


_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/]+/)+|(?<!\w)[A-Za-z]:\\(?:[^\s\\]+\\)+")


def without_folders(told: str) -> str:
    """An error's sentence with only the last part of each path, for those who may not know the server."""
    return _FOLDERS.sub("", told)


_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}"
_PLACES = re.compile(
    rf' (?:at|to) {_HOST}(?:, {_HOST})*(?!\w)| at "[^"]*"(?: \([^)]*\))?, port \d+', re.ASCII
)


def for_clients(told: str) -> str:
    """An error's sentence without folders, and without hosts and ports of the services behind this one."""
    return without_folders(_PLACES.sub("", told))


class IbidError(Exception):
    """Whatever Ibid raises on purpose: one sentence that says what to do."""

    retry_after: float | None = None
    """Seconds after which it may be worth another try; None when it is not a matter of time."""

    may_be_logged = False
    """Whether its sentence never repeats what a user, a document or a model has written."""


class InvalidInput(IbidError):
    """What was asked for cannot be done as it was asked."""


class NotFound(IbidError):
    """Nothing there by that name."""

    def __init__(self, kind: str, key: object, hint: str = "") -> None:
        super().__init__(f"There is no {kind} {str(key)!r}.{' ' + hint if hint else ''}")


class AlreadyExists(IbidError):
    """Something by that name is there already."""


class CorpusBusy(IbidError):
    """The corpus is being ingested into; the same may be asked again afterwards."""


class Vanished(IbidError):
    """What was being changed was deleted meanwhile."""


class NotSignedIn(IbidError):
    """No credential, or one that is not, or no longer, good."""

    may_be_logged = True

    def __init__(self, told: str, *, was_sent: bool = True) -> None:
        super().__init__(told)
        self.was_sent = was_sent


class Forbidden(IbidError):
    """Who asks may not do that."""


class TooManyTurns(IbidError):
    """One user has more questions under way than are allowed."""

    retry_after = 2
    may_be_logged = True


class UploadTooLarge(IbidError):
    """An upload has more bytes, files or passages than are allowed."""


class UploadQuotaSpent(IbidError):
    """One user has uploaded as much today as is allowed; `retry_after` is the rest of the day."""

    may_be_logged = True

    def __init__(self, told: str, retry_after: float) -> None:
        super().__init__(told)
        self.retry_after = retry_after


class TooManyStreams(IbidError):
    """One user or address has more streams open than are allowed."""

    retry_after = 5
    may_be_logged = True


class TooManyFailures(IbidError):
    """One address has sent too many bad keys or tokens within a minute."""

    retry_after = 60
    may_be_logged = True


class ServerStopping(IbidError):
    """This server stops; another one, or the next, will answer."""

    retry_after = 5
    may_be_logged = True


class SignInUnavailable(IbidError):
    """What vouches for users cannot be reached; they may well be signed in."""

    retry_after = 10
    may_be_logged = True


class SourceUnreadable(IbidError):
    """One file could not be read; the message is the reason, for the report."""


class IndexUnavailable(IbidError):
    """The vector engine cannot be reached."""

    may_be_logged = True


class IndexLocked(IndexUnavailable):
    """Another process holds the embedded index."""


class IndexDamaged(IndexUnavailable):
    """The index's files cannot be read."""


class IndexMismatch(IndexUnavailable):
    """The index was built with another embedding than the one configured."""


class ReleaseRefused(IbidError):
    """A new release did not pass the gate; what served before serves on."""

    may_be_logged = True


class StorageFull(IbidError):
    """No space is left where Ibid keeps its data; what was there still serves."""

    may_be_logged = True


class DatabaseUnavailable(IbidError):
    """The SQL database cannot be reached or read."""

    retry_after = 5
    may_be_logged = True


class ConnectionLost(DatabaseUnavailable):
    """The connection went in the middle of a unit of work, which may be done once more."""


class BlobsUnavailable(IbidError):
    """The store of uploaded originals cannot be reached."""

    may_be_logged = True


class AddressRefused(IbidError):
    """A page's address is none, or leads into a network that is not admitted."""


class SiteUnavailable(IbidError):
    """A page cannot be fetched: its site does not answer, or answers with what cannot be used."""

    may_be_logged = True


class ModelUnavailable(IbidError):
    """A model did not answer; the question is kept and may be asked again."""

    may_be_logged = True

    def __init__(
        self,
        told: str,
        *,
        model: str = "",
        cost: float | None = 0.0,
        attempts: "tuple[Attempt, ...]" = (),
    ) -> None:
        super().__init__(told)
        self.model = model
        self.cost = cost
        """In US dollars; None when it had begun to answer and never said."""
        self.attempts = attempts
        """What was tried, where it was more than one model."""


class ModelBusy(ModelUnavailable):
    """Its limit is reached; `retry_after` seconds from now it may answer, if it said so."""

    def __init__(self, told: str, *, model: str = "", retry_after: float | None = None) -> None:
        super().__init__(told, model=model)
        self.retry_after = retry_after


class ModelSilent(ModelUnavailable):
    """It said nothing, or did not come to an end, in the time there was."""


class ModelRefused(ModelUnavailable):
    """It said no, and will say no again: a wrong key, no credits, no such model."""


class BudgetSpent(ModelUnavailable):
    """As much was spent as the settings allow; nothing was asked."""

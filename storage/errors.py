"""Ibid's errors, in terms of the domain; the HTTP and command-line interfaces map them to their codes.

IbidError
├── InvalidInput            the request cannot be carried out as it was made
├── NotFound                no corpus, source, passage or conversation has that name
├── AlreadyExists           a corpus with that name already exists
├── CorpusBusy              an ingestion into the corpus is running
├── Vanished                the object was deleted while it was being changed
├── NotSignedIn             the credential is missing, invalid, expired or revoked
├── Forbidden               the user lacks the right to do this
├── TooManyTurns            the user's limit of concurrent questions is reached
├── UploadTooLarge          the upload exceeds a limit of bytes, files or passages
├── UploadQuotaSpent        the user's daily upload quota is used up
├── TooManyStreams          the limit of open streams per user or address is reached
├── TooManyFailures         the address has sent too many invalid keys or tokens
├── ServerStopping          this server is shutting down; retry with another one, or later
├── SignInUnavailable       the sign-in service cannot be reached, so the user cannot be verified
├── SourceUnreadable        one file cannot be read; the other files are not affected
├── IndexUnavailable        the vector engine cannot be reached
│   ├── IndexLocked         another process holds the embedded index
│   ├── IndexDamaged        the index's files cannot be read
│   └── IndexMismatch       the index was built with another embedding
├── ReleaseRefused          a new release answers worse than the serving one
├── StorageFull             no space is left where Ibid stores its data
├── DatabaseUnavailable     the SQL database cannot be reached or read
│   └── ConnectionLost      the connection was lost during a unit of work
├── BlobsUnavailable        the store of uploaded originals cannot be reached
├── AddressRefused          a page's address is invalid, or leads into a forbidden network
├── SiteUnavailable         a page cannot be fetched from its site
└── ModelUnavailable        a model did not answer
    ├── ModelBusy           the model's rate limit is reached
    ├── ModelSilent         the model did not answer before the timeout
    ├── ModelRefused        the model rejected the request; a retry cannot help
    └── BudgetSpent         the budget is used up
"""

import re
from typing import Protocol

_FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/]+/)+|(?<!\w)[A-Za-z]:\\(?:[^\s\\]+\\)+")


def remove_folders(message: str) -> str:
    """Return an error message with only the last part of each path.

    For clients that may not know the folders of the server.
    """
    return _FOLDERS.sub("", message)


_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}"
_HOSTS = re.compile(
    rf' (?:at|to) {_HOST}(?:, {_HOST})*(?!\w)| at "[^"]*"(?: \([^)]*\))?, port \d+', re.ASCII
)


def redact_for_clients(message: str) -> str:
    """Return an error message without folders, and without hosts and ports of internal services."""
    return remove_folders(_HOSTS.sub("", message))


class IbidError(Exception):
    """The base of errors that Ibid raises on purpose; the message is a sentence that says what to do."""

    retry_after: float | None = None
    """Seconds after which a retry may succeed; None if waiting does not help."""

    may_be_logged = False
    """Whether the message never contains text written by a user, a document or a model."""


class InvalidInput(IbidError):
    """The request cannot be carried out as it was made."""


class NotFound(IbidError):
    """No object of this kind exists, or none has the name `key`."""

    def __init__(self, kind: str, key: object = None, hint: str = "") -> None:
        name = "" if key is None else f" {str(key)!r}"
        super().__init__(f"There is no {kind}{name}.{' ' + hint if hint else ''}")


class AlreadyExists(IbidError):
    """An object with that name already exists."""


class CorpusBusy(IbidError):
    """An ingestion into the corpus is running; retry afterwards."""


class Vanished(IbidError):
    """The object was deleted while it was being changed."""


class NotSignedIn(IbidError):
    """The credential is missing, invalid, expired or revoked."""

    may_be_logged = True

    def __init__(self, message: str, *, was_sent: bool = True) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class Forbidden(IbidError):
    """The user lacks the right to do this."""


class TooManyTurns(IbidError):
    """The user's limit of concurrent questions is reached."""

    retry_after = 2
    may_be_logged = True


class UploadTooLarge(IbidError):
    """The upload exceeds a limit of bytes, files or passages."""


class UploadQuotaSpent(IbidError):
    """The user's daily upload quota is used up; `retry_after` is the rest of the day."""

    may_be_logged = True

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyStreams(IbidError):
    """The limit of open streams per user or address is reached."""

    retry_after = 5
    may_be_logged = True


class TooManyFailures(IbidError):
    """The address has sent too many invalid keys or tokens within a minute."""

    retry_after = 60
    may_be_logged = True


class ServerStopping(IbidError):
    """This server is shutting down; retry with another server, or later."""

    retry_after = 5
    may_be_logged = True


class SignInUnavailable(IbidError):
    """The sign-in service cannot be reached, so it is unknown whether the user is signed in."""

    retry_after = 10
    may_be_logged = True


class SourceUnreadable(IbidError):
    """One file cannot be read; the message is the reason, for the report."""


class IndexUnavailable(IbidError):
    """The vector engine cannot be reached."""

    may_be_logged = True


class IndexLocked(IndexUnavailable):
    """Another process holds the embedded index."""


class IndexDamaged(IndexUnavailable):
    """The index's files cannot be read."""


class IndexMismatch(IndexUnavailable):
    """The index was built with another embedding than the configured one."""


class ReleaseRefused(IbidError):
    """A new release did not pass the gate; the previous release continues to serve."""

    may_be_logged = True


class StorageFull(IbidError):
    """No space is left where Ibid stores its data; the existing data is still served."""

    may_be_logged = True


class DatabaseUnavailable(IbidError):
    """The SQL database cannot be reached or read."""

    retry_after = 5
    may_be_logged = True


class ConnectionLost(DatabaseUnavailable):
    """The connection was lost during a unit of work, which may be retried once."""


class BlobsUnavailable(IbidError):
    """The store of uploaded originals cannot be reached."""

    may_be_logged = True


class AddressRefused(IbidError):
    """A page's address is invalid, or leads into a network that is not allowed."""


class SiteUnavailable(IbidError):
    """A page cannot be fetched: its site does not answer, or returns an unusable response."""

    may_be_logged = True


class FailedAttempt(Protocol):
    """The data of a failed attempt to get an answer; `storage.domain.Attempt` implements it."""

    @property
    def model(self) -> str:
        """The name of the model."""
        ...

    @property
    def error(self) -> str:
        """The message of the error."""
        ...

    @property
    def cost(self) -> float | None:
        """In US dollars; None if the model reported no cost."""
        ...


class ModelUnavailable(IbidError):
    """A model did not answer; the question is stored and can be asked again."""

    may_be_logged = True

    def __init__(
        self,
        message: str,
        *,
        model: str = "",
        cost: float | None = 0.0,
        attempts: tuple[FailedAttempt, ...] = (),
    ) -> None:
        super().__init__(message)
        self.model = model
        self.cost = cost
        """In US dollars; None if the model had begun to answer and reported no cost."""
        self.attempts = attempts
        """The failed attempts, if more than one model was tried."""


class ModelBusy(ModelUnavailable):
    """The model's rate limit is reached; `retry_after` is the value that it gave in seconds, or None."""

    def __init__(self, message: str, *, model: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, model=model)
        self.retry_after = retry_after


class ModelSilent(ModelUnavailable):
    """The model did not answer, or did not finish its answer, before the timeout."""


class ModelRefused(ModelUnavailable):
    """The model rejected the request, and would again: a wrong key, no credits, an unknown model."""


class BudgetSpent(ModelUnavailable):
    """The budget in the settings is used up; no model was called."""

"""Translate the errors of SQL drivers into `IbidError`; the drivers' own errors never leave `storage`."""

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from storage.errors import (
    ConnectionLost,
    DatabaseUnavailable,
    IbidError,
    InvalidInput,
    StorageFull,
    Vanished,
)
from storage.sql.postgres_messages import clean_postgres_message

_NOT_TEXT = ("22021", "22P05")
_DISK_FULL = "53100"
_UNAVAILABLE_STATES = ("08", "25006", "28", "3D", "42501", "53", "57")
"""Prefixes of the SQLSTATEs of a server that cannot serve us; a wrong statement has other ones."""


class translate_driver_errors:  # noqa: N801 - reads as the statement it is used in
    """A context that translates driver errors, also when another library uses the driver."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, UnicodeEncodeError):  # raised for a name with undecoded bytes
            raise InvalidInput(f"{error.object[:80]!a} is not valid Unicode text.") from error
        if isinstance(error, PoolTimeout):
            raise DatabaseUnavailable("All connections to the database are in use.") from error
        if isinstance(error, StaleDataError) or _is_orphan(error):
            raise Vanished("The object was deleted in the meantime.") from error
        if isinstance(error, IbidError) or not isinstance(error, DBAPIError | OSError):
            return
        raised = _translate(error)
        if raised is not None:
            raise raised from error


def _is_orphan(error: BaseException | None) -> bool:
    """Return whether the row's parent was deleted; SQLite and Postgres both use these words."""
    return isinstance(error, IntegrityError) and "foreign key" in str(error.orig).lower()


def _translate(error: DBAPIError | OSError) -> IbidError | None:
    """Return the translated error; None for a bug in Ibid, such as a row without its parent."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = str(getattr(cause, "sqlstate", None) or "")
    detail = clean_postgres_message(str(cause).rpartition(">: ")[2]) or "it does not answer"
    if "full" in detail or state == _DISK_FULL or getattr(cause, "errno", None) == errno.ENOSPC:
        return StorageFull(
            "There is no disk space left for the database. Free some space and run the command again."
        )
    if "surrogates not allowed" in detail:
        return InvalidInput(
            f"{detail.partition(': ')[2].partition(' (')[0]} is not valid Unicode text."
        )
    if state in _NOT_TEXT:
        return InvalidInput("A text contains a NUL character, which Postgres cannot store.")
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ConnectionLost("The connection to the database was lost.")
    if (
        isinstance(error, OperationalError | OSError)
        or type(cause) is sqlite3.DatabaseError
        or state.startswith(_UNAVAILABLE_STATES)
    ):
        return DatabaseUnavailable(f"The database cannot be used: {detail}.")
    return None

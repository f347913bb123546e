"""What everybody who reads or writes the jobs' state must agree on."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from storage.sql.driver_errors import translated
from storage.sql.libpq import for_dbos, jobs_url

if TYPE_CHECKING:
    from dbos import DBOSClient

NAME = "ibid"
VERSION = "1"
"""Raised when a worker of an older Ibid could not run a job that was asked of this one."""
WORKFLOW = "job"
QUEUE = "jobs"
NOT_OVER = ["ENQUEUED", "DELAYED", "PENDING"]
COURSE = "course"
"""The event that says how far a job has come."""


class JobStore:
    """A database of its own: what polls it must not keep a Postgres awake that may sleep."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._file = None if url else folder / "jobs.db"
        address = jobs_url(url) if url else None
        self.url = for_dbos(address) if address else f"sqlite:///{self._file}"
        self.schema = (address and address.schema) or "dbos"
        """Where the tables are, on Postgres."""

    @property
    def is_shared(self) -> bool:
        """Whether workers on other machines may have jobs here."""
        return self._file is None

    @property
    def is_there(self) -> bool:
        """Whether there may be jobs: asked without connecting."""
        return self._file is None or self._file.exists()

    def open(self) -> "DBOSClient":
        """Made or brought up to date first; raises `DatabaseUnavailable`. Takes a second."""
        from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415

        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        logging.getLogger("dbos").setLevel(logging.WARNING)
        with translated():
            DBOS.migrate(self.url, schema=self.schema)
            return DBOSClient(
                system_database_url=self.url,
                dbos_system_schema=self.schema,
                serializer=DBOSPortableJSONSerializer(),
                application_name=NAME,
                retry_connection_errors=False,
            )

"""The database of the job queue, and the names that clients and workers share."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from storage.sql.driver_errors import translate_driver_errors
from storage.sql.libpq import dbos_url, require_jobs_url

if TYPE_CHECKING:
    from dbos import DBOSClient

APPLICATION_NAME = "ibid"
VERSION = "1"
"""Increase it when a worker of an older Ibid could not run a job that this version submits."""
WORKFLOW_NAME = "job"
QUEUE_NAME = "jobs"
UNFINISHED_STATUSES = ["ENQUEUED", "DELAYED", "PENDING"]
PROGRESS_EVENT = "course"
"""The name of the DBOS event that holds the progress of a job."""


class JobStore:
    """The database of the job queue.

    It is separate, because the workers poll it: that would keep a Postgres awake that could be suspended.
    """

    def __init__(self, folder: Path, url: str | None) -> None:
        self._file = None if url else folder / "jobs.db"
        address = require_jobs_url(url) if url else None
        self.url = dbos_url(address) if address else f"sqlite:///{self._file}"
        self.schema = (address and address.schema) or "dbos"
        """The schema of the tables, on Postgres."""

    @property
    def is_shared(self) -> bool:
        """Whether workers on other machines may use this store."""
        return self._file is None

    @property
    def may_have_jobs(self) -> bool:
        """Whether there may be jobs; checked without a connection."""
        return self._file is None or self._file.exists()

    def open(self) -> "DBOSClient":
        """Create or migrate the tables and return a client; raise `DatabaseUnavailable`. Takes about 1 s."""
        from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415 - 1.5 s

        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        logging.getLogger("dbos").setLevel(logging.WARNING)
        with translate_driver_errors():
            DBOS.migrate(self.url, schema=self.schema)
            return DBOSClient(
                system_database_url=self.url,
                dbos_system_schema=self.schema,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION_NAME,
                retry_connection_errors=False,
            )

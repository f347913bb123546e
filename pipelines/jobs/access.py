"""Access to jobs: users may see their own jobs and those of corpora that they may edit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from storage.domain import Principal
from storage.sql.database import Database, retry_on_lost_connection
from storage.sql.repositories.corpora import Corpora

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JobAccess:
    """The jobs that a principal may see and cancel."""

    principal: Principal
    editable: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """Corpora that the principal may see and edit, with the time when one of that name was last deleted."""

    def may_see(self, submitter: str | None, corpus: str | None, submitted_at: datetime) -> bool:
        """Return whether the principal may see and cancel a job.

        A job from before the last deletion belongs to a deleted corpus, even if a new corpus has its name.
        """
        if self.principal.is_admin or submitter == self.principal.name:
            return True
        deleted = self.editable.get(corpus or "")
        return deleted is not None and submitted_at > deleted


@retry_on_lost_connection
async def get_job_access(principal: Principal, database: Database) -> JobAccess:
    """Return which jobs the principal may see; query the database only for editors who are not admins."""
    if principal.is_admin or "ingest" not in principal.rights:
        return JobAccess(principal)
    async with database.read_transaction() as session:
        corpora = Corpora(session, principal)
        deleted = await corpora.deletions()
        seen = await corpora.all()
    edited = {corpus.name: deleted.get(corpus.name, _NEVER) for corpus in seen}
    return JobAccess(principal, edited)

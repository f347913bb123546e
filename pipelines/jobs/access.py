"""Access to jobs: users may see their own jobs and those of corpora that they may edit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from storage.domain import Principal
from storage.sql.database import Database, retried
from storage.sql.repositories.corpora import Corpora

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JobAccess:
    """The jobs that a principal may see and cancel."""

    principal: Principal
    edited: Mapping[str, datetime] = field(default_factory=dict[str, datetime])
    """Corpora that the principal may see and edit, with the time when one of that name was last deleted."""

    def opens(self, submitter: str | None, corpus: str | None, asked_at: datetime) -> bool:
        """Return whether the principal may see and cancel a job.

        A job from before the last deletion belongs to a deleted corpus, even if a new corpus has its name.
        """
        if self.principal.is_admin or submitter == self.principal.name:
            return True
        deleted = self.edited.get(corpus or "")
        return deleted is not None and asked_at > deleted


@retried
async def access_of(principal: Principal, database: Database) -> JobAccess:
    """Return which jobs the principal may see; query the database only for editors who are not admins."""
    if principal.is_admin or "ingest" not in principal.rights:
        return JobAccess(principal)
    async with database.reading() as session:
        corpora = Corpora(session, principal)
        deleted = await corpora.deletions()
        seen = await corpora.all()
    edited = {corpus.name: deleted.get(corpus.name, _NEVER) for corpus in seen}
    return JobAccess(principal, edited)

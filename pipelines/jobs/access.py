"""Which jobs are whose: who asked for them, and who may edit the corpus that they change."""

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
    """Corpora that the principal may edit and see; when one by that name was last deleted."""

    def opens(self, submitter: str | None, corpus: str | None, asked_at: datetime) -> bool:
        """A job from before a deletion was of another corpus, whatever is called so now."""
        if self.principal.is_admin or submitter == self.principal.name:
            return True
        deleted = self.edited.get(corpus or "")
        return deleted is not None and asked_at > deleted


@retried
async def access_of(principal: Principal, database: Database) -> JobAccess:
    """Nothing is read for an admin, or for who edits nothing."""
    if principal.is_admin or "ingest" not in principal.rights:
        return JobAccess(principal)
    async with database.reading() as session:
        corpora = Corpora(session, principal)
        deleted = await corpora.deletions()
        seen = await corpora.all()
    edited = {corpus.name: deleted.get(corpus.name, _NEVER) for corpus in seen}
    return JobAccess(principal, edited)

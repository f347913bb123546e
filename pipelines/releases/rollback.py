"""Find the earlier release that a rollback activates."""

from storage.errors import NotFound
from storage.index.passages import PassageIndex
from storage.index.releases import Indexes
from storage.sql.database import Database
from storage.sql.repositories.releases import Releases


async def find_kept(database: Database, indexes: Indexes, name: str | None) -> PassageIndex:
    """Return the kept release with this name, by default the latest; raise `NotFound`."""
    async with database.read_transaction() as session:
        kept = await Releases(session).kept()
    chosen = [release for release in kept if name in (None, release.collection)]
    if not chosen:
        if not kept:
            raise NotFound("earlier release", name)
        names = ", ".join(release.collection for release in kept)
        raise NotFound("kept release", name, f"These releases are kept: {names}.")
    return indexes.index_of(chosen[-1])

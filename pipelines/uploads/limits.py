"""Limits of uploads: for one upload with all its files and archives, and for each user per day."""

import shutil
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import gettempdir

from storage.domain import Principal, Value
from storage.errors import StorageFull, UploadQuotaSpent, UploadTooLarge
from storage.sql.database import Database
from storage.sql.repositories.upload_usage import UploadUsages
from storage.sql.repositories.usage import today
from storage.sql.repositories.users import Users
from storage.sql.tables import UploadUsage

_MEGABYTE = 1_000_000
_MIN_FREE_BYTES = 100 * _MEGABYTE
"""Bytes of the disk that uploads must leave free."""
_WAIVED_FOR_ADMINS = ("passages", "daily_bytes", "daily_passages")


class UploadLimits(Value):
    """The limits of uploads; None means unlimited."""

    unpacked: int = 500_000_000
    files: int = 10_000
    passages: int | None = None
    daily_bytes: int | None = None
    daily_passages: int | None = None
    for_admins: frozenset[str] = frozenset()
    """Names of the waivable limits that apply to admins as well."""

    def for_principal(self, principal: Principal) -> "UploadLimits":
        """Return the limits that apply to the principal: some are waived for admins."""
        if "admin" not in principal.rights:
            return self
        return self.model_copy(update=dict.fromkeys({*_WAIVED_FOR_ADMINS} - self.for_admins))

    @property
    def most_passages(self) -> int | None:
        """The maximum number of passages in one upload, not counting earlier uploads of the day."""
        limits = [limit for limit in (self.passages, self.daily_passages) if limit is not None]
        return min(limits, default=None)

    def check_files(self, files: int) -> None:
        """Raise `UploadTooLarge` if there are too many files."""
        if files > self.files:
            raise UploadTooLarge(
                f"The upload has more than {self.files:,} files: send fewer at once, or have "
                "UPLOAD_FILES_LIMIT raised."
            )

    def check_bytes(self, size: int) -> None:
        """Raise `UploadTooLarge` if the unpacked files have too many bytes."""
        if size > self.unpacked:
            raise UploadTooLarge(
                f"The files of the upload have more than {megabytes(self.unpacked)}, unpacked: send "
                "fewer at once, or have UPLOAD_UNPACKED_LIMIT raised."
            )

    def check_passages(self, passages: int) -> None:
        """Raise `UploadTooLarge` if there are too many passages; call it before anything is ingested."""
        if self.passages is not None and passages > self.passages:
            raise UploadTooLarge(
                f"The upload would create more than {self.passages:,} passages, so nothing was "
                "ingested: send fewer files at once, or have UPLOAD_PASSAGES_LIMIT raised."
            )


class UploadQuota:
    """Counts what each user uploads in a day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, limits: UploadLimits, user: str, *, size: int = 0, passages: int = 0
    ) -> None:
        """Count an upload, or raise `UploadQuotaSpent` and count nothing if it exceeds the daily quota."""
        if limits.daily_bytes is None and limits.daily_passages is None:
            return
        async with self._database.transaction() as session:
            owner, usages = await Users(session).get_or_create(user), UploadUsages(session)
            usage = UploadUsage(user_id=owner.id, day=today(), bytes=size, passages=passages)
            await usages.add(usage)
            used = await usages.usage_of(owner, usage.day)
            if limits.daily_bytes is not None and used.bytes > limits.daily_bytes:
                raise _quota_error(megabytes(limits.daily_bytes), "DAILY_UPLOAD_BYTES_PER_USER")
            if limits.daily_passages is not None and used.passages > limits.daily_passages:
                raise _quota_error(
                    f"{limits.daily_passages:,} passages", "DAILY_UPLOAD_PASSAGES_PER_USER"
                )


def check_disk(size: int, folder: Path | None = None) -> None:
    """Raise `StorageFull` if writing `size` bytes would leave too little free space on the disk."""
    free = shutil.disk_usage(folder or gettempdir()).free
    if size + _MIN_FREE_BYTES > free:
        raise StorageFull(
            f"The upload needs {megabytes(size)} of the server's disk, which has {megabytes(free)} free."
        )


def megabytes(size: int) -> str:
    """Format a number of bytes for users."""
    return f"{size / _MEGABYTE:,.1f} MB" if size % _MEGABYTE else f"{size // _MEGABYTE:,} MB"


def _quota_error(limit: str, setting: str) -> UploadQuotaSpent:
    now = datetime.now(UTC)
    tomorrow = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
    return UploadQuotaSpent(
        f"You may upload {limit} per day, and this upload would exceed that: send less, wait until tomorrow "
        f"(UTC), or have {setting} raised.",
        retry_after=round((tomorrow - now).total_seconds()),
    )

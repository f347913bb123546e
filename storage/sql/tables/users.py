"""Users, and API keys of servers."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import String
from sqlmodel import Field, SQLModel

from storage.domain import Right, Role
from storage.sql.tables.columns import AnyJSON, now


class User(SQLModel, table=True):
    """The owner of conversations, created when first seen. `local` is the user of this machine."""

    __tablename__: ClassVar[Any] = "users"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True)
    role: Role = Field(default="reader", sa_type=String)
    created_at: datetime = Field(default_factory=now)


class ApiKey(SQLModel, table=True):
    """A key with which a server authenticates; only the key's hash is stored, never the key."""

    __tablename__: ClassVar[Any] = "api_keys"

    prefix: str = Field(primary_key=True)
    """The first characters of the key: its name when keys are listed or revoked."""
    digest: str = Field(unique=True)
    user_id: UUID = Field(foreign_key="users.id", index=True, ondelete="CASCADE")
    rights: list[Right] = Field(sa_type=AnyJSON)
    created_at: datetime = Field(default_factory=now)
    expires_at: datetime | None = None
    used_at: datetime | None = None
    """Accurate to the minute."""
    revoked_at: datetime | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now())

    @property
    def is_stale(self) -> bool:
        """Whether the last recorded use is more than a minute ago."""
        return self.used_at is None or now() - self.used_at > timedelta(minutes=1)

    def record_use(self) -> None:
        """Record that the key was used just now."""
        self.used_at = now()

    def revoke(self) -> None:
        """Revoke the key; a key that is already revoked keeps its time."""
        self.revoked_at = self.revoked_at or now()

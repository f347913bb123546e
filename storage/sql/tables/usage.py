"""Costs and uploads of users, by day."""

from datetime import date
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class Spending(SQLModel, table=True):
    """The cost of one user's questions on one day (UTC) with one model."""

    __tablename__: ClassVar[Any] = "spending"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    day: date = Field(primary_key=True, index=True)
    model: str = Field(primary_key=True)
    calls: int = 0
    prompt_tokens: int = Field(default=0, sa_type=BigInteger)
    completion_tokens: int = Field(default=0, sa_type=BigInteger)
    cost: float = 0.0
    """In US dollars, as far as the model's server reported it."""


class UploadUsage(SQLModel, table=True):
    """The uploads of one user on one day (UTC)."""

    __tablename__: ClassVar[Any] = "upload_usage"

    user_id: UUID = Field(foreign_key="users.id", primary_key=True, ondelete="CASCADE")
    day: date = Field(primary_key=True)
    bytes: int = Field(default=0, sa_type=BigInteger)
    """The size of the files after archives are unpacked."""
    passages: int = Field(default=0, sa_type=BigInteger)
    """The number of passages made from the files."""

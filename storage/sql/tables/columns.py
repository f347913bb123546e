"""Types and defaults of columns; the same on SQLite and on Postgres."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import JSON, Dialect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

# SQLModel accepts instances as column types, but its annotations do not: hence `Any`.
# Without `none_as_null`, None is stored as the JSON text `null`, which `is null` does not match.
AnyJSON: Any = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class ValueJSON(TypeDecorator[BaseModel]):
    """A column that holds one domain value: JSONB on Postgres, JSON on SQLite."""

    impl = AnyJSON
    cache_ok = True

    def __init__(self, kind: type[BaseModel]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: BaseModel | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Convert the value to JSON-compatible types."""
        return None if value is None else value.model_dump(mode="json")

    def process_result_value(self, value: Any, dialect: Dialect) -> BaseModel | None:  # noqa: ARG002
        """Convert the column back to a validated value."""
        return None if value is None else self.kind.model_validate(value)


def value_json(kind: type[BaseModel]) -> Any:
    """Return the type of a column that holds one domain value of this class."""
    return ValueJSON(kind)


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)

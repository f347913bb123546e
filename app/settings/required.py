"""Settings that another setting requires."""

from pydantic import SecretStr

from storage.errors import InvalidInput


def require(value: str | None, choice: str, name: str) -> str:
    """Return the value. Raise `InvalidInput` if it is not set although `choice` needs it."""
    if not value:
        raise InvalidInput(f"{choice} needs {name}, which is not set.")
    return value


def secret_value(key: SecretStr | None) -> str | None:
    """Return a key as plain text, to send to its service."""
    return key.get_secret_value() if key else None

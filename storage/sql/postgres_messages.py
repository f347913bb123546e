"""Messages of Postgres, as they may be shown."""

import re


def clean_postgres_message(message: str) -> str:
    """Return a message of a Postgres server or client on one line, without the name of the user."""
    line = " ".join(re.sub(r"Is the server running .*?\?", "", message, flags=re.DOTALL).split())
    return re.sub(r"\b(user|role)(?: name)?:? (?:\"[^\"]*\"|[^\s,\"]+$)", r"\1", line).rstrip(".")

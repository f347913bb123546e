"""Messages of Postgres, as they may be shown."""

import re


def said_by_postgres(told: str) -> str:
    """Return a message of a Postgres server or client on one line, without the name of the user."""
    line = " ".join(re.sub(r"Is the server running .*?\?", "", told, flags=re.DOTALL).split())
    return re.sub(r"\b(user|role)(?: name)?:? (?:\"[^\"]*\"|[^\s,\"]+$)", r"\1", line).rstrip(".")

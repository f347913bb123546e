"""What Ibid's processes say of their work."""

import logging


def log_to_stderr(level: str) -> None:
    """A line a turn, a run and a job, to standard error; other packages keep their own ways."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    log = logging.getLogger("ibid")
    log.handlers, log.propagate = [handler], False
    log.setLevel(level.upper())

"""The results of the checks of `ibid doctor`."""

from collections.abc import AsyncGenerator
from typing import Literal

from storage.domain import Value


class Finding(Value):
    """The result of a check. `mend` says how to fix a problem; it is empty if there is nothing to do."""

    name: str
    state: Literal["ok", "note", "wrong"]
    told: str
    mend: str = ""


Findings = AsyncGenerator[Finding, None]

"""Record the digests: `python -m tests.pipelines.golden`."""

import sys

from tests.pipelines.golden.digests import RECORD, record

if unraised := record():
    sys.exit("\n".join(unraised))
print(f"{RECORD} is up to date.")

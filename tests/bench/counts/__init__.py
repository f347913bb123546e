"""Counts of work that are the same in every run and on every machine, compared with recorded ones.

A test fails if an operation does more than `recorded.json` says. Noise cannot make it fail: it counts engine
calls, SQL statements, transactions, bytes, embedded texts and tokens, HTTP calls and events, not seconds.
"""

from tests.bench.counts import record
from tests.bench.counts.operations import PASSAGES, count_operations
from tests.bench.figures import Result
from tests.bench.homes import Options


async def run(options: Options) -> Result:
    """Count the operations, and compare them with the record or, with `options.record`, replace it."""
    options.say("counting")
    found = await count_operations(options.scratch)
    if options.record:
        _say(options, record.save(found) or ["No count differs from its record."])
    recorded = record.load()
    result = Result("counts", f"about {PASSAGES} passages; the limits are the recorded counts")
    for operation, kinds in found.items():
        for kind, names in kinds.items():
            limit = record.total(recorded, operation, kind)
            result.add_count(f"{operation}: {kind}", sum(names.values()), limit)
    if excesses := record.excesses(found, recorded):
        _say(options, [*excesses, record.RAISE])
    if lower := record.much_lower(found, recorded):
        _say(options, [*lower, record.LOWER])
    return result


def _say(options: Options, lines: list[str]) -> None:
    options.say("\n".join(lines))

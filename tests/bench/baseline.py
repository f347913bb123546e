"""Comparison with the results that `--json` wrote earlier, on this or another machine.

What it finds is only a warning, because other work of the machine changes times and even ratios. Counts are
compared with their own record (`tests.bench.counts`), and those do fail.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.figures import Result, format_value

TOLERANCE = 0.25
"""Fraction by which a figure may exceed its stored value: two runs of the same code differ by that much."""


@dataclass(frozen=True)
class BaselineComparison:
    """The slower figures. Only ratios and limited figures are compared: other times depend on the machine."""

    slower: list[str] = field(default_factory=list)
    """A message for each slower figure."""
    skipped: list[str] = field(default_factory=list)
    """Names of benchmarks that the document lacks or has with other parameters."""

    def to_text(self) -> str:
        """Return a report for people, with one line per slower figure."""
        what = f"ratios and limited figures by more than {TOLERANCE:.0%}, and no other times"
        lines = [f"Warning: slower than before ({what}): {len(self.slower)}", *self.slower]
        if not self.slower:
            lines = [f"Nothing is slower than before ({what})."]
        if self.skipped:
            lines.append(f"Nothing to compare with: {', '.join(self.skipped)}")
        return "\n".join(lines)


def compare(results: Sequence[Result], document: str) -> BaselineComparison:
    """Compare results with a stored document; raise `ValueError` or `KeyError` if it has another format."""
    stored: dict[str, Any] = json.loads(document)["benches"]
    comparison = BaselineComparison()
    for result in results:
        if not any(figure.compares for figure in result.figures):
            continue
        before = stored.get(result.bench)
        if before is None or before["about"] != result.about:
            comparison.skipped.append(result.bench)
        else:
            values = {figure["name"]: figure["value"] for figure in before["figures"]}
            comparison.slower.extend(_slower_messages(result, values))
    return comparison


def _slower_messages(result: Result, before: Mapping[str, float]) -> Iterator[str]:
    for figure in result.figures:
        was = before.get(figure.name)
        if was is not None and figure.compares and figure.value > was + TOLERANCE * abs(was):
            yield (
                f"{result.bench}, {figure.name}: {format_value(figure.value, figure.unit)}, "
                f"was {format_value(was, figure.unit)}"
            )

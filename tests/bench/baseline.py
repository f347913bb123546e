"""Whether anything got slower since a document that `--json` wrote, here or on another machine."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.figures import Result, in_words

TOLERANCE = 0.25
"""By how much more than the stored value a figure may be: two runs of the same differ by so much."""


@dataclass(frozen=True)
class Comparison:
    """Of ratios, and of what has a limit: other times tell more of their machine than of Ibid."""

    slower: list[str] = field(default_factory=list)
    """Sentences."""
    skipped: list[str] = field(default_factory=list)
    """Names of benches that the document has not, or that measured something of another size."""

    def told(self) -> str:
        """For a person; a line each."""
        what = f"ratios and limited figures by more than {TOLERANCE:.0%}, and no other times"
        lines = [f"Slower than before ({what}): {len(self.slower)}", *self.slower]
        if self.skipped:
            lines.append(f"Nothing to compare with: {', '.join(self.skipped)}")
        return "\n".join(lines)


def compare(results: Sequence[Result], document: str) -> Comparison:
    """Raises `ValueError` or `KeyError` for a file that is something else."""
    stored: dict[str, Any] = json.loads(document)["benches"]
    comparison = Comparison()
    for result in results:
        before = stored.get(result.bench)
        if before is None or before["about"] != result.about:
            comparison.skipped.append(result.bench)
        else:
            values = {figure["name"]: figure["value"] for figure in before["figures"]}
            comparison.slower.extend(_slower(result, values))
    return comparison


def _slower(result: Result, before: Mapping[str, float]) -> Iterator[str]:
    for figure in result.figures:
        was = before.get(figure.name)
        if was is not None and figure.compares and figure.value > was + TOLERANCE * abs(was):
            yield (
                f"{result.bench}, {figure.name}: {in_words(figure.value, figure.unit)}, "
                f"was {in_words(was, figure.unit)}"
            )

"""Read the YAML front matter of a page; invalid YAML does not make the page unreadable."""

import re
from datetime import date
from typing import Any, cast

import yaml

from storage.shapes import Metadata

_FRONT_MATTER = re.compile(r"\n*---[ \t]*\n(.*?)(?<![^\n])---[ \t]*(?:\n|\Z)", re.DOTALL)
_PLAIN_LINE = re.compile(r"^([A-Za-z][\w-]*):[ \t]+(.+)$", re.MULTILINE)
_QUOTED = re.compile(r"""(["'])(\S.*)\1""")
LONGEST = 65_536
"""The maximum length of front matter, in characters."""
_DEEPEST = 16
# Other languages and SQL cannot store larger integers from JSON.
_TOO_LARGE = 2**63
# libyaml is twenty times faster than PyYAML's Python parser, but not included in every build.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# PyYAML raises its own errors and does not catch those of int(), date() and its lookup tables.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError)


def split_front_matter(source: str) -> tuple[Metadata, str]:
    """Return the front matter as JSON-safe values, and the rest of the page."""
    found = _FRONT_MATTER.match(source, 0, LONGEST)
    if found is None:
        return {}, source
    try:
        value = _json_safe(_load(found[1]))
    except _YAML_ERRORS:
        value = _plain_lines(found[1]) or found[1]
    if value is None or isinstance(value, dict):
        return cast("Metadata", value or {}), source[found.end() :]
    return {}, source  # `---` was a thematic break before prose, not front matter


def _plain_lines(text: str) -> Metadata:
    """Recover values from invalid YAML: the lines that are a key with plain or quoted text."""
    values = ((key, value.strip(" \t")) for key, value in _PLAIN_LINE.findall(text))
    quoted = {key: (_QUOTED.fullmatch(value), value) for key, value in values if value}
    return {key: found[2] if found else value for key, (found, value) in quoted.items()}


def _load(text: str) -> Any:
    """Load YAML after refusing aliases and deep nesting.

    libyaml builds nested values by recursion in C, and aliases can expand to enormous values.
    """
    depth = 0
    for event in cast("Any", yaml.parse(text, _Loader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("nested too deeply, or with aliases")
    return yaml.load(text, _Loader)  # noqa: S506  (a safe loader, chosen above)


def _json_safe(value: Any) -> Any:
    """Convert a value to JSON types: dates to ISO strings, sets to lists, all others to text.

    NUL characters are replaced, because SQL text cannot hold them.
    """
    match value:
        case dict():
            items = cast("dict[Any, Any]", value).items()
            return {_json_safe(str(key)): _json_safe(each) for key, each in items}
        case list() | tuple() | set():
            return [_json_safe(item) for item in cast("list[Any]", value)]
        case date():
            return value.isoformat()
        case None:
            return None
        case int() | float() if abs(value) < _TOO_LARGE:
            return value
        case _:
            return str(value).replace("\0", "\ufffd")
